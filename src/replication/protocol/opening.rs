//! The restart rule: a whole region that restarts as primary takes writes only once its standbys confirmed its epoch, or
//! an operator overrode that.
//!
//! While a region was down, another may have been promoted, and nobody could tell it. So a leader that does not know of
//! any node of its region that saw it open in this epoch keeps the region *closed*. It opens when
//!
//! * it was made primary just now, before this leader's eyes: nobody can have been promoted since;
//! * it has no link that was ever activated: there is nobody who could have been promoted;
//! * each region that it has an activated link to, paused or not, or waiting for a newer token to replace the first, said
//!   in an authenticated answer that it knows of no higher epoch of this data set, is not primary itself, is not about to
//!   be, and follows nobody else who opened this epoch as well;
//! * another node of the region remembers that it was open: it never stopped as a whole (`OpenedBy::Remembered`);
//! * an operator says so, with a reason (`OpenedBy::Override`).
//!
//! Open it stays, as long as it is primary in this epoch. Closed, it serves reads and ships its log.

use super::context::{Context, Mutation};
use super::interface::*;
use super::message::{Answer, Refused, Want};
use super::primary::is_dialled;
use crate::ids::{DatasetId, Epoch, RegionId};
use crate::state::{EpochStart, PathState, Role};
use std::collections::BTreeSet;

pub(super) struct Opening {
    /// Where the region stood when this was looked at last.
    seen: (Role, Line),
    /// What it is open in.
    open: Option<Line>,
    /// Who confirmed that it knows of no higher epoch.
    confirmed: BTreeSet<RegionId>,
    /// Whether the links are known: before that, nobody can say who has to confirm.
    links_known: bool,
    /// What was told last.
    told_closed: Option<Line>,
}

type Line = (DatasetId, Epoch);

fn line(path: &PathState) -> Line {
    (path.dataset, path.epoch)
}

impl Opening {
    /// `open`: some node of the region saw it open in its present epoch and has run ever since.
    pub fn new(path: &PathState, open: bool) -> Opening {
        Opening {
            seen: (path.role, line(path)),
            open: (open && path.ships()).then(|| line(path)),
            confirmed: BTreeSet::new(),
            links_known: false,
            told_closed: None,
        }
    }

    pub fn is_open(&self, ctx: &Context) -> bool {
        let primary = ctx.path.role == Role::Primary;
        primary && (self.open == Some(line(&ctx.path)) || ctx.mutated(Mutation::ForgetRestartRule))
    }

    /// Of a closed primary: whose confirmation is missing.
    pub fn waits_for<'c>(&self, ctx: &'c Context) -> Vec<&'c Peer> {
        if ctx.path.role != Role::Primary || self.is_open(ctx) {
            return Vec::new();
        }
        let missing = |peer: &&Peer| {
            (peer.activated || peer.known) && is_dialled(ctx, peer) && !self.confirmed.contains(&peer.region)
        };
        ctx.peers.iter().filter(missing).collect()
    }

    pub fn links_known(&mut self) {
        self.links_known = true;
    }

    /// Looks at an answer whose epoch is not higher than the region's own.
    pub fn heard(&mut self, ctx: &Context, from: RegionId, answer: &Answer) {
        let standing = &answer.standing;
        let opener = |history: &[EpochStart]| history.iter().find(|start| start.epoch == ctx.path.epoch).copied();
        // One that follows us from an earlier epoch does not know ours yet, or not where it began.
        let of_another = opener(&standing.history).is_some_and(|start| Some(start) != opener(&ctx.path.history));
        let objects = matches!(answer.want, Want::Refused(Refused::SameEpoch | Refused::Frozen));
        let same = (standing.dataset, standing.epoch) == line(&ctx.path);
        if same && standing.role != Role::Primary && !of_another && !objects {
            self.confirmed.insert(from);
        }
    }

    /// Somebody else knows better.
    pub fn open(&mut self, ctx: &mut Context, dataset: DatasetId, epoch: Epoch, by: OpenedBy) {
        if ctx.path.role == Role::Primary && line(&ctx.path) == (dataset, epoch) && !self.is_open(ctx) {
            self.opens(ctx, by);
        }
    }

    /// Looks at new facts.
    pub fn settle(&mut self, ctx: &mut Context) {
        let now = (ctx.path.role, line(&ctx.path));
        let was = std::mem::replace(&mut self.seen, now);
        if was.1 != now.1 {
            self.confirmed.clear();
        }
        if now.0 != Role::Primary || self.is_open(ctx) {
            return;
        }
        if was.1 != now.1 {
            // Promoted, or initialised, while this leader looked on. A right that was given up and taken back is none.
            return self.opens(ctx, OpenedBy::Promotion);
        }
        if self.links_known && self.waits_for(ctx).is_empty() {
            return self.opens(ctx, OpenedBy::Confirmation);
        }
        if self.links_known && self.told_closed != Some(now.1) {
            self.told_closed = Some(now.1);
            let waits_for = self.waits_for(ctx).iter().map(|peer| peer.region).collect();
            ctx.report(Fact::Closed { epoch: ctx.path.epoch, waits_for });
        }
    }

    fn opens(&mut self, ctx: &mut Context, by: OpenedBy) {
        let line = line(&ctx.path);
        self.open = Some(line);
        // That a region opens which never said that it is closed is no news.
        if self.told_closed.take() == Some(line) {
            ctx.report(Fact::Opened { epoch: ctx.path.epoch, by });
        }
    }
}
