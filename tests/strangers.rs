//! What strangers find: TLS 1.3, nodes that talk to nodes only, budgets for failing, and nothing but its state on a node
//! that is sealed or not initialised.

mod support;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use support::authority::Authority;
use support::{Node, PATH, Region, Shape, free_port, init, wait_for};
use twinkeep::api::seal::UnsealRequest;
use twinkeep::server::routes::{ROUTES, Who};

fn client(tls: rustls::ClientConfig) -> Client {
    Client::builder().use_preconfigured_tls(tls).no_proxy().build().expect("a client")
}

/// That believes the authority, and speaks these versions.
fn trusting(authority: &Authority, versions: &[&'static rustls::SupportedProtocolVersion]) -> Client {
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(&authority.file).expect("the authority");
    for certificate in rustls_pemfile::certs(&mut pem.as_slice()) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    client(builder.expect("versions of ring").with_root_certificates(roots).with_no_client_auth())
}

fn plain() -> Client {
    client(twinkeep::tls::unverified_client_config().expect("a client's TLS"))
}

async fn ask(client: &Client, node: &Node, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let request = client.request(method, format!("{}/v1/{path}", node.address)).header("X-Vault-Token", token);
    let response = request.body(body.to_owned()).send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a whole body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_under_load_and_older_tls_stays_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path());
    let shape = Shape { nodes: 3, scheme: "https", authority: Some(&authority), ..Shape::default() };
    let region = Region::start_as(folder.path(), "us-east-1", shape).await;
    let old = trusting(&authority, &[&rustls::version::TLS12]);
    let url = format!("{}/v1/sys/health", region.nodes[0].address);
    assert!(old.get(&url).send().await.is_err(), "TLS 1.2 is spoken only where the file says so");
    let http = trusting(&authority, &[&rustls::version::TLS13]);
    let write = |node: usize, n: u32| {
        let (http, region) = (&http, &region);
        async move {
            let body = json!({"data": {"n": n}}).to_string();
            // A leader may be elected anew meanwhile, as on any busy machine.
            wait_for("an answer of a region that has a leader", || async {
                let answer = ask(http, &region.nodes[node], "PUT", "secret/data/renewed", &region.token, &body).await;
                (answer.0 < 500).then_some(answer)
            })
            .await
        }
    };
    for node in 0..3 {
        assert_eq!(write(node, 0).await.0, 200, "node {node}");
    }
    // A message of no node: no certificate, no proof.
    let (status, _) = ask(&http, &region.nodes[0], "POST", "sys/storage/raft/rpc/status", "", "").await;
    assert_eq!(status, 403);

    // New certificates for all, one after the other. The connections that are open go on; the nodes find each other.
    let before = fingerprint(&region, 0).await;
    for (n, node) in region.nodes.iter().enumerate() {
        authority.issue(folder.path().join("us-east-1").as_path(), &node.name);
        node.signal("HUP");
        wait_for("the configuration to be reloaded", || async {
            node.log_text().contains("configuration reloaded").then_some(())
        })
        .await;
        for through in 0..3 {
            assert_eq!(write(through, n as u32).await.0, 200, "through {through} after {n} was renewed");
        }
    }
    assert_ne!(fingerprint(&region, 0).await, before, "new connections see the new certificate");
    region.wait_for_voters(3).await;
    let all_heard = || async {
        let status = region.status().await?;
        status.nodes.iter().all(|node| node.sealed == Some(false)).then_some(())
    };
    wait_for("all nodes to be heard with their new certificates", all_heard).await;
}

