//! What an introduction of a primary leads to, by what this region durably holds: taking over everything or what differs,
//! following, keeping what only this region holds, going on, or a refusal.

use super::context::Context;
use super::fork::{self, Meeting};
use super::message::*;
use crate::ids::RegionId;
use crate::state::{Command, KeepDiverged, PathChange, RegionChange, Role, SyncKind, SyncState};
use bytes::Bytes;

/// What an introduction leads to.
pub(super) enum Introduction {
    Welcome,
    BeginSync(&'static str),
    Follow,
    /// What only this region holds goes to its ledger first.
    Keep(KeepDiverged),
    Refuse(Refused),
}

/// Decides on an introduction by durable facts alone, so that a repeated or belated one does no harm.
pub(super) fn introduce(ctx: &Context, from: RegionId, header: &Header, hello: &Hello) -> Introduction {
    let path = &ctx.path;
    if hello.protocol != PROTOCOL {
        return Introduction::Refuse(Refused::Protocol { speaks: PROTOCOL });
    }
    if header.dataset != path.dataset {
        return match ctx.adopts {
            Some(adopts) if adopts.from == from && adopts.dataset == header.dataset => {
                Introduction::BeginSync("this region takes over the primary's data set")
            }
            _ => Introduction::Refuse(Refused::OtherDataset),
        };
    }
    match path.role {
        Role::Primary => return Introduction::Refuse(Refused::SameEpoch),
        Role::Fenced | Role::Standby => {}
    }
    let known = path.primary.as_ref();
    // The epoch alone does not tell: two regions may have opened it.
    let same_line = path.history == hello.history && known.is_some_and(|known| known.region == from);
    if path.role == Role::Fenced || !same_line {
        return match fork::meet(ctx, from, header, hello) {
            Meeting::Stay(refused) => Introduction::Refuse(refused),
            Meeting::Keep(keep) => Introduction::Keep(keep),
            Meeting::Leave(reason) => Introduction::BeginSync(reason),
            Meeting::Follow => Introduction::Follow,
        };
    }
    if path.applied.index + 1 < hello.wal_first {
        return Introduction::BeginSync("the primary's log no longer holds what this region lacks");
    }
    if known.is_some_and(|known| known.addresses != hello.identity.addresses || known.name != hello.identity.name) {
        return Introduction::Follow;
    }
    Introduction::Welcome
}

pub(super) fn along(step: PathChange) -> Command {
    Command::Region(RegionChange { path: Some(step), ..RegionChange::default() })
}

pub(super) fn follow(ctx: &Context, from: RegionId, header: &Header, hello: &Hello) -> PathChange {
    let primary = ctx.known_primary(from, Some(&hello.identity));
    PathChange::FollowPrimary { epoch: header.epoch, history: hello.history.clone(), primary }
}

pub(super) fn begin_sync(
    ctx: &mut Context,
    from: RegionId,
    header: &Header,
    hello: &Hello,
    kind: SyncKind,
) -> PathChange {
    let (entries_total, bytes_total) = match kind {
        SyncKind::Full => (hello.entries, hello.bytes),
        // Nobody knows yet what differs.
        SyncKind::Diff => (0, 0),
    };
    let sync = SyncState {
        id: ctx.sync_id(),
        kind,
        start: header.head,
        cursor: Some(Bytes::new()),
        patches: 0,
        whole_at: header.head,
        entries_done: 0,
        bytes_done: 0,
        entries_total,
        bytes_total,
        began_at: ctx.now.wall,
    };
    PathChange::BeginSync {
        sync,
        dataset: header.dataset,
        epoch: header.epoch,
        history: hello.history.clone(),
        totals: header.totals,
        start_at: header.head_at,
        primary: ctx.known_primary(from, Some(&hello.identity)),
    }
}
