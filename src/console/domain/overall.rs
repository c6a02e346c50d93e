//! Is it well? One word and one sentence for all that is in view, made of what was observed lately and of nothing else.

use super::alarm::Alarm;
use super::pair::{LinkLook, PairView};
use super::units::{entries, lag_ms};
use super::world::World;
use super::{FRESH_FOR, Health, RegionView};
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;

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
    /// How many things are wrong.
    pub wrong: usize,
}

pub fn overall(world: &World, pair: Option<&PairView<'_>>, now: UnixMs) -> Overall {
    let alarms = world.alarms(now);
    let wrong = alarms.len();
    let (calm, words) = flow(world, pair, now);
    let worst = alarms.first().map(|alarm| match alarm.level {
        EventLevel::Alarm => Standing::Alarm,
        EventLevel::Warn | EventLevel::Info => Standing::Attention,
    });
    let standing = worst.map_or(calm, |worst| worst.max(calm));
    let words = match alarms.into_iter().next() {
        Some(Alarm { text, .. }) if worst >= Some(calm) => text,
        _ => words,
    };
    Overall { standing, words, wrong }
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
    Some((standing, format!("each cluster by itself; {}", foreign.last().product.lacks())))
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
