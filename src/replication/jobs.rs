//! What the driver has done beside its loop: reads, requests, proposals. Each ends in a `Job` that wakes the loop.

use super::context::{Context, failure};
use super::link_record::{self, LinkRecord};
use super::protocol::{Adoption, Answer, Failure, Input, Peer, ReadId, Request};
use super::retention::{self, Bounds};
use super::token_records;
use super::transport::LinkClient;
use crate::api::replication::EventLevel;
use crate::clock::{self, UnixMs};
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::state::scrub::Frozen;
use crate::state::{Command, Outcome, PathState, RegionIdentity};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A proposal that is not settled by then counts as failed; the core makes it again, and apply refuses what is old.
const PROPOSE_DEADLINE: Duration = Duration::from_secs(30);

/// What a job came to.
pub(super) enum Job {
    Ready(Result<Ready>),
    Links(Result<Links>),
    Activated(Activated),
    Input(Box<Input>),
    /// What became of an `Effect::Freeze`.
    Frozen {
        read: ReadId,
        moment: u64,
        result: Result<Box<Frozen>, Failure>,
    },
    HousekeepingDone,
    NewsTold,
    Done,
}

/// What became of an `Effect::Activate`.
pub(super) struct Activated {
    pub peer: RegionId,
    /// Counts the core's askings for this link, so that an outcome of an earlier one is known as such.
    pub asked: u64,
    /// Which attempt the link's record was at, if there was one.
    pub attempt: Option<u64>,
    pub result: Result<(), Failure>,
    pub links: Result<Links>,
}

impl Job {
    pub fn input(input: Input) -> Job {
        Job::Input(Box::new(input))
    }
}

/// What a core is made from, as of a read barrier.
pub(super) struct Ready {
    pub identity: RegionIdentity,
    pub links: Links,
}

pub(super) struct Links {
    pub records: Vec<LinkRecord>,
    pub peers: Vec<Peer>,
    pub adopts: Option<Adoption>,
}

pub(super) async fn ready(context: &Arc<Context>) -> Result<Ready> {
    context.consensus.read_barrier().await?;
    Ok(Ready { identity: context.region()?, links: load_links(context).await? })
}

pub(super) async fn load_links(context: &Arc<Context>) -> Result<Links> {
    let load = |context: &Context| {
        let (peers, adopts) = link_record::peers(context.state())?;
        Ok(Links { records: link_record::list(context.state())?, peers, adopts })
    };
    context.blocking(load).await
}

pub(super) async fn send(client: &LinkClient, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
    let payload = postcard::to_stdvec(request).map_err(|error| Failure::Final(error.to_string()))?;
    let answer = client.call(request.ask.name(), &payload, deadline).await?;
    postcard::from_bytes(&answer).map_err(|_| Failure::Final("the other region's answer does not decode".into()))
}

pub(super) async fn propose(context: &Context, command: Command) -> Result<Outcome, Failure> {
    match tokio::time::timeout(PROPOSE_DEADLINE, context.consensus.propose(command)).await {
        Ok(outcome) => outcome.map_err(|error| failure(&error)),
        Err(_) => Err(Failure::Retry("the region did not agree in time".into())),
    }
}

pub(super) fn retry(error: Error) -> Failure {
    Failure::Retry(error.to_string())
}

/// Sweeps tokens, and trims the WAL, of which links need what lies from `floor` on.
pub(super) async fn keep_house(context: &Arc<Context>, path: &PathState, floor: Option<u64>) {
    match token_records::sweep(context.consensus.as_ref()).await {
        Ok(expired) => {
            for token in expired {
                let text = format!("the activation token {} expired unused", token.accessor);
                context.events.record(EventLevel::Info, "token", text);
            }
        }
        Err(error) => tracing::debug!("expired tokens are swept later: {error}"),
    }
    if let Err(error) = trim(context, path, floor).await {
        tracing::debug!("the WAL is trimmed later: {error}");
    }
}

async fn trim(context: &Arc<Context>, path: &PathState, floor: Option<u64>) -> Result<()> {
    let Bounds { bytes_max, time_max } = context.config.wal;
    // A clock that is ahead must not make all of it old.
    let now = clock::now().min(path.applied_at);
    let since = UnixMs(now.0.saturating_sub(time_max.as_millis() as u64));
    let young = context.blocking(move |context| retention::first_after(context.state(), since)).await?;
    match retention::below(path, floor, young, bytes_max) {
        Some(below) => retention::trim(context.consensus.as_ref(), below).await,
        None => Ok(()),
    }
}
