//! The applied state under test: stories of single commands here, random histories in the modules below.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod crash;
mod diff;
mod ledger;
mod region;
mod scrub;
mod sync;

use super::*;
use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, RegionId};
use crate::storage::keys::Key;
use crate::storage::{Store, WriteBatch};
use bytes::Bytes;
use region::*;

#[test]
fn writes_are_numbered_one_by_one() {
    let primary = Region::primary(1);
    let outcome = primary.write(&[&[put("a", "1")], &[put("b", "1"), put("c", "1")]]);
    assert_eq!(outcome, Outcome::Written { first: at(1, 1), last: at(1, 2) });
    assert_eq!(primary.write(&[&[delete("a")]]), Outcome::Written { first: at(1, 3), last: at(1, 3) });
    assert_eq!(primary.keys(), [("b", at(1, 2)), ("c", at(1, 2))].map(|(key, position)| (key.into(), position)));
    let wal = primary.state.wal(2, ScanLimit::NONE).unwrap();
    assert_eq!(wal.iter().map(|entry| entry.position).collect::<Vec<_>>(), [at(1, 2), at(1, 3)]);
    assert_eq!(primary.state.path().totals.entries(), 3);
    primary.check();
}

#[test]
fn a_batch_sees_what_the_ones_before_it_in_the_same_command_did() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "1")], &[put("a", "22")], &[delete("a")], &[put("a", "4444")], &[delete("b")]]);
    assert_eq!(primary.keys(), [("a".into(), at(1, 4))]);
    primary.check();
    primary.write(&[&[delete("a")], &[delete("a")]]);
    assert_eq!((primary.state.path().entries, primary.state.path().bytes), (0, 0));
    primary.check();
}

#[test]
fn refusals_change_nothing() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "1")]]);
    let batches = vec![batch(&[put("a", "2")])];
    let write = |term, epoch| Command::Write { term, epoch: Epoch(epoch), batches: batches.clone() };
    primary.refuses(&Command::Follow { entries: vec![] });
    primary.refuses(&write(TERM + 1, 1));
    primary.refuses(&write(TERM, 2));
    primary.refuses(&Command::Copy(CopyChunk {
        sync: Default::default(),
        after: Bytes::new(),
        through: None,
        entries: vec![],
        read_at: at(1, 1),
    }));
    let guarded = |expect: Option<&'static str>, path| {
        Command::Region(RegionChange {
            expect: vec![("a record".into(), expect.map(Bytes::from))],
            puts: vec![("a record".into(), Some("new".into())), ("another".into(), Some("new".into()))],
            path,
        })
    };
    primary.refuses(&guarded(Some("old"), None));
    primary.refuses(&guarded(None, Some(PathChange::Initialise { dataset: DatasetId([7; 16]) })));
    primary.refuses(&guarded(
        None,
        Some(PathChange::Promote { epoch: Epoch(2), at: UnixMs(0), by: RegionId::default(), from: None }),
    ));

    primary.takes(&guarded(None, None));
    primary.takes(&Command::Region(RegionChange::path(PathChange::Fence {
        by_epoch: Epoch(5),
        at: UnixMs(0),
        primary: None,
    })));
    primary.refuses(&write(TERM, 1));
    primary.refuses(&write(TERM, 5));
    assert_eq!(primary.state.path().fence.unwrap().reached, at(1, 1));
}

