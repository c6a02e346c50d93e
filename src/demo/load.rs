//! The demo's load: a stock of secrets at the start, then a steady rate of writes, to whichever region is primary. It
//! remembers what was acknowledged, so that a rehearsal can count what a failover lost.

use super::PATH;
use crate::api::kv::Fields;
use crate::client::Client;
use crate::clock;
use futures::{FutureExt, StreamExt};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MOUNT: &str = "secret";
/// Writers that build up the stock.
const WRITERS: u32 = 32;
/// Paths that the steady rate writes in turn, so that the data does not grow for ever.
const PATHS: u32 = 20_000;
/// Between two looks for the primary while there is none.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Acknowledged writes remembered: more than any lag that a rehearsal makes.
const REMEMBERED_MAX: usize = 20_000;
/// So many writes in a row that are there, newest first: those before them are there too.
const THERE_IN_A_ROW: usize = 200;
/// Questions at once while lost writes are looked for.
const LOOKS_AT_ONCE: usize = 16;
/// Writes per second that can be asked for.
pub const RATE_MAX: u32 = 1_000;

/// A running load.
pub struct Load {
    writers: JoinSet<()>,
    stop: CancellationToken,
    shared: Arc<Shared>,
}

/// A write that a region acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    path: String,
    number: u32,
    region: usize,
    pub at: Instant,
}

struct Shared {
    /// A client of each node of each region, with a token that works while it is primary.
    regions: Vec<Vec<Client>>,
    /// Which region and which of its nodes took the last write.
    primary: AtomicUsize,
    node: AtomicUsize,
    rate_per_s: AtomicU32,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    next: AtomicU32,
    remembered: Mutex<VecDeque<Acknowledged>>,
}

impl Load {
    pub fn start(regions: Vec<Vec<Client>>, stock: u32, rate_per_s: u32) -> Load {
        let shared = Arc::new(Shared {
            regions,
            primary: AtomicUsize::new(0),
            node: AtomicUsize::new(0),
            rate_per_s: AtomicU32::new(rate_per_s),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            next: AtomicU32::new(0),
            remembered: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(stop.clone().run_until_cancelled_owned(build_stock(shared.clone(), stock)).map(drop));
        }
        writers.spawn(stop.clone().run_until_cancelled_owned(steady(shared.clone())).map(drop));
        Load { writers, stop, shared }
    }

    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Writes a second from now on; 0 pauses.
    pub fn set_rate(&self, rate_per_s: u32) {
        self.shared.rate_per_s.store(rate_per_s.min(RATE_MAX), Ordering::Relaxed);
    }

    /// When that region first acknowledged a write after that moment.
    pub fn first_acknowledged(&self, region: usize, after: Instant) -> Option<Instant> {
        let remembered = self.shared.remembered();
        remembered.iter().find(|write| write.region == region && write.at > after).map(|write| write.at)
    }

    /// Writes that `from` acknowledged and `to` does not have, newest first. `None`: `to` did not answer.
    pub async fn lost(&self, from: usize, to: usize) -> Option<Vec<Acknowledged>> {
        let newest: Vec<Acknowledged> =
            self.shared.remembered().iter().rev().filter(|write| write.region == from).cloned().collect();
        let mut lost = Vec::new();
        let mut there = 0;
        let mut found = futures::stream::iter(newest)
            .map(|write| async move { self.is_there(&write, to).await.map(|there| (write, there)) })
            .buffered(LOOKS_AT_ONCE);
        while let Some(looked) = found.next().await {
            match looked? {
                (_, true) => there += 1,
                (write, false) => {
                    there = 0;
                    lost.push(write);
                }
            }
            if there >= THERE_IN_A_ROW {
                break;
            }
        }
        Some(lost)
    }

    /// How many of these writes `region` has now.
    pub async fn there(&self, writes: &[Acknowledged], region: usize) -> Option<u64> {
        let mut count = 0;
        for write in writes {
            count += u64::from(self.is_there(write, region).await?);
        }
        Some(count)
    }

    async fn is_there(&self, write: &Acknowledged, region: usize) -> Option<bool> {
        for client in &self.shared.regions[region] {
            // The newest version may be a later write of the same path: that one came on top of it.
            match client.kv_get(MOUNT, &write.path, None).await {
                Ok(None) => return Some(false),
                Ok(Some(answer)) => {
                    let number = answer.data.as_ref().and_then(|fields| fields.get("number")?.as_u64());
                    return Some(number.is_some_and(|number| number >= u64::from(write.number)));
                }
                Err(_) => {}
            }
        }
        None
    }

    /// Ends all writes; those under way are given up.
    pub fn pause(&self) {
        self.stop.cancel();
    }

    pub async fn stop(&mut self) {
        self.stop.cancel();
        while self.writers.join_next().await.is_some() {}
    }
}

async fn build_stock(shared: Arc<Shared>, stock: u32) {
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= stock {
            return;
        }
        while !shared.write(&format!("stock/{:02}/secret-{number:05}", number % 50), number).await {
            shared.find_primary().await;
        }
    }
}

async fn steady(shared: Arc<Shared>) {
    for number in 0u32.. {
        let rate = shared.rate_per_s.load(Ordering::Relaxed);
        if rate == 0 {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let due = tokio::time::sleep(Duration::from_secs(1) / rate);
        let app = ["billing", "checkout", "ledger", "mail", "search"][number as usize % 5];
        let path = format!("apps/{app}/token-{:05}", number % PATHS);
        if shared.write(&path, number).await {
            shared.remember(path, number);
        } else {
            shared.find_primary().await;
        }
        due.await;
    }
}

impl Shared {
    /// Whether the write was acknowledged.
    async fn write(&self, path: &str, number: u32) -> bool {
        let filler = blake3::hash(&number.to_be_bytes()).to_hex().repeat(4);
        let fields = [("user", json!("demo")), ("password", json!(filler)), ("number", json!(number))];
        let fields = Fields::from_iter(fields.map(|(name, value)| (name.to_owned(), value)));
        let nodes = &self.regions[self.primary.load(Ordering::Relaxed)];
        let node = &nodes[self.node.load(Ordering::Relaxed) % nodes.len()];
        let acknowledged = node.kv_put(MOUNT, path, fields, None).await.is_ok();
        let counter = if acknowledged { &self.acknowledged } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        acknowledged
    }

    fn remember(&self, path: String, number: u32) {
        let region = self.primary.load(Ordering::Relaxed);
        let mut remembered = self.remembered();
        remembered.push_back(Acknowledged { path, number, region, at: clock::steady() });
        if remembered.len() > REMEMBERED_MAX {
            remembered.pop_front();
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, VecDeque<Acknowledged>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns to a node of the region that takes writes, once there is one.
    async fn find_primary(&self) {
        for (region, nodes) in self.regions.iter().enumerate() {
            for (node, client) in nodes.iter().enumerate() {
                if client.path_status(PATH).await.is_ok_and(|status| status.writable) {
                    self.primary.store(region, Ordering::Relaxed);
                    self.node.store(node, Ordering::Relaxed);
                    return;
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
