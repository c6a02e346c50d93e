//! Two regions and what is between them: who sends to whom, how far behind, and whether both sides say the same.

use super::node::normal_address;
use super::observed::{Observed, Reading};
use super::region::RegionView;
use super::vault::{self, VaultLink};
use super::world::World;
use crate::api::replication::Role;
use crate::api::replication::{Lag, LinkState, LinkStatus, PathStatus, SyncStatus};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::ids::{DatasetId, Epoch, RegionId};
use std::time::Duration;

/// Both sides answer up to a second apart, so their lags differ by what is written in that time, and a little more.
const DISAGREEMENT_SECONDS: f64 = 3.0;
const DISAGREEMENT_ENTRIES_MIN: u64 = 50;

/// What a link looks like from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkLook {
    /// Two regions that have nothing to do with each other yet.
    Unlinked,
    Connecting,
    Activating,
    FullSync,
    DiffSync,
    Streaming,
    Paused,
    Refused,
    /// Neither side that would know has been heard lately.
    Unknown,
    /// Both claim to be primary of the same data.
    SplitBrain,
}

impl LinkLook {
    /// Whether the standby is being made whole.
    pub fn is_syncing(self) -> bool {
        matches!(self, LinkLook::FullSync | LinkLook::DiffSync)
    }

    pub fn word(self) -> &'static str {
        match self {
            LinkLook::Unlinked => "not linked",
            LinkLook::Connecting => "connecting",
            LinkLook::Activating => "activating",
            LinkLook::FullSync => "full sync",
            LinkLook::DiffSync => "diff sync",
            LinkLook::Streaming => "streaming",
            LinkLook::Paused => "paused",
            LinkLook::Refused => "refused",
            LinkLook::Unknown => "unknown",
            LinkLook::SplitBrain => "SPLIT BRAIN",
        }
    }
}

#[derive(Clone, Debug)]
pub struct LinkView<'a> {
    pub look: LinkLook,
    /// The primary's account of it if it is heard, else the standby's, however old.
    pub said: Option<Reading<'a, LinkStatus>>,
    /// When that was put together, by the clock of who said it: times inside are compared with this.
    pub said_at: UnixMs,
}

/// A lag and how old the knowledge is, the server's own delay included.
#[derive(Clone, Debug)]
pub struct LagReading {
    pub lag: Lag,
    pub age: Duration,
    pub source: String,
}

#[derive(Clone, Debug)]
pub struct PairView<'a> {
    pub left: RegionView<'a>,
    pub right: RegionView<'a>,
    /// Whether the primary is the left one. `None`: nobody is, or both claim it for data of their own.
    pub primary_is_left: Option<bool>,
    pub link: LinkView<'a>,
    pub lag_by_standby: Option<LagReading>,
    pub lag_by_primary: Option<LagReading>,
    pub sync: Option<Reading<'a, SyncStatus>>,
    /// When that was put together, by the clock of who said it.
    pub sync_at: UnixMs,
    /// The standby's clock minus the primary's (or the right one's minus the left one's).
    pub clock_skew_ms: Option<i64>,
    /// The highest that either side said, with the age of that word.
    pub epoch: Option<Reading<'a, Epoch>>,
    /// How the two sides contradict each other, in words.
    pub disagreement: Option<String>,
    /// Between two clusters of Vault, in its own terms.
    pub vault: Option<VaultLink>,
}

impl<'a> PairView<'a> {
    pub fn primary(&self) -> Option<&RegionView<'a>> {
        self.primary_is_left.map(|left| if left { &self.left } else { &self.right })
    }

    pub fn standby(&self) -> Option<&RegionView<'a>> {
        self.primary_is_left.map(|left| if left { &self.right } else { &self.left })
    }

    /// What a fenced region of the two waits for before it follows, in a few words.
    pub fn fenced_waits_for(&self, name: &str) -> Option<String> {
        let (primary, fenced) = self.primary().zip(self.standby())?;
        if fenced.name != name || fenced.role() != Some(Role::Fenced) {
            return None;
        }
        let ledger = fenced.status.and_then(|status| status.last().ledger.as_ref());
        let open = ledger.map_or(0, |ledger| ledger.unreviewed + ledger.older_unreviewed);
        let may_rejoin = ledger.is_some_and(|ledger| ledger.may_rejoin);
        Some(match self.link.look {
            LinkLook::Paused => "link is paused".into(),
            _ if primary.is_dark() => format!("{} silent", primary.name),
            _ if open > 0 && !may_rejoin => format!("{open} undecided"),
            LinkLook::Connecting | LinkLook::Unknown => "not reached".into(),
            LinkLook::Unlinked => "no link to it".into(),
            _ if may_rejoin => format!("for {}", primary.name),
            _ => "for J".into(),
        })
    }

    pub fn is_split_brain(&self) -> bool {
        self.link.look == LinkLook::SplitBrain
    }

    /// The lag to show first: the newer account; of two new ones the worse, since a standby knows nothing of what was
    /// written since it last heard of the primary.
    pub fn lag(&self) -> Option<&LagReading> {
        let (standby, primary) = match (&self.lag_by_standby, &self.lag_by_primary) {
            (Some(standby), Some(primary)) => (standby, primary),
            (standby, primary) => return standby.as_ref().or(primary.as_ref()),
        };
        let old = |lag: &LagReading| lag.age > super::FRESH_FOR;
        Some(match (old(standby), old(primary)) {
            (false, false) if primary.lag.entries > standby.lag.entries => primary,
            (false, _) => standby,
            (true, false) => primary,
            (true, true) if primary.age < standby.age => primary,
            (true, true) => standby,
        })
    }
}

