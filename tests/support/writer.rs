//! Writers that remember what was acknowledged to them.

use super::{Region, wait_for};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;
use twinkeep::api::kv::{Fields, ReadAnswer};
use twinkeep::client::Client;

const WRITERS: usize = 4;
/// Of `preload`.
const IN_FLIGHT: usize = 8;

/// A secret of one field.
pub fn fields(value: &str) -> Fields {
    Fields::from_iter([("value".to_owned(), value.into())])
}

/// Writes `count` secrets of `bytes` each, so that there is something to sync.
pub async fn preload(region: &Region, count: usize, bytes: usize) {
    let client = region.client().await;
    let tasks = (0..IN_FLIGHT).map(|part| {
        let client = client.clone();
        tokio::spawn(async move {
            for number in (part..count).step_by(IN_FLIGHT) {
                let value = format!("{number:06}").repeat(bytes / 6);
                let name = format!("load/{number}");
                wait_for("a write", || async { client.kv_put("secret", &name, fields(&value), None).await.ok() }).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a writer that does not panic");
    }
}

/// Writes secrets one after the other, to whichever node takes them, until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<BTreeMap<String, String>>>,
}

/// What was acknowledged: path and value.
pub struct Written(BTreeMap<String, String>);

impl Writer {
    pub fn start(region: &Region) -> Writer {
        Writer::start_at(region.nodes.iter().map(|node| node.client(&region.token)).collect())
    }

    /// Writes to whichever of these takes it: clients of several regions may be among them.
    pub fn start_at(clients: Vec<Client>) -> Writer {
        // Of each test process, so that no two write the same names.
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..WRITERS)
            .map(|writer| format!("{run}/{writer}"))
            .map(|writer| tokio::spawn(write(writer, clients.clone(), stop.clone(), acknowledged.clone())))
            .collect();
        Writer { stop, acknowledged, tasks }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub async fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for task in self.tasks {
            all.extend(task.await.expect("a writer that does not panic"));
        }
        Written(all)
    }
}

/// Each secret is written once, under a name of its own: a write that failed may be there or not.
async fn write(
    writer: String,
    clients: Vec<Client>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> BTreeMap<String, String> {
    let mut written = BTreeMap::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (path, value) = (format!("writer/{writer}/{number}"), format!("{writer} wrote {number}"));
        let client = &clients[number % clients.len()];
        match client.kv_put("secret", &path, fields(&value), None).await {
            Ok(_) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                written.insert(path, value);
            }
            // A node that is gone refuses at once: don't spin.
            Err(_) => tokio::time::sleep(super::PAUSE).await,
        }
    }
    written
}

/// What is there. A region whose leadership moves just now is asked again, as any client would.
async fn read(client: &Client, path: &str) -> Option<ReadAnswer> {
    super::wait_for("an answer to a read", || async { client.kv_get("secret", path, None).await.ok() }).await
}

impl Written {
    /// Every acknowledged write is there, as it was written.
    pub async fn expect_all(&self, client: &Client) {
        assert!(!self.0.is_empty(), "nothing was acknowledged");
        for (path, value) in &self.0 {
            let read = read(client, path).await;
            let data = read.and_then(|read| read.data);
            assert_eq!(data, Some(fields(value)), "{path} was acknowledged");
        }
    }

    /// Of the acknowledged writes those that are not there as they were written.
    pub async fn missing(&self, client: &Client) -> Vec<String> {
        let mut missing = Vec::new();
        for (path, value) in &self.0 {
            let read = read(client, path).await;
            if read.and_then(|read| read.data) != Some(fields(value)) {
                missing.push(path.clone());
            }
        }
        missing
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}
