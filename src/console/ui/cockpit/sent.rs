//! After it was sent: its steps with their times, the outcome, the proof of fence, and what to do next.

use super::super::Paint;
use super::super::dialogs::hint;
use super::super::role::Role;
use super::super::widgets::{cell, hints, paragraph, wrap};
use crate::api::replication::{
    FenceProof, PromoteMode, Promotion, PromotionOutcome, Role as ApiRole, StepName, StepState,
};
use crate::console::app::afterwards::{growing_words, reached, recovery, rival, state_word, step_word};
use crate::console::app::promotion::{Sent, Standing};
use crate::console::app::{Model, again_command};
use crate::console::domain::failover::{FenceSeen, fence_seen};
use crate::console::domain::loss::lost_words;
use crate::console::domain::units::{duration, in_groups, millis, plural, position};
use ratatui::text::{Line, Span};
use std::time::Duration;

/// Where the details of a promotion's steps begin.
const STEP_INDENT: usize = 33;
const STEP_DETAIL_MIN: usize = 20;
/// What took longer is told in seconds.
const MILLIS_BELOW: Duration = Duration::from_secs(10);
/// In fewer columns a command is left out.
const COMMAND_WIDTH_MIN: usize = 60;

/// The steps with their times; a switchover's that are still to come stand below those that were taken.
fn step_lines(promotion: &Promotion, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let lines = |role: Role, glyph: &str, name: StepName, after: String, detail: &str| {
        let head = vec![
            paint.span(role, format!("{glyph} {}", cell(step_word(name), 20))),
            paint.text(cell(&after, 9)),
            Span::raw("  "),
        ];
        // Where there is no room beside the time, the time is what matters.
        let room = width.saturating_sub(STEP_INDENT);
        let details = if room >= STEP_DETAIL_MIN { wrap(detail, room) } else { Vec::new() };
        let mut details = details.into_iter().map(|words| paint.muted(words));
        let mut rows = vec![Line::from_iter(head.into_iter().chain(details.next()))];
        rows.extend(details.map(|words| Line::from(vec![Span::raw(" ".repeat(STEP_INDENT)), words])));
        rows
    };
    let mut rows = Vec::new();
    for step in &promotion.steps {
        let (role, glyph) = match step.state {
            StepState::Running => (Role::Accent, paint.glyphs.pointer),
            StepState::Done => (Role::Ok, paint.glyphs.ok),
            StepState::Failed => (Role::Crit, paint.glyphs.crit),
        };
        let after = step.at.map_or_else(|| state_word(step.state).into(), |at| duration(at.since(promotion.began_at)));
        rows.extend(lines(role, glyph, step.name, after, &in_groups(&step.detail)));
    }
    if promotion.outcome == PromotionOutcome::Running {
        let ahead = ahead(promotion.mode).iter().filter(|name| !promotion.steps.iter().any(|step| step.name == **name));
        rows.extend(ahead.flat_map(|name| lines(Role::Muted, paint.glyphs.stale, *name, String::new(), "")));
    }
    rows
}

/// All steps of a promotion that goes well.
fn ahead(mode: PromoteMode) -> &'static [StepName] {
    match mode {
        PromoteMode::Planned => &[
            StepName::Asked,
            StepName::GaveUp,
            StepName::CaughtUp,
            StepName::RootsEqual,
            StepName::Opened,
            StepName::OldPrimaryFollows,
        ],
        PromoteMode::Forced => &[StepName::StreamFrozen, StepName::Opened, StepName::OldPrimaryFenced],
    }
}

