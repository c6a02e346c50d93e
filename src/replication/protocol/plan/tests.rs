//! The truth table of the checks: for each of them what may be found, and what it comes to in a failover and in a switchover.
//! Unknown is never good: each check whose fact is missing says so.

use super::*;
use crate::api::replication::Verdict::{self, Block, Pass, Unknown, Warn};
use crate::ids::{DatasetId, Epoch, PromotionId, RegionId, SyncId};
use crate::replication::protocol::message::{Header, Identity};
use crate::state::{Fence, KnownPrimary, PathState, SyncKind, SyncState};
use std::collections::BTreeSet;

const WALL: UnixMs = UnixMs(1_000_000);
const STEADY: u64 = 500_000;

/// All that a plan is made from, to be changed by each line of the table.
struct World {
    ctx: Context,
    heard: Option<Heard>,
    outside: Outside,
    roots: Option<RootsCompared>,
}

fn identity(region: u8, version: &str) -> Identity {
    let (name, addresses) = (format!("region-{region}"), Vec::new());
    Identity { region: RegionId([region; 16]), name, addresses, version: version.into() }
}

fn at(index: u64) -> Position {
    Position::new(Epoch(3), index)
}

/// A standby that is whole, in step, and hears a primary that is well.
fn sound() -> World {
    let mut path = PathState::first("default", DatasetId([9; 16]));
    (path.role, path.epoch, path.applied) = (Role::Standby, Epoch(3), at(100));
    let primary = KnownPrimary { region: RegionId([1; 16]), name: "region-1".into(), addresses: Vec::new() };
    path.primary = Some(primary);
    let options = Options {
        identity: identity(2, "1"),
        timing: Timing::default(),
        open: false,
        seed: [0; 32],
        diff: DiffBounds::default(),
    };
    let header = Header {
        dataset: path.dataset,
        epoch: Epoch(3),
        head: at(100),
        head_at: WALL,
        totals: path.totals,
        sent_at: WALL,
        handover: None,
    };
    let heard = Heard {
        from: RegionId([1; 16]),
        identity: Some(identity(1, "1")),
        header,
        at: WALL,
        steady_ms: STEADY,
        since: WALL,
        caught_up_at: WALL,
        writes: Default::default(),
    };
    let probe = Probe { address: "a".into(), said: Probed::TakesWrites, at: WALL };
    World {
        ctx: Context::new(options, Now { steady_ms: STEADY, wall: WALL }, path),
        heard: Some(heard),
        outside: Outside {
            sealed: Some(false),
            voters: Some((3, 3)),
            credential: Some(true),
            tokens: Some(0),
            node: "n".into(),
            probes: vec![probe],
        },
        roots: Some(RootsCompared { at: at(100), equal: true, when: WALL }),
    }
}

impl World {
    fn checks(&self, mode: PromoteMode) -> Vec<Check> {
        let silent_ms = self.heard.as_ref().map(|heard| self.ctx.now.steady_ms - heard.steady_ms);
        let live = silent_ms.is_some_and(|ms| ms <= self.ctx.options.timing.silent_after_ms);
        let (heard, outside) = (self.heard.as_ref(), &self.outside);
        let facts =
            Facts { ctx: &self.ctx, heard, outside, mode, stopped_at: None, roots: self.roots, silent_ms, live };
        match mode {
            PromoteMode::Planned => facts.of_switchover(),
            PromoteMode::Forced => facts.of_failover(),
        }
    }

    fn header(&mut self) -> &mut Header {
        &mut self.heard.as_mut().expect("the sound world hears its primary").header
    }

    fn silent(&mut self) {
        self.heard.as_mut().expect("the sound world hears its primary").steady_ms = 0;
    }
}

fn gave_up(world: &mut World) {
    let to = KnownPrimary { region: RegionId([1; 16]), name: "region-1".into(), addresses: Vec::new() };
    world.ctx.path.handover.gave_up =
        Some(crate::state::GaveUp { number: 1, id: PromotionId([5; 16]), to, reached: at(100), at: WALL });
}

fn filled(world: &mut World) {
    world.ctx.path.sync = Some(SyncState {
        id: SyncId([1; 16]),
        kind: SyncKind::Full,
        start: at(90),
        cursor: None,
        patches: 0,
        whole_at: at(90),
        entries_done: 1,
        bytes_done: 1,
        entries_total: 2,
        bytes_total: 2,
        began_at: WALL,
    });
}

fn fenced(world: &mut World) {
    world.ctx.path.role = Role::Fenced;
}

/// A check, what was found, what it comes to in a failover and in a switchover; `None`: it is not asked there.
type Line = (&'static str, &'static str, fn(&mut World), Option<Verdict>, Option<Verdict>);

