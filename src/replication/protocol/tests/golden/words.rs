//! What happens in a story, in words.

use super::super::super::*;
use super::Stage;
use crate::api::replication::PromoteMode;
use crate::state::{PathChange, SyncKind};
use bytes::Bytes;

impl Stage {
    pub(super) fn fact(&self, fact: &Fact) -> String {
        let name = |id: &RegionId| self.regions.iter().find(|it| it.id == *id).map_or("?", |it| &it.name).to_owned();
        match fact {
            Fact::Link { peer, state, error } => {
                let error = error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
                format!("link to {} is {state:?}{error}", name(peer))
            }
            Fact::SyncBegan { from, kind: SyncKind::Full, reason } => {
                format!("sync from {} begins: {reason}", name(from))
            }
            Fact::SyncBegan { from, kind: SyncKind::Diff, reason } => {
                format!("diff sync from {} begins: {reason}", name(from))
            }
            Fact::Whole { applied } => format!("whole at {applied}"),
            Fact::Fenced { by_epoch, by, reached } => {
                format!("fenced by epoch {by_epoch} of {}, reached {reached}", name(by))
            }
            Fact::PeerFenced { peer, by_epoch, reached, .. } => {
                format!("{} is fenced by epoch {by_epoch}, reached {reached}", name(peer))
            }
            Fact::Demoted { epoch, reached, reason } => {
                format!("demoted in epoch {epoch} ({reason}), reached {reached}")
            }
            Fact::Diverged { fork, reached, kept } => format!("diverged behind {fork} up to {reached}: {kept}"),
            Fact::Follows { primary, epoch } => format!("follows {} in epoch {epoch}", name(primary)),
            Fact::Roots { at, equal, .. } => format!("roots at {at} equal: {equal}"),
            Fact::SameEpoch { peer, epoch } => format!("ALARM: {} is primary in epoch {epoch} as well", name(peer)),
            Fact::Closed { waits_for, .. } => {
                format!("closed until {} confirm", waits_for.iter().map(name).collect::<Vec<_>>().join(", "))
            }
            Fact::Opened { by, .. } => format!("open: {by:?}"),
            Fact::Verified(verified) => {
                let standby = |(peer, it): (&RegionId, &StandbyVerified)| {
                    let keys: Vec<_> = it.keys.iter().map(key).collect();
                    format!("{} {:?} {keys:?}", name(peer), it.outcome)
                };
                let standbys: Vec<_> = verified.standbys.iter().map(standby).collect();
                format!("verified, own disk {:?}: {}", verified.own, standbys.join("; "))
            }
            Fact::Promotion { progress, .. } => match progress {
                PromotionProgress::Running(PromoteMode::Forced) => "promotion runs".into(),
                PromotionProgress::Running(PromoteMode::Planned) => "switchover runs".into(),
                PromotionProgress::Done(record) => {
                    let pause = record.pause_ms.map(|ms| format!(", pause {ms} ms")).unwrap_or_default();
                    let (epoch, fork, words) = (record.epoch, record.fork, &record.loss.words);
                    format!("promoted to epoch {epoch}, fork at {fork}, lost: {words}{pause}")
                }
                PromotionProgress::Refused { reason, .. } => format!("promotion refused: {reason}"),
                PromotionProgress::Unknown(error) => format!("promotion unknown: {error}"),
            },
            Fact::Handover { peer, stage: HandoverStage::GaveUp { reached }, .. } => {
                format!("gave up to {} at {reached}", name(peer))
            }
            Fact::Handover { peer, stage: HandoverStage::TookBack, .. } => {
                format!("took back what it gave up to {}", name(peer))
            }
        }
    }
}

/// The name of a step along an edge, as it is written in the code.
pub(super) fn step_name(step: &PathChange) -> String {
    let step = match step {
        PathChange::Handover(step) => format!("{step:?}"),
        other => format!("{other:?}"),
    };
    step.split([' ', '{']).next().unwrap_or_default().to_owned()
}

