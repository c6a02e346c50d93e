//! What a promotion would lose, said before anybody consents to it: how far the region is, of how much, how new the newest of
//! the rest is. What is not known is never said to be nothing.

use super::units::{bytes, clock_time, count, duration, plural, position};
use crate::api::replication::{LossEstimate, Plan, Verdict};
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

/// Of a plan that is `age` old.
pub fn loss_statement(region: &str, plan: &Plan, age: Duration) -> LossStatement {
    let loss = &plan.loss;
    let blocks: Vec<&str> =
        plan.checks.iter().filter(|check| check.verdict == Verdict::Block).map(|check| check.name.as_str()).collect();
    let blocks = blocks.join(", ");
    if !blocks.is_empty() && (loss.head.is_none() || (loss.known && loss.entries == 0)) {
        let head = format!("nothing is promoted as things are: blocked by {blocks}");
        // Of a switchover the words promise what only holds when it is carried out.
        let more = if loss.known { Vec::new() } else { vec![loss.words.clone()] };
        return LossStatement { look: LossLook::NoStatement, head, more };
    }
    let mut more = Vec::new();
    if let Some((applied, head)) = loss.applied.zip(loss.head) {
        let told = loss.last_heard_at.filter(|_| !loss.known).map(|at| {
            let ago = duration(plan.made_at.since(at) + age);
            format!(", which the primary said {ago} ago")
        });
        let (applied, head) = (position(applied), position(head));
        more.push(format!("{region} has applied {applied} of {head}{}.", told.unwrap_or_default()));
    }
    let newest = newest(loss);
    let (look, head) = match (loss.known, loss.entries) {
        (true, 0) => (LossLook::Nothing, "nothing is lost".to_owned()),
        (true, _) => (LossLook::Some, format!("{} will be lost{newest}", amount(loss))),
        (false, _) => {
            let likely = loss.likely_entries.map(|likely| format!("; at the last rate about {}", count(likely)));
            (
                LossLook::Unknown,
                format!("loss unknown: at least {}{newest}{}", amount(loss), likely.unwrap_or_default()),
            )
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
        more.push(loss.words.clone());
    }
    LossStatement { look, head, more }
}

/// What was lost, as far as it is known by now, for a report.
pub fn lost_words(loss: &LossEstimate) -> String {
    let of = loss
        .applied
        .zip(loss.head)
        .map(|(applied, head)| format!(" (applied {} of {}{})", position(applied), position(head), newest(loss)));
    format!("{}{}", loss.words, of.unwrap_or_default())
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
    use crate::console::domain::fixtures;

    #[test]
    fn a_loss_says_how_far_of_how_much_and_how_new_and_never_nothing_where_nothing_is_known() {
        let plan = fixtures::plan();
        let unknown = loss_statement("eu-west-1", &plan, Duration::from_secs(1));
        assert_eq!(unknown.look, LossLook::Unknown);
        assert_eq!(
            unknown.head,
            "loss unknown: at least 8 writes, 2.1 kB, the newest known of 02:57:59Z; at the last rate about 2 107"
        );
        assert_eq!(unknown.more[0], "eu-west-1 has applied 3:48 211 of 3:48 219, which the primary said 42s ago.");
        assert_eq!(unknown.more[1], "known of these: 2 token-revoke, 6 kv-write");

        let mut known = plan.clone();
        known.loss.known = true;
        let known_loss = loss_statement("eu-west-1", &known, Duration::ZERO);
        assert_eq!(known_loss.head, "8 writes, 2.1 kB will be lost, the newest of 02:57:59Z");
        assert_eq!(known_loss.more[0], "eu-west-1 has applied 3:48 211 of 3:48 219.");

        known.loss.entries = 0;
        known.loss.newest_at = None;
        assert_eq!(loss_statement("eu-west-1", &known, Duration::ZERO).head, "nothing is lost");
        known.checks[0].verdict = Verdict::Block;
        let blocked = loss_statement("eu-west-1", &known, Duration::ZERO);
        assert_eq!((blocked.look, blocked.head.contains("blocked by whole")), (LossLook::NoStatement, true));
        assert!(blocked.more.is_empty(), "{blocked:?}");
    }
}
