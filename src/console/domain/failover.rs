//! Where a failover stands: six stages, each read off what the regions say now. Nothing of it is remembered, so that who
//! leaves, crashes, or looks from another terminal sees the same.

use super::FRESH_FOR;
use super::node::normal_address;
use super::pair::{LinkLook, PairView};
use super::region::RegionView;
use super::units::{duration, entries, lag_ms, plural, position};
use super::world::World;
use crate::api::replication::{FenceProof, HandoverStage, LinkState, LinkStatus, Role};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::ids::{Epoch, Position};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Preflight,
    Decide,
    Fence,
    Promote,
    Verify,
    Rejoin,
}

impl Stage {
    pub const ALL: [Stage; 6] =
        [Stage::Preflight, Stage::Decide, Stage::Fence, Stage::Promote, Stage::Verify, Stage::Rejoin];

    pub fn title(self) -> &'static str {
        match self {
            Stage::Preflight => "Preflight",
            Stage::Decide => "Decide",
            Stage::Fence => "Fence",
            Stage::Promote => "Promote",
            Stage::Verify => "Verify",
            Stage::Rejoin => "Rejoin",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    Ahead,
    /// Here one stands: there is something to do, or to wait for.
    Now,
    Done,
    /// Here one stands, and something is wrong or not proven.
    Trouble,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageView {
    pub stage: Stage,
    pub progress: Progress,
    pub words: String,
}

/// What the standbys' disks were last found to be, as far as this console was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verified {
    Unknown,
    Running,
    Equal,
    Damaged,
    /// It was tried, and nothing is known.
    Unchecked,
}

/// All six stages, in their order.
pub fn stages(world: &World, pair: Option<&PairView<'_>>, verified: Verified, now: UnixMs) -> Vec<StageView> {
    let mut found = Found(Stage::ALL.map(|stage| (stage, Progress::Ahead, String::new())).to_vec());
    let regions = world.regions();
    let newest =
        regions.iter().filter(|region| region.role() == Some(Role::Primary)).max_by_key(|region| epoch(region));
    let left_behind = newest.and_then(|primary| left_behind(&regions, primary));
    let unheard = newest.zip(pair).and_then(|(primary, pair)| unheard_rival(primary, pair));
    match (newest, left_behind.or(unheard), pair) {
        (_, _, None) if regions.iter().any(|region| region.status.is_none() && region.foreign.is_some()) => {
            let lacks = regions.iter().find_map(|region| region.foreign).map(|foreign| foreign.last().product.lacks());
            found.set(Stage::Preflight, Progress::Now, lacks.unwrap_or_default().into());
        }
        (_, _, None) => found.set(Stage::Preflight, Progress::Now, "attach both regions: only one is in view".into()),
        // With the new primary silent as well, another failover may be near.
        (Some(primary), Some(old), _) if !primary.is_dark() => after(primary, old, verified, now, &mut found),
        (Some(primary), None, Some(pair))
            if pair.standby().is_some() && epoch(primary) > Some(Epoch(1)) && !is_at_risk(pair) =>
        {
            settled(primary, pair, verified, &mut found);
        }
        (_, _, Some(pair)) => before(pair, now, &mut found),
    }
    found.0.into_iter().map(|(stage, progress, words)| StageView { stage, progress, words }).collect()
}

struct Found(Vec<(Stage, Progress, String)>);

impl Found {
    fn set(&mut self, stage: Stage, progress: Progress, words: String) {
        if let Some(found) = self.0.iter_mut().find(|(of, ..)| *of == stage) {
            (found.1, found.2) = (progress, words);
        }
    }

    fn done(&mut self, stage: Stage, words: impl Into<String>) {
        self.set(stage, Progress::Done, words.into());
    }
}

fn epoch(region: &RegionView<'_>) -> Option<Epoch> {
    region.status.map(|status| status.last().epoch)
}

/// A region of the same line that a promotion went past: it was primary of a lower epoch, or says that it was fenced.
fn left_behind<'a, 'b>(regions: &'b [RegionView<'a>], primary: &RegionView<'a>) -> Option<&'b RegionView<'a>> {
    regions.iter().filter(|other| other.id != primary.id).find(|other| match (other.role(), other.status) {
        (Some(Role::Fenced), _) => true,
        (Some(Role::Primary), Some(status)) => {
            let said = status.last();
            let data = primary.status.map(|status| status.last().dataset);
            Some(said.epoch) < epoch(primary) && Some(said.dataset) == data
        }
        _ => false,
    })
}

