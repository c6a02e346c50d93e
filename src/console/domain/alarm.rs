//! What an operator must know first, in words, worst first.

use super::node::Contact;
use super::pair::{LinkLook, PairView, are_rivals, pair};
use super::region::RegionView;
use super::units::{self, duration, lag_ms, plural, position, skew};
use super::world::World;
use super::{FRESH_FOR, failover, foreign};
use crate::api::replication::{EventLevel, HandoverStage, LinkState, LinkStatus, Role};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use std::time::Duration;

/// A standby that is so far behind is worth a line.
pub const LAG_WARN_MS: u64 = 30_000;
/// Clocks that are so far apart make times of two regions incomparable.
pub const SKEW_WARN_MS: i64 = 1_000;
/// A link that connects for longer is down.
pub const LINK_DOWN_WARN: Duration = Duration::from_secs(3);
/// A standby that leaves the log so soon is worth a line.
pub const FORECAST_WARN_MS: u64 = 60 * 60 * 1_000;
/// An unused activation token that expires so soon is worth a line.
pub const TOKEN_EXPIRY_WARN: Duration = Duration::from_secs(5 * 60);

/// A primary that gave up for longer has an heir that does not open.
pub const HANDOVER_WARN: Duration = Duration::from_secs(10);

/// The way out of a pause, with a console at hand or without.
const RESUME: &str = "s, or `twinkeep replication resume`, carries on";

/// Of two alarms of one level the worse one: from what can wait to what can't.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Gravity {
    #[default]
    Other,
    /// A region that may be a standby does not answer.
    Silent,
    /// An old primary is not proven to have given way.
    Unproven,
    /// A primary answers and takes no writes.
    Unserving,
    PrimarySilent,
    /// All were heard, and none is primary.
    NoPrimary,
    SplitBrain,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    pub level: EventLevel,
    pub gravity: Gravity,
    /// By this console's clock, as far as it is known.
    pub since: Option<UnixMs>,
    pub text: String,
    /// The same in a few words, where several share a line.
    pub brief: String,
}

/// All that is wrong or soon will be. Empty means that nothing wrong was *observed*.
pub fn alarms(world: &World, now: UnixMs) -> Vec<Alarm> {
    let regions = world.regions();
    let mut found = Found::default();
    for region in &regions {
        let replaced = regions.iter().any(|other| is_past(region, other));
        of_region(region, replaced, now, &mut found);
    }
    for (at, left) in regions.iter().enumerate() {
        for right in &regions[at + 1..] {
            of_pair(&pair(left.clone(), right.clone(), now), &mut found);
        }
    }
    for region in &regions {
        of_unseen_links(region, &regions, &mut found);
    }
    // Of what replicates at all: a cluster without replication is nobody's primary.
    let heard = regions.iter().filter(|region| region.status.is_some()).count();
    let claims = regions.iter().filter(|region| region.role() == Some(Role::Primary)).count();
    if heard > 0 && heard == regions.len() && claims == 0 {
        found.alarm("no primary", "no region in view is primary: nothing takes writes".into()).gravity =
            Gravity::NoPrimary;
    }
    found.0.sort_by_key(|alarm| std::cmp::Reverse((alarm.level, alarm.gravity)));
    found.0.dedup();
    found.0
}

#[derive(Default)]
pub(super) struct Found(Vec<Alarm>);

impl Found {
    /// What is returned may be told how grave it is, and since when.
    pub(super) fn alarm(&mut self, brief: impl Into<String>, text: String) -> &mut Alarm {
        self.push(EventLevel::Alarm, brief.into(), text)
    }

    pub(super) fn warn(&mut self, brief: impl Into<String>, text: String) -> &mut Alarm {
        self.push(EventLevel::Warn, brief.into(), text)
    }

    fn push(&mut self, level: EventLevel, brief: String, text: String) -> &mut Alarm {
        let (gravity, since) = (Gravity::Other, None);
        self.0.push(Alarm { level, gravity, since, text, brief });
        self.0.last_mut().expect("it was pushed")
    }
}

