//! Stories of worlds: who is primary, how far behind, what is wrong.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::fixtures::*;
use super::*;
use crate::api::replication::{EventLevel, Role};
use crate::clock::UnixMs;
use std::time::Duration;

#[test]
fn a_primary_and_its_standby_are_told_apart_and_both_sides_lags_are_kept() {
    let world = streaming();
    let pair = world.pair(0, NOW).unwrap();
    assert_eq!(pair.primary().unwrap().name, "us-east-1");
    assert_eq!(pair.link.look, LinkLook::Streaming);
    assert_eq!(pair.lag_by_standby.as_ref().unwrap().lag.entries, 8);
    assert_eq!(pair.lag_by_primary.as_ref().unwrap().lag.entries, 9);
    assert_eq!(pair.disagreement, None);
    assert_eq!(pair.left.health(NOW), Health::Well);
    assert_eq!((pair.left.answering(), pair.left.size()), (3, 3));
    assert_eq!(world.alarms(NOW), []);
}

#[test]
fn two_fresh_regions_are_unlinked_not_split() {
    let world = unlinked();
    let pair = world.pair(0, NOW).unwrap();
    assert_eq!((pair.link.look, pair.primary_is_left), (LinkLook::Unlinked, None));
    assert!(!world.alarms(NOW).iter().any(|alarm| alarm.text.contains("SPLIT")));
}

#[test]
fn two_primaries_of_the_same_data_are_a_split_brain_and_the_higher_epoch_leads() {
    let world = split_brain();
    let pair = world.pair(0, NOW).unwrap();
    assert!(pair.is_split_brain());
    assert_eq!(pair.primary().unwrap().name, "eu-west-1");
    let worst = &world.alarms(NOW)[0];
    assert_eq!(worst.level, EventLevel::Alarm);
    assert!(worst.text.starts_with("SPLIT BRAIN: us-east-1 (epoch 3) and eu-west-1 (epoch 4)"), "{}", worst.text);
}

#[test]
fn a_dark_region_keeps_what_it_said_and_the_link_is_what_the_other_side_says() {
    let world = dark_standby();
    let pair = world.pair(0, NOW).unwrap();
    assert_eq!(pair.right.health(NOW), Health::Dark);
    assert_eq!(pair.right.read(NOW).unwrap().value.entries, 31_405);
    assert_eq!(pair.link.look, LinkLook::Connecting);
    assert_eq!(pair.lag().unwrap().lag.entries, 2_104, "the primary's account is newer");
    assert!(world.alarms(NOW)[0].text.contains("eu-west-1 (standby) does not answer: last heard 41s ago"));
}

#[test]
fn the_head_of_a_dark_primary_is_old_and_its_lag_says_so() {
    let world = dark_primary();
    let pair = world.pair(0, NOW).unwrap();
    assert_eq!(pair.primary().unwrap().name, "us-east-1");
    let lag = pair.lag_by_standby.as_ref().unwrap();
    assert!(lag.age.as_secs() >= 40, "{:?}", lag.age);
}

#[test]
fn a_lost_node_of_a_region_is_a_warning_and_a_lost_report_forgets_nothing() {
    let mut world = streaming();
    let mut report = NodeReport::new(address(EU, 1));
    report.contact = Contact::Gone { since: NOW, error: "timeout".into(), attempts: 1, retry_at: None };
    world.take_all([report]);
    let later = UnixMs(NOW.0 + 2_000);
    assert!(world.alarms(later)[0].text.contains("node eu-west-1b of eu-west-1 does not answer"));
    assert_eq!(world.regions()[1].health(later), Health::Degraded);
}

#[test]
fn a_node_that_never_answered_is_counted_to_the_region_that_names_it() {
    let mut reports = vec![NodeReport::new("http://10.2.2.3:8200"), NodeReport::new("http://10.9.9.9:8200")];
    reports.push(up(status(EU, crate::api::replication::Role::Standby, Default::default()), Default::default()));
    let world = world(reports);
    let regions = world.regions();
    assert_eq!(regions.iter().map(|region| region.name.as_str()).collect::<Vec<_>>(), ["eu-west-1", "10.9.9.9:8200"]);
    assert_eq!(regions[0].nodes.len(), 2);
}

#[test]
fn sides_that_contradict_each_other_are_named() {
    let mut us = status(US, crate::api::replication::Role::Primary, Default::default());
    us.links[0].lag.as_mut().unwrap().entries = 5_000;
    let eu = status(EU, crate::api::replication::Role::Standby, Default::default());
    let world = world([up(us, Default::default()), up(eu, Default::default())]);
    let words = world.pair(0, NOW).unwrap().disagreement.unwrap();
    assert!(words.contains("eu-west-1 says 8 entries, us-east-1 says 5 000 entries"), "{words}");
}

