//! One seed's world: its clock, what happens when, and who does what to the regions.
//!
//! The loop is here; its parts are the events (`schedule`), what passes between regions (`traffic`), who uses them
//! (`people`, `handovers`, `operators`, `replays`), what goes wrong (`faults`), and how it ends (`rest`).

mod coverage;
mod faults;
mod handovers;
mod operators;
mod people;
mod replays;
mod rest;
mod schedule;
mod traffic;
mod words;

pub use coverage::Coverage;
pub use schedule::Replay;

use super::invariants::{self, Invariant, Seen};
use super::network::Network;
use super::region::{Proposer, Region};
use crate::api::replication::PromoteMode;
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, PromotionId, RegionId};
use crate::replication::protocol::context::Mutation;
use crate::replication::protocol::*;
use crate::state::{Command, Role, SyncKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schedule::{Event, Scheduled};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use words::describe;

/// Faults end here, and so do the clients.
const FAULTS_MS: u64 = 15_000;
/// By then the world must have converged.
const CONVERGED_MS: u64 = FAULTS_MS + 60_000;
const CHECK_EVERY_MS: u64 = 1_000;
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
    /// The one fault is that what the successor says is lost for a while right after the give-up.
    severed: bool,
    /// Operators promote two standbys at once, and demote one when they hear of it.
    rash: bool,
    trace: VecDeque<String>,
    hasher: blake3::Hasher,
}

struct Asked {
    from: usize,
    to: usize,
    term: u64,
    call: CallId,
    header: Header,
}

