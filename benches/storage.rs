//! What the storage engines cost, side by side: loads, overwrites, deletes, reads, and commits of many writers that
//! share flushes. Plain timing, one table on stdout.
//!
//!     cargo bench --bench storage                     50 000 entries
//!     cargo bench --bench storage -- 1000000          as in the table of record
//!     ENTRIES=200000 VALUE_BYTES=1024 cargo bench --bench storage

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use twinkeep::storage::{self, Engine, KeyRange, ScanLimit, SharedStore, Tree, WriteBatch};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ENTRIES: u64 = 50_000;
const VALUE_BYTES: u64 = 300;
const LOAD_BATCH: u64 = 500;
const OVERWRITE_BATCH: u64 = 100;
const WRITERS: [u64; 4] = [1, 16, 64, 256];
const COMMITTING: Duration = Duration::from_secs(2);
const SCAN_CHUNK: ScanLimit = ScanLimit { entries: 4096, bytes: 8 << 20 };

/// A row's name, and its cell for each engine.
type Row = (String, Vec<String>);

fn main() -> Result<()> {
    // Cargo passes `--bench`; a number is the count of entries.
    let argument = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let entries = argument.or(number("ENTRIES")?).unwrap_or(ENTRIES);
    let value_bytes = number("VALUE_BYTES")?.unwrap_or(VALUE_BYTES) as usize;
    println!("{entries} entries, values of {value_bytes} B, every batch flushed\n");

    let mut rows: Vec<Row> = Vec::new();
    for (at, engine) in [Engine::Fjall, Engine::Sled].into_iter().enumerate() {
        for (name, cell) in measure(engine, entries, value_bytes)? {
            match at {
                0 => rows.push((name, vec![cell])),
                _ => rows.iter_mut().filter(|row| row.0 == name).for_each(|row| row.1.push(cell.clone())),
            }
        }
    }
    println!("{:<38} {:>16} {:>16}", "", "fjall", "sled");
    for (name, cells) in rows {
        println!("{name:<38} {:>16} {:>16}", cells[0], cells[1]);
    }
    Ok(())
}

fn number(variable: &str) -> Result<Option<u64>> {
    Ok(std::env::var(variable).ok().map(|text| text.parse()).transpose()?)
}

fn measure(engine: Engine, entries: u64, value_bytes: usize) -> Result<Vec<(String, String)>> {
    let directory = tempfile::tempdir()?;
    let mut cells = Vec::new();
    let mut cell = |name: &str, text: String| cells.push((name.to_owned(), text));
    let store = storage::open(directory.path(), engine)?;

    let load = || write_all(&store, entries, LOAD_BATCH, |key| Some(value(key, 0, value_bytes)));
    cell("load, batches of 500", rate(entries, load)?);
    cell("on disk", megabytes(store.disk_bytes()?));
    let overwrite = || write_all(&store, entries, OVERWRITE_BATCH, |key| Some(value(key, 1, value_bytes)));
    cell("overwrite all, batches of 100", rate(entries, overwrite)?);
    cell("on disk after overwriting", megabytes(store.disk_bytes()?));
    cell("scan", rate(entries, || scan(&store))?);
    cell("random reads", rate(entries, || read_all(&store, entries))?);
    let delete = || write_all(&store, entries / 2, LOAD_BATCH, |_| None);
    cell("delete half, batches of 500", rate(entries / 2, delete)?);
    cell("on disk after deleting half", megabytes(store.disk_bytes()?));
    for writers in WRITERS {
        let text = commits(&store, writers, value_bytes)?;
        cell(&format!("commits of {writers} writers sharing flushes"), text);
    }
    cell("on disk after the log's appends", megabytes(store.disk_bytes()?));
    cell("trim of the log, 4096 a batch", trim(&store)?);
    cell("on disk after the trim", megabytes(store.disk_bytes()?));
    drop(store);
    let reopened = Instant::now();
    let store = storage::open(directory.path(), engine)?;
    cell("reopen", format!("{} ms", reopened.elapsed().as_millis()));
    cell("on disk then", megabytes(store.disk_bytes()?));
    cell("resident now; highest so far", resident()?);
    Ok(cells)
}

