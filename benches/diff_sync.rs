//! Bytes over the link and time of a full sync, then of a diff sync when few of many entries differ: two cores over
//! applied states in memory, their messages encoded as the link does, without sockets and without Raft.
//!
//!     cargo bench --bench diff_sync [-- ENTRIES DIFFERING]

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use twinkeep::clock::{self, UnixMs};
use twinkeep::ids::{DatasetId, RegionId};
use twinkeep::replication::protocol::{
    Adoption, CallId, Core, DiffBounds, Effect, Identity, Input, Now, Options, Peer, RangeRead, RequestId, Timing,
};
use twinkeep::state::merkle::successor;
use twinkeep::state::{Batch, Class, Command, Op, PathChange, RegionChange, State};
use twinkeep::storage::KeyRange;
use twinkeep::storage::memory::Memory;

const VALUE_BYTES: usize = 300;
const OPS_PER_BATCH: u64 = 1000;
const MAX_PARALLEL: u32 = 8;

struct Region {
    id: RegionId,
    state: State,
    core: Core,
}

/// Two regions and what is on its way between them.
struct Link {
    regions: [Region; 2],
    inputs: VecDeque<(usize, Input)>,
    carried: usize,
    /// By which call each request was made.
    calls: Vec<CallId>,
    now: Now,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let entries = arguments.next().unwrap_or(1_000_000);
    let differing = arguments.next().unwrap_or(1000);
    let mut link = Link::new();
    link.write(0..entries, 'a');
    link.connect();
    link.report(&format!("full sync of {entries} entries of {VALUE_BYTES} B"), entries);

    // Spread over all of the tree, and the log of it dropped.
    link.write((0..differing).map(|number| number * (entries / differing)), 'b');
    let below = link.regions[0].state.path().applied.index + 1;
    while link.regions[0].state.path().wal_first < below {
        link.regions[0].agree(&Command::TrimWal { below });
    }
    link.step(0, Input::Applied);
    link.report(&format!("diff sync, {differing} of {entries} differ"), differing);
    assert_eq!(link.regions[0].state.root(), link.regions[1].state.root(), "the same position means the same state");
}

impl Region {
    fn new(number: u8) -> Region {
        let id = RegionId([number; 16]);
        let state = State::open(Arc::new(Memory::new()), "default").expect("an empty store opens");
        let identity =
            Identity { region: id, name: number.to_string(), addresses: Vec::new(), version: "bench".into() };
        let (timing, diff) = (Timing::default(), DiffBounds::default());
        let options = Options { identity, timing, open: true, seed: [number; 32], diff };
        let initialise = PathChange::Initialise { dataset: DatasetId([number; 16]) };
        let change = Command::Region(RegionChange { path: Some(initialise), ..RegionChange::default() });
        state.apply(1, &change, &[]).expect("memory does not fail");
        let core = Core::new(options, Now::default(), state.path());
        Region { id, state, core }
    }

    fn agree(&self, command: &Command) -> twinkeep::state::Outcome {
        self.state.apply(1, command, &[]).expect("memory does not fail")
    }

    fn peer(&self) -> Peer {
        Peer {
            region: self.id,
            name: self.id.to_string(),
            addresses: Vec::new(),
            activated: true,
            known: false,
            paused: false,
            max_parallel: MAX_PARALLEL,
        }
    }
}

impl Link {
    fn new() -> Link {
        let regions = [Region::new(1), Region::new(2)];
        Link { regions, inputs: VecDeque::new(), carried: 0, calls: Vec::new(), now: Now::default() }
    }

    fn write(&mut self, numbers: impl Iterator<Item = u64>, value: char) {
        let value = Bytes::from(value.to_string().repeat(VALUE_BYTES));
        let mut ops = numbers.map(|number| Op::Put { key: format!("key/{number:012}").into(), value: value.clone() });
        loop {
            let ops: Vec<Op> = ops.by_ref().take(OPS_PER_BATCH as usize).collect();
            if ops.is_empty() {
                return;
            }
            let batch = Batch { class: Class::KvWrite, at: UnixMs(0), ops };
            let epoch = self.regions[0].state.path().epoch;
            self.regions[0].agree(&Command::Write { term: 1, epoch, batches: vec![batch] });
        }
    }

