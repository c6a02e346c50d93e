//! `sys/metrics`: gauges and counters, in Prometheus' text or as Vault's JSON. Vault's names where Vault has one; what is
//! this server's own begins with `twinkeep_`. What is not known is left out, never 0.

use super::path::path_status;
use crate::api::replication::{LinkState, PathStatus};
use crate::clock::UnixMs;
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::host;
use crate::server::node::blocking;
use crate::state::Role;
use axum::body::Body;
use serde_json::{Map, Value, json};
use std::fmt::Write;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One time series' newest value.
struct Sample {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        }
    }
}

pub async fn metrics(call: Call) -> Result<Answer> {
    let wants_text =
        call.header("accept").is_some_and(|accept| accept.contains("openmetrics") || accept.contains("text/plain"));
    let as_text = match call.query.get("format") {
        Some("prometheus") => true,
        None | Some("") => wants_text,
        Some(other) => return Err(Error::invalid(format!("metric response format \"{other}\" unknown"))),
    };
    let samples = samples(&call).await?;
    if as_text {
        return Ok(Answer::stream(PROMETHEUS, Body::from(text(&samples))));
    }
    Ok(Answer::plain(&as_json(&samples)))
}

async fn samples(call: &Call) -> Result<Vec<Sample>> {
    let node = &call.node;
    let mut all = Samples(Vec::new());
    let standing = node.standing();
    let requests = node.requests.totals();
    all.gauge("vault_core_unsealed", "1 if this node is unsealed", f64::from(!node.vault.is_sealed()));
    all.gauge("vault_core_active", "1 if this node leads its region", f64::from(standing.is_leader));
    all.gauge("vault_core_in_flight_requests", "requests under way on this node", requests.under_way as f64);
    all.counter("vault_core_handle_request_count", "requests answered by this node", requests.answered as f64);
    all.counter("vault_core_handle_request_sum", "milliseconds that they took", requests.micros as f64 / 1000.0);
    all.counter(
        "vault_core_response_status_code_5xx",
        "requests answered with an error of the server",
        requests.failed as f64,
    );
    let audit = node.audit.failed();
    all.counter(
        "vault_audit_log_request_failure",
        "requests that an audit device could not take down",
        audit.requests as f64,
    );
    all.counter(
        "vault_audit_log_response_failure",
        "answers that an audit device could not take down",
        audit.answers as f64,
    );
    all.counter("twinkeep_audit_left_out", "requests of strangers left out of the audit log", audit.left_out as f64);
    all.gauge(
        "vault_raft_commit_index",
        "the newest entry of the Raft log that is committed",
        standing.committed_index as f64,
    );
    all.gauge(
        "vault_raft_applied_index",
        "the newest entry of the Raft log that is applied",
        standing.applied_index as f64,
    );
    all.gauge("vault_raft_last_index", "the newest entry of the Raft log", standing.last_log_index as f64);
    all.gauge("vault_raft_term", "the Raft term", standing.term as f64);
    all.gauge("vault_raft_peers", "members of the region", standing.members.len() as f64);
    if let Ok(leases) = node.vault.lease_count().await {
        all.gauge("vault_expire_num_leases", "tokens that end", leases as f64);
    }
    if let Some(bytes) = host::resident_bytes() {
        all.gauge("process_resident_memory_bytes", "memory that the process holds", bytes as f64);
    }
    if let Some(files) = host::open_files() {
        all.gauge("process_open_fds", "files and sockets that the process has open", files as f64);
    }
    all.gauge("process_start_time_seconds", "when the process started", node.started_at().0 as f64 / 1000.0);
    let store = node.raft.state().store().clone();
    if let Ok(bytes) = blocking(move || store.disk_bytes()).await {
        all.gauge("twinkeep_disk_bytes", "bytes of the data directory", bytes as f64);
    }
    let path = node.state.path();
    if path.is_initialised() {
        let status = path_status(call, &path.name).await?;
        all.of_path(&status);
    }
    Ok(all.0)
}

struct Samples(Vec<Sample>);