impl World {
    /// Two regions, of all in view, that claim to be primary of the same data.
    pub fn split_brain(&self, now: UnixMs) -> Option<PairView<'_>> {
        let regions = self.regions();
        let pairs =
            regions.iter().enumerate().flat_map(|(at, left)| regions[at + 1..].iter().map(move |it| (left, it)));
        let mut split = pairs.filter(|(left, right)| is_split(left, right));
        split.next().map(|(left, right)| pair(left.clone(), right.clone(), now))
    }

    /// The pair that the overview shows: of two regions those; of more, the primary and the one that is selected.
    pub fn pair(&self, selected: usize, now: UnixMs) -> Option<PairView<'_>> {
        let regions = self.regions();
        let (left, right) = match regions.len() {
            0 | 1 => return None,
            2 => (0, 1),
            many => {
                let selected = selected.min(many - 1);
                if let Some(partner) = partner(&regions, selected) {
                    return Some(pair(
                        regions[partner.min(selected)].clone(),
                        regions[partner.max(selected)].clone(),
                        now,
                    ));
                }
                let primary = (0..many).filter(|at| regions[*at].role() == Some(Role::Primary));
                let primary = primary.max_by_key(|at| regions[*at].status.map(|status| status.last().epoch));
                let other = match primary {
                    Some(primary) if primary != selected => primary,
                    Some(primary) => (0..many).find(|at| *at != primary).unwrap_or(0),
                    None => (0..many).find(|at| *at != selected).unwrap_or(0),
                };
                (other.min(selected), other.max(selected))
            }
        };
        Some(pair(regions[left].clone(), regions[right].clone(), now))
    }
}

