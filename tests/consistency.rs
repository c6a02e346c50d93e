//! Reading in a standby region, and reading what one wrote in whichever region answers: `serve_reads`, `X-Vault-Index`.

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{Node, PATH, Region, Shape, connect, promote, wait_for, wait_until_in_step};

const SECRET: &str = "secret/data/shared";

/// A client of one node that sends what it is told and sees what comes back.
struct Http {
    client: reqwest::Client,
    address: String,
    token: String,
}

struct Said {
    status: u16,
    index: Option<String>,
    body: Value,
}

impl Http {
    fn of(node: &Node, token: &str) -> Http {
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(twinkeep::tls::unverified_client_config().expect("a client's TLS"))
            .no_proxy()
            .build()
            .expect("a client");
        Http { client, address: node.address.clone(), token: token.to_owned() }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Said {
        let mut request = self.client.request(method, format!("{}/v1/{path}", self.address));
        request = request.header("X-Vault-Token", &self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_string()).send().await.expect("an answer");
        let index = response.headers().get("x-vault-index").map(|value| value.to_str().expect("ASCII").to_owned());
        let status = response.status().as_u16();
        let body = response.bytes().await.expect("a whole body");
        Said { status, index, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Said {
        self.send(Method::GET, path, headers, Value::Null).await
    }

    /// Writes, and says at which position.
    async fn put(&self, value: u32) -> String {
        let said = self.send(Method::PUT, SECRET, &[], json!({"data": {"n": value}})).await;
        assert_eq!(said.status, 200, "{}", said.body);
        said.index.expect("a write says its position")
    }
}

fn error(said: &Said) -> &str {
    said.body["errors"][0].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_serves_reads_answers_with_what_was_written_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let serves = Shape { nodes: 3, replication: "serve_reads = true", ..Shape::default() };
    let (primary, standby) = tokio::join!(
        Region::start(folder.path(), "us-east-1", 1),
        Region::start_as(folder.path(), "eu-west-1", serves)
    );
    connect(&primary, &standby).await;
    wait_until_in_step(&primary, &standby).await;
    let writer = Http::of(&primary.nodes[0], &primary.token);
    let follower = (standby.leader().await + 1) % 3;
    let reader = Http::of(&standby.nodes[follower], &primary.token);

    // The position goes along: what is on its way is waited for, at any node of the region.
    for n in 0..20 {
        let index = writer.put(n).await;
        let read = wait_for("the position at the standby", || async {
            let read = reader.get(SECRET, &[("X-Vault-Index", &index)]).await;
            // A busy machine may need longer than a server waits for it.
            (!matches!(read.status, 412 | 503)).then_some(read)
        })
        .await;
        assert_eq!((read.status, &read.body["data"]["data"]["n"]), (200, &json!(n)), "{}", read.body);
    }
    // What is asked of an active node is asked of one anyway.
    for header in [("X-Vault-Inconsistent", "forward-active-node"), ("X-Vault-Forward", "active-node")] {
        assert_eq!(reader.get(SECRET, &[header]).await.status, 200);
    }
    assert_eq!(
        reader.send(Method::from_bytes(b"LIST").expect("a method"), "secret/metadata", &[], Value::Null).await.status,
        200
    );
    assert_eq!(reader.get("sys/mounts", &[]).await.status, 200);

    // Writes are refused with the primary's name and address, and so is what reading alone can't do.
    let refused = reader.send(Method::PUT, SECRET, &[], json!({"data": {"n": 1}})).await;
    assert_eq!(refused.status, 472, "{}", refused.body);
    assert!(
        error(&refused).contains("us-east-1") && error(&refused).contains(&primary.nodes[0].address),
        "{}",
        refused.body
    );
    assert_eq!(reader.get(SECRET, &[("X-Vault-Wrap-TTL", "60")]).await.status, 472);
    let nobody = Http::of(&standby.nodes[follower], "s.nobody");
    assert_eq!(nobody.get(SECRET, &[]).await.status, 403);

    // A position that is not there, one that is none.
    let ahead = reader.get(SECRET, &[("X-Vault-Index", "1:1000000")]).await;
    assert_eq!(ahead.status, 412);
    assert!(error(&ahead).starts_with("required index state not present"), "{}", ahead.body);
    assert_eq!(writer.get(SECRET, &[("X-Vault-Index", "1:1000000")]).await.status, 412);
    assert_eq!(reader.get(SECRET, &[("X-Vault-Index", "soon")]).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_failover_lost_is_never_taken_for_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let (primary, standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 1), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    let (old, new) = (Http::of(&primary.nodes[0], &primary.token), Http::of(&standby.nodes[0], &primary.token));
    let kept = old.put(1).await;
    wait_until_in_step(&primary, &standby).await;
    let refused = new.get(SECRET, &[]).await;
    assert_eq!(refused.status, 472, "it serves no reads unless its file says so: {}", refused.body);

    primary.client().await.pause(PATH, None).await.expect("a pause");
    let lost = old.put(2).await;
    promote(&standby.client_as(&primary.token).await).await;
    for n in 0..3 {
        new.put(n).await;
    }
    assert_eq!(new.get(SECRET, &[("X-Vault-Index", &kept)]).await.status, 200);
    assert_eq!(new.get(SECRET, &[("X-Vault-Index", &lost)]).await.status, 412, "{lost} lies on another line");
}
