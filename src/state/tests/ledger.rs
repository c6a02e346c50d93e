//! A region that left its line: what its ledger keeps, and what must be so before it may leave.

use super::region::*;
use crate::clock::UnixMs;
use crate::ids::{Epoch, Position, RegionId};
use crate::state::ledger::Accept;
use crate::state::*;

fn step(step: PathChange) -> Command {
    Command::Region(RegionChange::path(step))
}

fn rejoin(reason: Option<&str>) -> Command {
    step(PathChange::AllowRejoin(Rejoin { at: UnixMs(7), reason: reason.map(str::to_owned), to: None }))
}

fn ids(region: &Region) -> Vec<String> {
    let entries = region.state.ledger_entries(None, ScanLimit::NONE).unwrap();
    entries.iter().map(|(id, _)| id.to_string()).collect()
}

fn ledger(region: &Region) -> LedgerState {
    region.state.path().ledger.unwrap()
}

/// An old primary that wrote `total` batches, `shared` of which the promoted one has, and that is fenced.
fn met_again(shared: u64, total: u64) -> (Region, Region) {
    let old = Region::primary(1);
    for number in 1..=total {
        old.write(&[&[put(&format!("k{number}"), "v")]]);
    }
    let new = Region::copy_of(&old, shared);
    new.takes(&step(PathChange::Promote { epoch: Epoch(2), at: UnixMs(1), by: RegionId([2; 16]), from: None }));
    new.write(&[&[put("new", "v")]]);
    old.takes(&step(PathChange::Fence { by_epoch: Epoch(2), at: UnixMs(2), primary: None }));
    (old, new)
}

#[test]
fn a_fenced_region_leaves_its_line_only_with_a_ledger_and_its_operators_word() {
    let (old, new) = met_again(2, 5);
    assert_eq!(old.state.path().diverged(&new.state.path().history), Some(at(1, 2)));
    old.refuses(&new.begin_sync());
    old.refuses(&rejoin(None));
    assert!(!old.state.path().is_ledger_whole(), "no ledger yet is not an empty one");
    old.takes(&keep(at(1, 2)));
    assert!(old.state.path().is_ledger_whole());
    assert_eq!(ids(&old), ["1/1:3", "1/1:4", "1/1:5"]);
    old.refuses(&new.begin_sync());

    old.refuses(&rejoin(None));
    let discarded = Review::Discarded { at: UnixMs(6), reason: "known".into() };
    let one = LedgerId { number: 1, position: at(1, 3) };
    old.takes(&Command::Review { reviews: vec![(one, discarded.clone()), (one, discarded.clone())] });
    assert_eq!(ledger(&old).unreviewed, 2);
    // What was decided stays so.
    let replayed = Review::Replayed { at: UnixMs(7), position: at(2, 9) };
    old.takes(&Command::Review { reviews: vec![(one, replayed)] });
    assert_eq!(old.state.ledger_entry(one).unwrap().unwrap().review, discarded);
    old.refuses(&rejoin(None));
    old.takes(&rejoin(Some("the rest is of no use")));
    old.takes(&new.begin_sync());
    old.copy_all(&new, 2);
    old.equals(&new);
    let kept = ledger(&old);
    assert_eq!((kept.entries(), kept.unreviewed, kept.missing, kept.left), (3, 2, 0, true));
    assert_eq!(ids(&old).len(), 3, "the ledger outlives the rejoin");
}

#[test]
fn a_reviewed_ledger_needs_no_reason() {
    let (old, new) = met_again(4, 5);
    old.takes(&keep(at(1, 4)));
    let id = LedgerId { number: 1, position: at(1, 5) };
    let conflicts = vec![Conflict { key: "k5".into(), position: Some(at(2, 5)), at: None }];
    old.takes(&Command::Review { reviews: vec![(id, Review::Unreviewed { conflicts })] });
    old.refuses(&rejoin(None));
    old.takes(&Command::Review { reviews: vec![(id, Review::Replayed { at: UnixMs(1), position: at(2, 6) })] });
    old.takes(&rejoin(None));
    old.takes(&new.begin_sync());
}

#[test]
fn what_the_log_no_longer_holds_is_known_by_number() {
    let old = Region::primary(1);
    for number in 1..=5 {
        old.write(&[&[put(&format!("k{number}"), "v")]]);
    }
    old.takes(&Command::TrimWal { below: 4 });
    old.takes(&step(PathChange::Fence { by_epoch: Epoch(2), at: UnixMs(2), primary: None }));
    old.takes(&Command::TrimWal { below: 6 });
    old.takes(&keep(at(1, 2)));
    assert_eq!((ledger(&old).missing, ids(&old)), (1, vec!["1/1:4".into(), "1/1:5".into()]));
    assert!(ledger(&old).keeps(at(1, 2), at(1, 5)));
}

