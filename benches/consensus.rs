//! Writes per second through Raft: three nodes in this process, each on its own engine and directory, every log
//! flushed, values of 1 KiB, by number of writers.
//!
//!     cargo bench --bench consensus [-- SECONDS]

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use twinkeep::clock;
use twinkeep::consensus::raft::{Options, Raft, Suffrage, Timing};
use twinkeep::consensus::{Consensus, Member, Transport};
use twinkeep::error::{Error, Result};
use twinkeep::ids::NodeId;
use twinkeep::state::{Batch, Class, Op, State};
use twinkeep::storage::{self, Engine};

const NODES: [&str; 3] = ["a", "b", "c"];
const WRITERS: [usize; 4] = [1, 16, 64, 256];
const VALUE_BYTES: usize = 1024;

/// Calls straight into the other nodes.
#[derive(Default)]
struct Mesh {
    nodes: BTreeMap<&'static str, OnceLock<Arc<Raft>>>,
}

#[async_trait]
impl Transport for Mesh {
    async fn call(&self, to: &str, kind: &str, body: Bytes, timeout: Duration) -> Result<Bytes> {
        let node = self.nodes.get(to).and_then(OnceLock::get);
        let node = node.ok_or_else(|| Error::unavailable(format!("{to} is not up")))?.clone();
        let (kind, late) = (kind.to_owned(), |_| Error::unavailable("no answer in time"));
        tokio::time::timeout(timeout, async move { node.handle_rpc(&kind, body).await }).await.map_err(late)?
    }
}

async fn open(mesh: &Arc<Mesh>, name: &'static str, directory: &Path, engine: Engine) -> Result<Arc<Raft>> {
    let store = storage::open(&directory.join(name), engine)?;
    let state = Arc::new(State::open(store.clone(), "default")?);
    let options = Options {
        node: NodeId::of(name),
        name: name.to_owned(),
        api_addr: name.to_owned(),
        store,
        state,
        transport: mesh.clone(),
        timing: Timing::wan_free_default(),
    };
    let raft = Raft::open(options).await?;
    if mesh.nodes[name].set(raft.clone()).is_err() {
        return Err(Error::internal("a node opens once"));
    }
    Ok(raft)
}

async fn region(directory: &Path, engine: Engine) -> Result<Vec<Arc<Raft>>> {
    let mesh = Arc::new(Mesh { nodes: NODES.iter().map(|name| (*name, OnceLock::new())).collect() });
    let mut nodes = Vec::new();
    for name in NODES {
        let node = open(&mesh, name, directory, engine).await?;
        match nodes.first() {
            None => node.initialise().await?,
            Some(leader) => {
                let leader: &Arc<Raft> = leader;
                let member = Member { name: name.to_owned(), api_addr: name.to_owned(), ..Member::default() };
                leader.add_node(NodeId::of(name), member, Suffrage::Voter).await?;
            }
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// One writer until `until`: the time each of its writes took.
async fn write(leader: Arc<Raft>, writer: usize, until: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while clock::steady() < until {
        let key = format!("{writer}/{}", took.len());
        let op = Op::Put { key: key.into(), value: vec![b'v'; VALUE_BYTES].into() };
        let began = clock::steady();
        let term = leader.lead_term()?;
        leader.write(term, Batch { class: Class::KvWrite, at: clock::now(), ops: vec![op] }).await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

async fn measure(engine: Engine, time: Duration) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let nodes = region(directory.path(), engine).await?;
    for writers in WRITERS {
        let until = clock::steady() + time;
        let tasks: Vec<_> = (0..writers).map(|at| tokio::spawn(write(nodes[0].clone(), at, until))).collect();
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await.map_err(|error| Error::internal(error.to_string()))??);
        }
        took.sort_unstable();
        let rate = took.len() as f64 / time.as_secs_f64();
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        println!("{:8} {writers:4} writers {rate:9.0}/s   p50 {:?}   p99 {:?}", engine.name(), at(50), at(99));
    }
    for node in &nodes {
        node.shutdown().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(5);
    for engine in [Engine::Fjall, Engine::Sled] {
        measure(engine, Duration::from_secs(seconds)).await?;
    }
    Ok(())
}
