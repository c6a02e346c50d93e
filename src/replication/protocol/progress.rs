//! How far a primary got with one standby: the state of its link, and what is in flight.
//!
//! ```text
//!                             ┌► Copying ───┐
//!   Activating ──► Probing ───┼► Comparing ─┼► Streaming
//!                   ▲  │ ▲    └─────────────┘      │
//!                   │  ▼ └─────────────────────────┘   lost: the standby is asked where it stands
//!                  Refused   looks again now and then  any but Activating: Paused, and back to Probing
//! ```
//!
//! Invariants:
//! * `flights` never holds more than `max_parallel` requests that carry data, one `Hello`, one `Compare`, one heartbeat;
//!   more heartbeats, one each period of them and one for each piece of news, while a handover is under way. What they
//!   carry costs no more than `IN_FLIGHT_COST_MAX`, give or take one request.
//! * Streaming: every index below `next` is applied by the standby, in flight, or in `missing`.
//! * Copying: every stretch before `next` is applied by the standby, in flight, or in `unsent`.

use super::batch_size::BatchSize;
use super::comparing::Comparing;
use super::context::Context;
use super::interface::*;
use super::message::*;
use super::pacing::Pace;
use super::rate::Rate;
use super::reorder::{self, BUFFERED_BYTES_MAX};
use crate::api::replication::LinkState;
use crate::clock::UnixMs;
use crate::ids::{Epoch, SyncId};
use crate::state::{CopyChunk, Fence, Role, SyncKind};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// What is on its way costs so much at most, by the standby's reckoning: half of what it puts in order, since what
/// was given up here may lie there still. It bounds the memory of both sides, however many requests run side by side.
const IN_FLIGHT_COST_MAX: u64 = BUFFERED_BYTES_MAX / 2;
/// After so many failures in a row, the standby is asked where it stands.
const FAILURES_BEFORE_HELLO: u32 = 3;

pub(super) struct Link {
    pub peer: Peer,
    pub progress: Progress,
    pub flights: BTreeMap<CallId, Flight>,
    /// Failures since the standby was heard; those that come together count once.
    pub failures: u32,
    /// Nothing is sent before.
    pub retry_at: u64,
    pub heartbeat_at: u64,
    /// The next heartbeat waits for no answer to the one before.
    pub hurried: bool,
    pub heard: Option<PeerHeard>,
    pub clock: Option<ClockSeen>,
    pub error: Option<String>,
    pub rate: Rate,
    pub batch: BatchSize,
    pub pace: Pace,
    /// What was reported last, and since when.
    pub reported: Option<(LinkState, Option<String>)>,
    pub since: UnixMs,
    /// The epoch whose fence the peer proved, so that it is reported once.
    pub fence_proven: Option<Epoch>,
    /// The newest index of the log that may be sent, while a verification brings the standby to one position.
    pub hold: Option<u64>,
}

pub(super) enum Progress {
    /// There is an activation token, and no credential yet.
    Activating { asked: bool },
    /// Where the standby stands is not known: `Hello` asks.
    Probing,
    /// The standby takes over the data tree.
    Copying(Copying),
    /// The standby is brought what differs.
    Comparing(Comparing),
    /// The standby follows the log.
    Streaming(Streaming),
    /// The operator stopped the link.
    Paused,
    /// The other side takes nothing from this region; it may change its mind.
    Refused { until: u64 },
}

pub(super) struct Copying {
    pub sync: SyncId,
    /// Where the next stretch begins; `None` when all was read.
    pub next: Option<Bytes>,
    pub read: Option<ReadId>,
    /// Stretches whose request failed, or that were read ahead.
    pub unsent: VecDeque<CopyChunk>,
}

pub(super) struct Streaming {
    /// The next index to send for the first time.
    pub next: u64,
    pub read: Option<LogRead>,
    /// Stretches of the log, first and last index, whose request failed.
    pub missing: VecDeque<(u64, u64)>,
}

/// A read of the log under way: from `first`, of use up to `last`.
#[derive(Clone, Copy)]
pub(super) struct LogRead {
    pub read: ReadId,
    pub first: u64,
    pub last: u64,
}

pub(super) struct Flight {
    pub kind: FlightKind,
    pub load: Load,
    pub sent: Now,
    pub deadline: u64,
}

