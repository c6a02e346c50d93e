//! Which region an action is about, and why it can't be done now.

use super::context::WriteRight;
use super::desk::TokenDesk;
use super::list::Rest;
use super::model::{Model, Screen};
use super::msg::{Change, Target};
use crate::api::replication::{HandoverStage, LinkState, Role};
use crate::api::replication::{TokenInfo, TokenState};
use crate::console::domain::AnyAge;
use crate::console::domain::{Access, LinkLook, PairView, RegionView};
use crate::ids::PromotionId;

/// Either what is to be done it to, or why not, in words.
pub type Found<T> = Result<T, String>;

pub fn target(model: &Model, region: &RegionView<'_>) -> Target {
    Target { context: model.here.id, region: region.name.clone(), addresses: region.addresses() }
}

/// What can be replicated by Twinkeep at all.
fn native(region: &RegionView<'_>) -> Found<()> {
    match region.foreign.filter(|_| region.status.is_none()) {
        Some(foreign) => Err(foreign.last().product.lacks().into()),
        None => Ok(()),
    }
}

/// Whether this console may change something in the region.
pub fn writable<'a>(model: &Model, region: RegionView<'a>) -> Found<RegionView<'a>> {
    if model.here.world.split_brain(model.now).is_some() && native(&region).is_ok() {
        return Err("split brain: only fencing one of the two is possible until that is settled".into());
    }
    reachable(model, region)
}

/// The same in spite of a split brain: to fence is what ends one.
fn reachable<'a>(model: &Model, region: RegionView<'a>) -> Found<RegionView<'a>> {
    native(&region)?;
    match model.here.write {
        WriteRight::ReadOnly => return Err("read-only: `:arm 15m` allows changes for a while".into()),
        WriteRight::Locked => return Err("read-only: the contexts file says so".into()),
        WriteRight::Past => return Err("this is the past: esc goes back to now".into()),
        WriteRight::Armed { .. } | WriteRight::Write => {}
    }
    let name = &region.name;
    if region.is_dark() {
        return Err(format!("{name} does not answer"));
    }
    match region.access() {
        Access::Accepted => Ok(region),
        Access::Untried => Err(format!("{name} has not yet said whether it takes the token")),
        Access::NoToken => Err("no token: set VAULT_TOKEN, or log in with `twinkeep login`".into()),
        // Regions that were never linked have tokens of their own.
        Access::Refused => Err(format!(
            "{name} refuses the token: `--token-file FILE`, or `token_file` of the contexts file, names one of its own"
        )),
    }
}

/// Whether a change that somebody decided on may still be made.
pub fn still_allowed(model: &Model, target: &Target, change: &Change) -> Found<()> {
    let region = model.here.world.regions().into_iter().find(|region| region.name == target.region);
    let region = region.ok_or_else(|| format!("{} is no longer in view", target.region))?;
    match change {
        // With one primary left there is nothing to choose between.
        Change::Fence(_) if fenceable(model).is_ok_and(|it| it.name == region.name) => reachable(model, region),
        Change::Fence(_) => Err(format!("{} is the only primary in view by now", region.name)),
        _ => writable(model, region),
    }
    .map(drop)
}

/// The region that makes a token: the standby of the pair; before there is one, the region that is selected.
pub fn token_region(model: &Model) -> Found<RegionView<'_>> {
    let selected = model.selected_region().ok_or("no region in view")?;
    if matches!(selected.role(), Some(Role::Standby | Role::Fenced)) {
        return Ok(selected);
    }
    match model.pair().as_ref().and_then(PairView::standby) {
        Some(standby) => Ok(standby.clone()),
        None => Ok(selected),
    }
}

/// The region that takes the token of `region` and then sends to it.
pub fn primary_for<'a>(model: &'a Model, region: &str) -> Found<RegionView<'a>> {
    let mut primaries: Vec<_> = model.here.world.regions();
    primaries.retain(|other| other.name != region && other.role() == Some(Role::Primary));
    match primaries.len() {
        0 => Err(format!("no primary in view to hand the token of {region} to")),
        1 => Ok(primaries.remove(0)),
        _ => {
            let selected = model.selected_region().map(|selected| selected.name);
            let chosen = primaries.into_iter().find(|primary| Some(&primary.name) == selected.as_ref());
            chosen.ok_or("several primaries in view: select the one that shall send".into())
        }
    }
}

