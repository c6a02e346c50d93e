//! Checks of what was found out beside the link: who of the primary's nodes answers this one directly, and how many of the
//! own voters are up to date.

use super::Facts;
use crate::api::replication::{Check, PromoteMode, Verdict};
use crate::clock::UnixMs;
use crate::replication::protocol::interface::{Probe, Probed};

impl Facts<'_> {
    /// Whether the primary's nodes answer this one. In a failover silence is no proof of death, and an answer as primary is
    /// a warning: it takes writes at this moment.
    pub(super) fn reachable(&self) -> Check {
        let probes = &self.outside.probes;
        let at = probes.iter().map(|probe| probe.at).max().unwrap_or(self.ctx.now.wall);
        let found = |verdict, fact: String, advice: &str| self.probed("reachable", verdict, fact, advice, at);
        if probes.is_empty() {
            let fact = "no address of the primary is known here".to_owned();
            return found(Verdict::Unknown, fact, "ask its nodes directly, from where clients are");
        }
        let said: Vec<String> = probes.iter().map(words).collect();
        let fact = said.join("; ");
        let writes = probes.iter().any(|probe| probe.said == Probed::TakesWrites);
        let answers = probes.iter().any(|probe| matches!(probe.said, Probed::Answers(_)));
        match (self.mode, writes, answers) {
            (PromoteMode::Planned, true, _) => found(Verdict::Pass, fact, ""),
            (PromoteMode::Forced, true, _) => {
                let advice =
                    "it is alive and takes writes: a switchover loses nothing; else keep clients away from it first";
                found(Verdict::Warn, fact, advice)
            }
            (_, false, true) => found(Verdict::Warn, fact, "look at its nodes: they are up, but none takes writes"),
            (_, false, false) => {
                let advice = "it may be dead, or only out of reach from here: ask it from where clients are";
                found(Verdict::Unknown, fact, advice)
            }
        }
    }

    fn probed(&self, name: &str, verdict: Verdict, fact: String, advice: &str, at: UnixMs) -> Check {
        let source = format!("{}, asked directly", self.outside.node);
        self.check(name, verdict, fact, advice, &source, at)
    }
}

fn words(probe: &Probe) -> String {
    match &probe.said {
        Probed::TakesWrites => format!("{} answers: primary, takes writes", probe.address),
        Probed::Answers(as_what) => format!("{} answers: {as_what}", probe.address),
        Probed::Silent(why) => format!("{}: {why}", probe.address),
    }
}
