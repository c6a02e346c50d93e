//! Peers that mean harm, against real processes: whatever they send is refused with a reason, nothing is changed by it,
//! memory stays bounded, and the node goes on serving.

#[path = "../support/mod.rs"]
mod support;

mod peer;

use bytes::Bytes;
use peer::Peer;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::raw::{dial, link_head, say, status};
use support::writer::fields;
use support::{Node, PATH, Region, connect, wait_until_in_step};
use tokio::io::AsyncWriteExt;
use twinkeep::api::replication::TokenRequest;
use twinkeep::clock::UnixMs;
use twinkeep::ids::{DatasetId, Epoch, RegionId, SyncId};
use twinkeep::replication::handshake::{Attempt, FINISH, Party, START};
use twinkeep::replication::protocol::{Ask, Refused, Request, Want};
use twinkeep::replication::token::ActivationToken;
use twinkeep::state::{Batch, Class, CopyChunk, Op, WalEntry};

/// More than a node reads of one body: what it takes, what it throws away, and what lies in sockets.
const ENDLESS_MIB: usize = 160;

/// A region that a bad peer talks to, and the folder of everybody's data.
struct World {
    standby: Region,
    primary: Region,
    _folder: tempfile::TempDir,
    data: std::path::PathBuf,
}

/// Two regions in step, with a few secrets.
async fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let (primary, standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 1), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    let client = primary.client().await;
    for number in 0..5 {
        client.kv_put("secret", &format!("team/{number}"), fields("kept"), None).await.expect("a write");
    }
    wait_until_in_step(&primary, &standby).await;
    let data = folder.path().join("us-east-1/us-east-1-0");
    World { standby, primary, _folder: folder, data }
}

impl World {
    /// The primary is killed, and somebody who got hold of its disk speaks in its place.
    async fn robbed(&mut self) -> Peer {
        self.primary.nodes[0].kill();
        let mut peer = Peer::take_over(&self.data, &self.standby.nodes[0]);
        peer.open().await;
        peer
    }
}

/// What no bad peer may change.
async fn facts(region: &Region) -> Value {
    let status = region.status().await.expect("a status");
    json!({
        "role": status.role, "epoch": status.epoch, "dataset": status.dataset, "whole": status.whole,
        "received": status.received, "applied": status.applied, "root": status.merkle_root, "entries": status.entries,
        "bytes": status.bytes, "sync": status.sync.is_some(), "fence": status.fence.is_some(), "tokens": status.tokens,
        "links": status.links.iter().map(|link| link.region).collect::<Vec<_>>(), "primary": status.primary,
        "voters": status.nodes.len(),
    })
}

