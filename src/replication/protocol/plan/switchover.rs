//! What only a switchover's plan asks: whether the primary is there, and how soon it could hand over.

use super::{Facts, seconds};
use crate::api::replication::{Check, Verdict};
use crate::state::Role;

/// So far behind, catching up takes a moment.
const BEHIND_ENTRIES: u64 = 2_048;

impl Facts<'_> {
    pub(super) fn of_switchover(&self) -> Vec<Check> {
        vec![
            self.role(),
            self.whole(),
            self.quorum(),
            self.sealed(),
            self.primary_is_there(),
            self.reachable(),
            self.catches_up(),
            self.same_roots(),
            self.clock(),
            self.version(),
            self.credential(),
            self.tokens(),
        ]
    }

    /// Over what the operator decides on: who takes over what from whom. Checks that come and go, such as a lag, are
    /// looked at when it begins.
    pub(super) fn hash_of_switchover(&self) -> String {
        let path = &self.ctx.path;
        let primary = path.primary.as_ref().map(|primary| primary.region).unwrap_or_default();
        let facts = format!("planned {} {} {} {primary}", path.role, path.epoch, path.dataset);
        blake3::hash(facts.as_bytes()).to_hex()[..32].to_owned()
    }

    fn primary_is_there(&self) -> Check {
        let advice = "a switchover needs the primary: use a failover (-forced), or bring it back";
        if self.ctx.path.role != Role::Standby {
            return self.own("primary", Verdict::Block, "this region has no primary to take over from".into(), "");
        }
        match self.silent_ms {
            Some(ms) if self.live => {
                let fact = format!("the primary was heard {} ago: its region agrees and answers", seconds(ms));
                self.heard_check("primary", Verdict::Pass, fact, "")
            }
            Some(ms) => {
                let fact = format!("the primary was not heard for {}", seconds(ms));
                self.heard_check("primary", Verdict::Block, fact, advice)
            }
            None => {
                let fact = "the primary was not heard since this node leads".to_owned();
                self.heard_check("primary", Verdict::Block, fact, advice)
            }
        }
    }

    fn catches_up(&self) -> Check {
        let Some(heard) = self.heard else {
            let fact = "the primary's head is not known".to_owned();
            return self.heard_check("behind", Verdict::Unknown, fact, "look at the link");
        };
        let behind = heard.header.head.index.saturating_sub(self.ctx.path.applied.index);
        let fact = format!("{behind} behind the primary's head {}", heard.header.head);
        match behind {
            0..=BEHIND_ENTRIES => self.heard_check("behind", Verdict::Pass, fact, ""),
            _ => {
                let advice = "the primary goes on taking writes until this region has nearly caught up; if that takes \
                              longer than the deadline, nothing happens";
                self.heard_check("behind", Verdict::Warn, fact, advice)
            }
        }
    }

    fn same_roots(&self) -> Check {
        let Some(roots) = &self.roots else {
            let fact = "the regions were not compared since this node leads".to_owned();
            return self.own("roots", Verdict::Unknown, fact, "they are compared before this region opens");
        };
        let (at, when) = (roots.at, roots.when);
        let (verdict, fact, advice) = match roots.equal {
            true => (Verdict::Pass, format!("both regions hold the same at {at}"), ""),
            false => {
                let advice = "find what differs with `twinkeep replication verify`";
                (Verdict::Block, format!("the regions differ at {at}"), advice)
            }
        };
        self.check("roots", verdict, fact, advice, "Merkle roots of both regions", when)
    }
}
