//! A region of the world: what it agreed on (a real `State`), the core in its leader, and what waits to be agreed on.

use super::super::super::context::Mutation;
use super::super::super::*;
use super::world::Replay;
use crate::api::ledger::AcceptOutcome;
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, PromotionId, RegionId};
use crate::state::scrub::Frozen;
use crate::state::{Command, Outcome, PathChange, RegionChange, State, SyncKind};
use crate::storage::keys::Key;
use crate::storage::memory::Memory;
use crate::storage::{KeyRange, ScanLimit};
use std::collections::VecDeque;
use std::sync::Arc;

/// So little that what differs takes several batches, and sometimes is too much.
const DIFF: DiffBounds = DiffBounds { batch_entries: 2, scans: 4 };

pub struct Region {
    pub index: usize,
    pub id: RegionId,
    pub name: String,
    pub state: State,
    /// The core of the present leader; `None` while there is none.
    pub core: Option<Core>,
    /// The moment that a verification looks at.
    pub kept: Option<(u64, Frozen)>,
    /// Raft terms stand for leaders: what an earlier leader's core asked for comes back to nobody.
    pub term: u64,
    pub down: bool,
    /// The epoch in which a node of this region that still runs saw it open for writes.
    pub saw_open: Option<(DatasetId, Epoch)>,
    /// Proposals in the order of the Raft log.
    pub log: VecDeque<Proposal>,
    pub peers: Vec<Peer>,
    pub adopts: Option<Adoption>,
    /// This region's wall clock minus the world's.
    pub skew_ms: u64,
    /// When the core is woken next.
    pub wake_at: Option<u64>,
}

pub struct Proposal {
    pub by: Proposer,
    pub command: Command,
}

pub enum Proposer {
    Core {
        term: u64,
        id: ProposalId,
    },
    Client,
    /// Entries of a ledger: the replay, and what became of each entry that is not written now.
    Replay(Box<Replay>, Vec<Option<AcceptOutcome>>),
    /// The driver's housekeeping.
    Keeper,
}

impl Region {
    pub fn new(index: usize, skew_ms: u64) -> Region {
        let state = State::open(Arc::new(Memory::new()), "default").expect("an empty store opens");
        let region = Region {
            index,
            id: RegionId([index as u8 + 1; 16]),
            name: ["a", "b", "c"][index].to_owned(),
            state,
            core: None,
            kept: None,
            term: 0,
            down: false,
            saw_open: None,
            log: VecDeque::new(),
            peers: Vec::new(),
            adopts: None,
            skew_ms,
            wake_at: None,
        };
        let first = PathChange::Initialise { dataset: DatasetId([index as u8 + 1; 16]) };
        region.agree(&Command::Region(RegionChange { path: Some(first), ..RegionChange::default() }));
        region
    }

    /// A node takes the lead: a new core, made from what is agreed on. A forgetful one does not know what others saw.
    pub fn lead(&mut self, now: u64, forgetful: bool, mutation: Option<Mutation>) {
        self.term += 1;
        self.wake_at = None;
        self.kept = None;
        let identity = Identity {
            region: self.id,
            name: self.name.clone(),
            addresses: vec![format!("http://{}:8200", self.name)],
            version: "0.1.0".into(),
        };
        let mut seed = [self.index as u8; 32];
        seed[..8].copy_from_slice(&self.term.to_be_bytes());
        let path = self.state.path();
        let open = !forgetful && self.saw_open == Some((path.dataset, path.epoch));
        let options = Options { identity, timing: Timing::default(), open, seed, diff: DIFF };
        let mut core = Core::new(options, self.now(now), path);
        core.ctx.mutation = mutation;
        self.core = Some(core);
    }

    pub fn now(&self, now: u64) -> Now {
        Now { steady_ms: now, wall: UnixMs(now + self.skew_ms) }
    }

    pub fn agree(&self, command: &Command) -> Outcome {
        self.state.apply(self.term, command, &[]).expect("memory does not fail")
    }

    /// What the nodes of the region tell each other.
    pub fn note_open(&mut self) {
        let path = self.state.path();
        if self.core.as_ref().is_some_and(Core::is_open) {
            self.saw_open = Some((path.dataset, path.epoch));
        }
    }

    /// Reads what is kept of a moment.
    pub fn read_kept(&self, effect: Effect) -> Input {
        let kept = |wanted: u64| {
            let kept = self.kept.as_ref().filter(|(moment, _)| *moment == wanted).map(|(_, frozen)| frozen);
            kept.ok_or_else(|| Failure::Retry("it is not kept any more".into()))
        };
        match effect {
            Effect::Scrub { read, moment, correction } => {
                let scrub = |frozen| self.state.scrub(frozen, correction).expect("memory does not fail");
                Input::Scrubbed { read, result: kept(moment).map(scrub) }
            }
            Effect::ReadFrozenNodes { read, moment, parents } => {
                Input::FrozenNodesRead { read, result: kept(moment).map(|frozen| frozen.nodes(&parents)) }
            }
            Effect::ReadFrozenHeld { read, moment, buckets, bytes_max } => {
                let held = |frozen: &Frozen| frozen.held(&buckets, bytes_max).expect("memory does not fail");
                Input::FrozenHeldRead { read, result: kept(moment).map(held) }
            }
            other => unreachable!("{other:?} reads nothing that is kept"),
        }
    }

    /// Whether it is in the middle of a diff sync.
    pub fn is_patched(&self) -> bool {
        self.state.path().sync.is_some_and(|sync| sync.kind == SyncKind::Diff && sync.cursor.is_some())
    }

    /// What is on record of a promotion.
    pub fn promotion(&self, id: PromotionId) -> Option<PromotionEnd> {
        let record = self.state.region(&Key::Promotion(id.0)).expect("memory does not fail");
        record.map(|bytes| postcard::from_bytes(&bytes).expect("the core wrote it"))
    }

    pub fn root(&self) -> Root {
        let path = self.state.path();
        Root { dataset: path.dataset, at: path.applied, hash: self.digest() }
    }

    /// Over all of the data tree: what the Merkle root stands for.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (key, stored) in self.state.scan_data(&KeyRange::all(), ScanLimit::NONE).expect("memory does not fail") {
            for part in [&key[..], &stored.position.to_bytes(), &stored.value] {
                hasher.update(&(part.len() as u32).to_be_bytes());
                hasher.update(part);
            }
        }
        *hasher.finalize().as_bytes()
    }
}

/// A leader that sees nothing wrong outside the core.
pub fn sound() -> Outside {
    Outside { sealed: Some(false), voters: Some((3, 3)), credential: Some(true), tokens: Some(0), ..Outside::default() }
}
