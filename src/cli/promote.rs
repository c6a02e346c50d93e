//! `replication promote`, `operator replicate-resume`: make a standby the primary, by a switchover if its primary answers,
//! else by a failover.
//!
//! The plan first: the checks, and what may be lost. Then consent: in a terminal the region's name typed by a person; without one,
//! `-accept-loss`, unless the plan knows that nothing can be lost. Then the promotion, which has an id, so that asking
//! again is safe; and then its outcome, of which there are three: done, failed, unknown.

use super::Context;
use super::args::{Format, Promote};
use super::failure::{EXIT_LOCAL, Failure};
use super::output::{Output, grouped, json, span, table};
use crate::api::replication::{
    FenceProof, LossEstimate, Plan, PromoteMode, PromoteRequest, Promotion, PromotionOutcome, StepName, Verdict,
};
use crate::client::{Client, ClientError};
use crate::clock;
use crate::ids::PromotionId;
use std::time::Duration;

/// Between two questions about the outcome.
const OUTCOME_POLL: Duration = Duration::from_millis(250);
/// How long a promotion that is done waits for the old primary to say that it is fenced.
const FENCE_WAIT: Duration = Duration::from_secs(3);

pub async fn run(promote: Promote, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&promote.connection)?;
    let client = context.environment.client(&promote.connection)?;
    let wait =
        crate::duration::parse(&promote.timeout).map_err(|error| Failure::local(format!("-timeout: {error}")))?;
    let path = promote.path.replication_path.as_str();
    let region = client.path_status(path).await.map_err(Failure::asked)?.region.name;
    if let Some(id) = &promote.cancel {
        return cancel(&client, path, &region, id, format).await;
    }
    let (mode, plan) = plan(&client, path, &promote).await?;
    if promote.dry_run {
        let output = Output::of(format, &plan, |plan| shown(plan, path, &region));
        let exit = if blocks(&plan).is_empty() { 0 } else { EXIT_LOCAL };
        return Ok(Output { exit, ..output });
    }
    if !blocks(&plan).is_empty() {
        let text = format!("{}\n\nNothing was done: {}.", shown(&plan, path, &region), blocks(&plan).join("; "));
        return Err(Failure::local(text));
    }
    let accept_loss = consent(&plan, path, &region, promote.accept_loss, context)?;
    let (id, deadline) = (PromotionId(clock::random_bytes()), promote.deadline.map(Into::into));
    let request = PromoteRequest { mode, plan: plan.hash, accept_loss, id, deadline };
    let promotion = outcome(&client, path, &request, wait).await?;
    let promotion = with_proof_of_fence(&client, path, promotion, wait).await;
    conclude(&promotion, path, &region, format)
}

/// As was asked for; else a switchover, unless the primary does not answer.
async fn plan(client: &Client, path: &str, promote: &Promote) -> Result<(PromoteMode, Plan), Failure> {
    let asked = match promote.forced {
        true => PromoteMode::Forced,
        false => PromoteMode::Planned,
    };
    let plan = client.plan(path, asked).await.map_err(Failure::asked)?;
    let silent = plan.checks.iter().any(|check| check.name == "primary" && check.verdict == Verdict::Block);
    if promote.forced || promote.planned || !silent {
        return Ok((asked, plan));
    }
    let plan = client.plan(path, PromoteMode::Forced).await.map_err(Failure::asked)?;
    Ok((PromoteMode::Forced, plan))
}

async fn cancel(client: &Client, path: &str, region: &str, id: &str, format: Format) -> Result<Output, Failure> {
    let id: PromotionId = id.parse().map_err(|error| Failure::local(format!("-cancel: {error}")))?;
    let promotion = client.cancel_promotion(path, id).await.map_err(Failure::asked)?;
    match promotion.outcome {
        PromotionOutcome::Failed => {
            let why = promotion.error.as_deref().unwrap_or("it was cancelled");
            let text = || format!("Switchover {id} came to nothing: {why}");
            Ok(Output::text(if format == Format::Json { json(&promotion) } else { text() }))
        }
        PromotionOutcome::Done => {
            let text = format!("Too late: switchover {id} is done. {}", done(&promotion, region));
            Err(Failure::server(text))
        }
        PromotionOutcome::Running | PromotionOutcome::Unknown => {
            Err(Failure::unknown(format!("Whether switchover {id} comes to nothing is not known yet: cancel it again")))
        }
    }
}