/// With several pairs in view: the region that the selected one follows, or the first that it sends to.
fn partner(regions: &[RegionView<'_>], selected: usize) -> Option<usize> {
    let status = regions[selected].status?.last();
    let at = |id: RegionId| regions.iter().position(|region| region.id == Some(id)).filter(|at| *at != selected);
    let follows = status.primary.as_ref().and_then(|primary| at(primary.region));
    let sends_to = || status.links.iter().filter(|link| link.outgoing).find_map(|link| at(link.region));
    follows.or_else(sends_to)
}

/// Puts two regions side by side.
pub fn pair<'a>(left: RegionView<'a>, right: RegionView<'a>, now: UnixMs) -> PairView<'a> {
    let split = is_split(&left, &right);
    let vault = vault::link(&left, &right, now);
    let primary_is_left = vault.as_ref().map(|(left, ..)| *left).or_else(|| direction(&left, &right));
    let (primary, standby) = match primary_is_left {
        Some(false) => (&right, &left),
        _ => (&left, &right),
    };
    let outgoing = primary_is_left.and_then(|_| link_to(primary, standby, now));
    let incoming = primary_is_left.and_then(|_| link_from(standby, primary, now));
    let mut link = link_view(split, outgoing, incoming, primary, now);
    if let Some((_, look, _)) = &vault {
        link.look = *look;
    } else if let (Some(left), Some(right)) = (left.foreign, right.foreign)
        && ![left, right].into_iter().any(|side| side.read(now).is_old())
    {
        link.look = LinkLook::Unlinked;
    }
    let lag_by_standby = primary_is_left.and(standby.status).and_then(|status| {
        let said = status.last();
        said.lag.map(|lag| lag_reading(lag, status, now))
    });
    let lag_by_primary = outgoing.zip(primary.status).and_then(|(link, status)| {
        let lag = link.value.lag?;
        Some(lag_reading(lag, status, now))
    });
    let sync = standby.read(now).filter(|_| primary_is_left.is_some()).and_then(|reading| {
        let sync = reading.value.sync.as_ref()?;
        Some(Reading { value: sync, age: reading.age, source: reading.source })
    });
    let sync = sync.or_else(|| {
        let reading = outgoing?;
        Some(Reading { value: reading.value.sync.as_ref()?, age: reading.age, source: reading.source })
    });
    let said_by = |source: Option<&str>| {
        let of = [standby, primary].into_iter().filter_map(|region| region.status);
        of.filter(|status| Some(status.source()) == source).map(|status| status.last().observed_at).next()
    };
    let sync_at = said_by(sync.map(|sync| sync.source)).unwrap_or_default();
    let link = LinkView { said_at: said_by(link.said.map(|said| said.source)).unwrap_or_default(), ..link };
    let told_skew = outgoing.filter(|link| !link.is_old()).and_then(|link| link.value.clock_skew_ms);
    let seen_skew = standby.clock_skew_ms().zip(primary.clock_skew_ms()).map(|(standby, primary)| standby - primary);
    // While a standby is filled each side counts something else.
    let (own, told) = match link.look.is_syncing() {
        true => (&None, &None),
        false => (&lag_by_standby, &lag_by_primary),
    };
    let disagreement = disagreement(own, told, primary, standby, primary_is_left);
    PairView {
        link,
        primary_is_left,
        lag_by_standby,
        lag_by_primary,
        sync,
        sync_at,
        clock_skew_ms: told_skew.or(seen_skew),
        epoch: highest_epoch(&left, &right, now),
        disagreement,
        vault: vault.map(|(.., link)| link),
        left,
        right,
    }
}

fn highest_epoch<'a>(left: &RegionView<'a>, right: &RegionView<'a>, now: UnixMs) -> Option<Reading<'a, Epoch>> {
    let readings = [left, right].into_iter().filter_map(|region| region.read(now));
    let newest = readings.max_by_key(|reading| (reading.value.epoch, std::cmp::Reverse(reading.age)))?;
    Some(Reading { value: &newest.value.epoch, age: newest.age, source: newest.source })
}

/// Both claim it now. One that fell silent may claim it still, and nobody knows: that is no split brain that was seen.
fn is_split(left: &RegionView<'_>, right: &RegionView<'_>) -> bool {
    are_rivals(left, right) && !left.is_dark() && !right.is_dark()
}

/// Whether both said, whenever that was, that they are primary of the same data.
pub(super) fn are_rivals(left: &RegionView<'_>, right: &RegionView<'_>) -> bool {
    let claim = |region: &RegionView<'_>| {
        let status = region.status?.last();
        (status.role == Role::Primary && status.dataset != DatasetId::default()).then_some(status.dataset)
    };
    matches!((claim(left), claim(right)), (Some(a), Some(b)) if a == b)
}

/// Whether the left one sends to the right one.
fn direction(left: &RegionView<'_>, right: &RegionView<'_>) -> Option<bool> {
    let epoch = |region: &RegionView<'_>| region.status.map(|status| status.last().epoch);
    let names = |a: &RegionView<'_>, b: &RegionView<'_>| {
        let primary = a.status.and_then(|status| status.last().primary.as_ref());
        primary.is_some_and(|primary| Some(primary.region) == b.id || reaches(&primary.addresses, b))
    };
    match (left.role(), right.role()) {
        (Some(Role::Primary), Some(Role::Primary)) if are_rivals(left, right) => Some(epoch(left) >= epoch(right)),
        (Some(Role::Primary), Some(Role::Primary)) => {
            let now = UnixMs(0);
            match (link_to(left, right, now).is_some(), link_to(right, left, now).is_some()) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            }
        }
        _ if names(right, left) => Some(true),
        _ if names(left, right) => Some(false),
        (Some(Role::Primary), Some(_)) => same_data(left, right).then_some(true),
        (Some(_), Some(Role::Primary)) => same_data(left, right).then_some(false),
        (Some(Role::Primary), None) => link_to(left, right, UnixMs(0)).map(|_| true),
        (None, Some(Role::Primary)) => link_to(right, left, UnixMs(0)).map(|_| false),
        _ => None,
    }
}

fn same_data(left: &RegionView<'_>, right: &RegionView<'_>) -> bool {
    let data = |region: &RegionView<'_>| region.status.map(|status| status.last().dataset);
    data(left) == data(right) || link_to(left, right, UnixMs(0)).or(link_to(right, left, UnixMs(0))).is_some()
}

