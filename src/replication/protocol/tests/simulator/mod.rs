//! The whole protocol in simulated time: real cores over real applied states, and everything between them at the
//! mercy of a seed.
//!
//! A seed draws a world of two or three regions, faults (cuts one way or both, loss, duplication, delay, leader changes,
//! whole regions down), clients that write, operators who promote, pause and lose patience. Each step is checked
//! against every invariant (`invariants/`, one a file); then the faults stop and the world must converge. The same seed
//! makes the same trace. A seed that fails prints the line that runs it alone.

mod invariants;
mod network;
pub(super) mod region;
mod world;

use super::super::context::Mutation;
use world::World;

/// How many worlds the ordinary test command looks at.
const SEEDS: u64 = 2_000;
/// How many it may take to see a deliberate mistake.
const SEEDS_TO_CATCH: u64 = 2_000;
/// Another number of worlds, for a longer look.
const SEEDS_VARIABLE: &str = "TWINKEEP_SEEDS";
/// Runs one seed alone, with its trace.
const SEED_VARIABLE: &str = "TWINKEEP_SEED";

/// Runs one world. `Err` holds the broken invariant and the newest part of the trace.
fn run(seed: u64, mutation: Option<Mutation>) -> Result<World, String> {
    let mut world = World::new(seed, mutation);
    match world.run() {
        Ok(()) => Ok(world),
        Err(broken) => Err(format!("{broken}\n\nbefore it:\n{}", world.newest_trace())),
    }
}

/// Runs worlds on all processors; the lowest seed that failed comes back with why.
fn run_many(seeds: u64, mutation: Option<Mutation>) -> Option<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let lane =
        |lane: u64| (lane..seeds).step_by(threads as usize).find_map(|seed| Some((seed, run(seed, mutation).err()?)));
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..threads).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().filter_map(|lane| lane.join().expect("a world does not panic")).min_by_key(|(seed, _)| *seed)
    })
}

#[test]
fn every_world_keeps_every_promise_and_converges() {
    if let Ok(seed) = std::env::var(SEED_VARIABLE) {
        let seed = seed.parse().expect("the seed is a number");
        match run(seed, None) {
            Ok(world) => return println!("{}", world.newest_trace()),
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    let seeds = std::env::var(SEEDS_VARIABLE).map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    if let Some((seed, broken)) = run_many(seeds, None) {
        panic!(
            "seed {seed}: {broken}\n\nalone: {SEED_VARIABLE}={seed} cargo test --lib \
             replication::protocol::tests::simulator::every_world -- --nocapture"
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    for seed in 0..20 {
        let trace = || run(seed, None).expect("these seeds hold").trace_hash();
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}

#[test]
fn the_worlds_are_worth_looking_at() {
    let mut seen = world::Coverage::default();
    for seed in 0..200 {
        seen.add(&run(seed, None).expect("these seeds hold").coverage);
    }
    let missing = seen.missing();
    assert!(missing.is_empty(), "two hundred worlds never saw: {missing:?}; {seen:?}");
}

#[test]
fn the_simulator_sees_a_comparison_of_epochs_that_is_missing() {
    caught(Mutation::IgnoreEpochs);
}

#[test]
fn the_simulator_sees_an_answer_before_its_agreement() {
    caught(Mutation::ReplyBeforeApplied);
}

#[test]
fn the_simulator_sees_a_forgotten_fence() {
    caught(Mutation::ForgetFence);
}

#[test]
fn the_simulator_sees_a_forgotten_restart_rule() {
    caught(Mutation::ForgetRestartRule);
}

#[test]
fn the_simulator_sees_a_patch_that_forgets_what_is_gone() {
    caught(Mutation::ForgetGone);
}

#[test]
fn the_simulator_sees_a_forgotten_ledger() {
    caught(Mutation::ForgetLedger);
}

#[test]
fn the_simulator_sees_an_epoch_opened_before_the_give_up_was_heard() {
    caught(Mutation::OpenUnheard);
}

/// Rare in worlds of chance: it has worlds of its own.
#[test]
fn the_simulator_sees_a_right_taken_back_unheard() {
    for seed in 0..40 {
        if let Err(broken) = World::severed(seed, None).run() {
            panic!("severed world {seed}: {broken}");
        }
    }
    let found = (0..40).find(|seed| World::severed(*seed, Some(Mutation::TakeBackUnheard)).run().is_err());
    assert!(found.is_some(), "no severed world saw it");
}

/// Two primaries of one epoch: nothing of either is lost unseen, and once an operator chose, all follow one of them.
#[test]
fn two_primaries_of_one_epoch_come_together_once_one_is_demoted() {
    let mut seen = world::Coverage::default();
    for seed in 0..100 {
        let mut world = World::rash(seed, None);
        if let Err(broken) = world.run() {
            panic!("rash world {seed}: {broken}\n\nbefore it:\n{}", world.newest_trace());
        }
        seen.add(&world.coverage);
    }
    assert!(seen.demoted > 0 && seen.kept_writes > 0 && seen.replayed > 0, "no rash world was one: {seen:?}");
}

fn caught(mutation: Mutation) {
    let found = run_many(SEEDS_TO_CATCH, Some(mutation));
    assert!(found.is_some(), "{SEEDS_TO_CATCH} worlds did not see {mutation:?}");
}