impl Samples {
    fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.0.push(Sample { name, kind: Kind::Gauge, help, labels: Vec::new(), value });
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.0.push(Sample { name, kind: Kind::Counter, help, labels: Vec::new(), value });
    }

    fn labelled(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, String)], value: f64) {
        self.0.push(Sample { name, kind: Kind::Gauge, help, labels: labels.to_vec(), value });
    }

    fn of_path(&mut self, status: &PathStatus) {
        let is = |yes: bool| f64::from(yes);
        self.gauge("vault_core_replication_dr_primary", "1 in a primary region", is(status.role == Role::Primary));
        self.gauge("vault_core_replication_dr_secondary", "1 in a standby region", is(status.role == Role::Standby));
        self.gauge("vault_core_replication_performance_primary", "always 0", 0.0);
        self.gauge("vault_core_replication_performance_secondary", "always 0", 0.0);
        self.gauge("vault_replication_wal_last_wal", "the newest position applied here", status.applied.index as f64);
        self.gauge("vault_replication_wal_last_dr_wal", "the same", status.applied.index as f64);
        for node in &status.nodes {
            let labels = [("node_id", node.name.clone())];
            if let Some(sealed) = node.sealed {
                self.labelled("twinkeep_node_unsealed", "1 if the node is unsealed", &labels, is(!sealed));
            }
            self.labelled("twinkeep_node_leader", "1 if the node leads", &labels, is(node.leader));
        }
        self.gauge("twinkeep_epoch", "the highest epoch that this region has seen", status.epoch.0 as f64);
        self.gauge("twinkeep_fenced", "1 in a region that gave way to a higher epoch", is(status.role == Role::Fenced));
        self.gauge("twinkeep_whole", "0 while a sync is under way", is(status.whole));
        self.gauge("twinkeep_writable", "1 if this region acknowledges writes", is(status.writable));
        self.gauge("twinkeep_entries", "entries of the data set", status.entries as f64);
        self.gauge("twinkeep_entry_bytes", "bytes of their keys and values", status.bytes as f64);
        self.gauge("twinkeep_wal_bytes", "bytes of the write-ahead log", status.wal.bytes as f64);
        self.gauge("twinkeep_writes_per_second", "client writes acknowledged, over ten seconds", status.writes_per_s);
        self.gauge("twinkeep_received_index", "the newest position that is durable here", status.received.index as f64);
        self.gauge("twinkeep_applied_index", "the newest position that readers see here", status.applied.index as f64);
        if let Some(head) = status.head {
            self.gauge("twinkeep_head_index", "the primary's newest position, as last heard", head.index as f64);
        }
        if let Some(at) = status.head_at {
            let seconds = status.observed_at.since(at).as_secs_f64();
            self.gauge("twinkeep_head_age_seconds", "how long ago that was heard", seconds);
        }
        if let Some(lag) = &status.lag {
            self.gauge(
                "twinkeep_lag_entries",
                "positions between the head and what is applied here",
                lag.entries as f64,
            );
            self.gauge("twinkeep_lag_bytes", "bytes of them", lag.bytes as f64);
            self.gauge(
                "twinkeep_lag_seconds",
                "how much older what is applied is than the head",
                lag.ms as f64 / 1000.0,
            );
        }
        for link in &status.links {
            let direction = if link.outgoing { "out" } else { "in" };
            let labels = [("region", link.name.clone()), ("direction", direction.to_owned())];
            let silent = |at: UnixMs| status.observed_at.since(at).as_secs_f64();
            self.labelled(
                "twinkeep_link_streaming",
                "1 if the link ships the log",
                &labels,
                is(link.state == LinkState::Streaming),
            );
            self.labelled(
                "twinkeep_link_refused",
                "1 if the other side refuses the link",
                &labels,
                is(link.state == LinkState::Refused),
            );
            if let Some(at) = link.last_heard_at {
                self.labelled(
                    "twinkeep_link_silent_seconds",
                    "how long ago the other side was heard",
                    &labels,
                    silent(at),
                );
            }
            if let Some(lag) = &link.lag {
                self.labelled(
                    "twinkeep_link_lag_entries",
                    "the standby's lag in positions",
                    &labels,
                    lag.entries as f64,
                );
                self.labelled("twinkeep_link_lag_bytes", "the standby's lag in bytes", &labels, lag.bytes as f64);
                self.labelled(
                    "twinkeep_link_lag_seconds",
                    "the standby's lag in time",
                    &labels,
                    lag.ms as f64 / 1000.0,
                );
            }
            if let Some(ms) = link.round_trip_ms {
                self.labelled("twinkeep_link_round_trip_seconds", "the link's round trip", &labels, ms / 1000.0);
            }
            self.labelled("twinkeep_link_bytes_per_second", "what the link ships", &labels, link.bytes_per_s);
        }
    }
}

