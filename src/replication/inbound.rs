//! The receiving end of the link: what the server hands over from `…/link/:kind`, before anything is proven.

use super::context::Context;
use super::credential::Credential;
use super::crypto::Secret;
use super::driver::Ask;
use super::envelope::{self, Channel, Incoming, Receiver};
use super::handshake::{self, Accepted, FINISH, Finished, START, Standby, Verdict};
use super::link_record::{self, LinkRecord, MAX_PARALLEL_DEFAULT};
use super::news;
use super::protocol::{self, Answer, Request};
use super::token_records::{self, Fate, TokenRecord, Use};
use super::transport::NO_SESSION;
use crate::api::replication::EventLevel;
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::state::{RegionChange, Role};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex as AsyncMutex;

/// How long a request may wait for its answer: longer than any sender waits.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The sessions of those who send requests to this region, and the one handshake that is judged at a time.
#[derive(Default)]
pub(super) struct Inbound {
    /// One for each secret of the link's credential.
    receivers: Mutex<HashMap<RegionId, Vec<Known>>>,
    handshake: AsyncMutex<()>,
}

struct Known {
    secret: Secret,
    receiver: Receiver,
}

impl Inbound {
    pub async fn handle(&self, context: &Arc<Context>, kind: &str, body: Bytes) -> Result<Bytes> {
        context.require_leader()?;
        match kind {
            START => self.start(context, body).await,
            FINISH => self.finish(context, body).await,
            _ => self.request(context, kind, body).await,
        }
    }

    async fn start(&self, context: &Arc<Context>, body: Bytes) -> Result<Bytes> {
        context.lead().await?;
        let me = context.party()?;
        let record = token_record(context, START, &body)?;
        let path = context.state().path().name;
        Standby { path: &path, me: &me, now: clock::now() }.answer_start(&body, record.as_ref())
    }

    async fn finish(&self, context: &Arc<Context>, body: Bytes) -> Result<Bytes> {
        let _one_at_a_time = self.handshake.lock().await;
        context.lead().await?;
        let me = context.party()?;
        let record = token_record(context, FINISH, &body)?;
        let path = context.state().path();
        let standby = Standby { path: &path.name, me: &me, now: clock::now() };
        let credential = match standby.judge_finish(&body, record.as_ref())? {
            Verdict::Repeated { primary } => {
                let link = link_record::get(context.state(), primary.id)?;
                let credential = link.and_then(|link| link.credential);
                let credential =
                    credential.ok_or_else(|| Error::invalid("the link that this activation made was disconnected"))?;
                credential.current().clone()
            }
            Verdict::Accept(accepted) => {
                let record = record.ok_or_else(|| Error::internal("a token without a record was accepted"))?;
                accept(context, record, *accepted).await?
            }
        };
        let finished =
            Finished { standby: me.clone(), addresses: context.addresses(), fingerprints: context.fingerprints() };
        standby.answer_finish(&body, &credential, &finished)
    }

    async fn request(&self, context: &Arc<Context>, kind: &str, body: Bytes) -> Result<Bytes> {
        if let Some((from, words)) = envelope::of_another_version(&body) {
            note_version(context, from, &words)?;
            return Err(Error::invalid(words));
        }
        let from = envelope::claimed_sender(&body)?;
        let link = link_record::get(context.state(), from)?;
        let me = context.region()?;
        let unknown = || {
            Error::NotFound(format!("{} has no link with this region: connect it with a new activation token", me.name))
        };
        let credential = link.ok_or_else(unknown)?.credential.ok_or_else(unknown)?;
        let path = context.state().path().name;
        let channels = credential.accepted().map(|secret| (secret.clone(), Channel::new(secret, &path, from, me.id)));
        let (used, channel, incoming) = self.open(channels.collect(), from, kind, &body)?;
        let opened = match incoming {
            Incoming::Opened(answer) => return Ok(answer),
            Incoming::NoSession => return Ok(Bytes::from_static(NO_SESSION)),
            Incoming::Request(opened) => opened,
        };
        context.refused.forget(from);
        if news::is_news(kind) {
            let answer = news::hear(context, from, &used, &opened.payload).await?;
            return channel.seal_answer(opened.tag, kind, &answer);
        }
        let request: Request = postcard::from_bytes(&opened.payload)?;
        if request.ask.name() != kind {
            return Err(Error::invalid(format!("a request of the kind {} came as {kind}", request.ask.name())));
        }
        if matches!(request.ask, protocol::Ask::Hello(_)) {
            // A leader that was replaced and does not know it would confirm a role that its region has no more.
            context.lead().await?;
        }
        let asked = context.ask(|reply| Ask::Request { from, request: Box::new(request), reply });
        let answer: Answer = tokio::time::timeout(ANSWER_DEADLINE, asked)
            .await
            .map_err(|_| Error::unavailable("the region did not agree on the request in time"))??;
        channel.seal_answer(opened.tag, kind, &postcard::to_stdvec(&answer)?)
    }

