//! The face of replication for the server: one method for each thing that an operator, the console or another
//! region can want. Whatever changes or proves something is for the leader; a follower names it.

use super::context::{Context, Fences, Followers, RefusedRequests, Voters};
use super::driver::{ASKS_MAX, Ask, Driver};
use super::events::Events;
use super::inbound::Inbound;
use super::link_record;
use super::links::{self, Pause};
use super::ports::{KeyringPort, RegionConfig};
use super::protocol::OpenedBy;
use super::rates::Rates;
use super::token_records::{self, Issuer, TTL_DEFAULT};
use super::{accept, ledger, opening, promotion, status, verification};
use crate::api::ledger::{
    AcceptAnswer, AcceptRequest, DiscardAnswer, DiscardRequest, LedgerExport, LedgerPage, RejoinRequest, ReplayAnswer,
    ReplayRequest,
};
use crate::api::replication::{
    Event, EventLevel, LinkRequest, LinkStatus, PathStatus, Plan, PromoteMode, PromoteRequest, Promotion, TokenCreated,
    TokenInfo, TokenRequest,
};
use crate::api::verification::Verification;
use crate::clock;
use crate::consensus::{Consensus, in_handover};
use crate::duration;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Epoch, PromotionId};
use crate::sensitive::SensitiveString;
use crate::state::{LedgerId, Role};
use crate::tls::Fingerprint;
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Activations whose outcome a waiter may be behind.
const ACTIVATIONS_MAX: usize = 16;

/// Replication of one region, as one of its nodes runs it.
pub struct Replication {
    context: Arc<Context>,
    inbound: Inbound,
    shutdown: CancellationToken,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Replication {
    /// Starts the driver, which waits until this node leads an initialised region. Needs a tokio runtime.
    pub fn start(
        consensus: Arc<dyn Consensus>,
        keyring: Arc<dyn KeyringPort>,
        config: RegionConfig,
    ) -> Arc<Replication> {
        let (asks, inbox) = mpsc::channel(ASKS_MAX);
        let context = Arc::new(Context {
            consensus,
            keyring,
            fingerprints: Mutex::new(config.fingerprints.clone()),
            config,
            events: Events::new(),
            asks,
            activations: broadcast::Sender::new(ACTIVATIONS_MAX),
            configured: Mutex::new(Vec::new()),
            rates: Rates::default(),
            fences: Fences::default(),
            followers: Followers::default(),
            opening: opening::Opening::default(),
            refused: RefusedRequests::default(),
            voters: Voters::default(),
        });
        context.consensus.gate().guard();
        let shutdown = CancellationToken::new();
        let driver = tokio::spawn(Driver::new(context.clone(), inbox, shutdown.clone()).run());
        Arc::new(Replication { context, inbound: Inbound::default(), shutdown, driver: Mutex::new(Some(driver)) })
    }

    /// Stops the driver and waits until it has ended.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver
            && let Err(error) = driver.await
        {
            tracing::error!("{}", Error::cut_off("the replication driver", &error));
        }
    }

    /// Everything that the console shows. On a follower without the links, which only the leader knows.
    pub async fn status(&self) -> Result<PathStatus> {
        status::status(&self.context).await
    }

    /// What happened on the path after the event `after`, oldest first.
    pub fn events(&self, after: u64) -> Vec<Event> {
        self.context.events.after(after)
    }

    /// What happens from now on. Subscribe first, then read `events`, and drop what comes twice.
    pub fn subscribe_events(&self) -> broadcast::Receiver<Event> {
        self.context.events.subscribe()
    }

    /// Adds what another part of the node has to tell: sealed, unsealed, a member joined.
    pub fn record_event(&self, level: EventLevel, subject: &str, text: impl Into<String>) {
        self.context.events.record(level, subject, text);
    }

    /// The certificates of the region's nodes, this node's first, after one was renewed or a node joined. Tokens and
    /// links that are made from now on carry them.
    pub fn set_fingerprints(&self, fingerprints: Vec<Fingerprint>) {
        *self.context.fingerprints.lock().unwrap_or_else(PoisonError::into_inner) = fingerprints;
    }