/// Whether `other` is primary of the same data in a later epoch.
fn is_past(region: &RegionView<'_>, other: &RegionView<'_>) -> bool {
    let Some((own, its)) = region.status.zip(other.status).map(|(own, its)| (own.last(), its.last())) else {
        return false;
    };
    its.role == Role::Primary && its.dataset == own.dataset && its.epoch > own.epoch
}

fn of_region(region: &RegionView<'_>, replaced: bool, now: UnixMs, found: &mut Found) {
    let name = &region.name;
    if let Some(silence) = region.silence() {
        match region.heard_age(now) {
            _ if silence.speaks => {
                found.warn(format!("{name} errs"), format!("{name}: {}", silence.error)).since = Some(silence.since);
            }
            Some(age) => {
                let was = if replaced { "was " } else { "" };
                let role = region.role().map_or_else(String::new, |role| format!(" ({was}{role})"));
                let text = format!("{name}{role} does not answer: last heard {} ago", duration(age));
                let alarm = found.alarm(format!("{name} silent {}", duration(age)), text);
                let was_primary = region.role() == Some(Role::Primary) && !replaced;
                alarm.gravity = if was_primary { Gravity::PrimarySilent } else { Gravity::Silent };
                alarm.since = Some(UnixMs(now.0.saturating_sub(age.as_millis() as u64)));
            }
            None => {
                let text = format!("{name} never answered: tried for {}", duration(now.since(silence.since)));
                let alarm = found.alarm(format!("{name} never answered"), text);
                (alarm.gravity, alarm.since) = (Gravity::Silent, Some(silence.since));
            }
        }
        return;
    }
    for node in &region.nodes {
        let called = region.peer_name(node);
        match &node.contact {
            Contact::Gone { since, .. } => {
                let silent = duration(now.since(*since));
                let text = format!("node {called} of {name} does not answer, for {silent}");
                found.warn(format!("{called} silent {silent}"), text).since = Some(*since);
            }
            Contact::Erring { since, error, .. } => {
                let text = format!("node {called} of {name} answers with an error: {error}");
                found.warn(format!("{called} errs"), text).since = Some(*since);
            }
            Contact::Connecting | Contact::Up { .. } => {}
        }
    }
    if let (None, Some(foreign)) = (region.status, region.foreign) {
        return foreign::alarms(region, foreign, found);
    }
    let Some(status) = region.status.map(|status| status.last()) else { return };
    if status.sealed {
        let text = format!("{name} is sealed: unseal it with `twinkeep operator unseal`");
        found.alarm(format!("{name} sealed"), text).gravity = Gravity::Unserving;
    } else if let Some(closed) = status.closed.as_ref().filter(|_| status.handover.is_none()) {
        found.alarm(format!("{name} closed"), format!("{name}: {closed}")).gravity = Gravity::Unserving;
    } else if status.role == Role::Primary && !status.writable && status.handover.is_none() {
        let text = format!("{name} is primary and takes no writes");
        found.alarm(format!("{name} takes no writes"), text).gravity = Gravity::Unserving;
    }
    let others = status.nodes.iter().filter(|node| node.sealed == Some(true) && !status.sealed);
    for node in others {
        let text = format!("node {} of {name} is sealed: it can't take over the lead, unseal it", node.name);
        found.warn(format!("{} sealed", node.name), text);
    }
    if let Some(handover) = &status.handover {
        let lasts = status.observed_at.since(handover.since);
        let since = Some(UnixMs(now.0.saturating_sub(lasts.as_millis() as u64)));
        let words = format!("{}, for {}", handover.words(name), duration(lasts));
        let gave_up = handover.stage == HandoverStage::GaveUp && lasts >= HANDOVER_WARN;
        if gave_up {
            let alarm = found.alarm(format!("{name} gave up {}", duration(lasts)), words);
            (alarm.gravity, alarm.since) = (Gravity::Unserving, since);
        } else {
            found.warn("switchover under way", words).since = since;
        }
    }
    if region.leader().is_none() {
        found.warn(format!("{name} leaderless"), format!("{name} has no leader"));
    }
    // One that follows keeps what fenced it, as a proof for others.
    if let Some(fence) = status.fence.as_ref().filter(|_| status.role == Role::Fenced) {
        let reached = position(fence.reached);
        let text = match &fence.demoted {
            Some(why) => format!("{name} was told by an operator to give way ({why}): it reached {reached}"),
            None => format!("{name} is fenced by epoch {}: it reached {reached}", fence.by_epoch),
        };
        found.warn(format!("{name} fenced"), text);
    }
    if let Some(at) = status.tokens.next_expiry_at {
        let left = at.since(status.observed_at);
        if status.tokens.issued > 0 && !left.is_zero() && left < TOKEN_EXPIRY_WARN {
            let text = format!("an unused token of {name} expires in {}", duration(left));
            found.warn(format!("token expires in {}", duration(left)), text);
        }
    }
}

