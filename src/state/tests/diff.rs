//! Random histories of a primary and a standby that patches what differs while the primary writes: whenever the
//! standby is whole it holds what the primary held at that position, whatever it held before.

use super::region::*;
use crate::ids::{Position, SyncId};
use crate::state::diff::Named;
use crate::state::merkle::{FAN, LEAVES};
use crate::state::*;
use proptest::prelude::*;

/// The buckets that differ between two regions, found as a walk finds them, and the newest position of the primary's nodes.
fn differing(primary: &Region, standby: &Region) -> (Vec<u16>, Position) {
    let (mut open, mut buckets, mut read_at) = (vec![1_u32], Vec::new(), Position::ZERO);
    while let Some(parent) = open.pop() {
        let ((at, theirs), (_, ours)) = (primary.state.nodes(&[parent]), standby.state.nodes(&[parent]));
        read_at = read_at.max(at);
        for child in (0..FAN).filter(|child| theirs[0].below[*child] != ours[0].below[*child]) {
            let child = parent as usize * FAN + child;
            match child.checked_sub(LEAVES) {
                Some(bucket) => buckets.push(bucket as u16),
                None => open.push(child as u32),
            }
        }
    }
    buckets.sort_unstable();
    (buckets, read_at)
}

/// One patch of all that differs in some buckets.
fn patch(primary: &Region, standby: &Region, buckets: &[u16], read_at: Position, then: Then) -> Command {
    let sync = standby.state.path().sync.expect("a sync is under way");
    let (mut puts, mut deletes) = (Vec::new(), Vec::new());
    let mut read_at = read_at;
    if !buckets.is_empty() {
        let held = standby.state.held(buckets, usize::MAX).unwrap();
        let name = |(bucket, entries): &(u16, Vec<(_, _)>)| Named {
            bucket: *bucket,
            entries: entries.iter().map(|(name, _)| *name).collect(),
        };
        let named: Vec<Named> = held.buckets.iter().map(name).collect();
        let unnamed = primary.state.unnamed(&named, &[], ScanLimit::NONE).unwrap();
        assert_eq!(unnamed.through, None);
        let is_gone = |key: &bytes::Bytes| !unnamed.entries.iter().any(|(put, _)| put == key);
        let entries = held.buckets.iter().flat_map(|(_, entries)| entries);
        let gone = entries.filter(|(name, key)| !unnamed.found.contains(name) && is_gone(key));
        deletes = gone.map(|(_, key)| key.clone()).collect();
        puts = unnamed.entries;
        read_at = read_at.max(unnamed.read_at);
    }
    Command::Patch(Patch { sync: sync.id, number: sync.patches, puts, deletes, read_at, left: 0, then })
}

fn diff_sync(primary: &Region) -> Command {
    let Command::Region(mut change) = primary.begin_sync() else { unreachable!("it is a change of the path") };
    let Some(PathChange::BeginSync { sync, .. }) = &mut change.path else { unreachable!("a sync begins") };
    sync.kind = SyncKind::Diff;
    Command::Region(change)
}

fn op() -> impl Strategy<Value = Op> {
    let key = prop::sample::select(vec!["a", "b", "c", "d", "e", "f"]);
    (key, prop::option::weighted(0.6, "[x-z]{0,3}")).prop_map(|(key, value)| match value {
        Some(value) => put(key, &value),
        None => delete(key),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn patches_from_different_moments_and_the_log_behind_them_converge(
        before in prop::collection::vec(op(), 0..12),
        between in prop::collection::vec(op(), 0..6),
        meanwhile in prop::collection::vec(op(), 0..6),
        room in 1..4_usize,
    ) {
        let write = |region: &Region, ops: &[Op]| ops.iter().for_each(|op| drop(region.write(&[std::slice::from_ref(op)])));
        let primary = Region::primary(1);
        write(&primary, &before);
        let standby = Region::standby(&primary, 0);
        standby.takes(&diff_sync(&primary));
        write(&primary, &between);
        let (buckets, read_at) = differing(&primary, &standby);
        for (at, some) in buckets.chunks(room).enumerate() {
            standby.takes(&patch(&primary, &standby, some, read_at, Then::Patches));
            if at == 0 {
                write(&primary, &meanwhile);
            }
        }
        standby.takes(&patch(&primary, &standby, &[], read_at, Then::Log));
        let whole_at = standby.state.path().sync.map(|sync| sync.whole_at);
        let from = standby.state.path().applied.index + 1;
        standby.takes(&Command::Follow { entries: primary.state.wal(from, ScanLimit::NONE).unwrap() });
        prop_assert!(standby.state.path().is_whole(), "whole at {whole_at:?}");
        standby.equals(&primary);
    }
}

#[test]
fn a_patch_is_taken_once_in_its_turn_and_in_its_own_sync() {
    let primary = Region::primary(1);
    primary.write(&[&[put("a", "x")], &[put("b", "x")]]);
    let standby = Region::standby(&primary, 0);
    let none = |number, read_at| {
        let sync = standby.state.path().sync.unwrap().id;
        Patch { sync, number, puts: Vec::new(), deletes: Vec::new(), read_at, left: 0, then: Then::Patches }
    };
    let head = primary.state.path().applied;
    standby.refuses(&Command::Patch(none(0, head)));
    standby.takes(&diff_sync(&primary));
    standby.refuses(&Command::Copy(primary.chunk(&standby, 1)));
    standby.refuses(&Command::Patch(none(0, at(1, 1))));
    standby.refuses(&Command::Patch(Patch { sync: SyncId([9; 16]), ..none(0, head) }));
    standby.refuses(&Command::Patch(none(1, head)));
    standby.takes(&Command::Patch(none(0, head)));
    standby.refuses(&Command::Patch(none(0, head)));
    standby.takes(&Command::Patch(none(1, head)));
}

#[test]
fn what_is_held_keeps_within_its_room_but_for_one_bucket() {
    let region = Region::primary(1);
    let keys: Vec<String> = (0..50).map(|number| format!("key {number}")).collect();
    for key in &keys {
        region.write(&[&[put(key, "x")]]);
    }
    let mut buckets: Vec<u16> = keys.iter().map(|key| merkle::Merkle::bucket(key.as_bytes()) as u16).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let all = region.state.held(&buckets, usize::MAX).unwrap();
    assert_eq!(all.buckets.len(), buckets.len());
    let few = region.state.held(&buckets, 500).unwrap();
    assert!(few.buckets.len() < 5 && few.buckets == all.buckets[..few.buckets.len()]);
    assert_eq!(region.state.held(&buckets, 0).unwrap().buckets, all.buckets[..1]);
}
