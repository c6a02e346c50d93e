//! Random histories of a primary and a standby that copies while the primary writes: whenever the standby is whole it
//! holds what the primary held at that position.

use super::region::*;
use crate::state::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// The primary writes a batch.
    Write(Vec<Op>),
    /// The standby begins to copy; again, if it had begun.
    Begin,
    /// The standby takes the next stretch, as the primary holds it now.
    Copy { entries: usize },
    /// The standby takes log entries, some of them again.
    Follow { again: u64, entries: usize },
    /// The standby forgets the oldest of its log.
    Trim { keep: u64 },
}

/// Few keys, so that they are written, deleted and copied over and over.
fn op() -> impl Strategy<Value = Op> {
    let key = prop::sample::select(vec!["a", "b", "bb", "c", "d", "e", "zz own"]);
    (key, prop::option::weighted(0.6, "[x-z]{0,6}")).prop_map(|(key, value)| match value {
        Some(value) => put(key, &value),
        None => delete(key),
    })
}

/// Keys occur once in a batch.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..4).prop_map(|mut ops| {
        let mut seen = std::collections::HashSet::new();
        ops.retain(|op| seen.insert(op.key().clone()));
        ops
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => ops().prop_map(Step::Write),
        1 => Just(Step::Begin),
        4 => (1..4_usize).prop_map(|entries| Step::Copy { entries }),
        4 => (0..4_u64, 0..6_usize).prop_map(|(again, entries)| Step::Follow { again, entries }),
        1 => (0..5_u64).prop_map(|keep| Step::Trim { keep }),
    ]
}

fn take(primary: &Region, standby: &Region, step: &Step) {
    let path = standby.state.path();
    let copying = path.sync.as_ref().is_some_and(|sync| sync.cursor.is_some());
    match step {
        Step::Write(ops) => drop(primary.write(&[ops])),
        Step::Begin => standby.takes(&primary.begin_sync()),
        Step::Copy { entries } if copying => standby.takes(&Command::Copy(primary.chunk(standby, *entries))),
        Step::Follow { again, entries } if path.role == Role::Standby => {
            let from = (path.applied.index + 1).saturating_sub(*again);
            let entries = primary.state.wal(from.max(1), ScanLimit::entries(*entries)).unwrap();
            let follow = Command::Follow { entries };
            if copying { standby.refuses(&follow) } else { standby.takes(&follow) }
        }
        Step::Trim { keep } => standby.takes(&Command::TrimWal { below: path.applied.index.saturating_sub(*keep) }),
        Step::Copy { .. } | Step::Follow { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_in_motion_and_the_log_behind_it_converge(steps in prop::collection::vec(step(), 1..60)) {
        let primary = Region::primary(1);
        let standby = Region::standby(&primary, 0);
        // Each position the primary was at, with the root there.
        let mut roots = vec![primary.state.root()];
        for step in &steps {
            take(&primary, &standby, step);
            roots.push(primary.state.root());
            if standby.state.path().is_whole() {
                let root = standby.state.root();
                prop_assert!(roots.contains(&root), "the standby is no state that the primary was in: {root:?}");
            }
        }
        standby.copy_all(&primary, 2);
        standby.equals(&primary);
    }
}
