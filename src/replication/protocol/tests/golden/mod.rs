//! Stories of the protocol, one a file in `stories/`, told message by message over real applied states.
//!
//! Nothing happens by itself but reads and agreements: a message stays on its way until the story delivers or loses it,
//! and time stands still until the story waits. `UPDATE_GOLDENFILES=1` writes down what came out.
//!
//! * `region a b …` makes regions, each with a leader; `link a b [max_parallel=N]` as an activation token does
//! * `credential b c` leaves one on both sides, as an earlier link between them would have
//! * `write a KEY=VALUE …` one batch for each; `trim a below=N`; `data a`
//! * `deliver N …`, `lose N …` (nobody is told), `cut N …` (the sender is told), `settle` delivers all, again and again
//! * `wait MS`; `lead a` changes the leader; `stall a` and `resume a` keep the region from agreeing
//! * `restart a` starts all its nodes anew; `override a` opens it for writes
//! * `demote a reason=…`, `rejoin a [reason=…]`, `ledger a`, `discard a LEDGER/EPOCH:INDEX …`
//! * `verify a`; `damage b KEY=VALUE …` changes what the disk holds behind everybody's back
//! * `promote b id=N [refuse-loss] [plan=…]`; `switchover b id=N [deadline=MS]`; `cancel b id=N`, at either side
//! * `plan b [planned]`; `status`

mod people;
mod words;

use super::super::*;
use super::simulator::region::{Proposal, Proposer, Region};
use crate::api::replication::PromoteMode;
use crate::clock::UnixMs;
use crate::state::{Batch, Class, Command, Op, Outcome, PathChange, Rejoin, Stored, Then};
use crate::storage::{KeyRange, ScanLimit, Tree, WriteBatch};
use bytes::Bytes;
use goldenscript::Context;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt::Write;
use words::{ask, key, standing, step_name, want};

/// What one read returns, so that stories need few writes to fill several requests.
const READ: ScanLimit = ScanLimit { entries: 2, bytes: usize::MAX };
/// Deliveries of one `settle` at most: a story that goes on for ever is a bug.
const SETTLE_MAX: usize = 200;

#[derive(Default)]
struct Stage {
    regions: Vec<Region>,
    now: u64,
    on_their_way: BTreeMap<u64, Message>,
    numbered: u64,
    /// By request id: who asked by which call.
    asked: BTreeMap<u64, (usize, u64, CallId)>,
    stalled: Vec<usize>,
    told: String,
}

#[derive(Clone)]
enum Message {
    Request { from: usize, to: usize, term: u64, call: CallId, request: Box<Request> },
    Answer { from: usize, to: usize, term: u64, call: CallId, answer: Box<Answer> },
}

impl goldenscript::Runner for Stage {
    type Command = goldenscript::Command;

