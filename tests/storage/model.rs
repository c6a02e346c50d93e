//! Random operations on each engine and on a plain map: both must answer alike.

use crate::subject::Subject;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use twinkeep::storage::{Engine, KeyRange, Pair, Reader, ScanLimit, Snapshot, Store, Tree, WriteBatch};

type Model = BTreeMap<(Tree, Bytes), Bytes>;

/// More would only cost time: a snapshot that nobody drops is dropped when this many are open.
const SNAPSHOTS_MAX: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Tree, Bytes, Option<Bytes>)>),
    Snapshot,
    DropSnapshot,
    Reopen,
    Look { tree: Tree, range: KeyRange, limit: ScanLimit, key: Bytes },
}

fn tree() -> impl Strategy<Value = Tree> {
    prop::sample::select(vec![Tree::Log, Tree::Data, Tree::Wal])
}

/// Few keys, near each other and at the edges, so that they meet often.
fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(prop::sample::select(vec![0, 1, 7, 254, 255]), 1..3).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![8 => 0..40_usize, 2 => 500..5000_usize, 1 => 100_000..150_000_usize];
    (length, any::<u8>()).prop_map(|(length, fill)| vec![fill; length].into())
}

fn step() -> impl Strategy<Value = Step> {
    let op = (tree(), key(), prop::option::weighted(0.7, value()));
    let edge = || prop::option::of(key().prop_map(|key| key.to_vec()));
    let range = (edge(), edge()).prop_map(|(start, end)| KeyRange { start: start.unwrap_or_default(), end });
    let limit = (prop_oneof![Just(usize::MAX), 0..5_usize], prop_oneof![Just(usize::MAX), 0..2000_usize]);
    let limit = limit.prop_map(|(entries, bytes)| ScanLimit { entries, bytes });
    let look = (tree(), range, limit, key());
    prop_oneof![
        8 => prop::collection::vec(op, 1..6).prop_map(Step::Write),
        2 => Just(Step::Snapshot),
        1 => Just(Step::DropSnapshot),
        1 => Just(Step::Reopen),
        8 => look.prop_map(|(tree, range, limit, key)| Step::Look { tree, range, limit, key }),
    ]
}

fn scan(model: &Model, tree: Tree, range: &KeyRange, limit: ScanLimit) -> Vec<Pair> {
    let mut bytes = 0;
    let in_range = model.iter().filter(|((at, key), _)| *at == tree && range.contains(key));
    let within_bytes = in_range.take_while(|((_, key), value)| {
        let room = bytes < limit.bytes;
        bytes += key.len() + value.len();
        room
    });
    within_bytes.take(limit.entries).map(|((_, key), value)| (key.clone(), value.clone())).collect()
}

fn compare(reader: &dyn Reader, model: &Model, look: (Tree, &KeyRange, ScanLimit, &Bytes)) {
    let (tree, range, limit, key) = look;
    assert_eq!(reader.get(tree, key).unwrap(), model.get(&(tree, key.clone())).cloned());
    assert_eq!(reader.scan(tree, range, limit).unwrap(), scan(model, tree, range, limit));
    let all = scan(model, tree, &KeyRange::all(), ScanLimit::NONE);
    assert_eq!(reader.last(tree).unwrap(), all.last().cloned());
}

fn write(store: &dyn Store, model: &mut Model, ops: Vec<(Tree, Bytes, Option<Bytes>)>) {
    let mut batch = WriteBatch::new();
    for (tree, key, value) in ops {
        match value {
            Some(value) => {
                batch.put(tree, key.clone(), value.clone());
                model.insert((tree, key), value);
            }
            None => {
                batch.delete(tree, key.clone());
                model.remove(&(tree, key));
            }
        }
    }
    store.write(batch).unwrap();
}

fn run(engine: Engine, steps: Vec<Step>) {
    let mut subject = Subject::new(engine);
    let mut model = Model::new();
    let mut snapshots: Vec<(Box<dyn Snapshot>, Model)> = Vec::new();
    for step in steps {
        match step {
            Step::Write(ops) => write(subject.store(), &mut model, ops),
            Step::Snapshot => {
                if snapshots.len() == SNAPSHOTS_MAX {
                    snapshots.remove(0);
                }
                snapshots.push((subject.store().snapshot().unwrap(), model.clone()));
            }
            Step::DropSnapshot => drop(snapshots.pop()),
            Step::Reopen => {
                snapshots.clear();
                subject.reopen();
            }
            Step::Look { tree, range, limit, key } => {
                compare(subject.store(), &model, (tree, &range, limit, &key));
                for (snapshot, then) in &snapshots {
                    compare(snapshot.as_ref(), then, (tree, &range, limit, &key));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_answers_as_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(Engine::Memory, steps);
    }

    #[test]
    fn fjall_answers_as_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(Engine::Fjall, steps);
    }

    #[test]
    fn sled_answers_as_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(Engine::Sled, steps);
    }
}
