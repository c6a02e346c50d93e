//! What the core reports, in words for people: the events of the path.

use super::protocol::{Fact, HandoverStage, OpenedBy, OwnDisk, PromotionProgress, Verified, VerifyOutcome};
use crate::api::replication::{EventLevel, LinkState, PromoteMode};
use crate::ids::{Epoch, RegionId};

/// The level, the subject and the text of an event; `None` for what is no news.
pub(super) fn words(fact: &Fact, name: impl Fn(RegionId) -> String) -> Option<(EventLevel, &'static str, String)> {
    use EventLevel::{Alarm, Info, Warn};
    Some(match fact {
        Fact::Link { peer, state, error } => link(&name(*peer), *state, error.as_deref()),
        Fact::SyncBegan { from, kind, reason } => {
            (Info, "sync", format!("{} sync from {} began: {reason}", kind.name(), name(*from)))
        }
        Fact::Whole { applied } => (Info, "sync", format!("the sync is done: readers see position {applied}")),
        Fact::Fenced { by_epoch, by, reached } => {
            let text = format!(
                "this region is fenced: epoch {by_epoch} began in {}. It takes no more writes; it had reached {reached}",
                name(*by)
            );
            (Alarm, "fence", text)
        }
        Fact::Demoted { epoch, reached, reason } => {
            let text = format!(
                "this region was demoted in epoch {epoch} ({reason}). It takes no more writes; it had reached {reached}"
            );
            (Alarm, "fence", text)
        }
        Fact::Diverged { fork, reached, kept } => {
            let text = format!(
                "this region holds what the new primary never got, from behind {fork} up to {reached}: {kept}. Look at it \
                 with `twinkeep replication ledger`"
            );
            (Alarm, "ledger", text)
        }
        Fact::PeerFenced { peer, by_epoch, reached, .. } => {
            let text = format!("{} is fenced by epoch {by_epoch}, durably; it had reached {reached}", name(*peer));
            (Info, "fence", text)
        }
        Fact::Follows { primary, epoch } => {
            (Info, "link", format!("this region follows {}, primary of epoch {epoch}", name(*primary)))
        }
        Fact::Roots { at, equal: true, .. } => {
            tracing::debug!("both regions hold the same at {at}");
            return None;
        }
        Fact::Roots { peer, at, equal: false } => {
            let text =
                format!("this region and {} differ at position {at}: the Merkle roots are not equal", name(*peer));
            (Alarm, "sync", text)
        }
        Fact::SameEpoch { peer, epoch } => {
            let text = format!("this region and {} are both primary in epoch {epoch}: demote one of them", name(*peer));
            (Alarm, "fence", text)
        }
        Fact::Closed { epoch, waits_for } => {
            let names: Vec<String> = waits_for.iter().map(|region| name(*region)).collect();
            let text = format!(
                "this region restarted as primary of epoch {epoch}: it takes no writes before {} confirmed that no other \
                 region was promoted meanwhile",
                names.join(", ")
            );
            (Warn, "opening", text)
        }
        Fact::Opened { epoch, by } => opened(*epoch, by),
        Fact::Verified(verified) => verification(verified, name),
        Fact::Promotion { progress: PromotionProgress::Running(PromoteMode::Forced), .. } => {
            (Info, "promotion", "the promotion began: the incoming stream is frozen".into())
        }
        Fact::Promotion { id, progress: PromotionProgress::Running(PromoteMode::Planned) } => {
            (Info, "promotion", format!("switchover {id}: the primary is asked to hand over"))
        }
        Fact::Handover { id, peer, stage: HandoverStage::GaveUp { reached } } => {
            let text = format!(
                "switchover {id}: this region gave up to {} at {reached}, and takes no more writes",
                name(*peer)
            );
            (Warn, "promotion", text)
        }
        Fact::Handover { id, peer, stage: HandoverStage::TookBack } => {
            let text =
                format!("switchover {id}: {} declined; this region is primary again, in the same epoch", name(*peer));
            (Warn, "promotion", text)
        }
        Fact::Promotion { progress: PromotionProgress::Done(record), .. } => {
            let pause = record.pause_ms.map(|ms| format!("; no region took writes for {ms} ms")).unwrap_or_default();
            let (epoch, fork) = (record.epoch, record.fork);
            let text = format!("promoted: this region is primary of epoch {epoch} from {fork} on{pause}");
            (Warn, "promotion", text)
        }
        Fact::Promotion { progress: PromotionProgress::Refused { reason, .. }, .. } => {
            (Warn, "promotion", format!("this region was not promoted: {reason}"))
        }
        Fact::Promotion { progress: PromotionProgress::Unknown(reason), .. } => {
            (Alarm, "promotion", format!("whether the promotion was agreed on is unknown: {reason}"))
        }
    })
}