    fn run(&mut self, command: &goldenscript::Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let mut names = Vec::new();
        let mut keys = BTreeMap::new();
        while let Some(name) = args.next_pos() {
            names.push(name.to_owned());
        }
        let mut pairs = Vec::new();
        while let Some((key, value)) = args.next_key() {
            keys.insert(key.to_owned(), value.to_owned());
            pairs.push((key.to_owned(), value.to_owned()));
        }
        let number = |key: &str| keys.get(key).map(|value| value.parse::<u64>()).transpose();
        let first = || names.first().ok_or("which region?");
        match command.name.as_str() {
            "region" => names.iter().for_each(|name| self.region(name)),
            "link" => self.link(&names[0], &names[1], number("max_parallel")?.unwrap_or(2) as u32),
            "credential" => self.credential(&names[0], &names[1]),
            "write" => self.write(first()?, &pairs),
            "trim" => {
                let below = number("below")?.ok_or("below which index?")?;
                let index = self.index(first()?);
                self.agree(index, &Command::TrimWal { below });
                self.step(index, Input::Applied);
            }
            "data" => self.data(first()?),
            "deliver" => names.iter().try_for_each(|name| self.deliver(name.parse()?))?,
            "lose" => names.iter().try_for_each(|name| self.lose(name.parse()?, false))?,
            "cut" => names.iter().try_for_each(|name| self.lose(name.parse()?, true))?,
            "settle" => self.settle()?,
            "wait" => self.wait(first()?.parse()?),
            "lead" => self.lead(first()?),
            "restart" => {
                let index = self.index(first()?);
                self.regions[index].saw_open = None;
                self.lead(first()?);
            }
            "override" => {
                let index = self.index(first()?);
                let PathState { dataset, epoch, .. } = self.regions[index].state.path();
                let by = OpenedBy::Override { reason: "eu-west-1 burnt down".into() };
                self.step(index, Input::Open { dataset, epoch, by });
            }
            "stall" => {
                let index = self.index(first()?);
                self.stalled.push(index);
            }
            "resume" => self.resume(first()?),
            "promote" => {
                let refuses = names.get(1).is_some_and(|name| name == "refuse-loss");
                let id = number("id")?.ok_or("which id?")?;
                self.promote(first()?, id, !refuses, keys.get("plan").cloned());
            }
            "demote" => {
                let reason = keys.get("reason").cloned().unwrap_or_default();
                self.operate(first()?, PathChange::Demote { at: UnixMs(self.now), reason });
            }
            "rejoin" => {
                let to = keys.get("to").map(|name| self.regions[self.index(name)].id);
                let rejoin = Rejoin { at: UnixMs(self.now), reason: keys.get("reason").cloned(), to };
                self.operate(first()?, PathChange::AllowRejoin(rejoin));
            }
            "ledger" => self.ledger(first()?),
            "discard" => self.discard(first()?, &names[1..])?,
            "switchover" => {
                let id = number("id")?.ok_or("which id?")?;
                self.switchover(first()?, id, number("deadline")?.unwrap_or(30_000));
            }
            "cancel" => {
                let id = number("id")?.ok_or("which id?")?;
                self.cancel(first()?, id);
            }
            "plan" => {
                let planned = names.get(1).is_some_and(|name| name == "planned");
                self.plan(first()?, if planned { PromoteMode::Planned } else { PromoteMode::Forced });
            }
            "verify" => {
                let index = self.index(first()?);
                self.step(index, Input::Verify { id: 1 });
            }
            "damage" => self.damage(first()?, &pairs),
            "status" => self.status(),
            other => return Err(format!("there is no `{other}`").into()),
        }
        Ok(std::mem::take(&mut self.told))
    }
}

impl Stage {
    fn tell(&mut self, line: impl AsRef<str>) {
        writeln!(self.told, "{}", line.as_ref()).expect("a string takes any line");
    }

    fn index(&self, name: &str) -> usize {
        self.regions.iter().position(|region| region.name == name).expect("the story names its regions")
    }

    fn by_id(&self, id: RegionId) -> usize {
        self.regions.iter().position(|region| region.id == id).expect("only regions of the story are named")
    }

    fn region(&mut self, name: &str) {
        let region = Region::new(self.regions.len(), 0);
        assert_eq!(region.name, name, "regions are a, b, c in order");
        self.regions.push(region);
        self.lead(name);
    }

    fn lead(&mut self, name: &str) {
        let index = self.index(name);
        self.regions[index].lead(self.now, false, None);
        self.tell_peers(index);
    }

    fn tell_peers(&mut self, index: usize) {
        let (peers, adopts) = (self.regions[index].peers.clone(), self.regions[index].adopts);
        self.step(index, Input::Peers { peers, adopts, anew: Vec::new() });
    }

    /// Leaves a credential on both sides, as an earlier link between them would have.
    fn credential(&mut self, one: &str, other: &str) {
        for (at, peer) in [(self.index(one), self.index(other)), (self.index(other), self.index(one))] {
            let peer = Peer {
                region: self.regions[peer].id,
                name: self.regions[peer].name.clone(),
                addresses: vec![format!("http://{}:8200", self.regions[peer].name)],
                activated: true,
                known: false,
                paused: false,
                max_parallel: 2,
            };
            self.regions[at].peers.push(peer);
            self.tell_peers(at);
        }
    }

    fn link(&mut self, primary: &str, standby: &str, max_parallel: u32) {
        let (primary, standby) = (self.index(primary), self.index(standby));
        let peer = |region: &Region| Peer {
            region: region.id,
            name: region.name.clone(),
            addresses: vec![format!("http://{}:8200", region.name)],
            activated: true,
            known: false,
            paused: false,
            max_parallel,
        };
        let (one, other) = (peer(&self.regions[primary]), peer(&self.regions[standby]));
        let adopts = Adoption { from: one.region, dataset: self.regions[primary].state.path().dataset };
        self.regions[standby].peers.push(one);
        self.regions[standby].adopts = Some(adopts);
        self.regions[primary].peers.push(other);
        self.tell_peers(standby);
        self.tell_peers(primary);
    }