/// Of its links to regions that are not in view: all that is known of those is what it says itself.
fn of_unseen_links(region: &RegionView<'_>, all: &[RegionView<'_>], found: &mut Found) {
    let Some(status) = region.status.filter(|_| !region.is_dark()).map(|status| status.last()) else { return };
    let in_view = |link: &LinkStatus| all.iter().any(|other| other.id == Some(link.region) || other.name == link.name);
    // One that follows somebody keeps what it once sent to; one that is fenced waits for its operator.
    let counts = |link: &&LinkStatus| match status.role {
        Role::Primary => link.outgoing,
        Role::Standby => !link.outgoing,
        Role::Fenced => false,
    };
    for link in status.links.iter().filter(counts).filter(|link| !in_view(link)) {
        let (name, way) = (&link.name, if link.outgoing { "to" } else { "from" });
        let lasting = status.observed_at.since(link.since);
        match link.state {
            LinkState::Connecting if lasting >= LINK_DOWN_WARN => {
                let lasting = duration(lasting);
                let text = format!("the link {way} {name} is down, for {lasting} ({name} is not attached)");
                found.warn(format!("link {way} {name} down {lasting}"), text);
            }
            LinkState::Paused => {
                let text = format!("the link {way} {name} is paused ({name} is not attached); {RESUME}");
                found.warn(format!("link {way} {name} paused"), text);
            }
            LinkState::Refused => {
                let why = link.error.as_deref().unwrap_or("no reason given");
                found.alarm(format!("link {way} {name} refused"), format!("{name} refused the link: {why}"));
            }
            LinkState::Connecting
            | LinkState::Activating
            | LinkState::FullSync
            | LinkState::DiffSync
            | LinkState::Streaming => {}
        }
    }
}