pub(super) fn standing(path: &PathState) -> String {
    let sync = path.sync.as_ref().map(|sync| match &sync.cursor {
        Some(_) if sync.kind == SyncKind::Diff => format!(", {} patches", sync.patches),
        Some(cursor) => format!(", copied through {}", key(cursor)),
        None => format!(", replaying to {}", sync.whole_at),
    });
    let fence = path.fence.as_ref().map(|fence| format!(", reached {}", fence.reached));
    let asks = path.handover.asks.as_ref().map(|_| ", asks".to_owned());
    let gave_up = path.handover.gave_up.as_ref().map(|gave_up| format!(", gave up at {}", gave_up.reached));
    let rest = sync.into_iter().chain(fence).chain(asks).chain(gave_up).collect::<String>();
    format!("{} in {} at {}{rest}", path.role, path.epoch, path.applied)
}

pub(super) fn ask(request: &Request) -> String {
    let what = match &request.ask {
        Ask::Hello(hello) => format!("hello, log from {}", hello.wal_first),
        Ask::Append { entries } => {
            let ends = (entries.first(), entries.last());
            let index = |entry: Option<&crate::state::WalEntry>| entry.map_or(0, |entry| entry.position.index);
            format!("append {}..{}", index(ends.0), index(ends.1))
        }
        Ask::Copy(chunk) => {
            let through = chunk.through.as_ref().map_or("the end".to_owned(), key);
            format!("copy after {} through {through}, read at {}", key(&chunk.after), chunk.read_at)
        }
        Ask::Heartbeat { .. } => "heartbeat".into(),
        Ask::Verify { step, .. } => match step {
            VerifyStep::Freeze { at } => format!("verify: keep {at}"),
            VerifyStep::Nodes { parents } => format!("verify: what lies below {} nodes?", parents.len()),
            VerifyStep::Entries { buckets } => format!("verify: the entries of {} buckets?", buckets.len()),
            VerifyStep::Repair => "verify: take over what differs".into(),
        },
        Ask::Compare { nodes, .. } if nodes.is_empty() => "compare: what next?".into(),
        Ask::Compare { nodes, read_at, .. } => format!("compare: {} nodes, read at {read_at}", nodes.len()),
        Ask::Patch(part) => {
            let puts: Vec<_> = part.puts.iter().map(|(it, _)| key(it)).collect();
            let (gone, last) = (part.gone.len(), if part.last { ", the last" } else { "" });
            format!("patch part {}: puts {puts:?}, {gone} gone{last}, read at {}", part.part, part.read_at)
        }
    };
    let said = request.header.handover.as_ref().map(|said| match &said.word {
        HandoverWord::Waiting => ", waiting".to_owned(),
        HandoverWord::GaveUp { reached, root, .. } => {
            let root = if root.is_some() { " and its root" } else { "" };
            format!(", gave up at {reached}{root}")
        }
        HandoverWord::Refused(reason) => format!(", refuses: {reason}"),
    });
    let said = said.unwrap_or_default();
    format!("{what} [epoch {} head {}{said}]", request.header.epoch, request.header.head)
}

pub(super) fn want(want: &Want) -> String {
    match want {
        Want::Log { from } => format!("wants the log from {from}"),
        Want::Copy { after, .. } => format!("wants a copy after {}", key(after)),
        Want::Verified { found, .. } => match found {
            Found::Frozen => "has kept it".into(),
            Found::Nodes { nodes, scrubbed } => {
                format!("tells of {} nodes, {scrubbed} buckets of its disk are not what it applied", nodes.len())
            }
            Found::Entries(held) => format!("names {} buckets", held.buckets.len()),
            other => format!("{other:?}"),
        },
        Want::Compare { .. } => "wants to be asked what differs".into(),
        Want::Nodes { parents, .. } => format!("wants what lies below {} nodes", parents.len()),
        Want::Diff { buckets, .. } => {
            let names: usize = buckets.iter().map(|named| named.entries.len()).sum();
            format!("wants the difference in {} buckets, holds {names} entries there", buckets.len())
        }
        Want::Hello => "wants a hello".into(),
        Want::Refused(refused) => format!("refuses: {refused}"),
    }
}

pub(super) fn key(bytes: &Bytes) -> String {
    format!("'{}'", String::from_utf8_lossy(bytes))
}
