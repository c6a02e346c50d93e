//! The report of a promotion for afterwards: what was known, what was done when, what it cost. As Markdown for people and as
//! JSON for programs. It holds no secrets: none of its parts does.

use super::model::Model;
use super::promotion::{Sent, Stage, Standing};
use crate::api::replication::{FenceProof, LossEstimate, PromoteMode, Promotion, StepName, StepState};
use crate::console::domain::failover::{StillPrimary, fence_seen, still_primary};
use crate::console::domain::loss::lost_words;
use crate::console::domain::told_head;
use crate::console::domain::units::{bytes, count, duration, plural, position};
use crate::console::domain::{AnyAge, Evidence};
use crate::ids::Position;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;

/// The ends of the files' names, and what is in them. Empty before there is anything to report.
pub fn files(model: &Model) -> Vec<(&'static str, String)> {
    let Some(desk) = &model.here.promotion else { return Vec::new() };
    let Stage::Sent(sent) = &desk.stage else { return Vec::new() };
    vec![
        ("md", markdown(model, &desk.target.region, sent)),
        ("json", format!("{:#}\n", object(model, &desk.target.region, sent))),
    ]
}

pub fn mode_word(mode: PromoteMode) -> &'static str {
    match mode {
        PromoteMode::Planned => "switchover",
        PromoteMode::Forced => "failover",
    }
}

fn outcome_word(sent: &Sent) -> &'static str {
    match sent.outcome() {
        Standing::Running => "running",
        Standing::Done => "done",
        Standing::Failed => "failed",
        Standing::Unknown => "unknown",
    }
}

fn said(sent: &Sent) -> Option<&Promotion> {
    sent.said.as_ref().map(|said| said.last())
}

fn object(model: &Model, region: &str, sent: &Sent) -> serde_json::Value {
    let evidence: Vec<_> = sent
        .evidence
        .iter()
        .map(|one| {
            let age = one.age.map(|age| age.as_millis() as u64);
            json!({ "observer": one.observer, "fact": one.fact, "age_ms": age })
        })
        .collect();
    json!({
        "id": sent.id,
        "region": region,
        "path": model.here.path,
        "mode": sent.mode,
        "outcome": outcome_word(sent),
        "sent_at": sent.sent_at,
        "reported_at": model.now,
        "plan": sent.plan,
        "evidence": evidence,
        "told_head": sent.told,
        "promotion": said(sent),
        "recovery_ms": recovery_time(sent).map(|time| time.as_millis() as u64),
        "events": during(model, sent).map(|entry| json!({
            "at": entry.at, "region": entry.region, "subject": entry.subject, "text": entry.text,
        })).collect::<Vec<_>>(),
    })
}

/// What was told while it went on.
fn during<'a>(model: &'a Model, sent: &'a Sent) -> impl Iterator<Item = &'a super::history::LogEntry> {
    model.here.log.entries().filter(|entry| entry.at >= sent.sent_at)
}

fn markdown(model: &Model, region: &str, sent: &Sent) -> String {
    let mut text = String::new();
    let mut put = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    put(&format!("# {} of {region}: {}", mode_word(sent.mode), outcome_word(sent)));
    put("");
    put(&format!("* Promotion `{}` on path `{}`, sent {}.", sent.id, model.here.path, sent.sent_at));
    if let Some(plan) = &sent.plan {
        put(&format!("* Epoch {} to {}.", plan.epoch_now, plan.epoch_next));
    }
    if let Some(promotion) = said(sent) {
        for line in recovery(sent).into_iter().chain(results(model, region, sent, promotion)) {
            put(&format!("* {line}"));
        }
        put("");
        put("## Steps");
        put("");
        put("| step | state | after | what |");
        put("|---|---|---|---|");
        for step in &promotion.steps {
            let after = step.at.map_or("-".into(), |at| duration(at.since(promotion.began_at)));
            let state = state_word(step.state);
            put(&format!("| {} | {state} | {after} | {} |", step_word(step.name), step.detail));
        }
    }
    if let Some(plan) = &sent.plan {
        put("");
        put("## What was known when it was decided");
        put("");
        put(&format!("Loss: {}", loss_line(&plan.loss)));
        if let Some(told) = &sent.told {
            put(&format!("At least {}: {}.", plural(told.missing(), "write", "writes"), told.words()));
        }
        put("");
        for check in told_head::checks(plan, sent.told.as_ref()) {
            put(&format!("* {}: {:?}, {} ({})", check.name, check.verdict, check.fact, check.source));
        }
        for one in &sent.evidence {
            put(&format!("* {}: {}", one.observer, one.fact));
        }
    }
    put("");
    put("## Events");
    put("");
    for entry in during(model, sent) {
        put(&format!("* {} {}: {}", entry.at, entry.region, entry.text));
    }
    text
}

/// How long a failover left clients without a primary, as far as this can be known: since the old one's last word.
pub fn recovery_time(sent: &Sent) -> Option<Duration> {
    // Where the old primary answered when it was decided, clients were never without one.
    if sent.evidence.iter().any(Evidence::is_answer) {
        return None;
    }
    let heard = sent.plan.as_ref().filter(|plan| plan.mode == PromoteMode::Forced)?.loss.last_heard_at?;
    let opened = said(sent)?.steps.iter().find(|step| step.name == StepName::Opened)?.at?;
    // The link may have been silent before the primary was.
    let heard = sent.heard_at.map_or(heard, |here| here.max(heard));
    Some(opened.since(heard))
}