/// Whether a loss is accepted; an error unless the promotion may go ahead.
fn consent(
    plan: &Plan,
    path: &str,
    region: &str,
    accept_loss: bool,
    context: &mut Context<'_>,
) -> Result<bool, Failure> {
    let lossless = nothing_can_be_lost(&plan.loss);
    if !context.person.is_present() {
        if lossless || accept_loss {
            return Ok(accept_loss);
        }
        return Err(Failure::local(format!(
            "Nothing was done. It would lose: {} To go ahead all the same, add -accept-loss. The checks are shown by -dry-run.",
            loss_words(&plan.loss)
        )));
    }
    context.person.tell(&shown(plan, path, region));
    let question = format!("\nTo promote {region}, type its name: ");
    let failed = |error: std::io::Error| Failure::local(format!("the answer can't be read: {error}"));
    let typed = context.person.ask(&question).map_err(failed)?;
    if typed != region {
        return Err(Failure::local(format!("Nothing was done: what was typed is not `{region}`.")));
    }
    // Whoever typed the name has read the estimate above it.
    Ok(!lossless || accept_loss)
}

fn nothing_can_be_lost(loss: &LossEstimate) -> bool {
    loss.known && loss.entries == 0
}

fn blocks(plan: &Plan) -> Vec<String> {
    let blocking = plan.checks.iter().filter(|check| check.verdict == Verdict::Block);
    blocking.map(|check| format!("{}: {}", check.name, check.fact)).collect()
}

/// Asks until the outcome is known, at least once. An answer that was lost is asked for again, under the same id.
async fn outcome(client: &Client, path: &str, request: &PromoteRequest, wait: Duration) -> Result<Promotion, Failure> {
    let deadline = clock::steady() + wait;
    let mut last = match client.promote(path, request).await {
        Err(error) if !error.outcome_unknown() => return Err(Failure::asked(error)),
        answer => answer,
    };
    while !is_settled(&last) {
        last = match client.promotion(path, request.id).await {
            Ok(Some(promotion)) => Ok(promotion),
            // It never arrived, or the leader that heard it is gone: to ask again promotes once.
            Ok(None) => client.promote(path, request).await,
            Err(error) => Err(error),
        };
        if clock::steady() >= deadline {
            break;
        }
        if !is_settled(&last) {
            tokio::time::sleep(OUTCOME_POLL).await;
        }
    }
    last.map_err(|error| unknown(request.id, path, &error))
}

fn is_settled(answer: &Result<Promotion, ClientError>) -> bool {
    let settled =
        |promotion: &Promotion| matches!(promotion.outcome, PromotionOutcome::Done | PromotionOutcome::Failed);
    answer.as_ref().is_ok_and(settled)
}

/// A living primary hears of the new epoch within moments and says that it is fenced: worth a short wait.
async fn with_proof_of_fence(client: &Client, path: &str, mut promotion: Promotion, wait: Duration) -> Promotion {
    let deadline = clock::steady() + wait.min(FENCE_WAIT);
    while promotion.outcome == PromotionOutcome::Done && clock::steady() < deadline {
        // Who does not answer now proves nothing, and takes nothing back either.
        if let Ok(Some(later)) = client.promotion(path, promotion.id).await {
            promotion = later;
        }
        // The pause is put on record a moment after it ended.
        let measured = promotion.mode == PromoteMode::Forced || promotion.pause_ms.is_some();
        if is_seen_through(&promotion) && measured {
            break;
        }
        tokio::time::sleep(OUTCOME_POLL).await;
    }
    promotion
}

/// Whether the old primary did its part: it is fenced, and after a switchover follows.
fn is_seen_through(promotion: &Promotion) -> bool {
    let follows = promotion.steps.iter().any(|step| step.name == StepName::OldPrimaryFollows);
    match promotion.mode {
        PromoteMode::Planned => follows,
        PromoteMode::Forced => matches!(promotion.fence, FenceProof::Acknowledged { .. }),
    }
}

fn unknown(id: PromotionId, path: &str, error: &ClientError) -> Failure {
    Failure::unknown(format!("The outcome of promotion {id} is unknown: {error}\n\n{}", keep_asking(path)))
}

fn keep_asking(path: &str) -> String {
    format!(
        "Keep asking: twinkeep replication status -replication-path={path} on this region says its role and epoch.\n\
         Until it is known, let nobody write to either region. To promote again is safe."
    )
}