#[test]
fn follow_skips_what_is_applied_and_refuses_gaps_and_other_lines() {
    let primary = Region::primary(1);
    for number in 0..6 {
        primary.write(&[&[put("k", &number.to_string())]]);
    }
    let wal = primary.state.wal(1, ScanLimit::NONE).unwrap();
    let standby = Region::copy_of(&primary, 0);
    let follow = |entries: &[WalEntry]| Command::Follow { entries: entries.to_vec() };
    standby.refuses(&follow(&wal[1..]));
    assert_eq!(standby.apply(&follow(&wal[..3])), Outcome::Followed { applied: at(1, 3) });
    assert_eq!(standby.apply(&follow(&wal[..3])), Outcome::Followed { applied: at(1, 3) });
    assert_eq!(standby.apply(&follow(&wal[1..5])), Outcome::Followed { applied: at(1, 5) });
    assert_eq!(standby.apply(&follow(&[])), Outcome::Followed { applied: at(1, 5) });
    standby.refuses(&follow(&[wal[4].clone(), WalEntry { position: at(1, 7), ..wal[5].clone() }]));
    // What no engine stores is refused by every node alike, instead of ending each of them at each start.
    for key in ["".to_owned(), "k".repeat(9_000), "k".repeat(70_000)] {
        let batch = Batch { ops: vec![put(&key, "x")], ..wal[5].batch.clone() };
        standby.refuses(&follow(&[WalEntry { batch, ..wal[5].clone() }]));
        let batch = Batch { ops: vec![Op::Delete { key: key.into() }], ..wal[5].batch.clone() };
        standby.refuses(&follow(&[WalEntry { batch, ..wal[5].clone() }]));
    }
    standby.check();

    // Another region was promoted where it held five entries: the old primary's sixth is of no line any more.
    let history = vec![EpochStart::new(1, 1), EpochStart::new(2, 6)];
    standby.takes(&Command::Region(RegionChange::path(PathChange::FollowPrimary {
        epoch: Epoch(2),
        history,
        primary: known_primary(),
    })));
    standby.refuses(&follow(&wal[5..]));
    standby.refuses(&follow(&[WalEntry { position: at(2, 5), ..wal[4].clone() }]));
    standby.refuses(&follow(&[WalEntry { position: at(3, 6), ..wal[5].clone() }]));
    let next = WalEntry { position: at(2, 6), ..wal[5].clone() };
    assert_eq!(standby.apply(&follow(&[wal[4].clone(), next])), Outcome::Followed { applied: at(2, 6) });
    standby.check();
}

#[test]
fn a_standby_does_not_follow_a_line_that_lacks_what_it_holds() {
    let primary = Region::primary(1);
    for number in 0..6 {
        primary.write(&[&[put(&format!("k{number}"), "v")]]);
    }
    let forked_at = |first_index| {
        Command::Region(RegionChange::path(PathChange::FollowPrimary {
            epoch: Epoch(2),
            history: vec![EpochStart::new(1, 1), EpochStart::new(2, first_index)],
            primary: known_primary(),
        }))
    };
    let standby = Region::copy_of(&primary, 4);
    standby.refuses(&forked_at(4));
    standby.takes(&forked_at(5));

    // In the middle of a sync it holds what was copied, which may be newer than what it has applied.
    let syncing = Region::standby(&primary, 2);
    syncing.takes(&Command::Copy(primary.chunk(&syncing, 2)));
    syncing.refuses(&forked_at(4));
    syncing.takes(&forked_at(7));
}

#[test]
fn chunks_must_continue_the_copy_and_keep_to_their_ends() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1")]]);
    let standby = Region::standby(&primary, 1);
    let first = primary.chunk(&standby, 2);
    let changed = |change: fn(&mut CopyChunk)| {
        let mut chunk = first.clone();
        change(&mut chunk);
        Command::Copy(chunk)
    };
    standby.refuses(&changed(|chunk| chunk.sync = crate::ids::SyncId([9; 16])));
    standby.refuses(&changed(|chunk| chunk.after = "a".into()));
    standby.refuses(&changed(|chunk| chunk.entries.reverse()));
    standby.refuses(&changed(|chunk| chunk.entries[1].0 = "a".into()));
    standby.refuses(&changed(|chunk| chunk.through = Some("a".into())));
    standby.refuses(&changed(|chunk| chunk.through = Some("".into())));
    let entries = primary.state.wal(1, ScanLimit::NONE).unwrap();
    standby.refuses(&Command::Follow { entries });

    assert_eq!(standby.apply(&Command::Copy(first.clone())), Outcome::Copied { cursor: "b".into(), applied: at(1, 1) });
    standby.refuses(&Command::Copy(first));
    assert!(!standby.state.path().is_whole());
    standby.takes(&Command::Copy(primary.chunk(&standby, 100)));
    assert!(standby.state.path().is_whole());
    standby.equals(&primary);
}