pub fn recovery(sent: &Sent) -> Option<String> {
    let time = duration(recovery_time(sent)?);
    Some(format!("Open for writes {time} after the old primary's last word."))
}

/// Where the old primary stopped, as far as it said so to the new one or to this console.
pub fn reached(model: &Model, region: &str, sent: &Sent) -> Option<Position> {
    match said(sent).map(|promotion| &promotion.fence) {
        Some(FenceProof::Acknowledged { reached, .. }) => Some(*reached),
        _ => fence_seen(&model.here.world, region, sent.epoch(), model.now).map(|seen| seen.reached),
    }
}

/// The old primary, while it is heard and says that it still is one.
pub fn rival(model: &Model, region: &str, sent: &Sent) -> Option<StillPrimary> {
    still_primary(&model.here.world, region, sent.epoch(), model.now).filter(|_| sent.outcome() == Standing::Done)
}

/// What is lost while the old primary goes on. `None`: it is not known where the new one parted from it.
pub fn growing_words(loss: &LossEstimate, rival: &StillPrimary) -> Option<String> {
    let applied = loss.applied.filter(|applied| !loss.known && applied.epoch == rival.head.epoch)?;
    let missing = plural(rival.head.index.saturating_sub(applied.index), "write", "writes");
    let (applied, head) = (position(applied), position(rival.head));
    Some(format!("at least {missing} by now, and more until {} is fenced (applied {applied} of {head})", rival.region))
}

/// What came of it, a line each.
fn results(model: &Model, region: &str, sent: &Sent, promotion: &Promotion) -> Vec<String> {
    let (reached, rival) = (reached(model, region, sent), rival(model, region, sent));
    let mut lines = Vec::new();
    if let Some(at) = promotion.ended_at.filter(|at| *at > promotion.began_at) {
        lines.push(format!("It took {}.", duration(at.since(promotion.began_at))));
    }
    if let Some(ms) = promotion.pause_ms {
        lines.push(format!("No region took writes for {}.", duration(Duration::from_millis(ms))));
    }
    if let Some(loss) = promotion.loss.as_ref().filter(|_| sent.outcome() == Standing::Done) {
        let words = match loss.known {
            true => loss_line(loss),
            false => rival
                .as_ref()
                .filter(|_| reached.is_none())
                .and_then(|rival| growing_words(loss, rival))
                .unwrap_or_else(|| lost_words(loss, reached, sent.told.as_ref(), promotion.began_at)),
        };
        lines.push(format!("Lost: {words}"));
    }
    // Of one that failed nobody was to be fenced.
    if sent.outcome() != Standing::Done {
        lines.extend(promotion.error.iter().map(|error| format!("Error: {error}")));
        return lines;
    }
    lines.push(match (&promotion.fence, reached) {
        (FenceProof::Acknowledged { at, reached }, _) => {
            format!("The old primary said durably, at {at}, that it takes no more writes; it had reached {reached}.")
        }
        (FenceProof::Unproven, Some(reached)) => {
            format!("The old primary says itself that it is fenced; it had reached {reached}.")
        }
        (FenceProof::Unproven, None) if rival.is_some() => {
            let rival = rival.map(|rival| format!("{} takes writes in epoch {}", rival.region, rival.epoch));
            format!("Not fenced: {}.", rival.unwrap_or_default())
        }
        (FenceProof::Unproven, None) => {
            "Fence unproven: the old primary may still take writes in its own epoch.".into()
        }
    });
    if let Some(error) = &promotion.error {
        lines.push(format!("Error: {error}"));
    }
    lines
}

fn loss_line(loss: &LossEstimate) -> String {
    let mut line = match (loss.known, loss.entries) {
        (true, 0) => "nothing".to_owned(),
        (true, entries) => format!("{}, {}", plural(entries, "write", "writes"), bytes(loss.bytes)),
        (false, entries) => format!("unknown, at least {}", plural(entries, "write", "writes")),
    };
    for (class, of) in &loss.by_class {
        // Writing to a string can't fail.
        let _ = write!(line, ", {} {}", count(*of), class.name());
    }
    if let Some((applied, head)) = loss.applied.zip(loss.head) {
        let newest = loss.newest_at.map_or_else(String::new, |at| format!(", the newest of {at}"));
        let _ = write!(line, "; applied {applied} of {head}{newest}");
    }
    line
}

pub fn state_word(state: StepState) -> &'static str {
    match state {
        StepState::Running => "running",
        StepState::Done => "done",
        StepState::Failed => "failed",
    }
}

pub fn step_word(name: StepName) -> &'static str {
    match name {
        StepName::Asked => "asked the primary",
        StepName::GaveUp => "primary gave up",
        StepName::CaughtUp => "caught up",
        StepName::RootsEqual => "roots equal",
        StepName::StreamFrozen => "stream frozen",
        StepName::Opened => "open for writes",
        StepName::OldPrimaryFenced => "old primary fenced",
        StepName::OldPrimaryFollows => "old primary follows",
    }
}