fn opened(epoch: Epoch, by: &OpenedBy) -> (EventLevel, &'static str, String) {
    let (level, why) = match by {
        OpenedBy::Promotion => (EventLevel::Info, "it was promoted just now".to_owned()),
        OpenedBy::Confirmation => (EventLevel::Info, "its standbys confirmed the epoch".to_owned()),
        OpenedBy::Remembered => (EventLevel::Info, "a node of the region that never stopped saw it open".to_owned()),
        OpenedBy::Override { reason } => {
            (EventLevel::Alarm, format!("an operator overrode the restart rule: {reason}"))
        }
    };
    (level, "opening", format!("this region takes writes in epoch {epoch}: {why}"))
}

/// What came of a verification, standby by standby.
fn verification(verified: &Verified, name: impl Fn(RegionId) -> String) -> (EventLevel, &'static str, String) {
    let mut level = EventLevel::Info;
    let mut texts = Vec::new();
    match &verified.own {
        OwnDisk::NotRead | OwnDisk::Sound => {}
        OwnDisk::Differs(buckets) => {
            level = EventLevel::Alarm;
            texts.push(format!("this region's own disk is not what it applied, in {buckets} buckets"));
        }
        OwnDisk::Unreadable(why) => {
            level = EventLevel::Alarm;
            texts.push(format!("this region's own disk can't be read: {why}"));
        }
    }
    for (peer, standby) in &verified.standbys {
        let at = standby.at.map(|at| format!(" at {at}")).unwrap_or_default();
        let (worth, what) = match &standby.outcome {
            VerifyOutcome::Equal => (EventLevel::Info, format!("holds the same{at}")),
            VerifyOutcome::Repaired => {
                (EventLevel::Warn, format!("differed in {} entries and was repaired", standby.entries))
            }
            VerifyOutcome::Differs(why) => (EventLevel::Alarm, format!("differs{at}: {why}")),
            VerifyOutcome::Unchecked(why) => (EventLevel::Warn, format!("was not checked: {why}")),
            VerifyOutcome::Waiting | VerifyOutcome::Running(_) => (EventLevel::Warn, "was not checked".into()),
        };
        level = level.max(worth);
        texts.push(format!("{} {what}", name(*peer)));
    }
    if texts.is_empty() {
        texts.push("there is no standby".into());
    }
    (level, "verify", format!("verification: {}", texts.join("; ")))
}

fn link(name: &str, state: LinkState, error: Option<&str>) -> (EventLevel, &'static str, String) {
    let because = error.map(|error| format!(": {error}")).unwrap_or_default();
    let (level, what) = match state {
        LinkState::Connecting if error.is_some() => (EventLevel::Warn, "is lost and is dialled again"),
        LinkState::Connecting => (EventLevel::Info, "is being dialled"),
        LinkState::Activating => (EventLevel::Info, "presents its activation token"),
        LinkState::FullSync => (EventLevel::Info, "sends everything over"),
        LinkState::DiffSync => (EventLevel::Info, "compares both sides and sends over what differs"),
        LinkState::Streaming => (EventLevel::Info, "is streaming"),
        LinkState::Paused => (EventLevel::Warn, "is paused"),
        LinkState::Refused => (EventLevel::Alarm, "is refused"),
    };
    (level, "link", format!("the link with {name} {what}{because}"))
}
