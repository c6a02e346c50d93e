//! The dialling side: for each standby, finds out where it stands, sends what it wants, and keeps the link alive.

use super::context::Context;
use super::interface::*;
use super::message::*;
use super::on_its_way;
use super::progress::{Copying, Flight, FlightKind, Link, LogRead, Progress, Streaming};
use super::report::{Applied, LagReport, LinkReport};
use super::verify::Verify;
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, RegionId, SyncId};
use crate::state::diff::Unnamed;
use crate::state::line::extends;
use crate::state::merkle::Nodes;
use crate::state::{CopyChunk, EpochStart, Role, WalEntry};
use crate::storage::ScanLimit;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// What one request carries of the log, and of the data tree, at most; its bytes are the link's batch size.
const APPEND_ENTRIES_MAX: usize = 8_192;
const COPY_ENTRIES_MAX: usize = 16_384;
/// Stretches of the data tree that are read before there is room to send them.
const READ_AHEAD: usize = 1;

#[derive(Default)]
pub(super) struct Primary {
    /// What the links belong to.
    line: Option<(DatasetId, Epoch)>,
    links: BTreeMap<RegionId, Link>,
    /// The newest root that was computed here, and the line that it is of.
    root: Option<Root>,
    root_line: Vec<EpochStart>,
    pub verify: Verify,
}

impl Primary {
    /// Looks at new facts: a region that ships its log has a link to each peer, any other has none.
    pub fn settle(&mut self, ctx: &Context) {
        let line = (ctx.path.dataset, ctx.path.epoch);
        // What was in flight in an earlier epoch says nothing in this one.
        if self.line.replace(line) != Some(line) || !ctx.path.ships() {
            self.links.clear();
            // Another line's root at the same position is of another state.
            self.root.take_if(|root| !extends(&ctx.path.history, &self.root_line, root.at));
        }
        if !ctx.path.ships() {
            return;
        }
        let dialled = |region: &RegionId| ctx.peer(*region).is_some_and(|peer| is_dialled(ctx, peer));
        self.links.retain(|region, _| dialled(region));
        for peer in ctx.peers.iter().filter(|peer| is_dialled(ctx, peer)) {
            match self.links.get_mut(&peer.region) {
                Some(link) if link.peer != *peer => link.set_peer(ctx, peer.clone()),
                Some(_) => {}
                None => {
                    self.links.insert(peer.region, Link::new(ctx, peer.clone()));
                }
            }
        }
    }

    /// These links begin anew.
    pub fn forget(&mut self, regions: &[RegionId]) {
        self.links.retain(|region, _| !regions.contains(region));
    }

    /// Verifies every standby, one after the other.
    pub fn verify_all(&mut self, ctx: &mut Context, id: u64) {
        self.verify.order(ctx, id, self.links.keys().copied());
    }

    pub fn root(&mut self, ctx: &Context, root: Root) {
        self.root = Some(root);
        self.root_line.clone_from(&ctx.path.history);
    }

