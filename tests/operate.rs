//! What operators do to a running region, over HTTP: new shares, root tokens by shares, snapshots, and what nodes tell.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::http::Http;
use support::writer::{Writer, fields};
use support::{Node, Region, connect, promote, wait_for, wait_until_in_step};

/// How long the pause of writes is looked for around a stop.
const PAUSE_WATCHED: Duration = Duration::from_secs(5);

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}` in {value}"))
}

/// Gives shares to `path` until it is done; the last answer.
async fn give(http: &Http, path: &str, nonce: &str, shares: &[String]) -> Value {
    let mut last = Value::Null;
    for share in shares {
        let (status, answer) = http.send("PUT", path, json!({ "key": share, "nonce": nonce }).to_string()).await;
        assert_eq!(status, 200, "{answer}");
        last = answer;
    }
    assert_eq!(last["complete"], true, "{last}");
    last
}

async fn unseal(http: &Http, shares: &[String]) {
    wait_for("a node to unseal", || async {
        for share in shares {
            let (status, answer) = http.send("PUT", "sys/unseal", json!({ "key": share }).to_string()).await;
            if status == 200 && answer["sealed"] == false {
                return Some(());
            }
        }
        None
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_of_shares_make_new_ones_and_a_root_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut region = Region::start(folder.path(), "us-east-1", 3).await;
    let leader = region.leader().await;
    let follower = (leader + 1) % 3;
    // Asked of a follower, without a token.
    let nobody = Http::of(&region.nodes[follower], "");
    let (_, begun) = nobody.send("PUT", "sys/rekey/init", r#"{"secret_shares":3,"secret_threshold":2}"#).await;
    assert_eq!((&begun["started"], &begun["required"], &begun["n"]), (&json!(true), &json!(1), &json!(3)), "{begun}");
    // Nobody known ends what others do, except by its name; who may by his token does.
    let nonce = text(&begun, "nonce");
    for unnamed in ["{}", r#"{"nonce":"another"}"#] {
        assert_eq!(nobody.send("DELETE", "sys/rekey/init", unnamed).await.0, 400);
    }
    assert_eq!(Http::of(&region.nodes[follower], "s.none").send("DELETE", "sys/rekey/init", "").await.0, 400);
    assert_eq!(nobody.send("DELETE", "sys/rekey/init", json!({ "nonce": nonce }).to_string()).await.0, 204);
    let root = Http::of(&region.nodes[follower], &region.token);
    assert_eq!(nobody.send("PUT", "sys/rekey/init", r#"{"secret_shares":1,"secret_threshold":1}"#).await.0, 200);
    assert_eq!(nobody.get("sys/rekey/init").await.1["nonce"], "", "whoever began tells it");
    assert!(!text(&root.get("sys/rekey/init").await.1, "nonce").is_empty());
    assert_eq!(root.send("DELETE", "sys/rekey/init", "").await.0, 204);
    let (_, begun) = nobody.send("PUT", "sys/rekey/init", r#"{"secret_shares":3,"secret_threshold":2}"#).await;
    let wrong = json!({ "key": region.share, "nonce": "another" }).to_string();
    assert_eq!(nobody.send("PUT", "sys/rekey/update", wrong).await.0, 400);
    let done = give(&nobody, "sys/rekey/update", text(&begun, "nonce"), std::slice::from_ref(&region.share)).await;
    let shares: Vec<String> = serde_json::from_value(done["keys_base64"].clone()).expect("shares");
    assert_eq!(shares.len(), 3);

    let (_, begun) = nobody.send("PUT", "sys/generate-root/attempt", "").await;
    let otp = text(&begun, "otp").to_owned();
    let (_, seen) = nobody.get("sys/generate-root/attempt").await;
    assert_eq!((&seen["otp"], &seen["nonce"], &seen["started"]), (&json!(""), &json!(""), &json!(true)), "told once");
    assert_eq!(nobody.send("DELETE", "sys/generate-root/attempt", "").await.0, 400);
    let made = give(&nobody, "sys/generate-root/update", text(&begun, "nonce"), &shares[1..]).await;
    let encoded = STANDARD_NO_PAD.decode(text(&made, "encoded_root_token")).expect("base64");
    let token: Vec<u8> = encoded.iter().zip(otp.bytes()).map(|(one, other)| one ^ other).collect();
    let token = String::from_utf8(token).expect("a token");
    let (_, own) = Http::of(&region.nodes[leader], &token).get("auth/token/lookup-self").await;
    assert_eq!(own["data"]["policies"], json!(["root"]));

    // A restarted node opens with the new shares only.
    region.nodes[follower].kill();
    region.nodes[follower].start();
    let restarted = Http::of(&region.nodes[follower], "");
    wait_for("the node to listen", || async { region.nodes[follower].client("").seal_status().await.ok() }).await;
    assert_eq!(restarted.send("PUT", "sys/unseal", json!({ "key": region.share }).to_string()).await.0, 400);
    unseal(&restarted, &shares).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_restored_where_it_was_made_and_in_another_region() {
    let folder = tempfile::tempdir().expect("a folder");
    let (region, other) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 3), Region::start(folder.path(), "us-east-2", 1));
    let follower = (region.leader().await + 1) % 3;
    let http = Http::of(&region.nodes[follower], &region.token);
    let secret = |value: &str| json!({ "data": { "x": value } }).to_string();
    assert_eq!(http.send("PUT", "secret/data/a", secret("saved")).await.0, 200);
    let saved = http.request("GET", "sys/storage/raft/snapshot").send().await.expect("an answer");
    let saved = saved.bytes().await.expect("a whole file");
    assert_eq!(http.send("PUT", "secret/data/a", secret("later")).await.0, 200);

    let stranger = Http::of(&region.nodes[follower], "s.none");
    assert_eq!(stranger.send("POST", "sys/storage/raft/snapshot", saved.clone()).await.0, 403);
    assert_eq!(http.send("POST", "sys/storage/raft/snapshot", saved.slice(..saved.len() / 2)).await.0, 400);
    assert_eq!(http.get("secret/data/a").await.1["data"]["data"]["x"], "later");
    assert_eq!(http.send("POST", "sys/storage/raft/snapshot", saved.clone()).await.0, 204);
    assert_eq!(http.get("secret/data/a").await.1["data"]["data"]["x"], "saved");
    assert_eq!(http.send("PUT", "secret/data/a", secret("goes on")).await.0, 200);

    // A follower may not know yet who may restore, or who no longer may: the leader's answer is the one.
    let at_leader = Http::of(&region.nodes[(follower + 2) % 3], &region.token);
    for _ in 0..5 {
        let made = at_leader.send("POST", "auth/token/create", json!({ "policies": ["root"] }).to_string()).await.1;
        let fresh = Http::of(&region.nodes[follower], text(&made["auth"], "client_token"));
        let restored = wait_for("an answer of a leader", || async {
            let answered = fresh.send("POST", "sys/storage/raft/snapshot", saved.clone()).await;
            (answered.0 != 503).then_some(answered)
        })
        .await;
        assert_eq!(restored.0, 204, "{}", restored.1);
    }

    // Another region takes its keys over: by force only.
    let elsewhere = Http::of(&other.nodes[0], &other.token);
    let (status, refused) = elsewhere.send("POST", "sys/storage/raft/snapshot", saved.clone()).await;
    assert_eq!(status, 400);
    assert!(refused["errors"][0].as_str().is_some_and(|text| text.contains("snapshot-force")), "{refused}");
    assert_eq!(elsewhere.send("POST", "sys/storage/raft/snapshot-force", saved).await.0, 204);
    assert_eq!(elsewhere.get("secret/data/a").await.0, 503, "it is sealed");
    let elsewhere = Http::of(&other.nodes[0], &region.token);
    unseal(&elsewhere, std::slice::from_ref(&region.share)).await;
    wait_for("the other region to serve", || async {
        let (status, found) = elsewhere.get("secret/data/a").await;
        (status == 200 && found["data"]["data"]["x"] == "saved").then_some(())
    })
    .await;
    assert_eq!(elsewhere.send("PUT", "secret/data/a", secret("here")).await.0, 200);
}

/// What all of many secrets hold; `None` while they are not served, or hold different things.
async fn value_of_all(http: &Http, secrets: usize) -> Option<String> {
    let read = |number: usize| async move {
        let (status, found) = http.get(&format!("secret/data/{number}")).await;
        (status == 200).then(|| found["data"]["data"]["x"].as_str().map(|value| value[..5].to_owned())).flatten()
    };
    let values = join_all((0..secrets).map(read)).await.into_iter().collect::<Option<Vec<_>>>()?;
    values.iter().all(|value| *value == values[0]).then(|| values[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_survives_its_leader_and_a_standby_follows_it() {
    const SECRETS: usize = 200;
    let folder = tempfile::tempdir().expect("a folder");
    let (mut region, standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 3), Region::start(folder.path(), "eu-west-1", 1));
    connect(&region, &standby).await;
    let leader = region.leader().await;
    let http = Http::of(&region.nodes[leader], &region.token);
    let write_all = async |value: &str| {
        let body = json!({ "data": { "x": value.repeat(2_000) } }).to_string();
        let write = |number: usize| {
            let (http, body) = (&http, body.clone());
            async move {
                wait_for("a write", || async {
                    let (status, _) = http.send("PUT", &format!("secret/data/{number}"), body.clone()).await;
                    (status == 200).then_some(())
                })
                .await
            }
        };
        join_all((0..SECRETS).map(write)).await;
    };
    write_all("saved").await;
    let saved = http.request("GET", "sys/storage/raft/snapshot").send().await.expect("an answer");
    let saved = saved.bytes().await.expect("a whole file");
    write_all("later").await;

    // Its leader goes while the restore is under way, wherever it is.
    let begun = http.request("POST", "sys/storage/raft/snapshot").body(saved.clone());
    let restoring = tokio::spawn(async move { begun.send().await.map(|answer| answer.status().as_u16()) });
    // On a busy machine another one than before may lead by now.
    let restores = |node: &Node| node.log_text().contains("restoring a snapshot");
    let leader = wait_for("the restore to begin", || async { region.nodes.iter().position(restores) }).await;
    region.nodes[leader].kill();
    let other = Http::of(&region.nodes[(leader + 1) % 3], &region.token);
    let _broken = restoring.await.expect("a task that ends");
    let found = wait_for("all secrets, as they were or as they were saved", || value_of_all(&other, SECRETS)).await;
    assert!(["saved", "later"].contains(&found.as_str()), "{found}");

    // The dead node is not missed, and the standby ends where its primary is.
    let again = wait_for("a leader that restores", || async {
        let answered = other.send("POST", "sys/storage/raft/snapshot", saved.clone()).await;
        (answered.0 < 500).then_some(answered)
    })
    .await;
    assert_eq!(again.0, 204, "{}", again.1);
    assert_eq!(wait_for("all secrets", || value_of_all(&other, SECRETS)).await, "saved");
    wait_until_in_step(&region, &standby).await;
    promote(&standby.client_as(&region.token).await).await;
    let there = Http::of(&standby.nodes[0], &region.token);
    assert_eq!(wait_for("all secrets there", || value_of_all(&there, SECRETS)).await, "saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_of_itself_and_of_leases() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let metrics = http.request("GET", "sys/metrics?format=prometheus").send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for line in ["vault_core_unsealed 1", "vault_core_active 1", "twinkeep_writable 1", "twinkeep_applied_index "] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert_eq!(Http::of(&region.nodes[0], "").get("sys/metrics?format=prometheus").await.0, 403);
    assert!(http.get("sys/metrics").await.1["Gauges"].is_array());
    assert!(http.get("sys/host-info").await.1["data"]["memory"].is_object());
    let (_, config) = http.get("sys/config/state/sanitized").await;
    assert_eq!(config["data"]["cluster_name"], "us-east-1");
    assert_eq!(http.get("sys/in-flight-req").await.0, 200);

    let settings = r#"{"last_contact_threshold":"20s","cleanup_dead_servers":false}"#;
    assert_eq!(http.send("POST", "sys/storage/raft/autopilot/configuration", settings).await.0, 204);
    let (_, shown) = http.get("sys/storage/raft/autopilot/configuration").await;
    assert_eq!((&shown["data"]["last_contact_threshold"], &shown["data"]["min_quorum"]), (&json!("20s"), &json!(0)));
    let dangerous = r#"{"cleanup_dead_servers":true}"#;
    assert_eq!(http.send("POST", "sys/storage/raft/autopilot/configuration", dangerous).await.0, 400);

    let (_, made) = http.send("POST", "auth/token/create", r#"{"policies":["default"],"ttl":"1h"}"#).await;
    let token = text(&made["auth"], "client_token").to_owned();
    let (_, leases) = http.send("LIST", "sys/leases/lookup/auth/token/create", "").await;
    let id = format!("auth/token/create/{}", leases["data"]["keys"][0].as_str().expect("a lease"));
    let (_, lease) = http.send("PUT", "sys/leases/lookup", json!({ "lease_id": id }).to_string()).await;
    assert!(lease["data"]["ttl"].as_u64().is_some_and(|ttl| ttl > 3000), "{lease}");
    assert_eq!(http.send("PUT", "sys/leases/renew", json!({ "lease_id": id }).to_string()).await.0, 400);
    assert_eq!(http.send("PUT", &format!("sys/leases/revoke/{id}"), "").await.0, 204);
    assert_eq!(Http::of(&region.nodes[0], &token).get("auth/token/lookup-self").await.0, 403);
    assert_eq!(http.send("PUT", "sys/leases/lookup", json!({ "lease_id": id }).to_string()).await.0, 400);
    assert_eq!(http.send("PUT", "sys/leases/revoke-prefix/auth/token", "").await.0, 204);

    // The cubbyhole of one token is small.
    let most = json!({ "x": "y".repeat(1_000_000) }).to_string();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(http.send("PUT", &format!("cubbyhole/{name}"), most.clone()).await.0, 204);
    }
    assert_eq!(http.send("PUT", "cubbyhole/e", most.clone()).await.0, 400);
    assert_eq!(http.send("PUT", "cubbyhole/a", most).await.0, 204, "instead of what was there");
}

/// Its vote counted for entries that it lost: it is heard again only once it holds them.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_joins_anew_under_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut region = Region::start(folder.path(), "us-east-1", 3).await;
    let leader = region.leader().await;
    // Not the one that the others join by.
    let lost = if leader == 2 { 1 } else { 2 };
    for number in 0..20 {
        region.client().await.kv_put("secret", &format!("a/{number}"), fields("1"), None).await.expect("a write");
    }
    region.nodes[lost].kill();
    std::fs::remove_dir_all(region.nodes[lost].config.with_extension("")).expect("its data directory");
    region.nodes[lost].start();
    region.unseal(lost).await;
    wait_for("the leader to take it in anew", || async {
        region.nodes.iter().any(|node| node.log_text().contains("it was removed, and is added anew")).then_some(())
    })
    .await;
    region.wait_for_voters(3).await;
    // It is shown with its vote from when that is proposed. Until it is confirmed, that takes the majority of before. (Where
    // that takes long it says that it is not added yet, and the writes below come behind it.)
    let name = &region.nodes[lost].name;
    let ended = [format!("a node joined node=\"{name}\""), "admitted but not added yet".to_owned()];
    wait_for("its vote to be confirmed", || async {
        let log_anew =
            |node: &Node| Some(node.log_text().split_once("it was removed, and is added anew")?.1.to_owned());
        let logs: Vec<String> = region.nodes.iter().filter_map(log_anew).collect();
        logs.iter().any(|log| ended.iter().any(|end| log.contains(end))).then_some(())
    })
    .await;
    for number in 0..5 {
        let client = region.client().await;
        let name = format!("between/{number}");
        wait_for("a write", || async { client.kv_put("secret", &name, fields("1"), None).await.ok() }).await;
    }
    // With the node that was never lost gone, both others are needed for anything to be agreed on.
    let leader = region.leader().await;
    let third = (0..3).find(|number| ![lost, leader].contains(number)).unwrap_or(leader);
    region.nodes[third].kill();
    let client = region.client().await;
    wait_for("a write by the two", || async { client.kv_put("secret", "after", fields("2"), None).await.ok() }).await;
    wait_for("an old secret", || async { client.kv_get("secret", "a/19", None).await.ok()? }).await;
}

/// How long writes were not acknowledged around the stop is said in the test's output, and not asserted.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_hands_leadership_over_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut region = Region::start(folder.path(), "us-east-1", 3).await;
    let writer = Writer::start(&region);
    wait_for("writes", || async { (writer.acknowledged() > 50).then_some(()) }).await;

    let leader = region.leader().await;
    let others: Vec<_> = (0..3).filter(|number| *number != leader).collect();
    let client = region.nodes[others[0]].client(&region.token);
    let pauses = tokio::spawn(async move {
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        let began = last;
        while began.elapsed() < PAUSE_WATCHED {
            if client.kv_put("secret", "pause", fields("x"), None).await.is_ok() {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        }
        longest
    });
    let stopped = stop_the_leader(&mut region).await;
    wait_for("another leader", || async {
        let asked = (stopped + 1) % 3;
        let said = region.nodes[asked].client("").leader().await.ok()?;
        (!said.leader_address.is_empty() && said.leader_address != region.nodes[stopped].address).then_some(())
    })
    .await;
    let before = writer.acknowledged();
    wait_for("writes to go on", || async { (writer.acknowledged() > before + 50).then_some(()) }).await;
    println!("the longest time without an acknowledged write: {} ms", pauses.await.expect("no panic").as_millis());
    let written = writer.stop().await;
    written.expect_all(&region.nodes[(stopped + 1) % 3].client(&region.token)).await;
}

/// Stops a node that leads when it is told to, and says which. On a busy machine the one that led a moment ago may not
/// any more, and has nothing to hand over then: it is started again, and the one that leads now is told.
async fn stop_the_leader(region: &mut Region) -> usize {
    for _ in 0..5 {
        let leader = region.leader().await;
        let before = region.nodes[leader].log_text().len();
        region.nodes[leader].signal("TERM");
        assert_eq!(region.nodes[leader].wait(), Some(0), "{}", region.nodes[leader].log_text());
        let log = region.nodes[leader].log_text().split_off(before);
        let place = |what: &str| log.find(what);
        if let Some(handed_over) = place("leadership handed over") {
            assert!(place("stopping") < Some(handed_over) && Some(handed_over) < place("stopped"), "{log}");
            return leader;
        }
        println!("node {leader} handed nothing over:\n{log}");
        region.nodes[leader].start();
        region.unseal(leader).await;
        region.wait_for_voters(3).await;
    }
    panic!("five leaders in turn handed nothing over");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_often_an_address_asks_is_limited_as_operators_set_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let http = Http::of(&region.nodes[0], &region.token);
    let error = |text: &str| (400, json!({ "errors": [text] }));
    let put = async |name: &str, body: Value| {
        http.send("POST", &format!("sys/quotas/rate-limit/{name}"), body.to_string()).await
    };
    assert_eq!(http.send("LIST", "sys/quotas/rate-limit", "").await.0, 404);
    assert_eq!(put("a", json!({"path": "none", "rate": 1})).await, error("invalid mount path \"none/\""));
    for rate in [json!({}), json!({"rate": 0}), json!({"rate": "-1"})] {
        assert_eq!(put("a", rate).await, error("'rate' is invalid"));
    }
    let small = json!({"path": "cubbyhole", "rate": 1.5, "interval": "2m", "block_interval": "90s"});
    assert_eq!(put("small", small.clone()).await.0, 204);
    let told = json!({"name": "small", "type": "rate-limit", "path": "cubbyhole/", "rate": 1.5, "interval": 120,
        "block_interval": 90, "role": ""});
    assert_eq!(http.get("sys/quotas/rate-limit/small").await.1["data"], told);
    let twice = "quota rule with similar properties exists under the name \"small\"";
    assert_eq!(put("other", small).await, error(twice));
    assert_eq!(put("all", json!({"rate": 100_000})).await.0, 204);
    assert_eq!(http.send("LIST", "sys/quotas/rate-limit", "").await.1["data"]["keys"], json!(["all", "small"]));
    assert_eq!(
        http.send("LIST", "sys/quotas/rate-limit?after=all&limit=1", "").await.1["data"]["keys"],
        json!(["small"])
    );

    let config = json!({"enable_rate_limit_response_headers": true, "rate_limit_exempt_paths": ["cubbyhole/free"]});
    assert_eq!(http.send("POST", "sys/quotas/config", config.to_string()).await.0, 204);
    assert_eq!(http.get("sys/quotas/config").await.1["data"]["enable_rate_limit_audit_logging"], false);
    let ask = async |path: &str| http.request("GET", path).send().await.expect("an answer");
    for left in ["1", "0"] {
        let answer = ask("cubbyhole/a").await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["x-ratelimit-limit"]), (404, &"2".parse().expect("2")));
        assert_eq!(answer.headers()["x-ratelimit-remaining"], left);
    }
    let refused = ask("cubbyhole/a").await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"90".parse().expect("90")));
    let body: Value = refused.json().await.expect("JSON");
    assert_eq!(body, json!({"errors": ["request path \"cubbyhole/a\": rate limit quota exceeded"]}));
    // Other paths, and those that nothing counts, are answered.
    for _ in 0..5 {
        assert_eq!(ask("cubbyhole/free/x").await.status().as_u16(), 404);
        assert_eq!(ask("secret/data/x").await.headers()["x-ratelimit-limit"], "100000");
    }
    // What is not there is named as not there.
    assert_eq!(http.send("POST", "sys/quotas/lease-count/x", r#"{"max_leases":1}"#).await.0, 404);
    assert_eq!(http.send("DELETE", "sys/quotas/rate-limit/small", "").await.0, 204);
    assert_eq!(http.send("DELETE", "sys/quotas/rate-limit/small", "").await.0, 204);
    assert_eq!(ask("cubbyhole/a").await.status().as_u16(), 404);

    // The key that encrypts, by itself.
    let usual = json!({"enabled": true, "interval": 0, "max_operations": 3_865_470_566_u64});
    assert_eq!(http.get("sys/rotate/config").await.1["data"], usual);
    let set = async |body: Value| http.send("POST", "sys/rotate/config", body.to_string()).await;
    assert_eq!(set(json!({"interval": "1h"})).await, error("interval must be greater or equal to 24h0m0s"));
    let range = "max_operations must be in the range [1000000,3865470566]";
    assert_eq!(set(json!({"max_operations": 5})).await, error(range));
    assert_eq!(set(json!({"interval": "48h", "max_operations": 1_000_000})).await.0, 204);
    let (_, told) = http.get("sys/rotate/keyring/config").await;
    assert_eq!(told["data"], json!({"enabled": true, "interval": "48h0m0s", "max_operations": 1_000_000}));

    // The routes, as programs read them; the log, as people do.
    let (status, document) = http.get("sys/internal/specs/openapi").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.0.2")));
    assert!(document["paths"]["/secret/data/{path}"]["get"].is_object());
    assert_eq!(http.get("sys/monitor?log_level=loud").await, error("unknown log level"));
    let mut lines = http.request("GET", "sys/monitor?log_level=debug").send().await.expect("an answer");
    let canary = Http::of(&region.nodes[0], "s.canary");
    assert_eq!(canary.send("PUT", "secret/data/canary", r#"{"data":{"canary":"canary"}}"#).await.0, 403);
    assert_eq!(http.send("PUT", "secret/data/canary", r#"{"data":{"canary":"canary"}}"#).await.0, 200);
    let mut seen = String::new();
    while !(seen.contains("status=403") && seen.contains("status=200")) {
        let chunk = tokio::time::timeout(Duration::from_secs(60), lines.chunk()).await.expect("a line in time");
        seen.push_str(&String::from_utf8_lossy(&chunk.expect("a stream").expect("it goes on")));
    }
    assert!(seen.contains("[DEBUG]") && !seen.contains("canary") && !seen.contains(&region.token), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gives_its_vote_up_and_gets_it_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 3).await;
    let leader = region.leader().await;
    let http = Http::of(&region.nodes[(leader + 1) % 3], &region.token);
    let name = region.nodes[leader].name.clone();
    let set = async |what: &str, name: &str| {
        let body = json!({ "server_id": name }).to_string();
        wait_for("a leader that changes its members", || async {
            let answered = http.send("POST", &format!("sys/storage/raft/{what}"), body.clone()).await;
            (answered.0 < 500).then_some(answered)
        })
        .await
    };
    let votes = async || {
        let (_, told) = http.get("sys/storage/raft/configuration").await;
        let servers = told["data"]["config"]["servers"].as_array().cloned().unwrap_or_default();
        servers.iter().find(|server| server["node_id"] == name.as_str()).map(|server| server["voter"] == true)
    };
    let missing = "1 error occurred:\n\t* server none not found in raft configuration\n\n";
    assert_eq!(set("demote", "none").await, (400, json!({ "errors": [missing] })));
    assert_eq!(set("promote", "").await, (400, json!({ "errors": ["no server id provided"] })));
    let voter = "1 error occurred:\n\t* server is not a non-voter\n\n";
    assert_eq!(set("promote", &name).await, (400, json!({ "errors": [voter] })));
    // The leader itself: another leads from then on.
    assert_eq!(set("demote", &name).await.0, 204);
    wait_for("it to have no vote", || async { (votes().await == Some(false)).then_some(()) }).await;
    assert_ne!(region.leader().await, leader);
    assert_eq!(set("demote", &name).await.0, 204, "it has none to lose");
    let own = Http::of(&region.nodes[leader], &region.token);
    wait_for("the node without a vote to answer", || async {
        (own.send("PUT", "secret/data/a", r#"{"data":{"x":1}}"#).await.0 == 200).then_some(())
    })
    .await;
    // Repeated after an answer that was lost, it is a voter already.
    assert!([204, 400].contains(&set("promote", &name).await.0));
    region.wait_for_voters(3).await;
}