/// Spread like the hashes and ciphertexts that keys are.
fn key(number: u64) -> Vec<u8> {
    let mut key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
    key.extend_from_slice(b"a path of usual length in ciphertext");
    key
}

/// Incompressible, as ciphertext is.
fn value(key: u64, version: u64, bytes: usize) -> Vec<u8> {
    let mut value = vec![0; bytes];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.to_be_bytes()).update(&version.to_be_bytes());
    hasher.finalize_xof().fill(&mut value);
    value
}

fn write_all(store: &SharedStore, entries: u64, batch: u64, value: impl Fn(u64) -> Option<Vec<u8>>) -> Result<()> {
    for first in (0..entries).step_by(batch as usize) {
        let mut writes = WriteBatch::new();
        for number in first..(first + batch).min(entries) {
            match value(number) {
                Some(value) => writes.put(Tree::Data, key(number), value),
                None => writes.delete(Tree::Data, key(number)),
            }
        }
        store.write(writes)?;
        store.flush()?;
    }
    Ok(())
}

fn scan(store: &SharedStore) -> Result<()> {
    let mut range = KeyRange::all();
    loop {
        let chunk = store.scan(Tree::Data, &range, SCAN_CHUNK)?;
        let Some((last, _)) = chunk.last() else { return Ok(()) };
        range.start = [last, &[0_u8][..]].concat();
    }
}

fn read_all(store: &SharedStore, entries: u64) -> Result<()> {
    for number in 0..entries {
        let key = key(number.wrapping_mul(7919) % entries);
        store.get(Tree::Data, &key)?.ok_or("an entry is missing")?;
    }
    Ok(())
}

/// Each writer appends one entry to the log and flushes, over and over.
fn commits(store: &SharedStore, writers: u64, value_bytes: usize) -> Result<String> {
    let stop = AtomicBool::new(false);
    let first = store.last(Tree::Log)?.and_then(|(key, _)| storage::keys::index_of(&key)).map_or(0, |last| last + 1);
    let next = AtomicU64::new(first);
    let began = Instant::now();
    let failed = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..writers)
            .map(|_| {
                scope.spawn(|| -> twinkeep::error::Result<()> {
                    while !stop.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let mut writes = WriteBatch::new();
                        writes.put(Tree::Log, index.to_be_bytes().to_vec(), value(index, 2, value_bytes));
                        store.write(writes)?;
                        store.flush()?;
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::sleep(COMMITTING);
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().find_map(|writer| writer.join().expect("no writer panics").err())
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(per_second(next.load(Ordering::Relaxed) - first, began.elapsed())),
    }
}

fn trim(store: &SharedStore) -> Result<String> {
    let began = Instant::now();
    let mut trimmed = 0;
    loop {
        let oldest = store.scan(Tree::Log, &KeyRange::all(), SCAN_CHUNK)?;
        if oldest.is_empty() {
            return Ok(per_second(trimmed, began.elapsed()));
        }
        trimmed += oldest.len() as u64;
        let mut writes = WriteBatch::new();
        oldest.into_iter().for_each(|(key, _)| writes.delete(Tree::Log, key));
        store.write(writes)?;
        store.flush()?;
    }
}

fn rate(count: u64, work: impl Fn() -> Result<()>) -> Result<String> {
    let began = Instant::now();
    work()?;
    Ok(per_second(count, began.elapsed()))
}

fn per_second(count: u64, took: Duration) -> String {
    format!("{:.0}/s", count as f64 / took.as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

/// Of the process, so the second engine's includes what the first one left.
fn resident() -> Result<String> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status"))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let megabytes = |name| field(name).map_or("?".into(), |kib| (kib / 1024).to_string());
    Ok(format!("{}; {} MB", megabytes("VmRSS:"), megabytes("VmHWM:")))
}
