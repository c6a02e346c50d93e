//! Scripts of a rehearsal: a line a step, faults between waits and expectations.
//!
//! ```text
//!   nodes 3                        nodes a region, and
//!   secrets 1000                   secrets at the start, both before all else
//!   connect                        make a token on the standby and hand it to the primary
//!   promote                        the standby, accepting what the plan says is lost
//!   switchover                     the same with the primary's consent: nothing is lost
//!   replay, rejoin                 what only the old primary has, as new writes; and back as a standby
//!   cut, heal, latency MS, kill-leader WHICH, kill-region WHICH, restart WHICH, skew WHICH MS, load WRITES
//!   sleep 5s
//!   wait streaming | in-step | equal | noticed | writes | fenced | recovered [within 30s]
//!   expect lost <= 200 | recovered >= 1 | notice <= 5s
//! ```

use super::drill::Drill;
use super::fault::{Fault, Which};
use super::{Demo, Options, PATH};
use crate::api::ledger::{RejoinRequest, ReplayRequest};
use crate::api::replication::{
    LinkRequest, LinkState, PathStatus, PromoteMode, PromoteRequest, PromotionOutcome, Role, TokenRequest,
};
use crate::client::ClientError;
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::PromotionId;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Part of the program.
const EMBEDDED: [(&str, &str); 5] = [
    ("dead-primary", include_str!("scenarios/dead-primary.txt")),
    ("switchover", include_str!("scenarios/switchover.txt")),
    ("cut-link", include_str!("scenarios/cut-link.txt")),
    ("ledger", include_str!("scenarios/ledger.txt")),
    ("lost-leader", include_str!("scenarios/lost-leader.txt")),
];
/// A `wait` that does not say how long.
const WAIT_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    /// Nodes of each region, if it matters.
    pub nodes: Option<u32>,
    pub secrets: Option<u32>,
    steps: Vec<(String, Step)>,
}

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Promote(PromoteMode),
    Replay,
    Rejoin,
    Fault(Fault),
    Sleep(Duration),
    Wait(Fact, Duration),
    Expect(Expectation),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fact {
    Streaming,
    /// Near enough under load.
    InStep,
    /// One position, one root.
    Equal,
    Noticed,
    Writes,
    Fenced,
    /// All that was lost is there again.
    Recovered,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expectation {
    LostAtMost(u64),
    RecoveredAtLeast(u64),
    NoticedWithin(Duration),
}

impl Scenario {
    /// One of the program's own by its name, else a file.
    pub fn load(name: &str) -> Result<Scenario> {
        if let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
            return Scenario::parse(name, text);
        }
        let text = std::fs::read_to_string(Path::new(name)).map_err(|error| {
            let known = EMBEDDED.map(|(known, _)| known).join(", ");
            Error::invalid(format!("{name}: {error}; the program's own scenarios are {known}"))
        })?;
        Scenario::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Scenario> {
        let mut scenario = Scenario { name: name.to_owned(), nodes: None, secrets: None, steps: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = |error: Error| Error::invalid(format!("{name}:{}: {error}", number + 1));
            let number = |text: &str, most: u32| {
                let number = text.trim().parse().ok().filter(|number| (1..=most).contains(number));
                number.ok_or_else(|| wrong(Error::invalid(format!("`{line}`: 1 to {most}"))))
            };
            if let Some(nodes) = line.strip_prefix("nodes ") {
                scenario.nodes = Some(number(nodes, 5)?);
            } else if let Some(secrets) = line.strip_prefix("secrets ") {
                scenario.secrets = Some(number(secrets, 1_000_000)?);
            } else {
                scenario.steps.push((line.to_owned(), Step::parse(line).map_err(wrong)?));
            }
        }
        Ok(scenario)
    }

    /// The options with what the scenario wants.
    pub fn over(&self, options: Options) -> Options {
        Options {
            nodes: self.nodes.unwrap_or(options.nodes),
            secrets: self.secrets.unwrap_or(options.secrets),
            ..options
        }
    }

    /// Plays it to its end, or to the first step that fails. `tell` hears of each step before it is taken.
    pub(super) async fn play(&self, demo: &Arc<Mutex<Demo>>, mut tell: impl FnMut(&str)) -> Result<()> {
        let drill = Arc::clone(&demo.lock().await.drill);
        for (text, step) in &self.steps {
            tell(text);
            let failed = |error: Error| Error::unavailable(format!("scenario {}: `{text}`: {error}", self.name));
            step.take(demo, &drill).await.map_err(failed)?;
        }
        Ok(())
    }
}

impl Step {
    fn parse(line: &str) -> Result<Step> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |text: &str| text.parse().map_err(|_| Error::invalid(format!("`{text}` is no number")));
        Ok(match words.as_slice() {
            ["connect"] => Step::Connect,
            ["promote"] => Step::Promote(PromoteMode::Forced),
            ["replay"] => Step::Replay,
            ["rejoin"] => Step::Rejoin,
            ["switchover"] => Step::Promote(PromoteMode::Planned),
            ["sleep", time] => Step::Sleep(crate::duration::parse(time)?),
            ["wait", fact] => Step::Wait(Fact::parse(fact)?, WAIT_WITHIN),
            ["wait", fact, "within", time] => Step::Wait(Fact::parse(fact)?, crate::duration::parse(time)?),
            ["expect", "lost", "<=", count] => Step::Expect(Expectation::LostAtMost(number(count)?)),
            ["expect", "recovered", ">=", count] => Step::Expect(Expectation::RecoveredAtLeast(number(count)?)),
            ["expect", "notice", "<=", time] => Step::Expect(Expectation::NoticedWithin(crate::duration::parse(time)?)),
            ["wait" | "expect", ..] => return Err(Error::invalid(format!("`{line}` can't be waited for or expected"))),
            _ => Step::Fault(line.parse()?),
        })
    }

    async fn take(&self, demo: &Arc<Mutex<Demo>>, drill: &Drill) -> Result<()> {
        match self {
            Step::Connect => demo.lock().await.connect().await,
            Step::Promote(mode) => {
                if *mode == PromoteMode::Planned {
                    drill.begin("switchover").await;
                }
                promote(demo, *mode).await
            }
            Step::Replay => replay(demo, drill).await,
            Step::Rejoin => rejoin(demo, drill).await,
            Step::Fault(fault) => demo.lock().await.throw(fault).await.map(drop),
            Step::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Ok(())
            }
            Step::Wait(fact, within) => {
                let began = clock::steady();
                while !fact.holds(drill).await {
                    if began.elapsed() > *within {
                        let within = within.as_secs();
                        return Err(Error::unavailable(format!("not so within {within} s")));
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Ok(())
            }
            Step::Expect(expectation) => expectation.check(drill),
        }
    }
}

impl Fact {
    fn parse(word: &str) -> Result<Fact> {
        Ok(match word {
            "streaming" => Fact::Streaming,
            "in-step" => Fact::InStep,
            "equal" => Fact::Equal,
            "noticed" => Fact::Noticed,
            "writes" => Fact::Writes,
            "fenced" => Fact::Fenced,
            "recovered" => Fact::Recovered,
            other => {
                let known = "streaming, in-step, equal, noticed, writes, fenced, recovered";
                return Err(Error::invalid(format!("`{other}` is nothing to wait for: expected one of {known}")));
            }
        })
    }

    async fn holds(self, drill: &Drill) -> bool {
        match self {
            Fact::Noticed => drill.score().borrow().noticed_ms.is_some(),
            Fact::Writes => {
                let score = drill.score();
                let score = score.borrow();
                score.writes_again_ms.is_some() && score.lost.is_some()
            }
            Fact::Recovered => {
                let score = drill.score();
                let score = score.borrow();
                score.lost.is_some() && (score.lost == Some(0) || score.recovered == score.lost)
            }
            Fact::Streaming => {
                let seen = drill.look().await;
                let streams = |status: &PathStatus| {
                    status.role == Role::Primary && status.links.iter().any(|link| link.state == LinkState::Streaming)
                };
                seen.iter().flatten().any(streams)
            }
            Fact::InStep => in_step(&drill.look().await, true),
            Fact::Equal => in_step(&drill.look().await, false),
            Fact::Fenced => drill.look().await.iter().flatten().any(|status| {
                status.role != Role::Primary && {
                    // Fenced, or already on its way back as a standby.
                    status.role == Role::Fenced || status.epoch.0 > 1
                }
            }),
        }
    }
}

/// Whether the standby is whole and holds what the primary holds. Under load the positions of two answers differ by what
/// is written in between: equal roots at one position are proof, a standby that is a few writes behind may do as well.
fn in_step(seen: &[Option<PathStatus>], may_be_near: bool) -> bool {
    let [Some(one), Some(two)] = seen else { return false };
    let (primary, standby) = if one.role == Role::Primary { (one, two) } else { (two, one) };
    let behind = primary.applied.index.saturating_sub(standby.applied.index);
    let near = may_be_near && primary.writes_per_s > 0.5 && behind as f64 <= primary.writes_per_s + 1.0;
    let equal = primary.applied == standby.applied && primary.merkle_root == standby.merkle_root;
    primary.role == Role::Primary
        && standby.role == Role::Standby
        && standby.whole
        && primary.dataset == standby.dataset
        && (near || equal)
}

impl Expectation {
    fn check(self, drill: &Drill) -> Result<()> {
        let score = drill.score().borrow().clone();
        let fail = |words: String| Err(Error::unavailable(words));
        match self {
            Expectation::LostAtMost(most) => match score.lost {
                Some(lost) if lost <= most => Ok(()),
                lost => fail(format!("lost {lost:?}")),
            },
            Expectation::RecoveredAtLeast(least) => match score.recovered {
                Some(recovered) if recovered >= least => Ok(()),
                recovered => fail(format!("recovered {recovered:?}")),
            },
            Expectation::NoticedWithin(time) => match score.noticed_ms {
                Some(ms) if u128::from(ms) <= time.as_millis() => Ok(()),
                ms => fail(format!("noticed after {ms:?} ms")),
            },
        }
    }
}

impl Demo {
    /// Makes a token on the standby and hands it to the primary, as `l` in the console.
    async fn connect(&mut self) -> Result<()> {
        let told = |error: ClientError| Error::unavailable(error.to_string());
        let (primary, standby) = (self.regions[0].client()?, self.regions[1].client()?);
        let asked = TokenRequest::default();
        let token = patiently(|| standby.generate_token(PATH, &asked)).await.map_err(told)?;
        let request = LinkRequest { address: None, token: token.token, max_parallel: None };
        patiently(|| primary.connect(PATH, &request)).await.map_err(told)
    }
}

/// Asks again as long as a server says that it can't just now, as any client would: a machine may be busy.
pub(super) async fn patiently<T, W>(ask: impl Fn() -> W) -> std::result::Result<T, ClientError>
where
    W: Future<Output = std::result::Result<T, ClientError>>,
{
    let began = clock::steady();
    loop {
        match ask().await {
            Err(error) if is_passing(&error) && began.elapsed() < WAIT_WITHIN => tokio::time::sleep(LOOK_EVERY).await,
            done => return done,
        }
    }
}

fn is_passing(error: &ClientError) -> bool {
    error.is_unreachable() || matches!(error.status(), Some(412 | 429 | 472 | 500..=599))
}

/// A client of the region that was left behind, whose ledger is asked for.
async fn left_behind(demo: &Arc<Mutex<Demo>>, drill: &Drill) -> Result<crate::client::Client> {
    let fenced = |status: &Option<PathStatus>| status.as_ref().is_some_and(|status| status.role == Role::Fenced);
    let at = super::wait_for("a fenced region", || async { drill.look().await.iter().position(fenced) }).await?;
    let demo = demo.lock().await;
    Ok(demo.regions[at].clients_as(demo.regions[0].token())?.remove(0))
}

/// All that nobody decided on, until nothing more goes through.
async fn replay(demo: &Arc<Mutex<Demo>>, drill: &Drill) -> Result<()> {
    let told = |error: ClientError| Error::unavailable(error.to_string());
    let old = left_behind(demo, drill).await?;
    let request = ReplayRequest { all: true, ..ReplayRequest::default() };
    loop {
        let answer = patiently(|| old.replay(PATH, &request)).await.map_err(told)?;
        if answer.replayed.is_empty() {
            return Ok(());
        }
    }
}

/// What met a newer write is decided on by the reason.
async fn rejoin(demo: &Arc<Mutex<Demo>>, drill: &Drill) -> Result<()> {
    let told = |error: ClientError| Error::unavailable(error.to_string());
    let old = left_behind(demo, drill).await?;
    let request = RejoinRequest { reason: Some("rehearsed: the rest met newer writes".into()), primary: None };
    patiently(|| old.rejoin(PATH, &request)).await.map_err(told)
}

/// The plan, then the promotion with what the plan says, under one id until its outcome is known.
async fn promote(demo: &Arc<Mutex<Demo>>, mode: PromoteMode) -> Result<()> {
    let told = |error: ClientError| Error::unavailable(error.to_string());
    let standby = {
        let demo = demo.lock().await;
        let at = demo.region_of(&Which::Standby).await;
        // After a sync the primary's token is the standby's as well.
        demo.regions[at].clients_as(demo.regions[0].token())?.remove(0)
    };
    loop {
        let plan = patiently(|| standby.plan(PATH, mode)).await.map_err(told)?;
        let id = PromotionId(clock::random_bytes());
        let accept_loss = mode == PromoteMode::Forced;
        let request = PromoteRequest { mode, plan: plan.hash, accept_loss, id, deadline: None };
        // The same id again is the same promotion.
        let mut promotion = patiently(|| standby.promote(PATH, &request)).await.map_err(told)?;
        while matches!(promotion.outcome, PromotionOutcome::Running | PromotionOutcome::Unknown) {
            tokio::time::sleep(LOOK_EVERY).await;
            promotion = patiently(|| standby.promotion(PATH, id)).await.map_err(told)?.unwrap_or(promotion);
        }
        match promotion.outcome {
            PromotionOutcome::Done => return Ok(()),
            // The facts moved between the plan and the promotion: look again, as the console does.
            _ if promotion.plan.is_some() => tokio::time::sleep(LOOK_EVERY).await,
            _ => return Err(Error::unavailable(promotion.error.unwrap_or_else(|| "it was not promoted".into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn every_scenario_of_the_program_is_understood_and_mistakes_name_their_line() {
        for (name, _) in EMBEDDED {
            assert!(Scenario::load(name).unwrap().steps.len() > 5);
        }
        let wrong = |text: &str| Scenario::parse("s", text).unwrap_err().to_string();
        assert!(wrong("connect\nwait forever").contains("s:2: `forever` is nothing to wait for"));
        assert!(wrong("burn").contains("s:1: `burn` is no fault"));
        assert!(wrong("nodes 9").contains("`nodes 9`: 1 to 5"));
        assert!(Scenario::load("/nowhere").unwrap_err().to_string().contains("dead-primary"));
    }
}
