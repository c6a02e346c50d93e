//! A region under test: a state over memory, what is asked of it in short words, and what must always hold of it.

pub use crate::storage::{ScanLimit, Tree};

use super::super::merkle::Merkle;
use super::super::*;
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, RegionId, SyncId};
use crate::storage::keys::Key;
use crate::storage::memory::Memory;
use crate::storage::{KeyRange, Pair, Reader};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The Raft term of all that is applied.
pub const TERM: u64 = 7;

pub struct Region {
    pub store: Arc<Memory>,
    pub state: State,
}

pub fn at(epoch: u64, index: u64) -> Position {
    Position::new(Epoch(epoch), index)
}

pub fn put(key: &str, value: &str) -> Op {
    Op::Put { key: Bytes::copy_from_slice(key.as_bytes()), value: Bytes::copy_from_slice(value.as_bytes()) }
}

pub fn delete(key: &str) -> Op {
    Op::Delete { key: Bytes::copy_from_slice(key.as_bytes()) }
}

pub fn batch(ops: &[Op]) -> Batch {
    Batch { class: Class::KvWrite, at: UnixMs(1000), ops: ops.to_vec() }
}

pub fn known_primary() -> KnownPrimary {
    KnownPrimary { region: RegionId([2; 16]), name: "elsewhere".into(), addresses: vec![] }
}

pub fn keep(fork: Position) -> Command {
    Command::KeepDiverged(KeepDiverged { fork, by_epoch: Epoch(9), primary: known_primary(), at: UnixMs(5) })
}

impl EpochStart {
    pub fn new(epoch: u64, first_index: u64) -> EpochStart {
        EpochStart { epoch: Epoch(epoch), first_index, by: RegionId::default() }
    }
}

impl RegionChange {
    pub fn path(step: PathChange) -> RegionChange {
        RegionChange { path: Some(step), ..RegionChange::default() }
    }
}

impl Region {
    /// A region that was just initialised with a data set of its own.
    pub fn primary(dataset: u8) -> Region {
        let store = Arc::new(Memory::new());
        let state = State::open(store.clone(), "default").unwrap();
        let region = Region { store, state };
        let initialise = PathChange::Initialise { dataset: DatasetId([dataset; 16]) };
        region.takes(&Command::Region(RegionChange::path(initialise)));
        region
    }

    /// A region with data of its own that begins to take over `primary`'s, as if its head were at `start`.
    pub fn standby(primary: &Region, start: u64) -> Region {
        let standby = Region::primary(99);
        standby.write(&[&[put("b", "own"), put("zz own", "own")], &[put("c", "own")]]);
        let start = if start == 0 { Position::ZERO } else { at(primary.state.path().epoch.0, start) };
        standby.takes(&primary.begin_sync_at(start));
        standby
    }

    /// A standby that has applied `primary`'s log up to index `applied`, and nothing of it by copy.
    pub fn copy_of(primary: &Region, applied: u64) -> Region {
        let standby = Region::primary(99);
        standby.takes(&primary.begin_sync_at(Position::ZERO));
        let sync = standby.state.path().sync.unwrap().id;
        let nothing = CopyChunk { sync, after: Bytes::new(), through: None, entries: vec![], read_at: Position::ZERO };
        standby.takes(&Command::Copy(nothing));
        let entries = primary.state.wal(1, ScanLimit::entries(applied as usize)).unwrap();
        standby.takes(&Command::Follow { entries });
        standby
    }

    pub fn begin_sync(&self) -> Command {
        self.begin_sync_at(self.state.path().applied)
    }

    pub fn begin_sync_at(&self, start: Position) -> Command {
        let path = self.state.path();
        let mut totals = Totals::default();
        let before = self.state.wal(1, ScanLimit::entries(start.index as usize)).unwrap();
        before.iter().for_each(|entry| totals.add(&entry.batch));
        let sync = SyncState {
            id: SyncId([start.index as u8; 16]),
            kind: SyncKind::Full,
            start,
            cursor: Some(Bytes::new()),
            patches: 0,
            whole_at: start,
            entries_done: 0,
            bytes_done: 0,
            entries_total: path.entries,
            bytes_total: path.bytes,
            began_at: UnixMs(0),
        };
        Command::Region(RegionChange::path(PathChange::BeginSync {
            sync,
            dataset: path.dataset,
            epoch: path.epoch,
            history: path.history,
            totals,
            start_at: before.last().map_or(UnixMs(0), |entry| entry.batch.at),
            primary: known_primary(),
        }))
    }

    /// The next stretch for `standby`, of `entries` entries or the rest.
    pub fn chunk(&self, standby: &Region, entries: usize) -> CopyChunk {
        let sync = standby.state.path().sync.unwrap();
        let after = sync.cursor.unwrap();
        let start = if after.is_empty() { Vec::new() } else { merkle::successor(&after) };
        let found = self.state.scan_data(&KeyRange::from(start), ScanLimit::entries(entries)).unwrap();
        let through = if found.len() < entries { None } else { found.last().map(|(key, _)| key.clone()) };
        CopyChunk { sync: sync.id, after, through, entries: found, read_at: self.state.path().applied }
    }