    fn write(&mut self, name: &str, pairs: &[(String, String)]) {
        let index = self.index(name);
        let batch = |(key, value): &(String, String)| {
            let key = Bytes::from(key.clone());
            let (class, op) = match value.as_str() {
                "" => (Class::KvDelete, Op::Delete { key }),
                _ => (Class::KvWrite, Op::Put { key, value: value.clone().into() }),
            };
            Batch { class, at: UnixMs(self.now), ops: vec![op] }
        };
        let batches = pairs.iter().map(batch).collect();
        let region = &self.regions[index];
        let (term, epoch) = (region.term, region.state.path().epoch);
        let core = region.core.as_ref().expect("each region of a story has a leader");
        if region.state.path().role == crate::state::Role::Primary && !core.is_open() {
            return self.tell(format!("{name} takes no writes: closed"));
        }
        match self.agree(index, &Command::Write { term, epoch, batches }) {
            Outcome::Written { first, last } => self.tell(format!("{name} acknowledges {first} to {last}")),
            Outcome::Refused(refusal) => self.tell(format!("{name} refuses: {refusal}")),
            other => panic!("a write came out as {other:?}"),
        }
        self.step(index, Input::Applied);
    }

    /// Changes what the disk holds, and nobody notices. Values keep the position they had.
    fn damage(&mut self, name: &str, pairs: &[(String, String)]) {
        let store = self.regions[self.index(name)].state.store().clone();
        for (key, value) in pairs {
            let held = self.regions[self.index(name)].state.data(key.as_bytes()).expect("memory does not fail");
            let position = held.map(|held| held.position).unwrap_or_default();
            let mut batch = WriteBatch::new();
            match value.as_str() {
                "" => batch.delete(Tree::Data, key.clone()),
                _ => batch.put(Tree::Data, key.clone(), Stored { position, value: value.clone().into() }.to_bytes()),
            }
            store.write(batch).expect("memory does not fail");
        }
    }

    fn agree(&mut self, index: usize, command: &Command) -> Outcome {
        self.regions[index].agree(command)
    }

