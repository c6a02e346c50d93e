//! Outcomes that were unknown, found out. A region shows by its status, its tokens and its ledger whether it did what it was
//! asked for; what no status says is asked for. That something was *not* done is only said of what can be seen to be
//! missing, and a while after nothing can be under way any more.

use super::context::WriteRight;
use super::model::Model;
use super::msg::{Change, Effect, Failure, FailureSort, Query, Target};
use super::outcome::{Asked, Outcome, ended};
use super::promotion::Standing;
use super::targets;
use crate::api::ledger::{LedgerPage, ReviewInfo};
use crate::api::replication::{LinkState, LinkStatus, Role, TokenInfo, TokenState};
use crate::clock::UnixMs;
use crate::console::domain::units::{count, duration, plural};
use crate::console::domain::{AnyAge, RegionView};
use std::collections::BTreeSet;
use std::time::Duration;

/// A ledger is asked about an unknown outcome this often.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// What was not seen for so long after its answer was lost, or did not move for so long, was not done: longer than any
/// request is worked on.
pub const OVER_AFTER: Duration = Duration::from_secs(100);

/// What is remembered of an outcome, to find out by what its region says later.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traces {
    /// The tokens that the region had; `None`: it had told none.
    tokens: Option<BTreeSet<String>>,
    /// When its ledger was asked last.
    asked_at: Option<UnixMs>,
    /// So many writes were undecided in the ledger, since then.
    undecided: Option<(u64, UnixMs)>,
}

impl Traces {
    /// What is there before it is asked for.
    pub fn before(model: &Model, target: &Target, change: &Change) -> Traces {
        let made_on = match change {
            Change::GenerateToken(_) => &target.region,
            _ => return Traces::default(),
        };
        let region = model.here.world.regions().into_iter().find(|region| region.name == *made_on);
        let accessors = |tokens: &[TokenInfo]| tokens.iter().map(|token| token.accessor.clone()).collect();
        let tokens = region.and_then(|region| region.tokens()).map(|tokens| accessors(tokens.last()));
        Traces { tokens, ..Traces::default() }
    }
}

/// What the regions of the context in view say by now.
pub(super) fn watch(model: &mut Model) {
    let here = model.here.id;
    let unknown = |of: &&Outcome| of.context == here && of.standing == Standing::Unknown;
    if !model.outcomes.iter().any(|of| unknown(&of)) {
        return;
    }
    let regions = model.here.world.regions();
    let found = |of: &Outcome| regions.iter().find(|region| region.name == of.region);
    let seen = |of: &Outcome| Some((of.clone(), is_seen(of, found(of)?, &regions)?));
    let seen: Vec<(Outcome, Found)> = model.outcomes.iter().filter(unknown).filter_map(seen).collect();
    for (Outcome { context, region, asked, .. }, found) in seen {
        let target = Target { context, region, addresses: Vec::new() };
        settle(model, &target, asked, found);
    }
}

/// Asks for the ledger that tells what became of a decision, while nobody knows.
pub(super) fn ask(model: &mut Model) -> Vec<Effect> {
    let (now, here) = (model.now, model.here.id);
    if model.here.write == WriteRight::Past {
        return Vec::new();
    }
    let regions = model.here.world.regions();
    let due = |of: &Outcome| {
        let decision = matches!(of.asked, Asked::Replay { .. } | Asked::Discard { .. });
        let waited = of.traces.asked_at.is_none_or(|at| now.since(at) >= ASK_EVERY);
        decision && of.context == here && of.standing == Standing::Unknown && waited
    };
    let asked = model.outcomes.iter().position(due).and_then(|at| {
        let region = regions.iter().find(|region| region.name == model.outcomes[at].region && !region.is_dark())?;
        Some((at, targets::target(model, region)))
    });
    let Some((at, target)) = asked else { return Vec::new() };
    model.outcomes[at].traces.asked_at = Some(now);
    vec![Effect::Ask(target, Query::Ledger)]
}

