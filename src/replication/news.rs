//! News between two linked regions, beside the stream: how each is reached and by which certificates it is known, and
//! from a primary, which other standbys it has.
//!
//! A primary tells each of its standbys now and then (`TELL_BEATS`), in a request of a kind of its own, sealed like all
//! others; the answer says the same of the standby. Both bring their link records up to date, so that a changed address, a
//! renewed certificate, or a node that joined later needs no new token.
//!
//! The news also carry a renewed credential to the standby (`credential`).
//!
//! The primary also introduces its standbys to each other, so that whichever is promoted can dial the others, and they
//! follow it without a token. The credential of each pair is derived from those that the primary has with the two
//! (`pair_credential`), so that every leader of the primary makes the same, and nobody else can. What is introduced goes
//! when the primary no longer names it. A link that was made with a token is never touched by an introduction.

use super::context::Context;
use super::credential::{Credential, Held};
use super::crypto::Secret;
use super::envelope;
use super::link_record::{self, LinkRecord, MAX_PARALLEL_DEFAULT};
use super::protocol::Failure;
use super::transport::{LinkClient, check_address};
use crate::api::replication::EventLevel;
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Epoch, RegionId};
use crate::state::{RegionChange, Role};
use crate::tls::Fingerprint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The kind of the request.
pub(super) const NEWS: &str = "news";
/// Beats of the housekeeping between two tellings.
pub(super) const TELL_BEATS: u64 = 5;
/// A standby that does not answer hears it the next time.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
/// What is taken from another region.
const NAMED_MAX: usize = 64;
const ADDRESSES_MAX: usize = 16;
const FINGERPRINTS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 256;

/// How a region is reached, in its own words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Contact {
    pub name: String,
    pub addresses: Vec<String>,
    pub fingerprints: Vec<Fingerprint>,
}

/// What a primary tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct News {
    dataset: DatasetId,
    epoch: Epoch,
    me: Contact,
    /// The next secret of the link's credential.
    offer: Option<Secret>,
    /// The other standbys, all of them.
    others: Vec<Introduced>,
}

/// What a standby answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    me: Contact,
    holds: Held,
}

/// Another standby of the same primary.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Introduced {
    region: RegionId,
    contact: Contact,
    /// Of this pair, and of nobody else.
    credential: Secret,
}

/// The secret of two standbys, from what their primary shares with each. Its order does not matter.
fn pair_credential(one: &LinkRecord, other: &LinkRecord) -> Option<Secret> {
    let (low, high) = if one.region.0 <= other.region.0 { (one, other) } else { (other, one) };
    // Of what stays when the two credentials are renewed: the pair could not hear of a change in the same moment.
    let (low_secret, high_secret) = (low.credential.as_ref()?.introduces(), high.credential.as_ref()?.introduces());
    let parts: [&[u8]; 3] = [high_secret.expose(), &low.region.0, &high.region.0];
    Some(low_secret.derive("twinkeep 2026 credential of two standbys", &parts))
}

fn contact_of(record: &LinkRecord) -> Contact {
    let LinkRecord { name, addresses, fingerprints, .. } = record.clone();
    Contact { name, addresses, fingerprints }
}

async fn own_contact(context: &Arc<Context>) -> Result<Contact> {
    let name = context.region()?.name;
    Ok(Contact { name, addresses: context.addresses(), fingerprints: context.fingerprints() })
}

/// Tells each of these regions, side by side, and takes what they answer.
pub(super) async fn tell(context: &Arc<Context>, clients: Vec<(RegionId, Arc<LinkClient>)>) {
    let told = clients.into_iter().map(|(region, client)| async move {
        if let Err(error) = tell_one(context, region, &client).await {
            tracing::debug!("region {region} was not told the news: {error}");
        }
    });
    futures::future::join_all(told).await;
}

async fn tell_one(context: &Arc<Context>, region: RegionId, client: &LinkClient) -> Result<()> {
    let records = context.blocking(|context| link_record::list(context.state())).await?;
    let Some(to) = records.iter().find(|record| record.region == region) else { return Ok(()) };
    let Some(credential) = &to.credential else { return Ok(()) };
    let credential = credential.renewing(clock::now(), Secret::random);
    // Agreed on before it is offered: whichever leader goes on offers the same.
    let to = &keep(context, to, LinkRecord { credential: Some(credential.clone()), ..to.clone() }).await?;
    let introduced = |other: &LinkRecord| {
        let credential = pair_credential(to, other).filter(|_| other.region != region && other.pending.is_none())?;
        Some(Introduced { region: other.region, contact: contact_of(other), credential })
    };
    let path = context.state().path();
    let news = News {
        dataset: path.dataset,
        epoch: path.epoch,
        me: own_contact(context).await?,
        offer: credential.offer().cloned(),
        others: records.iter().filter_map(introduced).collect(),
    };
    let failed = |failure: Failure| match failure {
        Failure::Retry(text) | Failure::Final(text) => Error::unavailable(text),
    };
    let answer = client.call(NEWS, &postcard::to_stdvec(&news)?, clock::steady() + TOLD_WITHIN).await;
    let reply: Reply = postcard::from_bytes(&answer.map_err(failed)?)?;
    let credential = credential.answered(&reply.holds, clock::now());
    learn(context, to, reply.me, credential).await
}