/// The standby that `p` is about.
pub fn promotable(model: &Model) -> Found<RegionView<'_>> {
    let selected = model.selected_region().ok_or("no region in view")?;
    native(&selected)?;
    match selected.role() {
        Some(Role::Standby | Role::Fenced) => Ok(selected),
        _ => match model.pair().as_ref().and_then(PairView::standby) {
            // One that is fenced may be all that is left.
            Some(standby) if matches!(standby.role(), Some(Role::Standby | Role::Fenced)) => Ok(standby.clone()),
            _ if model.pair().is_some_and(|pair| pair.link.look == LinkLook::Unlinked) => {
                Err("no standby in view: l links the regions first".into())
            }
            _ => Err("no standby in view".into()),
        },
    }
}

/// The primary whose link `s` pauses, and whether it is paused now.
pub fn pausable(model: &Model) -> Found<(RegionView<'_>, bool)> {
    let pair = model.pair().ok_or("no link in view")?;
    native(&pair.left)?;
    let primary = pair.primary().ok_or("the regions are not linked")?.clone();
    match pair.link.look {
        LinkLook::Paused => Ok((primary, true)),
        LinkLook::Streaming | LinkLook::FullSync | LinkLook::DiffSync | LinkLook::Connecting => Ok((primary, false)),
        other => Err(format!("the link is {}", other.word())),
    }
}

/// What is paused is carried on with; to pause is no next step.
pub(super) fn resume_hint(model: &Model) -> Option<&'static str> {
    pausable(model).is_ok_and(|(_, paused)| paused).then_some("resume")
}

/// Of one that is not attached to there is nothing to see: the others are the way on.
pub(super) fn contexts_hint(model: &Model) -> Option<&'static str> {
    (model.here.mistake.is_some() && model.screen != Screen::Index).then_some("the other contexts")
}

/// The token under the cursor, with its region.
pub fn selected_token(model: &Model) -> Found<(RegionView<'_>, TokenInfo)> {
    let (region, token) = model.token_rows().into_iter().nth(model.token_row()).ok_or("no token is selected")?;
    Ok((region, token.clone()))
}

/// The region that a token can be made for. One that is fenced by a primary that it knows rejoins that one, and so does one
/// that a primary has a link to, even if it was not reached over it yet.
fn receives<'a>(model: &Model, region: RegionView<'a>) -> Found<RegionView<'a>> {
    let knows_primary = region.status.is_some_and(|status| status.last().primary.is_some());
    match region.role() {
        Some(Role::Fenced) if knows_primary || sender_to(model, &region).is_some() => {
            Err(format!("{} is fenced: it rejoins without a token, by J", region.name))
        }
        _ => Ok(region),
    }
}

/// The primary that has a link to a region.
fn sender_to(model: &Model, region: &RegionView<'_>) -> Option<String> {
    let sends = |other: &RegionView<'_>| {
        let links = other.status.filter(|_| other.role() == Some(Role::Primary)).map(|status| &status.last().links);
        links.is_some_and(|links| links.iter().any(|link| link.outgoing && Some(link.region) == region.id))
    };
    model.here.world.regions().into_iter().find(sends).map(|primary| primary.name)
}

pub(super) fn generate_disabled(model: &Model) -> Option<String> {
    if let TokenDesk::Asked { region } = &model.here.desk {
        return Some(format!("{region} is making one"));
    }
    token_region(model).and_then(|region| receives(model, region)).and_then(|region| writable(model, region)).err()
}

pub(super) fn hand_over_disabled(model: &Model) -> Option<String> {
    let held = match &model.here.desk {
        TokenDesk::Held(held) => held,
        TokenDesk::Handing { primary, .. } => return Some(format!("{primary} is being given the token")),
        _ => return Some("no token was made here yet: generate one on the standby first".into()),
    };
    primary_for(model, &held.region).and_then(|primary| writable(model, primary)).err()
}