    pub fn activation(&mut self, ctx: &mut Context, peer: RegionId, result: Result<(), Failure>) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Progress::Activating { asked } = &mut link.progress else { return };
        *asked = false;
        match result {
            Ok(()) => {
                link.peer.activated = true;
                link.error = None;
                link.failures = 0;
                link.restart(Progress::Probing);
            }
            Err(Failure::Retry(error)) => link.failed(ctx, error),
            Err(Failure::Final(error)) => link.refused_for_good(error),
        }
    }

    /// Handles an answer whose epoch is not higher than the region's own.
    pub fn answer(&mut self, ctx: &mut Context, call: CallId, from: RegionId, answer: Answer) {
        let Some(link) = self.links.get_mut(&from) else { return };
        // Without a flight the link began anew meanwhile, and what the standby wanted then is of no account.
        let Some(flight) = link.flights.remove(&call) else { return };
        link.measure(ctx, &flight);
        link.hear(ctx, &flight, &answer.standing);
        let busy = matches!(answer.want, Want::Refused(Refused::Busy | Refused::Frozen));
        if !busy {
            link.failures = 0;
            link.retry_at = ctx.now.steady_ms;
            link.error = None;
        }
        match answer.want {
            Want::Refused(refused) if busy => {
                link.put_back(flight.kind);
                link.failed(ctx, refused.to_string());
            }
            Want::Refused(refused) => link.refused(ctx, refused.to_string()),
            Want::Verified { moment, found } => {
                if matches!(flight.kind, FlightKind::Verify) {
                    self.verify.answered(ctx, from, moment, found);
                }
            }
            Want::Hello => {
                if matches!(flight.kind, FlightKind::Verify) {
                    self.verify.repairs(ctx, from);
                }
                let was_hello = matches!(flight.kind, FlightKind::Hello);
                link.restart(Progress::Probing);
                if was_hello {
                    link.failed(ctx, "the other region is not ready for an introduction".into());
                }
            }
            Want::Copy { sync, after } => link.wants_copy(flight, sync, after),
            Want::Log { from } => link.wants_log(flight, from),
            Want::Compare { sync } => link.wants_compare(flight, sync),
            Want::Nodes { sync, parents } => link.wants_nodes(ctx, &flight, sync, parents),
            Want::Diff { sync, batch, buckets } => link.wants_diff(ctx, &flight, sync, batch, buckets),
        }
    }

    pub fn failed(&mut self, ctx: &mut Context, call: CallId, from: RegionId, failure: Failure) {
        let Some(link) = self.links.get_mut(&from) else { return };
        let Some(flight) = link.flights.remove(&call) else { return };
        link.give_up(flight);
        match failure {
            Failure::Retry(error) => link.failed(ctx, error),
            Failure::Final(error) => link.refused(ctx, error),
        }
    }

    pub fn wal_read(&mut self, ctx: &mut Context, read: ReadId, result: Result<Vec<WalEntry>, Failure>) {
        let reading = |link: &&mut Link| matches!(&link.progress, Progress::Streaming(it) if it.reads(read));
        let Some(link) = self.links.values_mut().find(reading) else { return };
        link.log_read(ctx, result);
    }

    pub fn range_read(&mut self, ctx: &mut Context, read: ReadId, result: Result<RangeRead, Failure>) {
        let reading = |link: &&mut Link| matches!(&link.progress, Progress::Copying(it) if it.read == Some(read));
        let Some(link) = self.links.values_mut().find(reading) else { return };
        link.range_read(ctx, result);
    }

    pub fn nodes_read(&mut self, ctx: &mut Context, read: ReadId, result: Result<(Position, Vec<Nodes>), Failure>) {
        if let Some(link) = self.comparing(read) {
            link.nodes_read(ctx, result);
        }
    }

    pub fn unnamed_read(&mut self, ctx: &mut Context, read: ReadId, result: Result<Unnamed, Failure>) {
        if let Some(link) = self.comparing(read) {
            link.unnamed_read(ctx, result);
        }
    }

    fn comparing(&mut self, read: ReadId) -> Option<&mut Link> {
        let reading = |link: &&mut Link| matches!(&link.progress, Progress::Comparing(it) if it.reads(read));
        self.links.values_mut().find(reading)
    }

    /// Sends what is due on each link.
    pub fn drive(&mut self, ctx: &mut Context) {
        self.verify.drive(ctx, &mut self.links);
        for link in self.links.values_mut() {
            link.hold = self.verify.holds(link.peer.region);
            link.drive(ctx, self.root);
            link.report_state(ctx);
        }
    }

    pub fn wakes_at(&self, ctx: &Context) -> Option<u64> {
        self.links.values().filter_map(|link| link.wakes_at(ctx)).min()
    }

    /// The oldest index that a standby still needs. One that was never heard may need all there is.
    pub fn wal_floor(&self, ctx: &Context) -> Option<u64> {
        let needs = |link: &Link| match &link.heard {
            _ if !link.peer.activated => None,
            None => Some(ctx.path.wal_first),
            Some(heard) => {
                let standing = &heard.standing;
                is_behind_us(ctx, standing).then_some(standing.applied.index + 1)
            }
        };
        self.links.values().filter_map(needs).min()
    }

    /// What was heard of each peer, and whether it streams just now.
    pub fn peers(&self, ctx: &Context) -> impl Iterator<Item = PeerSeen<'_>> {
        let (now, silent_after) = (ctx.now.steady_ms, ctx.options.timing.silent_after_ms);
        self.links.values().filter_map(move |link| {
            let heard = link.heard.as_ref()?;
            let recent = now.saturating_sub(heard.steady_ms) <= silent_after;
            let streams = recent && matches!(link.progress, Progress::Streaming(_)) && link.failures == 0;
            let round_trip_ms = link.clock.map(|clock| clock.round_trip_ms as u64);
            Some(PeerSeen { region: link.peer.region, standing: &heard.standing, streams, round_trip_ms })
        })
    }

    /// There is news for a standby: it is told at once, whatever else is on its way.
    pub fn hurry(&mut self, ctx: &Context, region: RegionId) {
        if let Some(link) = self.links.get_mut(&region) {
            link.heartbeat_at = ctx.now.steady_ms;
            link.hurried = true;
        }
    }

    /// The next heartbeat is sent in its time, even if the one before is not answered: it may be lost.
    pub fn insist(&mut self, region: RegionId) {
        if let Some(link) = self.links.get_mut(&region) {
            link.hurried = true;
        }
    }

    pub fn reports(&self, ctx: &Context) -> Vec<LinkReport> {
        self.links.values().map(|link| report(ctx, link)).collect()
    }
}

