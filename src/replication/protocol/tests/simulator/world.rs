//! One seed's world: its clock, what happens when, and who does what to the regions.

use super::super::super::context::Mutation;
use super::super::super::*;
use super::invariants::{self, Invariant, Seen};
use super::network::Network;
use super::region::{Proposal, Proposer, Region};
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, PromotionId};
use crate::state::{Batch, Class, Command, Op, Outcome, PathState};
use crate::storage::keys::Key;
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// Faults end here, and so do the clients.
const FAULTS_MS: u64 = 15_000;
/// By then the world must have converged.
const CONVERGED_MS: u64 = FAULTS_MS + 60_000;
const CHECK_EVERY_MS: u64 = 1_000;
/// Keys that clients write: few, so that they overwrite and delete each other's.
const KEYS: u8 = 12;
/// What one read returns, so small that syncs and streams take many requests.
const LOG_READ: ScanLimit = ScanLimit { entries: 3, bytes: usize::MAX };
const RANGE_READ: ScanLimit = ScanLimit { entries: 2, bytes: usize::MAX };
/// How much of the trace is kept to show.
const TRACE_LINES: usize = 60;

pub struct World {
    pub coverage: Coverage,
    chance: StdRng,
    now: u64,
    regions: Vec<Region>,
    network: Network,
    events: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    /// Requests on their way or being handled: who asked, in which term, by which call.
    asked: BTreeMap<u64, Asked>,
    mutation: Option<Mutation>,
    invariants: Vec<Box<dyn Invariant>>,
    /// Who was asked to open which epoch. Without a witness, operators must not promote two standbys at once.
    claimed: BTreeMap<(DatasetId, Epoch), usize>,
    /// Keeps little of the log, so that standbys fall off it.
    stingy: bool,
    trace: VecDeque<String>,
    hasher: blake3::Hasher,
}

/// What the worlds went through.
#[derive(Default, Debug)]
pub struct Coverage {
    promotions: u32,
    repeated_promotions: u32,
    fences: u32,
    proofs: u32,
    lost_writes: u32,
    follows: u32,
    whole: u32,
    equal_roots: u32,
    reasons: BTreeSet<&'static str>,
}

struct Asked {
    from: usize,
    to: usize,
    term: u64,
    call: CallId,
    header: Header,
}

struct Scheduled {
    at: u64,
    order: u64,
    event: Event,
}

enum Event {
    Wake { region: usize },
    Arrive { number: u64, request: Box<Request> },
    Answer { to: usize, term: u64, call: CallId, from: usize, answer: Box<Answer> },
    Fail { to: usize, term: u64, call: CallId, from: usize },
    Agree { region: usize },
    Read { region: usize, term: u64, effect: Box<Effect> },
    Activate { region: usize, term: u64, peer: usize },
    Client,
    Keep { region: usize },
    Fault,
    Lead { region: usize },
    Mend { from: usize, to: usize },
    Resume { region: usize, peer: usize },
    Promote { region: usize, id: PromotionId, attempts: u32 },
    Calm,
    Check,
}

impl World {
    pub fn new(seed: u64, mutation: Option<Mutation>) -> World {
        let mut chance = StdRng::seed_from_u64(seed);
        let count = if chance.gen_bool(0.3) { 3 } else { 2 };
        let regions = (0..count).map(|index| Region::new(index, chance.gen_range(0..2_000))).collect();
        let network = Network::draw(&mut chance);
        let stingy = chance.gen_bool(0.3);
        let mut world = World {
            coverage: Coverage::default(),
            chance,
            now: 0,
            regions,
            network,
            events: BinaryHeap::new(),
            scheduled: 0,
            asked: BTreeMap::new(),
            mutation,
            invariants: invariants::all(),
            claimed: BTreeMap::new(),
            stingy,
            trace: VecDeque::new(),
            hasher: blake3::Hasher::new(),
        };
        world.set_up(count);
        world
    }