fn link_to<'a>(from: &RegionView<'a>, to: &RegionView<'_>, now: UnixMs) -> Option<Reading<'a, LinkStatus>> {
    find_link(from, to, true, now)
}

fn link_from<'a>(standby: &RegionView<'a>, primary: &RegionView<'_>, now: UnixMs) -> Option<Reading<'a, LinkStatus>> {
    find_link(standby, primary, false, now)
}

fn find_link<'a>(
    of: &RegionView<'a>,
    other: &RegionView<'_>,
    outgoing: bool,
    now: UnixMs,
) -> Option<Reading<'a, LinkStatus>> {
    let reading = of.read(now)?;
    let link = reading.value.links.iter().rfind(|link| {
        let by_id = link.region != RegionId::default() && Some(link.region) == other.id;
        link.outgoing == outgoing && (by_id || reaches(&link.addresses, other))
    })?;
    Some(Reading { value: link, age: reading.age, source: reading.source })
}

/// Whether one of the addresses is one of the region's.
fn reaches(addresses: &[String], region: &RegionView<'_>) -> bool {
    addresses.iter().any(|address| {
        let address = normal_address(address);
        let seen = region.nodes.iter().any(|node| node.address == address);
        let said = region.status.is_some_and(|status| {
            let status = status.last();
            normal_address(&status.region.api_addr) == address
                || status.nodes.iter().any(|node| normal_address(&node.api_addr) == address)
        });
        seen || said
    })
}

fn link_view<'a>(
    split: bool,
    outgoing: Option<Reading<'a, LinkStatus>>,
    incoming: Option<Reading<'a, LinkStatus>>,
    primary: &RegionView<'_>,
    now: UnixMs,
) -> LinkView<'a> {
    let fresh = |link: &Reading<'a, LinkStatus>| !link.is_old();
    let said = outgoing.filter(fresh).or(incoming.filter(fresh)).or(outgoing).or(incoming);
    let primary_is_fresh = primary.read(now).is_some_and(|reading| !reading.is_old());
    let look = match said {
        _ if split => LinkLook::SplitBrain,
        None if primary_is_fresh => LinkLook::Unlinked,
        None => LinkLook::Unknown,
        Some(link) if link.is_old() => LinkLook::Unknown,
        Some(link) => match link.value.state {
            LinkState::Connecting => LinkLook::Connecting,
            LinkState::Activating => LinkLook::Activating,
            LinkState::FullSync => LinkLook::FullSync,
            LinkState::DiffSync => LinkLook::DiffSync,
            LinkState::Streaming => LinkLook::Streaming,
            LinkState::Paused => LinkLook::Paused,
            LinkState::Refused => LinkLook::Refused,
        },
    };
    LinkView { look, said, said_at: UnixMs(0) }
}

fn lag_reading(lag: Lag, status: &Observed<PathStatus>, now: UnixMs) -> LagReading {
    let reading = status.read(now);
    // Both times are the server's, so its clock may be wrong: only their difference counts.
    let age = reading.age + reading.value.observed_at.since(lag.observed_at);
    LagReading { lag, age, source: reading.source.to_owned() }
}

fn disagreement(
    by_standby: &Option<LagReading>,
    by_primary: &Option<LagReading>,
    primary: &RegionView<'_>,
    standby: &RegionView<'_>,
    linked: Option<bool>,
) -> Option<String> {
    linked?;
    let (of_primary, of_standby) = (primary.status?.last(), standby.status?.last());
    if of_standby.epoch > of_primary.epoch && of_primary.role == Role::Primary {
        return Some(format!(
            "{} knows epoch {}, {} still is primary in epoch {}",
            standby.name, of_standby.epoch, primary.name, of_primary.epoch
        ));
    }
    let (by_standby, by_primary) = (by_standby.as_ref()?, by_primary.as_ref()?);
    if by_standby.age.max(by_primary.age) > super::FRESH_FOR {
        return None;
    }
    let apart = by_standby.lag.entries.abs_diff(by_primary.lag.entries);
    let natural = DISAGREEMENT_ENTRIES_MIN + (of_primary.writes_per_s.max(0.0) * DISAGREEMENT_SECONDS) as u64;
    (apart > natural).then(|| {
        format!(
            "the sides disagree on the lag: {} says {}, {} says {}",
            standby.name,
            super::units::entries(by_standby.lag.entries),
            primary.name,
            super::units::entries(by_primary.lag.entries)
        )
    })
}
