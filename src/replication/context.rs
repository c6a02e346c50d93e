//! What all parts of replication share: the region below, the keyring beside, the events, the way to the driver.

use super::driver::Ask;
use super::events::Events;
use super::handshake::Party;
use super::opening::Opening;
use super::ports::{KeyringPort, RegionConfig};
use super::protocol::{Failure, Identity};
use super::rates::Rates;
use crate::api::replication::LinkRequest;
use crate::clock::{self, UnixMs};
use crate::consensus::{Consensus, Standing};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Position, RegionId};
use crate::state::{Command, Outcome, Refusal, RegionChange, RegionIdentity, State, Totals};
use crate::tls::Fingerprint;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, oneshot};

pub(super) struct Context {
    pub consensus: Arc<dyn Consensus>,
    pub keyring: Arc<dyn KeyringPort>,
    pub config: RegionConfig,
    /// The certificates of the region's nodes as they are now.
    pub fingerprints: Mutex<Vec<Fingerprint>>,
    pub events: Events,
    /// To the driver's loop.
    pub asks: mpsc::Sender<Ask>,
    /// What became of attempts to activate a link, for whoever waits for one.
    pub activations: broadcast::Sender<(u64, Result<(), Failure>)>,
    /// The links that the configuration asks for.
    pub configured: Mutex<Vec<LinkRequest>>,
    pub rates: Rates,
    pub fences: Fences,
    pub followers: Followers,
    pub opening: Opening,
    pub refused: RefusedRequests,
    pub voters: Voters,
}

/// Which regions said that they are fenced: the proof behind a promotion.
#[derive(Default)]
pub(super) struct Fences(Mutex<HashMap<RegionId, FenceHeard>>);

/// When a region was first seen as a standby in an epoch of this one's: its link may have begun anew since.
#[derive(Default)]
pub(super) struct Followers(Mutex<HashMap<(RegionId, Epoch), UnixMs>>);

impl Followers {
    pub fn since(&self, region: RegionId, epoch: Epoch, link_since: UnixMs) -> UnixMs {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The present epoch is all that anybody asks about.
        seen.retain(|(_, of), _| *of >= epoch);
        *seen.entry((region, epoch)).or_insert(link_since)
    }
}

/// When a region said that it is fenced, where it stopped, and what all its batches up to there come to.
#[derive(Clone, Copy)]
pub(super) struct FenceHeard {
    /// This region's epoch then: a later promotion needs a proof of its own.
    pub epoch: Epoch,
    pub at: UnixMs,
    pub reached: Position,
    /// `None` if it has gone on as a standby since: these would be another's.
    pub totals: Option<Totals>,
}

impl Fences {
    pub fn heard(&self, region: RegionId, heard: FenceHeard) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(region, heard);
    }

    /// What a region said in this epoch of ours, or in a later one: what it said before proves nothing of it.
    pub fn of(&self, region: RegionId, epoch: Epoch) -> Option<FenceHeard> {
        let fences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fences.get(&region).copied().filter(|heard| heard.epoch >= epoch)
    }
}

/// How many voters of this region answered the leader when it last asked all of them, itself included.
#[derive(Default)]
pub(super) struct Voters(Mutex<Option<(u32, Instant)>>);

/// What was heard longer ago says nothing.
const VOTERS_FRESH: Duration = Duration::from_secs(5);

impl Voters {
    pub fn note(&self, answered: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((answered, clock::steady()));
    }

    pub fn answered(&self) -> Option<u32> {
        let (answered, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        (clock::steady().saturating_duration_since(at) < VOTERS_FRESH).then_some(answered)
    }
}

/// Why requests of a region were refused before they were looked at, until one is taken again.
#[derive(Default)]
pub(super) struct RefusedRequests(Mutex<HashMap<RegionId, String>>);

impl RefusedRequests {
    /// Whether this is news.
    pub fn note(&self, from: RegionId, words: &str) -> bool {
        self.known().insert(from, words.to_owned()).is_none_or(|before| before != words)
    }