fn conclude(promotion: &Promotion, path: &str, region: &str, format: Format) -> Result<Output, Failure> {
    let why = promotion.error.as_deref().unwrap_or("no reason was given");
    let text = match format {
        Format::Json => json(promotion),
        Format::Table => done(promotion, region),
    };
    match promotion.outcome {
        PromotionOutcome::Done => Ok(Output::text(text)),
        PromotionOutcome::Failed => {
            let now = promotion.plan.as_ref().map(|plan| format!("\n\nAs it is now:\n\n{}", shown(plan, path, region)));
            let planned = promotion.mode == PromoteMode::Planned && promotion.plan.is_none();
            let rest = if planned { ". The old primary takes writes again as soon as it hears so" } else { "" };
            Err(Failure::server(format!("{region} was not promoted: {why}{rest}{}", now.unwrap_or_default())))
        }
        PromotionOutcome::Running | PromotionOutcome::Unknown => {
            let id = promotion.id;
            let text = format!("The outcome of promotion {id} is unknown: {why}\n\n{}", keep_asking(path));
            Err(Failure::unknown(text))
        }
    }
}

fn done(promotion: &Promotion, region: &str) -> String {
    let pause = promotion.pause_ms.map(|ms| format!(" No region took writes for {ms} ms.")).unwrap_or_default();
    if promotion.mode == PromoteMode::Planned {
        // Done: the old primary gave its right up durably, and this region holds all that it had.
        let old_primary = match is_seen_through(promotion) {
            true => "The old primary follows it.",
            false => "The old primary gave up; that it follows is not heard yet, `replication status` there says so.",
        };
        let epoch = promotion.epoch;
        return format!("Success! {region} is primary, in epoch {epoch}.{pause}\nNothing was lost. {old_primary}");
    }
    let lost = promotion
        .loss
        .as_ref()
        .map_or_else(String::new, |loss| format!("\nIt was estimated to lose: {}", loss_words(loss)));
    let fence = match &promotion.fence {
        FenceProof::Acknowledged { at, reached } => {
            format!("The old primary is fenced: it said so at {}, having reached {reached}.", at.rfc3339())
        }
        FenceProof::Unproven => "The old primary has not been heard since: it may still take writes in its own epoch. \
             Stop it, or keep clients away from it, until `replication status` there says fenced."
            .to_owned(),
    };
    format!("Success! {region} is primary, in epoch {}.{pause}{lost}\n{fence}", promotion.epoch)
}

fn shown(plan: &Plan, path: &str, region: &str) -> String {
    let rows: Vec<[String; 5]> = plan
        .checks
        .iter()
        .map(|check| {
            let verdict = match check.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "warn",
                Verdict::Unknown => "UNKNOWN",
                Verdict::Block => "BLOCK",
            };
            let age = span(plan.made_at.since(check.at).as_millis() as u64);
            let advice = if check.advice.is_empty() { "-".to_owned() } else { check.advice.clone() };
            [check.name.clone(), verdict.to_owned(), check.fact.clone(), format!("{}, {age} ago", check.source), advice]
        })
        .collect();
    let what = match plan.mode {
        PromoteMode::Planned => "Switch over to",
        PromoteMode::Forced => "Fail over to",
    };
    let checks = table(["Check", "Verdict", "Fact", "Source", "What to do"], &rows);
    format!(
        "{what} {region} on path {path}: epoch {} → {}\n\n{checks}\n\nIt would lose: {}",
        plan.epoch_now,
        plan.epoch_next,
        loss_words(&plan.loss)
    )
}

/// The server's statement, or one from its figures.
fn loss_words(loss: &LossEstimate) -> String {
    if !loss.words.is_empty() {
        return format!("{}{}", sentence(&loss.words), reached_words(loss));
    }
    if nothing_can_be_lost(loss) {
        return "nothing that was acknowledged.".to_owned();
    }
    if loss.known {
        return format!("{} acknowledged writes.", grouped(loss.entries));
    }
    let likely = loss.likely_entries.map(|likely| format!(", at the last rate about {}", grouped(likely)));
    format!("unknown: at least {} acknowledged writes{}.", grouped(loss.entries), likely.unwrap_or_default())
}

/// How far the region is, and how new the newest of the rest.
fn reached_words(loss: &LossEstimate) -> String {
    let Some((applied, head)) = loss.applied.zip(loss.head) else { return String::new() };
    let newest = loss.newest_at.map_or_else(String::new, |at| format!(", the newest of {at}"));
    format!(" Applied {applied} of {head}{newest}.")
}

fn sentence(words: &str) -> String {
    if words.ends_with('.') { words.to_owned() } else { format!("{words}.") }
}
