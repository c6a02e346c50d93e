//! The failover's screen: the six stages with what each region's word makes of them, what the observers say of the primary,
//! the promotion in view, the verification, and the commands that do the same.

use super::cockpit;
use super::dialogs::scrolled;
use super::role::Role;
use super::widgets::{cell, lines, paragraph, wrap};
use super::{Paint, Tier};
use crate::api::replication::Role as RegionRole;
use crate::api::verification::{OwnDisk, VerifyOutcome};
use crate::console::app::failover::{VerifyDesk, outcome_word};
use crate::console::app::promotion::Stage as DeskStage;
use crate::console::app::scroll::Scroll;
use crate::console::app::targets::rejoinable;
use crate::console::app::{Action, Model, WriteRight};
use crate::console::domain::failover::{Progress, Stage, StageView, Verified, stages};
use crate::console::domain::units::{duration, position};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Behind a stage's sign and name.
const WORDS_AT: usize = 13;

pub fn draw(model: &Model, paint: Paint<'_>, tier: Tier, area: Rect, buf: &mut Buffer) {
    let narrow = tier == Tier::Narrow;
    let inner = if narrow { area } else { paint.titled("failover", area, buf) };
    let width = usize::from(inner.width);
    let pair = model.pair();
    // What an earlier primary found says nothing of the standbys of this one.
    let primary = pair.as_ref().and_then(|pair| pair.primary()).map(|primary| primary.name.clone());
    let verification = model.here.verify.as_ref().filter(|desk| Some(&desk.target.region) == primary.as_ref());
    let verified = verification.map_or(Verified::Unknown, VerifyDesk::found);
    let found = stages(&model.here.world, pair.as_ref(), verified, model.now);
    if !narrow {
        let when = if model.here.write == WriteRight::Past { "said then" } else { "say now" };
        paint.right_title(vec![paint.muted(format!("from what the regions {when}"))], area, buf);
    }
    let mut rows = Vec::new();
    rows.push(strip(&found, narrow, paint));
    if narrow {
        // The strip has them all: only those with something to say follow.
        let told = found.iter().filter(|view| matches!(view.progress, Progress::Now | Progress::Trouble));
        rows.extend(told.flat_map(|view| {
            let (role, _) = look(view.progress, paint);
            paragraph(paint, role, &format!("{}: {}", view.stage.title(), view.words), width)
        }));
    } else {
        rows.push(Line::default());
        rows.extend(found.iter().flat_map(|view| stage_lines(view, paint, width)));
    }
    rows.push(Line::default());
    if let Some(desk) = &model.here.promotion
        && let DeskStage::Sent(sent) = &desk.stage
    {
        rows.extend(cockpit::sent_summary(model, &desk.target.region, sent, paint, width));
        rows.push(Line::default());
    }
    if let Some(desk) = verification {
        rows.extend(verify_lines(model, desk, paint, width));
        rows.push(Line::default());
    }
    // Whether the primary lives is the question until another one was promoted.
    let decided = found.iter().any(|view| view.stage == Stage::Decide && view.progress == Progress::Done);
    if !decided {
        rows.extend(cockpit::evidence_lines(model, paint, width));
    }
    rows.extend(commands(model, paint, width));
    // Nothing is below the last word.
    while rows.last().is_some_and(|row| row.width() == 0) {
        rows.pop();
    }
    let scroll = Scroll::Above(model.list().cursor.unwrap_or(0));
    lines(scrolled(rows, scroll, usize::from(inner.height), paint), inner, buf);
}

fn look(progress: Progress, paint: Paint<'_>) -> (Role, &'static str) {
    match progress {
        Progress::Ahead => (Role::Muted, paint.glyphs.stale),
        Progress::Now => (Role::Accent, paint.glyphs.pointer),
        Progress::Done => (Role::Ok, paint.glyphs.ok),
        Progress::Trouble => (Role::Crit, paint.glyphs.crit),
    }
}

/// `● Preflight → ▸ Decide → …`, or in few columns `●Pre ▸Dec …`
fn strip(found: &[StageView], narrow: bool, paint: Paint<'_>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for view in found {
        if !spans.is_empty() {
            spans.push(if narrow { Span::raw(" ") } else { paint.muted(format!(" {} ", paint.glyphs.arrow)) });
        }
        let (role, glyph) = look(view.progress, paint);
        let title = view.stage.title();
        let words = if narrow { format!("{glyph}{}", &title[..3]) } else { format!("{glyph} {title}") };
        spans.push(paint.span(role, words));
    }
    Line::from(spans)
}

