//! Meeting again: a region that hears the introduction of a primary of another line than its own finds the fork, keeps
//! what only it holds in its ledger, and leaves its line only then.
//!
//! Who can hold something that the new primary lacks: the old primary, which is fenced by now; and a standby that had
//! received more than the one that was promoted, whose surplus may be the only copy left of acknowledged writes. A
//! standby goes by itself once its ledger is kept. A fenced region waits for its operator, who looks at the ledger first.

use super::context::{Context, Mutation};
use super::epoch::followed;
use super::interface::Fact;
use super::message::{Header, Hello, LedgerStanding, Refused};
use crate::ids::{Position, RegionId};
use crate::state::{KeepDiverged, PathState, Role};

/// What the introduction of another line's primary leads to.
pub(super) enum Meeting {
    /// Nothing is done: why.
    Stay(Refused),
    /// The next stretch goes to the ledger; then the introduction is looked at anew.
    Keep(KeepDiverged),
    /// This region takes over the primary's line by a sync: why.
    Leave(&'static str),
    /// All that this region holds is on the primary's line.
    Follow,
}

/// Decides by durable facts alone, like `introduce`.
pub(super) fn meet(ctx: &Context, from: RegionId, header: &Header, hello: &Hello) -> Meeting {
    let path = &ctx.path;
    if path.role == Role::Standby && followed(path) >= header.epoch && !path.may_rejoin(from) {
        return Meeting::Stay(Refused::SameEpoch);
    }
    // Whoever gave up its right in this epoch waits for what comes of it.
    if path.handover.gave_up.is_some() {
        return Meeting::Stay(fenced(path));
    }
    if !path.is_whole() {
        return Meeting::Leave("the primary changed in the middle of a sync");
    }
    let Some(fork) = path.diverged(&hello.history) else {
        return Meeting::Follow;
    };
    let forgets = ctx.mutated(Mutation::ForgetLedger);
    if !forgets && !path.ledger.as_ref().is_some_and(|ledger| ledger.keeps(fork, path.applied)) {
        let primary = ctx.known_primary(from, Some(&hello.identity));
        return Meeting::Keep(KeepDiverged { fork, by_epoch: header.epoch, primary, at: ctx.now.wall });
    }
    match path.role {
        Role::Fenced if !path.may_rejoin(from) && !forgets => Meeting::Stay(fenced(path)),
        Role::Fenced => Meeting::Leave("this region rejoins: what the new primary never had is in its ledger"),
        _ => Meeting::Leave("this region held what the new primary never had, which is in its ledger now"),
    }
}

/// What a fenced region says to whoever would send it something.
pub(super) fn fenced(path: &PathState) -> Refused {
    let current = path.ledger.as_ref().is_some_and(|ledger| !ledger.left && ledger.is_kept());
    Refused::Fenced { ledger: LedgerStanding::of(path).filter(|_| current) }
}

/// Tells of each ledger once, when it keeps everything.
#[derive(Default)]
pub(super) struct Told {
    ledger: Option<Option<(u32, Position)>>,
}

impl Told {
    pub fn settle(&mut self, ctx: &mut Context) {
        let kept = ctx.path.ledger.as_ref().filter(|ledger| ledger.is_kept()).map(|it| (it.number, it.fork));
        // What an earlier leader told of is no news.
        let told = self.ledger.replace(kept).unwrap_or(kept);
        if let (true, Some(ledger), Some(kept)) = (told != kept, &ctx.path.ledger, LedgerStanding::of(&ctx.path)) {
            let (fork, reached) = (ledger.fork, ledger.reached);
            if ledger.is_kept() {
                ctx.report(Fact::Diverged { fork, reached, kept });
            }
        }
    }
}
