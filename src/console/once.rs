//! The console without a terminal: one screen of text, one object for a program, or a verdict for a script.

use super::app::{Context, Model};
use super::domain::units::{duration, entries, lag_ms};
use super::domain::{FRESH_FOR, Standing};
use super::options::AttachOptions;
use super::report;
use super::ui::{self, Paint, Secrets, export};
use super::watcher::Watcher;
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::error::Result;
use std::collections::BTreeMap;
use std::time::Duration;

const WIDTH: u16 = 80;
const HEIGHT: u16 = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Text,
    Json,
}

/// What was seen, as text that ends in a newline, and whether all is well: nothing alarming, and all that was asked
/// answered.
#[derive(Debug)]
pub struct Seen {
    pub text: String,
    pub well: bool,
}

/// Looks once, at most for a few seconds.
pub async fn once(options: AttachOptions, format: Format) -> Result<Seen> {
    let mut watcher = Watcher::start(options)?;
    watcher.settle().await;
    let model = &mut watcher.model;
    model.toasts.clear();
    let text = match format {
        Format::Text => {
            let size = |name: &str, default: u16| {
                let set = std::env::var(name).ok().and_then(|value| value.parse().ok());
                set.filter(|size| (1..=1_000).contains(size)).unwrap_or(default)
            };
            let theme = watcher.look.themes.get(&model.theme);
            let paint = Paint { theme, glyphs: watcher.look.glyphs, secrets: Secrets::PaintedOver, hits: None };
            export::text(&ui::snapshot(model, paint, size("COLUMNS", WIDTH), size("LINES", HEIGHT)))
        }
        Format::Json => report::line(model),
    };
    let contexts = model.contexts();
    let quiet = |alarms: Vec<super::domain::Alarm>| !alarms.iter().any(|alarm| alarm.level == EventLevel::Alarm);
    let well = contexts
        .iter()
        .all(|context| context.mistake.is_none() && quiet(context.alarms(model.now)) && context.world.all_answer());
    Ok(Seen { text, well })
}

/// What a script wants to know.
#[derive(Debug)]
pub struct Verdict {
    pub text: String,
    pub standing: Standing,
}

/// Looks once and judges: the worst of all contexts. A standby that is further behind than `max_lag` is no better than
/// one that wants attention.
pub async fn judge(options: AttachOptions, format: Format, max_lag: Option<Duration>) -> Result<Verdict> {
    let mut watcher = Watcher::start(options)?;
    watcher.settle().await;
    Ok(verdict(&watcher.model, format, max_lag))
}

fn verdict(model: &Model, format: Format, max_lag: Option<Duration>) -> Verdict {
    let mut worst = Standing::Well;
    let mut text = String::new();
    for context in model.contexts() {
        let overall = context.overall(model.now);
        let mut standing = overall.standing;
        let mut lines = vec![overall.words.clone()];
        lines.extend(
            context.alarms(model.now).into_iter().map(|alarm| alarm.text).filter(|text| *text != overall.words),
        );
        let late = too_late(context, model.now, max_lag).into_iter().map(|(standby, lag)| {
            let max = duration(max_lag.unwrap_or_default());
            format!("the lag of {standby} is {}, more than {max}", lag_ms(lag))
        });
        let late: Vec<String> = late.collect();
        // What makes it worse than it is without a bound stands first.
        let at = if !late.is_empty() && standing < Standing::Attention { 0 } else { lines.len() };
        if !late.is_empty() {
            standing = standing.max(Standing::Attention);
        }
        lines.splice(at..at, late);
        lines[0] = format!("{} {}", standing.word(), lines[0]);
        for region in context.world.regions() {
            let without = if region.foreign.is_some() { "no replication" } else { "role unknown" };
            let role = region.role().map_or(without.to_owned(), |role| role.to_string());
            let told = region.read(model.now).map(|reading| {
                let status = reading.value;
                format!("epoch {}, {}, heard {} ago", status.epoch, entries(status.entries), duration(reading.age))
            });
            let heard = told.unwrap_or_else(|| match (region.foreign, region.heard_age(model.now)) {
                (Some(foreign), Some(age)) => {
                    let said = foreign.last();
                    format!("{} {}, heard {} ago", said.product.name(), said.version, duration(age))
                }
                _ => "never heard".into(),
            });
            lines.push(format!("{}: {role}, {}, {heard}", region.name, region.health(model.now).word()));
        }
        if !context.name.is_empty() {
            lines[0] = format!("{}: {}", context.name, lines[0]);
        }
        text += &lines.join("\n  ");
        text.push('\n');
        worst = worst.max(standing);
    }
    if format == Format::Json {
        text = report::line(model);
    }
    Verdict { text, standing: worst }
}

/// Of all standbys those that are further behind than that, with their lag.
fn too_late(context: &Context, now: UnixMs, max: Option<Duration>) -> Vec<(String, u64)> {
    let Some(max) = max else { return Vec::new() };
    let pairs = (0..context.world.regions().len()).filter_map(|at| context.world.pair(at, now));
    let late = pairs.filter_map(|pair| {
        let lag = pair.lag().filter(|lag| lag.age <= FRESH_FOR && Duration::from_millis(lag.lag.ms) > max)?;
        Some((pair.standby()?.name.clone(), lag.lag.ms))
    });
    // Seen from the primary and from itself it is the same one.
    late.collect::<BTreeMap<_, _>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::app::tests::model;
    use crate::console::domain::fixtures;

    #[test]
    fn a_standby_that_is_further_behind_than_is_allowed_wants_attention() {
        let judged = |max: u64| {
            let model = model(fixtures::three_regions());
            verdict(&model, Format::Text, Some(Duration::from_millis(max)))
        };
        assert_eq!(judged(5_000).standing, Standing::Well);
        let late = judged(100);
        assert_eq!(late.standing, Standing::Attention);
        for standby in ["eu-west-1", "ap-south-1"] {
            assert!(late.text.contains(&format!("the lag of {standby} is")), "{}", late.text);
        }
        assert!(late.text.starts_with("demo: ATTENTION the lag of"), "{}", late.text);
        let unknown = verdict(&model(fixtures::dark_primary()), Format::Text, Some(Duration::from_secs(3_600)));
        assert!(unknown.standing > Standing::Attention, "what is not known is not small: {}", unknown.text);
    }
}
