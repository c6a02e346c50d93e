//! Sessions against servers that lie, drop and delay: what the console makes of them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::api::replication::{PathStatus, Role};
use crate::client::testing::{reply, server};
use crate::console::app::tests::{CANARY, models};
use crate::console::app::{ContextId, Msg, update};
use crate::console::domain::fixtures::{self, EU, US};
use crate::console::domain::{Contact, World};
use axum::extract::Request;
use std::net::SocketAddr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Watches these and waits until the reports are so.
async fn until(addresses: &[SocketAddr], so: impl Fn(&[NodeReport]) -> bool) -> Vec<NodeReport> {
    let (queue, mut waiting) = mpsc::channel(64);
    // Nobody reads events here, but they must not wait.
    tokio::spawn(async move { while waiting.recv().await.is_some() {} });
    let options = SessionOptions {
        context: ContextId(0),
        path: "default".into(),
        addresses: addresses.iter().map(|address| format!("http://{address}")).collect(),
        tokens: vec![SensitiveString::new(CANARY)],
        trust: Trust::System,
    };
    let (_sessions, mut board) = Sessions::start(vec![options], ConsoleClock::start(), queue);
    let found = board.wait_for(|board| so(&board.all().cloned().collect::<Vec<_>>()));
    let board = tokio::time::timeout(PATIENCE, found).await.expect("the reports in time").unwrap();
    board.all().cloned().collect()
}

/// A node that says this status, whoever asks and as often as it is asked.
async fn saying(status: PathStatus) -> SocketAddr {
    server(move |request: Request| {
        let status = status.clone();
        async move {
            match request.uri().path().ends_with("/status") {
                true => reply(200, serde_json::json!({ "data": status }).to_string()),
                false => reply(404, r#"{"errors":[]}"#),
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_makes_no_sense_is_told_apart_from_one_that_is_silent() {
    let garbled = server(|_: Request| async { reply(200, "<html>Welcome</html>") }).await;
    // Bound and not listened on: whoever dials it is refused, and nobody else gets it meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = silent.local_addr().unwrap();
    let reports = until(&[garbled, closed], |reports| {
        reports.len() == 2 && reports.iter().all(|report| report.contact != Contact::Connecting)
    })
    .await;
    let of =
        |address: SocketAddr| reports.iter().find(|report| report.address.ends_with(&address.to_string())).unwrap();
    assert!(matches!(&of(garbled).contact, Contact::Erring { retry_at: Some(_), .. }), "{:?}", of(garbled));
    assert!(matches!(&of(closed).contact, Contact::Gone { attempts: 1.., .. }), "{:?}", of(closed));
    assert!(!format!("{reports:?}").contains("CANARY"), "a token is in no report");
}

#[tokio::test]
async fn a_server_that_never_answers_is_gone_after_the_deadline_and_is_called_again() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = mute.accept().await {
            held.push(socket);
        }
    });
    let reports = until(&[address], |reports| {
        matches!(reports.first().map(|report| &report.contact), Some(Contact::Gone { .. }))
    })
    .await;
    let Contact::Gone { error, retry_at, .. } = &reports[0].contact else { panic!("{reports:?}") };
    assert!(error.contains("too long") && retry_at.is_some(), "{error}");
    assert_eq!(reports[0].status, None, "what was never heard is unknown");
}

#[tokio::test]
async fn two_that_both_say_they_are_primary_are_a_split_brain_whoever_lies() {
    let mut liar = fixtures::status(EU, Role::Primary, Duration::ZERO);
    let mut honest = fixtures::status(US, Role::Primary, Duration::ZERO);
    for status in [&mut liar, &mut honest] {
        status.links.clear();
        // Their other nodes would be called as well.
        status.nodes.clear();
    }
    let addresses = [saying(honest).await, saying(liar).await];
    let heard = |reports: &[NodeReport]| reports.iter().filter(|report| report.status.is_some()).count() >= 2;
    let reports = until(&addresses, heard).await;
    let mut model = models([("lab", World::default())]);
    let now = reports.iter().filter_map(|report| report.status.as_ref()).map(|status| status.at()).max().unwrap();
    update(&mut model, Msg::Tick(now));
    update(&mut model, Msg::Reports(reports.into_iter().map(|report| (ContextId(0), report)).collect()));
    assert!(model.pair().unwrap().is_split_brain());
    assert!(model.alarms()[0].text.contains("SPLIT BRAIN"), "{:?}", model.alarms());
}
