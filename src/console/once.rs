//! The console without a terminal: one screen of text, or one object for a program.

use super::app::{self, Model, Msg};
use super::domain::{Access, Contact, NodeView};
use super::options::{AttachOptions, prepare};
use super::session::{Board, ConsoleClock, Sessions};
use super::ui::{self, Paint, Secrets, export};
use crate::api::replication::{EventLevel, PathStatus, TokenInfo};
use crate::clock::UnixMs;
use crate::error::Result;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A node that has not answered by then is shown as it is.
const PATIENCE: Duration = Duration::from_millis(3_500);
/// After all nodes answered: time for the tokens' list, the other nodes and the first events.
const AFTERTHOUGHT: Duration = Duration::from_millis(300);
const QUEUE_MAX: usize = 1_024;
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
    let clock = ConsoleClock::start();
    let prepared = prepare(options, clock)?;
    let (queue, mut waiting) = mpsc::channel(QUEUE_MAX);
    let (sessions, mut board) = Sessions::start(prepared.sessions.clone(), clock, queue);
    let mut model = Model::new(prepared.model.clone());
    // The time limit is what ends it when nodes are dead.
    let _ = tokio::time::timeout(PATIENCE, all_tried(&mut board)).await;
    tokio::time::sleep(AFTERTHOUGHT).await;
    let (reports, _) = board.borrow().since(0);
    drop(sessions);
    app::update(&mut model, Msg::Reports(reports));
    app::update(&mut model, Msg::Tick(clock.now()));
    while let Ok(msg) = waiting.try_recv() {
        app::update(&mut model, msg);
    }
    model.toasts.clear();
    let text = match format {
        Format::Text => {
            let size = |name: &str, default: u16| {
                let set = std::env::var(name).ok().and_then(|value| value.parse().ok());
                set.filter(|size| (1..=1_000).contains(size)).unwrap_or(default)
            };
            let theme = prepared.themes.get(&model.theme);
            let paint = Paint { theme, glyphs: prepared.glyphs, secrets: Secrets::PaintedOver };
            export::text(&ui::snapshot(&model, paint, size("COLUMNS", WIDTH), size("LINES", HEIGHT)))
        }
        Format::Json => {
            serde_json::to_string(&Report::of(&model)).expect("the API's types have string keys only") + "\n"
        }
    };
    let quiet = !model.alarms().iter().any(|alarm| alarm.level == EventLevel::Alarm);
    let answered = model.world.nodes().iter().all(|node| node.is_up());
    Ok(Seen { text, well: quiet && answered })
}

/// Until each node that is watched was called once.
async fn all_tried(board: &mut watch::Receiver<Board>) {
    let tried =
        |board: &Board| board.all().next().is_some() && board.all().all(|node| node.contact != Contact::Connecting);
    // The sender lives as long as the sessions: an error would only end the wait.
    let _ = board.wait_for(tried).await;
}

/// `--json`: every remote value with the time it was observed, by this console's clock.
#[derive(Serialize)]
struct Report<'a> {
    observed_at: UnixMs,
    path: &'a str,
    alarms: Vec<Worded>,
    regions: Vec<Region<'a>>,
}

#[derive(Serialize)]
struct Worded {
    level: EventLevel,
    text: String,
}

#[derive(Serialize)]
struct Region<'a> {
    name: String,
    health: &'static str,
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    address: &'a str,
    answers: bool,
    error: Option<&'a str>,
    access: &'static str,
    round_trip_ms: Option<f64>,
    clock_skew_ms: Option<i64>,
    status: Option<Told<'a, PathStatus>>,
    tokens: Option<Told<'a, Vec<TokenInfo>>>,
}

#[derive(Serialize)]
struct Told<'a, T> {
    observed_at: UnixMs,
    source: &'a str,
    value: &'a T,
}

impl<'a> Report<'a> {
    fn of(model: &'a Model) -> Report<'a> {
        let alarms = model.alarms().into_iter();
        let regions = model.world.regions().into_iter();
        Report {
            observed_at: model.now,
            path: &model.path,
            alarms: alarms.map(|alarm| Worded { level: alarm.level, text: alarm.text }).collect(),
            regions: regions
                .map(|region| Region {
                    health: region.health(model.now).word(),
                    nodes: region.nodes.iter().map(|node| Node::of(node)).collect(),
                    name: region.name,
                })
                .collect(),
        }
    }
}

impl<'a> Node<'a> {
    fn of(node: &'a NodeView) -> Node<'a> {
        Node {
            address: &node.address,
            answers: node.is_up(),
            error: match &node.contact {
                Contact::Gone { error, .. } | Contact::Erring { error, .. } => Some(error),
                Contact::Connecting | Contact::Up { .. } => None,
            },
            access: match node.access {
                Access::Untried => "untried",
                Access::NoToken => "no-token",
                Access::Accepted => "accepted",
                Access::Refused => "refused",
            },
            round_trip_ms: node.round_trip.map(|trip| trip.as_secs_f64() * 1_000.0),
            clock_skew_ms: node.clock_skew_ms,
            status: node.status.as_ref().map(told),
            tokens: node.tokens.as_ref().map(told),
        }
    }
}

fn told<T>(observed: &super::domain::Observed<T>) -> Told<'_, T> {
    Told { observed_at: observed.at(), source: observed.source(), value: observed.last() }
}
