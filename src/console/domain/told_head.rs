//! How far a primary was, as this console heard from itself: further than its standby was ever told, where the link was down
//! first. What a standby says of its own loss is not all that is known of it.

use super::observed::{AnyAge, FRESH_FOR};
use super::region::RegionView;
use super::units::{count, duration, in_groups, position};
use super::world::World;
use crate::api::replication::{Check, LinkState, PathStatus, Plan, Role, Verdict};
use crate::clock::UnixMs;
use crate::ids::Position;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToldHead {
    /// The region that said it.
    pub by: String,
    pub head: Position,
    /// What the standby has of that line.
    pub applied: Position,
    /// How old that word is.
    pub age: Duration,
}

impl ToldHead {
    /// Writes that the standby lacks, at the least.
    pub fn missing(&self) -> u64 {
        self.head.index.saturating_sub(self.applied.index)
    }

    /// `us-east-1 told this console of 1:18, 48s ago`
    pub fn words(&self) -> String {
        format!("{} told this console of {}, {} ago", self.by, position(self.head), duration(self.age))
    }
}

/// The furthest head of the plan's epoch that any other region of the same data told this console. `None` where the standby
/// itself hears its primary: then it knows best, and what was told here is what it will have in a moment.
pub fn told_head(world: &World, standby: &str, plan: &Plan, now: UnixMs) -> Option<ToldHead> {
    let regions = world.regions();
    let own = regions.iter().find(|region| region.name == standby)?.status?.last();
    // A fenced region's positions are of a line that the others left, and half a copy has none of its own.
    if hears(own) || own.role != Role::Standby || !own.whole {
        return None;
    }
    let applied = plan.loss.applied.map_or(own.applied, |applied| applied.max(own.applied));
    let of_line = |region: &&RegionView<'_>| {
        let said = region.status.map(|status| status.last());
        said.is_some_and(|said| {
            said.dataset == own.dataset && said.epoch == plan.epoch_now && said.role != Role::Fenced && said.whole
        })
    };
    let others = regions.iter().filter(|region| region.name != standby).filter(of_line);
    let told = others.filter_map(|region| {
        let reading = region.read(now)?;
        let said = reading.value;
        let head = said.head.map_or(said.applied, |head| head.max(said.applied));
        Some(ToldHead { by: region.name.clone(), head, applied, age: reading.age })
    });
    told.max_by_key(|told| told.head).filter(|told| told.missing() > 0)
}

fn hears(standby: &PathStatus) -> bool {
    let heard = |link: &&crate::api::replication::LinkStatus| {
        let ago = link.last_heard_at.map(|at| standby.observed_at.since(at));
        !link.outgoing && link.state == LinkState::Streaming && ago.is_some_and(|ago| ago <= FRESH_FOR)
    };
    standby.role == Role::Standby && standby.links.iter().any(|link| heard(&link))
}

/// A plan's checks, with what this console knows better: nothing passes as caught up that was told to be behind.
pub fn checks(plan: &Plan, told: Option<&ToldHead>) -> Vec<Check> {
    let mut checks = plan.checks.clone();
    for check in &mut checks {
        check.fact = in_groups(&check.fact);
    }
    let Some(told) = told else { return checks };
    for check in checks.iter_mut().filter(|check| check.name == "behind") {
        if plan.loss.head.is_some_and(|head| head >= told.head) {
            continue;
        }
        if check.verdict != Verdict::Block {
            check.verdict = Verdict::Warn;
        }
        check.fact = format!("{}; but {}: {} behind", check.fact, told.words(), count(told.missing()));
    }
    checks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::console::domain::fixtures::{self, EU, NOW, US};
    use crate::ids::Epoch;

    /// The link was cut at 48 211 of 48 211; the primary went on for 40 s, told this console of 48 219, and died.
    fn cut_before_it_died() -> (World, Plan) {
        let mut us = fixtures::status(US, Role::Primary, Duration::from_secs(48));
        us.head = Some(Position::new(Epoch(3), 48_219));
        let mut eu = fixtures::status(EU, Role::Standby, Duration::ZERO);
        eu.links[0].state = LinkState::Connecting;
        let mut plan = fixtures::plan();
        plan.loss.head = plan.loss.applied;
        plan.loss.entries = 0;
        plan.checks[0].name = "behind".into();
        let world = fixtures::world([fixtures::gone(us, Duration::from_secs(48)), fixtures::up(eu, Duration::ZERO)]);
        (world, plan)
    }

    #[test]
    fn what_the_primary_told_this_console_counts_where_the_standby_never_heard_it() {
        let (world, plan) = cut_before_it_died();
        let told = told_head(&world, "eu-west-1", &plan, NOW).unwrap();
        assert_eq!((told.by.as_str(), told.missing()), ("us-east-1", 8));
        assert_eq!(told.words(), "us-east-1 told this console of 3:48 219, 48s ago");
        let checks = checks(&plan, Some(&told));
        assert_eq!(checks[0].verdict, Verdict::Warn, "{checks:?}");
        assert!(checks[0].fact.ends_with("8 behind"), "{checks:?}");
    }

    #[test]
    fn nothing_is_added_where_the_standby_hears_its_primary_or_the_line_is_another() {
        let (_, mut plan) = cut_before_it_died();
        assert_eq!(told_head(&fixtures::streaming(), "eu-west-1", &plan, NOW), None);
        plan.epoch_now = Epoch(2);
        assert_eq!(told_head(&cut_before_it_died().0, "eu-west-1", &plan, NOW), None);
    }
}