/// Takes the news of the region at the other end, and answers with this region's own contact.
/// The request was sealed under `used`.
pub(super) async fn hear(context: &Arc<Context>, from: RegionId, used: &Secret, payload: &Bytes) -> Result<Bytes> {
    let news: News = postcard::from_bytes(payload)?;
    let records = context.blocking(|context| link_record::list(context.state())).await?;
    let path = context.state().path();
    let from_primary = path.role == Role::Standby
        && (path.dataset, path.epoch) == (news.dataset, news.epoch)
        && path.primary.is_some_and(|primary| primary.region == from);
    let record = records.iter().find(|record| record.region == from);
    let Some((record, credential)) = record.and_then(|record| Some((record, record.credential.as_ref()?))) else {
        return Err(Error::NotFound("the link was disconnected".into()));
    };
    let credential =
        if from_primary { credential.told(used, news.offer.as_ref(), clock::now()) } else { credential.clone() };
    let holds = credential.held();
    learn(context, record, news.me, credential).await?;
    if from_primary {
        meet(context, from, &records, news.others).await?;
    }
    Ok(postcard::to_stdvec(&Reply { me: own_contact(context).await?, holds })?.into())
}

/// Brings a link's record up to date with what its region says of itself, and what became of the credential.
async fn learn(context: &Arc<Context>, record: &LinkRecord, contact: Contact, credential: Credential) -> Result<()> {
    let renewed = record.credential.as_ref().is_some_and(|before| before.current() != credential.current());
    let reached = updated(record, contact);
    let moved = reached != *record;
    let next = keep(context, record, LinkRecord { credential: Some(credential), ..reached }).await?;
    if moved || renewed {
        context.links_changed(None).await;
    }
    let tell = |text| context.events.record(EventLevel::Info, "link", text);
    if moved {
        tell(format!("{} is reached at {} from now on", next.name, next.addresses.join(", ")));
    }
    if renewed {
        tell(format!("the credential of the link with {} was renewed", next.name));
    }
    Ok(())
}

/// Agrees on a changed record. Answers with the one that counts from then on.
async fn keep(context: &Arc<Context>, before: &LinkRecord, next: LinkRecord) -> Result<LinkRecord> {
    if next != *before {
        context.agree(link_record::replacement(Some(before), &next)?).await?;
    }
    Ok(next)
}

/// The address that an operator gave stays the first; what the region names takes the place of what it named before.
/// Certificates that were known stay known, up to a bound: a node that was not heard lately may still use its own.
fn updated(record: &LinkRecord, contact: Contact) -> LinkRecord {
    let sound = |address: &String| check_address(address).is_ok();
    let mut addresses: Vec<String> = record.addresses.first().cloned().into_iter().collect();
    for address in contact.addresses.into_iter().filter(sound) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(ADDRESSES_MAX);
    let mut fingerprints = contact.fingerprints;
    // In the order that is known already, so that nothing changes where nothing is new.
    let all_known = fingerprints.iter().all(|fingerprint| record.fingerprints.contains(fingerprint));
    if all_known {
        fingerprints.clone_from(&record.fingerprints);
    } else {
        let old = record.fingerprints.iter().filter(|old| !fingerprints.contains(old)).copied();
        fingerprints.extend(old.collect::<Vec<_>>());
    }
    fingerprints.truncate(FINGERPRINTS_MAX);
    // What it names in another order is no news either.
    let mut sorted = (addresses.clone(), record.addresses.clone());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    if sorted.0 == sorted.1 {
        addresses.clone_from(&record.addresses);
    }
    let name = if is_name(&contact.name) { contact.name } else { record.name.clone() };
    LinkRecord { name, addresses, fingerprints, ..record.clone() }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX
}