fn of_pair(pair: &PairView<'_>, found: &mut Found) {
    if pair.is_split_brain() {
        let claim = |region: &RegionView<'_>| {
            region.status.map_or_else(String::new, |status| format!("{} (epoch {})", region.name, status.last().epoch))
        };
        let epoch = |region: &RegionView<'_>| region.status.map(|status| status.last().epoch);
        let which = if epoch(&pair.left) == epoch(&pair.right) { "the selected one" } else { "the older" };
        let text =
            format!("SPLIT BRAIN: {} and {} are primary; F fences {which}", claim(&pair.left), claim(&pair.right));
        found.alarm("SPLIT BRAIN", text).gravity = Gravity::SplitBrain;
        return;
    }
    let (Some(primary), Some(standby)) = (pair.primary(), pair.standby()) else { return };
    if are_rivals(primary, standby) {
        let (old, new) = (&standby.name, &primary.name);
        let text =
            format!("{old} said last that it is primary: until it is heard, nothing proves that it gave way to {new}");
        found.alarm(format!("{old} not proven fenced"), text).gravity = Gravity::Unproven;
        return;
    }
    if let Some(old) = failover::unheard_rival(primary, pair).filter(|old| old.silence().is_some()) {
        let (old, new) = (&old.name, &primary.name);
        let text = format!(
            "{new} was promoted, and {old} was never heard from here: until it is, nothing proves that it gave way; keep \
             clients away from it"
        );
        found.alarm(format!("{old} not proven fenced"), text).gravity = Gravity::Unproven;
        return;
    }
    match (pair.link.look, &pair.link.said) {
        // It waits for its operator, and says itself that it is fenced.
        (LinkLook::Refused, _) if standby.role() == Some(Role::Fenced) => {
            let ledger = standby.status.and_then(|status| status.last().ledger.as_ref());
            let open = ledger.map_or(0, |ledger| ledger.unreviewed + ledger.older_unreviewed);
            let next = match open {
                0 => "all is decided, J brings it back".to_owned(),
                open => format!("{} undecided in its ledger", plural(open, "write", "writes")),
            };
            let text = format!("{} waits to rejoin {}: {next}", standby.name, primary.name);
            found.warn(format!("{} waits to rejoin", standby.name), text);
        }
        (LinkLook::Paused, _) if standby.role() == Some(Role::Fenced) => {
            let (fenced, primary) = (&standby.name, &primary.name);
            let text = format!("{fenced} is fenced and waits: the link of {primary} to it is paused; {RESUME}");
            found.warn(format!("{fenced} waits: link paused"), text);
        }
        (LinkLook::Refused, Some(link)) => {
            let why = link.value.error.as_deref().unwrap_or("no reason given");
            found.alarm("link refused", format!("{} refused the link: {why}", standby.name));
        }
        (LinkLook::Connecting, Some(link)) if !standby.is_dark() && !primary.is_dark() => {
            let since = link.value.since;
            // Both are the server's times; the console's clock does not come into it.
            let status = primary.status.map_or(since, |status| status.last().observed_at);
            let down = status.since(since);
            if down >= LINK_DOWN_WARN {
                let text = format!("the link to {} is down, for {}", standby.name, duration(down));
                found.warn(format!("link down {}", duration(down)), text);
            }
        }
        (LinkLook::Paused, _) => {
            let text = format!("the link to {0} is paused: {0} falls behind; {RESUME}", standby.name);
            found.warn("link paused", text);
        }
        _ => {}
    }
    if let Some(vault) = &pair.vault
        && pair.link.look == LinkLook::Connecting
    {
        let (kind, state) = (vault.kind, &vault.connection);
        let text = format!("the {kind} replication of {} to {} is down: `{state}`", primary.name, standby.name);
        found.alarm(format!("{kind} down"), text);
    }
    let said = pair.link.said.as_ref().filter(|said| said.age <= FRESH_FOR);
    let forecast = said.and_then(|link| link.value.forecast);
    if let Some(forecast) = forecast.filter(|forecast| forecast.ms < FORECAST_WARN_MS) {
        let brief = format!("{} {}", standby.name, units::leaves_log(forecast));
        found.warn(brief, format!("{} {}", standby.name, units::forecast(forecast)));
    }
    match pair.lag().filter(|lag| lag.age <= FRESH_FOR) {
        Some(lag) if lag.lag.ms >= LAG_WARN_MS => {
            let behind = plural(lag.lag.entries, "entry", "entries");
            let text = format!("{} is {} and {behind} behind", standby.name, lag_ms(lag.lag.ms));
            found.warn(format!("lag {}", lag_ms(lag.lag.ms)), text);
        }
        _ => {}
    }
    if let Some(apart) = pair.clock_skew_ms.filter(|ms| ms.abs() >= SKEW_WARN_MS) {
        let text = format!("the clock of {} is {} off that of {}", standby.name, skew(apart), primary.name);
        found.warn(format!("clocks {}", skew(apart)), text);
    }
    if let Some(words) = &pair.disagreement {
        found.warn("the sides disagree", words.clone());
    }
}