/// The other region of the pair, if it was never heard from here and nothing proves that it gave way to the promotion that
/// the primary tells of: it may be the primary that was left behind.
pub fn unheard_rival<'a, 'b>(primary: &RegionView<'a>, pair: &'b PairView<'a>) -> Option<&'b RegionView<'a>> {
    let other = pair.standby().filter(|other| other.status.is_none() && other.foreign.is_none())?;
    let said = primary.status?.last();
    let is_it = |link: &&LinkStatus| {
        let known = |address: &String| other.nodes.iter().any(|node| node.address == normal_address(address));
        link.outgoing && link.addresses.iter().any(known)
    };
    let follows = said.links.iter().filter(is_it).any(|link| match link.state {
        LinkState::Streaming | LinkState::FullSync | LinkState::DiffSync => true,
        // Nothing is sent on a paused one: whoever is behind it may not have heard of the promotion.
        LinkState::Paused | LinkState::Activating | LinkState::Connecting | LinkState::Refused => false,
    });
    let promotion = said.promotion.as_ref().filter(|promotion| promotion.epoch == said.epoch);
    let proven = promotion.is_some_and(|it| matches!(it.fence, FenceProof::Acknowledged { .. }));
    (said.epoch > Epoch(1) && !follows && !proven).then_some(other)
}

/// Whether the next failover may be near: the primary is not heard, or roles are moving.
fn is_at_risk(pair: &PairView<'_>) -> bool {
    let handover = [&pair.left, &pair.right].into_iter().any(|region| handover(region).is_some());
    handover || pair.primary().is_none_or(RegionView::is_dark)
}

fn handover<'a>(region: &RegionView<'a>) -> Option<&'a crate::api::replication::HandoverInfo> {
    region.status?.last().handover.as_ref()
}

/// Nothing was promoted: how ready one is, or how far a switchover came.
fn before(pair: &PairView<'_>, now: UnixMs, found: &mut Found) {
    let Some((primary, standby)) = pair.primary().zip(pair.standby()) else {
        let words = pair
            .left
            .foreign
            .map_or("link two regions first: nothing is replicated", |foreign| foreign.last().product.lacks());
        return found.set(Stage::Preflight, Progress::Now, words.into());
    };
    let handovers: Vec<_> = [primary, standby].into_iter().filter_map(handover).collect();
    if let Some(first) = handovers.first() {
        found.done(Stage::Preflight, format!("switchover {}", first.id));
        let gave_up = handovers.iter().find(|handover| handover.stage == HandoverStage::GaveUp);
        found.done(
            Stage::Decide,
            match gave_up {
                Some(_) => "with the primary's consent: nothing is lost",
                None => "to switch over: with the primary's consent, or not at all",
            },
        );
        match gave_up {
            Some(gave_up) => {
                let reached = gave_up.reached.map_or_else(String::new, |at| format!(" at {}", position(at)));
                found.done(Stage::Fence, format!("{} gave up, durably{reached}", primary.name));
                let heir = &standby.name;
                let (progress, words) = match standby.is_dark() {
                    false => (Progress::Now, format!("{heir} takes over the rest and opens")),
                    true => (
                        Progress::Trouble,
                        format!(
                            "{heir} does not answer: nobody takes writes until it opens, or gives the right back. Bring it \
                             back, or its link to {}",
                            primary.name
                        ),
                    ),
                };
                found.set(Stage::Promote, progress, words);
            }
            None if primary.is_dark() => found.set(
                Stage::Fence,
                Progress::Trouble,
                format!("{} was asked to give up, and does not answer: nothing happens unless it does", primary.name),
            ),
            None => found.set(Stage::Fence, Progress::Now, format!("{} is asked to give up", primary.name)),
        }
        return;
    }
    let ready = readiness(pair, standby);
    if !primary.is_dark() {
        let words = ready.clone().err().unwrap_or_else(|| ready.clone().unwrap_or_default());
        let progress = if ready.is_ok() { Progress::Now } else { Progress::Trouble };
        return found.set(Stage::Preflight, progress, words);
    }
    let heard = primary
        .heard_age(now)
        .map_or_else(|| "never heard".to_owned(), |age| format!("last heard {} ago", duration(age)));
    found.set(Stage::Preflight, Progress::Trouble, format!("{} does not answer, {heard}: is it dead?", primary.name));
    let next = match ready {
        Ok(words) => format!("p shows what a failover to {} would lose; {words}", standby.name),
        Err(why) => why,
    };
    found.set(Stage::Decide, Progress::Now, next);
}