/// What a request carries of the log or the data tree.
#[derive(Clone, Copy, Default)]
pub(super) struct Load {
    /// Keys and values.
    pub bytes: u64,
    /// In the memory of the standby.
    pub cost: u64,
}

impl Load {
    fn of(ask: &Ask) -> Load {
        match ask {
            Ask::Append { entries } => {
                let bytes = entries.iter().map(|entry| entry.batch.bytes()).sum();
                Load { bytes, cost: reorder::log_cost(entries) }
            }
            Ask::Copy(chunk) => {
                let bytes = chunk.entries.iter().map(|(key, stored)| (key.len() + stored.value.len()) as u64).sum();
                Load { bytes, cost: reorder::chunk_cost(chunk) }
            }
            Ask::Patch(part) => {
                let bytes = part.puts.iter().map(|(key, stored)| (key.len() + stored.value.len()) as u64).sum();
                Load { bytes, cost: bytes + reorder::KEEPING_BYTES * (part.puts.len() + part.gone.len()) as u64 }
            }
            _ => Load::default(),
        }
    }
}

pub(super) enum FlightKind {
    Hello,
    Heartbeat,
    Append { first: u64, last: u64 },
    Copy(CopyChunk),
    Compare,
    Patch(PatchPart),
    Verify,
}

/// The peer as it was heard last.
pub(super) struct PeerHeard {
    pub standing: Standing,
    pub at: UnixMs,
    pub steady_ms: u64,
    /// When its answer last showed that it had applied all there was, or when it was first heard.
    pub caught_up_at: UnixMs,
}

/// What the newest heartbeat showed of the way there and back, and of the peer's wall clock.
#[derive(Clone, Copy)]
pub(super) struct ClockSeen {
    pub round_trip_ms: f64,
    /// The shortest of late. One that is longer for a while speaks of a busy region, not of a long way.
    pub shortest_ms: f64,
    pub skew_ms: i64,
}

impl ClockSeen {
    /// One heartbeat out of so many says how long the way has become.
    const LONGER_BY_PART: f64 = 32.0;

    fn after(earlier: Option<ClockSeen>, round_trip_ms: f64, skew_ms: i64) -> ClockSeen {
        let before = earlier.map_or(round_trip_ms, |clock| clock.shortest_ms);
        let longer = (round_trip_ms - before).max(0.0) / ClockSeen::LONGER_BY_PART;
        ClockSeen { round_trip_ms, shortest_ms: before.min(round_trip_ms) + longer, skew_ms }
    }
}

impl Link {
    pub fn new(ctx: &Context, peer: Peer) -> Link {
        let progress = Link::first_progress(&peer);
        Link {
            peer,
            progress,
            flights: BTreeMap::new(),
            failures: 0,
            retry_at: ctx.now.steady_ms,
            heartbeat_at: ctx.now.steady_ms,
            hurried: false,
            heard: None,
            clock: None,
            error: None,
            rate: Rate::default(),
            batch: BatchSize::default(),
            pace: Pace::default(),
            reported: None,
            since: ctx.now.wall,
            fence_proven: None,
            hold: None,
        }
    }

    pub fn first_progress(peer: &Peer) -> Progress {
        match (peer.paused, peer.activated) {
            (true, _) => Progress::Paused,
            (false, false) => Progress::Activating { asked: false },
            (false, true) => Progress::Probing,
        }
    }

    /// The link record changed.
    pub fn set_peer(&mut self, ctx: &Context, peer: Peer) {
        if (peer.activated, peer.paused) != (self.peer.activated, self.peer.paused) {
            self.restart(Link::first_progress(&peer));
            self.retry_at = ctx.now.steady_ms;
            self.error = None;
        }
        self.peer = peer;
    }

    /// Begins anew: what is in flight is forgotten, since the standby will say what it has.
    pub fn restart(&mut self, progress: Progress) {
        self.flights.clear();
        self.progress = progress;
    }

    /// Requests that carry data and are in flight.
    pub fn data_in_flight(&self) -> usize {
        self.flights.values().filter(|flight| flight.carries_data()).count()
    }

    /// Keys and values that are in flight.
    pub fn bytes_in_flight(&self) -> u64 {
        self.flights.values().map(|flight| flight.load.bytes).sum()
    }

    pub fn has_room(&self) -> bool {
        let cost: u64 = self.flights.values().map(|flight| flight.load.cost).sum();
        self.data_in_flight() < self.peer.max_parallel.max(1) as usize && cost < IN_FLIGHT_COST_MAX
    }

