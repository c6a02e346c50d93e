//! The demo without a terminal: connects the two regions, prints a JSON line a second, and judges the end.

use super::scenario::patiently;
use super::{Demo, PATH, REGIONS, Scenario};
use crate::api::replication::{LinkRequest, PathStatus, TokenRequest};
use crate::clock;
use crate::error::{Error, Result};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the standby may take to reach the primary after the load ended.
const CATCH_UP: Duration = Duration::from_secs(180);
const LINE_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a headless demo ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Both regions stand at one position, with equal Merkle roots.
    Equal,
    Different,
}

pub async fn run(demo: &Demo, duration: Duration) -> Result<Verdict> {
    let unavailable = |error: crate::client::ClientError| Error::unavailable(error.to_string());
    let (primary, standby) = (demo.regions[0].client()?, demo.regions[1].client()?);
    let asked = TokenRequest::default();
    let token = patiently(|| standby.generate_token(PATH, &asked)).await.map_err(unavailable)?;
    line(
        demo,
        json!({ "event": "token", "region": REGIONS[1], "accessor": token.accessor, "expires_at": token.expires_at }),
    )
    .await;
    let request = LinkRequest { address: None, token: token.token, max_parallel: None };
    patiently(|| primary.connect(PATH, &request)).await.map_err(unavailable)?;

    let began = clock::steady();
    let mut lines = tokio::time::interval(LINE_EVERY);
    while began.elapsed() < duration {
        lines.tick().await;
        let (one, two) = tokio::join!(primary.path_status(PATH), standby.path_status(PATH));
        line(demo, json!({ "event": "status", "primary": one.ok(), "standby": two.ok() })).await;
    }

    demo.load.lock().await.pause();
    let ended = clock::steady();
    loop {
        let (one, two) = tokio::join!(primary.path_status(PATH), standby.path_status(PATH));
        let equal = matches!((&one, &two), (Ok(one), Ok(two)) if in_step(one, two));
        if equal || ended.elapsed() > CATCH_UP {
            let root = |status: Result<PathStatus, _>| status.ok().map(|status| status.merkle_root);
            line(demo, json!({ "event": "end", "equal": equal, "primary_root": root(one), "standby_root": root(two) }))
                .await;
            return Ok(if equal { Verdict::Equal } else { Verdict::Different });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether the standby is whole and holds what the primary holds.
fn in_step(primary: &PathStatus, standby: &PathStatus) -> bool {
    let place = |status: &PathStatus| (status.dataset, status.applied, status.merkle_root.clone());
    standby.whole && place(primary) == place(standby)
}

async fn line(demo: &Demo, mut value: serde_json::Value) {
    let load = demo.load.lock().await;
    value["load"] = json!({ "acknowledged": load.acknowledged(), "failed": load.failed() });
    print(value);
}

fn print(mut value: serde_json::Value) {
    value["at"] = json!(clock::now());
    println!("{value}");
}

/// Plays a scenario; an error is the first step that failed.
pub async fn play(demo: &Arc<Mutex<Demo>>, scenario: &Scenario) -> Result<()> {
    let played = scenario.play(demo, |step| print(json!({ "event": "step", "step": step }))).await;
    let score = demo.lock().await.drill.score().borrow().clone();
    let error = played.as_ref().err().map(ToString::to_string);
    print(
        json!({ "event": "score", "scenario": scenario.name, "score": score, "green": played.is_ok(), "error": error }),
    );
    played
}
