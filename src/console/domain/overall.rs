//! Is it well? One word and one sentence for all that is in view, made of what was observed lately and of nothing else.

use super::alarm::{Alarm, Gravity};
use super::foreign;
use super::pair::{LinkLook, PairView};
use super::units::{entries, lag_ms};
use super::world::World;
use super::{FRESH_FOR, Health, RegionView};
use crate::api::replication::{EventLevel, Role};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;

/// From well to worst. Not to know is worse than to know of something small.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    Well,
    /// The regions have nothing to do with each other yet: nothing is replicated.
    Unlinked,
    /// A standby is being filled: it could not take over now.
    Syncing,
    Attention,
    Unknown,
    Alarm,
}

impl Standing {
    pub fn word(self) -> &'static str {
        match self {
            Standing::Well => "ALL WELL",
            Standing::Unlinked => "NOT LINKED",
            Standing::Syncing => "SYNCING",
            Standing::Attention => "ATTENTION",
            Standing::Unknown => "UNKNOWN",
            Standing::Alarm => "ALARM",
        }
    }

    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Well => "well",
            Standing::Unlinked => "not-linked",
            Standing::Syncing => "syncing",
            Standing::Attention => "attention",
            Standing::Unknown => "unknown",
            Standing::Alarm => "alarm",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overall {
    pub standing: Standing,
    /// The worst that is known; if nothing is wrong, how it goes.
    pub words: String,
    /// Of the worst, so that contexts of one standing have an order.
    pub gravity: Gravity,
    /// Since when the worst is so, as far as that is known.
    pub since: Option<UnixMs>,
    /// How many things are wrong.
    pub wrong: usize,
}

pub fn overall(world: &World, pair: Option<&PairView<'_>>, now: UnixMs) -> Overall {
    let alarms = world.alarms(now);
    let wrong = alarms.len();
    let (calm, words) = worst_flow(world, pair, now);
    let worst = alarms.first().map(|alarm| match alarm.level {
        EventLevel::Alarm => Standing::Alarm,
        EventLevel::Warn | EventLevel::Info => Standing::Attention,
    });
    let standing = worst.map_or(calm, |worst| worst.max(calm));
    match alarms.into_iter().next() {
        Some(Alarm { text, gravity, since, .. }) if worst >= Some(calm) => {
            Overall { standing, words: text, gravity, since, wrong }
        }
        // Why nothing was heard says more than that.
        Some(Alarm { text, since, .. }) if world.regions().iter().all(|region| region.heard_age(now).is_none()) => {
            Overall { standing, words: text, gravity: Gravity::Other, since, wrong }
        }
        _ => Overall { standing, words, gravity: Gravity::Other, since: None, wrong },
    }
}

/// Of the selected pair, unless it goes worse with another standby: which is selected changes nothing about how it is.
fn worst_flow(world: &World, pair: Option<&PairView<'_>>, now: UnixMs) -> (Standing, String) {
    let selected = flow(world, pair, now);
    let count = world.regions().len();
    let all = if count > 2 { 0..count } else { 0..0 };
    let others = all.filter_map(|index| world.pair(index, now)).filter(|pair| pair.primary().is_some());
    others
        .map(|pair| flow(world, Some(&pair), now))
        .fold(selected, |worst, other| if other.0 > worst.0 { other } else { worst })
}

