//! What an operator does with a ledger, and with the region that has one: list, export, replay, discard, rejoin, demote.
//!
//! A replay sends entries to the new primary with the operator's own token, in the order in which they were written, and
//! notes in each entry what became of it. An entry that builds on an earlier one which was not replayed is not sent: it
//! would leave half of a secret there.

use super::accept;
use super::context::Context;
use super::ledger_wire as wire;
use super::link_record;
use super::links;
use super::protocol::Failure;
use super::transport::Http;
use crate::api::envelope::Envelope;
use crate::api::ledger::{
    AcceptAnswer, AcceptEntry, AcceptOutcome, AcceptRequest, Conflicting, DiscardAnswer, DiscardRequest, LedgerExport,
    LedgerPage, ReplayAnswer, ReplayRequest, Replayed, Unreplayable,
};
use crate::api::replication::EventLevel;
use crate::clock;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use crate::state::{
    Command, LedgerEntry, LedgerHead, LedgerId, Outcome, PathChange, RegionChange, Rejoin, Review, Role,
};
use crate::storage::ScanLimit;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Entries of a page: unless it is said otherwise, and at most.
pub const PAGE_DEFAULT: usize = 100;
pub const PAGE_MAX: usize = 1000;
/// What one page of an export holds at most, apart from its first entry.
const EXPORT_BYTES: usize = 4 << 20;
/// What is read of the ledger at a time while all of it is walked.
const WALK: ScanLimit = ScanLimit { entries: 1024, bytes: 8 << 20 };
/// What one request to the new primary carries.
const SEND_ENTRIES: usize = 64;
const SEND_BYTES: u64 = 4 << 20;
/// Entries whose review is agreed on at once.
const REVIEWS_MAX: usize = 256;
const REASON_BYTES_MAX: usize = 1000;
/// How long the new primary may take over one request.
const ACCEPT_DEADLINE: Duration = Duration::from_secs(20);

pub(super) async fn page(context: &Arc<Context>, after: Option<LedgerId>, limit: usize) -> Result<LedgerPage> {
    context.lead().await?;
    context
        .blocking(move |context| {
            let limit = limit.clamp(1, PAGE_MAX);
            let mut entries = context.state().ledger_entries(after, ScanLimit::entries(limit + 1))?;
            let more = entries.len() > limit;
            entries.truncate(limit);
            let describe = |key: &[u8]| context.keyring.describe(key);
            let entries: Vec<_> = entries.iter().map(|(id, entry)| wire::info(*id, entry, describe)).collect();
            let next = entries.last().filter(|_| more).map(|last| last.entry.clone());
            Ok(LedgerPage { ledger: wire::summary(&context.state().path()), entries, next })
        })
        .await
}

pub(super) async fn export(context: &Arc<Context>, after: Option<LedgerId>) -> Result<LedgerExport> {
    context.lead().await?;
    let region = context.region()?;
    context
        .blocking(move |context| {
            let limit = ScanLimit { entries: PAGE_MAX, bytes: EXPORT_BYTES };
            let entries = context.state().ledger_entries(after, limit)?;
            let describe = |key: &[u8]| context.keyring.describe(key);
            let entries: Vec<_> = entries.iter().map(|(id, entry)| wire::exported(*id, entry, describe)).collect();
            // One page too many, at the end, is empty and says so.
            let next = entries.last().map(|last| last.info.entry.clone());
            let path = context.state().path().name;
            Ok(LedgerExport { region: region.id, name: region.name, path, entries, next })
        })
        .await
}

/// Says no to a review that names no entries, or of all before all are there: half of them would look like all.
fn named(context: &Context, entries: &[String], all: bool) -> Result<Option<BTreeSet<LedgerId>>> {
    match (entries.is_empty(), all) {
        (true, true) if !context.state().path().is_ledger_whole() => Err(Error::unavailable(
            "the ledger does not hold all of this region's own writes yet: the new primary has to introduce itself, and \
             the writes are copied from the log then. Try again shortly",
        )),
        (true, true) => Ok(None),
        (false, false) => {
            let ids = entries.iter().map(|text| text.parse().map_err(Error::Invalid));
            Ok(Some(ids.collect::<Result<_>>()?))
        }
        _ => Err(Error::invalid("name the entries, or say that all are meant, not both")),
    }
}

/// Of all ledgers: the entries that are meant and that nobody has decided on, in order. `each` sees every entry.
fn open_entries(
    context: &Context,
    wanted: Option<&BTreeSet<LedgerId>>,
    mut each: impl FnMut(LedgerId, &LedgerEntry, bool),
) -> Result<()> {
    let mut after = None;
    let mut found = BTreeSet::new();
    loop {
        let entries = context.state().ledger_entries(after, WALK)?;
        let Some((last, _)) = entries.last() else { break };
        after = Some(*last);
        for (id, entry) in &entries {
            let meant = wanted.map_or(entry.review.is_open(), |wanted| wanted.contains(id));
            if meant {
                found.insert(*id);
            }
            each(*id, entry, meant);
        }
    }
    match wanted.and_then(|wanted| wanted.difference(&found).next()) {
        Some(missing) => Err(Error::NotFound(format!("the ledger has no entry {missing}"))),
        None => Ok(()),
    }
}

