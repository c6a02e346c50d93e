//! Applied state is not flushed: after a crash the commands behind the stored log id are applied again, and the bytes
//! must be those of a node that never crashed.

use super::region::*;
use crate::state::*;
use crate::storage::keys::Key;
use crate::storage::{Reader, Store};
use bytes::Bytes;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Op>),
    /// Refused: refusals count as applied too.
    WriteInAnotherTerm,
    Trim {
        below: u64,
    },
    Flush,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let op = ("[a-e]", prop::option::weighted(0.7, "[x-z]{0,6}")).prop_map(|(key, value)| match value {
        Some(value) => put(&key, &value),
        None => delete(&key),
    });
    prop_oneof![
        8 => op.prop_map(|op| Step::Write(vec![op])),
        1 => Just(Step::WriteInAnotherTerm),
        1 => (0..20_u64).prop_map(|below| Step::Trim { below }),
        2 => Just(Step::Flush),
        2 => Just(Step::Crash),
    ]
}

fn command(step: &Step) -> Option<Command> {
    let write = |term, ops: &[Op]| Command::Write { term, epoch: crate::ids::Epoch(1), batches: vec![batch(ops)] };
    match step {
        Step::Write(ops) => Some(write(TERM, ops)),
        Step::WriteInAnotherTerm => Some(write(TERM + 1, &[put("a", "never")])),
        Step::Trim { below } => Some(Command::TrimWal { below: *below }),
        Step::Flush | Step::Crash => None,
    }
}

/// Applies the log from where the region's stored log id says.
fn replay(region: &Region, log: &[Command]) {
    let applied = region.store.get(Tree::Node, &Key::Applied.to_bytes()).unwrap();
    let done = applied.map_or(0, |bytes| u64::from_be_bytes(bytes.as_ref().try_into().unwrap()));
    for (index, command) in log.iter().enumerate().skip(done as usize) {
        let also = (Key::Applied, Bytes::copy_from_slice(&(index as u64 + 1).to_be_bytes()));
        region.state.apply(TERM, command, &[also]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replay_after_crashes_gives_the_same_bytes(steps in prop::collection::vec(step(), 1..60)) {
        let mut region = Region::primary(1);
        region.store.flush().unwrap();
        let mut log = Vec::new();
        for step in &steps {
            log.extend(command(step));
            match step {
                Step::Flush => region.store.flush().unwrap(),
                Step::Crash => {
                    region.store.crash();
                    let state = State::open(region.store.clone(), "default").unwrap();
                    region = Region { store: region.store, state };
                }
                _ => {}
            }
            replay(&region, &log);
        }
        region.check();
        let calm = Region::primary(1);
        replay(&calm, &log);
        prop_assert_eq!(region.dump(), calm.dump());
        prop_assert_eq!(region.state.root(), calm.state.root());
    }
}