    fn connect(&mut self) {
        let [primary, standby] = &self.regions;
        let adopts = Adoption { from: primary.id, dataset: primary.state.path().dataset };
        let (dialled, known) = (standby.peer(), primary.peer());
        self.step(1, Input::Peers { peers: vec![known], adopts: Some(adopts), anew: Vec::new() });
        self.step(0, Input::Peers { peers: vec![dialled], adopts: None, anew: Vec::new() });
    }

    /// Lets everything happen until the standby stands where the primary does, and says what that took.
    fn report(&mut self, what: &str, entries: u64) {
        let (began, before) = (clock::steady(), self.carried);
        loop {
            while let Some((index, input)) = self.inputs.pop_front() {
                self.step(index, input);
            }
            let [primary, standby] = &self.regions;
            let (head, path) = (primary.state.path().applied, standby.state.path());
            if path.is_whole() && path.applied == head {
                break;
            }
            // Nothing is left to do but to wait.
            self.now.steady_ms += 100;
            (0..2).for_each(|index| self.step(index, Input::Tick));
        }
        let (seconds, carried) = (seconds_since(began), self.carried - before);
        let own = entries as usize * (VALUE_BYTES + "key/000000000000".len());
        let rest = carried as f64 - own as f64;
        println!(
            "{what}: {carried} B over the link, {own} B of entries and {rest:+} B beside them ({:.2} times), {seconds:.1} s",
            carried as f64 / own as f64
        );
    }

    fn step(&mut self, index: usize, input: Input) {
        let region = &mut self.regions[index];
        let path = region.state.path();
        for effect in region.core.step(self.now, path, input) {
            self.effect(index, effect);
        }
    }

    fn effect(&mut self, index: usize, effect: Effect) {
        let state = &self.regions[index].state;
        let own = match effect {
            Effect::Send { call, request, .. } => {
                self.carried += postcard::to_stdvec(&request).expect("encoded").len();
                let id = RequestId(self.calls.len() as u64);
                self.calls.push(call);
                let input = Input::Request { id, from: self.regions[index].id, request };
                return self.inputs.push_back((1 - index, input));
            }
            Effect::Reply { id, answer } => {
                self.carried += postcard::to_stdvec(&answer).expect("encoded").len();
                let call = self.calls[id.0 as usize];
                let input = Input::Answer { call, from: self.regions[index].id, answer };
                return self.inputs.push_back((1 - index, input));
            }
            Effect::Propose { id, command } => Input::Proposed { id, result: Ok(self.regions[index].agree(&command)) },
            Effect::ReadWal { read, from, limit } => {
                Input::WalRead { read, result: Ok(state.wal(from, limit).expect("memory does not fail")) }
            }
            Effect::ReadRange { read, after, limit } => {
                let start = if after.is_empty() { Vec::new() } else { successor(&after) };
                let entries = state.scan_data(&KeyRange::from(start), limit).expect("memory does not fail");
                let end = entries.is_empty();
                Input::RangeRead { read, result: Ok(RangeRead { entries, end, read_at: state.path().applied }) }
            }
            Effect::ReadNodes { read, parents } => Input::NodesRead { read, result: Ok(state.nodes(&parents)) },
            Effect::ReadHeld { read, buckets, bytes_max } => {
                Input::HeldRead { read, result: Ok(state.held(&buckets, bytes_max).expect("memory does not fail")) }
            }
            Effect::ReadUnnamed { read, named, after, limit } => {
                let unnamed = state.unnamed(&named, &after, limit).expect("memory does not fail");
                Input::UnnamedRead { read, result: Ok(unnamed) }
            }
            _ => return,
        };
        self.inputs.push_back((index, own));
    }
}

fn seconds_since(began: Instant) -> f64 {
    clock::steady().saturating_duration_since(began).as_secs_f64()
}