    /// Takes over all that is left of `primary`'s data, so many entries at a time, and its log.
    pub fn copy_all(&self, primary: &Region, entries: usize) {
        while self.state.path().sync.is_some_and(|sync| sync.cursor.is_some()) {
            self.takes(&Command::Copy(primary.chunk(self, entries)));
        }
        let entries = primary.state.wal(self.state.path().applied.index + 1, ScanLimit::NONE).unwrap();
        self.takes(&Command::Follow { entries });
    }

    pub fn write(&self, batches: &[&[Op]]) -> Outcome {
        let batches = batches.iter().map(|ops| batch(ops)).collect();
        self.apply(&Command::Write { term: TERM, epoch: self.state.path().epoch, batches })
    }

    pub fn apply(&self, command: &Command) -> Outcome {
        self.state.apply(TERM, command, &[]).unwrap()
    }

    pub fn takes(&self, command: &Command) {
        let outcome = self.apply(command);
        assert!(!matches!(outcome, Outcome::Refused(_)), "{command:?} came out as {outcome:?}");
    }

    /// Refuses `command`, which leaves everything but the applied log id as it was.
    pub fn refuses(&self, command: &Command) {
        let before = (self.dump(), self.state.path(), self.state.root());
        let also = (Key::Applied, Bytes::from_static(b"the refused one's log id"));
        let outcome = self.state.apply(TERM, command, std::slice::from_ref(&also)).unwrap();
        assert!(matches!(outcome, Outcome::Refused(_)), "{command:?} came out as {outcome:?}");
        let mut after = self.dump();
        assert_eq!(after.remove(&(Tree::Node, also.0.to_bytes())), Some(also.1), "the log id counts as applied");
        let mut expected = before.0;
        expected.remove(&(Tree::Node, Key::Applied.to_bytes()));
        assert_eq!((after, self.state.path(), self.state.root()), (expected, before.1, before.2));
    }

    pub fn keys(&self) -> Vec<(Bytes, Position)> {
        let data = self.state.scan_data(&KeyRange::all(), ScanLimit::NONE).unwrap();
        data.into_iter().map(|(key, stored)| (key, stored.position)).collect()
    }

    /// Everything that is stored.
    pub fn dump(&self) -> BTreeMap<(Tree, Bytes), Bytes> {
        let all = |tree| self.store.scan(tree, &KeyRange::all(), ScanLimit::NONE).unwrap();
        let of_tree = |tree| all(tree).into_iter().map(move |(key, value): Pair| ((tree, key), value));
        Tree::ALL.into_iter().flat_map(of_tree).collect()
    }

    /// What must hold after every command: counts and Merkle tree are those of a recount, the record is stored as it is
    /// in memory, and the log has no holes.
    pub fn check(&self) {
        let path = self.state.path();
        let (mut rebuilt, entries, bytes) = Merkle::rebuild(path.dataset, self.store.as_ref()).unwrap();
        assert_eq!(self.state.root(), (path.applied, rebuilt.root()));
        assert_eq!((path.entries, path.bytes), (entries, bytes));

        let stored = self.store.get(Tree::Region, &Key::Path.to_bytes()).unwrap().unwrap();
        assert_eq!(postcard::from_bytes::<PathState>(&stored).unwrap(), path);

        let wal = self.store.scan(Tree::Wal, &KeyRange::all(), ScanLimit::NONE).unwrap();
        let wal_bytes: usize = wal.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(path.wal_bytes, wal_bytes as u64);
        let held: Vec<u64> = wal.iter().filter_map(|(key, _)| crate::storage::keys::index_of(key)).collect();
        assert_eq!(held, (path.wal_first..=path.applied.index).collect::<Vec<_>>());
        for entry in self.state.wal(0, ScanLimit::NONE).unwrap() {
            assert!(line::holds(&path.history, entry.position), "{} in {:?}", entry.position, path.history);
        }
    }

    /// Holds just what `other` holds at the same position, and both are as they must be.
    pub fn equals(&self, other: &Region) {
        self.check();
        other.check();
        let (mine, theirs) = (self.state.path(), other.state.path());
        assert!(mine.is_whole() && theirs.is_whole());
        let all = |region: &Region| region.state.scan_data(&KeyRange::all(), ScanLimit::NONE).unwrap();
        assert_eq!(all(self), all(other));
        assert_eq!(self.state.root(), other.state.root());
        assert_eq!(
            (mine.entries, mine.bytes, mine.totals, mine.applied_at),
            (theirs.entries, theirs.bytes, theirs.totals, theirs.applied_at)
        );
    }
}