/// The same of clusters that are no Twinkeeps.
fn flow_of_others(regions: &[RegionView<'_>], pair: &PairView<'_>, now: UnixMs) -> Option<(Standing, String)> {
    if let (Some(vault), Some(primary), Some(standby)) = (&pair.vault, pair.primary(), pair.standby()) {
        let (primary, standby) = (&primary.name, &standby.name);
        return Some(match (pair.link.look, vault.behind()) {
            (LinkLook::Streaming, Some(0)) => (Standing::Well, format!("{standby} has all that {primary} told last")),
            (LinkLook::Streaming, Some(behind)) => {
                (Standing::Well, format!("{standby} is {} behind {primary}", entries(behind)))
            }
            (LinkLook::FullSync | LinkLook::DiffSync, _) => {
                (Standing::Syncing, format!("{standby} is in {}, {}", vault.state, pair.link.look.word()))
            }
            (LinkLook::Connecting | LinkLook::Refused, _) => {
                (Standing::Attention, format!("{} replication to {standby} does not flow", vault.kind))
            }
            _ => (Standing::Unknown, format!("how far {standby} is behind {primary} is unknown")),
        });
    }
    let foreign = regions.iter().find_map(|region| region.foreign)?;
    let worst = regions.iter().map(|region| region.health(now)).max()?;
    let standing = match worst {
        Health::Well => Standing::Well,
        Health::Degraded => Standing::Attention,
        Health::Unknown => Standing::Unknown,
        Health::Dark | Health::Down => Standing::Alarm,
    };
    let untold = regions.iter().find_map(foreign::untold_nodes).filter(|_| standing == Standing::Unknown);
    Some((standing, untold.unwrap_or_else(|| format!("each cluster by itself; {}", foreign.last().product.lacks()))))
}

/// How replication goes, alarms aside.
fn flow(world: &World, pair: Option<&PairView<'_>>, now: UnixMs) -> (Standing, String) {
    let regions = world.regions();
    let unheard = regions.iter().filter(|region| region.heard_age(now).is_none()).count();
    if unheard > 0 || regions.is_empty() {
        let all = unheard == regions.len();
        let words = if all { "nothing heard yet" } else { "not all regions were heard yet" };
        return (Standing::Unknown, words.into());
    }
    let Some(pair) = pair else {
        let health = regions[0].health(now);
        let standing = match health {
            Health::Well => Standing::Well,
            Health::Degraded => Standing::Attention,
            Health::Unknown => Standing::Unknown,
            Health::Dark | Health::Down => Standing::Alarm,
        };
        if let Some(untold) = foreign::untold_nodes(&regions[0]).filter(|_| health == Health::Unknown) {
            return (standing, untold);
        }
        let lacks = regions[0].foreign.map_or("alone in view", |foreign| foreign.last().product.lacks());
        return (standing, format!("{} is {}; {lacks}", regions[0].name, health.word()));
    };
    if let Some(found) = flow_of_others(&regions, pair, now) {
        return found;
    }
    match (pair.link.look, pair.primary(), pair.standby()) {
        (LinkLook::Unlinked, ..) | (_, None, _) | (_, _, None) => {
            (Standing::Unlinked, "nothing is replicated yet".into())
        }
        // It is no standby before its operator says so: there is no lag to know.
        (LinkLook::Refused, Some(primary), Some(standby)) if standby.role() == Some(Role::Fenced) => {
            (Standing::Attention, format!("{} is fenced and waits to rejoin {}", standby.name, primary.name))
        }
        (LinkLook::Paused, Some(primary), Some(standby)) if standby.role() == Some(Role::Fenced) => {
            let words = format!("{} is fenced and waits: the link of {} to it is paused", standby.name, primary.name);
            (Standing::Attention, words)
        }
        (LinkLook::Connecting, Some(primary), Some(standby)) if standby.role() == Some(Role::Fenced) => {
            (Standing::Attention, format!("{} is fenced, and {} does not reach it yet", standby.name, primary.name))
        }
        (LinkLook::FullSync | LinkLook::Activating, Some(primary), Some(standby)) => (
            Standing::Syncing,
            format!("{} copies to {}, which serves nothing until it is whole", primary.name, standby.name),
        ),
        (LinkLook::DiffSync, Some(primary), Some(standby)) => (
            Standing::Syncing,
            format!("{} takes over from {} what differs, and serves nothing meanwhile", standby.name, primary.name),
        ),
        (_, Some(primary), Some(standby)) => match pair.lag().filter(|lag| lag.age <= FRESH_FOR) {
            Some(lag) if lag.lag.entries == 0 => {
                (Standing::Well, format!("{} has all that {} has", standby.name, primary.name))
            }
            Some(lag) => {
                let behind = format!("{}, {}", entries(lag.lag.entries), lag_ms(lag.lag.ms));
                (Standing::Well, format!("{} is {behind} behind {}", standby.name, primary.name))
            }
            None => (Standing::Unknown, format!("how far {} is behind {} is unknown", standby.name, primary.name)),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::api::replication::LinkState;
    use crate::console::domain::fixtures::{self, EU, NOW, US};
    use std::time::Duration;

    #[test]
    fn a_region_alone_in_view_is_not_well_while_its_own_link_is_broken() {
        let alone = |state, since_ms: u64| {
            let mut us = fixtures::status(US, Role::Primary, Duration::ZERO);
            us.links[0].state = state;
            us.links[0].since = crate::clock::UnixMs(us.observed_at.0 - since_ms);
            let followers = fixtures::followers(&us, Duration::ZERO);
            let world = fixtures::world([fixtures::up(us, Duration::ZERO)].into_iter().chain(followers));
            overall(&world, None, NOW)
        };
        assert_eq!(alone(LinkState::Streaming, 8_000).standing, Standing::Well);
        assert_eq!(alone(LinkState::Connecting, 1_000).standing, Standing::Well, "it may be dialled just now");
        let down = alone(LinkState::Connecting, 8_000);
        assert_eq!(down.standing, Standing::Attention);
        assert_eq!(down.words, "the link to eu-west-1 is down, for 8.0s (eu-west-1 is not attached)");
        assert_eq!(alone(LinkState::Refused, 8_000).standing, Standing::Alarm);
    }

    #[test]
    fn a_cluster_whose_nodes_nobody_named_is_not_well() {
        let mut world = fixtures::openbao();
        assert_eq!(overall(&world, None, NOW).standing, Standing::Well);
        let untold = |mut node: crate::console::domain::NodeReport| {
            if let Some(foreign) = &mut node.foreign {
                foreign.amend(|said| (said.raft, said.untold) = (None, Some("no token".into())));
            }
            node
        };
        let one = world.nodes()[0].clone();
        world = fixtures::world([untold(one)]);
        let found = overall(&world, None, NOW);
        assert_eq!(found.standing, Standing::Unknown, "{found:?}");
        assert_eq!(found.words, "how many nodes bao-lab has is unknown: no token");
    }

    #[test]
    fn a_fenced_region_that_waits_for_its_operator_is_no_unknown_lag() {
        let mut world = fixtures::left_behind();
        let mut us = fixtures::status(US, Role::Fenced, Duration::ZERO);
        (us.lag, us.fence, us.links) = (None, None, Vec::new());
        let mut eu = fixtures::status(EU, Role::Primary, Duration::ZERO);
        eu.epoch = crate::ids::Epoch(4);
        let refused = fixtures::link(true, NOW);
        eu.links = vec![crate::api::replication::LinkStatus {
            region: US,
            name: fixtures::name(US).into(),
            addresses: vec![fixtures::address(US, 0)],
            state: LinkState::Refused,
            lag: None,
            ..refused
        }];
        world.take_all([fixtures::up(us, Duration::ZERO), fixtures::up(eu, Duration::ZERO)]);
        let pair = world.pair(1, NOW);
        let found = overall(&world, pair.as_ref(), NOW);
        assert_eq!(found.standing, Standing::Attention, "{found:?}");
        assert!(found.words.contains("waits to rejoin"), "{found:?}");
    }
}
