//! The one loop that runs the core: wakes on whatever can happen, steps the core, runs its effects.
//!
//! What wakes it: a change of the node's standing in its region; a change of the path's record; the core's own time;
//! an `Ask` from the face or the link; a job (a request sent, a proposal, a read) that came to its end; the
//! housekeeping's beat; the end of the process. Nothing in the loop waits: whatever takes time is a job.

use super::activation::activate;
use super::context::{Context, FenceHeard};
use super::facts;
use super::jobs::{Activated, Job, Links, Ready, keep_house, load_links, propose, ready, retry, send};
use super::kept::Kept;
use super::link_record::LinkRecord;
use super::links;
use super::news::{self, TELL_BEATS};
use super::protocol::{
    Answer, Core, DiffBounds, Effect, Fact, Failure, Input, LinkReport, Now, OpenedBy, Options, Outside, PromoteOrder,
    PromotionProgress, Request, RequestId, Root, SwitchoverOrder, Verified,
};
use super::reads;
use super::transport::LinkClient;
use crate::api::replication::{EventLevel, Plan, PromoteMode, Step};
use crate::clock::{self, UnixMs};
use crate::ids::{DatasetId, Epoch, PromotionId, RegionId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Asks that wait for the loop.
pub(super) const ASKS_MAX: usize = 256;
/// Before a new leader tries again to read what its region agreed on.
const READY_AGAIN: Duration = Duration::from_millis(200);
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(1);
/// Beats of the housekeeping between two Merkle roots, and between two looks at tokens and the WAL.
const ROOT_BEATS: u64 = 2;
const SWEEP_BEATS: u64 = 5;

/// What the face and the link want of the loop. A node that does not lead drops it, and with it the reply.
pub(super) enum Ask {
    Request {
        from: RegionId,
        request: Box<Request>,
        reply: oneshot::Sender<Answer>,
    },
    /// Link records or used tokens changed. A link that is given begins anew, whatever came of it before.
    LinksChanged {
        anew: Option<RegionId>,
    },
    /// The configuration's links changed.
    Configured,
    /// Of a closed primary: whose confirmation is missing, by name; `None` if it is open.
    WaitsFor {
        reply: oneshot::Sender<Option<Vec<String>>>,
    },
    /// The primary may take writes in this epoch.
    Open {
        dataset: DatasetId,
        epoch: Epoch,
        by: OpenedBy,
        reply: Option<oneshot::Sender<()>>,
    },
    Reports {
        reply: oneshot::Sender<Vec<LinkReport>>,
    },
    Plan {
        outside: Outside,
        mode: PromoteMode,
        reply: oneshot::Sender<Plan>,
    },
    Promote {
        order: Box<PromoteOrder>,
        reply: oneshot::Sender<PromotionProgress>,
    },
    Switchover {
        order: Box<SwitchoverOrder>,
        reply: oneshot::Sender<PromotionProgress>,
    },
    /// Answered with what becomes of the switchover, which may be done before.
    CancelSwitchover {
        id: PromotionId,
        reply: oneshot::Sender<PromotionProgress>,
    },
    /// Verify the standbys, unless that is under way; how it goes. `None`: this region has none, as it is no primary.
    Verify {
        id: u64,
        reply: oneshot::Sender<Option<Verified>>,
    },
    /// How the newest verification of this leader goes, or went.
    Verification {
        reply: oneshot::Sender<Option<Verified>>,
    },
    /// How a promotion of this leader goes.
    Promotion {
        id: PromotionId,
        reply: oneshot::Sender<Option<Promoted>>,
    },
}

/// A promotion under way: since when, what was heard last, and what was done.
pub(super) struct Promoted {
    pub since: UnixMs,
    pub mode: PromoteMode,
    pub progress: PromotionProgress,
    pub steps: Vec<Step>,
}

pub(super) struct Driver {
    context: Arc<Context>,
    inbox: mpsc::Receiver<Ask>,
    shutdown: CancellationToken,
    /// The zero of the core's steady clock.
    origin: Instant,
    /// The term that this node leads in and its region's addresses, as far as the loop acted on them.
    leads: Option<(u64, Vec<String>)>,
    leading: Option<Leading>,
    jobs: JoinSet<Job>,
    beats: u64,
}

/// All that ends with the leadership.
struct Leading {
    core: Core,
    me: RegionId,
    since: Instant,
    clients: HashMap<RegionId, Arc<LinkClient>>,
    names: BTreeMap<RegionId, String>,
    /// Links to begin anew when their records are read.
    anew: BTreeSet<RegionId>,
    /// How often each link's activation was asked for, or made void.
    activations: HashMap<RegionId, u64>,
    replies: HashMap<RequestId, oneshot::Sender<Answer>>,
    next_request: u64,
    promotions: HashMap<PromotionId, Promoting>,
    loading: Loading,
    housekeeping: bool,
    telling: bool,
    last_root: Option<Root>,
    kept: Kept,
}

/// Whether link records are being read, so that an older read never comes after a newer one.
#[derive(PartialEq)]
enum Loading {
    No,
    Once,
    Again,
}

struct Promoting {
    since: UnixMs,
    mode: PromoteMode,
    last: PromotionProgress,
    waiting: Vec<oneshot::Sender<PromotionProgress>>,
}

impl Driver {
    pub fn new(context: Arc<Context>, inbox: mpsc::Receiver<Ask>, shutdown: CancellationToken) -> Driver {
        Driver {
            context,
            inbox,
            shutdown,
            origin: clock::steady(),
            leads: None,
            leading: None,
            jobs: JoinSet::new(),
            beats: 0,
        }
    }

    pub async fn run(mut self) {
        let mut standing = self.context.consensus.standing();
        let mut path = self.context.state().watch_path();
        let mut beat = tokio::time::interval(HOUSEKEEPING_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.check_standing();
        loop {
            let wakes_at = self.wakes_at();
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                Ok(()) = standing.changed() => self.check_standing(),
                Ok(()) = path.changed() => {
                    self.check_standing();
                    self.step(Input::Applied);
                }
                () = tokio::time::sleep_until(wakes_at.into()) => self.step(Input::Tick),
                Some(ask) = self.inbox.recv() => self.ask(ask),
                Some(job) = self.jobs.join_next() => match job {
                    Ok(job) => self.job(job),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => tracing::error!("a replication job panicked: {error}"),
                },
                _ = beat.tick() => self.beat(),
            }
        }
        self.jobs.shutdown().await;
    }

    /// When the core wants to be stepped, or far away.
    fn wakes_at(&self) -> Instant {
        let due = self.leading.as_ref().and_then(|leading| leading.core.wakes_at());
        due.map_or_else(|| clock::steady() + HOUSEKEEPING_EVERY, |ms| self.origin + Duration::from_millis(ms))
    }

    fn now(&self) -> Now {
        let steady = clock::steady().saturating_duration_since(self.origin);
        Now { steady_ms: steady.as_millis() as u64, wall: clock::now() }
    }

    /// Starts a core when this node comes to lead an initialised region, drops it when it no longer does. Another
    /// one takes its place when a node joined or left, since other regions are told the addresses.
    fn check_standing(&mut self) {
        let standing = self.context.standing();
        let leads = standing.is_leader && self.context.state().path().is_initialised();
        let leads = leads.then(|| (standing.term, self.context.addresses()));
        if leads == self.leads {
            return;
        }
        self.leads = leads;
        self.leading = None;
        self.context.opening.led(self.context.consensus.gate());
        // Dropping the jobs ends them: none of an earlier core reports to the next.
        self.jobs = JoinSet::new();
        if self.leads.is_some() {
            self.get_ready(Duration::ZERO);
        }
    }

    fn get_ready(&mut self, pause: Duration) {
        let context = self.context.clone();
        self.jobs.spawn(async move {
            tokio::time::sleep(pause).await;
            Job::Ready(ready(&context).await)
        });
    }

    fn lead(&mut self, ready: Ready) {
        let Some((term, _)) = self.leads else { return };
        let options = Options {
            identity: self.context.identity(ready.identity.clone()),
            timing: self.context.config.timing,
            open: self.context.opening.saw_open(&self.context.state().path()),
            seed: clock::random_bytes(),
            diff: DiffBounds::default(),
        };
        let core = Core::new(options, self.now(), self.context.state().path());
        self.leading = Some(Leading {
            core,
            me: ready.identity.id,
            since: clock::steady(),
            clients: HashMap::new(),
            names: BTreeMap::new(),
            anew: BTreeSet::new(),
            activations: HashMap::new(),
            replies: HashMap::new(),
            next_request: 0,
            promotions: HashMap::new(),
            loading: Loading::No,
            housekeeping: false,
            telling: false,
            last_root: None,
            kept: Kept::default(),
        });
        let text = format!("{} leads {} in term {term}", self.context.config.node, ready.identity.name);
        self.context.events.record(EventLevel::Info, "leader", text);
        self.take_links(ready.links);
        self.connect_configured();
    }

    /// Gives an input to the core, and runs what it wants done, until it wants nothing more at once.
    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.now();
            let path = self.context.state().path();
            let Some(leading) = &mut self.leading else { return };
            if let Input::Answer { from, answer, .. } = &input
                && let Some(client) = leading.clients.get(from)
            {
                client.learn(&answer.standing.identity.addresses);
            }
            for effect in leading.core.step(now, path, input) {
                inputs.extend(self.run_effect(effect));
            }
        }
        self.publish_opening();
    }

    /// Tells whoever takes writes whether this region may acknowledge them.
    fn publish_opening(&self) {
        let (Some(leading), Some((term, _))) = (&self.leading, &self.leads) else { return };
        let (opening, path) = (&self.context.opening, self.context.state().path());
        opening.publish(self.context.consensus.gate(), &leading.core, &path, *term, leading.since);
    }

    /// Starts what the effect asks for. Returns an input where it came to its end at once.
    fn run_effect(&mut self, effect: Effect) -> Option<Input> {
        let context = self.context.clone();
        let leading = self.leading.as_mut()?;
        match effect {
            Effect::Activate { peer } => {
                let asked = leading.activations.entry(peer).or_default();
                *asked += 1;
                let asked = *asked;
                self.jobs.spawn(async move {
                    let (attempt, result) = activate(&context, peer).await;
                    Job::Activated(Activated { peer, asked, attempt, result, links: load_links(&context).await })
                });
            }
            Effect::Send { call, to, request, deadline_ms } => {
                let Some(client) = leading.clients.get(&to).cloned() else {
                    let failure = Failure::Retry("the link has no credential yet".into());
                    return Some(Input::Failed { call, from: to, failure });
                };
                let deadline = clock::steady() + Duration::from_millis(deadline_ms);
                self.jobs.spawn(async move {
                    Job::input(match send(&client, &request, deadline).await {
                        Ok(answer) => Input::Answer { call, from: to, answer },
                        Err(failure) => Input::Failed { call, from: to, failure },
                    })
                });
            }
            Effect::Reply { id, answer } => {
                if let Some(reply) = leading.replies.remove(&id) {
                    // Who asked may have given up meanwhile; it will ask again.
                    let _ = reply.send(answer);
                }
            }
            Effect::Propose { id, command } => {
                self.jobs.spawn(async move {
                    let result = propose(&context, command).await;
                    Job::input(Input::Proposed { id, result })
                });
            }
            Effect::ReadWal { read, from, limit } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| context.state().wal(from, limit)).await;
                    Job::input(Input::WalRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadRange { read, after, limit } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| reads::range(context.state(), &after, limit)).await;
                    Job::input(Input::RangeRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadNodes { read, parents } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| Ok(context.state().nodes(&parents))).await;
                    Job::input(Input::NodesRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadHeld { read, buckets, bytes_max } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| context.state().held(&buckets, bytes_max)).await;
                    Job::input(Input::HeldRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadUnnamed { read, named, after, limit } => {
                self.jobs.spawn(async move {
                    let result = context.blocking(move |context| context.state().unnamed(&named, &after, limit)).await;
                    Job::input(Input::UnnamedRead { read, result: result.map_err(retry) })
                });
            }
            Effect::ReadRoot => self.compute_root(),
            Effect::Freeze { .. }
            | Effect::Scrub { .. }
            | Effect::ReadFrozenNodes { .. }
            | Effect::ReadFrozenHeld { .. } => {
                if let Some(job) = leading.kept.job(context, effect) {
                    self.jobs.spawn(job);
                }
            }
            Effect::Thaw => leading.kept.forget(),
            Effect::Report(fact) => self.report(fact),
        }
        None
    }

    fn report(&mut self, fact: Fact) {
        let Some(leading) = &mut self.leading else { return };
        if let Fact::Promotion { id, progress } = &fact {
            leading.promotion_went_on(*id, progress, clock::now());
        }
        if let Fact::PeerFenced { peer, reached, totals, .. } = &fact {
            self.context.fences.heard(*peer, FenceHeard { at: clock::now(), reached: *reached, totals: *totals });
        }
        let name = |region: RegionId| leading.names.get(&region).cloned().unwrap_or_else(|| format!("region {region}"));
        if let Some((level, subject, text)) = facts::words(&fact, name) {
            self.context.events.record(level, subject, text);
        }
    }

    fn ask(&mut self, ask: Ask) {
        let now = self.now();
        let Some(leading) = &mut self.leading else { return };
        match ask {
            Ask::Request { from, request, reply } => {
                let id = RequestId(leading.next_request);
                leading.next_request += 1;
                leading.replies.insert(id, reply);
                self.step(Input::Request { id, from, request: *request });
            }
            Ask::LinksChanged { anew } => {
                leading.anew.extend(anew);
                self.load_links();
            }
            Ask::Configured => self.connect_configured(),
            Ask::WaitsFor { reply } => {
                let names = leading.core.waits_for().iter().map(|peer| peer.name.clone()).collect();
                drop(reply.send((!leading.core.is_open()).then_some(names)));
            }
            Ask::Open { dataset, epoch, by, reply } => {
                self.step(Input::Open { dataset, epoch, by });
                // Who asked may have gone; the region is open all the same.
                reply.map(|reply| reply.send(()));
            }
            // Who asked may have gone; nothing depends on it.
            Ask::Reports { reply } => drop(reply.send(leading.core.links(now))),
            Ask::Plan { outside, mode, reply } => drop(reply.send(leading.core.plan(now, &outside, mode))),
            Ask::Verify { id, reply } => {
                self.step(Input::Verify { id });
                let verified = self.leading.as_ref().and_then(|leading| leading.core.verified().cloned());
                drop(reply.send(verified));
            }
            Ask::Verification { reply } => drop(reply.send(leading.core.verified().cloned())),
            Ask::Promotion { id, reply } => {
                let steps = leading.core.steps(id);
                let promoted =
                    |it: &Promoting| Promoted { since: it.since, mode: it.mode, progress: it.last.clone(), steps };
                drop(reply.send(leading.promotions.get(&id).map(promoted)));
            }
            Ask::Promote { order, reply } => {
                leading.promoting(order.id, PromoteMode::Forced, now.wall).waiting.push(reply);
                self.step(Input::Promote(*order));
            }
            Ask::Switchover { order, reply } => {
                leading.promoting(order.id, PromoteMode::Planned, now.wall).waiting.push(reply);
                self.step(Input::Switchover(*order));
            }
            Ask::CancelSwitchover { id, reply } => {
                // Without an entry it came to its end just now, and its record says how.
                if let Some(promoting) = leading.promotions.get_mut(&id) {
                    promoting.waiting.push(reply);
                }
                self.step(Input::CancelSwitchover { id, reason: "its operator cancelled it".into() });
            }
        }
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Ready(Ok(ready)) => self.lead(ready),
            Job::Ready(Err(error)) => {
                tracing::debug!("the new leader can't read what its region agreed on yet: {error}");
                self.get_ready(READY_AGAIN);
            }
            Job::Links(links) => {
                let again = match &mut self.leading {
                    Some(leading) => std::mem::replace(&mut leading.loading, Loading::No) == Loading::Again,
                    None => false,
                };
                match links {
                    Ok(links) => self.take_links(links),
                    Err(error) => tracing::error!("link records can't be read: {error}"),
                }
                if again {
                    self.load_links();
                }
            }
            Job::Activated(activated) => self.activated(activated),
            Job::Input(input) => {
                if let (Input::Root(root), Some(leading)) = (input.as_ref(), &mut self.leading) {
                    leading.last_root = Some(*root);
                }
                self.step(*input);
            }
            Job::Frozen { read, moment, result } => {
                let Some(leading) = &mut self.leading else { return };
                let result = result.map(|frozen| {
                    let at = frozen.at();
                    leading.kept.keep(moment, *frozen);
                    at
                });
                self.step(Input::Frozen { read, result });
            }
            Job::NewsTold => {
                if let Some(leading) = &mut self.leading {
                    leading.telling = false;
                }
            }
            Job::HousekeepingDone => {
                if let Some(leading) = &mut self.leading {
                    leading.housekeeping = false;
                }
            }
            Job::Done => {}
        }
    }

    fn activated(&mut self, activated: Activated) {
        let Activated { peer, asked, attempt, result, links } = activated;
        if let Ok(links) = links {
            self.take_links(links);
        }
        // In case that a newer read came before this one.
        self.load_links();
        if let Some(attempt) = attempt {
            // Nobody may be waiting for it.
            let _ = self.context.activations.send((attempt, result.clone()));
        }
        if self.leading.as_ref().is_some_and(|leading| leading.activations.get(&peer) == Some(&asked)) {
            self.step(Input::Activation { peer, result });
        }
    }

    fn load_links(&mut self) {
        let Some(leading) = &mut self.leading else { return };
        if leading.loading != Loading::No {
            leading.loading = Loading::Again;
            return;
        }
        leading.loading = Loading::Once;
        let context = self.context.clone();
        self.jobs.spawn(async move { Job::Links(load_links(&context).await) });
    }

    fn take_links(&mut self, links: Links) {
        let path = self.context.state().path().name;
        let Some(leading) = &mut self.leading else { return };
        leading.clients.retain(|region, _| links.records.iter().any(|record| record.region == *region));
        leading.names = links.records.iter().map(|record| (record.region, record.name.clone())).collect();
        for record in &links.records {
            if leading.clients.get(&record.region).is_some_and(|client| client.fits(record)) {
                continue;
            }
            match LinkClient::new(&path, leading.me, record) {
                Ok(Some(client)) => {
                    leading.clients.insert(record.region, Arc::new(client));
                    warn_of_plain_http(&self.context, record);
                }
                Ok(None) => drop(leading.clients.remove(&record.region)),
                Err(error) => tracing::error!("the link to {} can't be set up: {error}", record.name),
            }
        }
        let anew = std::mem::take(&mut leading.anew);
        if !anew.is_empty() {
            for region in &anew {
                // What became of activations so far is no longer of account.
                *leading.activations.entry(*region).or_default() += 1;
            }
            let others = links.peers.iter().filter(|peer| !anew.contains(&peer.region)).cloned().collect();
            self.step(Input::Peers { peers: others, adopts: links.adopts });
        }
        self.step(Input::Peers { peers: links.peers, adopts: links.adopts });
    }

    fn compute_root(&mut self) {
        let context = self.context.clone();
        self.jobs.spawn(async move {
            let dataset = context.state().path().dataset;
            match context.blocking(|context| Ok((context.state().root(), context.state().path().dataset))).await {
                // A root of the data set that a sync has just replaced says nothing.
                Ok(((at, hash), now)) if now == dataset => Job::input(Input::Root(Root { dataset, at, hash })),
                _ => Job::Done,
            }
        });
    }

    fn connect_configured(&mut self) {
        let context = self.context.clone();
        self.jobs.spawn(async move {
            links::connect_configured(&context).await;
            Job::Done
        });
    }

    /// Rates on every node; on the leader also roots, expired tokens and the bounds of the WAL.
    fn beat(&mut self) {
        self.beats += 1;
        let path = self.context.state().path();
        self.context.rates.sample(clock::steady(), &path);
        // A refusal becomes due with time alone.
        self.publish_opening();
        let Some(leading) = &mut self.leading else { return };
        leading.replies.retain(|_, reply| !reply.is_closed());
        let root_is_old = leading.last_root.is_none_or(|root| (root.dataset, root.at) != (path.dataset, path.applied));
        let computes_root = self.beats.is_multiple_of(ROOT_BEATS) && path.is_whole() && root_is_old;
        if self.beats.is_multiple_of(SWEEP_BEATS) && !leading.housekeeping {
            leading.housekeeping = true;
            let floor = leading.core.wal_floor();
            let context = self.context.clone();
            self.jobs.spawn(async move {
                keep_house(&context, &path, floor).await;
                Job::HousekeepingDone
            });
        }
        if computes_root {
            self.compute_root();
        }
        if self.beats.is_multiple_of(TELL_BEATS) {
            self.tell_news();
        }
    }

    /// On a primary: tells each standby that was heard how this region is reached, and who the others are.
    fn tell_news(&mut self) {
        let now = self.now();
        let Some(leading) = &mut self.leading else { return };
        let heard = leading.core.links(now).into_iter().filter(|link| link.outgoing && link.last_heard_at.is_some());
        let heard: Vec<_> =
            heard.filter_map(|link| Some((link.peer, leading.clients.get(&link.peer)?.clone()))).collect();
        if heard.is_empty() || leading.telling {
            return;
        }
        leading.telling = true;
        let context = self.context.clone();
        self.jobs.spawn(async move {
            news::tell(&context, heard).await;
            Job::NewsTold
        });
    }
}