pub(super) fn link_disabled(model: &Model) -> Option<String> {
    let standby =
        match token_region(model).and_then(|region| receives(model, region)).and_then(|region| writable(model, region))
        {
            Ok(region) => region,
            Err(why) => return Some(why),
        };
    if standby.role() == Some(Role::Standby) {
        return Some(format!("{} is linked already", standby.name));
    }
    primary_for(model, &standby.name).and_then(|primary| writable(model, primary)).err()
}

/// The region that a promotion found by its id is about: the standby, or the one that it made primary.
pub fn promoted_or_promotable(model: &Model) -> Found<RegionView<'_>> {
    promotable(model).or_else(|_| model.selected_region().ok_or_else(|| "no region in view".into()))
}

pub(super) fn find_disabled(model: &Model) -> Option<String> {
    promoted_or_promotable(model).err()
}

/// The region whose ledger is shown: one that was left behind, and still has something to decide on first.
pub fn ledger_region(model: &Model) -> Found<RegionView<'_>> {
    let has = |region: &RegionView<'_>| region.status.and_then(|status| status.last().ledger.as_ref()).is_some();
    let regions = model.here.world.regions();
    let fenced = regions.iter().find(|region| has(region) && region.role() == Some(Role::Fenced));
    let found = fenced.or_else(|| regions.iter().find(|region| has(region)));
    found.cloned().ok_or_else(|| "no region in view holds what another never got".into())
}

/// Of two that claim to be primary: the one of the lower epoch; of the same epoch the one that is selected.
pub fn fenceable(model: &Model) -> Found<RegionView<'_>> {
    let pair = model.here.world.split_brain(model.now);
    let pair = pair.ok_or("only where two regions claim to be primary: a promotion fences by itself")?;
    let epoch = |region: &RegionView<'_>| region.status.map(|status| status.last().epoch);
    let selected = model.selected_region().ok_or("no region in view")?;
    match epoch(&pair.left).cmp(&epoch(&pair.right)) {
        std::cmp::Ordering::Less => Ok(pair.left),
        std::cmp::Ordering::Greater => Ok(pair.right),
        std::cmp::Ordering::Equal if [&pair.left.name, &pair.right.name].contains(&&selected.name) => Ok(selected),
        std::cmp::Ordering::Equal => Err(format!("select which gives way: {} or {}", pair.left.name, pair.right.name)),
    }
}

pub(super) fn fence_disabled(model: &Model) -> Option<String> {
    match fenceable(model) {
        Ok(region) => reachable(model, region).err(),
        Err(why) => Some(why),
    }
}

/// The primary that can compare its standbys' disks.
pub fn verifiable(model: &Model) -> Found<RegionView<'_>> {
    let regions = model.here.world.regions();
    if let Some(region) = regions.first() {
        native(region)?;
    }
    let primary = regions.into_iter().filter(|region| region.role() == Some(Role::Primary));
    let primary = primary.max_by_key(|region| region.status.map(|status| status.last().epoch));
    let primary = primary.ok_or("no primary in view")?;
    if primary.status.is_none_or(|status| status.last().links.is_empty()) {
        return Err(format!("{} has no standby to compare with", primary.name));
    }
    let streams = |link: &crate::api::replication::LinkStatus| link.state == LinkState::Streaming;
    if !primary.status.is_some_and(|status| status.last().links.iter().any(streams)) {
        return Err("no standby is in step: verify when the link streams".into());
    }
    Ok(primary)
}

pub(super) fn verify_disabled(model: &Model) -> Option<String> {
    match verifiable(model) {
        Ok(primary) => writable(model, primary).err(),
        Err(why) => Some(why),
    }
}

/// The switchover that a region in view is in the middle of, and the region that asked for it, which knows its end.
pub fn handover_under_way(model: &Model) -> Option<(RegionView<'_>, PromotionId)> {
    let regions = model.here.world.regions();
    let heard = regions.iter().filter(|region| !region.is_dark());
    let told = heard.filter_map(|region| Some((region, region.status?.last().handover.as_ref()?)));
    let (teller, handover) = told.min_by_key(|(_, handover)| handover.stage != HandoverStage::Asks)?;
    let asker = match handover.stage {
        HandoverStage::Asks => Some(teller),
        HandoverStage::GaveUp => regions.iter().find(|region| region.name == handover.name),
    };
    Some((asker.unwrap_or(teller).clone(), handover.id))
}

