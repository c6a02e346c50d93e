//! A process that writes numbered batches and says which are durable, and the check of what it left behind.
//!
//! It is this test binary itself, started anew with `WRITER` in its environment. Batch `n` is a function of `n`, so
//! what a store must hold after `n` batches can be computed; which `n` it is stands in the store.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use twinkeep::storage::{self, Engine, KeyRange, ScanLimit, Store, Tree, WriteBatch};

/// `ENGINE VALUE_BYTES flush|lie DIRECTORY`.
const WRITER: &str = "TWINKEEP_TEST_WRITER";

const LAST_BATCH: &[u8] = b"last batch";
/// The data tree's keys are written over and over, the log keeps this many entries.
const DATA_KEYS: u64 = 24;
const LOG_ENTRIES: u64 = 16;
/// The writer flushes after 1, 2, … up to so many batches.
const BATCHES_PER_FLUSH_MAX: u64 = 4;

/// Whether the writer flushes before it says that a batch is durable. Lying shows that the check can see a loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Honesty {
    Flush,
    Lie,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub engine: Engine,
    pub value_bytes: usize,
    pub honesty: Honesty,
}

/// A writer under way.
pub struct Writer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    acknowledged: u64,
}

impl Writer {
    pub fn start(plan: Plan, directory: &Path) -> Writer {
        let honesty = if plan.honesty == Honesty::Flush { "flush" } else { "lie" };
        let spec = format!("{} {} {honesty} {}", plan.engine.name(), plan.value_bytes, directory.display());
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["writer::writer_process", "--exact", "--nocapture"])
            .env(WRITER, spec)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Writer { child, lines, acknowledged: 0 }
    }

    /// Waits until the writer has said `count` times more that something is durable.
    pub fn wait_for(&mut self, count: usize) {
        let mut heard = 0;
        while heard < count {
            assert!(self.hear(), "the writer ended by itself");
            heard += 1;
        }
    }

    pub fn id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Kills the writer, and returns the newest batch that it had acknowledged.
    pub fn kill(mut self) -> u64 {
        self.child.kill().unwrap();
        while self.hear() {}
        self.child.wait().unwrap();
        self.acknowledged
    }

    fn hear(&mut self) -> bool {
        for line in self.lines.by_ref() {
            if let Some(batch) = line.unwrap().strip_prefix("durable ") {
                self.acknowledged = batch.parse().unwrap();
                return true;
            }
        }
        false
    }
}

/// Not a test but the writer's process, when started by `Writer::start`.
#[test]
fn writer_process() {
    let Ok(spec) = env::var(WRITER) else { return };
    let mut spec = spec.splitn(4, ' ');
    let mut next = || spec.next().unwrap();
    let engine = Engine::from_name(next()).unwrap();
    let value_bytes = next().parse().unwrap();
    let flushes = next() == "flush";
    let store = storage::open(Path::new(next()), engine).unwrap();
    let mut number = last_batch(store.as_ref());
    loop {
        for _ in 0..=number % BATCHES_PER_FLUSH_MAX {
            number += 1;
            store.write(batch(number, value_bytes)).unwrap();
        }
        if flushes {
            store.flush().unwrap();
        }
        println!("durable {number}");
    }
}

fn last_batch(store: &dyn Store) -> u64 {
    let last = store.get(Tree::Node, LAST_BATCH).unwrap();
    last.map_or(0, |bytes| u64::from_be_bytes(bytes.as_ref().try_into().unwrap()))
}

/// Overwrites and deletes in one tree, appends and front deletes in others, all in one batch.
fn batch(number: u64, value_bytes: usize) -> WriteBatch {
    let mut value = vec![number as u8; value_bytes];
    value.extend_from_slice(&number.to_be_bytes());
    let value = Bytes::from(value);
    let mut batch = WriteBatch::new();
    let data_key = |number: u64| Bytes::from(format!("data key {}", number % DATA_KEYS));
    batch.put(Tree::Data, data_key(number), value.clone());
    batch.delete(Tree::Data, data_key(number * 7));
    batch.put(Tree::Log, number.to_be_bytes().to_vec(), value.clone());
    batch.put(Tree::Wal, number.to_be_bytes().to_vec(), value);
    if let Some(old) = number.checked_sub(LOG_ENTRIES) {
        batch.delete(Tree::Log, old.to_be_bytes().to_vec());
        batch.delete(Tree::Wal, old.to_be_bytes().to_vec());
    }
    batch.put(Tree::Node, LAST_BATCH, number.to_be_bytes().to_vec());
    batch
}

/// Checks that the store holds just what batches 1 to n made of it, for some n: nothing was lost but a suffix, and no
/// batch is there in part. Returns n.
pub fn check(store: &dyn Store, value_bytes: usize) -> u64 {
    let last = last_batch(store);
    let mut expected: BTreeMap<(Tree, Bytes), Bytes> = BTreeMap::new();
    // What older batches wrote has been written over or deleted since.
    for number in last.saturating_sub(4 * DATA_KEYS) + 1..=last {
        for (tree, key, value) in batch(number, value_bytes).into_ops() {
            match value {
                Some(value) => expected.insert((tree, key), value),
                None => expected.remove(&(tree, key)),
            };
        }
    }
    for tree in Tree::ALL {
        let found = store.scan(tree, &KeyRange::all(), ScanLimit::NONE).unwrap();
        let mut found = found.into_iter();
        for ((_, key), value) in expected.iter().filter(|((at, _), _)| *at == tree) {
            let (found_key, found_value) = found.next().unwrap_or_default();
            assert_eq!(found_key, key, "after batch {last} of {value_bytes} byte values, in {}", tree.name());
            assert!(
                found_value == value,
                "wrong value of {key:?} after batch {last} of {value_bytes} byte values, in {}",
                tree.name()
            );
        }
        assert_eq!(found.next().map(|(key, _)| key), None, "after batch {last}, in {}", tree.name());
    }
    last
}