impl Leading {
    /// What is known of a promotion, from now on if it was not known before.
    fn promoting(&mut self, id: PromotionId, mode: PromoteMode, now: UnixMs) -> &mut Promoting {
        let last = PromotionProgress::Running(mode);
        self.promotions.entry(id).or_insert_with(|| Promoting { since: now, mode, last, waiting: Vec::new() })
    }

    fn promotion_went_on(&mut self, id: PromotionId, progress: &PromotionProgress, now: UnixMs) {
        let mode = if let PromotionProgress::Running(mode) = progress { *mode } else { PromoteMode::Forced };
        let promoting = self.promoting(id, mode, now);
        promoting.last = progress.clone();
        // An outcome that is not known yet may still become known: who waits goes on waiting.
        if !matches!(progress, PromotionProgress::Done(_) | PromotionProgress::Refused { .. }) {
            return;
        }
        for waiting in promoting.waiting.drain(..) {
            // Who waited may have given up; it will ask again.
            let _ = waiting.send(progress.clone());
        }
        self.promotions.remove(&id);
    }
}

fn warn_of_plain_http(context: &Context, record: &LinkRecord) {
    if record.tls() {
        return;
    }
    let text = format!(
        "the link to {} speaks plain HTTP: nobody can forge or read what it carries, but whoever listens sees sizes and times",
        record.name
    );
    context.events.record(EventLevel::Warn, "link", text);
}