    /// Makes an activation token, on a region that is to become a standby.
    pub async fn generate_token(&self, request: TokenRequest) -> Result<TokenCreated> {
        let context = &self.context;
        context.lead().await?;
        let ttl = request.ttl.as_ref().map(duration::from_json).transpose()?.unwrap_or(TTL_DEFAULT);
        let region = context.region()?;
        // A fenced region that the new primary reaches already needs no token, and must not be told that its data may go.
        let path = context.state().path();
        if let (Role::Fenced, Some(primary)) = (path.role, path.primary) {
            let linked = link_record::get(context.state(), primary.region)?;
            if linked.is_some_and(|link| link.credential.is_some()) {
                return Err(Error::Conflict(format!(
                    "{} is fenced and has a link with {}: it needs no token, but its operator's word, `twinkeep \
                     replication rejoin`",
                    region.name, primary.name
                )));
            }
        }
        // A standby's secrets are its primary's. Whoever holds secrets of its own must be asked before they go.
        let own_data = context.state().path().role != Role::Standby;
        if own_data && !request.force && context.blocking(|context| context.keyring.holds_client_secrets()).await? {
            return Err(Error::Conflict(format!(
                "{} holds secrets of its own, which a sync would replace: repeat with -force if they may go",
                region.name
            )));
        }
        let issuer = Issuer {
            path: context.state().path().name,
            region: region.id,
            region_name: region.name,
            addresses: context.addresses(),
            fingerprints: context.fingerprints(),
        };
        let (token, record) = token_records::generate(context.consensus.as_ref(), issuer, ttl, request.force).await?;
        let text = format!("activation token {} was made; it expires at {}", record.accessor, record.expires_at);
        context.events.record(EventLevel::Info, "token", text);
        Ok(TokenCreated { token, accessor: record.accessor, expires_at: record.expires_at })
    }

