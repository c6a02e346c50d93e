//! Making, changing and removing links, for operators and for the configuration.

use super::context::Context;
use super::handshake::Attempt;
use super::link_record::{self, LinkRecord, MAX_PARALLEL_DEFAULT, MAX_PARALLEL_MAX, Pending};
use super::protocol::Failure;
use super::token::ActivationToken;
use super::transport::check_address;
use crate::api::replication::{EventLevel, LinkRequest};
use crate::clock;
use crate::consensus;
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::state::Role;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long an operator waits to hear what became of the token. A link that is not activated by then goes on trying.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// What `put` found and did.
struct Put {
    region: RegionId,
    attempt: u64,
    before: Option<LinkRecord>,
    after: LinkRecord,
}

/// Makes the link that the token is for, and waits for the activation. A token that this region used already changes
/// nothing but the address and `max_parallel`. A token that is refused leaves everything as it was.
pub(super) async fn connect(context: &Arc<Context>, request: LinkRequest) -> Result<()> {
    context.lead().await?;
    if context.state().path().role != Role::Primary {
        return Err(consensus::wrong_role(context.state()));
    }
    let mut activations = context.activations.subscribe();
    let put = put(context, &request).await?;
    if put.after.pending.is_none() {
        return Ok(());
    }
    let settled = async {
        loop {
            match activations.recv().await {
                Ok((attempt, Ok(()))) if attempt == put.attempt => return Ok(()),
                Ok((attempt, Err(Failure::Final(reason)))) if attempt == put.attempt => return Err(reason),
                Ok(_) => {}
                // Too many at once, or the driver ended: the status tells.
                Err(_) => return Ok(()),
            }
        }
    };
    match tokio::time::timeout(CONNECT_WAIT, settled).await {
        Ok(Err(reason)) => {
            take_back(context, &put).await?;
            Err(Error::Invalid(reason))
        }
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// Makes the links that the configuration asks for and that are not there yet. Does nothing on a region that is not
/// primary: after a failover the file of the old primary still names them.
pub(super) async fn connect_configured(context: &Arc<Context>) {
    let requests = context.configured.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if requests.is_empty() || context.state().path().role != Role::Primary {
        return;
    }
    for request in requests {
        if let Err(error) = put(context, &request).await {
            let text = format!("the configured link is not made: {error}");
            context.events.record(EventLevel::Alarm, "link", text);
        }
    }
}

/// Stores what the request asks for, if it is not there already.
async fn put(context: &Arc<Context>, request: &LinkRequest) -> Result<Put> {
    let token = ActivationToken::decode(&request.token)?;
    let path = context.state().path().name;
    Attempt::begin(token.clone(), &path, context.party()?, [0; 32])?;
    let mut addresses = Vec::new();
    for address in request.address.iter().chain(&token.addresses) {
        let address = check_address(address)?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Error::invalid("neither the token nor the request says at which address the standby is reached"));
    }
    if addresses[0].starts_with("https://") && token.fingerprints.is_empty() {
        return Err(Error::invalid(format!(
            "{} speaks TLS, but the token carries no certificate fingerprint: make the token on a node that speaks TLS",
            addresses[0]
        )));
    }
    let region = token.region;
    let before = link_record::get(context.state(), region)?;
    let max_parallel = request.max_parallel.or(before.as_ref().map(|before| before.max_parallel));
    let max_parallel = max_parallel.unwrap_or(MAX_PARALLEL_DEFAULT);
    if !(1..=MAX_PARALLEL_MAX).contains(&max_parallel) {
        return Err(Error::invalid(format!("max_parallel is {max_parallel}: expected 1 to {MAX_PARALLEL_MAX}")));
    }
    let attempt = u64::from_be_bytes(clock::random_bytes());
    let after = match &before {
        Some(before) if before.accessor == token.accessor => {
            let mut after = LinkRecord { max_parallel, ..before.clone() };
            if after.pending.is_some() {
                after.attempt = attempt;
            }
            if let Some(address) = &request.address {
                let address = check_address(address)?;
                after.addresses.retain(|known| *known != address);
                after.addresses.insert(0, address);
            }
            after
        }
        _ => LinkRecord {
            region,
            name: token.region_name,
            addresses,
            fingerprints: token.fingerprints,
            max_parallel,
            paused: false,
            created_at: before.as_ref().map_or_else(clock::now, |before| before.created_at),
            accessor: token.accessor,
            attempt,
            credential: before.as_ref().and_then(|before| before.credential.clone()),
            pending: Some(Pending::Token(request.token.trim().to_owned())),
            before: before.as_ref().and_then(LinkRecord::activated).cloned().map(Box::new),
            introduced_by: None,
        },
    };
    if before.as_ref() != Some(&after) {
        context.agree(link_record::replacement(before.as_ref(), &after)?).await?;
    }
    if before.as_ref() != Some(&after) || after.pending.is_some() {
        context.links_changed(Some(region)).await;
    }
    Ok(Put { region, attempt: after.attempt, before, after })
}

/// Undoes a `put` whose token was refused, unless somebody changed the link meanwhile. A link that worked before is back
/// by then (`activation`).
async fn take_back(context: &Arc<Context>, put: &Put) -> Result<()> {
    let region = put.region;
    let now = link_record::get(context.state(), region)?;
    let Some(now) = now.filter(|now| now.pending.is_some() && now.attempt == put.attempt) else {
        return Ok(());
    };
    let change = match &put.before {
        // The same token was refused before: it was put by the configuration, which goes on asking for it.
        Some(before) if before.accessor == put.after.accessor => return Ok(()),
        Some(before) => link_record::replacement(Some(&now), before)?,
        None => link_record::removal(&now)?,
    };
    context.agree(change).await?;
    context.links_changed(Some(region)).await;
    Ok(())
}

/// Removes the link to a region, named by its name or its id, and with it the credential.
pub(super) async fn disconnect(context: &Arc<Context>, region: &str) -> Result<()> {
    context.lead().await?;
    let record = find(context, region).await?;
    context.agree(link_record::removal(&record)?).await?;
    context.links_changed(None).await;
    context.events.record(EventLevel::Warn, "link", format!("the link with {} was disconnected", record.name));
    Ok(())
}

/// What `set_paused` does to the links.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    On,
    Off,
}

/// Pauses or resumes the link to a region, or all links of the path.
pub(super) async fn set_paused(context: &Arc<Context>, pause: Pause, region: Option<&str>) -> Result<()> {
    context.lead().await?;
    let records = match region {
        Some(region) => vec![find(context, region).await?],
        None => context.blocking(|context| link_record::list(context.state())).await?,
    };
    if records.is_empty() {
        return Err(Error::NotFound("the path has no links".into()));
    }
    for record in records {
        let next = LinkRecord { paused: pause == Pause::On, ..record.clone() };
        if next != record {
            context.agree(link_record::replacement(Some(&record), &next)?).await?;
        }
    }
    context.links_changed(None).await;
    Ok(())
}

pub(super) async fn find(context: &Arc<Context>, region: &str) -> Result<LinkRecord> {
    let records = context.blocking(|context| link_record::list(context.state())).await?;
    let matches = |record: &&LinkRecord| record.name == region || record.region.to_string() == region;
    let found: Vec<&LinkRecord> = records.iter().filter(matches).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Error::NotFound(format!("no link to a region `{region}`"))),
        _ => Err(Error::invalid(format!("several regions are named `{region}`: name it by its id"))),
    }
}
