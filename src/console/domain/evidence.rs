//! Is it really dead? What each observer says of a primary, with its age: the region's nodes as this console sees them, the
//! link as the standby sees it, and the links of every other standby in view, which may look from another side.

use super::node::Contact;
use super::pair::PairView;
use super::units::duration;
use super::world::World;
use super::{FRESH_FOR, RegionView};
use crate::api::replication::{LinkState, PathStatus, Role};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an observer's word speaks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Speaks {
    Alive,
    Unclear,
    Dead,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    pub observer: String,
    pub speaks: Speaks,
    pub fact: String,
    /// How old; `None`: there never was any.
    pub age: Option<Duration>,
}

/// Behind the name of a node that this console calls itself.
const FROM_HERE: &str = ", from here";

impl Evidence {
    /// That a node answered this console.
    pub fn is_answer(&self) -> bool {
        self.speaks == Speaks::Alive && self.observer.ends_with(FROM_HERE)
    }
}

pub fn evidence(world: &World, pair: &PairView<'_>, now: UnixMs) -> Vec<Evidence> {
    let (Some(primary), Some(standby)) = (pair.primary(), pair.standby()) else { return Vec::new() };
    let mut found = vec![of_link(standby, now)];
    let follows = |other: &RegionView<'_>| {
        let of = other.status.and_then(|status| status.last().primary.as_ref()).map(|of| of.region);
        other.role() == Some(Role::Standby) && of.is_some() && of == primary.id
    };
    let others = world.regions().into_iter().filter(|other| other.id != standby.id && follows(other));
    found.extend(others.map(|other| of_link(&other, now)));
    found.extend(primary.nodes.iter().map(|node| {
        let name = node.name().unwrap_or(super::node::short_address(&node.address));
        let observer = format!("{name}{FROM_HERE}");
        let age = node.status.as_ref().map(|status| status.read(now).age);
        let (speaks, fact) = match &node.contact {
            Contact::Connecting => (Speaks::Unclear, "is being called".to_owned()),
            Contact::Up { .. } => (Speaks::Alive, "answers".to_owned()),
            Contact::Erring { error, .. } => (Speaks::Unclear, format!("answers with an error: {error}")),
            Contact::Gone { since, error, .. } => {
                (Speaks::Dead, format!("no answer for {}: {error}", duration(now.since(*since))))
            }
        };
        Evidence { observer, speaks, fact, age }
    }));
    found
}

/// The standby's own ear on its primary.
fn of_link(standby: &RegionView<'_>, now: UnixMs) -> Evidence {
    let observer = format!("{}, over the link", standby.name);
    let Some(reading) = standby.read(now) else {
        return Evidence { observer, speaks: Speaks::Unclear, fact: "never heard itself".into(), age: None };
    };
    let status = reading.value;
    let heard = status.links.iter().filter(|link| !link.outgoing).filter_map(|link| link.last_heard_at).max();
    let heard = heard.or(status.head_at).filter(|_| status.role != Role::Primary);
    let Some(heard) = heard else {
        return Evidence { observer, speaks: Speaks::Unclear, fact: "never heard it".into(), age: Some(reading.age) };
    };
    let silence = status.observed_at.since(heard);
    let (speaks, fact) = match () {
        () if reading.is_old() => {
            (Speaks::Unclear, format!("heard it {} before it fell silent itself", duration(silence)))
        }
        // Who was told not to listen proves nothing by hearing nothing.
        () if silence > FRESH_FOR && is_paused(status) => {
            (Speaks::Unclear, format!("the link is paused: nothing came over it for {}", duration(silence)))
        }
        () if silence > FRESH_FOR => (Speaks::Dead, format!("has not heard it for {}", duration(silence))),
        () => (Speaks::Alive, format!("heard it {} ago", duration(silence))),
    };
    Evidence { observer, speaks, fact, age: Some(reading.age) }
}

fn is_paused(standby: &PathStatus) -> bool {
    let of_primary = standby.links.iter().filter(|link| !link.outgoing).max_by_key(|link| link.last_heard_at);
    of_primary.is_some_and(|link| link.state == LinkState::Paused)
}

/// All of it in a sentence.
pub fn conclusion(evidence: &[Evidence], primary: &str) -> (Speaks, String) {
    let count = |speaks| evidence.iter().filter(|one| one.speaks == speaks).count();
    let (alive, dead, all) = (count(Speaks::Alive), count(Speaks::Dead), evidence.len());
    match (alive, dead) {
        (0, dead) if dead == all && all > 0 => {
            (Speaks::Dead, format!("nobody of {all} hears {primary}; a cut between here and there would look the same"))
        }
        (0, _) => (Speaks::Unclear, format!("nobody hears {primary} now, and not all could look")),
        (alive, 0) if alive == all => (Speaks::Alive, format!("all of {all} hear {primary}: it is alive")),
        (alive, _) => (Speaks::Alive, format!("{alive} of {all} hear {primary}: it is alive, at least in part")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::console::domain::fixtures;

    #[test]
    fn a_standby_whose_link_is_paused_bears_no_witness_of_a_death() {
        let mut world = fixtures::dark_primary();
        let mut eu = fixtures::status(fixtures::EU, Role::Standby, Duration::ZERO);
        eu.links[0].state = LinkState::Paused;
        eu.links[0].last_heard_at = Some(UnixMs(fixtures::NOW.0 - 83_000));
        world.take_all([fixtures::up(eu, Duration::ZERO)]);
        let pair = world.pair(1, fixtures::NOW).unwrap();
        let found = evidence(&world, &pair, fixtures::NOW);
        assert_eq!(found[0].speaks, Speaks::Unclear, "{found:?}");
        assert_eq!(found[0].fact, "the link is paused: nothing came over it for 1m 23s");
    }

    #[test]
    fn a_second_standby_that_hears_the_primary_speaks_against_its_death() {
        let mut world = fixtures::dark_primary();
        let of = |world: &World| {
            let pair = world.pair(1, fixtures::NOW).unwrap();
            let found = evidence(world, &pair, fixtures::NOW);
            (found.len(), conclusion(&found, "us-east-1").0)
        };
        assert_eq!(of(&world), (2, Speaks::Dead));
        let mut asia = fixtures::status(fixtures::EU, Role::Standby, Duration::ZERO);
        asia.region.id = crate::ids::RegionId([3; 16]);
        asia.region.name = "ap-south-1".into();
        asia.region.api_addr = "http://10.3.3.1:8200".into();
        asia.nodes.truncate(1);
        asia.nodes[0].api_addr = asia.region.api_addr.clone();
        world.take_all([fixtures::up(asia, Duration::ZERO)]);
        assert_eq!(of(&world), (3, Speaks::Alive), "the other standby still hears it");
    }
}
