//! A region in one process: nodes over memory stores that can crash and stall, joined by a mesh that can break.

use crate::clock::UnixMs;
use crate::consensus::raft::{Options, Raft, Suffrage, Timing};
use crate::consensus::{Consensus, Member, Transport};
use crate::error::{Error, Result};
use crate::ids::{NodeId, Position};
use crate::state::{Batch, Class, Op, State};
use crate::storage::memory::Memory;
use crate::storage::{Engine, KeyRange, Pair, Reader, ScanLimit, SharedStore, Snapshot, Store, Tree, WriteBatch};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A memory store that can lose its process and stall its flushes.
pub struct TestStore {
    memory: Arc<Memory>,
    dead: AtomicBool,
    stalled: Mutex<bool>,
    /// Whether a flush waits for `release`.
    waited_for: AtomicBool,
    released: Condvar,
}

impl TestStore {
    fn over(memory: Arc<Memory>) -> Arc<TestStore> {
        let (dead, waited_for) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(TestStore { memory, dead, stalled: Mutex::new(false), waited_for, released: Condvar::new() })
    }

    /// From now on flushes wait until `release`.
    pub fn stall(&self) {
        *self.stalled.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub fn release(&self) {
        *self.stalled.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.released.notify_all();
    }

    pub fn is_waited_for(&self) -> bool {
        self.waited_for.load(Ordering::SeqCst)
    }

    fn alive(&self) -> Result<()> {
        if self.dead.load(Ordering::SeqCst) { Err(Error::Storage("the process is dead".into())) } else { Ok(()) }
    }
}

impl Reader for TestStore {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Bytes>> {
        self.memory.get(tree, key)
    }

