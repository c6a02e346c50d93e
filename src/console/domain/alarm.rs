//! What an operator must know first, in words, worst first.

use super::FRESH_FOR;
use super::foreign;
use super::node::Contact;
use super::pair::{LinkLook, PairView, are_rivals, pair};
use super::region::RegionView;
use super::units::{self, duration, lag_ms, plural, skew};
use super::world::World;
use crate::api::replication::EventLevel;
use crate::api::replication::Role;
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

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    pub level: EventLevel,
    pub text: String,
    /// The same in a few words, where several share a line.
    pub brief: String,
}

/// All that is wrong or soon will be. Empty means that nothing wrong was *observed*.
pub fn alarms(world: &World, now: UnixMs) -> Vec<Alarm> {
    let regions = world.regions();
    let mut found = Found::default();
    for region in &regions {
        of_region(region, now, &mut found);
    }
    for (at, left) in regions.iter().enumerate() {
        for right in &regions[at + 1..] {
            of_pair(&pair(left.clone(), right.clone(), now), &mut found);
        }
    }
    // Of what replicates at all: a cluster without replication is nobody's primary.
    let heard = regions.iter().filter(|region| region.status.is_some()).count();
    let claims = regions.iter().filter(|region| region.role() == Some(Role::Primary)).count();
    if heard > 0 && heard == regions.len() && claims == 0 {
        found.alarm("no primary", "no region in view is primary: nothing takes writes".into());
    }
    found.0.sort_by_key(|alarm| std::cmp::Reverse(alarm.level));
    found.0.dedup();
    found.0
}

#[derive(Default)]
pub(super) struct Found(Vec<Alarm>);

impl Found {
    pub(super) fn alarm(&mut self, brief: impl Into<String>, text: String) {
        self.0.push(Alarm { level: EventLevel::Alarm, text, brief: brief.into() });
    }

    pub(super) fn warn(&mut self, brief: impl Into<String>, text: String) {
        self.0.push(Alarm { level: EventLevel::Warn, text, brief: brief.into() });
    }
}

fn of_region(region: &RegionView<'_>, now: UnixMs, found: &mut Found) {
    let name = &region.name;
    if let Some(silence) = region.silence() {
        match region.heard_age(now) {
            _ if silence.speaks => found.warn(format!("{name} errs"), format!("{name}: {}", silence.error)),
            Some(age) => {
                let role = region.role().map_or_else(String::new, |role| format!(" ({role})"));
                let text = format!("{name}{role} does not answer: last heard {} ago", duration(age));
                found.alarm(format!("{name} silent {}", duration(age)), text);
            }
            None => {
                let text = format!("{name} never answered: tried for {}", duration(now.since(silence.since)));
                found.alarm(format!("{name} never answered"), text);
            }
        }
        return;
    }
    for node in &region.nodes {
        if let Contact::Gone { since, .. } = node.contact {
            let node = region.peer_name(node);
            let silent = duration(now.since(since));
            let text = format!("node {node} of {name} does not answer, for {silent}");
            found.warn(format!("{node} silent {silent}"), text);
        }
    }
    if let (None, Some(foreign)) = (region.status, region.foreign) {
        return foreign::alarms(region, foreign, found);
    }
    let Some(status) = region.status.map(|status| status.last()) else { return };
    if status.sealed {
        let text = format!("{name} is sealed: unseal it with `twinkeep operator unseal`");
        found.alarm(format!("{name} sealed"), text);
    } else if let Some(closed) = &status.closed {
        found.alarm(format!("{name} closed"), format!("{name}: {closed}"));
    } else if status.role == Role::Primary && !status.writable {
        found.alarm(format!("{name} takes no writes"), format!("{name} is primary and takes no writes"));
    }
    if let Some(handover) = &status.handover {
        found.warn("switchover under way", handover.words(name));
    }
    if region.leader().is_none() {
        found.warn(format!("{name} leaderless"), format!("{name} has no leader"));
    }
    // One that follows keeps what fenced it, as a proof for others.
    if let Some(fence) = status.fence.as_ref().filter(|_| status.role == Role::Fenced) {
        let text = format!("{name} is fenced by epoch {}: it reached {}", fence.by_epoch, fence.reached);
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

fn of_pair(pair: &PairView<'_>, found: &mut Found) {
    if pair.is_split_brain() {
        let claim = |region: &RegionView<'_>| {
            region.status.map_or_else(String::new, |status| format!("{} (epoch {})", region.name, status.last().epoch))
        };
        let text = format!("SPLIT BRAIN: {} and {} both claim primary", claim(&pair.left), claim(&pair.right));
        found.alarm("SPLIT BRAIN", text);
        return;
    }
    let (Some(primary), Some(standby)) = (pair.primary(), pair.standby()) else { return };
    if are_rivals(primary, standby) {
        let (old, new) = (&standby.name, &primary.name);
        found.warn(
            format!("{old} not proven fenced"),
            format!("{old} said last that it is primary: until it is heard, nothing proves that it gave way to {new}"),
        );
        return;
    }
    match (pair.link.look, &pair.link.said) {
        // It waits for its operator, and says itself that it is fenced.
        (LinkLook::Refused, _) if standby.role() == Some(Role::Fenced) => {
            let ledger = standby.status.and_then(|status| status.last().ledger.as_ref());
            let open = ledger.map_or(0, |ledger| ledger.unreviewed + ledger.older_unreviewed);
            let open = plural(open, "write", "writes");
            let text = format!("{} waits to rejoin {}: {open} undecided in its ledger", standby.name, primary.name);
            found.warn(format!("{} waits to rejoin", standby.name), text);
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
                let text = format!("the link is down, for {}", duration(down));
                found.warn(format!("link down {}", duration(down)), text);
            }
        }
        (LinkLook::Paused, _) => found.warn("link paused", "the link is paused: the standby falls behind".into()),
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