#[test]
fn of_several_pairs_in_view_a_region_is_shown_with_its_own_partner() {
    // Two standbys of other primaries come first and last: the selected one follows us-east-1.
    let mut other = fixtures::status(fixtures::US, Role::Primary, Duration::ZERO);
    other.region.id = crate::ids::RegionId([7; 16]);
    other.region.name = "ap-south-1".into();
    other.region.api_addr = "http://10.7.7.1:8200".into();
    other.epoch = crate::ids::Epoch(9);
    (other.links, other.nodes) = (Vec::new(), Vec::new());
    let mut world = fixtures::streaming();
    world.take_all([fixtures::up(other, Duration::ZERO)]);
    let at = world.regions().iter().position(|region| region.name == "eu-west-1").unwrap();
    let pair = world.pair(at, NOW).unwrap();
    assert_eq!(pair.primary().map(|region| region.name.as_str()), Some("us-east-1"));
}

#[test]
fn a_node_that_was_replaced_is_no_node_that_does_not_answer() {
    use std::time::Duration;
    let mut us = fixtures::status(US, Role::Primary, Duration::ZERO);
    let old = fixtures::gone(
        {
            let mut old = us.clone();
            old.region.node = us.nodes[2].name.clone();
            old.region.api_addr = us.nodes[2].api_addr.clone();
            old
        },
        Duration::from_secs(90),
    );
    // Before the region says otherwise it is a node that does not answer.
    let mut world = fixtures::world([fixtures::up(us.clone(), Duration::ZERO), old.clone()]);
    assert_eq!((world.regions()[0].nodes.len(), world.all_answer()), (2, false));
    assert!(world.alarms(NOW).iter().any(|alarm| alarm.text.contains("us-east-1c")));
    // Replaced by a node of another name at another address.
    us.nodes[2].name = "us-east-1d".into();
    us.nodes[2].api_addr = "http://10.1.1.9:8200".into();
    world.take_all([fixtures::up(us.clone(), Duration::ZERO)]);
    let region = &world.regions()[0];
    assert_eq!((region.nodes.len(), region.left.len(), region.size()), (1, 1, 3));
    assert!(!world.alarms(NOW).iter().any(|alarm| alarm.text.contains("us-east-1c")), "{:?}", world.alarms(NOW));
    // It comes back: whoever answers is in view.
    let mut back = old;
    back.contact = crate::console::domain::Contact::Up { since: NOW };
    world.take_all([back]);
    assert_eq!(world.regions()[0].left.len(), 0);
}

#[test]
fn a_node_that_was_removed_before_it_ever_answered_is_no_region_of_its_own() {
    use std::time::Duration;
    let mut us = fixtures::status(US, Role::Primary, Duration::ZERO);
    let never = NodeReport {
        contact: crate::console::domain::Contact::Gone {
            since: NOW,
            error: "refused".into(),
            attempts: 3,
            retry_at: None,
        },
        ..NodeReport::new(fixtures::address(US, 2))
    };
    let mut world = fixtures::world([fixtures::up(us.clone(), Duration::ZERO), never]);
    assert_eq!(world.regions()[0].nodes.len(), 2);
    us.nodes.truncate(2);
    world.take_all([fixtures::up(us, Duration::ZERO)]);
    assert_eq!((world.regions().len(), world.regions()[0].left.len()), (1, 1));
}

#[test]
fn what_gave_up_is_one_alarm_and_a_node_that_can_not_lead_is_named() {
    let alarms = fixtures::gave_up().alarms(NOW);
    let of_us = alarms.iter().filter(|alarm| alarm.text.starts_with("us-east-1")).collect::<Vec<_>>();
    assert_eq!(of_us.len(), 1, "{alarms:?}");
    assert!(of_us[0].level == EventLevel::Alarm && of_us[0].text.contains("gave up to eu-west-1"), "{alarms:?}");
    let mut world = fixtures::streaming();
    let mut us = fixtures::status(fixtures::US, crate::api::replication::Role::Primary, std::time::Duration::ZERO);
    us.nodes[2].sealed = Some(true);
    world.take_all([fixtures::up(us, std::time::Duration::ZERO)]);
    let alarms = world.alarms(NOW);
    assert!(alarms[0].text.contains("us-east-1c of us-east-1 is sealed"), "{alarms:?}");
}

#[test]
fn what_a_fenced_region_waits_for_is_said() {
    let world = fixtures::fenced_behind_a_pause();
    let pair = world.pair(0, NOW).unwrap();
    assert_eq!(pair.fenced_waits_for("us-east-1").as_deref(), Some("link is paused"));
    assert_eq!(pair.fenced_waits_for("eu-west-1"), None, "the primary waits for nobody");
    let world = fixtures::left_behind();
    let pair = world.pair(0, NOW).unwrap();
    assert_eq!(pair.fenced_waits_for("us-east-1").as_deref(), Some("2 undecided"));
}