/// Whether the standby could take over now; else why not.
fn readiness(pair: &PairView<'_>, standby: &RegionView<'_>) -> Result<String, String> {
    let name = &standby.name;
    let Some(status) = standby.status.map(|status| status.last()) else {
        return Err(format!("{name} was never heard"));
    };
    if standby.is_dark() {
        return Err(format!("{name} does not answer: it can't take over"));
    }
    if !status.whole || pair.link.look.is_syncing() {
        return Err(format!("{name} is being filled: it can't take over before it is whole"));
    }
    if status.sealed {
        return Err(format!("{name} is sealed: unseal it, or it can't serve"));
    }
    Ok(match pair.lag().filter(|lag| lag.age <= FRESH_FOR) {
        Some(lag) => format!("{name} is whole, {} and {} behind", entries(lag.lag.entries), lag_ms(lag.lag.ms)),
        None => format!("{name} is whole; how far it is behind is unknown"),
    })
}

/// Another region is primary now; this one was.
fn after(primary: &RegionView<'_>, old: &RegionView<'_>, verified: Verified, now: UnixMs, found: &mut Found) {
    let epoch = epoch(primary).map_or_else(String::new, |epoch| epoch.to_string());
    found.done(Stage::Preflight, "");
    found.done(Stage::Decide, format!("{} was promoted", primary.name));
    opened(primary, &epoch, found);
    verify(primary, verified, found);
    let heard = match old.heard_age(now) {
        Some(age) => format!("was last heard {} ago", duration(age)),
        None => "was never heard from here".into(),
    };
    let fence = old.status.and_then(|status| status.last().fence.as_ref());
    match (old.role(), old.is_dark(), fence) {
        (Some(Role::Fenced), _, Some(fence)) => found.done(
            Stage::Fence,
            format!(
                "acknowledged: {} said durably that it takes no writes, it had reached {}",
                old.name,
                position(fence.reached)
            ),
        ),
        (_, true, _) => found.set(
            Stage::Fence,
            Progress::Trouble,
            format!("UNPROVEN: {} {heard} and may take writes; keep clients away from it", old.name),
        ),
        _ => found.set(
            Stage::Fence,
            Progress::Trouble,
            format!("UNPROVEN: {} still says that it is primary; F fences it, or let the two meet", old.name),
        ),
    }
    if old.role() != Some(Role::Fenced) {
        let back = if old.is_dark() { "back and " } else { "" };
        return found.set(Stage::Rejoin, Progress::Ahead, format!("when {} is {back}fenced", old.name));
    }
    let ledger = old.status.and_then(|status| status.last().ledger.as_ref());
    let open = ledger.map_or(0, |ledger| ledger.unreviewed + ledger.older_unreviewed);
    let to_old = primary
        .status
        .and_then(|status| status.last().links.iter().find(|link| link.outgoing && Some(link.region) == old.id));
    if to_old.is_some_and(|link| link.state == LinkState::Paused) {
        let words = format!(
            "{} waits: the link of {} to it is paused, and nothing reaches it; s carries on",
            old.name, primary.name
        );
        return found.set(Stage::Rejoin, Progress::Trouble, words);
    }
    // It does not know what only it holds before the new primary told it where their lines part.
    if ledger.is_none() {
        let words = format!("{} waits until {} reaches it: heal the link between them", old.name, primary.name);
        return found.set(Stage::Rejoin, Progress::Trouble, words);
    }
    let words = match open {
        0 => format!("J brings {} back as a standby", old.name),
        open => format!(
            "{} only {} has: decide on them in the ledger (6), then J",
            plural(open, "write", "writes"),
            old.name
        ),
    };
    found.set(Stage::Rejoin, Progress::Now, words);
}

/// What an old primary says of its own end, to this console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FenceSeen {
    pub region: String,
    pub reached: Position,
    pub age: Duration,
}

/// The fence of the region that `promoted` went past in that epoch: by that promotion, or by its operator's word.
pub fn fence_seen(world: &World, promoted: &str, opened: Option<Epoch>, now: UnixMs) -> Option<FenceSeen> {
    let regions = world.regions();
    let data = regions.iter().find(|region| region.name == promoted)?.status?.last().dataset;
    let seen = regions.iter().filter(|region| region.name != promoted).filter_map(|region| {
        let reading = region.read(now)?;
        let said = reading.value;
        let fence = said.fence.as_ref().filter(|_| said.dataset == data)?;
        let opened = opened?;
        // Its operator fences a region before any other region's epoch has. An older fence says nothing of this primary.
        let of_it = fence.by_epoch >= opened || fence.demoted.is_some() && fence.by_epoch.next() == opened;
        let before = fence.reached.epoch < opened;
        let seen = FenceSeen { region: region.name.clone(), reached: fence.reached, age: reading.age };
        (of_it && before).then_some(seen)
    });
    seen.max_by_key(|seen| seen.reached)
}