pub(super) fn ledger_disabled(model: &Model) -> Option<String> {
    ledger_region(model).err()
}

/// To mark changes nothing.
pub(super) fn undecided_here(model: &Model) -> Option<String> {
    let open = model.ledger_rows().into_iter().any(|entry| super::ledger::is_open(&entry.review));
    (!open).then(|| "nothing in view is undecided".into())
}

pub(super) fn outcomes_disabled(model: &Model) -> Option<String> {
    model.outcomes.is_empty().then(|| "nothing was asked for from here yet".into())
}

pub(super) fn overwrite_disabled(model: &Model) -> Option<String> {
    if model.here.marked.is_empty() {
        return Some("mark what shall be overwritten: nothing is overwritten unnamed".into());
    }
    undecided_disabled(model)
}

pub(super) fn undecided_disabled(model: &Model) -> Option<String> {
    let region = match ledger_region(model) {
        Ok(region) => region,
        Err(why) => return Some(why),
    };
    let ledger = region.status.and_then(|status| status.last().ledger.as_ref());
    if ledger.is_none_or(|ledger| ledger.unreviewed + ledger.older_unreviewed == 0) {
        return Some("all of it was decided on".into());
    }
    // With a filter and no marks it is about what is shown.
    if model.here.marked.is_empty()
        && model.lists.get(&Screen::Ledger).is_some_and(super::list::List::is_filtered)
        && let Some(why) = undecided_here(model)
    {
        return Some(why);
    }
    writable(model, region).err()
}

/// The region that can follow another primary than it does, and the primaries that it can be: one that is fenced, or a
/// standby that follows one while another is in view. The selected one comes first, then those that are fenced.
pub fn rejoinable(model: &Model) -> Found<(RegionView<'_>, Vec<RegionView<'_>>)> {
    let regions = model.here.world.regions();
    let fenced_first = |region: &&RegionView<'_>| region.role() != Some(Role::Fenced);
    let mut others: Vec<&RegionView<'_>> = regions.iter().collect();
    others.sort_by_key(fenced_first);
    let selected = model.selected_region();
    let found = selected.iter().chain(others).find_map(|region| can_follow_another(&regions, region));
    found.ok_or_else(|| "no region in view is fenced, or follows one of two primaries".into())
}

fn can_follow_another<'a>(
    regions: &[RegionView<'a>],
    region: &RegionView<'a>,
) -> Option<(RegionView<'a>, Vec<RegionView<'a>>)> {
    let primaries = followable(regions, region);
    let follows_wrong = region.role() == Some(Role::Standby) && !primaries.is_empty();
    (region.role() == Some(Role::Fenced) || follows_wrong).then(|| (region.clone(), primaries))
}

/// The primaries of the same data that a region does not follow yet.
fn followable<'a>(regions: &[RegionView<'a>], of: &RegionView<'a>) -> Vec<RegionView<'a>> {
    let Some(own) = of.status.map(|status| status.last()) else { return Vec::new() };
    let follows = own.primary.as_ref().filter(|_| own.role == Role::Standby).map(|primary| &primary.name);
    let is_one = |other: &&RegionView<'a>| {
        let same_data = other.status.is_some_and(|status| status.last().dataset == own.dataset);
        // A standby does not leave its primary for one that is silent or was replaced.
        let in_its_place = other.status.is_some_and(|status| status.last().epoch >= own.epoch) && !other.is_dark();
        let is_choice = own.role != Role::Standby || in_its_place;
        let is_new = other.name != of.name && Some(&other.name) != follows;
        other.role() == Some(Role::Primary) && same_data && is_new && is_choice
    };
    regions.iter().filter(is_one).cloned().collect()
}

pub(super) fn rejoin_disabled(model: &Model) -> Option<String> {
    rejoinable(model).and_then(|(region, _)| writable(model, region)).err()
}