    pub fn forget(&self, from: RegionId) {
        self.known().remove(&from);
    }

    pub fn of(&self, from: RegionId) -> Option<String> {
        self.known().get(&from).cloned()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<RegionId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    pub fn state(&self) -> &Arc<State> {
        self.consensus.state()
    }

    pub fn standing(&self) -> Standing {
        self.consensus.standing().borrow().clone()
    }

    /// Runs a piece of work that blocks, such as a walk through many records, away from the async threads. A single record
    /// is read where it is needed: the way there and back costs many times that.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Context) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&context)).await;
        done.map_err(|_| Error::internal("a storage read was broken off"))?
    }

    /// Fails on a node that does not lead its region, naming the one that does.
    pub fn require_leader(&self) -> Result<()> {
        let standing = self.standing();
        if standing.is_leader {
            return Ok(());
        }
        Err(match standing.leader_addr() {
            Some(address) => {
                Error::not_leader(format!("this node does not lead its region: ask the leader at {address}"))
            }
            None => Error::not_leader("the region has no leader at the moment: try again"),
        })
    }

    /// Leads the region, and has applied all that was agreed on before the call.
    pub async fn lead(&self) -> Result<()> {
        self.require_leader()?;
        self.consensus.read_barrier().await
    }

    pub fn region(&self) -> Result<RegionIdentity> {
        self.state().identity()?.ok_or(Error::Uninitialised)
    }

    pub fn party(&self) -> Result<Party> {
        let RegionIdentity { id, name } = self.region()?;
        Ok(Party { id, name })
    }

    /// Where other regions reach this one: as configured, else its nodes' API addresses, this node's first.
    pub fn addresses(&self) -> Vec<String> {
        if let Some(address) = &self.config.address {
            return vec![address.clone()];
        }
        let standing = self.standing();
        let others =
            standing.members.into_iter().filter(|(id, _)| *id != standing.me).map(|(_, member)| member.api_addr);
        let mut addresses = vec![self.config.api_addr.clone()];
        for address in others {
            if !address.is_empty() && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn identity(&self, region: RegionIdentity) -> Identity {
        Identity {
            region: region.id,
            name: region.name,
            addresses: self.addresses(),
            version: self.config.version.clone(),
        }
    }

    /// Agrees on a change of the region's records; a refusal is an error.
    pub async fn agree(&self, change: RegionChange) -> Result<()> {
        agree(self.consensus.as_ref(), change).await
    }

    /// Asks the driver's loop, which answers while this node leads.
    pub async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T> {
        let gone = || Error::unavailable("this node no longer leads its region, or not yet: try again");
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Tells the driver's loop that link records or used tokens changed, and which link is to begin anew.
    pub async fn links_changed(&self, anew: Option<RegionId>) {
        // A loop that ended with the process needs to know nothing.
        let _ = self.asks.send(Ask::LinksChanged { anew }).await;
    }
}

/// Proposes a change of the region's records; a refusal is an error.
pub(super) async fn agree(consensus: &dyn Consensus, change: RegionChange) -> Result<()> {
    match consensus.propose(Command::Region(change)).await? {
        Outcome::Changed => Ok(()),
        Outcome::Refused(refusal @ Refusal::Guard { .. }) => Err(Error::Conflict(format!("{refusal}: try again"))),
        Outcome::Refused(refusal) => Err(Error::Conflict(refusal.to_string())),
        other => Err(Error::internal(format!("a change of the region's records came out as {other:?}"))),
    }
}

/// Whether it makes sense to try again what failed like this.
pub(super) fn failure(error: &Error) -> Failure {
    match error {
        Error::Invalid(_) | Error::PermissionDenied | Error::NotFound(_) | Error::TooLarge { .. } => {
            Failure::Final(error.to_string())
        }
        _ => Failure::Retry(error.to_string()),
    }
}