#[test]
fn a_deeper_fork_adds_to_the_same_ledger_and_a_second_stay_opens_the_next() {
    let (old, new) = met_again(3, 5);
    old.takes(&keep(at(1, 3)));
    let id = LedgerId { number: 1, position: at(1, 5) };
    let discarded = Review::Discarded { at: UnixMs(6), reason: "known".into() };
    old.takes(&Command::Review { reviews: vec![(id, discarded.clone())] });
    old.takes(&keep(at(1, 1)));
    assert_eq!(ids(&old), ["1/1:2", "1/1:3", "1/1:4", "1/1:5"]);
    assert_eq!(old.state.ledger_entry(id).unwrap().unwrap().review, discarded);
    assert_eq!((ledger(&old).unreviewed, ledger(&old).fork), (3, at(1, 1)));
    old.takes(&keep(at(1, 3)));
    old.takes(&rejoin(Some("known")));
    old.takes(&new.begin_sync());
    old.copy_all(&new, 5);

    // Promoted again, and left behind again.
    old.takes(&step(PathChange::Promote { epoch: Epoch(3), at: UnixMs(1), by: RegionId([1; 16]), from: None }));
    old.write(&[&[put("again", "v")]]);
    old.takes(&step(PathChange::Demote { at: UnixMs(2), reason: "the other one stays".into() }));
    assert_eq!(old.state.path().fence.unwrap().demoted.as_deref(), Some("the other one stays"));
    old.takes(&keep(at(2, 4)));
    assert_eq!(ids(&old).last().unwrap(), "2/3:5");
    assert_eq!((ledger(&old).number, ledger(&old).unreviewed, ledger(&old).older_unreviewed), (2, 1, 3));
}

#[test]
fn a_standby_that_received_more_keeps_it_and_goes_by_itself() {
    let old = Region::primary(1);
    for number in 1..=5 {
        old.write(&[&[put(&format!("k{number}"), "v")]]);
    }
    let (new, ahead) = (Region::copy_of(&old, 3), Region::copy_of(&old, 5));
    new.takes(&step(PathChange::Promote { epoch: Epoch(2), at: UnixMs(1), by: RegionId([2; 16]), from: None }));
    ahead.refuses(&new.begin_sync());
    ahead.takes(&keep(at(1, 3)));
    ahead.takes(&new.begin_sync());
    ahead.copy_all(&new, 2);
    ahead.equals(&new);
    assert_eq!(ids(&ahead), ["1/1:4", "1/1:5"]);
}

#[test]
fn two_primaries_of_one_epoch_are_two_lines() {
    let old = Region::primary(1);
    old.write(&[&[put("shared", "v")]]);
    let (one, other) = (Region::copy_of(&old, 1), Region::copy_of(&old, 1));
    for (region, by) in [(&one, 2), (&other, 3)] {
        region.takes(&step(PathChange::Promote { epoch: Epoch(2), at: UnixMs(1), by: RegionId([by; 16]), from: None }));
        region.write(&[&[put("k", &by.to_string())]]);
    }
    assert_eq!(one.state.path().diverged(&other.state.path().history), Some(at(1, 1)));
    one.refuses(&step(PathChange::Demote { at: UnixMs(1), reason: String::new() }));
    one.refuses(&other.begin_sync());
    one.takes(&step(PathChange::Demote { at: UnixMs(1), reason: "two of them".into() }));
    one.refuses(&step(PathChange::Demote { at: UnixMs(1), reason: "two of them".into() }));
    one.takes(&keep(at(1, 1)));
    one.takes(&rejoin(Some("known")));
    one.takes(&other.begin_sync());
    one.copy_all(&other, 1);
    one.equals(&other);
    assert_eq!(ids(&one), ["1/2:2"]);
}

#[test]
fn an_accepted_entry_is_written_once_and_never_over_something_newer() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "1")], &[put("b", "1")]]);
    let accept = |as_of: Position, index, op| {
        let entries = vec![(index, batch(&[op]))];
        Command::Accept(Accept { epoch: Epoch(1), as_of, origin: RegionId([4; 16]), number: 1, entries })
    };
    assert_eq!(
        primary.apply(&accept(at(1, 2), 7, put("a", "theirs"))),
        Outcome::Written { first: at(1, 3), last: at(1, 3) }
    );
    primary.refuses(&accept(at(1, 3), 7, put("a", "theirs")));
    assert_eq!(primary.state.accepted(RegionId([4; 16]), 1).unwrap(), [(7, at(1, 3))]);
    assert_eq!(primary.state.accepted(RegionId([4; 16]), 2).unwrap(), []);

    primary.refuses(&accept(at(1, 2), 8, put("a", "later")));
    primary.write(&[&[delete("never there")]]);
    primary.refuses(&accept(at(1, 3), 8, put("never there", "v")));
    primary.takes(&accept(at(1, 3), 8, put("b", "later")));
    primary.takes(&Command::TrimWal { below: 5 });
    primary.refuses(&accept(at(1, 2), 9, put("c", "later")));
    primary.check();
}