/// What to do when it is done, by what the old primary is now.
fn next_words(model: &Model, sent: &Sent, region: &str) -> String {
    let regions = model.here.world.regions();
    // Of several others, the one that may still take writes, else the one that stopped.
    let rank = |other: &&crate::console::domain::RegionView<'_>| match other.role() {
        Some(ApiRole::Primary) => 2,
        Some(ApiRole::Fenced) => 1,
        _ => 0,
    };
    let old = regions.iter().filter(|other| other.name != region && other.status.is_some()).max_by_key(rank);
    match old.map(|old| (old, old.role(), old.is_dark())) {
        None => match regions.iter().find(|other| other.name != region) {
            Some(silent) => format!(
                "Next: {} was never heard from here. If it was the primary, keep clients away from it until it answers and \
                 says that it is fenced.",
                silent.name
            ),
            None => "Next: attach the old primary's region as well, to see what becomes of it.".into(),
        },
        Some((old, _, true)) => format!(
            "Next: keep clients away from {} until it answers and says that it is fenced. {region} has no standby until then.",
            old.name
        ),
        Some((old, Some(ApiRole::Standby), _)) => {
            format!("Next: {} follows {region}. Point clients at {region}.", old.name)
        }
        Some((old, Some(ApiRole::Fenced), _)) if !old.keeps_ledger() => format!(
            "Next: {} is fenced and waits until {region} reaches it: heal the link between them, or carry on with it if it \
             is paused. Point clients at {region}.",
            old.name
        ),
        Some((old, Some(ApiRole::Fenced), _)) if old.undecided() > 0 => format!(
            "Next: {} is fenced and keeps what only it has, {} undecided: decide on them on screen 6, then J brings it back. \
             Point clients at {region}.",
            old.name,
            plural(old.undecided(), "write", "writes")
        ),
        Some((old, Some(ApiRole::Fenced), _)) => format!(
            "Next: {} is fenced and keeps what only it has; bring it back as a standby when that was looked at. Point clients at {region}.",
            old.name
        ),
        Some((old, ..)) if sent.outcome() == Standing::Done => {
            format!("Next: {} has not heard of the new epoch yet: keep clients away from it; F fences it.", old.name)
        }
        Some(_) => String::new(),
    }
}

/// What to do when it failed.
fn after_failure(model: &Model, sent: &Sent) -> String {
    let pair = model.pair();
    let silent = pair.as_ref().and_then(|pair| pair.primary()).filter(|primary| primary.is_dark());
    match silent.filter(|_| sent.mode == PromoteMode::Planned) {
        Some(primary) => format!(
            "Next: {} is still the primary, and does not answer. Bring it back; or p for a failover, which says first what \
             would be lost.",
            primary.name
        ),
        None if pair.as_ref().and_then(|pair| pair.primary()).is_some_and(|primary| !primary.is_dark()) => {
            "Next: p shows a new plan. The primary goes on as it was.".into()
        }
        None => "Next: p shows a new plan.".into(),
    }
}

/// What became of it, without keys.
pub fn sent_summary(model: &Model, region: &str, sent: &Sent, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    sent_lines(model, region, sent, paint, width).0
}