/// A peer as it was heard last.
pub(super) struct PeerSeen<'a> {
    pub region: RegionId,
    pub standing: &'a Standing,
    pub streams: bool,
    pub round_trip_ms: Option<u64>,
}

/// A peer whose data this region is about to take over is not dialled: it dials.
pub(super) fn is_dialled(ctx: &Context, peer: &Peer) -> bool {
    ctx.adopts.is_none_or(|adopts| adopts.from != peer.region || adopts.dataset == ctx.path.dataset)
}

impl Copying {
    /// Nothing is read yet of what lies behind `after`.
    fn from(sync: SyncId, after: Bytes) -> Copying {
        Copying { sync, next: Some(after), read: None, unsent: VecDeque::new() }
    }
}

impl Streaming {
    fn reads(&self, read: ReadId) -> bool {
        self.read.is_some_and(|it| it.read == read)
    }
}

impl Link {
    fn drive(&mut self, ctx: &mut Context, root: Option<Root>) {
        self.expire(ctx);
        if !ctx.is_due(self.retry_at) {
            return;
        }
        match &mut self.progress {
            Progress::Paused => {}
            Progress::Refused { until } if !ctx.is_due(*until) => {}
            Progress::Activating { asked } => {
                if !std::mem::replace(asked, true) {
                    ctx.effects.push(Effect::Activate { peer: self.peer.region });
                }
            }
            Progress::Probing | Progress::Refused { .. } => {
                if !self.in_flight(|kind| matches!(kind, FlightKind::Hello)) {
                    self.send(ctx, Ask::Hello(hello(ctx)), FlightKind::Hello);
                }
            }
            Progress::Copying(_) => {
                self.heartbeat(ctx, root);
                self.copy(ctx);
            }
            Progress::Comparing(_) => {
                self.heartbeat(ctx, root);
                self.compare(ctx);
            }
            Progress::Streaming(_) => {
                self.heartbeat(ctx, root);
                self.stream(ctx);
            }
        }
    }

    /// Gives up requests that were not answered in time.
    fn expire(&mut self, ctx: &mut Context) {
        let late: Vec<CallId> =
            self.flights.iter().filter(|(_, flight)| ctx.is_due(flight.deadline)).map(|(call, _)| *call).collect();
        for call in late {
            if let Some(flight) = self.flights.remove(&call) {
                self.give_up(flight);
                self.failed(ctx, "no answer in time".into());
            }
        }
    }

    fn heartbeat(&mut self, ctx: &mut Context, root: Option<Root>) {
        let waits = self.in_flight(|kind| matches!(kind, FlightKind::Heartbeat)) && !self.hurried;
        if ctx.is_due(self.heartbeat_at) && !waits {
            self.hurried = false;
            self.heartbeat_at = ctx.after(ctx.options.timing.heartbeat_every_ms);
            self.send(ctx, Ask::Heartbeat { root }, FlightKind::Heartbeat);
        }
    }