pub(super) async fn discard(context: &Arc<Context>, request: DiscardRequest) -> Result<DiscardAnswer> {
    context.lead().await?;
    let wanted = named(context, &request.entries, request.all)?;
    let reason = checked_reason(&request.reason)?;
    let open = context
        .blocking(move |context| {
            let mut open = Vec::new();
            open_entries(context, wanted.as_ref(), |id, entry, meant| {
                if meant && entry.review.is_open() {
                    open.push(id);
                }
            })?;
            Ok(open)
        })
        .await?;
    let at = clock::now();
    let reviews = open.iter().map(|id| (*id, Review::Discarded { at, reason: reason.clone() })).collect();
    review(context, reviews).await?;
    let text = format!("{} writes of the ledger were discarded: {reason}", open.len());
    context.events.record(EventLevel::Warn, "ledger", text);
    Ok(DiscardAnswer { discarded: open.iter().map(LedgerId::to_string).collect() })
}

async fn review(context: &Context, reviews: Vec<(LedgerId, Review)>) -> Result<()> {
    for some in reviews.chunks(REVIEWS_MAX) {
        match context.consensus.propose(Command::Review { reviews: some.to_vec() }).await? {
            Outcome::Refused(refusal) => return Err(Error::Conflict(refusal.to_string())),
            _ => continue,
        }
    }
    Ok(())
}

/// An entry that is to be sent.
struct Outgoing {
    id: LedgerId,
    entry: LedgerEntry,
}

/// What a replay found in the ledger.
#[derive(Default)]
struct Found {
    /// By ledger, in order.
    send: BTreeMap<u32, VecDeque<Outgoing>>,
    answer: ReplayAnswer,
    heads: HashMap<u32, LedgerHead>,
}

/// Sends the entries to the new primary as new writes, and notes what became of each.
pub(super) async fn replay(
    context: &Arc<Context>,
    request: ReplayRequest,
    token: SensitiveString,
) -> Result<ReplayAnswer> {
    context.lead().await?;
    let wanted = named(context, &request.entries, request.all)?;
    if request.overwrite && request.all {
        return Err(Error::invalid("to overwrite what the new primary has, name each entry"));
    }
    let target = Target::new(context, token).await?;
    let overwrite = request.overwrite;
    let Found { send, mut answer, heads } =
        context.blocking(move |context| find(context, wanted.as_ref(), overwrite)).await?;
    for (number, entries) in send {
        let head = heads.get(&number).ok_or_else(|| Error::corrupt("a ledger has entries and no head"))?;
        let mut sending = Sending { head, entries, unsent: HashMap::new(), overwrite };
        while !sending.entries.is_empty() {
            sending.send_some(context, &target, &mut answer).await?;
        }
    }
    let (replayed, conflicts) = (answer.replayed.len(), answer.conflicts.len());
    let text = format!("{replayed} writes of the ledger were replayed on the new primary, {conflicts} met newer ones");
    context.events.record(EventLevel::Warn, "ledger", text);
    Ok(answer)
}

/// What to send, and what can't be. Walks all of the ledger, since an entry may build on one that is not meant.
fn find(context: &Context, wanted: Option<&BTreeSet<LedgerId>>, overwrite: bool) -> Result<Found> {
    let mut found = Found::default();
    // The newest entry that changed each key and is not on the new primary.
    let mut unsent: HashMap<(u32, Bytes), LedgerId> = HashMap::new();
    let mut seen = BTreeSet::new();
    open_entries(context, wanted, |id, entry, meant| {
        seen.insert(id.number);
        let keys = || entry.batch.ops.iter().map(|op| (id.number, op.key().clone()));
        match &entry.review {
            Review::Replayed { position, .. } if meant => {
                found.answer.replayed.push(Replayed { entry: id.to_string(), position: *position });
                return;
            }
            Review::Replayed { .. } => return,
            Review::Discarded { .. } if meant => {
                let why = "it was discarded".to_owned();
                found.answer.refused.push(Unreplayable { entry: id.to_string(), why });
            }
            Review::Unreviewed { .. } if meant => {
                let base = keys().find_map(|key| unsent.get(&key)).filter(|_| !overwrite);
                match base {
                    Some(base) => {
                        let why =
                            format!("it builds on {base}, which was not replayed: replay that first, or overwrite");
                        found.answer.refused.push(Unreplayable { entry: id.to_string(), why });
                    }
                    None => {
                        found.send.entry(id.number).or_default().push_back(Outgoing { id, entry: entry.clone() });
                        return;
                    }
                }
            }
            _ => {}
        }
        unsent.extend(keys().map(|key| (key, id)));
    })?;
    for number in seen {
        let head = context.state().ledger_head(number)?;
        let head = head.ok_or_else(|| Error::corrupt("a ledger has entries and no head"))?;
        if head.missing > 0 && !overwrite {
            for Outgoing { id, .. } in found.send.remove(&number).unwrap_or_default() {
                let why = format!(
                    "{} writes before it were not kept, and it may build on them: overwrite if it is to be written all \
                     the same",
                    head.missing
                );
                found.answer.refused.push(Unreplayable { entry: id.to_string(), why });
            }
        }
        found.heads.insert(number, head);
    }
    Ok(found)
}

