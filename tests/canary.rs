//! A canary in everything that is secret, and then all that the program emits: log, audit log, metrics, what nodes tell of
//! themselves, errors, the command line's and the console's output, the process's arguments. Nobody may hear it sing.

mod support;

use serde_json::json;
use std::process::{Command, Output, Stdio};
use support::http::Http;
use support::{BINARY, Node, PATH, Region, Shape, wait_for};
use twinkeep::api::replication::TokenRequest;

const CANARY: &str = "CanaryThatMustNotSing";

/// What was emitted, by whom, and what must not be in it.
#[derive(Default)]
struct Ears {
    secrets: Vec<String>,
    heard: Vec<(String, String)>,
}

impl Ears {
    fn hear(&mut self, who: impl Into<String>, what: impl Into<String>) {
        self.heard.push((who.into(), what.into()));
    }

    fn expect_silence(&self) {
        for (who, what) in &self.heard {
            assert!(!what.trim().is_empty(), "{who} said nothing at all");
            for secret in &self.secrets {
                assert!(!what.contains(secret.as_str()), "{who} sings:\n{what}");
            }
        }
    }
}

fn cli(node: &Node, token: &str, words: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(words).env("VAULT_ADDR", &node.address).env("VAULT_TOKEN", token).env("HOME", "/nonexistent");
    command.env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command.output().expect("the built binary starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_emitted_tells_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let region =
        Region::start_as(folder.path(), "us-east-1", Shape { more: "log_level = \"trace\"", ..Shape::default() }).await;
    let node = &region.nodes[0];
    let http = Http::of(node, &region.token);
    let mut ears = Ears { secrets: vec![CANARY.into(), region.token.clone(), region.share.clone()], heard: Vec::new() };

    // In an audit log values are keyed hashes. Mounts first, so that it hears all of it.
    let audit = folder.path().join("audit.log");
    let device = json!({"type": "file", "options": {"file_path": audit}}).to_string();
    assert_eq!(http.send("PUT", "sys/audit/file", device).await.0, 204);
    let v1 = json!({"type": "kv", "options": {"version": "1"}}).to_string();
    assert_eq!(http.send("PUT", "sys/mounts/v1", v1).await.0, 204);

    let value = json!({"data": {"password": CANARY, "list": [CANARY, {"deep": CANARY}]}}).to_string();
    let plain = json!({"password": CANARY}).to_string();
    for (method, path, body) in [
        ("PUT", "secret/data/app", value.as_str()),
        ("GET", "secret/data/app", ""),
        ("GET", "secret/subkeys/app", ""),
        ("PUT", "v1/app", plain.as_str()),
        ("GET", "v1/app", ""),
        ("PUT", "cubbyhole/own", plain.as_str()),
        ("GET", "cubbyhole/own", ""),
    ] {
        let (status, answer) = http.send(method, path, body.to_owned()).await;
        assert!(matches!(status, 200 | 204), "{method} {path}: {answer}");
    }

    // Tokens of each kind.
    let policies = json!(["default"]);
    for body in [
        json!({"policies": policies, "ttl": "1h"}),
        json!({"policies": policies, "type": "batch", "ttl": "1h"}),
        json!({"policies": policies, "num_uses": 3}),
    ] {
        let (_, made) = http.send("POST", "auth/token/create", body.to_string()).await;
        let token = made["auth"]["client_token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let own = Http::of(node, &token);
        assert_eq!(own.get("auth/token/lookup-self").await.0, 200);
        ears.secrets.push(token);
    }
    let wrapped = http.request("POST", "sys/wrapping/wrap").header("X-Vault-Wrap-TTL", "60").body(plain.clone());
    let wrapped: serde_json::Value = wrapped.send().await.expect("an answer").json().await.expect("JSON");
    let wrapping = wrapped["wrap_info"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(http.send("PUT", "sys/wrapping/unwrap", json!({"token": wrapping}).to_string()).await.0, 200);
    ears.secrets.push(wrapping);
    let activation = TokenRequest { force: true, ..TokenRequest::default() };
    let activation = node.client(&region.token).generate_token(PATH, &activation).await.expect("a token");
    ears.secrets.push(activation.token);

    // What is wrong is told without what it was.
    let stranger = Http::of(node, CANARY);
    for (who, method, path, body) in [
        (&stranger, "GET", "secret/data/app", String::new()),
        (&stranger, "PUT", "secret/data/app", value.clone()),
        (&http, "PUT", "secret/data/app", format!("{{\"data\": {{\"x\": \"{CANARY}")),
        (&http, "PUT", "secret/data/app", format!("{{\"data\": \"{CANARY}\"}}")),
        (&http, "PUT", "secret/data/app", json!({"data": {"x": CANARY}, "options": {"cas": 7}}).to_string()),
        (&http, "PUT", "secret/data/app", json!({"data": {"x": CANARY}, "options": {"cas": "x"}}).to_string()),
        (&http, "PATCH", "secret/data/app", value.clone()),
        (&http, "PUT", "v1/app", format!("[\"{CANARY}\"]")),
        (&http, "PUT", "sys/unseal", json!({"key": CANARY}).to_string()),
        (&http, "PUT", "sys/rekey/update", json!({"key": CANARY, "nonce": "x"}).to_string()),
        (&http, "PUT", "sys/wrapping/unwrap", json!({"token": CANARY}).to_string()),
        (&http, "POST", "auth/token/lookup", json!({"token": CANARY}).to_string()),
        (&http, "POST", "auth/token/revoke", json!({"token": CANARY}).to_string()),
        (&http, "POST", &format!("sys/replication/path/{PATH}/links"), json!({"token": CANARY}).to_string()),
    ] {
        let (status, answer) = who.send(method, path, body).await;
        ears.hear(format!("{method} {path}, answered with {status},"), answer.to_string());
    }
    assert!(ears.heard.len() > 10);

    for path in [
        "sys/metrics?format=prometheus",
        "sys/metrics",
        "sys/in-flight-req",
        "sys/config/state/sanitized",
        "sys/host-info",
        "sys/internal/ui/mounts",
        "sys/audit",
        "sys/health",
    ] {
        let answer = http.request("GET", path).send().await.expect("an answer");
        ears.hear(path, answer.text().await.expect("text"));
    }

    for words in [
        &["attach", "--json"][..],
        &["attach", "--once"],
        &["status", "-format=json"],
        &["replication", "status", "-format=json"],
        &["replication", "tokens", "-format=json"],
        &["operator", "raft", "list-peers", "-format=json"],
        &["token", "lookup", "-format=json"],
        &["kv", "put", "secret/app", &format!("password={CANARY}")],
        &["kv", "put", "-cas=99", "secret/app", &format!("password={CANARY}")],
        &["kv", "put", "nowhere/app", &format!("password={CANARY}")],
        &["kv", "get", "-field=none", "secret/app"],
        &["kv", "patch", "secret/none", &format!("password={CANARY}")],
        &["operator", "unseal", CANARY],
        &["login", "-no-store", CANARY],
    ] {
        // A token that is asked about itself is shown to who has it.
        let asked = words[0] == "token";
        let done = cli(node, &region.token, words);
        let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        ears.hear(words[..2].join(" "), if asked { said.replace(&region.token, "") } else { said });
    }

    let arguments = std::fs::read(format!("/proc/{}/cmdline", node.id())).expect("Linux");
    ears.hear("the command line", String::from_utf8_lossy(&arguments));
    let metadata = std::fs::read_to_string(&audit).expect("an audit log");
    assert!(metadata.lines().count() > 30 && metadata.contains("hmac-sha256:"), "{metadata}");
    ears.hear("the audit log", metadata);
    wait_for("a log that says everything", || async {
        {
            let log = node.log_text();
            (log.contains("DEBUG") || log.contains("TRACE")).then_some(())
        }
    })
    .await;
    ears.hear("the server's log", node.log_text());
    ears.expect_silence();
}
