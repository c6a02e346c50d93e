//! A stored value that changes by itself is found, and counts as what the disk holds from then on.

use super::region::*;
use crate::clock::UnixMs;
use crate::ids::{Epoch, RegionId};
use crate::state::scrub::Correction;
use crate::state::*;
use crate::storage::{Store, WriteBatch};

/// Changes what the disk holds, behind the back of the state.
fn behind_its_back(region: &Region, key: &str, value: Option<&str>) {
    let stored = |value: &str| Stored { position: at(1, 1), value: value.to_owned().into() }.to_bytes();
    let mut batch = WriteBatch::new();
    match value {
        Some(value) => batch.put(Tree::Data, key.to_owned(), stored(value)),
        None => batch.delete(Tree::Data, key.to_owned()),
    }
    region.store.write(batch).unwrap();
}

#[test]
fn a_disk_that_holds_what_was_applied_has_no_bucket_that_differs() {
    let region = Region::primary(1);
    region.write(&[&[put("a", "x")], &[put("b", "x"), put("c", "x")]]);
    let frozen = region.state.freeze().unwrap();
    region.write(&[&[delete("a"), put("d", "y")]]);
    assert_eq!(region.state.scrub(&frozen, Correction::Correct).unwrap(), 0);
    assert_eq!(frozen.at(), at(1, 2));
}

/// The nodes of a region apply one command alike, though one of them found its disk damaged.
#[test]
fn a_promotion_is_applied_by_a_node_that_corrected_its_counts_as_by_the_others() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "x"), put("b", "x")]]);
    let (sound, damaged) = (Region::copy_of(&primary, 1), Region::copy_of(&primary, 1));
    behind_its_back(&damaged, "b", None);
    let frozen = damaged.state.freeze().unwrap();
    assert_eq!(damaged.state.scrub(&frozen, Correction::Correct).unwrap(), 1);
    assert_ne!(damaged.state.path().entries, sound.state.path().entries);
    let from = Some(damaged.state.path().without_counts());
    let promote = PathChange::Promote { epoch: Epoch(2), at: UnixMs(1), by: RegionId([2; 16]), from };
    for region in [&damaged, &sound] {
        region.takes(&Command::Region(RegionChange::path(promote.clone())));
        assert_eq!(region.state.path().role, Role::Primary);
    }
    let again = Command::Region(RegionChange::path(promote));
    assert!(matches!(sound.apply(&again), Outcome::Refused(Refusal::Overtaken)));
}

#[test]
fn what_the_disk_holds_is_what_counts_after_a_correction_and_what_is_applied_meanwhile_counts_too() {
    let region = Region::primary(1);
    region.write(&[&[put("a", "x"), put("b", "x"), put("c", "x")]]);
    behind_its_back(&region, "a", Some("z"));
    behind_its_back(&region, "b", None);
    let frozen = region.state.freeze().unwrap();
    region.write(&[&[put("c", "y"), put("d", "longer")]]);
    let before = region.state.root();
    assert_eq!(region.state.scrub(&frozen, Correction::Keep).unwrap(), 2);
    assert_eq!(region.state.root(), before, "what was applied stays what counts");
    assert_eq!(region.state.scrub(&frozen, Correction::Correct).unwrap(), 2);
    let (corrected, path) = (region.state.root(), region.state.path());
    // The next command stores the record with the corrected counts.
    region.write(&[&[]]);
    region.state.reload().expect("the counts are those of the disk");
    assert_eq!((region.state.root().1, region.state.path().entries), (corrected.1, path.entries));
}