    /// Runs to the end; `Err` says which promise broke.
    pub fn run(&mut self) -> Result<(), String> {
        while let Some(Reverse(Scheduled { at, event, .. })) = self.events.pop() {
            self.now = at;
            if matches!(event, Event::Check) {
                match self.unconverged() {
                    None => return self.end(),
                    Some(why) if self.now >= CONVERGED_MS => return Err(format!("did not converge: {why}")),
                    Some(_) => self.schedule(CHECK_EVERY_MS, Event::Check),
                }
                continue;
            }
            self.happen(event)?;
        }
        Err("nothing is left to happen".into())
    }

    pub fn newest_trace(&self) -> String {
        self.trace.iter().map(|line| format!("{line}\n")).collect()
    }

    pub fn trace_hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    fn set_up(&mut self, count: usize) {
        for region in 0..count {
            self.schedule(0, Event::Lead { region });
            let pause = self.chance.gen_range(200..3_000);
            self.schedule(pause, Event::Keep { region });
        }
        let max_parallel = self.chance.gen_range(1..=6);
        let peer = |regions: &[Region], index: usize, activated| Peer {
            region: regions[index].id,
            name: regions[index].name.clone(),
            addresses: vec![format!("http://{}:8200", regions[index].name)],
            activated,
            paused: false,
            max_parallel,
        };
        self.regions[0].peers = (1..count).map(|index| peer(&self.regions, index, false)).collect();
        if count == 3 && self.chance.gen_bool(0.6) {
            self.regions[1].peers = vec![peer(&self.regions, 2, true)];
            self.regions[2].peers = vec![peer(&self.regions, 1, true)];
        }
        for _ in 0..self.chance.gen_range(0..8) {
            let at = self.chance.gen_range(0..FAULTS_MS);
            self.schedule(at, Event::Fault);
        }
        for _ in 0..self.chance.gen_range(0..=2) {
            let at = self.chance.gen_range(0..FAULTS_MS);
            let region = self.chance.gen_range(1..count);
            let id = PromotionId(self.chance.r#gen());
            self.schedule(at, Event::Promote { region, id, attempts: 6 });
        }
        self.schedule(0, Event::Client);
        self.schedule(FAULTS_MS, Event::Calm);
    }

    fn schedule(&mut self, after: u64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled { at: self.now + after, order: self.scheduled, event }));
    }

    fn is_calm(&self) -> bool {
        self.now >= FAULTS_MS
    }

    /// True in so many of a hundred cases, and never once the faults are over.
    fn fault(&mut self, percent: u32) -> bool {
        self.chance.gen_range(0..100) < percent && !self.is_calm()
    }

    fn note(&mut self, line: String) {
        let line = format!("{:>6} {line}", self.now);
        self.hasher.update(line.as_bytes());
        if self.trace.len() == TRACE_LINES {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Wake { region } => match self.regions[region].wake_at {
                Some(at) if at <= self.now => self.step(region, Input::Tick),
                _ => Ok(()),
            },
            Event::Arrive { number, request } => self.arrive(number, *request),
            Event::Answer { to, term, call, from, answer } if self.regions[to].term == term => {
                let from = self.regions[from].id;
                self.step(to, Input::Answer { call, from, answer: *answer })
            }
            Event::Fail { to, term, call, from } if self.regions[to].term == term => {
                let from = self.regions[from].id;
                self.step(to, Input::Failed { call, from, failure: Failure::Retry("the connection was lost".into()) })
            }
            Event::Agree { region } => self.agree(region),
            Event::Read { region, term, effect } if self.regions[region].term == term => self.read(region, *effect),
            Event::Activate { region, term, peer } if self.regions[region].term == term => self.activate(region, peer),
            Event::Answer { .. } | Event::Fail { .. } | Event::Read { .. } | Event::Activate { .. } => Ok(()),
            Event::Client => self.client(),
            Event::Keep { region } => self.keep(region),
            Event::Fault => self.some_fault(),
            Event::Lead { region } => self.lead(region),
            Event::Mend { from, to } => {
                self.network.mend(from, to);
                Ok(())
            }
            Event::Resume { region, peer } => {
                self.regions[region].peers[peer].paused = false;
                self.tell_peers(region)
            }
            Event::Promote { region, id, attempts } => self.promote(region, id, attempts),
            Event::Calm => self.calm(),
            Event::Check => unreachable!("the loop looks at checks itself"),
        }
    }

    fn step(&mut self, index: usize, input: Input) -> Result<(), String> {
        let region = &mut self.regions[index];
        let Some(core) = region.core.as_mut() else { return Ok(()) };
        let now = Now { steady_ms: self.now, wall: UnixMs(self.now + region.skew_ms) };
        let line = format!("{} {}", region.name, describe(&input));
        let effects = core.step(now, region.state.path(), input);
        let wakes_at = core.wakes_at();
        self.note(line);
        for effect in effects {
            self.effect(index, effect)?;
        }
        if let Some(at) = wakes_at {
            // Whoever is due at once is woken a moment later, as a driver with a real clock would.
            let at = at.max(self.now + 1);
            self.regions[index].wake_at = Some(at);
            self.schedule(at - self.now, Event::Wake { region: index });
        }
        Ok(())
    }

    fn effect(&mut self, index: usize, effect: Effect) -> Result<(), String> {
        let term = self.regions[index].term;
        match effect {
            Effect::Activate { peer } => {
                let peer = self.index_of(peer);
                let after = self.chance.gen_range(20..300);
                self.schedule(after, Event::Activate { region: index, term, peer });
            }
            Effect::Send { call, to, request, .. } => self.send(index, term, call, to, request),
            Effect::Reply { id, answer } => self.reply(index, id, answer)?,
            Effect::Propose { id, command } => {
                let early = self.fault(3);
                self.propose(index, Proposer::Core { term, id }, command);
                if early {
                    let result = Err(Failure::Retry("no word within the deadline".into()));
                    self.step(index, Input::Proposed { id, result })?;
                }
            }
            Effect::ReadWal { .. } | Effect::ReadRange { .. } => {
                let after = self.chance.gen_range(0..8);
                self.schedule(after, Event::Read { region: index, term, effect: Box::new(effect) });
            }
            Effect::Report(fact) => self.fact(index, fact)?,
        }
        Ok(())
    }

    fn send(&mut self, index: usize, term: u64, call: CallId, to: RegionId, request: Request) {
        let to = self.index_of(to);
        let arrivals = self.network.deliveries(&mut self.chance, index, to);
        if arrivals.is_empty() && self.chance.gen_bool(0.5) {
            // Otherwise nobody tells, and the deadline does.
            let after = self.chance.gen_range(1..500);
            self.schedule(after, Event::Fail { to: index, term, call, from: to });
        }
        for after in arrivals {
            self.scheduled += 1;
            let number = self.scheduled;
            let header = request.header.clone();
            self.asked.insert(number, Asked { from: index, to, term, call, header });
            self.schedule(after, Event::Arrive { number, request: Box::new(request.clone()) });
        }
    }

    fn arrive(&mut self, number: u64, request: Request) -> Result<(), String> {
        let Asked { from, to, term, call, .. } = self.asked[&number];
        if self.regions[to].core.is_none() {
            self.asked.remove(&number);
            if self.chance.gen_bool(0.7) {
                self.schedule(1, Event::Fail { to: from, term, call, from: to });
            }
            return Ok(());
        }
        let from = self.regions[from].id;
        self.step(to, Input::Request { id: RequestId(number), from, request })
    }

    fn reply(&mut self, index: usize, id: RequestId, answer: Answer) -> Result<(), String> {
        let Some(asked) = self.asked.remove(&id.0) else {
            return Err(format!("region {} answered a request twice", self.regions[index].name));
        };
        self.see(index, &Seen::Answered { asked: &asked.header, answer: &answer })?;
        for after in self.network.deliveries(&mut self.chance, asked.to, asked.from) {
            let (to, term, call, from) = (asked.from, asked.term, asked.call, asked.to);
            self.schedule(after, Event::Answer { to, term, call, from, answer: Box::new(answer.clone()) });
        }
        Ok(())
    }

    fn propose(&mut self, region: usize, by: Proposer, command: Command) {
        self.regions[region].log.push_back(Proposal { by, command });
        let after = self.chance.gen_range(1..25);
        self.schedule(after, Event::Agree { region });
    }

    /// The region agrees on what waits longest.
    fn agree(&mut self, index: usize) -> Result<(), String> {
        if self.regions[index].down {
            return Ok(());
        }
        let Some(Proposal { by, command }) = self.regions[index].log.pop_front() else { return Ok(()) };
        let before = self.regions[index].state.path();
        let outcome = self.regions[index].agree(&command);
        let after = self.regions[index].state.path();
        self.agreed(index, &command, &outcome, &before, &after)?;
        let told = self.chance.gen_bool(0.95);
        match (by, &outcome) {
            (Proposer::Client, Outcome::Written { last, .. }) if told => {
                self.see(index, &Seen::Acknowledged { at: *last })?;
            }
            (Proposer::Core { term, id }, _) if term == self.regions[index].term => {
                let unknown = self.fault(3);
                let result = if unknown { Err(Failure::Retry("no word".into())) } else { Ok(outcome) };
                return self.step(index, Input::Proposed { id, result });
            }
            _ => {}
        }
        match before == after {
            true => Ok(()),
            false => self.step(index, Input::Applied),
        }
    }

    fn agreed(
        &mut self,
        index: usize,
        command: &Command,
        outcome: &Outcome,
        before: &PathState,
        after: &PathState,
    ) -> Result<(), String> {
        let refused = matches!(outcome, Outcome::Refused(_));
        self.note(format!(
            "{} agreed on {}{}: {} {} {}{}",
            self.regions[index].name,
            kind(command),
            if refused { ", refused" } else { "" },
            after.role,
            after.epoch,
            after.applied,
            if after.is_whole() { "" } else { " syncing" }
        ));
        if let (Command::Write { batches, .. }, Outcome::Written { first, .. }) = (command, outcome) {
            for (offset, batch) in batches.iter().enumerate() {
                let at = crate::ids::Position::new(first.epoch, first.index + offset as u64);
                self.see(index, &Seen::Written { at, batch })?;
            }
        }
        if before != after {
            self.see(index, &Seen::Agreed { before, after })?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize, effect: Effect) -> Result<(), String> {
        let fails = self.fault(2);
        let state = Some(&self.regions[index].state).filter(|_| !fails);
        let failure = || Failure::Retry("the disk is slow".into());
        let input = match effect {
            Effect::ReadWal { read, from, .. } => {
                let result = state.map(|it| it.wal(from, LOG_READ).expect("memory does not fail")).ok_or_else(failure);
                Input::WalRead { read, result }
            }
            Effect::ReadRange { read, after, .. } => {
                let start = if after.is_empty() { Vec::new() } else { crate::state::merkle::successor(&after) };
                let range = state.map(|state| {
                    let entries = state.scan_data(&KeyRange::from(start), RANGE_READ).expect("memory does not fail");
                    let end = entries.len() < RANGE_READ.entries;
                    RangeRead { entries, end, read_at: state.path().applied }
                });
                Input::RangeRead { read, result: range.ok_or_else(failure) }
            }
            _ => return Ok(()),
        };
        self.step(index, input)
    }

    /// The handshake with an activation token, which the driver does: both sides keep a credential.
    fn activate(&mut self, index: usize, peer: usize) -> Result<(), String> {
        let (primary, standby) = (self.regions[index].id, self.regions[peer].id);
        let fails = self.fault(15) || self.regions[peer].core.is_none();
        let result = if fails {
            Err(Failure::Retry("the handshake was cut short".into()))
        } else {
            let ours = &mut self.regions[index];
            let dataset = ours.state.path().dataset;
            let mut credential = ours.peers.iter().find(|it| it.region == standby).expect("it is dialled").clone();
            ours.peers.iter_mut().filter(|it| it.region == standby).for_each(|it| it.activated = true);
            credential.activated = true;
            credential.region = primary;
            credential.name = ours.name.clone();
            let theirs = &mut self.regions[peer];
            theirs.peers.retain(|it| it.region != primary);
            theirs.peers.push(credential);
            theirs.adopts = Some(Adoption { from: primary, dataset });
            self.tell_peers(peer)?;
            self.tell_peers(index)?;
            Ok(())
        };
        self.step(index, Input::Activation { peer: standby, result })
    }

    fn tell_peers(&mut self, index: usize) -> Result<(), String> {
        let (peers, adopts) = (self.regions[index].peers.clone(), self.regions[index].adopts);
        self.step(index, Input::Peers { peers, adopts })
    }

    /// Clients write to whoever takes it.
    fn client(&mut self) -> Result<(), String> {
        if self.is_calm() {
            return Ok(());
        }
        let after = self.chance.gen_range(20..500);
        self.schedule(after, Event::Client);
        let index = self.chance.gen_range(0..self.regions.len());
        let region = &self.regions[index];
        if region.core.is_none() || region.state.path().role != Role::Primary {
            return Ok(());
        }
        let (term, epoch, at) = (region.term, region.state.path().epoch, region.now(self.now).wall);
        let batch = |chance: &mut StdRng| {
            let key = Bytes::from(vec![b'k', chance.gen_range(0..KEYS)]);
            let value = Bytes::from(chance.r#gen::<u32>().to_string());
            let (class, op) = match chance.gen_bool(0.75) {
                true => (Class::KvWrite, Op::Put { key, value }),
                false => (Class::KvDelete, Op::Delete { key }),
            };
            Batch { class, at, ops: vec![op] }
        };
        let batches = (0..self.chance.gen_range(1..4)).map(|_| batch(&mut self.chance)).collect();
        self.propose(index, Proposer::Client, Command::Write { term, epoch, batches });
        Ok(())
    }

    /// The driver's housekeeping: trims the log, computes roots.
    fn keep(&mut self, index: usize) -> Result<(), String> {
        let after = self.chance.gen_range(200..3_000);
        self.schedule(after, Event::Keep { region: index });
        let region = &self.regions[index];
        let Some(core) = &region.core else { return Ok(()) };
        let path = region.state.path();
        let all_but_few = path.applied.index.saturating_sub(2);
        let floor = core.wal_floor().unwrap_or(all_but_few);
        let below = if self.stingy && !self.is_calm() { floor.max(all_but_few) } else { floor };
        let root = Root { dataset: path.dataset, at: path.applied, hash: region.digest() };
        if below > path.wal_first {
            self.propose(index, Proposer::Keeper, Command::TrimWal { below });
        }
        if path.is_whole() {
            self.step(index, Input::Root(root))?;
        }
        Ok(())
    }

    fn some_fault(&mut self) -> Result<(), String> {
        let count = self.regions.len();
        let (one, other) = (self.chance.gen_range(0..count), self.chance.gen_range(0..count));
        let lasts = self.chance.gen_range(100..6_000);
        match self.chance.gen_range(0..5) {
            0 => {
                self.note(format!("{} changes its leader", self.regions[one].name));
                self.lose_leader(one)?;
                self.schedule(lasts / 4, Event::Lead { region: one });
            }
            1 => {
                self.note(format!("{} goes down", self.regions[one].name));
                self.lose_leader(one)?;
                self.regions[one].down = true;
                self.schedule(lasts, Event::Lead { region: one });
            }
            2 | 3 if one != other => {
                let both = self.chance.gen_bool(0.6);
                self.note(format!("cut from {one} to {other}{}", if both { " and back" } else { "" }));
                self.network.cut(one, other);
                self.schedule(lasts, Event::Mend { from: one, to: other });
                if both {
                    self.network.cut(other, one);
                    self.schedule(lasts, Event::Mend { from: other, to: one });
                }
            }
            _ if !self.regions[one].peers.is_empty() => {
                let peer = self.chance.gen_range(0..self.regions[one].peers.len());
                self.regions[one].peers[peer].paused = true;
                self.tell_peers(one)?;
                self.schedule(lasts, Event::Resume { region: one, peer });
            }
            _ => {}
        }
        Ok(())
    }

    /// Of what the leader proposed, some prefix made it to a majority.
    fn lose_leader(&mut self, index: usize) -> Result<(), String> {
        self.regions[index].core = None;
        self.regions[index].term += 1;
        let made_it = self.chance.gen_range(0..=self.regions[index].log.len());
        self.regions[index].log.truncate(made_it);
        for _ in 0..made_it {
            self.agree(index)?;
        }
        Ok(())
    }

    fn lead(&mut self, index: usize) -> Result<(), String> {
        self.regions[index].down = false;
        self.regions[index].log.clear();
        self.regions[index].lead(self.now, self.mutation);
        self.tell_peers(index)
    }

    fn promote(&mut self, index: usize, id: PromotionId, attempts: u32) -> Result<(), String> {
        let again = Event::Promote { region: index, id, attempts: attempts - 1 };
        let after = self.chance.gen_range(10..2_000);
        if attempts > 1 {
            self.schedule(after, again);
        }
        if self.is_calm() {
            return Ok(());
        }
        let now = self.regions[index].now(self.now);
        let path = self.regions[index].state.path();
        let opens = (path.dataset, path.epoch.next());
        let earlier = self.regions[index].state.region(&Key::Promotion(id.0)).expect("memory does not fail");
        let earlier = earlier.map(|bytes| postcard::from_bytes(&bytes).expect("the core wrote it"));
        let Some(core) = self.regions[index].core.as_mut() else { return Ok(()) };
        let outside = Outside { sealed: Some(false), voters: Some((3, 3)), credential: Some(true) };
        let plan = core.plan(now, &outside).hash;
        if *self.claimed.entry(opens).or_insert(index) != index {
            return Ok(());
        }
        let accept_loss = self.chance.gen_bool(0.8);
        self.step(index, Input::Promote(PromoteOrder { id, plan, accept_loss, outside, earlier }))
    }

    fn calm(&mut self) -> Result<(), String> {
        self.note("the faults are over".into());
        self.network.heal();
        for index in 0..self.regions.len() {
            self.regions[index].peers.iter_mut().for_each(|peer| peer.paused = false);
            if self.regions[index].core.is_none() {
                self.lead(index)?;
            }
            self.tell_peers(index)?;
        }
        self.schedule(CHECK_EVERY_MS, Event::Check);
        Ok(())
    }

    /// What keeps the world from being as it should be when nothing fails any more.
    fn unconverged(&self) -> Option<String> {
        let dataset = DatasetId([1; 16]);
        let path = |index: usize| self.regions[index].state.path();
        let count = self.regions.len();
        let ruling = |index: &usize| path(*index).role == Role::Primary && path(*index).dataset == dataset;
        let primaries = (0..count).filter(ruling);
        let Some(primary) = primaries.max_by_key(|index| path(*index).epoch) else {
            return Some("there is no primary".into());
        };
        let (head, leader) = (path(primary), &self.regions[primary]);
        // A region that agreed to take over the data of one that is fenced now waits for another token.
        let follows = |region: &&Region| {
            leader.peers.iter().any(|peer| peer.region == region.id)
                && (region.state.path().dataset == dataset || region.adopts.is_none_or(|it| it.from == leader.id))
                && (region.adopts.is_some() || region.index == 0 || leader.index == 0)
        };
        for region in self.regions.iter().filter(follows) {
            let standing = region.state.path();
            let settled = match standing.role {
                _ if standing.dataset != dataset => false,
                Role::Primary => false,
                Role::Fenced => standing.epoch == head.epoch,
                Role::Standby => standing.is_whole() && standing.applied == head.applied,
            };
            if !settled {
                return Some(format!(
                    "{} is {} in {} at {}, whole: {}; the head is {} in {}",
                    region.name,
                    standing.role,
                    standing.epoch,
                    standing.applied,
                    standing.is_whole(),
                    head.applied,
                    head.epoch
                ));
            }
        }
        None
    }

    fn end(&mut self) -> Result<(), String> {
        (0..self.regions.len()).try_for_each(|index| self.see(index, &Seen::Ended))
    }

    fn see(&mut self, index: usize, seen: &Seen) -> Result<(), String> {
        let region = &self.regions[index];
        self.invariants.iter_mut().try_for_each(|invariant| invariant.see(region, seen))
    }

    fn fact(&mut self, index: usize, fact: Fact) -> Result<(), String> {
        match fact {
            Fact::SyncBegan { reason, .. } => {
                self.coverage.reasons.insert(reason);
            }
            Fact::Whole { .. } => self.coverage.whole += 1,
            Fact::Fenced { .. } => self.coverage.fences += 1,
            Fact::PeerFenced { .. } => self.coverage.proofs += 1,
            Fact::Follows { .. } => self.coverage.follows += 1,
            Fact::Roots { at, equal: false, .. } => return Err(format!("the roots differ at {at}")),
            Fact::Roots { .. } => self.coverage.equal_roots += 1,
            Fact::SameEpoch { epoch, .. } => return Err(format!("two regions are primary in epoch {epoch}")),
            Fact::Promotion { progress: PromotionProgress::Done(record), .. } => {
                self.note(format!("{} is promoted at {}", self.regions[index].name, record.fork));
                self.coverage.promotions += 1;
                self.coverage.lost_writes += record.loss.entries as u32;
                self.see(index, &Seen::Promoted { record: &record })?;
            }
            Fact::Promotion { progress: PromotionProgress::Refused { reason, .. }, .. } => {
                self.note(format!("{} refuses a promotion: {reason}", self.regions[index].name));
            }
            Fact::Promotion { .. } => self.coverage.repeated_promotions += 1,
            Fact::Link { state, error, .. } => {
                self.note(format!("{} link {state:?} {}", self.regions[index].name, error.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn index_of(&self, id: RegionId) -> usize {
        self.regions.iter().position(|region| region.id == id).expect("only regions of the world are named")
    }
}

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        self.promotions += other.promotions;
        self.repeated_promotions += other.repeated_promotions;
        self.fences += other.fences;
        self.proofs += other.proofs;
        self.lost_writes += other.lost_writes;
        self.follows += other.follows;
        self.whole += other.whole;
        self.equal_roots += other.equal_roots;
        self.reasons.extend(&other.reasons);
    }

    /// What never happened, though it should.
    pub fn missing(&self) -> Vec<&'static str> {
        let counts = [
            ("promotion", self.promotions),
            ("repeated promotion", self.repeated_promotions),
            ("fence", self.fences),
            ("proof of a fence", self.proofs),
            ("lost write", self.lost_writes),
            ("new primary followed", self.follows),
            ("whole standby", self.whole),
            ("equal roots", self.equal_roots),
            ("second reason to sync", self.reasons.len().saturating_sub(1) as u32),
        ];
        counts.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

fn kind(command: &Command) -> String {
    match command {
        Command::Write { batches, .. } => format!("{} writes", batches.len()),
        Command::Follow { entries } => {
            format!("follow {}", entries.first().map(|entry| entry.position).unwrap_or_default())
        }
        Command::Copy(chunk) => format!("copy after {:?}", chunk.after),
        Command::Region(change) => match &change.path {
            Some(step) => format!("{step:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
            None => "records".into(),
        },
        Command::TrimWal { below } => format!("trim below {below}"),
    }
}

fn describe(input: &Input) -> String {
    match input {
        Input::Tick => "tick".into(),
        Input::Applied => "applied".into(),
        Input::Peers { .. } => "peers".into(),
        Input::Activation { result, .. } => format!("activation {}", result.is_ok()),
        Input::Request { request, .. } => {
            let what = match &request.ask {
                Ask::Hello(_) => "hello".into(),
                Ask::Append { entries } => format!("append {} from {}", entries.len(), entries[0].position),
                Ask::Copy(chunk) => format!("copy after {:?} at {}", chunk.after, chunk.read_at),
                Ask::Heartbeat { .. } => "heartbeat".into(),
            };
            format!("<- {what} in {} head {}", request.header.epoch, request.header.head)
        }
        Input::Answer { call, answer, .. } => {
            format!("-> answer {} at {}: {:?}", call.0, answer.standing.applied, answer.want)
        }
        Input::Failed { call, .. } => format!("-> failed {}", call.0),
        Input::Proposed { id, result } => format!("proposed {} {}", id.0, result.is_ok()),
        Input::WalRead { result, .. } => format!("log read {:?}", result.as_ref().map(Vec::len)),
        Input::RangeRead { result, .. } => format!("range read {:?}", result.as_ref().map(|it| it.entries.len())),
        Input::Root(root) => format!("root {}", root.at),
        Input::Promote(order) => format!("promote {}", order.id),
    }
}
