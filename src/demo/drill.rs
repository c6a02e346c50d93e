//! The drill's score: how long it took to notice, to promote, to write again; what was lost, and what came back.

use super::PATH;
use super::load::{Acknowledged, Load};
use crate::api::replication::{LinkState, PathStatus, Role};
use crate::client::Client;
use crate::clock;
use serde::Serialize;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};

/// Between two looks of the observer.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two looks for lost writes that came back.
const RECOVERED_EVERY: Duration = Duration::from_secs(2);

/// What is known of the drill so far; milliseconds from the fault on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Score {
    /// What began it; `None`: no drill yet.
    pub fault: Option<String>,
    /// Until a console could see that something is wrong.
    pub noticed_ms: Option<u64>,
    /// Until another region was primary.
    pub promoted_ms: Option<u64>,
    /// Until a client's write was acknowledged there.
    pub writes_again_ms: Option<u64>,
    pub lost: Option<u64>,
    pub recovered: Option<u64>,
}

/// A running drill's own notes.
#[derive(Default)]
struct Notes {
    began: Option<Instant>,
    /// Which region was primary then.
    primary: Option<usize>,
    lost: Vec<Acknowledged>,
    /// The old primary still took writes when these were counted.
    grows: bool,
    looked: Option<Instant>,
    /// Who led each region when it began.
    leaders: Vec<Option<String>>,
}

/// Watches both regions for as long as the demo runs.
pub struct Drill {
    notes: Mutex<Notes>,
    score: watch::Sender<Score>,
    /// Of each region, of each node.
    clients: Vec<Vec<Client>>,
    load: Arc<Mutex<Load>>,
}

impl Drill {
    pub fn new(clients: Vec<Vec<Client>>, load: Arc<Mutex<Load>>) -> Drill {
        Drill { notes: Mutex::default(), score: watch::Sender::default(), clients, load }
    }

    /// The region that takes writes, or took them last.
    pub async fn primary(&self) -> usize {
        let seen = primary_of(&self.look().await);
        let notes = self.notes.lock().await;
        seen.or(notes.primary).unwrap_or(0)
    }

    pub fn score(&self) -> watch::Receiver<Score> {
        self.score.subscribe()
    }

    /// A fault was thrown: a new drill, unless one is under way that nobody has been promoted in.
    pub async fn begin(&self, fault: &str) {
        let seen = self.look().await;
        let primary = primary_of(&seen);
        let leaders = seen.iter().map(leader_of).collect();
        let mut notes = self.notes.lock().await;
        let under_way = notes.began.is_some() && self.score.borrow().promoted_ms.is_none();
        if under_way {
            return;
        }
        let primary = primary.or(notes.primary);
        *notes = Notes { began: Some(clock::steady()), primary, leaders, ..Notes::default() };
        self.score.send_replace(Score { fault: Some(fault.to_owned()), ..Score::default() });
    }

    /// The newest answer of each region.
    pub async fn look(&self) -> Vec<Option<PathStatus>> {
        futures::future::join_all(self.clients.iter().map(|nodes| region_status(nodes))).await
    }

    pub async fn watch(&self) {
        loop {
            let seen = self.look().await;
            self.take(&seen).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn take(&self, seen: &[Option<PathStatus>]) {
        let mut notes = self.notes.lock().await;
        let primary = primary_of(seen);
        let Some(began) = notes.began else {
            notes.primary = primary.or(notes.primary);
            return;
        };
        let mut score = self.score.borrow().clone();
        let now = clock::steady();
        let ms = |at: Instant| Some(at.saturating_duration_since(began).as_millis() as u64);
        // A leader may be lost and another elected between two looks.
        let led = notes.leaders.iter().map(Option::as_ref).zip(seen.iter().map(leader_of));
        let moved = led.filter_map(|(then, now)| then.zip(now)).any(|(then, now)| *then != now);
        if score.noticed_ms.is_none() && (moved || seen.iter().any(is_amiss)) {
            score.noticed_ms = ms(now);
        }
        let old = notes.primary.unwrap_or(0);
        if let Some(new) = primary.filter(|new| *new != old) {
            if score.promoted_ms.is_none() {
                score.promoted_ms = ms(now);
            }
            let load = self.load.lock().await;
            if score.writes_again_ms.is_none() {
                score.writes_again_ms = load.first_acknowledged(new, began).and_then(ms);
            }
            let due = notes.looked.is_none_or(|at| at.elapsed() >= RECOVERED_EVERY);
            // While the old primary takes writes as well, more is lost: it is counted once more when it stopped.
            let takes_writes = |status: &PathStatus| status.role == Role::Primary && status.writable;
            let grows = seen.get(old).and_then(Option::as_ref).is_some_and(takes_writes);
            if score.lost.is_none() || (notes.grows && !grows) {
                if let Some(lost) = load.lost(old, new).await {
                    score.lost = Some(lost.len() as u64);
                    (notes.lost, notes.grows, notes.looked) = (lost, grows, Some(now));
                }
            } else if !notes.lost.is_empty() && due {
                notes.looked = Some(now);
                score.recovered = load.there(&notes.lost, new).await.or(score.recovered);
            }
        }
        self.score.send_if_modified(|before| {
            let changed = *before != score;
            *before = score;
            changed
        });
    }
}

/// Of several that take writes the one of the highest epoch; before the regions are linked both do, and the first is what
/// the load writes to.
fn primary_of(seen: &[Option<PathStatus>]) -> Option<usize> {
    let leads = |at: &usize| {
        let status = seen[*at].as_ref().filter(|status| status.role == Role::Primary && status.writable);
        status.map(|status| (status.epoch, Reverse(*at)))
    };
    (0..seen.len()).filter(|at| leads(at).is_some()).max_by_key(leads)
}

/// The node that leads a region, by name.
fn leader_of(status: &Option<PathStatus>) -> Option<String> {
    status.as_ref()?.nodes.iter().find(|node| node.leader).map(|node| node.name.clone())
}

async fn region_status(nodes: &[Client]) -> Option<PathStatus> {
    let mut best: Option<PathStatus> = None;
    for client in nodes {
        if let Ok(status) = client.path_status(PATH).await {
            let leads = status.nodes.iter().any(|node| node.leader && node.name == status.region.node);
            if leads {
                return Some(status);
            }
            best = best.or(Some(status));
        }
    }
    best
}

/// What a console would raise its voice for.
fn is_amiss(status: &Option<PathStatus>) -> bool {
    let Some(status) = status else { return true };
    let leaderless = !status.nodes.iter().any(|node| node.leader);
    let silent = |heard: Option<crate::clock::UnixMs>| {
        heard.is_some_and(|at| status.observed_at.since(at) > Duration::from_millis(2_500))
    };
    let down = status.links.iter().any(|link| link.state == LinkState::Connecting || silent(link.last_heard_at));
    leaderless || down || (status.role == Role::Primary && !status.writable)
}

impl Score {
    /// For people, a line each.
    pub fn lines(&self) -> Vec<String> {
        let Some(fault) = &self.fault else { return vec!["no drill yet: a cut or a kill begins one".into()] };
        let time = |ms: Option<u64>| ms.map_or("not yet".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1_000.0));
        let count = |count: Option<u64>| count.map_or("not known".to_owned(), |count| count.to_string());
        vec![
            format!("fault            {fault}"),
            format!("time to notice   {}", time(self.noticed_ms)),
            format!("time to promote  {}", time(self.promoted_ms)),
            format!("writes again     {}", time(self.writes_again_ms)),
            format!("writes lost      {}", count(self.lost)),
            format!("writes recovered {}", count(self.recovered)),
        ]
    }
}