    /// All activation tokens of this region, never the tokens themselves.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>> {
        self.context.lead().await?;
        let records = self.context.blocking(|context| token_records::list(context.state())).await?;
        let now = clock::now();
        Ok(records.iter().map(|record| record.info(now)).collect())
    }

    pub async fn token(&self, accessor: &str) -> Result<TokenInfo> {
        self.context.lead().await?;
        let wanted = accessor.to_owned();
        let record = token_records::get(self.context.state(), &wanted)?;
        let record =
            record.ok_or_else(|| Error::NotFound(format!("no activation token has the accessor {accessor}")))?;
        Ok(record.info(clock::now()))
    }

    pub async fn revoke_token(&self, accessor: &str) -> Result<()> {
        self.context.lead().await?;
        let record = token_records::revoke(self.context.consensus.as_ref(), accessor).await?;
        self.context.events.record(
            EventLevel::Info,
            "token",
            format!("activation token {} was revoked", record.accessor),
        );
        Ok(())
    }

    /// Links this primary with the standby that made the token. Waits a while for what becomes of the token: a
    /// refused one is an error and leaves no link; a standby that does not answer is dialled until it does.
    pub async fn connect(&self, request: LinkRequest) -> Result<()> {
        links::connect(&self.context, request).await
    }

    /// The links of the configuration, at the start and after each reload. They are made as soon as this node leads
    /// an initialised primary; to give the same ones again changes nothing. What goes wrong is an event.
    pub async fn configure(&self, requests: Vec<LinkRequest>) {
        *self.context.configured.lock().unwrap_or_else(PoisonError::into_inner) = requests;
        // A loop that ended with the process needs to know nothing.
        let _ = self.context.asks.send(Ask::Configured).await;
    }

    pub async fn links(&self) -> Result<Vec<LinkStatus>> {
        self.context.lead().await?;
        Ok(self.status().await?.links)
    }

    /// Removes the link with a region, given by name or id.
    pub async fn disconnect(&self, region: &str) -> Result<()> {
        links::disconnect(&self.context, region).await
    }

    /// Stops shipping to a region, given by name or id, or to all of them, until `resume`. The standbys fall behind.
    pub async fn pause(&self, region: Option<&str>) -> Result<()> {
        links::set_paused(&self.context, Pause::On, region).await
    }

    pub async fn resume(&self, region: Option<&str>) -> Result<()> {
        links::set_paused(&self.context, Pause::Off, region).await
    }

    /// Opens this primary for writes although its standbys have not confirmed its epoch since it restarted.
    pub async fn open(&self, reason: &str) -> Result<()> {
        opening::override_closed(&self.context, reason).await
    }

    /// Why this primary takes no writes, or one that is handing over; `None` if it does, is none, or this node does not
    /// lead it.
    pub fn closed(&self) -> Option<String> {
        let gave_up = self.context.state().path().handover.gave_up;
        gave_up.map(|gave_up| in_handover(&gave_up.to.name)).or_else(|| self.context.opening.closed())
    }

    /// How many voters of the region answered this leader just now, itself included.
    pub fn note_voters(&self, answered: u32) {
        self.context.voters.note(answered);
    }

    /// The data set and the epoch in which this node saw its region open for writes, since the node started: what it
    /// tells the other nodes of the region.
    pub fn saw_open(&self) -> Option<(DatasetId, Epoch)> {
        self.context.opening.seen()
    }

    /// Whether another node's word would tell this one something.
    pub fn wants_to_know_of_open(&self) -> bool {
        let path = self.context.state().path();
        path.role == Role::Primary && path.is_initialised() && !self.context.opening.saw_open(&path)
    }

    /// Another node of this region, which runs, saw it open.
    pub async fn remember_open(&self, dataset: DatasetId, epoch: Epoch) {
        let path = self.context.state().path();
        if (path.dataset, path.epoch) != (dataset, epoch) || !self.wants_to_know_of_open() {
            return;
        }
        self.context.opening.note_open(dataset, epoch);
        let ask = Ask::Open { dataset, epoch, by: OpenedBy::Remembered, reply: None };
        // A loop that ended with the process opens nothing.
        let _ = self.context.asks.send(ask).await;
    }

    /// Begins to verify the standbys of this primary, on their disks and while writes go on; or says how the verification
    /// goes that is under way.
    pub async fn verify(&self) -> Result<Verification> {
        verification::verify(&self.context).await
    }

    /// How the newest verification of this leader goes, or came out.
    pub async fn verification(&self, id: &str) -> Result<Verification> {
        verification::verification(&self.context, id).await
    }

    /// What a promotion of this standby would find and lose, with the hash that `promote` wants.
    pub async fn plan(&self, mode: PromoteMode) -> Result<Plan> {
        promotion::plan(&self.context, mode).await
    }

    /// Promotes this standby, by switchover or by failover. Safe to repeat with the same id; an outcome other than done or failed must be asked for.
    pub async fn promote(&self, request: PromoteRequest) -> Result<Promotion> {
        promotion::promote(&self.context, request).await
    }

    /// Ends a switchover that is not done. On a standby that asks the answer is what became of it, which may be done.
    pub async fn cancel_promotion(&self, id: PromotionId) -> Result<Promotion> {
        promotion::cancel(&self.context, id).await
    }

    pub async fn promotion(&self, id: PromotionId) -> Result<Promotion> {
        promotion::promotion(&self.context, id).await
    }

    /// What this region holds that the new primary never got, in the order in which it was written.
    pub async fn ledger(&self, after: Option<LedgerId>, limit: Option<usize>) -> Result<LedgerPage> {
        ledger::page(&self.context, after, limit.unwrap_or(ledger::PAGE_DEFAULT)).await
    }

    pub async fn export_ledger(&self, after: Option<LedgerId>) -> Result<LedgerExport> {
        ledger::export(&self.context, after).await
    }

    /// Writes entries of the ledger on the new primary, in the name of who owns the token. Safe to repeat.
    pub async fn replay(&self, request: ReplayRequest, token: SensitiveString) -> Result<ReplayAnswer> {
        ledger::replay(&self.context, request, token).await
    }

    /// Decides against entries of the ledger. They are kept, with the reason.
    pub async fn discard(&self, request: DiscardRequest) -> Result<DiscardAnswer> {
        ledger::discard(&self.context, request).await
    }

    /// Takes entries of another region's ledger as new writes of this primary.
    pub async fn accept(&self, request: AcceptRequest) -> Result<AcceptAnswer> {
        accept::accept(&self.context, request).await
    }

    /// Lets this region leave its line for the present primary's, once that introduces itself.
    pub async fn rejoin(&self, request: RejoinRequest) -> Result<()> {
        ledger::rejoin(&self.context, request.reason, request.primary).await
    }

    /// Has this primary stop being it, durably.
    pub async fn demote(&self, reason: &str) -> Result<()> {
        ledger::demote(&self.context, reason).await
    }

    /// A body that came to `…/link/:kind`, and the body to answer. It is authenticated here: the endpoint needs no token.
    pub async fn handle_link(&self, kind: &str, body: Bytes) -> Result<Bytes> {
        self.inbound.handle(&self.context, kind, body).await
    }
}
