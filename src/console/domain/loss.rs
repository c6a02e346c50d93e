//! What a promotion would lose, said before anybody consents to it: how far the region is, of how much, how new the newest of
//! the rest is. What is not known is never said to be nothing.

use super::told_head::ToldHead;
use super::units::{bytes, clock_time, count, duration, in_groups, plural, position};
use crate::api::replication::{LossEstimate, Plan, Verdict};
use crate::clock::UnixMs;
use crate::ids::Position;
use std::time::Duration;

/// What a loss comes to, for how it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossLook {
    Nothing,
    Some,
    Unknown,
    /// Nothing is promoted as things are: there is nothing to lose by it.
    NoStatement,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LossStatement {
    pub look: LossLook,
    /// The sentence that is read first.
    pub head: String,
    /// What stands behind it, a paragraph each.
    pub more: Vec<String>,
}

/// Of a plan that is `age` old. What this console was told by the primary itself raises what the standby knows.
pub fn loss_statement(region: &str, plan: &Plan, age: Duration, told: Option<&ToldHead>) -> LossStatement {
    let loss = &plan.loss;
    let told = told.filter(|told| !loss.known && told.missing() > loss.entries);
    let blocks: Vec<&str> =
        plan.checks.iter().filter(|check| check.verdict == Verdict::Block).map(|check| check.name.as_str()).collect();
    let blocks = blocks.join(", ");
    if !blocks.is_empty() && told.is_none() && (loss.head.is_none() || (loss.known && loss.entries == 0)) {
        let head = format!("nothing is promoted as things are: blocked by {blocks}");
        // Of a switchover the words promise what only holds when it is carried out.
        let more = if loss.known { Vec::new() } else { vec![in_groups(&loss.words)] };
        return LossStatement { look: LossLook::NoStatement, head, more };
    }
    let mut more = Vec::new();
    if let Some((applied, head)) = loss.applied.zip(loss.head) {
        let ago = loss.last_heard_at.filter(|_| !loss.known).map(|at| {
            let ago = duration(plan.made_at.since(at) + age);
            format!(", which the primary said {ago} ago")
        });
        let (applied, head) = (position(applied), position(head));
        more.push(format!("{region} has applied {applied} of {head}{}.", ago.unwrap_or_default()));
    }
    let newest = newest(loss);
    let (look, head) = match (loss.known, loss.entries) {
        (true, 0) => (LossLook::Nothing, "nothing is lost".to_owned()),
        (true, _) => (LossLook::Some, format!("{} will be lost{newest}", amount(loss))),
        (false, _) if told.is_some() => (LossLook::Some, told.map(|told| raised(loss, told)).unwrap_or_default()),
        (false, _) => {
            let likely = loss.likely_entries.filter(|likely| *likely > 0);
            let likely = likely.map_or_else(String::new, |it| format!("; at the last rate about {}", count(it)));
            let silence = loss.last_heard_at.map(|at| duration(plan.made_at.since(at) + age));
            let known = match (loss.entries, silence) {
                (0, Some(silence)) => format!("nothing is known of what the primary wrote in the last {silence}"),
                (0, None) => "nothing is known of what the primary wrote".into(),
                (_, _) => format!("at least {}{newest}", amount(loss)),
            };
            (LossLook::Unknown, format!("loss unknown: {known}{likely}"))
        }
    };
    if !loss.by_class.is_empty() {
        let classes: Vec<String> =
            loss.by_class.iter().map(|(class, of)| format!("{} {}", count(*of), class.name())).collect();
        let known = if loss.known { "of these" } else { "known of these" };
        more.push(format!("{known}: {}", classes.join(", ")));
    }
    // The server's own words say the same where it gave the figures.
    if loss.head.is_none() || look == LossLook::Nothing {
        more.push(in_groups(&loss.words));
    }
    LossStatement { look, head, more }
}

/// What was lost, as far as it is known by now: where the old primary stopped, if it said so anywhere, settles what was an
/// estimate. Until then what it had told a console counts, which may be more than the region was told.
pub fn lost_words(
    loss: &LossEstimate,
    reached: Option<Position>,
    told: Option<&ToldHead>,
    decided_at: UnixMs,
) -> String {
    if let (Some(reached), Some(applied), false) =
        (reached.filter(|it| Some(*it) >= loss.applied), loss.applied, loss.known)
    {
        return match reached.index.saturating_sub(applied.index) {
            0 => format!("nothing: the old primary had reached {}, and all of it is here", position(reached)),
            entries => format!(
                "{}: applied {} of {}, where the old primary stopped",
                plural(entries, "write", "writes"),
                position(applied),
                position(reached)
            ),
        };
    }
    if let Some(told) = told.filter(|told| !loss.known && told.missing() > loss.entries) {
        let (writes, head) = (plural(told.missing(), "write", "writes"), position(told.head));
        let applied = position(told.applied);
        return format!("unknown: at least {writes}: {} had told this console of {head} (applied {applied})", told.by);
    }
    let of = loss
        .applied
        .zip(loss.head)
        .map(|(applied, head)| format!(" (applied {} of {}{})", position(applied), position(head), newest(loss)));
    let of = of.unwrap_or_default();
    if loss.known {
        return format!("{}{of}", in_groups(&loss.words));
    }
    // A rate that comes to nothing says nothing.
    let likely = loss.likely_entries.filter(|likely| *likely > loss.entries);
    let likely = likely.map_or_else(String::new, |likely| format!("; at the last rate about {}", count(likely)));
    let heard = loss.last_heard_at.map_or_else(String::new, |at| {
        format!("; the primary was last heard {} before it was decided", duration(decided_at.since(at)))
    });
    format!("unknown: at least {}{likely}{heard}{of}", plural(loss.entries, "write", "writes"))
}

