//! How OpenBao and Vault look in the same screens: what they tell stands where a Twinkeep's values stand, what they don't
//! have is named.

use super::Paint;
use super::columns::Value;
use super::region::COLUMNS;
use super::role::Role;
use super::widgets::{cell, paragraph, wrap};
use crate::api::vault_replication::ModeStatus;
use crate::console::app::Model;
use crate::console::domain::foreign::{Leads, RaftPeer};
use crate::console::domain::node::short_address;
use crate::console::domain::units::{count, duration, entries, plural};
use crate::console::domain::vault::VaultLink;
use crate::console::domain::{Foreign, Observed, Reading, RegionView};
use ratatui::text::{Line, Span};

/// What a region is where it has no role, because it replicates with nobody.
pub fn badge(region: &RegionView<'_>, paint: Paint<'_>) -> Option<(Role, &'static str, &'static str)> {
    let product = region.product().filter(|_| region.status.is_none() && region.role().is_none())?;
    Some((Role::Muted, paint.glyphs.primary, product.name()))
}

fn row(paint: Paint<'_>, label: &str, value: Span<'static>) -> Line<'static> {
    Line::from(vec![paint.muted(cell(label, 9)), value])
}

/// Below the first line of a card.
pub fn card_lines(
    region: &RegionView<'_>,
    foreign: &Observed<Foreign>,
    model: &Model,
    paint: Paint<'_>,
    width: u16,
) -> Vec<Line<'static>> {
    let reading = foreign.read(model.now);
    let said = reading.value;
    let aged = |text: String| paint.aged(&reading, Role::Text, text);
    let mut rows = vec![row(paint, "runs", aged(format!("{} {}", said.product.name(), said.version)))];
    rows.push(row(paint, "seal", seal(&reading, paint)));
    let leader = match (region.leader(), &said.leader) {
        (Some(leader), _) => aged(leader.to_owned()),
        (None, Leads::Nobody) => paint.span(Role::Warn, "none"),
        (None, _) => paint.span(Role::Unknown, "not told"),
    };
    rows.push(row(paint, "leader", leader));
    if let (Some(committed), Some(applied)) = (said.committed_index, said.applied_index) {
        rows.push(row(paint, "raft", aged(format!("{} applied of {}", count(applied), count(committed)))));
    }
    let nodes = format!("{} of {} answer", region.answering(), region.size());
    let role = if region.answering() < region.size() { Role::Warn } else { Role::Text };
    rows.push(row(paint, "nodes", paint.span(role, nodes)));
    if let Some(raft) = &said.raft {
        rows.push(row(paint, "health", autopilot(raft, model, paint)));
    }
    rows.extend(replication_lines(said, &reading, paint));
    if said.mode().is_none() {
        rows.extend(paragraph(paint, Role::Muted, said.product.lacks(), usize::from(width)));
    }
    if let Some(untold) = &said.untold {
        rows.extend(paragraph(paint, Role::Muted, untold, usize::from(width)));
    }
    rows
}

fn seal(reading: &Reading<'_, Foreign>, paint: Paint<'_>) -> Span<'static> {
    let said = reading.value;
    match (said.initialized, said.sealed, said.unseal) {
        (false, ..) => paint.span(Role::Warn, "not initialised"),
        (_, true, Some((given, needed))) => paint.span(Role::Crit, format!("sealed, {given} of {needed} shares given")),
        (_, true, None) => paint.span(Role::Crit, "sealed"),
        (_, false, _) => paint.aged(reading, Role::Text, "unsealed"),
    }
}

fn autopilot(
    raft: &Observed<crate::console::domain::foreign::RaftView>,
    model: &Model,
    paint: Paint<'_>,
) -> Span<'static> {
    let reading = raft.read(model.now);
    let said = reading.value;
    let spare = said
        .failure_tolerance
        .map_or_else(String::new, |spare| format!(", {} to spare", plural(spare.into(), "node", "nodes")));
    match said.healthy {
        Some(true) => paint.aged(&reading, Role::Ok, format!("{} autopilot: healthy{spare}", paint.glyphs.ok)),
        Some(false) => paint.aged(&reading, Role::Warn, format!("{} autopilot: unhealthy{spare}", paint.glyphs.warn)),
        None => paint.span(Role::Unknown, "not told"),
    }
}

/// Of a Vault that replicates: its own words.
fn replication_lines(said: &Foreign, reading: &Reading<'_, Foreign>, paint: Paint<'_>) -> Vec<Line<'static>> {
    let Some((kind, mode)) = said.mode() else { return Vec::new() };
    let role = if said.replication_fault().is_some() { Role::Warn } else { Role::Text };
    let line = |label: &str, text: String| row(paint, label, paint.aged(reading, role, text));
    match mode {
        ModeStatus::Disabled => Vec::new(),
        ModeStatus::Primary(primary) => vec![
            line("repl", format!("{kind} primary, {}", primary.state)),
            line("last wal", count(primary.last_wal)),
            line(
                "connected",
                format!(
                    "{} of {}",
                    connected(&primary.secondaries),
                    plural(primary.secondaries.len() as u64, "secondary", "secondaries")
                ),
            ),
        ],
        ModeStatus::Secondary(secondary) => vec![
            line("repl", format!("{kind} secondary, {}", secondary.state)),
            line("last wal", format!("{} taken from the primary", count(secondary.last_remote_wal))),
            line("channel", secondary.connection_state.clone()),
        ],
    }
}