    fn scan(&self, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Result<Vec<Pair>> {
        self.memory.scan(tree, range, limit)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>> {
        self.memory.last(tree)
    }
}

impl Store for TestStore {
    fn write(&self, batch: WriteBatch) -> Result<()> {
        self.alive()?;
        self.memory.write(batch)
    }

    fn flush(&self) -> Result<()> {
        let stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        self.waited_for.store(*stalled, Ordering::SeqCst);
        drop(self.released.wait_while(stalled, |stalled| *stalled));
        self.waited_for.store(false, Ordering::SeqCst);
        self.alive()?;
        self.memory.flush()
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.memory.snapshot()
    }

    fn disk_bytes(&self) -> Result<u64> {
        self.memory.disk_bytes()
    }

    fn engine(&self) -> Engine {
        Engine::Memory
    }
}

/// The network between the nodes.
#[derive(Default)]
pub struct Mesh {
    nodes: Mutex<BTreeMap<String, Arc<Raft>>>,
    /// Pairs that can't reach each other, in this direction.
    cut: Mutex<BTreeSet<(String, String)>>,
    /// Nodes that take messages and never answer.
    mute: Mutex<BTreeSet<String>>,
}

impl Mesh {
    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts `name` off from all others, both ways.
    pub fn isolate(&self, name: &str) {
        let names: Vec<String> = Mesh::lock(&self.nodes).keys().cloned().collect();
        let mut cut = Mesh::lock(&self.cut);
        for other in names.into_iter().filter(|other| other != name) {
            cut.insert((name.to_owned(), other.clone()));
            cut.insert((other, name.to_owned()));
        }
    }

    /// From now on `name` takes messages and never answers.
    pub fn mute(&self, name: &str) {
        Mesh::lock(&self.mute).insert(name.to_owned());
    }

    pub fn heal(&self) {
        Mesh::lock(&self.cut).clear();
    }

    fn target(&self, from: &str, to: &str) -> Option<Arc<Raft>> {
        if Mesh::lock(&self.cut).contains(&(from.to_owned(), to.to_owned())) {
            return None;
        }
        Mesh::lock(&self.nodes).get(to).cloned()
    }
}

/// One node's end of the mesh.
struct Port {
    mesh: Arc<Mesh>,
    from: String,
}

#[async_trait]
impl Transport for Port {
    async fn call(&self, to: &str, kind: &str, body: Bytes, timeout: Duration) -> Result<Bytes> {
        let Some(target) = self.mesh.target(&self.from, to) else {
            return Err(Error::unavailable(format!("{to} can't be reached")));
        };
        let mute = Mesh::lock(&self.mesh.mute).contains(to);
        let handled = async { if mute { std::future::pending().await } else { target.handle_rpc(kind, body).await } };
        let answer = tokio::time::timeout(timeout, handled).await;
        let answer = answer.map_err(|_| Error::Unknown(format!("{to} does not answer")))??;
        // The way back may be cut by now.
        if self.mesh.target(to, &self.from).is_none() {
            return Err(Error::Unknown(format!("the answer of {to} was lost")));
        }
        Ok(answer)
    }
}

pub struct Node {
    pub name: String,
    pub raft: Arc<Raft>,
    pub store: Arc<TestStore>,
}

impl Node {
    pub fn id(&self) -> NodeId {
        NodeId::of(&self.name)
    }

    pub fn value(&self, key: &str) -> Option<Bytes> {
        self.raft.state().data(key.as_bytes()).expect("memory reads").map(|stored| stored.value)
    }

    /// Waits until the node has applied everything up to the log index.
    pub async fn applied(&self, index: u64) {
        let mut standing = self.raft.standing();
        standing.wait_for(|standing| standing.applied_index >= index).await.expect("the node runs");
    }
}

pub struct Region {
    pub mesh: Arc<Mesh>,
    pub timing: Timing,
    pub nodes: BTreeMap<String, Node>,
    /// Of nodes that crashed: what their disks hold.
    disks: BTreeMap<String, Arc<Memory>>,
}

impl Region {
    /// A region of `count` voters, `a`, `b`, …
    pub async fn of(count: u8) -> Region {
        Region::with(count, Timing::fast()).await
    }

    pub async fn with(count: u8, timing: Timing) -> Region {
        let mut region = Region { mesh: Arc::default(), timing, nodes: BTreeMap::new(), disks: BTreeMap::new() };
        for at in 0..count {
            let name = char::from(b'a' + at).to_string();
            region.start(&name).await;
            if at == 0 {
                let raft = &region.nodes[&name].raft;
                // A test's deadline for proposals is this one's as well, and may be short.
                while !matches!(raft.initialise().await, Ok(_) | Err(Error::Conflict(_))) {}
                region.leader().await;
            } else {
                region.join(&name).await;
            }
        }
        region
    }

    /// Starts a node on what its disk holds, if it had one.
    pub async fn start(&mut self, name: &str) {
        let memory = self.disks.remove(name).unwrap_or_default();
        let store = TestStore::over(memory);
        let shared: SharedStore = store.clone();
        let state = Arc::new(State::open(shared.clone(), "default").expect("the disk holds a state"));
        let transport = Arc::new(Port { mesh: self.mesh.clone(), from: name.to_owned() });
        let options = Options {
            node: NodeId::of(name),
            name: name.to_owned(),
            api_addr: name.to_owned(),
            store: shared,
            state,
            transport,
            timing: self.timing,
        };
        let raft = Raft::open(options).await.expect("the node opens");
        Mesh::lock(&self.mesh.nodes).insert(name.to_owned(), raft.clone());
        self.nodes.insert(name.to_owned(), Node { name: name.to_owned(), raft, store });
    }

    /// Takes a started node in, by whoever leads.
    pub async fn join(&self, name: &str) {
        let member = Member { name: name.to_owned(), api_addr: name.to_owned(), ..Member::default() };
        loop {
            match self.leader().await.raft.add_node(NodeId::of(name), member.clone(), Suffrage::Voter).await {
                Ok(()) => return,
                Err(error) => tracing::info!(%error, "joining again"),
            }
        }
    }

    /// Removes a node, by whoever leads.
    pub async fn leave(&self, name: &str) {
        let id = NodeId::of(name);
        loop {
            match self.leader().await.raft.remove_node(id).await {
                Ok(()) | Err(Error::NotFound(_)) => return,
                Err(error) => tracing::info!(%error, "leaving again"),
            }
        }
    }

    /// Kills a node as a power cut does: what was not flushed is gone.
    pub async fn crash(&mut self, name: &str) {
        let node = self.nodes.remove(name).expect("the node runs");
        Mesh::lock(&self.mesh.nodes).remove(name);
        node.store.dead.store(true, Ordering::SeqCst);
        node.store.memory.crash();
        node.store.release();
        // It ends with errors, since its disk is dead.
        let _ = node.raft.shutdown().await;
        self.disks.insert(name.to_owned(), node.store.memory.clone());
    }

    /// A node that leads and may evaluate writes; waits for one.
    pub async fn leader(&self) -> &Node {
        self.leader_among(|_| true).await
    }

    pub async fn leader_among(&self, eligible: impl Fn(&str) -> bool) -> &Node {
        let waits = self.nodes.values().filter(|node| eligible(&node.name)).map(|node| {
            Box::pin(async move {
                let mut standing = node.raft.standing();
                let leads = standing.wait_for(|standing| standing.lead_term.is_some()).await;
                leads.expect("the node runs");
                node
            })
        });
        futures::future::select_all(waits).await.0
    }

    /// Writes through whoever leads until it is acknowledged. Repeating is harmless: the value is the same.
    pub async fn write(&self, key: &str, value: &str) -> Position {
        self.write_among(key, value, |_| true).await
    }

    pub async fn write_among(&self, key: &str, value: &str, eligible: impl Fn(&str) -> bool) -> Position {
        loop {
            let leader = self.leader_among(&eligible).await;
            let written = match leader.raft.lead_term() {
                Ok(term) => leader.raft.write(term, put(key, value)).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(position) => return position,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    /// Waits until all running nodes hold the same.
    pub async fn agree(&self) {
        let leader = loop {
            let leader = self.leader().await;
            if leader.raft.read_barrier().await.is_ok() {
                break leader;
            }
        };
        let index = leader.raft.standing().borrow().applied_index;
        for node in self.nodes.values() {
            node.applied(index).await;
        }
        let root = leader.raft.state().root();
        for node in self.nodes.values() {
            assert_eq!(node.raft.state().root(), root, "node {} differs from {}", node.name, leader.name);
        }
    }

    pub async fn shutdown(self) {
        for node in self.nodes.values() {
            node.raft.shutdown().await.expect("the node stops");
        }
    }
}

pub fn put(key: &str, value: &str) -> Batch {
    let op = Op::Put { key: Bytes::copy_from_slice(key.as_bytes()), value: Bytes::copy_from_slice(value.as_bytes()) };
    Batch { class: Class::KvWrite, at: UnixMs(1), ops: vec![op] }
}
