//! Runs `scripts/*` on each engine; all must answer alike. `UPDATE_GOLDENFILES=1 cargo test --test storage` writes the
//! answers anew, for a review by eye.

use crate::subject::Subject;
use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use twinkeep::storage::{Engine, KeyRange, Pair, Reader, ScanLimit, Snapshot, Tree, WriteBatch};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Keys are written `tree/key`; each character is a byte, so `"data/\xff"` is the key `ff` of the data tree.
#[derive(goldenscript::Command)]
enum Command {
    /// One atomic batch. The value DELETE deletes.
    Write(Vec<(String, String)>),
    WriteLarge {
        key: String,
        #[arg(key)]
        bytes: usize,
        #[arg(key)]
        fill: char,
    },
    Get {
        key: String,
        #[arg(key)]
        snapshot: Option<String>,
    },
    Scan {
        tree: String,
        #[arg(key)]
        from: Option<String>,
        #[arg(key)]
        to: Option<String>,
        #[arg(key)]
        prefix: Option<String>,
        #[arg(key)]
        entries: Option<usize>,
        #[arg(key)]
        bytes: Option<usize>,
        #[arg(key)]
        snapshot: Option<String>,
    },
    Last {
        tree: String,
        #[arg(key)]
        snapshot: Option<String>,
    },
    Snapshot(String),
    Drop(String),
    Flush,
    Reopen,
}

struct Runner {
    subject: Subject,
    snapshots: HashMap<String, Box<dyn Snapshot>>,
}

impl Runner {
    fn reader(&self, snapshot: Option<&String>) -> Result<&dyn Reader> {
        Ok(match snapshot {
            Some(name) => self.snapshots.get(name).ok_or("no such snapshot")?.as_ref(),
            None => self.subject.store(),
        })
    }
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &goldenscript::Context) -> Result<String> {
        let mut out = String::new();
        match command {
            Command::Write(changes) => {
                let mut batch = WriteBatch::new();
                for (key, value) in changes {
                    let (tree, key) = tree_and_key(key)?;
                    match value.as_str() {
                        "DELETE" => batch.delete(tree, key),
                        value => batch.put(tree, key, bytes(value)),
                    }
                }
                self.subject.store().write(batch)?;
            }
            Command::WriteLarge { key, bytes, fill } => {
                let (tree, key) = tree_and_key(key)?;
                let mut batch = WriteBatch::new();
                batch.put(tree, key, vec![*fill as u8; *bytes]);
                self.subject.store().write(batch)?;
            }
            Command::Get { key, snapshot } => {
                let (tree, bytes) = tree_and_key(key)?;
                let found = self.reader(snapshot.as_ref())?.get(tree, &bytes)?;
                writeln!(out, "{}", found.map_or("none".into(), |value| shown(&value)))?;
            }
            Command::Scan { tree, from, to, prefix, entries, bytes: max_bytes, snapshot } => {
                let range = match (prefix, from, to) {
                    (Some(prefix), None, None) => KeyRange::prefix(&bytes(prefix)),
                    (None, from, to) => KeyRange {
                        start: from.as_deref().map(bytes).unwrap_or_default(),
                        end: to.as_deref().map(bytes),
                    },
                    _ => return Err("prefix or from and to".into()),
                };
                let limit =
                    ScanLimit { entries: entries.unwrap_or(usize::MAX), bytes: max_bytes.unwrap_or(usize::MAX) };
                let found = self.reader(snapshot.as_ref())?.scan(tree_named(tree)?, &range, limit)?;
                found.iter().try_for_each(|pair| writeln!(out, "{}", shown_pair(pair)))?;
                if found.is_empty() {
                    writeln!(out, "nothing")?;
                }
            }
            Command::Last { tree, snapshot } => {
                let found = self.reader(snapshot.as_ref())?.last(tree_named(tree)?)?;
                writeln!(out, "{}", found.as_ref().map_or("none".into(), shown_pair))?;
            }
            Command::Snapshot(name) => {
                self.snapshots.insert(name.clone(), self.subject.store().snapshot()?);
            }
            Command::Drop(name) => {
                self.snapshots.remove(name).ok_or("no such snapshot")?;
            }
            Command::Flush => self.subject.store().flush()?,
            Command::Reopen => {
                self.snapshots.clear();
                self.subject.reopen();
            }
        }
        Ok(out)
    }
}

fn tree_named(name: &str) -> Result<Tree> {
    Ok(Tree::ALL.into_iter().find(|tree| tree.name() == name).ok_or(format!("no tree `{name}`"))?)
}

fn tree_and_key(text: &str) -> Result<(Tree, Vec<u8>)> {
    let (tree, key) = text.split_once('/').ok_or("a key is written tree/key")?;
    Ok((tree_named(tree)?, bytes(key)))
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|char| char as u8).collect()
}

fn shown_pair((key, value): &Pair) -> String {
    format!("{} = {}", key.escape_ascii(), shown(value))
}

fn shown(value: &[u8]) -> String {
    match value {
        [first, .., last] if value.len() > 64 => {
            assert!(value.iter().all(|byte| byte == first), "a large value is one byte over and over");
            format!("{} bytes of {}", value.len(), (*last).escape_ascii())
        }
        _ => value.escape_ascii().to_string(),
    }
}

fn run_all(engine: Engine) {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/storage/scripts");
    for script in fs::read_dir(scripts).unwrap() {
        let mut runner = Runner { subject: Subject::new(engine), snapshots: HashMap::new() };
        goldenscript::run(&mut runner, script.unwrap().path()).unwrap();
    }
}

#[test]
fn scripts_on_memory() {
    run_all(Engine::Memory);
}

#[test]
fn scripts_on_fjall() {
    run_all(Engine::Fjall);
}

#[test]
fn scripts_on_sled() {
    run_all(Engine::Sled);
}