    pub fn in_flight(&self, which: fn(&FlightKind) -> bool) -> bool {
        self.flights.values().any(|flight| which(&flight.kind))
    }

    pub fn send(&mut self, ctx: &mut Context, ask: Ask, kind: FlightKind) {
        let load = Load::of(&ask);
        let call = ctx.send(self.peer.region, ask);
        let deadline = ctx.after(ctx.options.timing.request_deadline_ms);
        self.flights.insert(call, Flight { kind, load, sent: ctx.now, deadline });
    }

    /// A request came to nothing.
    pub fn give_up(&mut self, flight: Flight) {
        if flight.carries_data() {
            self.batch.failed();
        }
        self.put_back(flight.kind);
    }

    /// Learns from how long a request took.
    pub fn measure(&mut self, ctx: &Context, flight: &Flight) {
        if flight.carries_data() {
            let took_ms = ctx.now.steady_ms.saturating_sub(flight.sent.steady_ms);
            let round_trip_ms = self.clock.map_or(0, |clock| clock.round_trip_ms as u64);
            self.batch.answered(flight.load.bytes, took_ms, round_trip_ms);
        }
    }

    /// Puts what a request carried back among what is to be sent, as far as the standby lacks it.
    pub fn put_back(&mut self, kind: FlightKind) {
        let applied = self.heard.as_ref().map_or(0, |heard| heard.standing.applied.index);
        match (kind, &mut self.progress) {
            (FlightKind::Append { first, last }, Progress::Streaming(streaming)) if last > applied => {
                streaming.missing.push_back((first.max(applied + 1), last));
            }
            (FlightKind::Copy(chunk), Progress::Copying(copying)) if chunk.sync == copying.sync => {
                // What the standby waits for comes before what was read ahead.
                copying.unsent.push_front(chunk);
            }
            (FlightKind::Patch(part), Progress::Comparing(comparing)) if part.sync == comparing.sync => {
                comparing.put_back(part);
            }
            _ => {}
        }
    }

    /// Something about the link failed: pause, and after a few failures ask where the standby stands.
    pub fn failed(&mut self, ctx: &mut Context, error: String) {
        self.error = Some(error);
        if !ctx.is_due(self.retry_at) {
            return;
        }
        self.failures += 1;
        let pause = self.backoff(ctx);
        self.retry_at = ctx.after(pause);
        let lost = match self.progress {
            Progress::Copying(_) | Progress::Comparing(_) | Progress::Streaming(_) => {
                self.failures >= FAILURES_BEFORE_HELLO
            }
            Progress::Refused { .. } => true,
            Progress::Activating { .. } | Progress::Probing | Progress::Paused => false,
        };
        if lost {
            self.restart(Progress::Probing);
        }
    }

    /// It will never work as it stands: nothing is tried before the link record changes.
    pub fn refused_for_good(&mut self, error: String) {
        self.error = Some(error);
        self.restart(Progress::Refused { until: u64::MAX });
    }

    /// The other side takes nothing for now: look again later.
    pub fn refused(&mut self, ctx: &Context, error: String) {
        self.error = Some(error);
        self.restart(Progress::Refused { until: ctx.after(ctx.options.timing.refused_every_ms) });
    }