/// Keeps the links to the other standbys as their primary introduces them.
async fn meet(
    context: &Arc<Context>,
    primary: RegionId,
    records: &[LinkRecord],
    others: Vec<Introduced>,
) -> Result<()> {
    let me = context.region()?.id;
    if others.len() > NAMED_MAX {
        return Err(Error::invalid(format!("a primary introduced {} regions: at most {NAMED_MAX}", others.len())));
    }
    let mut change = RegionChange::default();
    let mut met = Vec::new();
    let mut put = |before: Option<&LinkRecord>, next: Option<&LinkRecord>| -> Result<()> {
        let more = match (before, next) {
            (before, Some(next)) => link_record::replacement(before, next)?,
            (Some(before), None) => link_record::removal(before)?,
            (None, None) => return Ok(()),
        };
        change.expect.extend(more.expect);
        change.puts.extend(more.puts);
        Ok(())
    };
    for other in others.iter().filter(|other| other.region != me && other.region != primary) {
        let before = records.iter().find(|record| record.region == other.region);
        if before.is_some_and(|before| before.introduced_by.is_none()) {
            continue;
        }
        let unnamed = LinkRecord {
            region: other.region,
            name: other.region.to_string(),
            addresses: Vec::new(),
            fingerprints: Vec::new(),
            max_parallel: MAX_PARALLEL_DEFAULT,
            paused: false,
            created_at: clock::now(),
            accessor: String::new(),
            attempt: 0,
            credential: None,
            pending: None,
            before: None,
            introduced_by: None,
        };
        let known = before.cloned().unwrap_or(unnamed);
        // The two may have renewed it since.
        let kept = known.credential.clone().filter(|credential| credential.began_with(&other.credential));
        let next = LinkRecord {
            credential: kept.or_else(|| Some(Credential::new(other.credential.clone(), clock::now()))),
            introduced_by: Some(primary),
            ..updated(&known, other.contact.clone())
        };
        if next.addresses.is_empty() || before == Some(&next) {
            continue;
        }
        if before.is_none() {
            met.push(next.name.clone());
        }
        put(before, Some(&next))?;
    }
    for record in records.iter().filter(|record| is_forgotten(record, primary, &others)) {
        put(Some(record), None)?;
    }
    if change.puts.is_empty() {
        return Ok(());
    }
    context.agree(change).await?;
    context.links_changed(None).await;
    if !met.is_empty() {
        let text = format!("the primary introduced {}: after a promotion no token is needed", met.join(", "));
        context.events.record(EventLevel::Info, "link", text);
    }
    Ok(())
}

/// Whether nobody vouches any more for a region that was introduced: it is a standby no longer, or never was of this
/// primary. Who was introduced by an earlier primary and is the primary now names everybody but itself.
fn is_forgotten(record: &LinkRecord, primary: RegionId, others: &[Introduced]) -> bool {
    let named = others.iter().any(|other| other.region == record.region);
    record.introduced_by.is_some() && record.region != primary && !named
}

/// Whether a request of this kind is news. The name must not be that of any other kind.
pub(super) fn is_news(kind: &str) -> bool {
    debug_assert_ne!(NEWS, envelope::OPEN);
    kind == NEWS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMs;

    fn record(number: u8) -> LinkRecord {
        LinkRecord {
            region: RegionId([number; 16]),
            name: format!("region-{number}"),
            addresses: vec![format!("http://10.0.0.{number}:8200")],
            fingerprints: vec![Fingerprint([number; 32])],
            max_parallel: 8,
            paused: false,
            created_at: UnixMs(0),
            accessor: "a".into(),
            attempt: 0,
            credential: Some(Credential::new(Secret::new([number; 32]), UnixMs(0))),
            pending: None,
            before: None,
            introduced_by: None,
        }
    }

    #[test]
    fn a_pair_has_one_credential_that_neither_knows_alone() {
        let (one, other, third) = (record(1), record(2), record(3));
        let pair = pair_credential(&one, &other);
        assert!(pair.is_some() && pair == pair_credential(&other, &one));
        assert_ne!(pair, pair_credential(&one, &third));
        assert_eq!(pair_credential(&one, &LinkRecord { credential: None, ..other }), None);
    }

    #[test]
    fn who_was_introduced_is_kept_while_it_is_named_or_the_primary_itself() {
        let introduced = LinkRecord { introduced_by: Some(RegionId([9; 16])), ..record(1) };
        let named = |number: u8| {
            let contact = contact_of(&record(number));
            Introduced { region: RegionId([number; 16]), contact, credential: Secret::new([0; 32]) }
        };
        assert!(is_forgotten(&introduced, RegionId([2; 16]), &[named(3)]));
        assert!(!is_forgotten(&introduced, RegionId([2; 16]), &[named(1)]));
        assert!(!is_forgotten(&introduced, introduced.region, &[named(3)]), "it was promoted");
        assert!(!is_forgotten(&record(1), RegionId([2; 16]), &[]), "it was linked with a token");
    }

    #[test]
    fn what_a_region_names_takes_the_place_of_what_it_named_before() {
        let before = LinkRecord { addresses: vec!["https://lb:1".into(), "https://old:1".into()], ..record(1) };
        let contact = Contact {
            name: "renamed".into(),
            addresses: vec!["https://new:1".into(), "nonsense".into()],
            fingerprints: vec![Fingerprint([99; 32])],
        };
        let next = updated(&before, contact.clone());
        assert_eq!(next.addresses, ["https://lb:1", "https://new:1"]);
        assert_eq!(next.fingerprints, [Fingerprint([99; 32]), Fingerprint([1; 32])]);
        assert_eq!(next.name, "renamed");
        assert_eq!(updated(&next, contact), next, "the same again is no news");
        let flood = Contact {
            name: " ".into(),
            addresses: (0..100).map(|number| format!("http://a{number}:1")).collect(),
            fingerprints: (0..100u8).map(|number| Fingerprint([number; 32])).collect(),
        };
        let next = updated(&before, flood);
        assert_eq!((next.addresses.len(), next.fingerprints.len()), (ADDRESSES_MAX, FINGERPRINTS_MAX));
        assert_eq!(next.name, "region-1");
    }
}
