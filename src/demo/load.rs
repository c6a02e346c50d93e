//! The demo's load: a stock of secrets at the start, then a steady rate of writes, to whichever region is primary.

use super::PATH;
use crate::api::kv::Fields;
use crate::client::Client;
use futures::FutureExt;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MOUNT: &str = "secret";
/// Writers that build up the stock.
const WRITERS: u32 = 32;
/// Paths that the steady rate writes in turn, so that the data does not grow for ever.
const PATHS: u32 = 2_000;
/// Between two looks for the primary while there is none.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A running load.
pub struct Load {
    writers: JoinSet<()>,
    stop: CancellationToken,
    shared: Arc<Shared>,
}

struct Shared {
    /// A client of each region, with a token that works while it is primary.
    regions: Vec<Client>,
    /// Which of them took the last write.
    primary: AtomicU32,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    next: AtomicU32,
}

impl Load {
    pub fn start(regions: Vec<Client>, stock: u32, rate_per_s: u32) -> Load {
        let shared = Arc::new(Shared {
            regions,
            primary: AtomicU32::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            next: AtomicU32::new(0),
        });
        let stop = CancellationToken::new();
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(stop.clone().run_until_cancelled_owned(build_stock(shared.clone(), stock)).map(drop));
        }
        if rate_per_s > 0 {
            writers.spawn(stop.clone().run_until_cancelled_owned(steady(shared.clone(), rate_per_s)).map(drop));
        }
        Load { writers, stop, shared }
    }

    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Ends all writes; those under way are given up.
    pub fn pause(&self) {
        self.stop.cancel();
    }

    pub async fn stop(mut self) {
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

async fn steady(shared: Arc<Shared>, rate_per_s: u32) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate_per_s);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for number in 0u32.. {
        ticks.tick().await;
        let app = ["billing", "checkout", "ledger", "mail", "search"][number as usize % 5];
        if !shared.write(&format!("apps/{app}/token-{:04}", number % PATHS), number).await {
            shared.find_primary().await;
        }
    }
}

impl Shared {
    /// Whether the write was acknowledged.
    async fn write(&self, path: &str, number: u32) -> bool {
        let filler = blake3::hash(&number.to_be_bytes()).to_hex().repeat(4);
        let fields = Fields::from_iter([("user".to_owned(), json!("demo")), ("password".to_owned(), json!(filler))]);
        let region = &self.regions[self.primary.load(Ordering::Relaxed) as usize];
        let acknowledged = region.kv_put(MOUNT, path, fields, None).await.is_ok();
        let counter = if acknowledged { &self.acknowledged } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        acknowledged
    }

    /// Turns to the region that takes writes, once there is one.
    async fn find_primary(&self) {
        for (number, region) in self.regions.iter().enumerate() {
            if region.path_status(PATH).await.is_ok_and(|status| status.writable) {
                self.primary.store(number as u32, Ordering::Relaxed);
                return;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