pub(super) fn sent_lines(
    model: &Model,
    region: &str,
    sent: &Sent,
    paint: Paint<'_>,
    width: usize,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let glyphs = paint.glyphs;
    let took = duration(model.now.since(sent.sent_at));
    let said = sent.said.as_ref().map(|said| said.read(model.now));
    let (role, head) = match sent.outcome() {
        Standing::Running => (Role::Accent, format!("{} under way, for {took}", glyphs.pointer)),
        Standing::Done => {
            let epoch = sent.epoch().map_or_else(String::new, |epoch| format!(" in epoch {epoch}"));
            (Role::Ok, format!("{} DONE: {region} is primary{epoch}", glyphs.ok))
        }
        Standing::Failed => (Role::Crit, format!("{} FAILED: {region} was not promoted", glyphs.crit)),
        Standing::Unknown => (Role::Unknown, format!("{} OUTCOME UNKNOWN, asking again, for {took}", glyphs.unknown)),
    };
    let mut rows = paragraph(paint, role, &head, width);
    rows.push(Line::default());
    if let Some(reading) = &said {
        rows.extend(step_lines(reading.value, paint, width));
        rows.push(Line::default());
    }
    let mut say = |role: Role, words: &str| rows.extend(paragraph(paint, role, words, width));
    if let Some(doubt) = &sent.doubt {
        say(Role::Warn, doubt);
        say(
            Role::Text,
            "It may have been promoted or not. Send nothing else to either region until this is known; to send the same \
             promotion again is safe.",
        );
    }
    if let Some(reading) = &said {
        let promotion = reading.value;
        if let Some(error) = &promotion.error {
            say(Role::Crit, error);
        }
        if sent.outcome() == Standing::Done {
            say(Role::Text, &fence_words(model, region, sent, promotion));
        }
        if let (Some(loss), Standing::Done) = (&promotion.loss, sent.outcome()) {
            let reached = reached(model, region, sent);
            let words =
                rival(model, region, sent).filter(|_| reached.is_none()).and_then(|it| growing_words(loss, &it));
            let words = words.unwrap_or_else(|| lost_words(loss, reached, sent.told.as_ref(), promotion.began_at));
            say(Role::Text, &format!("Lost: {words}"));
        }
        if let Some(words) = recovery(sent) {
            say(Role::Muted, &words);
        }
        // A region that is asked later knows the moment of the promotion, not how long it took.
        if let Some(at) = promotion.ended_at.filter(|at| *at > promotion.began_at) {
            let pause = promotion.pause_ms.map_or_else(String::new, |ms| format!(", {ms} ms of them without writes"));
            let took = match at.since(promotion.began_at) {
                long if long >= MILLIS_BELOW => duration(long),
                short => millis(short.as_secs_f64() * 1_000.0),
            };
            // Of one that was sent here the time of day is known to who sent it.
            let began = match &sent.plan {
                None => format!("It began {} ago and took", duration(model.now.since(sent.sent_at))),
                Some(_) => "It took".into(),
            };
            say(Role::Muted, &format!("{began} {took}{pause}."));
        }
        match sent.outcome() {
            Standing::Done => say(Role::Title, &next_words(model, sent, region)),
            Standing::Failed => say(Role::Title, &after_failure(model, sent)),
            Standing::Running | Standing::Unknown => {}
        }
        rows.push(Line::from(vec![paint.muted(format!("{} said so ", reading.source)), paint.ago(reading.age)]));
    }
    rows.push(Line::default());
    let mut keys = Vec::new();
    if sent.outcome() == Standing::Unknown && sent.plan.is_some() {
        keys.push(hint("s", "send the same again"));
    }
    if sent.can_be_cancelled() {
        keys.push(hint("c", "call it off"));
    }
    if sent.is_settled() {
        keys.push(hint("w", "write the report"));
    }
    keys.push(hint("esc", if sent.is_settled() { "close" } else { "leave (it goes on; p comes back here)" }));
    // The same without this console, in a runbook.
    let command = again_command(model).filter(|_| sent.outcome() == Standing::Unknown && width >= COMMAND_WIDTH_MIN);
    let mut foot = command.map_or_else(Vec::new, |command| paragraph(paint, Role::Muted, &command, width));
    foot.extend(hints(paint, &keys, width));
    (rows, foot)
}

/// What is known of the old primary: what it told the new one, else what it tells this console.
fn fence_words(model: &Model, region: &str, sent: &Sent, promotion: &Promotion) -> String {
    if let FenceProof::Acknowledged { reached, .. } = &promotion.fence {
        return format!(
            "The old primary said, durably, that it takes no more writes; it had reached {}.",
            position(*reached)
        );
    }
    match fence_seen(&model.here.world, region, sent.epoch(), model.now) {
        Some(FenceSeen { region, reached, age }) => {
            let age = duration(age);
            format!(
                "{region} itself says that it is fenced and takes no more writes ({age} ago); it had reached {}.",
                position(reached)
            )
        }
        None if rival(model, region, sent).is_some() => {
            let rival = rival(model, region, sent).map(|rival| {
                let age = duration(rival.age);
                format!("Not fenced: {} says now ({age} ago) that it takes writes in epoch {}.", rival.region, rival.epoch)
            });
            format!("{} F fences it: both regions take writes until then.", rival.unwrap_or_default())
        }
        None => "Fence unproven: the old primary was not heard since and may still take writes in its own epoch. Make \
                 sure that nothing reaches it. No witness keeps a lease that could have ended: its own word alone proves it."
            .into(),
    }
}