/// The entries of one ledger on their way.
struct Sending<'a> {
    head: &'a LedgerHead,
    entries: VecDeque<Outgoing>,
    /// Keys of entries that were not written there, and by which.
    unsent: HashMap<Bytes, LedgerId>,
    overwrite: bool,
}

impl Sending<'_> {
    /// One request to the new primary, and the notes on what came of it.
    async fn send_some(&mut self, context: &Arc<Context>, target: &Target, answer: &mut ReplayAnswer) -> Result<()> {
        let some = self.next(answer);
        if some.is_empty() {
            return Ok(());
        }
        let accept = |sent: &Outgoing| AcceptEntry {
            position: sent.id.position,
            class: sent.entry.batch.class,
            ops: sent.entry.batch.ops.iter().map(wire::op).collect(),
            overwrite: self.overwrite,
        };
        let request = AcceptRequest {
            region: context.region()?.id,
            number: self.head.number,
            line: self.head.line.clone(),
            fork: self.head.fork,
            entries: some.iter().map(accept).collect(),
        };
        let AcceptAnswer { outcomes } = target.accept(context, request).await?;
        if outcomes.len() != some.len() {
            return Err(Error::Unknown(
                "the new primary's answer does not fit what was sent: repeat the replay".into(),
            ));
        }
        let mut reviews = Vec::new();
        for (sent, outcome) in some.iter().zip(outcomes) {
            reviews.extend(self.note(context, sent, outcome, answer)?);
        }
        review(context, reviews).await
    }

    /// What the next request carries.
    fn next(&mut self, answer: &mut ReplayAnswer) -> Vec<Outgoing> {
        let mut some = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.entries.front() {
            bytes += next.entry.batch.bytes();
            if some.len() == SEND_ENTRIES || (bytes > SEND_BYTES && !some.is_empty()) {
                break;
            }
            let Some(next) = self.entries.pop_front() else { break };
            match next.entry.batch.ops.iter().find_map(|op| self.unsent.get(op.key())).filter(|_| !self.overwrite) {
                Some(base) => {
                    answer.refused.push(builds_on(next.id, *base));
                    self.leave_out(&next);
                }
                None => some.push(next),
            }
        }
        some
    }

    fn leave_out(&mut self, entry: &Outgoing) {
        self.unsent.extend(entry.entry.batch.ops.iter().map(|op| (op.key().clone(), entry.id)));
    }

    fn note(
        &mut self,
        context: &Context,
        sent: &Outgoing,
        outcome: AcceptOutcome,
        answer: &mut ReplayAnswer,
    ) -> Result<Option<(LedgerId, Review)>> {
        let (entry, at) = (sent.id.to_string(), clock::now());
        Ok(match outcome {
            AcceptOutcome::Replayed { position } => {
                answer.replayed.push(Replayed { entry, position });
                Some((sent.id, Review::Replayed { at, position }))
            }
            AcceptOutcome::Refused { why } => {
                self.leave_out(sent);
                answer.refused.push(Unreplayable { entry, why });
                None
            }
            AcceptOutcome::Conflict { conflicts } => {
                self.leave_out(sent);
                let conflicts = conflicts.iter().map(wire::conflict_from).collect::<Result<Vec<_>>>()?;
                let describe = |key: &[u8]| context.keyring.describe(key);
                let shown = conflicts.iter().map(|it| wire::conflict(it, describe)).collect();
                answer.conflicts.push(Conflicting { entry, at: sent.entry.batch.at, conflicts: shown });
                Some((sent.id, Review::Unreviewed { conflicts }))
            }
        })
    }
}

fn builds_on(id: LedgerId, base: LedgerId) -> Unreplayable {
    let why = format!("it builds on {base}, which was not replayed: replay that first, or overwrite");
    Unreplayable { entry: id.to_string(), why }
}