fn connected(peers: &[crate::api::vault_replication::Peer]) -> usize {
    peers.iter().filter(|peer| peer.connection_status == "connected").count()
}

/// The link between two clusters of Vault, in the middle of the overview.
pub fn link_lines(link: &VaultLink, paint: Paint<'_>) -> Vec<Line<'static>> {
    let mut rows = vec![Line::from(paint.span(Role::Title, format!("Vault {}", link.kind)))];
    rows.push(match link.behind() {
        Some(behind) => Line::from(paint.text(format!("{} behind", entries(behind)))),
        None => Line::from(paint.span(Role::Unknown, "lag unknown")),
    });
    rows.push(Line::from(paint.muted("bytes, time: not told")));
    if let Some(sync) = link.sync {
        let words = format!("{} of {} keys", count(sync.sync_progress), count(sync.sync_total_keys));
        rows.push(Line::from(paint.text(words)));
    }
    rows.push(Line::from(paint.muted(format!("{}, {}", link.state, link.connection))));
    if let Some(age) = link.heartbeat_age {
        rows.push(Line::from(paint.muted(format!("heartbeat {} ago", duration(age)))));
    }
    rows
}

/// What stands in the lag's panel.
pub fn lag_lines(
    link: Option<&VaultLink>,
    region: &RegionView<'_>,
    paint: Paint<'_>,
    width: u16,
) -> Vec<Line<'static>> {
    let said = |label: &str, told: Option<(u64, std::time::Duration)>| match told {
        Some((wal, age)) => {
            Line::from(vec![paint.muted(cell(label, 24)), paint.text(format!("{}  ", count(wal))), paint.ago(age)])
        }
        None => Line::from(vec![paint.muted(cell(label, 24)), paint.span(Role::Unknown, "unknown")]),
    };
    match (link, region.product()) {
        (Some(link), _) => vec![said("primary's newest WAL", link.head), said("secondary took WAL", link.taken)],
        (None, Some(product)) => {
            wrap(product.lacks(), usize::from(width)).into_iter().map(|words| Line::from(paint.muted(words))).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// A node of the cluster, in the columns of the region's screen.
pub fn node_values(
    model: &Model,
    peer: Option<&RaftPeer>,
    node: Option<&crate::console::domain::NodeView>,
    paint: Paint<'_>,
) -> Vec<Value> {
    let said = node.and_then(|node| node.foreign.as_ref()).map(|foreign| foreign.read(model.now));
    let unknown = || Value::new(Role::Unknown, "?");
    let figure = |value: Option<u64>| value.map_or_else(unknown, |value| Value::new(Role::Text, count(value)));
    let leads = peer.map(|peer| peer.leader).or(said.as_ref().map(|said| !said.value.follower && !said.value.sealed));
    // What it was when it was last heard says little of now.
    let silent = peer.is_none() && said.as_ref().is_some_and(Reading::is_old);
    let duty = match (leads, peer.map(|peer| peer.voter)) {
        (Some(true), _) if silent => Value::new(Role::Stale, "led"),
        (Some(true), _) => Value::new(Role::Accent, "leader"),
        (_, Some(false)) => Value::new(Role::Warn, "nonvoter"),
        (Some(false), _) => Value::new(Role::Text, "follower"),
        (None, _) => unknown(),
    };
    let seal = match &said {
        Some(said) if !said.value.initialized => Value::new(Role::Warn, "no init"),
        Some(said) if said.value.sealed => Value::new(Role::Crit, "sealed"),
        Some(said) => Value::new(if said.is_old() { Role::Stale } else { Role::Text }, "unsealed"),
        None => unknown(),
    };
    let heard = match peer.and_then(|peer| peer.last_contact) {
        Some(age) => Value::new(
            if peer.is_some_and(|peer| peer.healthy == Some(false)) { Role::Warn } else { Role::Text },
            duration(age),
        ),
        None => unknown(),
    };
    let name = peer.map(|peer| peer.id.clone()).unwrap_or_else(|| "?".into());
    let address = node.map(|node| node.address.as_str()).or(peer.map(|peer| peer.api_address.as_str()));
    let mut values = vec![
        Value::new(Role::Text, name),
        duty,
        super::region::contact(model, node, paint),
        seal,
        figure(said.as_ref().and_then(|said| said.value.applied_index)),
        figure(peer.and_then(|peer| peer.last_index)),
        figure(peer.and_then(|peer| peer.last_term)),
        heard,
        unknown(),
        peer.map_or_else(unknown, |peer| Value::new(Role::Muted, peer.version.clone())),
        Value::new(Role::Muted, address.map_or("", short_address)),
    ];
    values.truncate(COLUMNS.len());
    values
}

/// What the region's screen says below its nodes.
pub fn facts(model: &Model, foreign: &Observed<Foreign>, paint: Paint<'_>, width: u16) -> Vec<Line<'static>> {
    let reading = foreign.read(model.now);
    let said = reading.value;
    let mut rows =
        vec![row(paint, "runs", paint.aged(&reading, Role::Text, format!("{} {}", said.product.name(), said.version)))];
    if let Some(raft) = &said.raft {
        rows.push(row(paint, "health", autopilot(raft, model, paint)));
    }
    rows.extend(replication_lines(said, &reading, paint));
    rows.extend(paragraph(paint, Role::Muted, said.product.lacks(), usize::from(width)));
    if let Some(untold) = &said.untold {
        rows.extend(paragraph(paint, Role::Muted, untold, usize::from(width)));
    }
    rows
}
