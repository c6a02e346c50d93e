//! The cockpit of a failover or a switchover: what would be lost, whether the primary is really dead, the checks, the typed
//! consent; then its steps with their times, the proof of fence, and what to do next.

mod plan;
mod sent;

pub use sent::sent_summary;

use super::Paint;
use super::dialogs::{WIDTH, body_and_foot, esc, hint, scrolled};
use super::role::Role;
use super::widgets::{hints, paragraph, wrap};
use crate::api::replication::PromoteMode;
use crate::console::app::Model;
use crate::console::app::afterwards::mode_word;
use crate::console::app::promotion::Stage;
use crate::console::domain::units::duration;
use crate::console::domain::{Access, Speaks, conclusion, evidence, told_head};
use plan::{decide_lines, loss_lines, plan_lines};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use sent::sent_lines;

pub fn draw(model: &Model, paint: Paint<'_>, area: Rect, buf: &mut Buffer) {
    let Some(desk) = &model.here.promotion else { return };
    let width = (WIDTH + 2).max(area.width * 2 / 3).min(area.width);
    let text_width = usize::from(width).saturating_sub(4);
    let region = &desk.target.region;
    let mut right = Vec::new();
    let (title, border, rows, foot) = match &desk.stage {
        Stage::Planning { .. } => {
            let words = format!("asking {region} what a {} would do …", mode_word(desk.mode));
            (
                format!("promote {region}"),
                Role::Selected,
                vec![Line::from(paint.text(words))],
                vec![esc(paint, "leave")],
            )
        }
        Stage::NoPlan { why } => {
            let mut rows = paragraph(paint, Role::Warn, why, text_width);
            rows.extend(
                why_no_plan(model, region).iter().flat_map(|why| paragraph(paint, Role::Text, why, text_width)),
            );
            let other = format!("a {} instead", mode_word(other(desk.mode)));
            let keys = [hint("r", "ask again"), hint("shift-tab", other), hint("esc", "leave")];
            let foot = hints(paint, &keys, text_width);
            (format!("promote {region}"), Role::Warn, rows, foot)
        }
        Stage::Deciding(deciding) => {
            let reading = deciding.plan.read(model.now);
            let plan = reading.value;
            right = vec![paint.muted("plan "), paint.ago(reading.age)];
            let arrow = paint.glyphs.arrow;
            let what = mode_word(desk.mode);
            let title = format!("{what} to {region}, epoch {} {arrow} {}", plan.epoch_now, plan.epoch_next);
            let told = told_head(&model.here.world, region, plan, model.now);
            let mut rows = loss_lines(region, &reading, told.as_ref(), paint, text_width);
            rows.push(Line::default());
            rows.extend(evidence_lines(model, paint, text_width));
            rows.extend(plan_lines(&reading, told.as_ref(), paint, text_width));
            (title, Role::Crit, rows, decide_lines(model, deciding, paint, text_width, area.height))
        }
        Stage::Sent(sent) => {
            let epoch = sent.epoch().map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
            let title = format!("{} to {region}{epoch}", mode_word(sent.mode));
            right = vec![paint.muted(sent.id.to_string())];
            let (rows, foot) = sent_lines(model, region, sent, paint, text_width);
            (title, Role::Selected, rows, foot)
        }
    };
    let height = (rows.len() + foot.len()) as u16 + 2;
    let title = vec![paint.span(Role::Title, title)];
    let inner = paint.dialog(title, border, width, height, area, buf);
    if !right.is_empty() {
        let place = Rect { x: inner.x.saturating_sub(2), y: inner.y.saturating_sub(1), width, height: 1 };
        paint.right_title(right, place, buf);
    }
    let room = usize::from(inner.height).saturating_sub(foot.len());
    body_and_foot(scrolled(rows, desk.scroll, room, paint), foot, inner, buf);
}

/// What explains that a region makes no plan, as far as it is seen from here.
fn why_no_plan(model: &Model, region: &str) -> Option<String> {
    let asked = model.here.world.regions().into_iter().find(|other| other.name == region)?;
    match asked.access() {
        _ if asked.read(model.now).is_some_and(|reading| !reading.value.whole) => {
            Some(format!("{region} is being filled: until it is whole it can't take over, and takes no tokens."))
        }
        Access::NoToken => Some("A plan needs a token: set VAULT_TOKEN, or log in with `twinkeep login`.".into()),
        Access::Refused => {
            Some(format!("{region} refuses this console's token; a standby takes its primary's tokens."))
        }
        Access::Accepted | Access::Untried => None,
    }
}

/// Is it really dead? What each observer says, and what that comes to.
pub(super) fn evidence_lines(model: &Model, paint: Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let Some(pair) = model.pair() else { return Vec::new() };
    let found = evidence(&model.here.world, &pair, model.now);
    let Some(primary) = pair.primary().filter(|_| !found.is_empty()) else { return Vec::new() };
    let look = |speaks| match speaks {
        Speaks::Alive => (Role::Ok, paint.glyphs.ok),
        Speaks::Unclear => (Role::Unknown, paint.glyphs.unknown),
        Speaks::Dead => (Role::Crit, paint.glyphs.crit),
    };
    let (speaks, words) = conclusion(&found, &primary.name);
    let (role, glyph) = look(speaks);
    let mut rows = paragraph(paint, role, &format!("{glyph} {words}"), width);
    for one in found {
        let (role, glyph) = look(one.speaks);
        let age = one.age.map_or_else(|| "never a word".to_owned(), |age| format!("last word {} ago", duration(age)));
        let words = wrap(&format!("{}: {}; {age}", one.observer, one.fact), width.saturating_sub(4));
        for (at, words) in words.into_iter().enumerate() {
            let head = if at == 0 { paint.span(role, format!("  {glyph} ")) } else { Span::raw("    ") };
            rows.push(Line::from(vec![head, paint.text(words)]));
        }
    }
    let alone = "no witness is set up: no third site tells a dead primary from one that is cut off";
    rows.extend(paragraph(paint, Role::Muted, alone, width));
    rows.push(Line::default());
    rows
}

fn other(mode: PromoteMode) -> PromoteMode {
    match mode {
        PromoteMode::Planned => PromoteMode::Forced,
        PromoteMode::Forced => PromoteMode::Planned,
    }
}