/// Where replayed entries go.
enum Target {
    /// This region is primary again, of another line than the ledger's.
    Here,
    There {
        http: Http,
        name: String,
        token: SensitiveString,
    },
}

impl Target {
    async fn new(context: &Arc<Context>, token: SensitiveString) -> Result<Target> {
        let path = context.state().path();
        if path.role == Role::Primary {
            return Ok(Target::Here);
        }
        let primary = path.primary.ok_or_else(|| Error::unavailable("this region does not know who is primary now"))?;
        let region = primary.region;
        let link = link_record::get(context.state(), region)?;
        let (mut addresses, fingerprints) = link.map(|link| (link.addresses, link.fingerprints)).unwrap_or_default();
        for address in primary.addresses {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let http = Http::new(&path.name, &addresses, &fingerprints, 1)?;
        Ok(Target::There { http, name: primary.name, token })
    }

    async fn accept(&self, context: &Arc<Context>, request: AcceptRequest) -> Result<AcceptAnswer> {
        let (http, name, token) = match self {
            Target::Here => return accept::accept(context, request).await,
            Target::There { http, name, token } => (http, name, token),
        };
        let body = serde_json::to_vec(&request).map_err(|error| Error::internal(error.to_string()))?;
        let deadline = clock::steady() + ACCEPT_DEADLINE;
        let answer =
            http.post_as(token, "ledger/accept", body.into(), deadline).await.map_err(|failure| match failure {
                Failure::Retry(text) => {
                    Error::unavailable(format!("{name} did not take the entries: {text}. To repeat the replay is safe"))
                }
                Failure::Final(text) => Error::Conflict(format!(
                    "{name} refuses the entries: {text}. The token must be valid there as well"
                )),
            })?;
        let answer: Envelope<AcceptAnswer> = serde_json::from_slice(&answer)
            .map_err(|_| Error::Unknown(format!("the answer of {name} does not decode: repeat the replay")))?;
        answer.data.ok_or_else(|| Error::Unknown(format!("the answer of {name} is empty: repeat the replay")))
    }
}

/// Lets this region leave its line for the present primary's.
/// Lets this region leave its line for that of the present primary, or of the one that is named: a standby follows one
/// already, so there it must be.
pub(super) async fn rejoin(context: &Arc<Context>, reason: Option<String>, primary: Option<String>) -> Result<()> {
    context.lead().await?;
    let to = match &primary {
        Some(primary) => Some(links::find(context, primary).await?.region),
        None => None,
    };
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.as_deref().map(checked_reason).transpose()?;
    let path = context.state().path();
    if path.role == Role::Primary {
        return Err(Error::Conflict(format!(
            "this region is primary in epoch {}: demote it first, if another is to be primary",
            path.epoch
        )));
    }
    let follows = path.primary.as_ref().filter(|_| path.role == Role::Standby);
    if let Some(known) = follows {
        if to == Some(known.region) {
            return Ok(());
        }
        if to.is_none() {
            return Err(Error::Conflict(format!(
                "this region is a standby of {} already: to have it follow another primary, name that with -primary",
                known.name
            )));
        }
    }
    if let Some(why) = path.rejoin_needs_reason().filter(|_| reason.is_none()) {
        return Err(Error::Conflict(format!(
            "{why}. Look at it with `twinkeep replication ledger list`, or say with -reason why it may rejoin all the same"
        )));
    }
    agree(context, PathChange::AllowRejoin(Rejoin { at: clock::now(), reason: reason.clone(), to })).await?;
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let whom = primary.unwrap_or_else(|| "the present primary".into());
    let text = format!("this region may rejoin {whom}, and waits for it to introduce itself{because}");
    context.events.record(EventLevel::Warn, "ledger", text);
    Ok(())
}

/// Has this primary stop being it.
pub(super) async fn demote(context: &Arc<Context>, reason: &str) -> Result<()> {
    context.lead().await?;
    let reason = checked_reason(reason)?;
    let path = context.state().path();
    if path.role != Role::Primary {
        return Err(Error::Conflict(format!(
            "this region is {} in epoch {}: only a primary is demoted",
            path.role, path.epoch
        )));
    }
    let links = context.blocking(|context| link_record::list(context.state())).await?;
    if links.iter().all(|link| link.credential.is_none()) {
        return Err(Error::Conflict(
            "this region has no link: no other could take over, and it would be lost to writes".into(),
        ));
    }
    agree(context, PathChange::Demote { at: clock::now(), reason }).await
}

async fn agree(context: &Context, step: PathChange) -> Result<()> {
    context.agree(RegionChange { path: Some(step), ..RegionChange::default() }).await
}

fn checked_reason(reason: &str) -> Result<String> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(Error::invalid(format!("say why, in 1 to {REASON_BYTES_MAX} bytes: the reason is kept")));
    }
    Ok(reason.to_owned())
}