/// What a ledger says of decisions whose answers were lost. Says whether there are any.
pub(super) fn look_into(model: &mut Model, target: &Target, page: &LedgerPage) -> bool {
    let now = model.now;
    let (mut asked_for, mut found) = (false, Vec::new());
    for of in &mut model.outcomes {
        let unknown = of.context == target.context && of.region == target.region && of.standing == Standing::Unknown;
        // A page that was asked for before says nothing of what came after.
        if !unknown || of.traces.asked_at.is_none() {
            continue;
        }
        asked_for = true;
        let stops_at_conflicts = matches!(of.asked, Asked::Replay { overwrite: false, .. });
        let (Asked::Replay { entries, .. } | Asked::Discard { entries }) = &of.asked else { continue };
        let Some(decided) = Decided::of(page, entries, stops_at_conflicts) else { continue };
        let since = match of.traces.undecided {
            Some((undecided, since)) if undecided == decided.open => since,
            _ => now,
        };
        of.traces.undecided = Some((decided.open, since));
        if decided.open == 0 {
            found.push((of.asked.clone(), Found::Done(decided.words(&of.region))));
        } else if now.since(since) >= OVER_AFTER {
            let still = plural(decided.open, "write is", "writes are");
            let words = format!("{still} still undecided in the ledger of {}, and nothing moves", of.region);
            found.push((of.asked.clone(), Found::NotDone(words)));
        }
    }
    for (asked, found) in found {
        settle(model, target, asked, found);
    }
    asked_for
}

/// What became of entries, as their ledger says.
struct Decided {
    /// Neither decided on, nor met by another change.
    open: u64,
    replayed: u64,
    discarded: u64,
    met: u64,
}

impl Decided {
    /// `None`: the page does not tell of all of them.
    fn of(page: &LedgerPage, entries: &[String], stops_at_conflicts: bool) -> Option<Decided> {
        let meant = |entry: &str| entries.is_empty() || entries.iter().any(|it| it == entry);
        let reviews = || page.entries.iter().filter(|it| meant(&it.entry)).map(|it| &it.review);
        let all = if entries.is_empty() { page.next.is_none() } else { reviews().count() == entries.len() };
        let count = |is: fn(&ReviewInfo) -> bool| reviews().filter(|review| is(review)).count() as u64;
        let undecided = count(|review| matches!(review, ReviewInfo::Unreviewed { .. }));
        let met = count(|review| matches!(review, ReviewInfo::Unreviewed { conflicts } if !conflicts.is_empty()));
        // A replay is over for what met another change; who overwrites that, or gives it up, does so all the same.
        let met = if stops_at_conflicts { met } else { 0 };
        all.then(|| Decided {
            open: undecided - met,
            replayed: count(|review| matches!(review, ReviewInfo::Replayed { .. })),
            discarded: count(|review| matches!(review, ReviewInfo::Discarded { .. })),
            met,
        })
    }

    fn words(&self, region: &str) -> String {
        let (replayed, discarded) = (plural(self.replayed, "write", "writes"), count(self.discarded));
        format!(
            "the ledger of {region} says by now: {replayed} replayed, {discarded} discarded, {} met another change",
            count(self.met)
        )
    }
}

/// That it was done, or not, in words.
#[derive(Debug)]
enum Found {
    Done(String),
    NotDone(String),
}

fn settle(model: &mut Model, target: &Target, asked: Asked, found: Found) {
    let result = match found {
        Found::Done(words) => Ok(words),
        Found::NotDone(words) => Err(Failure { words, sort: FailureSort::Refused }),
    };
    ended(model, target, asked, result);
}

/// What a region said since about something that it was asked for.
fn is_seen(outcome: &Outcome, region: &RegionView<'_>, all: &[RegionView<'_>]) -> Option<Found> {
    let done = || Found::Done(format!("{}, as it says by now", outcome.asked.done(&outcome.region)));
    match &outcome.asked {
        Asked::Token => token(outcome, region),
        Asked::Revoke { accessor } => {
            let told = region.tokens().filter(|tokens| tokens.at() > outcome.asked_at)?.last();
            let revoked = |it: &TokenInfo| it.accessor == *accessor && it.state == TokenState::Revoked;
            told.iter().any(revoked).then(done)
        }
        Asked::HandOver { standby } | Asked::Link { standby } => link(outcome, standby, region, all),
        _ => shows(outcome, region).then(done),
    }
}

