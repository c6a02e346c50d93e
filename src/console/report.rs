//! What is seen as JSON for programs: every remote value with the time it was observed, by this console's clock.

use super::app::{Context, Model};
use super::domain::{Access, Contact, Foreign, NodeView, Observed};
use crate::api::replication::{EventLevel, PathStatus, TokenInfo};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use serde::Serialize;

/// One line: the context, or an array where there are several.
pub fn line(model: &Model) -> String {
    let contexts: Vec<Report<'_>> =
        model.contexts().into_iter().map(|context| Report::of(context, model.now)).collect();
    let text = match contexts.as_slice() {
        [one] => serde_json::to_string(one),
        several => serde_json::to_string(several),
    };
    text.expect("the API's types have string keys only") + "\n"
}

/// A context.
#[derive(Serialize)]
pub struct Report<'a> {
    observed_at: UnixMs,
    /// Empty where nobody named it.
    context: &'a str,
    path: &'a str,
    /// well, not-linked, syncing, attention, unknown or alarm.
    standing: &'static str,
    words: String,
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
    /// Of a server that is no Twinkeep.
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign: Option<Told<'a, Foreign>>,
    tokens: Option<Told<'a, Vec<TokenInfo>>>,
}

#[derive(Serialize)]
struct Told<'a, T> {
    observed_at: UnixMs,
    source: &'a str,
    value: &'a T,
}

impl<'a> Report<'a> {
    pub fn of(context: &'a Context, now: UnixMs) -> Report<'a> {
        let alarms = context.alarms(now).into_iter();
        let regions = context.world.regions().into_iter();
        let overall = context.overall(now);
        Report {
            observed_at: now,
            context: &context.name,
            path: &context.path,
            standing: overall.standing.name(),
            words: overall.words,
            alarms: alarms.map(|alarm| Worded { level: alarm.level, text: alarm.text }).collect(),
            regions: regions
                .map(|region| Region {
                    health: region.health(now).word(),
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
            foreign: node.foreign.as_ref().map(told),
            tokens: node.tokens.as_ref().map(told),
        }
    }
}

fn told<T>(observed: &Observed<T>) -> Told<'_, T> {
    Told { observed_at: observed.at(), source: observed.source(), value: observed.last() }
}