impl World {
    pub fn new(seed: u64, mutation: Option<Mutation>) -> World {
        let mut chance = StdRng::seed_from_u64(seed);
        let count = if chance.gen_bool(0.3) { 3 } else { 2 };
        let regions = (0..count).map(|index| Region::new(index, chance.gen_range(0..2_000))).collect();
        let network = Network::draw(&mut chance);
        let stingy = chance.gen_bool(0.5);
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
            invariants: invariants::all(false),
            claimed: BTreeMap::new(),
            stingy,
            severed: false,
            rash: false,
            trace: VecDeque::new(),
            hasher: blake3::Hasher::new(),
        };
        world.set_up(count);
        world
    }

    /// Two regions, a good network, one switchover; and right after the give-up the old primary hears nothing of what
    /// its successor says, for longer than anybody likes to wait.
    pub fn severed(seed: u64, mutation: Option<Mutation>) -> World {
        let mut world = World::new(seed, mutation);
        world.severed = true;
        world.regions.truncate(2);
        world.regions.iter_mut().for_each(|region| region.peers.retain(|peer| peer.name != "c"));
        world.network.heal();
        world.events.retain(|Reverse(scheduled)| match scheduled.event {
            Event::Lead { region } | Event::Keep { region } => region < 2,
            Event::Client | Event::Calm => true,
            _ => false,
        });
        let id = PromotionId(world.chance.r#gen());
        world.schedule(3_000, Event::Switchover { region: 1, id, deadline_ms: 8_000, attempts: 4 });
        world
    }

    /// Three regions. Nobody hears the primary any more, and the two others don't hear each other: their operators promote
    /// both.
    pub fn rash(seed: u64, mutation: Option<Mutation>) -> World {
        let three = (seed * 16..).map(|seed| World::new(seed, mutation));
        let mut world = three.into_iter().find(|world| world.regions[1].peers.len() == 1).expect("many seeds");
        (world.rash, world.invariants) = (true, invariants::all(true));
        world.events.retain(|Reverse(it)| !matches!(it.event, Event::Promote { .. } | Event::Switchover { .. }));
        let ends = world.chance.gen_range(6_000..12_000);
        for from in 0..3 {
            for to in (0..3).filter(|to| *to != from) {
                world.schedule(4_000, Event::Cut { from, to });
                world.schedule(ends, Event::Mend { from, to });
            }
        }
        for region in 1..3 {
            let id = PromotionId(world.chance.r#gen());
            let at = world.chance.gen_range(4_000..5_000);
            world.schedule(at, Event::Promote { region, id, attempts: 8 });
        }
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
            self.schedule(pause, Event::Operator { region });
        }
        let max_parallel = self.chance.gen_range(1..=6);
        let peer = |regions: &[Region], index: usize, activated| Peer {
            region: regions[index].id,
            name: regions[index].name.clone(),
            addresses: vec![format!("http://{}:8200", regions[index].name)],
            activated,
            known: false,
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
            let region = self.chance.gen_range(0..count);
            let id = PromotionId(self.chance.r#gen());
            self.schedule(at, Event::Promote { region, id, attempts: 6 });
        }
        self.set_up_switchovers(count);
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
                self.see(to, &Seen::Heard { from, answer: &answer })?;
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
            Event::Operator { region } => self.operate(region),
            Event::Fault => self.some_fault(),
            Event::Lead { region } => self.lead(region),
            Event::Remember { region, term } if self.regions[region].term == term => self.remember(region),
            Event::Remember { .. } => Ok(()),
            Event::Override { region } => self.override_closed(region),
            Event::Cut { from, to } => {
                self.network.cut(from, to);
                Ok(())
            }
            Event::Mend { from, to } => {
                self.network.mend(from, to);
                Ok(())
            }
            Event::Choose { region } => self.choose(region),
            Event::Accept { region, replay } => self.accept(region, *replay),
            Event::Reviewed { region, reviews } => {
                self.propose(region, Proposer::Keeper, Command::Review { reviews });
                Ok(())
            }
            Event::Resume { region, peer } => {
                self.regions[region].peers[peer].paused = false;
                self.tell_peers(region)
            }
            Event::Promote { region, id, attempts } => self.promote(region, id, attempts),
            Event::Switchover { region, id, deadline_ms, attempts } => {
                self.switch_over(region, id, deadline_ms, attempts)
            }
            Event::LoseLeader { region } => self.lose_leader(region),
            Event::Cancel { region, id } => self.cancel(region, id),
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
        region.note_open();
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
            Effect::ReadWal { .. }
            | Effect::ReadRange { .. }
            | Effect::ReadRoot
            | Effect::ReadNodes { .. }
            | Effect::ReadHeld { .. }
            | Effect::ReadUnnamed { .. }
            | Effect::Freeze { .. }
            | Effect::Scrub { .. }
            | Effect::ReadFrozenNodes { .. }
            | Effect::ReadFrozenHeld { .. } => {
                let after = self.chance.gen_range(0..8);
                self.schedule(after, Event::Read { region: index, term, effect: Box::new(effect) });
            }
            Effect::Thaw => self.regions[index].kept = None,
            Effect::Report(fact) => self.fact(index, fact)?,
        }
        Ok(())
    }

    fn see(&mut self, index: usize, seen: &Seen) -> Result<(), String> {
        let region = &self.regions[index];
        self.invariants.iter_mut().try_for_each(|invariant| invariant.see(region, seen))
    }

    fn fact(&mut self, index: usize, fact: Fact) -> Result<(), String> {
        match fact {
            Fact::SyncBegan { reason, kind, .. } => {
                self.coverage.reasons.insert(reason);
                self.coverage.diff_syncs += u32::from(kind == SyncKind::Diff);
            }
            Fact::Verified(verified) => self.verified(&verified)?,
            Fact::Whole { .. } => self.coverage.whole += 1,
            Fact::Fenced { .. } => self.coverage.fences += 1,
            Fact::Demoted { .. } => self.coverage.demoted += 1,
            Fact::Diverged { fork, kept, .. } => {
                self.note(format!("{} left the line at {fork}: {kept}", self.regions[index].name));
                self.coverage.ledgers += 1;
                self.coverage.kept_writes += kept.entries as u32;
            }
            Fact::PeerFenced { .. } => self.coverage.proofs += 1,
            Fact::Follows { .. } => self.coverage.follows += 1,
            Fact::Roots { at, equal: false, .. } => return Err(format!("the roots differ at {at}")),
            Fact::Roots { .. } => self.coverage.equal_roots += 1,
            Fact::SameEpoch { .. } if self.rash => {
                // Their operators talk to each other, and choose; a third region may follow the wrong one.
                let region = if self.regions[index].state.path().role == Role::Standby { index } else { 2 };
                let after = self.chance.gen_range(100..2_000);
                self.schedule(after, Event::Choose { region });
            }
            Fact::SameEpoch { epoch, .. } => return Err(format!("two regions are primary in epoch {epoch}")),
            Fact::Promotion { progress: PromotionProgress::Done(record), .. } => {
                self.note(format!("{} is promoted at {}", self.regions[index].name, record.fork));
                match record.mode {
                    PromoteMode::Forced => self.coverage.promotions += 1,
                    PromoteMode::Planned => self.coverage.switchovers += 1,
                }
                self.coverage.lost_writes += record.loss.entries as u32;
                self.see(index, &Seen::Promoted { record: &record })?;
            }
            Fact::Promotion { progress: PromotionProgress::Refused { reason, .. }, .. } => {
                self.note(format!("{} refuses a promotion: {reason}", self.regions[index].name));
            }
            Fact::Handover { id, peer, stage: HandoverStage::GaveUp { reached } } => {
                self.note(format!("{} gives up at {reached}", self.regions[index].name));
                self.coverage.given_up += 1;
                let standby = self.index_of(peer);
                self.trouble(index, standby, id);
            }
            Fact::Handover { stage: HandoverStage::TookBack, .. } => {
                self.note(format!("{} takes back what it gave up", self.regions[index].name));
                self.coverage.taken_back += 1;
            }
            Fact::Promotion { .. } => self.coverage.repeated_promotions += 1,
            Fact::Closed { .. } => self.coverage.closed += 1,
            Fact::Opened { by, .. } => {
                self.note(format!("{} opens: {by:?}", self.regions[index].name));
                match by {
                    OpenedBy::Confirmation => self.coverage.confirmed += 1,
                    OpenedBy::Remembered => self.coverage.remembered += 1,
                    OpenedBy::Promotion | OpenedBy::Override { .. } => {}
                }
            }
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