    fn copy(&mut self, ctx: &mut Context) {
        let on_its_way_max = on_its_way::most(ctx.path.bytes, self.clock.map_or(0.0, |clock| clock.shortest_ms));
        let (now, head) = (ctx.now.steady_ms, ctx.path.applied.index);
        let round_trip_ms = self.clock.map_or(0, |clock| clock.round_trip_ms as u64);
        while self.has_room() && self.bytes_in_flight() < on_its_way_max {
            let in_flight = self.data_in_flight();
            let Progress::Copying(copying) = &mut self.progress else { return };
            if copying.unsent.is_empty() || !self.pace.may_send(now, head, in_flight, round_trip_ms) {
                break;
            }
            let Some(chunk) = copying.unsent.pop_front() else { break };
            self.send(ctx, Ask::Copy(chunk.clone()), FlightKind::Copy(chunk));
        }
        // As much as leaves room for all that may travel side by side.
        let stretch = self.batch.bytes().min(on_its_way_max / u64::from(self.peer.max_parallel.max(1)));
        let limit = ScanLimit { entries: COPY_ENTRIES_MAX, bytes: stretch as usize };
        let Progress::Copying(copying) = &mut self.progress else { return };
        if let (None, Some(after)) = (copying.read, &copying.next)
            && copying.unsent.len() < READ_AHEAD
        {
            let read = ReadId(ctx.number());
            ctx.effects.push(Effect::ReadRange { read, after: after.clone(), limit });
            copying.read = Some(read);
        }
    }

    fn stream(&mut self, ctx: &mut Context) {
        let has_room = self.has_room();
        let applied = self.heard.as_ref().map_or(0, |heard| heard.standing.applied.index);
        let newest = self.hold.unwrap_or(u64::MAX).min(ctx.path.applied.index);
        let Progress::Streaming(streaming) = &mut self.progress else { return };
        streaming.missing.retain(|(_, last)| *last > applied);
        if !has_room || streaming.read.is_some() {
            return;
        }
        let (first, last) = match streaming.missing.pop_front() {
            Some((first, last)) => (first.max(applied + 1), last),
            None if streaming.next <= newest => (streaming.next, u64::MAX),
            None => return,
        };
        let limit = ScanLimit { entries: APPEND_ENTRIES_MAX, bytes: self.batch.bytes() as usize };
        let read = ReadId(ctx.number());
        ctx.effects.push(Effect::ReadWal { read, from: first, limit });
        streaming.read = Some(LogRead { read, first, last });
    }

    fn log_read(&mut self, ctx: &mut Context, result: Result<Vec<WalEntry>, Failure>) {
        let Progress::Streaming(streaming) = &mut self.progress else { return };
        let Some(LogRead { first, last, .. }) = streaming.read.take() else { return };
        let mut entries = match result {
            Ok(entries) => entries,
            Err(Failure::Retry(error) | Failure::Final(error)) => {
                if last != u64::MAX {
                    streaming.missing.push_front((first, last));
                }
                return self.failed(ctx, format!("reading the own log failed: {error}"));
            }
        };
        let newest = self.hold.unwrap_or(u64::MAX).min(last);
        entries.retain(|entry| (first..=newest).contains(&entry.position.index));
        let read_through = match entries.last() {
            Some(entry) if entries[0].position.index == first => entry.position.index,
            // The log no longer holds it: the standby needs a sync, and learns so from the next introduction.
            _ => return self.restart(Progress::Probing),
        };
        if last == u64::MAX {
            streaming.next = read_through + 1;
        } else if read_through < last {
            streaming.missing.push_front((read_through + 1, last));
        }
        self.send(ctx, Ask::Append { entries }, FlightKind::Append { first, last: read_through });
    }

