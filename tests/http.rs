//! What Vault's clients rely on in HTTP, against real processes: paths, methods, bodies, statuses, errors at the start.

mod support;

use reqwest::StatusCode;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::http::Http;
use support::{Node, PATH, Region, free_port, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn requests_mean_what_vaults_clients_mean_by_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let nobody = Http::of(&region.nodes[0], "");

    // PUT and POST are one, the body is what it looks like, a form too, and no body is an empty one.
    for (method, path) in [("PUT", "secret/data/a"), ("POST", "secret/data/b/c")] {
        let (status, body) = http.send(method, path, r#"{"data":{"n":12345678901234567890.123}}"#).await;
        assert_eq!((status, &body["data"]["version"]), (200, &json!(1)), "{body}");
    }
    assert_eq!(http.send("POST", "secret/data/a", "").await, (400, json!({"errors": ["no data provided"]})));
    assert_eq!(http.send("POST", "secret/data/a", "{").await.0, 400);
    let form =
        http.request("POST", "sys/capabilities-self").header("content-type", "application/x-www-form-urlencoded");
    let form = form.body("path=secret%2Fdata%2Fa").send().await.expect("an answer");
    assert_eq!(form.json::<Value>().await.expect("JSON")["capabilities"], json!(["root"]));

    // Numbers come back digit by digit.
    let raw = http.request("GET", "secret/data/a").send().await.expect("an answer").text().await.expect("text");
    assert!(raw.contains("12345678901234567890.123"), "{raw}");

    // Lists, by every way to ask for one.
    for (method, path) in [
        ("LIST", "secret/metadata"),
        ("LIST", "secret/metadata/"),
        ("GET", "secret/metadata/?list=true"),
        ("GET", "secret/metadata?list=True"),
        ("GET", "secret/metadata?list=1"),
    ] {
        let (status, body) = http.send(method, path, "").await;
        assert_eq!((status, &body["data"]["keys"]), (200, &json!(["a", "b/"])), "{method} {path}");
    }
    assert_eq!(http.send("LIST", "secret/metadata/none", "").await, (404, json!({"errors": []})));

    // A deleted version is 404 with its metadata; what never was is 404 with nothing.
    assert_eq!(http.send("DELETE", "secret/data/a", "").await.0, 204);
    let (status, body) = http.get("secret/data/a").await;
    assert_eq!((status, &body["data"]["data"], &body["data"]["metadata"]["version"]), (404, &Value::Null, &json!(1)));
    assert_eq!(http.get("secret/data/none").await, (404, json!({"errors": []})));
    assert_eq!(http.send("POST", "secret/undelete/a", r#"{"versions":["1"]}"#).await.0, 204);
    assert_eq!(http.get("secret/data/a").await.0, 200);

    // Patches say that they are patches.
    assert_eq!(http.send("PATCH", "secret/data/a", r#"{"data":{"m":1}}"#).await.0, 415);
    let patch = http.request("PATCH", "secret/data/a").header("content-type", "application/merge-patch+json");
    let patched = patch.body(r#"{"data":{"m":1}}"#).send().await.expect("an answer");
    assert_eq!(patched.status(), StatusCode::OK);

    // Tokens: missing, wrong, as a bearer.
    for other in [&nobody, &Http::of(&region.nodes[0], "s.wrong")] {
        assert_eq!(other.get("secret/data/a").await, (403, json!({"errors": ["permission denied"]})));
        assert_eq!(other.get("nothing/here").await.0, 403);
        assert_eq!(other.get("auth/token/lookup-self").await.0, 403);
    }
    let bearer = nobody.request("GET", "secret/data/a").bearer_auth(&region.token).send().await.expect("an answer");
    assert_eq!(bearer.status(), StatusCode::OK);
    assert_eq!(http.send("POST", "auth/token/lookup", r#"{"token":"s.none"}"#).await.0, 403);

    // Paths: other methods, none such, mounts that are none, what could mean two things.
    assert_eq!(http.send("DELETE", "sys/init", "").await.0, 405);
    let (status, body) = http.get("nothing/here").await;
    assert_eq!(status, 404);
    assert!(body["errors"][0].as_str().is_some_and(|text| text.starts_with("no handler for route")), "{body}");
    assert_eq!(http.get("sys/internal/ui/mounts/none/such").await.0, 403);
    assert_eq!(http.get("secret/data/%00").await.0, 400);
    assert_eq!(http.get("secret/data/a%zz").await.0, 400);
    assert_eq!(http.get("secret/data/b%2fc").await.0, 200);
    let doubled = http.request("GET", "secret//data/a?version=1").send().await.expect("an answer");
    assert_eq!(doubled.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(doubled.headers()["location"], "/v1/secret/data/a?version=1");

    // Another path's name is refused with the name of the one there is.
    let (status, body) = http.get("sys/replication/path/other/status").await;
    assert_eq!(status, 404);
    assert!(body["errors"][0].as_str().is_some_and(|text| text.contains("`default`")), "{body}");

    // Too large: said before the body is read, in Vault's form.
    let (status, body) = http.send("POST", "secret/data/large", vec![b' '; (32 << 20) + 1]).await;
    assert_eq!(status, 413);
    assert!(body["errors"][0].as_str().is_some_and(|text| text.contains("too large")), "{body}");

    // Replication in Vault's fields, without a token.
    let (status, body) = nobody.get("sys/replication/status").await;
    assert_eq!((status, &body["data"]["performance"]), (200, &json!({"mode": "disabled"})));
    assert_eq!(body["data"]["dr"]["mode"], "primary");
    assert!(body["data"]["dr"]["last_wal"].is_u64());
    let (_, body) = nobody.get(&format!("sys/replication/path/{PATH}/status")).await;
    assert_eq!(body["data"]["role"], "primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_do_what_their_policies_allow() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let root = Http::of(&region.nodes[0], &region.token);
    let denied = (403, json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}));

    let policy = r#"path "secret/data/team/*" { capabilities = ["create", "read"] }
                    path "secret/metadata/team/" { capabilities = ["list"] }
                    path "auth/token/create" { capabilities = ["update"] }"#;
    assert_eq!(root.send("PUT", "sys/policies/acl/team", json!({"policy": policy}).to_string()).await.0, 204);
    assert_eq!(
        root.get("sys/policies/acl/team").await.1["data"],
        json!({"name": "team", "policy": policy}),
        "clients compare the whole object"
    );
    assert_eq!(root.get("sys/policy/team").await.1["rules"], policy);
    assert_eq!(root.send("LIST", "sys/policies/acl", "").await.1["data"]["keys"], json!(["default", "team", "root"]));

    // What Vault's command line sends.
    let asked = r#"{"policies":["team"],"ttl":"0s","period":"0s","explicit_max_ttl":"0s","type":"service",
                    "display_name":"","num_uses":0,"renewable":true,"entity_alias":"","no_parent":false}"#;
    let (status, made) = root.send("POST", "auth/token/create", asked).await;
    assert_eq!((status, &made["auth"]["policies"]), (200, &json!(["default", "team"])), "{made}");
    assert_eq!((&made["auth"]["lease_duration"], &made["auth"]["renewable"]), (&json!(2_764_800), &json!(true)));
    let token = |made: &Value| made["auth"]["client_token"].as_str().expect("a token").to_owned();
    let team = Http::of(&region.nodes[0], &token(&made));

    assert_eq!(team.send("POST", "secret/data/team/a", r#"{"data":{"x":1}}"#).await.0, 200);
    assert_eq!(team.send("POST", "secret/data/team/a", r#"{"data":{"x":2}}"#).await, denied, "it may create only");
    assert_eq!(team.get("secret/data/team/a").await.0, 200);
    assert_eq!(team.send("LIST", "secret/metadata/team", "").await.0, 200);
    for (method, path) in [
        ("GET", "secret/data/other"),
        ("DELETE", "secret/data/team/a"),
        ("LIST", "secret/metadata"),
        ("GET", "sys/mounts"),
        ("GET", "nothing/here"),
        ("LIST", "auth/token/accessors"),
        ("PUT", "sys/seal"),
        ("POST", "sys/replication/path/default/promote"),
    ] {
        assert_eq!(team.send(method, path, "").await, denied, "{method} {path}");
    }
    assert_eq!(team.get("sys/internal/ui/mounts/secret/team").await.1["data"]["path"], "secret/");
    let (_, can) = team.send("POST", "sys/capabilities-self", r#"{"paths":["secret/data/team/b","sys/seal"]}"#).await;
    assert_eq!((&can["secret/data/team/b"], &can["sys/seal"]), (&json!(["create", "read"]), &json!(["deny"])));

    // Children, uses, batch tokens.
    let (_, child) = team.send("POST", "auth/token/create", r#"{"num_uses":2,"ttl":"1h"}"#).await;
    let child = Http::of(&region.nodes[0], &token(&child));
    assert_eq!(child.get("auth/token/lookup-self").await.1["data"]["num_uses"], 1);
    assert_eq!(child.get("secret/data/team/a").await.0, 200);
    assert_eq!(child.get("secret/data/team/a").await, (403, json!({"errors": ["permission denied"]})));
    let (_, batch) = team.send("POST", "auth/token/create", r#"{"type":"batch","ttl":"1h"}"#).await;
    let batch = Http::of(&region.nodes[0], &token(&batch));
    assert_eq!(batch.get("auth/token/lookup-self").await.1["data"]["type"], "batch");
    let (status, renewed) = team.send("PUT", "auth/token/renew-self", r#"{"increment":"90s"}"#).await;
    assert_eq!((status, &renewed["auth"]["lease_duration"]), (200, &json!(90)));
    assert_eq!(root.send("PUT", "auth/token/renew-self", "").await.0, 400);

    // A token that ends goes with its record, and what ends outlives a restart.
    let (_, brief) = root.send("POST", "auth/token/create", r#"{"policies":["default"],"ttl":1}"#).await;
    let brief = Http::of(&region.nodes[0], &token(&brief));
    wait_for("the token to end", || async { (brief.get("auth/token/lookup-self").await.0 == 403).then_some(()) }).await;
    wait_for("its record to go", || async {
        let (_, body) = root.send("LIST", "auth/token/accessors", "").await;
        (body["data"]["keys"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let revoke = json!({"token": token(&made)}).to_string();
    assert_eq!(root.send("PUT", "auth/token/revoke", revoke).await.0, 204);
    assert_eq!(team.get("secret/data/team/a").await.0, 403);
    assert_eq!(batch.get("secret/data/team/a").await.0, 403, "it goes with the token that made it");
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_of_both_versions_cubbyholes_and_wrapping() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);

    assert_eq!(http.send("POST", "sys/mounts/team/old", r#"{"type":"kv","description":"d"}"#).await.0, 204);
    let (status, again) = http.send("POST", "sys/mounts/team", r#"{"type":"kv"}"#).await;
    assert_eq!((status, again), (400, json!({"errors": ["path is already in use at team/old/"]})));
    let plugin = http.send("POST", "sys/mounts/x", r#"{"type":"pki"}"#).await;
    assert_eq!(plugin, (400, json!({"errors": ["plugin not found in the catalog: pki"]})));
    assert_eq!(http.get("sys/mounts").await.1["team/old/"]["type"], "kv");
    assert_eq!(http.get("sys/mounts/team/old").await.1["data"]["description"], "d");
    assert_eq!(http.get("sys/mounts/team/old/tune").await.1["max_lease_ttl"], 2_764_800);
    assert_eq!(http.get("sys/auth/token/tune").await.1["data"]["token_type"], "default-service");

    // KV v1: the body is the secret, digit by digit; a mount may have a folder called `data`.
    let number = r#"{"n":12345678901234567890.123}"#;
    for path in ["team/old/a", "team/old/data/b"] {
        assert_eq!(http.send("PUT", path, number).await.0, 204);
        let raw = http.request("GET", path).send().await.expect("an answer").text().await.expect("text");
        assert!(raw.contains("12345678901234567890.123") && raw.contains("\"lease_duration\":2764800"), "{raw}");
    }
    assert_eq!(http.send("LIST", "team/old", "").await.1["data"]["keys"], json!(["a", "data/"]));
    assert_eq!(http.send("PUT", "team/old/a", "").await, (400, json!({"errors": ["missing data fields"]})));
    assert_eq!(http.get("team/old/none").await, (404, json!({"errors": []})));
    assert_eq!(http.send("DELETE", "team/old/none", "").await.0, 204);

    // Version 2 of the same mount, at another path.
    let (status, body) = http.send("POST", "sys/mounts/team/old/tune", r#"{"options":{"version":"2"}}"#).await;
    assert!(status == 200 && body["warnings"][0].is_string(), "{body}");
    let (_, moved) = http.send("POST", "sys/remount", r#"{"from":"team/old","to":"new"}"#).await;
    let id = moved["data"]["migration_id"].as_str().expect("an id");
    let (_, done) = http.get(&format!("sys/remount/status/{id}")).await;
    assert_eq!(done["data"]["migration_info"]["status"], "success");
    assert_eq!(http.get("new/data/data/b").await.1["data"]["metadata"]["version"], 1);
    assert_eq!(http.get("team/old/data/a").await.0, 404);
    let nested = r#"{"data":{"a":{"b":1},"c":"x"}}"#;
    assert_eq!(http.send("PUT", "new/data/s", nested).await.0, 200);
    assert_eq!(http.get("new/subkeys/s").await.1["data"]["subkeys"], json!({"a": {"b": null}, "c": null}));
    assert_eq!(http.get("new/subkeys/s?depth=1").await.1["data"]["subkeys"], json!({"a": null, "c": null}));
    assert_eq!(http.send("DELETE", "sys/mounts/new", "").await.0, 204);
    assert_eq!(http.get("new/data/s").await.0, 404);
    assert_eq!(http.send("DELETE", "sys/mounts/cubbyhole", "").await.0, 400);

    // A new key from one request on, and nothing stops for it.
    for (method, path) in [("PUT", "sys/rotate"), ("POST", "sys/rotate/keyring")] {
        assert_eq!(http.send(method, path, "").await.0, 204);
    }
    assert_eq!(http.get("sys/key-status").await.1["data"]["term"], 3);

    // What one token keeps no other sees.
    assert_eq!(http.send("POST", "cubbyhole/a", r#"{"x":1}"#).await.0, 204);
    assert_eq!(http.get("cubbyhole/a").await.1["data"], json!({"x": 1}));
    assert_eq!(http.send("LIST", "cubbyhole", "").await.1["data"]["keys"], json!(["a"]));
    let (_, made) = http.send("POST", "auth/token/create", r#"{"policies":["default"]}"#).await;
    let other = Http::of(&region.nodes[0], made["auth"]["client_token"].as_str().expect("a token"));
    assert_eq!(other.get("cubbyhole/a").await.0, 404);

    // Any answer can be wrapped, by whoever may have it; it is fetched once, by whoever holds its token.
    assert_eq!(http.send("PUT", "secret/data/w", r#"{"data":{"x":"wrapped"}}"#).await.0, 200);
    let wrap = |path: &'static str| http.request("GET", path).header("X-Vault-Wrap-TTL", "1m0s");
    let wrapped: Value = wrap("secret/data/w").send().await.expect("an answer").json().await.expect("JSON");
    let info = &wrapped["wrap_info"];
    assert_eq!(
        (&info["ttl"], &info["creation_path"], &wrapped["data"]),
        (&json!(60), &json!("secret/data/w"), &Value::Null)
    );
    let token = json!({"token": info["token"]}).to_string();
    let gone = (400, json!({"errors": ["wrapping token is not valid or does not exist"]}));
    let (_, looked) = other.send("POST", "sys/wrapping/lookup", token.clone()).await;
    assert_eq!(looked["data"]["creation_ttl"], 60);
    let (_, again) = http.send("POST", "sys/wrapping/rewrap", token.clone()).await;
    let holder = Http::of(&region.nodes[0], again["wrap_info"]["token"].as_str().expect("a token"));
    let nobody = Http::of(&region.nodes[0], "");
    assert_eq!(nobody.send("POST", "sys/wrapping/lookup", token.clone()).await, gone, "that one was wrapped anew");
    for _ in 0..2 {
        // To look takes no use, and wants no token but this one.
        assert_eq!(holder.get("sys/wrapping/lookup").await.1["data"]["creation_ttl"], 60);
    }
    assert_eq!(holder.get("secret/data/w").await.0, 403, "that took its one use");
    assert_eq!(other.send("POST", "sys/wrapping/unwrap", token).await, gone);
    let wrapped: Value = wrap("secret/data/w").send().await.expect("an answer").json().await.expect("JSON");
    let holder = Http::of(&region.nodes[0], wrapped["wrap_info"]["token"].as_str().expect("a token"));
    assert_eq!(holder.send("POST", "sys/wrapping/unwrap", "").await.1["data"]["data"]["x"], "wrapped");
    assert_eq!(holder.send("POST", "sys/wrapping/unwrap", "").await, gone);
    let missing = wrap("secret/data/none").send().await.expect("an answer");
    assert_eq!(missing.status(), StatusCode::NOT_FOUND, "an error is not wrapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tests_of_vaults_clients_ask_is_answered_as_they_expect() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let error = |text: &str| (400, json!({ "errors": [text] }));

    // No version has a negative number.
    let mismatch = error("check-and-set parameter did not match the current version");
    assert_eq!(http.send("POST", "secret/data/a", r#"{"data":{},"options":{"cas":-1}}"#).await, mismatch);

    // A batch token is stored nowhere: to say that it was revoked would be a lie.
    let (_, made) = http.send("POST", "auth/token/create", r#"{"type":"batch","policies":["default"]}"#).await;
    let batch = json!({"token": made["auth"]["client_token"]}).to_string();
    for path in ["auth/token/revoke", "auth/token/revoke-orphan"] {
        assert_eq!(http.send("POST", path, batch.clone()).await, error("batch tokens cannot be revoked"));
    }

    // The tuning of the tokens' mount bounds them, renewed ones too.
    let tuning = r#"{"default_lease_ttl":"5m","max_lease_ttl":"10m"}"#;
    assert_eq!(http.send("POST", "sys/auth/token/tune", tuning).await.0, 204);
    let (_, usual) = http.send("POST", "auth/token/create", r#"{"policies":["default"]}"#).await;
    assert_eq!(usual["auth"]["lease_duration"], 300);
    let (_, long) = http.send("POST", "auth/token/create", r#"{"policies":["default"],"ttl":"1h"}"#).await;
    assert_eq!(long["auth"]["lease_duration"], 600);
    let own = Http::of(&region.nodes[0], long["auth"]["client_token"].as_str().expect("a token"));
    let (_, renewed) = own.send("POST", "auth/token/renew-self", r#"{"increment":"100h"}"#).await;
    assert!(renewed["auth"]["lease_duration"].as_u64().is_some_and(|ttl| ttl <= 600), "{renewed}");

    // KV v1 says when to look again: by the secret, by its mount.
    let mount = r#"{"type":"kv","config":{"default_lease_ttl":"1h"}}"#;
    assert_eq!(http.send("POST", "sys/mounts/old", mount).await.0, 204);
    for (path, body, seconds) in [("a", r#"{"ttl":"30m","v":1}"#, 1_800), ("b", r#"{"v":1}"#, 3_600)] {
        assert_eq!(http.send("POST", &format!("old/{path}"), body).await.0, 204);
        assert_eq!(http.get(&format!("old/{path}")).await.1["lease_duration"], seconds);
    }

    // Capabilities of what there is not grant nothing, and spoil no policy.
    let policy = json!({"policy": r#"path "secret/*" { capabilities = ["read", "subscribe", "recover", "scan"] }"#});
    assert_eq!(http.send("PUT", "sys/policies/acl/events", policy.to_string()).await.0, 204);

    // Old names, values in the audit log, and what is refused where it would not be kept.
    assert_eq!(http.send("PUT", "sys/revoke-prefix/auth/token/none", "").await.0, 204);
    assert_eq!(
        http.send("POST", "sys/audit-hash/none", r#"{"input":"x"}"#).await,
        error("unknown audit backend: none/")
    );
    let device = r#"{"type":"file","options":{"file_path":"discard"}}"#;
    assert_eq!(http.send("PUT", "sys/audit/file", device).await.0, 204);
    let (_, hashed) = http.send("POST", "sys/audit-hash/file", r#"{"input":"x"}"#).await;
    assert!(hashed["data"]["hash"].as_str().is_some_and(|hash| hash.starts_with("hmac-sha256:")), "{hashed}");
    // What is done already is no error: to join again, to step down alone, to look at one's own token by POST.
    let again = r#"{"leader_api_addr":"http://127.0.0.1:1"}"#;
    assert_eq!(http.send("POST", "sys/storage/raft/join", again).await, (200, json!({"joined": true})));
    assert_eq!(http.send("PUT", "sys/step-down", "").await.0, 204);
    assert_eq!(http.send("POST", "auth/token/lookup-self", "{}").await.0, 200);
    assert_eq!(http.get("secret/data/a?version=-1").await.0, http.get("secret/data/a").await.0);
    let built_in = r#"{"type":"cubbyhole"}"#;
    let not_mountable = error("mount type of \"cubbyhole\" is not mountable");
    assert_eq!(http.send("POST", "sys/mounts/other", built_in).await, not_mountable);
    assert_eq!(http.send("PUT", "sys/storage/raft/remove-peer", "{}").await, error("no server id provided"));
}

/// Each line was compared with the answer of OpenBao 2.7.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_shown_and_refused_as_openbao_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let root = Http::of(&region.nodes[0], &region.token);
    let error = |text: &str| (400, json!({ "errors": [text] }));
    let post = async |http: &Http, path: &str, body: Value| http.send("POST", path, body.to_string()).await;
    let token = |made: &Value| made["auth"]["client_token"].as_str().expect("a token").to_owned();
    let make = async |path: &str, body: Value| {
        let (status, made) = post(&root, path, body).await;
        assert_eq!(status, 200, "{made}");
        made
    };

    // A role forbids what it forbids; nothing with a name inherits nothing; of two bounds the lesser one counts.
    let role = json!({"allowed_policies_glob": ["*"], "disallowed_policies": ["admin"]});
    assert_eq!(post(&root, "auth/token/roles/closed", role).await.0, 204);
    let refused = post(&root, "auth/token/create/closed", json!({"policies": ["admin"]})).await;
    assert_eq!(refused, error("token policy \"admin\" is disallowed by this role"));
    for (policies, expected) in [
        (json!([""]), json!(["default"])),
        (json!([" "]), json!(["default"])),
        (json!([]), json!(["root"])),
        (json!(null), json!(["root"])),
    ] {
        let made = make("auth/token/create", json!({"policies": policies, "ttl": "1h"})).await;
        assert_eq!(made["auth"]["policies"], expected, "{policies}");
    }
    let none = json!({"policies": ["default"], "no_default_policy": true});
    assert_eq!(make("auth/token/create", none).await["auth"]["policies"], json!([]));
    // A batch token ends when it was asked to, whatever period its role has for others.
    let role = json!({"token_period": "1h", "token_type": "default-batch", "allowed_policies": ["default"]});
    assert_eq!(post(&root, "auth/token/roles/batch", role).await.0, 204);
    let made = make("auth/token/create/batch", json!({"ttl": "30m"})).await;
    assert_eq!((&made["auth"]["lease_duration"], &made["auth"]["token_type"]), (&json!(1_800), &json!("batch")));
    let role = json!({"period": "3m", "explicit_max_ttl": "1h", "token_num_uses": 5});
    assert_eq!(post(&root, "auth/token/roles/bounds", role).await.0, 204);
    let asked = json!({"period": "10m", "explicit_max_ttl": "30m", "num_uses": 3, "no_parent": true});
    let made = make("auth/token/create/bounds", asked).await;
    assert_eq!((&made["auth"]["num_uses"], &made["auth"]["orphan"]), (&json!(3), &json!(false)));
    assert_eq!(made["auth"]["lease_duration"], 180);
    let lesser = |what: &str, seconds: u32| {
        json!(format!(
            "{what} specified both during creation call and in role; using the lesser value of {seconds} seconds"
        ))
    };
    assert_eq!(made["warnings"], json!([lesser("Explicit max TTL", 1_800), lesser("Period", 180)]));
    let shown = post(&root, "auth/token/lookup", json!({"token": token(&made)})).await.1;
    assert_eq!((&shown["data"]["period"], &shown["data"]["role"]), (&json!(600), &json!("bounds")));
    let made = make("auth/token/create", json!({"explicit_max_ttl": "10m"})).await;
    assert_eq!((&made["auth"]["lease_duration"], &made["warnings"]), (&json!(600), &Value::Null));

    // What is ignored is named, and what is renewed at once is not cut.
    let made = make("auth/token/create", json!({"policies": "default", "metadata": {"a": "b"}, "bogus": 1})).await;
    assert_eq!(made["auth"]["metadata"], Value::Null);
    assert_eq!(made["warnings"], json!(["Endpoint ignored these unrecognized parameters: [bogus metadata]"]));
    let own = Http::of(&region.nodes[0], &token(&made));
    let (_, renewed) = post(&own, "auth/token/renew-self", json!({})).await;
    let ttl = renewed["auth"]["lease_duration"].as_u64().expect("seconds");
    assert!((2_764_740..=2_764_800).contains(&ttl), "{renewed}");
    assert_eq!(post(&root, "auth/token/lookup-self", json!({})).await.0, 200);

    // To make an orphan takes a policy for that path, to free children `sudo`.
    let policy = r#"path "auth/token/create-orphan" { capabilities = ["update"] }
                    path "auth/token/revoke-orphan" { capabilities = ["update"] }
                    path "plain/*" { capabilities = ["read"] }"#;
    assert_eq!(post(&root, "sys/policies/acl/maker", json!({"policy": policy})).await.0, 204);
    let maker = Http::of(&region.nodes[0], &token(&make("auth/token/create", json!({"policies": ["maker"]})).await));
    let (status, orphan) = post(&maker, "auth/token/create-orphan", json!({})).await;
    assert_eq!((status, &orphan["auth"]["orphan"]), (200, &json!(true)));
    let (_, shown) = post(&root, "auth/token/lookup", json!({"token": token(&orphan)})).await;
    assert_eq!(shown["data"]["path"], "auth/token/create-orphan");
    let freed = post(&maker, "auth/token/revoke-orphan", json!({"token": token(&orphan)})).await;
    assert_eq!(freed, error("root or sudo privileges required to revoke and orphan"));

    // A wrapped token's accessor is told beside the wrapping token, and an answer can be wrapped again.
    let wrapping = |path: &'static str, body: Value| {
        root.request("POST", path).header("X-Vault-Wrap-TTL", "60s").body(body.to_string())
    };
    let json_of = async |request: reqwest::RequestBuilder| -> Value {
        request.send().await.expect("an answer").json().await.expect("JSON")
    };
    let wrapped = json_of(wrapping("auth/token/create-orphan", json!({"policies": ["default"]}))).await;
    let accessor = wrapped["wrap_info"]["wrapped_accessor"].clone();
    assert!(accessor.as_str().is_some_and(|accessor| !accessor.is_empty()), "{wrapped}");
    let again = json_of(wrapping("sys/wrapping/unwrap", json!({"token": wrapped["wrap_info"]["token"]}))).await;
    assert_eq!((&again["auth"], &again["wrap_info"]["wrapped_accessor"]), (&Value::Null, &accessor), "{again}");
    let (_, made) = post(&root, "sys/wrapping/unwrap", json!({"token": again["wrap_info"]["token"]})).await;
    assert_eq!(made["auth"]["accessor"], accessor);

    // A name with a slash behind it is another path to policies, and no secret.
    assert_eq!(post(&root, "sys/mounts/plain", json!({"type": "kv"})).await.0, 204);
    assert_eq!(post(&root, "plain/foo", json!({"a": 1})).await.0, 204);
    assert_eq!((maker.get("plain/foo").await.0, maker.get("plain/foo/").await.0), (200, 404));
    assert_eq!(maker.get("plain/").await.0, 404);
    assert_eq!(maker.get("plain").await.0, 403);
    assert_eq!(root.send("DELETE", "plain/foo/", "").await.0, 204);
    assert_eq!(root.get("plain/foo").await.0, 200);
}

/// Each line was compared with the answer of OpenBao 2.7.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_mounts_and_nodes_are_answered_for_as_openbao_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let error = |text: &str| (400, json!({ "errors": [text] }));
    let post = async |path: &str, body: Value| http.send("POST", path, body.to_string()).await;

    // A version that is undeleted deletes itself anew, where versions do.
    let config = json!({"cas_required": true, "delete_version_after": "1h"});
    assert_eq!(post("secret/config", config).await.0, 204);
    let (status, made) = post("secret/data/a", json!({"data": {"x": 1}, "options": {"cas": 0}, "bogus": 1})).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(made["warnings"], json!(["Endpoint ignored these unrecognized parameters: [bogus]"]));
    let (_, made) = post("secret/data/said", json!({"data": {}, "options": {"cas": 0}, "path": "other", "z": 1})).await;
    let replaced =
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [path]";
    assert_eq!(made["warnings"], json!(["Endpoint ignored these unrecognized parameters: [z]", replaced]));
    assert_eq!(http.get("secret/data/said?path=other").await.1["warnings"], json!([replaced]));
    let deletion = async || http.get("secret/metadata/a").await.1["data"]["versions"]["1"]["deletion_time"].clone();
    assert_eq!(http.send("DELETE", "secret/data/a", "").await.0, 204);
    let deleted = deletion().await;
    assert_eq!(post("secret/undelete/a", json!({"versions": [1]})).await.0, 204);
    assert!(deletion().await.as_str() > deleted.as_str(), "{deleted}");

    // Query parameters that say nothing say nothing.
    for path in
        ["data/a?version=", "data/a?version=-1", "subkeys/a?depth=", "subkeys/a?depth=-1", "metadata?list=1&limit="]
    {
        assert_eq!(http.get(&format!("secret/{path}")).await.0, 200, "{path}");
    }
    assert_eq!(http.get("secret/data/a?version=x").await.0, 400);

    assert_eq!(post("secret/data/null", json!({"data": null, "options": {"cas": 0}})).await.0, 200);

    // What other languages write for an empty object; of a name given twice the last one counts.
    let empty = json!({"data": [], "options": []});
    assert_eq!(post("secret/data/list", empty).await, error("check-and-set parameter required for this call"));
    let twice = r#"{"data":{"x":1},"options":{"cas":9},"options":{"cas":0},"data":{"x":2}}"#;
    assert_eq!(http.send("POST", "secret/data/twice", twice).await.0, 200);
    assert_eq!(http.get("secret/data/twice").await.1["data"]["data"], json!({"x": 2}));
    assert_eq!(post("secret/metadata/twice", json!({"custom_metadata": []})).await.0, 204);
    let nothing = post("secret/metadata/twice", json!({"custom_metadata": {"a": null}})).await;
    assert!(nothing.0 == 400 && nothing.1.to_string().contains("length of value"), "{nothing:?}");
    assert_eq!(post("auth/token/create", json!({"meta": []})).await.0, 200);
    for (options, version) in [(json!("version=2"), "2"), (json!(["version=1"]), "1")] {
        let path = format!("sys/mounts/paired{version}");
        assert_eq!(post(&path, json!({"type": "kv", "options": options})).await.0, 204);
        assert_eq!(http.get(&path).await.1["data"]["options"], json!({"version": version}));
    }
    for wrong in [json!({"type": "kv", "options": "zz"}), json!({"type": "kv", "config": "x"})] {
        assert_eq!(post("sys/mounts/wrong", wrong).await.0, 400);
    }
    assert_eq!(post("sys/mounts/audit/x", json!({"type": "kv"})).await, error("cannot mount \"audit/x/\""));
    for code in ["99", "1000"] {
        assert_eq!(http.get(&format!("sys/health?activecode={code}")).await.0, 400);
    }
    assert_eq!(post("sys/unseal", json!({"reset": true})).await, error("vault is unsealed"));
    let nobody = Http::of(&region.nodes[0], "");
    let bearer = nobody.request("GET", "auth/token/lookup-self").header("x-vault-token", "");
    let bearer = bearer.header("authorization", format!("Bearer {}", region.token)).send().await.expect("an answer");
    assert_eq!(bearer.status(), StatusCode::OK);

    // Who changes settings may say over which ones, where he must not.
    let own = json!({"max_versions": 3, "metadata_cas": 0, "metadata_cas_required": true});
    assert_eq!(post("secret/metadata/cas", json!({"metadata_cas": 7})).await.0, 204, "it says nothing to change");
    assert_eq!(http.get("secret/metadata/cas").await.0, 404);
    assert_eq!(post("secret/metadata/cas", own.clone()).await.0, 204);
    for wrong in [json!({"max_versions": 4}), own, json!({"max_versions": 4, "metadata_cas": null})] {
        let (status, refused) = post("secret/metadata/cas", wrong).await;
        let text = refused["errors"][0].as_str().unwrap_or_default();
        assert!(status == 400 && text.starts_with("metadata check-and-set parameter "), "{status} {refused}");
    }
    assert_eq!(post("secret/metadata/cas", json!({"max_versions": 4, "metadata_cas": "1"})).await.0, 204);
    let (_, shown) = http.get("secret/metadata/cas").await;
    let shown = &shown["data"];
    assert_eq!((&shown["current_metadata_version"], &shown["metadata_cas_required"]), (&json!(2), &json!(true)));
    assert_eq!(http.get("secret/config").await.1["data"]["metadata_cas_required"], false);

    // How much a node logs.
    assert_eq!(http.get("sys/loggers/core").await.1["data"], json!({"core": "info"}));
    assert_eq!(http.get("sys/loggers/nobody").await.1["data"], json!({}));
    assert_eq!(post("sys/loggers/core", json!({"level": "Warning"})).await.0, 204);
    let (_, levels) = http.get("sys/loggers").await;
    assert_eq!((&levels["data"]["core"], &levels["data"]["audit"]), (&json!("warn"), &json!("info")));
    for (path, body, text) in [
        ("sys/loggers", json!({}), "level is required"),
        ("sys/loggers", json!({"level": ""}), "level is empty"),
        ("sys/loggers/core", json!({"level": "loud"}), "invalid level provided: unknown log level: loud"),
        ("sys/loggers/nobody", json!({"level": "info"}), "logger \"nobody\" not found"),
    ] {
        assert_eq!(post(path, body).await, (400, json!({"errors": [text]})));
    }
    assert_eq!(http.send("DELETE", "sys/loggers", "").await.0, 204);
    assert_eq!(http.get("sys/loggers/core").await.1["data"], json!({"core": "info"}));

    // Custom metadata goes with null, and a patch takes strings only; what the mount mandates is said.
    assert_eq!(post("secret/metadata/a", json!({"custom_metadata": {"k": "v"}})).await.0, 204);
    assert_eq!(post("secret/metadata/a", json!({"custom_metadata": null})).await.0, 204);
    assert_eq!(http.get("secret/metadata/a").await.1["data"]["custom_metadata"], Value::Null);
    for value in [json!(1), json!(true), json!(["x"])] {
        let patch = http.request("PATCH", "secret/metadata/a").header("content-type", "application/merge-patch+json");
        let patched = patch.body(json!({"custom_metadata": {"k": value}}).to_string()).send().await.expect("an answer");
        assert_eq!(patched.status(), StatusCode::BAD_REQUEST, "{value}");
    }
    let mandated = "\"cas_required\" set to false, but is mandated by backend config. This value will be ignored.";
    let (status, said) = post("secret/metadata/a", json!({"cas_required": false})).await;
    assert_eq!((status, &said["warnings"]), (200, &json!([mandated])));
    assert_eq!(post("secret/config", json!({"metadata_cas_required": true})).await.0, 204);
    let less = json!({"cas_required": false, "metadata_cas_required": false, "metadata_cas": 3});
    let (_, said) = post("secret/metadata/a", less).await;
    assert_eq!(said["warnings"], json!([mandated, mandated.replace("cas", "metadata_cas")]));
    assert_eq!(post("secret/config", json!({"metadata_cas_required": false})).await.0, 204);

    // Mounts: options, moves, what is Vault's own.
    for (path, kind) in [("one", "kv"), ("two", "kv-v2")] {
        assert_eq!(post(&format!("sys/mounts/{path}"), json!({"type": kind})).await.0, 204);
    }
    let (_, mounts) = http.get("sys/mounts").await;
    assert_eq!((&mounts["one/"]["options"], &mounts["sys/"]["options"]), (&json!({}), &Value::Null));
    let taken = post("sys/remount", json!({"from": "one", "to": "two"})).await;
    assert_eq!(taken, error("path already in use at \"two/\""));
    let (_, moved) = post("sys/remount", json!({"from": "one", "to": "three"})).await;
    let id = moved["migration_id"].as_str().expect("an id");
    assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    assert!(moved["warnings"][0].as_str().is_some_and(|text| text.starts_with("Mount move has been queued.")));
    let (_, status) = http.get(&format!("sys/remount/status/{id}")).await;
    assert_eq!(status["data"]["migration_info"]["target_mount"], "three/");
    let identity = post("sys/mounts/identity", json!({"type": "kv"})).await;
    assert_eq!(identity, error("cannot mount \"identity/\""));

    // The region: who is none of it, who leads it alone, and shares that it does not need.
    assert_eq!(post("sys/storage/raft/remove-peer", json!({"server_id": "none"})).await.0, 204);
    assert_eq!(post("sys/storage/raft/remove-peer", json!({})).await, error("no server id provided"));
    assert_eq!(http.send("PUT", "sys/step-down", "").await.0, 204);
    let share = post("sys/unseal", json!({"key": "zz"})).await;
    assert_eq!(share, error("'key' must be a valid hex or base64 string"));
    let (_, status) = http.get("sys/seal-status").await;
    assert!(status["cluster_id"].as_str().is_some_and(|id| id.len() == 36), "{status}");
    let (_, sum) = post("sys/tools/hash/sha3-256", json!({"input": "YWJj"})).await;
    assert_eq!(sum["data"]["sum"], "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_with_a_token_is_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let log = folder.path().join("audit.log");
    let device = |path: &Path, blocking: bool| {
        json!({"type": "file", "options": {"file_path": path, "blocking": blocking.to_string()}}).to_string()
    };
    assert_eq!(http.get("sys/audit").await.1["data"], json!({}));
    assert_eq!(http.send("PUT", "sys/audit/none", device(Path::new("/none/such"), true)).await.0, 400);
    assert_eq!(http.send("PUT", "sys/audit/file", device(&log, true)).await.0, 204);
    assert_eq!(http.get("sys/audit").await.1["file/"]["type"], "file");

    assert_eq!(http.send("PUT", "secret/data/team/a", r#"{"data":{"user":"CanaryValue"}}"#).await.0, 200);
    let (_, read) = http.get("secret/data/team/a").await;
    assert_eq!(read["data"]["data"]["user"], "CanaryValue");
    assert_eq!(Http::of(&region.nodes[0], "s.CanaryToken").get("secret/data/team/a").await.0, 403);
    let (_, made) = http.send("POST", "auth/token/create", r#"{"policies":["default"]}"#).await;
    let token = made["auth"]["client_token"].as_str().expect("a token").to_owned();
    assert_eq!(Http::of(&region.nodes[0], &token).get("secret/data/team/a").await.0, 403);

    let text = fs::read_to_string(&log).expect("the audit log");
    for secret in ["CanaryValue", "CanaryToken", region.token.as_str(), &token] {
        assert!(!text.contains(secret), "{text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str, path: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["type"] == kind && line["request"]["path"] == path).collect()
    };
    let (asked, told) = (of("request", "secret/data/team/a"), of("response", "secret/data/team/a"));
    assert_eq!((asked.len(), told.len()), (4, 4));
    assert_eq!(asked[0]["request"]["operation"], "create");
    // An entry has Vault's fields: who, from where, to which mount, and one id in the answer and in both lines.
    let (request, response) = (&asked[1]["request"], &told[1]["response"]);
    assert_eq!((&request["id"], &request["id"]), (&told[1]["request"]["id"], &read["request_id"]));
    assert_eq!((&request["remote_address"], request["remote_port"].is_u64()), (&json!("127.0.0.1"), true));
    for of in [request, response] {
        assert_eq!((&of["mount_point"], &of["mount_type"]), (&json!("secret/"), &json!("kv")));
        assert!(of["mount_accessor"].as_str().is_some_and(|accessor| accessor.starts_with("kv_")), "{of}");
    }
    assert_eq!(asked[1]["auth"]["policy_results"]["allowed"], true);
    assert_eq!(
        (&asked[2]["error"], &asked[3]["auth"]["policy_results"]["allowed"]),
        (&json!("permission denied"), &json!(false))
    );
    assert_eq!(told[3]["error"], "1 error occurred:\n\t* permission denied\n\n");
    assert_eq!(response["data"]["metadata"]["version"], 1);
    let statuses: Vec<&Value> = told.iter().map(|line| &line["response"]["status"]).collect();
    assert_eq!(statuses, [200, 200, 403, 403]);
    assert_eq!((&asked[2]["auth"]["policies"], &asked[3]["auth"]["policies"]), (&Value::Null, &json!(["default"])));
    // Who knows a value finds it by its hash.
    let (_, hash) = http.send("POST", "sys/audit-hash/file", r#"{"input":"CanaryValue"}"#).await;
    assert_eq!(asked[0]["request"]["data"]["data"]["user"], hash["data"]["hash"]);
    assert_eq!(told[1]["response"]["data"]["data"]["user"], hash["data"]["hash"]);

    // What a mount's settings name is shown as it is, at the top of the data only; what may not be told is refused by name.
    let keys =
        r#"{"type":"kv","config":{"audit_non_hmac_request_keys":["shown"],"audit_non_hmac_response_keys":"shown"}}"#;
    assert_eq!(http.send("PUT", "sys/mounts/plain", keys).await.0, 204);
    assert_eq!(
        http.send(
            "PUT",
            "plain/a",
            r#"{"shown":"in the clear","pin":4711081547110815,"deep":{"shown":"CanaryValue"}}"#
        )
        .await
        .0,
        204
    );
    assert_eq!(http.get("plain/a").await.0, 200);
    let text = fs::read_to_string(&log).expect("the audit log");
    assert_eq!(text.matches("in the clear").count(), 3, "{text}");
    assert!(!text.contains("4711081547110815") && !text.contains("CanaryValue"), "{text}");
    let raw = json!({"type": "file", "options": {"file_path": log, "log_raw": "true"}}).to_string();
    assert_eq!(http.send("PUT", "sys/audit/raw", raw).await.0, 400);

    // What can't be written down is not done, unless the device says so; a full disk can be told by its name.
    let full = Path::new("/dev/full");
    assert_eq!(http.send("PUT", "sys/audit/full", device(full, false)).await.0, 204);
    // A pipe is no file: nobody may be there to read it.
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there").success());
    assert_eq!(http.send("PUT", "sys/audit/pipe", device(&pipe, true)).await.0, 400);
    // All that was sent of a header, and of strangers as much as they may.
    assert_eq!(http.send("PUT", "sys/config/auditing/request-headers/x-many", "").await.0, 204);
    let many = http.request("GET", "secret/data/many").header("x-many", "one").header("x-many", "two");
    assert_eq!(many.send().await.expect("an answer").status().as_u16(), 404);
    let stranger = Http::of(&region.nodes[0], "");
    for (status, _) in futures::future::join_all((0..400).map(|_| stranger.get("secret/data/stranger"))).await {
        assert!(matches!(status, 403 | 429), "{status}");
    }
    let text = fs::read_to_string(&log).expect("the audit log");
    assert!(text.contains(r#""x-many":["one","two"]"#));
    let written = text.matches(r#""path":"secret/data/stranger""#).count();
    // Some of the sixty were written above.
    assert!((2 * 50..2 * 400).contains(&written), "{written}");
    let (_, metrics) = http.get("sys/metrics").await;
    let counted = |name: &str| {
        let counters = metrics["Counters"].as_array().expect("counters").iter();
        counters.filter(|counter| counter["Name"] == name).filter_map(|counter| counter["Count"].as_f64()).sum::<f64>()
    };
    assert!(counted("twinkeep_audit_left_out") > 0.0 && counted("vault.audit.log_request_failure") > 0.0, "{metrics}");
    assert_eq!(http.send("DELETE", "sys/audit/file", "").await.0, 204);
    assert_eq!(http.get("secret/data/team/a").await.0, 200, "it does not block");
    // One that always blocks does so, though another one writes.
    assert_eq!(http.send("PUT", "sys/audit/file", device(&log, true)).await.0, 204);
    assert_eq!(http.send("PUT", "sys/audit/strict", device(full, true)).await.0, 204);
    assert_eq!(http.get("secret/data/team/a").await.0, 500);
    assert_eq!(http.send("PUT", "secret/data/team/b", r#"{"data":{}}"#).await.0, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_are_tuned_whole_and_seen_by_whom_they_are_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let nobody = Http::of(&region.nodes[0], "");
    let error = |text: &str| (400, json!({ "errors": [text] }));

    let config = json!({"listing_visibility": "unauth", "audit_non_hmac_request_keys": ["a", "b"],
        "audit_non_hmac_response_keys": ["c"], "passthrough_request_headers": ["X-Foo"],
        "allowed_response_headers": ["X-Bar"], "force_no_cache": true, "default_lease_ttl": "10m", "max_lease_ttl": "system"});
    let mount = json!({"type": "kv", "config": config, "seal_wrap": true, "local": true, "description": "d", "options": {"version": "2"}});
    assert_eq!(http.send("POST", "sys/mounts/open", mount.to_string()).await.0, 204);
    let mut expected = config;
    (expected["default_lease_ttl"], expected["max_lease_ttl"]) = (json!(600), json!(0));
    let (_, read) = http.get("sys/mounts/open").await;
    assert_eq!((&read["config"], &read["seal_wrap"], &read["local"]), (&expected, &json!(true), &json!(true)));
    let (_, tuned) = http.get("sys/mounts/open/tune").await;
    expected["max_lease_ttl"] = json!(2_764_800);
    (expected["description"], expected["options"]) = (json!("d"), json!({"version": "2"}));
    assert_eq!(tuned["data"], expected);

    // Leases that could not be kept are refused, when it is enabled and when it is tuned.
    for (config, text) in [
        (
            r#"{"default_lease_ttl":"20m","max_lease_ttl":"10m"}"#,
            "given default lease TTL greater than given max lease TTL",
        ),
        (r#"{"default_lease_ttl":"99999h"}"#, "given default lease TTL greater than system max lease TTL of 2764800"),
        (r#"{"listing_visibility":"bogus"}"#, "invalid listing_visibility bogus"),
    ] {
        let body = format!(r#"{{"type":"kv","config":{config}}}"#);
        assert_eq!(http.send("POST", "sys/mounts/wrong", body).await, error(text));
    }
    let tune = async |body: &'static str| http.send("POST", "sys/mounts/open/tune", body).await;
    let less = "backend max lease TTL of 36000 would be less than backend default lease TTL of 360000";
    assert_eq!(tune(r#"{"default_lease_ttl":"100h","max_lease_ttl":"10h"}"#).await, error(less));
    assert_eq!(tune(r#"{"options":{"version":"3"}}"#).await, error("invalid version provided: 3"));
    let version = "plugin not found in the catalog: kv, version=v1.2.3";
    assert_eq!(tune(r#"{"plugin_version":"v1.2.3"}"#).await, error(version));
    assert_eq!(tune(r#"{"token_type":"batch"}"#).await, error("'token_type' can only be modified on auth mounts"));
    let cleared = r#"{"default_lease_ttl":"system","audit_non_hmac_request_keys":[],"passthrough_request_headers":"",
        "description":"","options":{"foo":"bar"}}"#;
    assert_eq!(tune(cleared).await.0, 204);
    let (_, tuned) = http.get("sys/mounts/open/tune").await;
    assert_eq!((&tuned["default_lease_ttl"], &tuned["description"]), (&json!(2_764_800), &json!("")));
    assert_eq!((&tuned["options"]["foo"], tuned.get("audit_non_hmac_request_keys")), (&json!("bar"), None));

    // Without a token: what is listed for all, and of it no more than what it is.
    let (status, seen) = nobody.get("sys/internal/ui/mounts").await;
    let outline = json!({"open/": {"type": "kv", "description": "", "options": {"foo": "bar", "version": "2"}}});
    assert_eq!((status, &seen["data"]), (200, &json!({"auth": {}, "secret": outline})));
    assert_eq!(Http::of(&region.nodes[0], "s.wrong").get("sys/internal/ui/mounts").await.0, 403);
    // Nothing is kept here for somebody without a token.
    let wrapped = nobody.request("GET", "sys/internal/ui/mounts").header("x-vault-wrap-ttl", "1h").send().await;
    let wrapped: Value = wrapped.expect("an answer").json().await.expect("JSON");
    assert!(wrapped["wrap_info"].is_null() && wrapped["data"]["secret"].is_object(), "{wrapped}");
    // What would be agreed on and then fit into no snapshot is refused.
    let large = json!({ "meta": { "a": "x".repeat(5 << 20) } }).to_string();
    let (status, body) = http.send("POST", "auth/token/create", large).await;
    assert!(status == 413 && body["errors"][0].as_str().is_some_and(|text| text.contains("too large")), "{body}");
    assert_eq!(nobody.get("sys/internal/ui/mounts/open").await, (403, json!({"errors": ["permission denied"]})));
    assert_eq!(nobody.get("sys/ha-status").await.0, 403, "names and addresses are for who has a token");
    let (_, all) = http.get("sys/internal/ui/mounts").await;
    assert!(all["data"]["secret"]["secret/"]["accessor"].is_string() && all["data"]["auth"]["token/"].is_object());

    // What a token's policies grant together.
    let policy = r#"path "secret/*" { capabilities = ["read"] } path "secret/x" { capabilities = ["deny"] }
        path "open/metadata/*" { capabilities = ["scan"] min_wrapping_ttl = "1m" }"#;
    assert_eq!(http.send("PUT", "sys/policies/acl/some", json!({"policy": policy}).to_string()).await.0, 204);
    let (_, made) = http.send("POST", "auth/token/create", r#"{"policies":["some"]}"#).await;
    let some = Http::of(&region.nodes[0], made["auth"]["client_token"].as_str().expect("a token"));
    let (_, acl) = some.get("sys/internal/ui/resultant-acl").await;
    assert_eq!(acl["data"]["glob_paths"]["open/metadata/"], json!({"capabilities": ["scan"], "min_wrapping_ttl": 60}));
    assert_eq!(acl["data"]["exact_paths"]["secret/x"]["capabilities"], json!(["deny"]));
    assert_eq!(http.get("sys/internal/ui/resultant-acl").await.1["data"], json!({"root": true}));

    // Lists by the page, and of all that is below; help at any path.
    for path in ["a", "b", "c/d", "c/e/f", "g"] {
        assert_eq!(http.send("PUT", &format!("open/data/p/{path}"), r#"{"data":{}}"#).await.0, 200);
    }
    let keys = async |method: &str, path: &str| http.send(method, path, "").await.1["data"]["keys"].clone();
    assert_eq!(keys("LIST", "open/metadata/p?limit=2").await, json!(["a", "b"]));
    assert_eq!(keys("LIST", "open/metadata/p?after=b&limit=1").await, json!(["c/"]));
    assert_eq!(keys("GET", "open/metadata/p?list=true&after=c/").await, json!(["g"]));
    assert_eq!(http.send("LIST", "open/metadata/p?after=z", "").await.0, 404);
    assert_eq!(http.send("LIST", "open/metadata/p?limit=x", "").await.0, 400);
    assert_eq!(keys("SCAN", "open/metadata/p").await, json!(["a", "b", "g", "c/d", "c/e/f"]));
    assert_eq!(keys("GET", "open/metadata?scan=true").await, json!(["p/a", "p/b", "p/g", "p/c/d", "p/c/e/f"]));
    let (_, details) = http.send("LIST", "open/detailed-metadata/p", "").await;
    let info = &details["data"]["key_info"];
    assert_eq!((&info["a"]["current_version"], &info["c/"]), (&json!(1), &json!({})));
    assert_eq!(some.send("LIST", "open/metadata/p", "").await.0, 403, "a scan is not a list");
    let (status, help) = some.get("open/data/p/a?help=1").await;
    assert!(status == 200 && help["help"].as_str().is_some_and(|text| text.contains("PATCH")), "{help}");
    assert_eq!(nobody.get("sys/mounts?help=1").await.0, 403);

    // Pages of other origins: none, then those that are named; their browsers ask first.
    let from = async |method: &str, origin: &str| {
        let request = http.request(method, "sys/seal-status").header("origin", origin);
        let answer = request.header("access-control-request-method", "PUT").send().await.expect("an answer");
        let told = |name| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        (answer.status().as_u16(), told("access-control-allow-origin"), told("access-control-allow-headers"))
    };
    assert_eq!(from("GET", "https://a.b").await, (200, None, None));
    let cors = r#"{"allowed_origins":["https://a.b"],"allowed_headers":"X-Foo"}"#;
    assert_eq!(http.send("PUT", "sys/config/cors", cors).await.0, 204);
    assert_eq!(from("GET", "https://a.b").await, (200, Some("https://a.b".into()), None));
    assert_eq!(from("GET", "https://evil").await.0, 403);
    let (status, origin, headers) = from("OPTIONS", "https://a.b").await;
    assert!(status == 200 && origin.is_some() && headers.is_some_and(|names| names.ends_with("X-Foo")));
    assert_eq!(http.get("sys/config/cors").await.1["data"]["allowed_origins"], json!(["https://a.b"]));
    assert_eq!(http.send("DELETE", "sys/config/cors", "").await.0, 204);
    assert_eq!(http.get("sys/config/cors").await.1["data"], json!({"enabled": false}));
    assert_eq!(http.send("PUT", "sys/config/ui/headers/x-custom", r#"{"values":["a","b"]}"#).await.0, 204);
    assert_eq!(http.get("sys/config/ui/headers/X-Custom").await.1["data"], json!({"value": "a"}));
    assert_eq!(http.send("PUT", "sys/config/ui/headers/X-Vault-A", r#"{"values":["a"]}"#).await.0, 400);
    assert_eq!(http.send("PUT", "sys/config/auditing/request-headers/X-Vault-Token", "").await.0, 400);
    assert_eq!(http.get("sys/plugins/catalog/secret/kv").await.1["data"]["builtin"], true);

    // What a path does not take, and what is no path, in Vault's words; nothing of it without a token.
    let text = |words: &str| json!({ "errors": [format!("1 error occurred:\n\t* {words}\n\n")] });
    assert_eq!(http.send("DELETE", "auth/token/create", "").await, (405, text("unsupported operation")));
    assert_eq!(nobody.send("DELETE", "auth/token/create", "").await.0, 403);
    assert_eq!(http.get("sys/none").await, (404, text("unsupported path")));
    assert_eq!(
        http.send("PUT", "secret/data/a/", r#"{"data":{}}"#).await,
        error("cannot write to a path ending in '/'")
    );
    let large = format!(r#"{{"data":{{"x":"{}"}}}}"#, "a".repeat(1_100_000));
    let (status, said) = http.send("PUT", "secret/data/large", large).await;
    assert!(
        status == 413
            && said["errors"][0]
                .as_str()
                .is_some_and(|text| text.starts_with("put failed due to value being too large"))
    );

    // A role's tokens come from where it says, whatever they say of themselves.
    for (role, block) in [("here", "127.0.0.0/8"), ("there", "10.0.0.0/8")] {
        let role = format!("auth/token/roles/{role}");
        let bound = json!({"token_bound_cidrs": [block], "allowed_policies": "default"}).to_string();
        assert_eq!(http.send("POST", &role, bound).await.0, 204);
        assert_eq!(http.get(&role).await.1["data"]["token_bound_cidrs"], json!([block]));
    }
    for (role, status) in [("here", 200), ("there", 403)] {
        for kind in ["service", "batch"] {
            let asked = json!({"type": kind}).to_string();
            let (_, made) = http.send("POST", &format!("auth/token/create/{role}"), asked).await;
            let bound = Http::of(&region.nodes[0], made["auth"]["client_token"].as_str().expect("a token"));
            assert_eq!(bound.get("auth/token/lookup-self").await.0, status, "{role} {kind}");
            let claims =
                bound.request("GET", "auth/token/lookup-self").header("x-twinkeep-client-address", "10.0.0.1:1");
            assert_eq!(claims.send().await.expect("an answer").status().as_u16(), status, "{role} {kind}");
        }
    }
    assert_eq!(http.send("POST", "auth/token/roles/x", r#"{"token_bound_cidrs":"bogus"}"#).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_seal_are_status_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    assert_eq!(http.get("sys/health").await.0, 200);
    assert_eq!(http.get("sys/health?activecode=299").await.0, 299);
    let head = http.request("HEAD", "sys/health").send().await.expect("an answer");
    assert_eq!(head.status(), StatusCode::OK);
    let (_, again) = http.send("PUT", "sys/init", r#"{"secret_shares":1,"secret_threshold":1}"#).await;
    assert_eq!(again, json!({"errors": ["Vault is already initialized"]}));

    assert_eq!(http.send("PUT", "sys/seal", "").await.0, 204);
    let (status, body) = http.get("sys/health").await;
    assert_eq!((status, &body["sealed"], body.get("errors")), (503, &json!(true), None));
    assert_eq!((body.get("cluster_name"), body.get("cluster_id"), &body["standby"]), (None, None, &json!(true)));
    assert_eq!(http.get("sys/seal-status").await.1.get("cluster_name"), None, "names are for who has opened it");
    for path in ["sys/leader", "sys/replication/status", "sys/ha-status"] {
        assert_eq!(http.get(path).await, (503, json!({"errors": ["Vault is sealed"]})), "{path}");
    }
    assert_eq!(http.get("sys/health?sealedcode=299").await.0, 299);
    for path in ["secret/data/a", "sys/mounts", "auth/token/lookup-self"] {
        assert_eq!(http.get(path).await.0, 503, "{path}");
    }
    let (status, body) = http.send("PUT", "sys/unseal", r#"{"key":"wrong"}"#).await;
    assert_eq!(status, 400, "{body}");
    let share = json!({ "key": region.share });
    assert_eq!(http.send("PUT", "sys/unseal", share.to_string()).await.1["sealed"], false);
    assert_eq!(http.get("auth/token/lookup-self").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_forward_and_nodes_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut region = Region::start(folder.path(), "us-east-1", 3).await;
    let leader = region.leader().await;
    let follower = (leader + 1) % 3;
    let http = Http::of(&region.nodes[follower], &region.token);
    let written = http.request("POST", "secret/data/a").body(r#"{"data":{"x":"1"}}"#).send().await.expect("an answer");
    assert_eq!(written.status(), StatusCode::OK);
    assert!(written.headers()["x-vault-index"].to_str().is_ok_and(|index| index.starts_with("1:")));
    assert_eq!(http.get("secret/data/a").await.1["data"]["data"]["x"], "1");
    assert_eq!(http.get("sys/health").await.0, 429);
    assert_eq!(http.get("sys/health?standbyok=true").await.0, 200);
    assert_eq!(http.get("secret/data/none").await.0, 404);
    // A request that claims to have been forwarded is not forwarded again.
    let looped = http.request("GET", "secret/data/a").header("x-twinkeep-forwarded-by", "a node");
    assert_eq!(looped.send().await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    // Nor do strangers speak to the nodes.
    assert_eq!(http.send("POST", "sys/storage/raft/rpc/vote", "forged").await.0, 403);
    assert_eq!(http.send("POST", "sys/storage/raft/rpc/status", "").await.0, 403);

    // A sealed leader leaves leadership to an open node.
    let sealed = Http::of(&region.nodes[leader], &region.token);
    assert_eq!(sealed.send("PUT", "sys/seal", "").await.0, 204);
    wait_for("an open node to lead", || async {
        let now = http.get("sys/leader").await.1["leader_address"].as_str()?.to_owned();
        (!now.is_empty() && now != region.nodes[leader].address).then_some(())
    })
    .await;
    assert_eq!(http.get("secret/data/a").await.0, 200);
    // It asks no other node for what it would not tell itself.
    let nobody = Http::of(&region.nodes[leader], "");
    for (method, path) in [
        ("GET", "sys/replication/status"),
        ("GET", "sys/ha-status"),
        ("GET", "sys/storage/raft/configuration"),
        ("GET", "sys/rekey/init"),
        ("PUT", "sys/rekey/init"),
        ("GET", "sys/generate-root/attempt"),
        ("PUT", "sys/wrapping/lookup"),
    ] {
        assert_eq!(nobody.send(method, path, "{}").await, (503, json!({"errors": ["Vault is sealed"]})), "{path}");
    }
    region.unseal(leader).await;

    // Stopped in good order, it hands over and comes back.
    let now = region.leader().await;
    region.nodes[now].signal("TERM");
    assert_eq!(region.nodes[now].wait(), Some(0), "{}", region.nodes[now].log_text());
    let other = Http::of(&region.nodes[(now + 1) % 3], &region.token);
    assert_eq!(other.get("secret/data/a").await.0, 200);
    region.nodes[now].start();
    region.unseal(now).await;

    // Taken out, it is a member no more.
    let now = region.leader().await;
    let gone = region.nodes[(now + 1) % 3].name.clone();
    let leading = Http::of(&region.nodes[now], &region.token);
    assert_eq!(
        leading.send("PUT", "sys/storage/raft/remove-peer", json!({"server_id": gone}).to_string()).await.0,
        204
    );
    let (_, body) = leading.get("sys/storage/raft/configuration").await;
    let servers = body["data"]["config"]["servers"].as_array().expect("servers");
    assert!(servers.len() == 2 && servers.iter().all(|server| server["node_id"] != json!(gone)), "{body}");
}

/// Starts a server that must refuse to start; what it says.
async fn refusal(folder: &Path, text: &str) -> String {
    let config = folder.join("refused.hcl");
    fs::write(&config, text).expect("a file");
    let mut node = Node::new("refused", "", config);
    let _ = fs::remove_file(&node.log);
    node.start();
    wait_for("the server to refuse to start", || std::future::ready((!node.is_running()).then_some(()))).await;
    assert_eq!(node.wait(), Some(1), "{}", node.log_text());
    let text = node.log_text();
    // What a server says of itself as it starts comes before, as events of its log.
    let is_event = |line: &&str| line.contains(" INFO ") || line.contains(" WARN ");
    let said: Vec<&str> = text.trim().lines().filter(|line| !is_event(line)).collect();
    assert_eq!(said.len(), 1, "one line: {text}");
    said[0].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_server_from_starting_is_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut region = Region::start(folder.path(), "us-east-1", 1).await;
    let original = fs::read_to_string(&region.nodes[0].config).expect("the file");
    let other_port = format!("127.0.0.1:{}", free_port());
    let own = region.nodes[0].address.trim_start_matches("http://").to_owned();
    let elsewhere = original.replace(&own, &other_port);

    let error = refusal(folder.path(), &original).await;
    assert!(error.contains(&own) && error.contains("in use"), "{error}");
    let error = refusal(folder.path(), &elsewhere).await;
    assert!(error.contains("in use by another process"), "{error}");
    region.nodes[0].kill();
    let error = refusal(folder.path(), &elsewhere.replace("node_id = \"us-east-1-0\"", "node_id = \"another\"")).await;
    assert!(error.contains("belongs to node `us-east-1-0`") && error.contains("another"), "{error}");
    let error = refusal(folder.path(), &elsewhere.replace("engine = \"fjall\"", "engine = \"sled\"")).await;
    assert!(error.contains("`fjall`") && error.contains("`sled`"), "{error}");
    let error = refusal(folder.path(), &elsewhere.replace("replication \"default\"", "replication \"other\"")).await;
    assert!(error.contains("`default`") && error.contains("`other`"), "{error}");
    let tls = "tls_cert_file = \"/nowhere/cert.pem\"\n  tls_key_file = \"/nowhere/key.pem\"";
    let error = refusal(folder.path(), &elsewhere.replace("tls_disable = 1", tls)).await;
    assert!(error.contains("/nowhere/cert.pem"), "{error}");
}