fn stage_lines(view: &StageView, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let (role, glyph) = look(view.progress, paint);
    let head = paint.span(role, cell(&format!("{glyph} {}", view.stage.title()), WORDS_AT));
    let text = match view.progress {
        Progress::Ahead => Role::Muted,
        Progress::Trouble => Role::Warn,
        Progress::Now | Progress::Done => Role::Text,
    };
    let room = width.saturating_sub(WORDS_AT);
    let mut words = wrap(&view.words, room).into_iter();
    let first = Line::from(vec![head, paint.span(text, words.next().unwrap_or_default())]);
    let rest = words.map(|words| Line::from(vec![Span::raw(" ".repeat(WORDS_AT)), paint.span(text, words)]));
    std::iter::once(first).chain(rest).collect()
}

fn verify_lines(model: &Model, desk: &VerifyDesk, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    let Some(said) = &desk.said else {
        let words = desk.doubt.clone().unwrap_or_else(|| format!("{} is asked to verify …", desk.target.region));
        return paragraph(paint, Role::Text, &words, width);
    };
    let reading = said.read(model.now);
    rows.push(Line::from(vec![paint.span(Role::Title, "verification "), paint.ago(reading.age)]));
    match &reading.value.own_disk {
        OwnDisk::NotRead | OwnDisk::Sound => {}
        OwnDisk::Differs { buckets } => {
            let words = format!("the disk of the primary's leader differs from what was applied, in {buckets} buckets");
            rows.extend(paragraph(paint, Role::Crit, &words, width));
        }
        OwnDisk::Unreadable { error } => {
            rows.extend(paragraph(
                paint,
                Role::Crit,
                &format!("the primary's leader can't read its disk: {error}"),
                width,
            ));
        }
    }
    for standby in &reading.value.standbys {
        let role = match standby.outcome {
            VerifyOutcome::Equal | VerifyOutcome::Repaired => Role::Ok,
            VerifyOutcome::Waiting | VerifyOutcome::Running => Role::Accent,
            VerifyOutcome::Differs => Role::Crit,
            VerifyOutcome::Unchecked => Role::Unknown,
        };
        let at = standby.at.map_or_else(String::new, |at| format!(" at {}", position(at)));
        let words = format!("{} {}{at}: {}", standby.name, outcome_word(standby.outcome), standby.words);
        rows.extend(paragraph(paint, role, &words, width));
    }
    if let Some(at) = reading.value.ended_at {
        let took = duration(at.since(reading.value.began_at));
        rows.push(Line::from(paint.muted(format!("it took {took}"))));
    }
    rows
}

/// The same on the command line, for a runbook.
fn commands(model: &Model, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let Some(pair) = model.pair() else { return Vec::new() };
    let Some((primary, standby)) = pair.primary().zip(pair.standby()) else { return Vec::new() };
    if primary.status.is_none() {
        return Vec::new();
    }
    let path = &model.here.path;
    let on = |what: &str, region: &crate::console::domain::RegionView<'_>| {
        format!("twinkeep replication {what} -address={} -replication-path={path}", region.api_address())
    };
    let can = |action: Action| {
        let is_one = standby.role() == Some(RegionRole::Standby) || primary.is_dark();
        let follows = action != Action::Promote || is_one;
        follows && (action.info().disabled)(model).is_none()
    };
    let rejoin = match rejoinable(model) {
        // Before its primary reached it, it would be refused.
        Ok((region, _)) if region.role() == Some(RegionRole::Fenced) && !region.keeps_ledger() => String::new(),
        // … and before its writes were decided on.
        Ok((region, _)) if region.undecided() > 0 => on("ledger", &region),
        Ok((region, primaries)) => {
            let named = primaries.iter().filter(|_| region.role() == Some(RegionRole::Standby) || primaries.len() > 1);
            let names: Vec<&str> = named.map(|primary| primary.name.as_str()).collect();
            let which = if names.is_empty() { String::new() } else { format!(" -primary={}", names.join("|")) };
            on(&format!("rejoin{which}"), &region)
        }
        Err(_) => String::new(),
    };
    let mut rows = Vec::new();
    for (action, command) in [
        (Action::Promote, on("promote -dry-run", standby)),
        (Action::Verify, on("verify", primary)),
        (Action::Rejoin, rejoin),
    ] {
        if !command.is_empty() && can(action) {
            rows.extend(paragraph(paint, Role::Muted, &command, width));
        }
    }
    rows
}