/// A region that a promotion went past, which is heard and says that it is still primary: nothing has fenced it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StillPrimary {
    pub region: String,
    pub epoch: Epoch,
    pub head: Position,
    pub age: Duration,
}

pub fn still_primary(world: &World, promoted: &str, opened: Option<Epoch>, now: UnixMs) -> Option<StillPrimary> {
    let regions = world.regions();
    let data = regions.iter().find(|region| region.name == promoted)?.status?.last().dataset;
    let heard = regions.iter().filter(|region| region.name != promoted && !region.is_dark());
    let still = heard.filter_map(|region| {
        let reading = region.read(now)?;
        let said = reading.value;
        let is_it = said.role == Role::Primary && said.dataset == data && Some(said.epoch) < opened;
        let (region, head) = (region.name.clone(), said.head.unwrap_or(said.applied));
        is_it.then_some(StillPrimary { region, epoch: said.epoch, head, age: reading.age })
    });
    still.max_by_key(|still| still.epoch)
}

fn opened(primary: &RegionView<'_>, epoch: &str, found: &mut Found) {
    let writable = primary.status.is_some_and(|status| status.last().writable);
    match (writable, primary.is_dark()) {
        (_, true) => found.set(Stage::Promote, Progress::Trouble, format!("{} does not answer", primary.name)),
        (true, _) => found.done(Stage::Promote, format!("{} takes writes in epoch {epoch}", primary.name)),
        (false, _) => found.set(
            Stage::Promote,
            Progress::Trouble,
            format!("{} is primary in epoch {epoch}, takes no writes", primary.name),
        ),
    }
}

fn verify(primary: &RegionView<'_>, verified: Verified, found: &mut Found) {
    let streams = |link: &LinkStatus| link.state == LinkState::Streaming;
    let linked = primary.status.is_some_and(|status| status.last().links.iter().any(streams));
    match verified {
        Verified::Equal => found.done(Stage::Verify, "the standbys' disks hold what the primary holds"),
        Verified::Running => found.set(Stage::Verify, Progress::Now, "disks are being compared".into()),
        Verified::Damaged => {
            found.set(Stage::Verify, Progress::Trouble, "a disk differs from what was applied to it".into())
        }
        Verified::Unchecked => found.set(Stage::Verify, Progress::Now, "not all was checked: V tries again".into()),
        Verified::Unknown if linked => {
            found.set(Stage::Verify, Progress::Now, "V compares the standbys' disks with the primary's".into());
        }
        Verified::Unknown => {
            found.set(Stage::Verify, Progress::Ahead, "when there is a standby to compare with".into())
        }
    }
}