const TABLE: &[Line] = &[
    ("standby", "it is one", |_| {}, Some(Pass), Some(Pass)),
    ("standby", "it is primary", |it| it.ctx.path.role = Role::Primary, Some(Block), Some(Block)),
    ("standby", "it is fenced", fenced, Some(Warn), Some(Block)),
    ("standby", "it gave up to another", gave_up, Some(Warn), Some(Block)),
    ("whole", "it is", |_| {}, Some(Pass), Some(Pass)),
    ("whole", "it is being filled", filled, Some(Block), Some(Block)),
    ("quorum", "all answer", |_| {}, Some(Pass), Some(Pass)),
    ("quorum", "a majority answers", |it| it.outside.voters = Some((3, 2)), Some(Pass), Some(Pass)),
    ("quorum", "half of them answer", |it| it.outside.voters = Some((4, 2)), Some(Block), Some(Block)),
    ("quorum", "not known", |it| it.outside.voters = None, Some(Unknown), Some(Unknown)),
    ("unsealed", "it is", |_| {}, Some(Pass), Some(Pass)),
    ("unsealed", "it is sealed", |it| it.outside.sealed = Some(true), Some(Warn), Some(Block)),
    ("unsealed", "not known", |it| it.outside.sealed = None, Some(Unknown), Some(Unknown)),
    ("primary", "heard just now", |_| {}, Some(Warn), Some(Pass)),
    ("primary", "silent", World::silent, Some(Unknown), Some(Block)),
    ("primary", "never heard", |it| it.heard = None, Some(Unknown), Some(Block)),
    ("primary", "there is none to hear", fenced, Some(Warn), Some(Block)),
    ("reachable", "takes writes", |_| {}, Some(Warn), Some(Pass)),
    (
        "reachable",
        "answers, takes none",
        |it| it.outside.probes[0].said = Probed::Answers("sealed".into()),
        Some(Warn),
        Some(Warn),
    ),
    (
        "reachable",
        "silent",
        |it| it.outside.probes[0].said = Probed::Silent("refused".into()),
        Some(Unknown),
        Some(Unknown),
    ),
    ("reachable", "no address is known", |it| it.outside.probes.clear(), Some(Unknown), Some(Unknown)),
    ("behind", "nothing", |_| {}, Some(Pass), Some(Pass)),
    ("behind", "a little", |it| it.header().head = at(140), Some(Warn), Some(Pass)),
    ("behind", "much", |it| it.header().head = at(10_000), Some(Warn), Some(Warn)),
    ("behind", "not known", |it| it.heard = None, Some(Unknown), Some(Unknown)),
    ("clock", "close", |it| it.header().sent_at = UnixMs(WALL.0 - 900), Some(Pass), Some(Pass)),
    ("clock", "apart", |it| it.header().sent_at = UnixMs(WALL.0 - 1_100), Some(Warn), Some(Warn)),
    ("clock", "not known", |it| it.heard = None, Some(Unknown), Some(Unknown)),
    ("version", "the same", |_| {}, Some(Pass), Some(Pass)),
    ("version", "another", |it| it.ctx.options.identity.version = "2".into(), Some(Warn), Some(Warn)),
    ("version", "not known", |it| it.heard = None, Some(Unknown), Some(Unknown)),
    ("credential", "is there", |_| {}, Some(Pass), Some(Pass)),
    ("credential", "is missing", |it| it.outside.credential = Some(false), Some(Warn), Some(Warn)),
    ("credential", "not known", |it| it.outside.credential = None, Some(Unknown), Some(Unknown)),
    ("tokens", "none is usable", |_| {}, Some(Pass), Some(Pass)),
    ("tokens", "one is usable", |it| it.outside.tokens = Some(1), Some(Warn), Some(Warn)),
    ("tokens", "not known", |it| it.outside.tokens = None, Some(Unknown), Some(Unknown)),
    ("roots", "equal", |_| {}, None, Some(Pass)),
    (
        "roots",
        "they differ",
        |it| it.roots = Some(RootsCompared { at: at(100), equal: false, when: WALL }),
        None,
        Some(Block),
    ),
    ("roots", "never compared", |it| it.roots = None, None, Some(Unknown)),
];

#[test]
fn each_check_comes_to_what_its_facts_are() {
    for (name, found, change, failover, switchover) in TABLE {
        let mut world = sound();
        change(&mut world);
        for (mode, wanted) in [(PromoteMode::Forced, failover), (PromoteMode::Planned, switchover)] {
            let checks = world.checks(mode);
            let check = checks.iter().find(|check| check.name == *name);
            assert_eq!(check.map(|check| check.verdict), *wanted, "{name}, {found}, {mode:?}");
            // What is not well says what to do about it, who saw it, and when.
            if let Some(check) = check {
                let says = !check.advice.is_empty() || (name, found) == (&"primary", &"there is none to hear");
                assert!(check.verdict == Pass || says, "{name}, {found}, {mode:?}: no advice");
                assert!(!check.fact.is_empty() && !check.source.is_empty() && check.at > UnixMs(0), "{name}, {found}");
            }
        }
    }
}

#[test]
fn the_table_has_every_check_there_is() {
    let told: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    for mode in [PromoteMode::Forced, PromoteMode::Planned] {
        let asked: Vec<String> = sound().checks(mode).into_iter().map(|check| check.name).collect();
        assert!(asked.iter().all(|name| told.contains(name.as_str())), "{asked:?}");
    }
}

#[test]
fn what_is_not_promoted_has_nothing_to_lose_by_it() {
    for (mode, role) in [(PromoteMode::Forced, Role::Primary), (PromoteMode::Planned, Role::Fenced)] {
        let mut world = sound();
        world.ctx.path.role = role;
        world.ctx.path.fence = None::<Fence>;
        let made = plan(&world.ctx, &Standby::default(), &Asking::default(), &world.outside, mode);
        assert!(!made.loss.known && made.loss.words.contains("no statement"), "{mode:?}: {:?}", made.loss);
    }
}