    /// Notes what an answer says of the peer, unless a later one said more.
    pub fn hear(&mut self, ctx: &mut Context, flight: &Flight, standing: &Standing) {
        let stale = self.heard.as_ref().is_some_and(|heard| {
            let same = heard.standing.sync.as_ref().map(|sync| sync.id) == standing.sync.as_ref().map(|sync| sync.id)
                && heard.standing.dataset == standing.dataset;
            let age = |it: &Standing| (it.epoch, it.applied, it.handover.asked, it.handover.asks.is_none());
            same && age(standing) < age(&heard.standing)
        });
        if stale {
            return;
        }
        // Other answers wait for an agreement in the standby's region.
        if matches!(flight.kind, FlightKind::Heartbeat) {
            let middle = (flight.sent.wall.0 + ctx.now.wall.0) / 2;
            let round_trip_ms = ctx.now.steady_ms.saturating_sub(flight.sent.steady_ms) as f64;
            let skew_ms = standing.answered_at.0 as i64 - middle as i64;
            self.clock = Some(ClockSeen::after(self.clock, round_trip_ms, skew_ms));
        }
        let (entries, bytes) = match &standing.sync {
            Some(sync) if sync.cursor.is_some() => (sync.entries_done, sync.bytes_done),
            _ => (standing.totals.entries(), standing.totals.bytes),
        };
        self.rate.note(ctx.now.steady_ms, entries, bytes);
        // A standby keeps what fenced it before it followed: news of this epoch only.
        let is_news = |fence: &&Fence| {
            let counts = standing.role == Role::Fenced || fence.by_epoch == ctx.path.epoch;
            counts && self.fence_proven != Some(fence.by_epoch)
        };
        if let Some(fence) = standing.fence.as_ref().filter(is_news) {
            self.fence_proven = Some(fence.by_epoch);
            let (by_epoch, reached) = (fence.by_epoch, fence.reached);
            let totals = Some(standing.totals).filter(|_| standing.applied == reached);
            ctx.report(Fact::PeerFenced { peer: self.peer.region, by_epoch, reached, totals });
        }
        let at = ctx.now.wall;
        let earlier = self.heard.as_ref().map(|heard| heard.caught_up_at);
        let caught_up_at = earlier.filter(|_| standing.applied < ctx.path.applied).unwrap_or(at);
        self.heard = Some(PeerHeard { standing: standing.clone(), at, steady_ms: ctx.now.steady_ms, caught_up_at });
    }

    /// What the link does, in the words of the status.
    pub fn state(&self) -> LinkState {
        let sync = || self.heard.as_ref().and_then(|heard| heard.standing.sync.as_ref()).map(|sync| sync.kind);
        match &self.progress {
            Progress::Paused => LinkState::Paused,
            Progress::Refused { .. } => LinkState::Refused,
            Progress::Activating { .. } => LinkState::Activating,
            Progress::Probing => LinkState::Connecting,
            _ if self.failures > 0 => LinkState::Connecting,
            Progress::Copying(_) => LinkState::FullSync,
            Progress::Comparing(_) => LinkState::DiffSync,
            Progress::Streaming(_) => match sync() {
                Some(SyncKind::Full) => LinkState::FullSync,
                Some(SyncKind::Diff) => LinkState::DiffSync,
                None => LinkState::Streaming,
            },
        }
    }

    /// Tells of a change of `state`, once.
    pub fn report_state(&mut self, ctx: &mut Context) {
        let (state, error) = (self.state(), self.error.clone());
        if self.reported.as_ref().is_some_and(|(reported, was)| *reported == state && *was == error) {
            return;
        }
        if self.reported.as_ref().is_none_or(|(reported, _)| *reported != state) {
            self.since = ctx.now.wall;
        }
        self.reported = Some((state, error.clone()));
        ctx.report(Fact::Link { peer: self.peer.region, state, error });
    }

    pub fn wakes_at(&self, ctx: &Context) -> Option<u64> {
        let flights = self.flights.values().map(|flight| flight.deadline).min();
        let beats = self.in_flight(|kind| matches!(kind, FlightKind::Heartbeat));
        let asks = self.in_flight(|kind| matches!(kind, FlightKind::Hello));
        let next = match &self.progress {
            Progress::Paused | Progress::Activating { asked: true } => None,
            Progress::Activating { asked: false } => Some(self.retry_at),
            Progress::Refused { until } => Some(*until).filter(|until| *until != u64::MAX && !asks),
            Progress::Probing => Some(self.retry_at).filter(|_| !asks),
            Progress::Copying(_) | Progress::Comparing(_) | Progress::Streaming(_) => match ctx.is_due(self.retry_at) {
                false => Some(self.retry_at),
                true => Some(self.heartbeat_at).filter(|_| !beats || self.hurried),
            },
        };
        let rest = self.pace.wakes_at(ctx.now.steady_ms).filter(|_| matches!(self.progress, Progress::Copying(_)));
        flights.into_iter().chain(next).chain(rest).min()
    }

    fn backoff(&self, ctx: &mut Context) -> u64 {
        let timing = ctx.options.timing;
        let doubled = timing.backoff_min_ms.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        ctx.jittered(doubled.min(timing.backoff_max_ms))
    }
}

impl Flight {
    fn carries_data(&self) -> bool {
        matches!(self.kind, FlightKind::Append { .. } | FlightKind::Copy(_) | FlightKind::Patch(_))
    }
}
