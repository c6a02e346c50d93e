//! The one loop that runs the core: wakes on whatever can happen, steps the core, runs its effects.
//!
//! What wakes it: a change of the node's standing in its region; a change of the path's record; the core's own time;
//! an `Ask` from the face or the link; a job (a request sent, a proposal, a read) that came to its end; the
//! housekeeping's beat; the end of the process. Nothing in the loop waits: whatever takes time is a job.

mod ask;
mod effects;

pub(super) use ask::{Ask, Promoted};

use super::context::Context;
use super::jobs::{Activated, Job, Links, Ready, keep_house, load_links, ready};
use super::kept::Kept;
use super::link_record::LinkRecord;
use super::links;
use super::news::{self, TELL_BEATS};
use super::protocol::{Answer, Core, DiffBounds, Input, Now, Options, RequestId, Root};
use super::transport::LinkClient;
use crate::api::replication::EventLevel;
use crate::clock;
use crate::error::Error;
use crate::ids::{DatasetId, Epoch, Position, PromotionId, RegionId};
use crate::state::{EpochStart, PathState};
use effects::Promoting;
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
    /// What the newest root was computed of.
    last_root: Option<RootOf>,
    kept: Kept,
}

/// Whether link records are being read, so that an older read never comes after a newer one.
#[derive(PartialEq)]
enum Loading {
    No,
    Once,
    Again,
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
                    Err(error) => tracing::error!("{}", Error::cut_off("a replication job", &error)),
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
                    leading.last_root = Some(root_of(&self.context.state().path(), root.at));
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
        for region in &anew {
            // What became of activations so far is no longer of account.
            *leading.activations.entry(*region).or_default() += 1;
        }
        self.step(Input::Peers { peers: links.peers, adopts: links.adopts, anew: anew.into_iter().collect() });
    }

    fn compute_root(&mut self) {
        let context = self.context.clone();
        self.jobs.spawn(async move {
            let before = context.state().path();
            match context.blocking(|context| Ok((context.state().root(), context.state().path()))).await {
                // A root of the line that a sync has just replaced says nothing.
                Ok(((at, hash), path)) if path.is_whole() && line_of(&path) == line_of(&before) => {
                    Job::input(Input::Root(Root { dataset: before.dataset, at, hash }))
                }
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
        let root_is_old = leading.last_root != Some(root_of(&path, path.applied));
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

/// What a root was computed of: a position alone is not enough, nor is an epoch.
type RootOf = (DatasetId, Position, Epoch, Option<EpochStart>);

fn root_of(path: &PathState, at: Position) -> RootOf {
    let (dataset, start) = line_of(path);
    (dataset, at, path.epoch, start)
}

fn line_of(path: &PathState) -> (DatasetId, Option<EpochStart>) {
    (path.dataset, path.history.last().copied())
}
