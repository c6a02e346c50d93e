//! A peer that holds a credential and says whatever it likes: no request and no answer makes a core panic, nor the state
//! that agrees on what the core then proposes, since that would end every node of the region. A standby does not become
//! primary by it.
//!
//! Messages are decoded from bytes that are mostly zeros, with a few changes and a few enormous numbers: so they know
//! every field that there is, and every one that there will be.

use super::super::*;
use super::simulator::region::Region;
use crate::api::replication::PromoteMode;
use crate::ids::{DatasetId, Epoch, RegionId};
use crate::state::{Outcome, Role};
use crate::storage::KeyRange;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;

/// Messages of one run.
const MESSAGES: usize = 12;
/// Runs, and as many for a longer look with `TWINKEEP_FULL`.
const CASES: u32 = 150;
const CASES_FULL: u32 = 5_000;
/// Inputs that one message may lead to.
const STEPS_MAX: usize = 10_000;
const PRIMARY: usize = 0;
const STANDBY: usize = 1;

fn cases() -> u32 {
    if std::env::var_os("TWINKEEP_FULL").is_some() { CASES_FULL } else { CASES }
}

/// Two regions and what is on its way between them, at once and without loss.
struct Pair {
    regions: [Region; 2],
    now: u64,
    next_request: u64,
    /// Who asked, and how it calls it.
    asked: Vec<(RequestId, usize, CallId)>,
    queue: VecDeque<(usize, Input)>,
    /// What the standby's side answers in place of its own words.
    lies: VecDeque<Answer>,
}

impl Pair {
    /// In step and streaming.
    fn new() -> Pair {
        let mut regions = [Region::new(PRIMARY, 0), Region::new(STANDBY, 0)];
        let [primary, standby] = &mut regions;
        standby.adopts = Some(Adoption { from: primary.id, dataset: primary.state.path().dataset });
        let peer = |other: &Region| Peer {
            region: other.id,
            name: other.name.clone(),
            addresses: Vec::new(),
            activated: true,
            known: false,
            paused: false,
            max_parallel: 4,
        };
        (primary.peers, standby.peers) = (vec![peer(standby)], vec![peer(primary)]);
        let mut pair = Pair {
            regions,
            now: 1_000,
            next_request: 0,
            asked: Vec::new(),
            queue: VecDeque::new(),
            lies: VecDeque::new(),
        };
        for index in [PRIMARY, STANDBY] {
            pair.regions[index].lead(pair.now, false, None);
            let (peers, adopts) = (pair.regions[index].peers.clone(), pair.regions[index].adopts);
            pair.queue.push_back((index, Input::Peers { peers, adopts, anew: Vec::new() }));
        }
        pair.pass(5_000);
        let path = pair.regions[STANDBY].state.path();
        assert!(path.role == Role::Standby && path.is_whole(), "{path:?}");
        pair
    }

    /// Lets so much time pass.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            self.settle();
            let wakes = self.regions.iter().filter_map(|region| region.core.as_ref()?.wakes_at()).min();
            self.now = wakes.unwrap_or(end).max(self.now + 1).min(end);
            if self.now == end {
                return;
            }
            self.queue.extend([(PRIMARY, Input::Tick), (STANDBY, Input::Tick)]);
        }
    }

    fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            let Some((index, input)) = self.queue.pop_front() else { return };
            let region = &mut self.regions[index];
            let (now, path) = (region.now(self.now), region.state.path());
            let core = region.core.as_mut().expect("a leader");
            let effects = core.step(now, path, input);
            core.links(now);
            core.wal_floor();
            for mode in [PromoteMode::Planned, PromoteMode::Forced] {
                core.plan(now, &Outside::default(), mode);
            }
            for effect in effects {
                self.run(index, effect);
            }
        }
        // A peer that keeps the two busy at one moment is a nuisance, no harm: the rest is dropped.
        self.queue.clear();
    }

    fn run(&mut self, index: usize, effect: Effect) {
        let (region, other) = (&self.regions[index], 1 - index);
        let state = &region.state;
        let input = match effect {
            Effect::Send { call, request, .. } => {
                self.next_request += 1;
                let id = RequestId(self.next_request);
                self.asked.push((id, index, call));
                let lie = if index == PRIMARY { self.lies.pop_front() } else { None };
                let from = region.id;
                return self.queue.push_back(match lie {
                    Some(answer) => (index, Input::Answer { call, from: self.regions[other].id, answer }),
                    None => (other, Input::Request { id, from, request }),
                });
            }
            Effect::Reply { id, answer } => {
                let Some(at) = self.asked.iter().position(|(asked, ..)| *asked == id) else { return };
                let (_, asker, call) = self.asked.swap_remove(at);
                return self.queue.push_back((asker, Input::Answer { call, from: region.id, answer }));
            }
            Effect::Propose { id, command } => {
                let outcome = state.apply(region.term, &command, &[]);
                let outcome = outcome.unwrap_or_else(|error| panic!("no node survives {command:?}: {error}"));
                if let Outcome::Refused(_) = outcome {
                    self.queue.push_back((index, Input::Applied));
                }
                Input::Proposed { id, result: Ok(outcome) }
            }
            Effect::ReadWal { read, from, limit } => {
                Input::WalRead { read, result: Ok(state.wal(from, limit).expect("memory does not fail")) }
            }
            Effect::ReadRange { read, after, limit } => {
                let start = if after.is_empty() { Vec::new() } else { crate::state::merkle::successor(&after) };
                let entries = state.scan_data(&KeyRange::from(start), limit).expect("memory does not fail");
                let end = entries.len() < limit.entries;
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
            Effect::Freeze { read, moment } => {
                let frozen = state.freeze().expect("memory does not fail");
                let at = frozen.at();
                self.regions[index].kept = Some((moment, frozen));
                Input::Frozen { read, result: Ok(at) }
            }
            Effect::Scrub { .. } | Effect::ReadFrozenNodes { .. } | Effect::ReadFrozenHeld { .. } => {
                region.read_kept(effect)
            }
            _ => return,
        };
        self.queue.push_back((index, input));
    }
}