    fn range_read(&mut self, ctx: &mut Context, result: Result<RangeRead, Failure>) {
        let Progress::Copying(copying) = &mut self.progress else { return };
        copying.read = None;
        let range = match result {
            Ok(range) => range,
            Err(Failure::Retry(error) | Failure::Final(error)) => {
                return self.failed(ctx, format!("reading the own data failed: {error}"));
            }
        };
        let Some(after) = copying.next.take() else { return };
        // The last stretch has no end, and takes away whatever the standby still holds behind it.
        let through = range.entries.last().map(|(key, _)| key.clone()).filter(|_| !range.end);
        copying.next = through.clone();
        let RangeRead { entries, read_at, .. } = range;
        let chunk = CopyChunk { sync: copying.sync, after, through, entries, read_at };
        copying.unsent.push_back(chunk);
    }

    fn wants_copy(&mut self, flight: Flight, sync: SyncId, after: Bytes) {
        match (&mut self.progress, flight.kind) {
            (Progress::Copying(copying), FlightKind::Copy(chunk)) if copying.sync == sync => {
                let is_done = chunk.through.as_ref().is_some_and(|through| *through <= after);
                if chunk.after >= after {
                    copying.unsent.push_front(chunk);
                } else if !is_done {
                    // A stretch that an earlier leader read ends inside this one: from there on all is read anew.
                    self.restart(Progress::Copying(Copying::from(sync, after)));
                }
            }
            (Progress::Copying(copying), _) if copying.sync == sync => {}
            _ => self.restart(Progress::Copying(Copying::from(sync, after))),
        }
    }

    fn wants_log(&mut self, flight: Flight, from: u64) {
        match (&self.progress, flight.kind) {
            (Progress::Streaming(_), kind) => self.put_back(kind),
            _ => {
                let streaming = Streaming { next: from, read: None, missing: VecDeque::new() };
                self.restart(Progress::Streaming(streaming));
            }
        }
    }
}

/// Whether a region follows our line. How far any other is behind can't be said in positions.
fn is_behind_us(ctx: &Context, standing: &Standing) -> bool {
    standing.dataset == ctx.path.dataset
        && standing.role == Role::Standby
        && extends(&ctx.path.history, &standing.history, standing.applied)
}

fn hello(ctx: &Context) -> Hello {
    Hello {
        protocol: PROTOCOL,
        identity: ctx.options.identity.clone(),
        history: ctx.path.history.clone(),
        wal_first: ctx.path.wal_first,
        entries: ctx.path.entries,
        bytes: ctx.path.bytes,
    }
}

fn report(ctx: &Context, link: &Link) -> LinkReport {
    let heard = link.heard.as_ref();
    let standing = heard.map(|heard| &heard.standing);
    let lag = heard.filter(|heard| is_behind_us(ctx, &heard.standing)).map(|heard| {
        let Standing { applied, applied_at, totals, .. } = heard.standing;
        let standby = Applied { position: applied, at: applied_at, totals, caught_up_at: heard.caught_up_at };
        LagReport::between(&ctx.header(), &standby, heard.at.max(ctx.path.applied_at))
    });
    let rate = link.rate.per_second(ctx.now.steady_ms).unwrap_or_default();
    let waits = link.retry_at.saturating_sub(ctx.now.steady_ms);
    LinkReport {
        peer: link.peer.region,
        name: standing.map_or_else(|| link.peer.name.clone(), |standing| standing.identity.name.clone()),
        addresses: standing.map_or_else(|| link.peer.addresses.clone(), |it| it.identity.addresses.clone()),
        version: standing.map(|standing| standing.identity.version.clone()).unwrap_or_default(),
        outgoing: true,
        state: link.state(),
        since: link.since,
        last_heard_at: heard.map(|heard| heard.at),
        error: link.error.clone(),
        retry_at: (waits > 0).then(|| UnixMs(ctx.now.wall.0 + waits)),
        peer_role: standing.map(|standing| standing.role),
        received: standing.map(|standing| standing.received).unwrap_or_default(),
        applied: standing.map(|standing| standing.applied).unwrap_or_default(),
        lag,
        sync: standing.and_then(|standing| standing.sync.clone()),
        in_flight: link.data_in_flight() as u32,
        max_parallel: link.peer.max_parallel,
        entries_per_s: rate.0,
        bytes_per_s: rate.1,
        round_trip_ms: link.clock.map(|clock| clock.round_trip_ms),
        clock_skew_ms: link.clock.map(|clock| clock.skew_ms),
    }
}