/// The rate says nothing of what is known: it can only come on top.
fn raised(loss: &LossEstimate, told: &ToldHead) -> String {
    let writes = plural(told.missing(), "write", "writes");
    let likely = loss.likely_entries.filter(|likely| *likely > told.missing());
    let likely = likely.map(|likely| format!("; at the last rate about {}", count(likely)));
    format!("loss unknown: at least {writes}: {}{}", told.words(), likely.unwrap_or_default())
}

fn amount(loss: &LossEstimate) -> String {
    format!("{}, {}", plural(loss.entries, "write", "writes"), bytes(loss.bytes))
}

fn newest(loss: &LossEstimate) -> String {
    let known = if loss.known { "" } else { "known " };
    loss.newest_at.map_or_else(String::new, |at| format!(", the newest {known}of {}", clock_time(at)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::console::domain::fixtures::{self, NOW};

    #[test]
    fn a_loss_says_how_far_of_how_much_and_how_new_and_never_nothing_where_nothing_is_known() {
        let plan = fixtures::plan();
        let unknown = loss_statement("eu-west-1", &plan, Duration::from_secs(1), None);
        assert_eq!(unknown.look, LossLook::Unknown);
        assert_eq!(
            unknown.head,
            "loss unknown: at least 8 writes, 2.1 kB, the newest known of 02:57:59Z; at the last rate about 2 107"
        );
        assert_eq!(unknown.more[0], "eu-west-1 has applied 3:48 211 of 3:48 219, which the primary said 42s ago.");
        assert_eq!(unknown.more[1], "known of these: 2 token-revoke, 6 kv-write");

        let mut known = plan.clone();
        known.loss.known = true;
        let known_loss = loss_statement("eu-west-1", &known, Duration::ZERO, None);
        assert_eq!(known_loss.head, "8 writes, 2.1 kB will be lost, the newest of 02:57:59Z");
        assert_eq!(known_loss.more[0], "eu-west-1 has applied 3:48 211 of 3:48 219.");

        known.loss.entries = 0;
        known.loss.newest_at = None;
        assert_eq!(loss_statement("eu-west-1", &known, Duration::ZERO, None).head, "nothing is lost");
        known.checks[0].verdict = Verdict::Block;
        let blocked = loss_statement("eu-west-1", &known, Duration::ZERO, None);
        assert_eq!((blocked.look, blocked.head.contains("blocked by whole")), (LossLook::NoStatement, true));
        assert!(blocked.more.is_empty(), "{blocked:?}");
    }

    #[test]
    fn a_loss_is_at_least_what_the_primary_told_this_console() {
        let mut plan = fixtures::plan();
        (plan.loss.entries, plan.loss.head) = (0, plan.loss.applied);
        let applied = plan.loss.applied.unwrap();
        let head = crate::ids::Position::new(applied.epoch, applied.index + 4);
        let told = ToldHead { by: "us-east-1".into(), head, applied, age: Duration::from_secs(48) };
        let said = loss_statement("eu-west-1", &plan, Duration::ZERO, Some(&told));
        assert_eq!(said.look, LossLook::Some);
        assert_eq!(
            said.head,
            "loss unknown: at least 4 writes: us-east-1 told this console of 3:48 215, 48s ago; at the last rate about 2 107"
        );
        plan.checks[0].verdict = Verdict::Block;
        let blocked = loss_statement("eu-west-1", &plan, Duration::ZERO, Some(&told));
        assert_eq!(blocked.look, LossLook::Some, "what is known to be lost is said even where it is forbidden");
        plan.loss.known = true;
        let known = loss_statement("eu-west-1", &plan, Duration::ZERO, Some(&told));
        assert_eq!(known.look, LossLook::NoStatement, "who gave up to this region told it all");
    }

    #[test]
    fn where_the_old_primary_stopped_is_what_was_lost() {
        let mut loss = fixtures::plan().loss;
        let fork = loss.applied.unwrap();
        assert!(lost_words(&loss, None, None, NOW).starts_with("unknown"));
        assert_eq!(
            lost_words(&loss, Some(fork), None, NOW),
            "nothing: the old primary had reached 3:48 211, and all of it is here"
        );
        let further = crate::ids::Position::new(fork.epoch, fork.index + 1);
        assert_eq!(
            lost_words(&loss, Some(further), None, NOW),
            "1 write: applied 3:48 211 of 3:48 212, where the old primary stopped"
        );
        let applied = loss.applied.unwrap();
        let head = crate::ids::Position::new(applied.epoch, applied.index + 40);
        let told = ToldHead { by: "us-east-1".into(), head, applied, age: Duration::from_secs(48) };
        assert_eq!(
            lost_words(&loss, None, Some(&told), NOW),
            "unknown: at least 40 writes: us-east-1 had told this console of 3:48 251 (applied 3:48 211)"
        );
        let without = LossEstimate { likely_entries: Some(0), ..loss.clone() };
        let words = lost_words(&without, None, None, NOW);
        assert!(words.contains("before it was decided") && !words.contains("rate"), "{words}");
        loss.known = true;
        assert_eq!(
            lost_words(&loss, Some(further), None, NOW),
            lost_words(&loss, None, None, NOW),
            "the region's own word counts"
        );
    }
}