/// Bytes that decode as a message, often enough.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        8 => (0u8..6).prop_map(|byte| vec![byte]),
        2 => any::<u8>().prop_map(|byte| vec![byte & 0x7f]),
        1 => Just(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        1 => Just(vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    (vec((0usize..250, number), 0..20), 0u8..12).prop_map(|(changes, kind)| {
        let mut bytes = vec![0; 500];
        for (at, number) in changes {
            bytes.splice(at..at + 1, number);
        }
        // Where the kind of a request lies when all before it is zeros: behind data set, epoch, head, times and totals.
        if kind < 10 {
            let header = postcard::to_stdvec(&nothing()).map_or(0, |header| header.len());
            bytes[header] = kind;
        }
        bytes
    })
}

fn nothing() -> Header {
    let zeros = [0; 500];
    postcard::from_bytes::<Request>(&zeros).expect("zeros are a request").header
}

fn decoded<T: DeserializeOwned>(all: Vec<Vec<u8>>) -> Vec<T> {
    all.iter().filter_map(|bytes| postcard::from_bytes(bytes).ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn no_request_of_a_peer_harms_its_standby(
        messages in vec(likely(), MESSAGES),
        epochs in vec(prop_oneof![6 => Just(1), 1 => Just(0), 1 => Just(2), 1 => Just(1 << 50)], MESSAGES),
        elsewhere in vec(prop::bool::weighted(0.1), MESSAGES),
        to_primary in prop::bool::weighted(0.3),
    ) {
        let mut pair = Pair::new();
        let target = if to_primary { PRIMARY } else { STANDBY };
        let from = pair.regions[1 - target].id;
        for (at, mut request) in decoded::<Request>(messages).into_iter().enumerate() {
            let path = pair.regions[target].state.path();
            request.header.epoch = Epoch(epochs[at]);
            request.header.dataset = if elsewhere[at] { DatasetId([77; 16]) } else { path.dataset };
            pair.queue.push_back((target, Input::Request { id: RequestId(u64::MAX - at as u64), from, request }));
            pair.pass(300);
            let role = pair.regions[target].state.path().role;
            prop_assert!(to_primary || role != Role::Primary, "a standby opened by a message");
        }
        pair.pass(20_000);
    }

    #[test]
    fn no_answer_of_a_peer_harms_its_primary(
        messages in vec(likely(), MESSAGES),
        epochs in vec(prop_oneof![6 => Just(1), 1 => Just(0), 1 => Just(2), 1 => Just(1 << 50)], MESSAGES),
        standings in vec(prop::bool::weighted(0.7), MESSAGES),
    ) {
        let mut pair = Pair::new();
        let path = pair.regions[PRIMARY].state.path();
        let me = pair.regions[STANDBY].id;
        for (at, mut answer) in decoded::<Answer>(messages).into_iter().enumerate() {
            if standings[at] {
                answer.standing.dataset = path.dataset;
                answer.standing.epoch = Epoch(epochs[at]);
                answer.standing.identity.region = me;
                answer.standing.role = Role::Standby;
            }
            pair.lies.push_back(answer);
        }
        pair.queue.push_back((PRIMARY, Input::Verify { id: 1 }));
        pair.pass(20_000);
        prop_assert!(pair.regions[PRIMARY].state.path().epoch >= path.epoch);
    }
}

#[test]
fn zeros_are_a_request_and_an_answer() {
    // Otherwise the tests above would try nothing.
    let zeros = vec![vec![0; 500]];
    assert_eq!((decoded::<Request>(zeros.clone()).len(), decoded::<Answer>(zeros).len()), (1, 1));
    let unknown = RegionId([9; 16]);
    let mut pair = Pair::new();
    let request = decoded::<Request>(vec![vec![0; 500]]).remove(0);
    pair.queue.push_back((STANDBY, Input::Request { id: RequestId(1 << 60), from: unknown, request }));
    pair.pass(1_000);
}