    fn step(&mut self, index: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let region = &mut self.regions[index];
            let now = region.now(self.now);
            let path = region.state.path();
            let core = region.core.as_mut().expect("each region of a story has a leader");
            let effects = core.step(now, path, input);
            region.note_open();
            for effect in effects {
                inputs.extend(self.effect(index, effect));
            }
        }
    }

    fn effect(&mut self, index: usize, effect: Effect) -> Option<Input> {
        let (name, term) = (self.regions[index].name.clone(), self.regions[index].term);
        match effect {
            Effect::Send { call, to, request, .. } => {
                let to = self.by_id(to);
                self.put(Message::Request { from: index, to, term, call, request: Box::new(request) });
            }
            Effect::Reply { id, answer } => {
                let (to, term, call) = self.asked.remove(&id.0).expect("each request is answered once");
                self.put(Message::Answer { from: index, to, term, call, answer: Box::new(answer) });
            }
            Effect::Propose { id, command } => {
                let by = Proposer::Core { term, id };
                self.regions[index].log.push_back(Proposal { by, command });
                return self.agree_next(index);
            }
            Effect::ReadWal { read, from, .. } => {
                let result = Ok(self.regions[index].state.wal(from, READ).expect("memory does not fail"));
                return Some(Input::WalRead { read, result });
            }
            Effect::ReadRange { read, after, .. } => {
                let state = &self.regions[index].state;
                let start = if after.is_empty() { Vec::new() } else { crate::state::merkle::successor(&after) };
                let entries = state.scan_data(&KeyRange::from(start), READ).expect("memory does not fail");
                let end = entries.len() < READ.entries;
                return Some(Input::RangeRead {
                    read,
                    result: Ok(RangeRead { entries, end, read_at: state.path().applied }),
                });
            }
            Effect::ReadNodes { read, parents } => {
                return Some(Input::NodesRead { read, result: Ok(self.regions[index].state.nodes(&parents)) });
            }
            Effect::ReadHeld { read, buckets, bytes_max } => {
                let held = self.regions[index].state.held(&buckets, bytes_max).expect("memory does not fail");
                return Some(Input::HeldRead { read, result: Ok(held) });
            }
            Effect::ReadUnnamed { read, named, after, .. } => {
                let state = &self.regions[index].state;
                let unnamed = state.unnamed(&named, &after, READ).expect("memory does not fail");
                return Some(Input::UnnamedRead { read, result: Ok(unnamed) });
            }
            Effect::ReadRoot => return Some(Input::Root(self.regions[index].root())),
            Effect::Freeze { read, moment } => {
                let region = &mut self.regions[index];
                let frozen = region.state.freeze().expect("memory does not fail");
                let at = frozen.at();
                region.kept = Some((moment, frozen));
                return Some(Input::Frozen { read, result: Ok(at) });
            }
            Effect::Scrub { .. } | Effect::ReadFrozenNodes { .. } | Effect::ReadFrozenHeld { .. } => {
                return Some(self.regions[index].read_kept(effect));
            }
            Effect::Thaw => self.regions[index].kept = None,
            Effect::Activate { .. } => unreachable!("links of a story are activated"),
            Effect::Report(fact) => self.tell(format!("{name}: {}", self.fact(&fact))),
        }
        None
    }

    fn agree_next(&mut self, index: usize) -> Option<Input> {
        if self.stalled.contains(&index) {
            return None;
        }
        let proposal = self.regions[index].log.pop_front()?;
        let outcome = self.agree(index, &proposal.command);
        let path = self.regions[index].state.path();
        let what = match &proposal.command {
            Command::Follow { entries } => format!("{} entries from {}", entries.len(), entries[0].position),
            Command::Copy(chunk) => format!("{} copied after {}", chunk.entries.len(), key(&chunk.after)),
            Command::Region(change) => change.path.as_ref().map_or_else(|| "records".to_owned(), step_name),
            Command::Patch(patch) => {
                let puts: Vec<_> = patch.puts.iter().map(|(it, _)| key(it)).collect();
                let deletes: Vec<_> = patch.deletes.iter().map(key).collect();
                let then = if patch.then == Then::Log { ", the last" } else { "" };
                format!("patch {}: puts {puts:?}, deletes {deletes:?}, {} left{then}", patch.number, patch.left)
            }
            Command::KeepDiverged(keep) => format!("its ledger behind {}", keep.fork),
            other => format!("{other:?}"),
        };
        let refused = match &outcome {
            Outcome::Refused(refusal) => format!(", refused: {refusal}"),
            _ => String::new(),
        };
        let name = &self.regions[index].name;
        self.tell(format!("{name} agreed on {what}{refused}: {}", standing(&path)));
        match proposal.by {
            Proposer::Core { term, id } if term == self.regions[index].term => {
                Some(Input::Proposed { id, result: Ok(outcome) })
            }
            _ => Some(Input::Applied),
        }
    }

    fn resume(&mut self, name: &str) {
        let index = self.index(name);
        self.stalled.retain(|stalled| *stalled != index);
        while let Some(input) = self.agree_next(index) {
            self.step(index, input);
        }
    }

    fn put(&mut self, message: Message) {
        self.numbered += 1;
        let number = self.numbered;
        let name = |index: usize| &self.regions[index].name;
        let line = match &message {
            Message::Request { from, to, request, .. } => {
                format!("{} -> {}  {number} {}", name(*from), name(*to), ask(request))
            }
            Message::Answer { from, to, answer, .. } => {
                let standing = &answer.standing;
                let whole = if standing.sync.is_some() { " syncing" } else { "" };
                let fence = standing.fence.as_ref().map(|it| format!(" reached {}", it.reached)).unwrap_or_default();
                let asks = if standing.handover.asks.is_some() { " asks" } else { "" };
                format!(
                    "{} <- {}  {number} {} in {} at {}{whole}{fence}{asks}: {}",
                    name(*to),
                    name(*from),
                    standing.role,
                    standing.epoch,
                    standing.applied,
                    want(&answer.want)
                )
            }
        };
        self.tell(line);
        self.on_their_way.insert(number, message);
    }

    fn deliver(&mut self, number: u64) -> Result<(), Box<dyn Error>> {
        match self.on_their_way.remove(&number).ok_or("no such message is on its way")? {
            Message::Request { from, to, term, call, request } => {
                self.asked.insert(number, (from, term, call));
                let from = self.regions[from].id;
                self.step(to, Input::Request { id: RequestId(number), from, request: *request });
            }
            Message::Answer { from, to, term, call, answer } if term == self.regions[to].term => {
                let from = self.regions[from].id;
                self.step(to, Input::Answer { call, from, answer: *answer });
            }
            Message::Answer { to, .. } => {
                let name = self.regions[to].name.clone();
                self.tell(format!("{name}: {number} was for an earlier leader"));
            }
        }
        Ok(())
    }

    fn lose(&mut self, number: u64, tell: bool) -> Result<(), Box<dyn Error>> {
        let message = self.on_their_way.remove(&number).ok_or("no such message is on its way")?;
        let (caller, peer, call) = match message {
            Message::Request { from, to, call, .. } => (from, to, call),
            Message::Answer { from, to, call, .. } => (to, from, call),
        };
        if tell {
            let from = self.regions[peer].id;
            let failure = Failure::Retry("the connection was lost".into());
            self.step(caller, Input::Failed { call, from, failure });
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Box<dyn Error>> {
        for _ in 0..SETTLE_MAX {
            let Some(number) = self.on_their_way.keys().next().copied() else { return Ok(()) };
            self.deliver(number)?;
        }
        Err("this never settles".into())
    }

    /// Lets time pass; whoever is due is woken in between.
    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.now < until {
            let due = |region: &Region| region.core.as_ref().and_then(Core::wakes_at);
            let next = self.regions.iter().filter_map(due).min().unwrap_or(until);
            self.now = next.clamp(self.now + 1, until);
            for index in 0..self.regions.len() {
                self.step(index, Input::Tick);
            }
        }
    }
}