fn text(samples: &[Sample]) -> String {
    let mut text = String::new();
    let mut said = Vec::new();
    for sample in samples {
        if said.contains(&sample.name) {
            continue;
        }
        said.push(sample.name);
        let (name, kind) = (sample.name, sample.kind.name());
        // To write to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", sample.help);
        // All of one name stand together, as the format wants it.
        for Sample { labels, value, .. } in samples.iter().filter(|other| other.name == name) {
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Vault's parts of names, as they are written in JSON. What follows them keeps its underscores.
const DOTTED: &[(&str, &str)] = &[
    ("vault_core_replication_dr_", "vault.core.replication.dr."),
    ("vault_core_replication_performance_", "vault.core.replication.performance."),
    ("vault_replication_wal_", "vault.replication.wal."),
    ("vault_audit_", "vault.audit."),
    ("vault_core_", "vault.core."),
    ("vault_expire_", "vault.expire."),
    ("vault_raft_", "vault.raft."),
];

fn dotted(name: &str) -> String {
    let found = DOTTED.iter().find_map(|(prefix, dotted)| Some(format!("{dotted}{}", name.strip_prefix(prefix)?)));
    found.unwrap_or_else(|| name.to_owned())
}

/// As Go writes a time that no format was asked for.
fn go_time(rfc3339: &str) -> String {
    let seconds = rfc3339.get(..19).unwrap_or(rfc3339);
    format!("{} +0000 UTC", seconds.replace('T', " "))
}

fn as_json(samples: &[Sample]) -> Value {
    let of = |kind: Kind| -> Vec<Value> {
        let named = samples.iter().filter(|sample| sample.kind == kind);
        named
            .map(|sample| {
                let labels: Map<String, Value> =
                    sample.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                // Vault's JSON has its names with dots.
                let name = dotted(sample.name);
                match kind {
                    Kind::Gauge => json!({ "Name": name, "Value": sample.value, "Labels": labels }),
                    Kind::Counter => {
                        json!({ "Name": name, "Count": sample.value, "Sum": sample.value, "Labels": labels })
                    }
                }
            })
            .collect()
    };
    json!({
        "Timestamp": go_time(&crate::clock::now().rfc3339()),
        "Gauges": of(Kind::Gauge),
        "Points": [],
        "Counters": of(Kind::Counter),
        "Samples": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_have_vaults_dots_and_a_name_of_ours_none() {
        for (name, expected) in [
            ("vault_core_in_flight_requests", "vault.core.in_flight_requests"),
            ("vault_core_replication_dr_primary", "vault.core.replication.dr.primary"),
            ("vault_replication_wal_last_dr_wal", "vault.replication.wal.last_dr_wal"),
            ("twinkeep_lag_entries", "twinkeep_lag_entries"),
        ] {
            assert_eq!(dotted(name), expected);
        }
        assert_eq!(go_time("2026-11-23T15:46:30.123Z"), "2026-11-23 15:46:30 +0000 UTC");
    }

    #[test]
    fn one_name_stands_together_and_labels_are_escaped() {
        let mut all = Samples(Vec::new());
        all.labelled("twinkeep_b", "b", &[("region", "a\"b".into())], 1.0);
        all.counter("vault_core_c_count", "c", 7.0);
        all.labelled("twinkeep_b", "b", &[("region", "c".into())], 0.5);
        let expected = "# HELP twinkeep_b b\n# TYPE twinkeep_b gauge\ntwinkeep_b{region=\"a\\\"b\"} 1\n\
                        twinkeep_b{region=\"c\"} 0.5\n# HELP vault_core_c_count c\n# TYPE vault_core_c_count counter\n\
                        vault_core_c_count 7\n";
        assert_eq!(text(&all.0), expected);
    }
}
