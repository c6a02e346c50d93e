//! The primary's side of an activation: proves the token, hands over the keyring, keeps the credential.
//!
//! The finish is agreed on in the own region before it is sent, so that after a crash, or under another leader, the
//! very same one is repeated: the token may be spent already, but only by it.

use super::context::{Context, failure};
use super::credential::Credential;
use super::crypto::Secret;
use super::handshake::{self, Attempt, FINISH, Offer, START};
use super::link_record::{self, LinkRecord, Pending};
use super::protocol::Failure;
use super::token::ActivationToken;
use super::transport::Http;
use crate::api::replication::EventLevel;
use crate::clock;
use crate::error::Error;
use crate::ids::RegionId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of both requests of the handshake together.
const ACTIVATION_DEADLINE: Duration = Duration::from_secs(20);

/// Goes on with the activation of a link from where its record stands, and says which attempt that was. Safe to
/// repeat. Where a token is refused for good, the link that it was to replace is put back: a configuration file may
/// name a token for years after another one renewed the link.
pub(super) async fn activate(context: &Arc<Context>, region: RegionId) -> (Option<u64>, Result<(), Failure>) {
    match link_record::get(context.state(), region) {
        Ok(Some(record)) => {
            let attempt = record.attempt;
            let mut result = go_on(context, record).await;
            if let Err(Failure::Final(reason)) = &result
                && let Err(error) = put_back(context, region, attempt, reason).await
            {
                // Another try ends the same way, and then puts it back.
                result = Err(failure(&error));
            }
            (Some(attempt), result)
        }
        Ok(None) => (None, Err(Failure::Final("the link was disconnected".into()))),
        Err(error) => (None, Err(failure(&error))),
    }
}

/// Puts back the link that a refused token was to replace, unless somebody changed it meanwhile.
async fn put_back(context: &Arc<Context>, region: RegionId, attempt: u64, reason: &str) -> Result<(), Error> {
    let now = link_record::get(context.state(), region)?;
    let Some(now) = now.filter(|now| now.pending.is_some() && now.attempt == attempt) else { return Ok(()) };
    let Some(before) = &now.before else { return Ok(()) };
    // What an operator said of the link meanwhile, he said of this one.
    let back = LinkRecord { paused: now.paused, max_parallel: now.max_parallel, ..(**before).clone() };
    context.agree(link_record::replacement(Some(&now), &back)?).await?;
    context.links_changed(Some(region)).await;
    let text = format!("the link with {} stays as it was: the newer token was refused: {reason}", before.name);
    context.events.record(EventLevel::Warn, "link", text);
    Ok(())
}

async fn go_on(context: &Arc<Context>, record: LinkRecord) -> Result<(), Failure> {
    let deadline = clock::steady() + ACTIVATION_DEADLINE;
    let path = context.state().path().name;
    let http = Http::new(&path, &record.addresses, &record.fingerprints, record.max_parallel);
    let http = http.map_err(|error| failure(&error))?;
    let record = match &record.pending {
        None => return Ok(()),
        Some(Pending::Finishing { .. }) => record,
        Some(Pending::Token(text)) => {
            let token = ActivationToken::decode(text).map_err(|error| failure(&error))?;
            prepare(context, &http, &path, token, &record, deadline).await?
        }
    };
    finish(context, &http, record, deadline).await
}

/// Start and the making of the finish: afterwards the record holds it.
async fn prepare(
    context: &Arc<Context>,
    http: &Http,
    path: &str,
    token: ActivationToken,
    record: &LinkRecord,
    deadline: Instant,
) -> Result<LinkRecord, Failure> {
    let of = |error: Error| failure(&error);
    let me = context.party().map_err(of)?;
    let sealing_key = token.sealing_key;
    let attempt = Attempt::begin(token, path, me, clock::random_bytes()).map_err(of)?;
    let answer = http.post(START, attempt.request(), deadline).await?;
    let keyring = context.blocking(move |context| context.keyring.export(&sealing_key)).await.map_err(of)?;
    let offer = Offer {
        dataset: context.state().path().dataset,
        addresses: context.addresses(),
        fingerprints: context.fingerprints(),
    };
    let (request, credential) = attempt.finish(&answer, offer, keyring, &Secret::random()).map_err(of)?;
    let next = LinkRecord { pending: Some(Pending::Finishing { request, credential }), ..record.clone() };
    let change = link_record::replacement(Some(record), &next).map_err(of)?;
    context.agree(change).await.map_err(of)?;
    Ok(next)
}

async fn finish(context: &Context, http: &Http, record: LinkRecord, deadline: Instant) -> Result<(), Failure> {
    let of = |error: Error| failure(&error);
    let Some(Pending::Finishing { request, credential }) = &record.pending else { return Ok(()) };
    let answer = http.post(FINISH, request.clone(), deadline).await?;
    let finished = handshake::check_finished(credential, request, &answer)
        .map_err(|_| Failure::Retry("the answer does not prove that the standby accepted the token".into()))?;
    let mut next = LinkRecord {
        name: finished.standby.name,
        credential: Some(Credential::new(credential.clone(), clock::now())),
        pending: None,
        before: None,
        ..record.clone()
    };
    for address in finished.addresses {
        if !next.addresses.contains(&address) {
            next.addresses.push(address);
        }
    }
    for fingerprint in finished.fingerprints {
        if !next.fingerprints.contains(&fingerprint) {
            next.fingerprints.push(fingerprint);
        }
    }
    let change = link_record::replacement(Some(&record), &next).map_err(of)?;
    context.agree(change).await.map_err(of)
}