    /// Opens a body with the secret that it was sealed under, if that is one of these.
    fn open(
        &self,
        channels: Vec<(Secret, Channel)>,
        from: RegionId,
        kind: &str,
        body: &Bytes,
    ) -> Result<(Secret, Channel, Incoming)> {
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = receivers.entry(from).or_default();
        known.retain(|known| channels.iter().any(|(secret, _)| *secret == known.secret));
        for (secret, channel) in channels {
            let at = known.iter().position(|known| known.secret == secret).unwrap_or_else(|| {
                known.push(Known { secret: secret.clone(), receiver: Receiver::new(channel.clone()) });
                known.len() - 1
            });
            match known[at].receiver.open(kind, body) {
                Err(Error::PermissionDenied) => {}
                settled => return Ok((secret, channel, settled?)),
            }
        }
        Err(Error::PermissionDenied)
    }
}

/// The operator of this side is to see it, too. Nothing is proven yet, so only regions with a link are believed, and each
/// version is told once.
fn note_version(context: &Arc<Context>, from: RegionId, words: &str) -> Result<()> {
    let Some(link) = link_record::get(context.state(), from)? else {
        return Ok(());
    };
    if context.refused.note(from, words) {
        context.events.record(EventLevel::Alarm, "link", format!("a request of {} was refused: {words}", link.name));
    }
    Ok(())
}

fn token_record(context: &Arc<Context>, kind: &str, body: &Bytes) -> Result<Option<TokenRecord>> {
    let accessor = handshake::claimed_accessor(kind, body)?;
    token_records::get(context.state(), &accessor)
}

/// Spends the token, keeps the link and takes over the keyring, in one change. Returns the link's credential.
async fn accept(context: &Arc<Context>, record: TokenRecord, accepted: Accepted) -> Result<Secret> {
    let Accepted { primary, offer, credential, sealed_keyring, opening_key, finish } = accepted;
    let own_data = context.state().path().role != Role::Standby;
    // Nothing may be acknowledged between the look and what replaces it.
    let _held = if own_data { Some(context.keyring.hold_writes().await) } else { None };
    if own_data && !record.forced && context.blocking(|context| context.keyring.holds_client_secrets()).await? {
        return Err(Error::invalid(
            "secrets were stored in the standby since the activation token was made: make a new one with -force if \
             they may be replaced",
        ));
    }
    let import = move |context: &Context| context.keyring.import(&sealed_keyring, opening_key.expose());
    let keyring = context.blocking(import).await?;
    let before = link_record::get(context.state(), primary.id)?;
    let link = LinkRecord {
        region: primary.id,
        name: primary.name.clone(),
        addresses: offer.addresses,
        fingerprints: offer.fingerprints,
        max_parallel: before.as_ref().map_or(MAX_PARALLEL_DEFAULT, |before| before.max_parallel),
        paused: false,
        created_at: clock::now(),
        accessor: record.accessor.clone(),
        attempt: 0,
        credential: Some(Credential::new(credential.clone(), clock::now())),
        pending: None,
        before: None,
        introduced_by: None,
    };
    let used = Use { by: primary.id, by_name: primary.name.clone(), at: clock::now(), dataset: offer.dataset, finish };
    let spent = TokenRecord { fate: Fate::Used(used), ..record.clone() };
    let mut change: RegionChange = link_record::replacement(before.as_ref(), &link)?;
    change.expect.push((record.key(), Some(record.to_bytes()?)));
    change.puts.push((spent.key(), Some(spent.to_bytes()?)));
    change.puts.extend(keyring);
    context.agree(change).await?;
    context.links_changed(Some(primary.id)).await;
    let text =
        format!("{} used the activation token {}: its data will replace this region's", primary.name, spent.accessor);
    context.events.record(EventLevel::Info, "token", text);
    Ok(credential)
}