/// Of the certificate that a node shows on a new connection.
async fn fingerprint(region: &Region, node: usize) -> Vec<u8> {
    let tls = twinkeep::tls::unverified_client_config().expect("a client's TLS");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let stream = tokio::net::TcpStream::connect(region.nodes[node].socket()).await.expect("a connection");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let stream = connector.connect(name, stream).await.expect("TLS");
    let shown = stream.get_ref().1.peer_certificates().expect("certificates");
    shown[0].as_ref().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_too_often_is_told_to_wait_and_good_tokens_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 1).await;
    let (http, node) = (plain(), &region.nodes[0]);
    let mut refused = 0;
    let told = loop {
        let (status, text) = ask(&http, node, "GET", "secret/data/x", "s.guess", "").await;
        match status {
            403 => refused += 1,
            429 => break text,
            other => panic!("{other}: {text}"),
        }
        assert!(refused < 50_000, "nobody is told to wait");
    };
    assert!(refused >= 100 && told.contains("wait"), "{refused}: {told}");
    assert_eq!(ask(&http, node, "GET", "auth/token/lookup-self", &region.token, "").await.0, 200);

    // Shares that are none.
    assert_eq!(ask(&http, node, "PUT", "sys/seal", &region.token, "").await.0, 204);
    let share = json!({"key": "00".repeat(33)}).to_string();
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        statuses.push(ask(&http, node, "PUT", "sys/unseal", "", &share).await.0);
        assert!(statuses.len() < 200, "{statuses:?}");
    }
    assert!(statuses.len() >= 20 && statuses[..20].iter().all(|status| *status == 400), "{statuses:?}");
    // It passes: nothing is locked for good.
    let client = node.client("");
    wait_for("the budget to come back", || async {
        let request = UnsealRequest { key: Some(region.share.clone()), ..UnsealRequest::default() };
        client.unseal(&request).await.ok().filter(|status| !status.sealed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_may_not_do_takes_nothing_and_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::start(folder.path(), "us-east-1", 3).await;
    let http = plain();
    let follower = &region.nodes[(region.leader().await + 1) % 3];
    let root = |method: &'static str, path: &'static str, body: Value| {
        let (http, region) = (&http, &region);
        async move { ask(http, follower, method, path, &region.token, &body.to_string()).await }
    };
    let policy = r#"path "sys/plugins/*" { capabilities = ["read", "list"] }
        path "secret/data/own/*" { capabilities = ["create", "update"] }"#;
    assert_eq!(root("PUT", "sys/policies/acl/some", json!({"policy": policy})).await.0, 204);
    let shown = json!({"type": "kv", "config": {"listing_visibility": "unauth"}});
    assert_eq!(root("POST", "sys/mounts/shown", shown).await.0, 204);
    let made = root("POST", "auth/token/create", json!({"policies": ["some"], "num_uses": 40})).await;
    let made: Value = serde_json::from_str(&made.1).expect("JSON");
    let token = made["auth"]["client_token"].as_str().expect("a token");
    let uses = || async {
        let (_, told) = root("POST", "auth/token/lookup", json!({"token": token})).await;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        told["data"]["num_uses"].as_u64().expect("a number")
    };
    let refused = |method: &'static str, path: &'static str| {
        let http = &http;
        async move { ask(http, follower, method, path, token, "x").await }
    };

    // A file of whoever may not restore one is not taken in: the answer comes before the file has.
    let head = format!(
        "POST /v1/sys/storage/raft/snapshot-force HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\n\
         Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
    );
    assert_eq!(support::raw::say(follower, &[head.as_bytes()]).await, Some(403));
    assert_eq!(uses().await, 39, "it was one request, as any other");
    assert_eq!(refused("POST", "sys/storage/raft/snapshot").await.0, 403);

    // What is wrong with a path is told to who may use it.
    let wrong = format!("secret/data/{}", "a".repeat(10_000));
    assert_eq!(ask(&http, follower, "PUT", &wrong, token, r#"{"data":{}}"#).await.0, 403);
    assert_eq!(ask(&http, follower, "PUT", &wrong, &region.token, r#"{"data":{}}"#).await.0, 400);
    // Vault's catalog is below sudo; a mount that is listed for all is not open to all.
    assert_eq!(refused("LIST", "sys/plugins/catalog/secret").await.0, 403);
    assert_eq!(refused("GET", "sys/plugins/catalog").await.0, 200);
    let (status, text) = refused("GET", "sys/internal/ui/mounts/shown/x").await;
    assert!(status == 403 && text.contains("preflight capability check returned 403"), "{text}");

    // Guesses at wrapped answers are counted where they are made, on any node.
    for path in ["sys/wrapping/unwrap", "sys/wrapping/lookup"] {
        let mut tries = 0;
        loop {
            let guess = json!({"token": "s.guess"}).to_string();
            // Many at once: what is counted is forgotten with time, and a busy machine takes its time.
            let guesses = (0..64).map(|_| ask(&http, follower, "POST", path, &region.token, &guess));
            let answers = futures::future::join_all(guesses).await;
            if let Some((_, text)) = answers.iter().find(|(status, _)| *status == 429) {
                break assert!(text.contains("wait"), "{text}");
            }
            assert!(answers.iter().all(|(status, _)| *status == 400), "{answers:?}");
            tries += answers.len();
            assert!(tries < 50_000, "nobody is told to wait");
        }
    }
}

/// What must not be seen: names of mounts, secrets, policies, accessors, and what lies in them.
const CANARY: &str = "canary";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_open_says_only_that_on_every_route() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let config = folder.path().join("node.hcl");
    let address = format!("http://127.0.0.1:{port}");
    let text = format!(
        "cluster_name = \"alone\"\nlog_level = \"trace\"\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = 1\n}}\n\
         storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"alone-0\"\n}}\nreplication \"{PATH}\" {{ enabled = true }}\n",
        folder.path().join("data").display()
    );
    fs::write(&config, text).expect("a configuration file");
    let mut node = Node::new("alone-0", &address, config);
    node.start();
    let http = plain();
    wait_for("the node to listen", || async { node.client("").seal_status().await.ok() }).await;
    every_route_says_only_its_state(&http, &node, "s.any", "not initialised").await;

    let made = init(&node, 1, 1).await;
    let root = &made.root_token;
    let unseal = UnsealRequest { key: made.keys.first().cloned(), ..UnsealRequest::default() };
    assert!(!node.client("").unseal(&unseal).await.expect("unsealed").sealed);
    let (mount, policy) = (format!("{CANARY}-mount"), format!("{CANARY}-policy"));
    for (path, body) in [
        (format!("sys/mounts/{mount}"), json!({"type": "kv", "options": {"version": "2"}, "description": CANARY})),
        (format!("{mount}/data/{CANARY}-secret"), json!({"data": {CANARY: CANARY}})),
        (format!("secret/data/{CANARY}"), json!({"data": {CANARY: CANARY}})),
        (
            format!("sys/policies/acl/{policy}"),
            json!({"policy": format!("path \"{CANARY}/*\" {{ capabilities = [\"read\"] }}")}),
        ),
        (format!("auth/token/roles/{CANARY}"), json!({"allowed_policies": CANARY})),
        ("auth/token/create".to_owned(), json!({"display_name": CANARY, "meta": {CANARY: CANARY}})),
    ] {
        let answered = wait_for("a primary that takes writes", || async {
            let answered = ask(&http, &node, "POST", &path, root, &body.to_string()).await;
            (answered.0 != 503).then_some(answered)
        })
        .await;
        assert!(matches!(answered.0, 200 | 204), "{path}: {answered:?}");
    }
    assert_eq!(ask(&http, &node, "PUT", "sys/seal", root, "").await.0, 204);
    every_route_says_only_its_state(&http, &node, root, "sealed").await;
    // Of a path the numbers, and nobody's name but its own.
    let (_, status) = ask(&http, &node, "GET", &format!("sys/replication/path/{PATH}/status"), "", "").await;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let status = &status["data"];
    assert_eq!((&status["sealed"], &status["region"]["node"]), (&json!(true), &json!("alone-0")));
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(1));
    let (_, events) = ask(&http, &node, "GET", &format!("sys/replication/path/{PATH}/events"), "", "").await;
    assert_eq!(serde_json::from_str::<Value>(&events).expect("JSON")["data"]["events"], json!([]));
    // Nor does its log, which says all that there is to say: no name, no value, no token and no share.
    let log = node.log_text();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "it was to say everything: {log}");
    for secret in [CANARY, root, &made.keys[0], &made.keys_base64[0]] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// Asks every route, with a token, for what `CANARY` names.
async fn every_route_says_only_its_state(http: &Client, node: &Node, token: &str, state: &str) {
    for route in ROUTES {
        // To initialise it, to unseal it with nothing and to make it join are what an open door is for.
        if ["sys/init", "sys/unseal", "sys/storage/raft/join"].contains(&route.pattern) {
            continue;
        }
        let path: Vec<String> = route.pattern.split('/').map(named).collect();
        let path = path.join("/");
        let path = if route.pattern.ends_with("/events") { format!("{path}?after=0") } else { path };
        let (status, text) = ask(http, node, route.verb.methods(), &path, token, "{}").await;
        assert!(!text.contains(CANARY), "{} {path}: {text}", route.verb.methods());
        if matches!(route.who, Who::Guest | Who::Client | Who::Operator) {
            let said: Value = serde_json::from_str(&text).unwrap_or_default();
            let said = said["errors"][0].as_str().unwrap_or_default();
            assert_eq!(status, 503, "{} {path}: {text}", route.verb.methods());
            assert!(said.contains(state), "{} {path}: {said}", route.verb.methods());
        }
    }
}

fn named(segment: &str) -> String {
    match segment {
        "{mount}" => format!("{CANARY}-mount"),
        "{kv1}" => "secret".to_owned(),
        ":path" => PATH.to_owned(),
        other if other.starts_with([':', '*']) => CANARY.to_owned(),
        other => other.to_owned(),
    }
}