/// One test a story, so that a failure names it.
macro_rules! stories {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/replication/protocol/tests/stories/");
            let story = format!("{folder}{}", stringify!($name));
            goldenscript::run(&mut Stage::default(), story).expect("the story is told as it is written down");
        })*

        #[test]
        fn every_story_is_told() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/replication/protocol/tests/stories/");
            let files = std::fs::read_dir(folder).expect("the stories are there");
            let mut files: Vec<_> = files.map(|it| it.expect("readable").file_name().into_string()).collect();
            files.sort();
            let mut told = vec![$(Ok(stringify!($name).to_owned())),*];
            told.sort();
            assert_eq!(files, told);
        }
    };
}

stories! {
    connect_and_full_sync
    a_sync_resumes_at_its_cursor_after_a_cut
    a_sync_resumes_after_a_change_of_leader
    a_copy_is_whole_only_past_its_newest_stretch
    streaming_restores_the_order
    a_lost_answer_is_sent_again
    nothing_is_answered_before_it_is_agreed_on
    falling_off_the_log
    a_verification_finds_and_repairs_a_damaged_disk
    a_verification_of_sound_disks_while_writes_go_on
    a_damaged_primary_repairs_nobody
    a_diff_sync_goes_on_after_a_cut_and_a_change_of_leader
    a_diff_sync_takes_a_fork_back
    what_is_written_during_a_diff_sync_comes_with_the_log
    when_too_much_differs_everything_is_sent
    a_copy_goes_on_where_stretches_do_not_meet
    a_promotion_fences_the_old_primary_on_hello
    a_promotion_fences_the_old_primary_when_it_asks
    a_promotion_with_the_same_id_happens_once
    a_promotion_ends_when_a_sync_begins_under_it
    a_promotion_needs_consent_and_a_fresh_plan
    another_standby_follows_the_new_primary
    a_strangers_data_is_never_replaced
    a_restarted_region_opens_when_its_standbys_confirm
    a_restarted_region_that_was_replaced_acknowledges_nothing
    a_changed_leader_of_a_region_that_never_stopped_is_open
    a_diverged_region_keeps_a_ledger_and_rejoins
    a_diverged_standby_keeps_its_surplus
    one_of_two_primaries_is_demoted
    a_standby_of_the_wrong_one_of_two_primaries
    a_switchover_loses_nothing
    a_switchover_is_cancelled_before_the_give_up
    a_switchover_is_declined_after_the_give_up
    a_switchover_is_cut_in_the_middle
    a_switchover_survives_new_leaders
    a_region_that_gave_up_is_promoted_again
    a_failover_replaces_a_switchover
    a_fenced_region_is_promoted_when_the_new_primary_is_gone
}