/// A promotion is behind and the old primary follows.
fn settled(primary: &RegionView<'_>, pair: &PairView<'_>, verified: Verified, found: &mut Found) {
    let epoch = epoch(primary).map_or_else(String::new, |epoch| epoch.to_string());
    let Some(standby) = pair.standby() else { return };
    let ready = readiness(pair, standby);
    found.done(Stage::Preflight, "p begins the next one");
    found.done(Stage::Decide, format!("{} was promoted", primary.name));
    let gave_way = match standby.role() {
        Some(_) => format!("{} follows: it takes no writes of its own", standby.name),
        None => format!("{} says that {} gave way", primary.name, standby.name),
    };
    found.done(Stage::Fence, gave_way);
    opened(primary, &epoch, found);
    match &ready {
        Ok(_) => verify(primary, verified, found),
        Err(_) => found.set(Stage::Verify, Progress::Ahead, format!("when {} is whole", standby.name)),
    }
    match (ready, pair.link.look) {
        (Ok(words), LinkLook::Streaming) => found.done(Stage::Rejoin, words),
        (Ok(words), _) => found.set(Stage::Rejoin, Progress::Now, words),
        (Err(why), _) => found.set(Stage::Rejoin, Progress::Now, why),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::api::replication::HandoverInfo;
    use crate::console::domain::fixtures::{self, NOW, US};
    use crate::ids::PromotionId;

    /// The stage in which something is to be done, with its words; several are joined.
    fn here(world: &World) -> Vec<(Stage, Progress)> {
        let pair = world.pair(1, NOW);
        let found = stages(world, pair.as_ref(), Verified::Unknown, NOW);
        assert_eq!(found.len(), 6);
        let open = |view: &StageView| matches!(view.progress, Progress::Now | Progress::Trouble);
        found.into_iter().filter(open).map(|view| (view.stage, view.progress)).collect()
    }

    #[test]
    fn where_one_stands_follows_from_what_the_regions_say() {
        use Progress::{Now, Trouble};
        use Stage::*;
        assert_eq!(here(&fixtures::unlinked()), [(Preflight, Now)]);
        assert_eq!(here(&fixtures::syncing()), [(Rejoin, Now)], "the old primary is filled again");
        assert_eq!(here(&fixtures::dark_primary()), [(Preflight, Trouble), (Decide, Now)]);
        assert_eq!(here(&fixtures::split_brain()), [(Fence, Trouble)], "promoted, and the old one does not know");
        assert_eq!(here(&fixtures::left_behind()), [(Rejoin, Now)]);
        // The fixture is in epoch 3: promotions are behind it.
        assert_eq!(here(&fixtures::streaming()), [(Verify, Now)]);
    }

    /// eu-west-1 was promoted; who attaches later never heard us-east-1.
    fn attached_late(change: impl FnOnce(&mut crate::api::replication::PathStatus)) -> World {
        let mut eu = fixtures::status(fixtures::EU, Role::Primary, std::time::Duration::ZERO);
        let state = LinkState::Connecting;
        let (region, name, addresses) = (US, "us-east-1".into(), vec![fixtures::address(US, 0)]);
        eu.epoch = Epoch(4);
        eu.links = vec![LinkStatus { region, name, addresses, state, lag: None, ..fixtures::link(true, NOW) }];
        change(&mut eu);
        let mut world =
            World::of_addresses([fixtures::address(US, 0).as_str(), fixtures::address(fixtures::EU, 0).as_str()]);
        let mut silent =
            fixtures::gone(fixtures::status(US, Role::Primary, std::time::Duration::ZERO), Default::default());
        silent.status = None;
        world.take_all([silent, fixtures::up(eu, std::time::Duration::ZERO)]);
        world
    }

    #[test]
    fn one_that_was_never_heard_is_not_known_to_be_fenced() {
        let world = attached_late(|_| {});
        let pair = world.pair(1, NOW);
        let found = stages(&world, pair.as_ref(), Verified::Unknown, NOW);
        let fence = found.iter().find(|view| view.stage == Stage::Fence).unwrap();
        assert_eq!(fence.progress, Progress::Trouble, "{found:?}");
        assert!(fence.words.contains("was never heard from here and may take writes"), "{found:?}");
        let alarms = world.alarms(NOW);
        assert!(alarms.iter().any(|alarm| alarm.text.contains("nothing proves that it gave way")), "{alarms:?}");
        // What the new primary says of it is proof enough.
        let world = attached_late(|eu| eu.links[0].state = LinkState::Streaming);
        let pair = world.pair(1, NOW);
        let found = stages(&world, pair.as_ref(), Verified::Unknown, NOW);
        let fence = found.iter().find(|view| view.stage == Stage::Fence).unwrap();
        assert_eq!((fence.progress, fence.words.as_str()), (Progress::Done, "eu-west-1 says that us-east-1 gave way"));
        assert!(!world.alarms(NOW).iter().any(|alarm| alarm.text.contains("gave way")));
    }

    #[test]
    fn a_switchover_of_another_terminal_is_seen_with_its_stage() {
        let mut us = fixtures::status(US, Role::Primary, std::time::Duration::ZERO);
        let id = PromotionId([5; 16]);
        let gave_up = HandoverInfo {
            id,
            stage: HandoverStage::GaveUp,
            region: fixtures::EU,
            name: "eu-west-1".into(),
            since: NOW,
            deadline_at: None,
            reached: Some(us.applied),
        };
        us.handover = Some(gave_up);
        let eu = fixtures::status(fixtures::EU, Role::Standby, std::time::Duration::ZERO);
        let world = fixtures::world([us, eu].map(|status| fixtures::up(status, std::time::Duration::ZERO)));
        assert_eq!(here(&world), [(Stage::Promote, Progress::Now)]);
        let pair = world.pair(1, NOW);
        let found = stages(&world, pair.as_ref(), Verified::Unknown, NOW);
        assert!(found[0].words.contains(&id.to_string()) && found[2].words.contains("gave up"), "{found:?}");
    }
}