#[test]
fn the_log_is_trimmed_from_its_front() {
    let region = Region::primary(1);
    for _ in 0..10 {
        region.write(&[&[put("k", "v")]]);
    }
    let first_left = || region.state.wal(0, ScanLimit::entries(1)).unwrap().first().map(|entry| entry.position.index);
    for (below, left) in [(0, Some(1)), (4, Some(4)), (4, Some(4)), (2, Some(4)), (100, None), (100, None)] {
        region.takes(&Command::TrimWal { below });
        assert_eq!(first_left(), left);
        region.check();
    }
    region.write(&[&[put("k", "v")]]);
    assert_eq!(region.state.path().wal_first, 11);
    region.check();
}

#[test]
fn a_promoted_standby_goes_on_where_it_stopped() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "1")], &[put("b", "1")]]);
    let standby = Region::copy_of(&primary, 2);
    let promote = |epoch| {
        Command::Region(RegionChange::path(PathChange::Promote {
            epoch,
            at: UnixMs(1),
            by: RegionId::default(),
            from: None,
        }))
    };
    standby.refuses(&promote(Epoch(1)));
    standby.takes(&promote(Epoch(3)));
    assert_eq!(standby.write(&[&[put("c", "1")]]), Outcome::Written { first: at(3, 3), last: at(3, 3) });
    assert_eq!(standby.state.path().history, [EpochStart::new(1, 1), EpochStart::new(3, 3)]);
    standby.check();

    // The old primary wrote on meanwhile, and now takes over what the new one holds.
    primary.write(&[&[put("lost", "1")], &[delete("a")], &[put("lost too", "1")]]);
    let change = |step| Command::Region(RegionChange::path(step));
    primary.takes(&change(PathChange::Fence { by_epoch: Epoch(3), at: UnixMs(2), primary: None }));
    primary.takes(&keep(at(1, 2)));
    primary.takes(&change(PathChange::AllowRejoin(Rejoin { at: UnixMs(3), reason: Some("known".into()), to: None })));
    primary.takes(&standby.begin_sync());
    primary.copy_all(&standby, 1);
    primary.equals(&standby);
}

#[test]
fn a_region_that_is_not_what_its_record_counts_does_not_open() {
    let region = Region::primary(1);
    region.write(&[&[put("a", "1"), put("b", "1")]]);
    let mut torn = crate::storage::WriteBatch::new();
    torn.delete(Tree::Data, "a");
    region.store.write(torn).unwrap();
    assert!(State::open(region.store.clone(), "default").is_err());
}

/// Longer than one batch takes away, and partly gone already, as after a crash in the middle of it.
#[test]
fn a_long_log_goes_when_a_region_takes_over_anothers_data() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "1")]]);
    let begin = primary.begin_sync();
    let standby = |gone: u64| {
        let standby = Region::primary(99);
        let ops = [put("b", "own")];
        standby.write(&vec![&ops[..]; 10_000]);
        let mut batch = WriteBatch::new();
        (1..=gone).for_each(|index| batch.delete(Tree::Wal, Key::Wal(index).to_bytes()));
        standby.store.write(batch).unwrap();
        standby.takes(&begin);
        standby
    };
    let (calm, crashed) = (standby(0), standby(8_000));
    assert_eq!(calm.state.wal(1, ScanLimit::NONE).unwrap(), []);
    assert_eq!(calm.state.path().wal_bytes, 0);
    assert_eq!(crashed.dump(), calm.dump());
}