/// A token that was not there before: most likely the one whose answer was lost, which nobody holds then.
fn token(outcome: &Outcome, region: &RegionView<'_>) -> Option<Found> {
    let lost_at = outcome.ended_at?;
    let told = region.tokens().filter(|tokens| tokens.at() > lost_at)?;
    let asked_at = outcome.asked_at.0.saturating_add_signed(region.clock_skew_ms().unwrap_or_default());
    let is_new = |token: &&TokenInfo| match &outcome.traces.tokens {
        Some(before) => !before.contains(&token.accessor),
        None => token.created_at.0 >= asked_at,
    };
    let name = &outcome.region;
    match told.last().iter().filter(is_new).max_by_key(|token| token.created_at) {
        Some(made) => Some(Found::Done(format!(
            "{name} has made the token {} since. Its answer was lost: unless somebody else asked for it, nobody holds it; \
             revoke it on screen 4, then make another",
            made.accessor
        ))),
        None if told.at().since(lost_at) >= OVER_AFTER => {
            let waited = duration(told.at().since(lost_at));
            Some(Found::NotDone(format!("{name} lists no new token, {waited} later")))
        }
        None => None,
    }
}

/// A link that moves since, or the standby's word that its token was used since.
fn link(outcome: &Outcome, standby: &str, primary: &RegionView<'_>, all: &[RegionView<'_>]) -> Option<Found> {
    let done = || Found::Done(format!("{}, as it says by now", outcome.asked.done(&outcome.region)));
    let told = primary.status.filter(|status| status.at() > outcome.asked_at)?;
    let to_it = |link: &&LinkStatus| link.outgoing && link.name == standby;
    let mut links = told.last().links.iter().filter(to_it).peekable();
    let there = links.peek().is_some();
    // A link that was there before shows nothing, unless it began anew since.
    let moves =
        |link: &LinkStatus| matches!(link.state, LinkState::Streaming | LinkState::FullSync | LinkState::DiffSync);
    if links.any(|link| moves(link) && link.since > outcome.asked_at) {
        return Some(done());
    }
    let tokens = all.iter().find(|region| region.name == standby).and_then(|standby| standby.tokens());
    let skew_ms = all.iter().find(|region| region.name == standby).and_then(|standby| standby.clock_skew_ms());
    let asked_at = UnixMs(outcome.asked_at.0.saturating_add_signed(skew_ms.unwrap_or_default()));
    let by_it = |token: &TokenInfo| token.used_by.as_ref().is_some_and(|by| by.name == outcome.region);
    let used = |token: &TokenInfo| by_it(token) && token.used_at.is_some_and(|at| at >= asked_at);
    if tokens.is_some_and(|tokens| tokens.last().iter().any(used)) {
        return Some(done());
    }
    let waited = told.at().since(outcome.ended_at?);
    (!there && waited >= OVER_AFTER)
        .then(|| Found::NotDone(format!("{} shows no link to {standby}, {} later", outcome.region, duration(waited))))
}

/// Whether what a region said since shows that it was done.
fn shows(outcome: &Outcome, region: &RegionView<'_>) -> bool {
    let Some(status) = region.status.filter(|status| status.at() > outcome.asked_at).map(|status| status.last()) else {
        return false;
    };
    let sends: Vec<_> = status.links.iter().filter(|link| link.outgoing).collect();
    let all = |is: fn(LinkState) -> bool| !sends.is_empty() && sends.iter().all(|link| is(link.state));
    match &outcome.asked {
        Asked::Pause => all(|state| state == LinkState::Paused),
        Asked::Resume => all(|state| state != LinkState::Paused),
        Asked::Fence => status.role != Role::Primary,
        Asked::Rejoin { primary: None } => {
            status.role == Role::Standby || status.ledger.as_ref().is_some_and(|ledger| ledger.may_rejoin)
        }
        Asked::Rejoin { primary: Some(primary) } => {
            status.role == Role::Standby && status.primary.as_ref().is_some_and(|it| it.name == *primary)
        }
        // The promotion and the verification ask for themselves; decisions show in the ledger, the others above.
        Asked::HandOver { .. }
        | Asked::Link { .. }
        | Asked::Revoke { .. }
        | Asked::Token
        | Asked::Replay { .. }
        | Asked::Discard { .. }
        | Asked::Verify
        | Asked::Promotion(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ledger::ConflictInfo;
    use crate::console::domain::fixtures;

    #[test]
    fn what_met_another_change_is_over_for_a_replay_and_not_for_who_overwrites_it() {
        let mut page = fixtures::ledger();
        for entry in &mut page.entries {
            let met = ConflictInfo { path: "secret/a".into(), position: None, at: None };
            entry.review = ReviewInfo::Unreviewed { conflicts: vec![met] };
        }
        let open = |stops_at_conflicts| Decided::of(&page, &[], stops_at_conflicts).map(|decided| decided.open);
        assert_eq!((open(true), open(false)), (Some(0), Some(3)));
    }
}