pub(super) fn past_disabled(model: &Model) -> Option<String> {
    model.past.is_none().then(|| "this is now: [ looks back".into())
}

pub(super) fn faults_disabled(model: &Model) -> Option<String> {
    model.rehearsal.is_none().then(|| "only `twinkeep demo` can be rehearsed with".into())
}

pub(super) fn arm_disabled(model: &Model) -> Option<String> {
    match model.here.write {
        WriteRight::Write => Some("changes are allowed all the time".into()),
        WriteRight::Locked => Some("the contexts file says that nothing is changed from here".into()),
        WriteRight::Past => Some("nobody changes the past".into()),
        WriteRight::ReadOnly | WriteRight::Armed { .. } => None,
    }
}

pub(super) fn disarm_disabled(model: &Model) -> Option<String> {
    match model.here.write {
        WriteRight::Write | WriteRight::Armed { .. } => None,
        WriteRight::ReadOnly | WriteRight::Locked | WriteRight::Past => Some("nothing can be changed anyway".into()),
    }
}

/// What the row under the cursor is known by elsewhere: an accessor, an address, a line of the log.
pub fn selected_text(model: &Model) -> Option<String> {
    let list = model.list();
    match model.screen {
        Screen::Tokens => selected_token(model).ok().map(|(_, token)| token.accessor),
        Screen::Index => {
            let rows = model.context_rows();
            rows.get(list.row(rows.len(), Rest::First))
                .map(|(context, overall)| format!("{}: {} {}", context.title(), overall.standing.word(), overall.words))
        }
        Screen::Events => {
            let rows = model.event_rows();
            let entry = rows.get(list.row(rows.len(), Rest::Last))?;
            Some(format!("{} {} {} {}", entry.at, entry.region, entry.subject, entry.text))
        }
        Screen::Ledger => {
            let rows = model.ledger_rows();
            rows.get(list.row(rows.len(), Rest::First)).map(|entry| entry.entry.clone())
        }
        Screen::Region => {
            let rows = model.node_rows();
            rows.get(list.row(rows.len(), Rest::First)).map(|row| row.address())
        }
        Screen::Help => super::help_rows(model)
            .get(list.row(super::help_rows(model).len(), Rest::First))
            .map(|info| format!(":{}", info.id)),
        Screen::Overview | Screen::Replication | Screen::Failover => None,
    }
}

pub(super) fn alarms_disabled(model: &Model) -> Option<String> {
    model.alarms_in_view().is_empty().then(|| "nothing wrong was observed".into())
}

pub(super) fn jump_disabled(model: &Model) -> Option<String> {
    (model.here.log.entries().len() == 0).then(|| "nothing happened yet".into())
}

pub(super) fn copy_disabled(model: &Model) -> Option<String> {
    selected_text(model).is_none().then(|| "no line is selected".into())
}

pub(super) fn reveal_disabled(model: &Model) -> Option<String> {
    match model.here.desk.held() {
        Some(_) => None,
        None => Some("no token was made here yet".into()),
    }
}

pub(super) fn revoke_disabled(model: &Model) -> Option<String> {
    let (region, token) = match selected_token(model) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    if token.state != TokenState::Issued {
        return Some("only a token that was not used yet can be revoked".into());
    }
    writable(model, region).err()
}

/// To look at the plan is always allowed; the dialog says what keeps one from deciding.
pub(super) fn promote_disabled(model: &Model) -> Option<String> {
    if model.here.promotion.is_some() {
        return None;
    }
    let region = match promotable(model) {
        Ok(region) => region,
        Err(why) => return Some(why),
    };
    region.is_dark().then(|| format!("{} does not answer", region.name))
}

pub(super) fn pause_disabled(model: &Model) -> Option<String> {
    match pausable(model) {
        Ok((primary, _)) => writable(model, primary).err(),
        Err(why) => Some(why),
    }
}

pub(super) fn region_disabled(model: &Model) -> Option<String> {
    (model.here.world.regions().len() < 2).then(|| "only one region in view".into())
}

pub(super) fn retry_disabled(model: &Model) -> Option<String> {
    model.here.world.all_answer().then(|| "all nodes answer".into())
}