/// The highest resident memory of a node's process so far, in MiB.
fn peak_mib(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).expect("the node runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line for the peak");
    let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib >> 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_cut_altered_replayed_or_misdirected_is_refused_and_changes_nothing() {
    let mut world = world().await;
    let mut peer = world.robbed().await;
    let before = facts(&world.standby).await;
    let payload = postcard::to_stdvec(&peer.heartbeat()).expect("encoded");
    let good = peer.seal("heartbeat", &payload);
    for cut in [0, 1, 40, 72, 73, good.len() - 1] {
        let reply = peer.post(PATH, "heartbeat", good.slice(..cut)).await;
        assert!((400..500).contains(&reply.status) || reply.status == 500, "cut at {cut}: {}", reply.text());
        assert!(reply.text().contains("errors"), "cut at {cut}: {}", reply.text());
    }
    for at in (0..good.len()).step_by(3) {
        let mut altered = good.to_vec();
        altered[at] ^= 0x20;
        let reply = peer.post(PATH, "heartbeat", altered.into()).await;
        assert!((400..500).contains(&reply.status), "byte {at}: {} {}", reply.status, reply.text());
    }
    let longer = Bytes::from([&good[..], b"more"].concat());
    assert_eq!(peer.post(PATH, "heartbeat", longer).await.status, 403);
    // Misdirected: another kind, another path, another sender, another session.
    assert_eq!(peer.post(PATH, "append", good.clone()).await.status, 403);
    assert_eq!(peer.post(PATH, "no-such-kind", good.clone()).await.status, 403);
    let other_path = peer.post("other", "heartbeat", good.clone()).await;
    assert_eq!(other_path.status, 404, "{}", other_path.text());
    let claimed = peer.seal_as(RegionId([7; 16]), "heartbeat", &payload);
    let unknown = peer.post(PATH, "heartbeat", claimed).await;
    assert!(unknown.status == 404 && unknown.text().contains("no link with this region"), "{}", unknown.text());
    // A kind that was sealed as another one is.
    let wrong_kind = peer.seal("append", &payload);
    let wrong_kind = peer.post(PATH, "append", wrong_kind).await;
    assert!(wrong_kind.status == 400 && wrong_kind.text().contains("of the kind heartbeat"), "{}", wrong_kind.text());
    assert_eq!(facts(&world.standby).await, before);

    // The true one gets through, once.
    let reply = peer.post(PATH, "heartbeat", good.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let replayed = peer.post(PATH, "heartbeat", good.clone()).await;
    assert!(replayed.status == 400 && replayed.text().contains("replay"), "{}", replayed.text());
    // Out of order inside the window both are good.
    let (first, second) = (peer.seal("heartbeat", &payload), peer.seal("heartbeat", &payload));
    assert_eq!(peer.post(PATH, "heartbeat", second).await.status, 200);
    assert_eq!(peer.post(PATH, "heartbeat", first).await.status, 200);
    // Recorded in a session that the node has forgotten: it does nothing but say so.
    world.standby.restart(0).await;
    let forgotten = peer.post(PATH, "heartbeat", good).await;
    assert_eq!((forgotten.status, &forgotten.body[..]), (200, &[0][..]));
    let reply = peer.post(PATH, "open", Bytes::from_static(b"open the door")).await;
    assert!((400..=500).contains(&reply.status), "{}", reply.text());
    assert_eq!(facts(&world.standby).await, before);
    assert!(peer.stranger().seal_request("heartbeat", &payload).is_err(), "nothing is sealed without a session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robbed_credential_moves_nothing_by_old_epochs_foreign_data_gaps_or_broken_encodings() {
    let mut world = world().await;
    let mut peer = world.robbed().await;
    let before = facts(&world.standby).await;
    let node = &world.standby.nodes[0];
    let peak = peak_mib(node);

    let mut old = peer.heartbeat();
    old.header.epoch = Epoch(0);
    assert!(matches!(peer.ask(&old).await.want, Want::Refused(Refused::Epoch { epoch: Epoch(1), .. })));
    let mut foreign = peer.heartbeat();
    foreign.header.dataset = DatasetId([9; 16]);
    assert_eq!(peer.ask(&foreign).await.want, Want::Hello);
    let hello = peer.hello();
    foreign.ask = Ask::Hello(hello.clone());
    assert_eq!(peer.ask(&foreign).await.want, Want::Refused(Refused::OtherDataset));
    let mut tomorrow = hello.clone();
    tomorrow.protocol = u32::MAX;
    let request = Request { header: peer.header(), ask: Ask::Hello(tomorrow) };
    assert!(matches!(peer.ask(&request).await.want, Want::Refused(Refused::Protocol { .. })));
    // A stretch of a sync that nobody began.
    let chunk = CopyChunk {
        sync: SyncId([3; 16]),
        after: Bytes::new(),
        through: None,
        entries: Vec::new(),
        read_at: peer.ahead(1),
    };
    let request = Request { header: peer.header(), ask: Ask::Copy(chunk) };
    assert!(matches!(peer.ask(&request).await.want, Want::Log { .. }));
    // An entry behind a gap waits, and is answered with where the log is wanted from.
    let op = Op::Put { key: Bytes::from_static(b"k"), value: Bytes::from_static(b"v") };
    let batch = Batch { class: Class::KvWrite, at: UnixMs(1), ops: vec![op] };
    let entry = WalEntry { position: peer.ahead(2), batch };
    let request = Request { header: peer.header(), ask: Ask::Append { entries: vec![entry] } };
    let wanted = Want::Log { from: peer.path.applied.index + 1 };
    assert_eq!(peer.ask(&request).await.want, wanted);
    // What is no message, under a good authenticator.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let head = postcard::to_stdvec(&peer.header()).expect("encoded");
    let append = [&head[..], &[1], &huge].concat();
    let broken: [(&str, Vec<u8>); 6] = [
        ("append", append.clone()),
        ("append", [&append[..], &vec![0; 1 << 20]].concat()),
        ("append", vec![0x80; 1 << 20]),
        ("hello", [&head[..], &[0], &huge, &huge].concat()),
        ("heartbeat", vec![]),
        ("heartbeat", vec![0xff; 15 << 20]),
    ];
    for (at, (kind, payload)) in broken.into_iter().enumerate() {
        let body = peer.seal(kind, &payload);
        let reply = peer.post(PATH, kind, body).await;
        assert!((400..=500).contains(&reply.status), "{at}: {} {}", reply.status, reply.text());
        assert!(reply.text().contains("errors"), "{at}: {}", reply.text());
    }
    // Longer than any body of the link: refused by what it announces.
    let length = format!("Content-Length: {}\r\n", (16 << 20) + 1);
    assert_eq!(say(node, &[&link_head("append", &length)]).await, Some(413));
    assert_eq!(facts(&world.standby).await, before);
    let grown = peak_mib(node) - peak;
    assert!(grown < 200, "the node's memory grew by {grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_revoked_expired_or_spent_opens_nothing() {
    let world = world().await;
    let operator = world.standby.client_as(&world.primary.token).await;
    let node = &world.standby.nodes[0];
    let made = |ttl: &str| TokenRequest { ttl: Some(json!(ttl)), force: true };
    let revoked = operator.generate_token(PATH, &made("30m")).await.expect("a token");
    operator.revoke_token(PATH, &revoked.accessor).await.expect("revoked");
    let expired = operator.generate_token(PATH, &made("1s")).await.expect("a token");
    support::wait_for("the token to expire", || async {
        (world.standby.status().await?.tokens.expired == 1).then_some(())
    })
    .await;
    let good = operator.generate_token(PATH, &made("30m")).await.expect("a token");
    let forged = |token: &str| {
        let mut token = ActivationToken::decode(token).expect("a token");
        token.secret = twinkeep::replication::crypto::Secret::new([1; 32]);
        token.encode().expect("encoded")
    };
    let before = facts(&world.standby).await;
    let http = peer::http();
    let post = |kind: &'static str, body: Bytes| {
        let request = http.post(format!("{}/v1/sys/replication/path/{PATH}/link/{kind}", node.address)).body(body);
        async move {
            let response = request.send().await.expect("the node answers");
            (response.status().as_u16(), response.text().await.expect("a text"))
        }
    };
    let party = || Party { id: RegionId([5; 16]), name: "thief".into() };
    let start = |token: &str| {
        let token = ActivationToken::decode(token).expect("a token");
        Attempt::begin(token, PATH, party(), [6; 32]).expect("a good path").request()
    };
    for (token, reason) in
        [(&revoked.token, "revoked at"), (&expired.token, "expired at"), (&forged(&good.token), "is wrong")]
    {
        let (status, text) = post(START, start(token)).await;
        assert!(status == 400 && text.contains(reason), "{reason}: {status} {text}");
        // A finish without its start's answer.
        let (status, text) = post(FINISH, start(token)).await;
        assert_eq!(status, 400, "{text}");
    }
    for body in [vec![], vec![0; 40], vec![0xff; 1 << 20], vec![0; (1 << 20) + 1]] {
        for kind in [START, FINISH] {
            let (status, text) = post(kind, body.clone().into()).await;
            assert!(matches!(status, 400 | 413), "{kind} of {} bytes: {status} {text}", body.len());
        }
    }
    assert_eq!(facts(&world.standby).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_silent_and_overlong_clients_take_nothing_from_the_others() {
    let world = world().await;
    let node = &world.primary.nodes[0];
    let before = peak_mib(node);
    // Many that say nothing, many that dribble their headers, many that dribble a body.
    let mut held = Vec::new();
    for number in 0..300 {
        let mut stream = dial(node).await;
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"POST /v1/sys/rep").await.expect("written"),
            _ => {
                stream.write_all(&link_head("append", "Content-Length: 1000000\r\n")).await.expect("written");
                stream.write_all(&[1; 10]).await.expect("written");
            }
        }
        held.push(stream);
    }
    // Slowness is what is tried here: a byte now and then.
    let dribble = tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        loop {
            beat.tick().await;
            for stream in &mut held {
                // Those that said nothing are hung up on in their time.
                let _ = stream.write_all(b"a").await;
            }
        }
    });
    let refusals: [(&str, Vec<u8>, &[u16]); 6] = [
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[400]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 505]),
        ("a huge header", link_head("append", &format!("X-Long: {}\r\n", "x".repeat(1 << 20))), &[431]),
        ("many headers", link_head("append", &"X-One: 1\r\n".repeat(5_000)), &[431]),
        ("a huge length", link_head("append", "Content-Length: 9223372036854775807\r\n"), &[413]),
        ("no number", link_head("append", "Content-Length: 1e9\r\n"), &[400]),
    ];
    for (what, bytes, expected) in refusals {
        let status = say(node, &[&bytes]).await;
        // Some are hung up on without a word: that is a refusal as well.
        assert!(status.is_none_or(|status| expected.contains(&status)), "{what}: {status:?}");
    }
    // Without a length, and without an end: what is too long is thrown away for a while, so that an honest client comes to
    // read why, and then hung up on.
    let mut endless = dial(node).await;
    endless.write_all(&link_head("append", "Transfer-Encoding: chunked\r\n")).await.expect("written");
    let chunk = [b"100000\r\n".to_vec(), vec![1; 1 << 20], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while sent < ENDLESS_MIB && endless.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    assert!(sent < ENDLESS_MIB, "the node took {sent} MiB of one body");
    assert!(matches!(status(&mut endless).await, None | Some(413)));

    let began = Instant::now();
    let client = world.primary.client().await;
    client.kv_put("secret", "while", fields("besieged"), None).await.expect("a write");
    wait_until_in_step(&world.primary, &world.standby).await;
    assert!(began.elapsed() < Duration::from_secs(60), "a write and its way over took {:?}", began.elapsed());
    let grown = peak_mib(node) - before;
    assert!(grown < 150, "the node's memory grew by {grown} MiB");
    dribble.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_held_back_together_have_a_bound_and_clients_have_room_of_their_own() {
    const PEERS: usize = 24;
    const MIB: usize = 1 << 20;
    let world = world().await;
    let node = &world.standby.nodes[0];
    let before = peak_mib(node);
    let body = vec![1; 16 * MIB - 1];
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..PEERS {
        let mut stream = dial(node).await;
        stream.write_all(&link_head("append", &format!("Content-Length: {}\r\n", 16 * MIB))).await.expect("written");
        match stream.write_all(&body).await {
            Ok(()) => held.push(stream),
            Err(_) => refused += 1,
        }
    }
    // Those that the kernel still took may have been refused by now.
    let client = world.primary.client().await;
    client.kv_put("secret", "while", fields("flooded"), None).await.expect("the primary's clients are served");
    let status = node.client("").path_status(PATH).await.expect("the flooded region answers");
    assert!(status.whole);
    drop(held);
    wait_until_in_step(&world.primary, &world.standby).await;
    let grown = peak_mib(node) - before;
    assert!(refused > 0, "all {PEERS} bodies were taken");
    assert!(grown < 400, "the node's memory grew by {grown} MiB, {refused} were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_node_of_the_region_is_not_heard_as_one() {
    let world = world().await;
    let node = &world.primary.nodes[0];
    let before = facts(&world.primary).await;
    let http = peer::http();
    let url = |path: &str| format!("{}/v1/sys/storage/raft/{path}", node.address);
    for kind in ["vote", "append", "snapshot", "elect", "status", "nothing"] {
        for header in [None, Some("00"), Some(&*"0".repeat(96))] {
            let mut request = http.post(url(&format!("rpc/{kind}"))).body(vec![1, 3, 1, 1]);
            if let Some(header) = header {
                request = request.header("x-twinkeep-node-auth", header);
            }
            assert_eq!(request.send().await.expect("an answer").status().as_u16(), 403, "{kind}");
        }
    }
    let join = |step: &'static str, body: String| {
        let request = http.post(url(&format!("bootstrap/{step}"))).body(body);
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    for (step, body) in [
        ("challenge", "{}".to_owned()),
        ("challenge", "[".repeat(100_000)),
        ("challenge", format!("{{\"server_id\":{}", "[".repeat(100_000))),
        ("answer", json!({"id": "zz", "server_id": "a", "api_addr": "b", "answer": vec![0; 32]}).to_string()),
        ("answer", json!({"id": "00", "server_id": 7}).to_string()),
        ("answer", format!("{{\"id\":\"{}\"}}", "0".repeat(500_000))),
    ] {
        let status = join(step, body).await;
        assert!(matches!(status, 400 | 403), "{step}: {status}");
    }
    let long = b"POST /v1/sys/storage/raft/bootstrap/answer HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n";
    assert_eq!(say(node, &[long]).await, Some(413), "a stranger's body is shorter than a client's");
    // Challenges are remembered, but not without end: whoever asks for many loses his own first ones.
    let mut ids = Vec::new();
    for number in 0..80 {
        let body = json!({"server_id": format!("node-{number}")}).to_string();
        let given = http.post(url("bootstrap/challenge")).body(body).send().await.expect("an answer");
        let given: serde_json::Value = given.json().await.expect("a challenge");
        ids.push(given["data"]["id"].as_str().expect("its id").to_owned());
    }
    for (id, status) in [(&ids[0], 503), (&ids[79], 403)] {
        let body = json!({"id": id, "server_id": "a", "api_addr": "b", "answer": vec![0; 32]}).to_string();
        assert_eq!(join("answer", body).await, status);
    }
    assert_eq!(facts(&world.primary).await, before);
}
