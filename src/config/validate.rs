//! From stanzas to a [`ServerConfig`]: what must be there, what belongs together, what is derived.

use super::problem::{Problems, Source};
use super::section::{Located, Section};
use super::{
    LEASE_TTL_DEFAULT, Leases, Link, Listener, LogFormat, LogLevel, MAX_PARALLEL_DEFAULT, MAX_PARALLEL_MAX,
    Replication, RetryJoin, Seal, ServerConfig, Storage, Tls, TlsVersion,
};
use crate::sensitive::SensitiveString;
use crate::storage::Engine;
use hcl_edit::structure::Body;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

const DEFAULT_PATH: &str = "default";
/// With less of a log, a standby that is away for a moment would need a sync.
const WAL_BYTES_MIN: u64 = 1 << 20;
const WAL_TIME_MIN: Duration = Duration::from_secs(60);

/// `None` only if an error was reported.
pub fn server(sources: &[Source], path: &Path, problems: &Problems) -> Option<ServerConfig> {
    let parsed: Vec<(&Source, Body)> =
        sources.iter().filter_map(|source| Some((source, parse(source, problems)?))).collect();
    if parsed.len() < sources.len() {
        return None;
    }
    let top = Section::top(parsed.iter().map(|(source, body)| (*source, body)), problems);
    let name = top.text("cluster_name");
    let api_addr = top.text("api_addr");
    let listener = one(&top, "listener", "listener \"tcp\" { … }", path, problems)
        .and_then(|(label, section)| listener(label, section, problems));
    let storage = one(&top, "storage", "storage \"raft\" { … }", path, problems)
        .and_then(|(label, section)| storage(label, section, listener.as_ref(), problems));
    let seal = seal(&top, problems);
    let replication = replication(&top, problems);
    let log_level = log_level(&top, problems);
    let log_format = log_format(&top, problems);
    let leases = leases(&top, problems);
    let lock_memory = !top.flag("disable_mlock").is_some_and(|disabled| disabled.value);
    accept_vaults(&top, problems);
    top.finish();

    let (listener, storage) = (listener?, storage?);
    let api_addr = match api_addr {
        Some(given) => url(&given, "api_addr", problems)?,
        None => derived_api_addr(&listener, path, problems)?,
    };
    Some(ServerConfig {
        cluster_name: name.map_or_else(|| storage.node_id.clone(), |name| name.value),
        api_addr,
        listener,
        storage,
        seal: seal?,
        replication: replication?,
        log_level: log_level?,
        log_format: log_format?,
        leases: leases?,
        lock_memory,
        warnings: problems.take_warnings(),
    })
}

fn parse(source: &Source, problems: &Problems) -> Option<Body> {
    match source.text.parse::<Body>() {
        Ok(body) => Some(body),
        Err(error) => {
            let offset = error.location().offset();
            let column = match source.is_whole() {
                true => format!(", at column {}", error.location().column()),
                false => String::new(),
            };
            problems.error(source.place(Some(offset..offset)), format!("not HCL: {}{column}", error.message()));
            None
        }
    }
}

/// The one stanza of its kind.
fn one<'a>(
    top: &Section<'a>,
    key: &str,
    example: &str,
    path: &Path,
    problems: &'a Problems,
) -> Option<(Located<'a, String>, Section<'a>)> {
    let mut found = top.labelled(key).into_iter();
    let Some(first) = found.next() else {
        problems.error_in(path, format!("`{key}` is missing: expected {example}"));
        return None;
    };
    for (again, _) in found {
        problems.error(again.place, format!("a second `{key}`: there is one at {} already", first.0.place));
    }
    Some(first)
}

fn listener(label: Located<'_, String>, section: Section<'_>, problems: &Problems) -> Option<Listener> {
    expect_label("listener", &label, &["tcp"], problems)?;
    let address = section.required_text("address", "address = \"127.0.0.1:8200\"").and_then(|given| {
        let address: Option<SocketAddr> = given.value.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
        if address.is_none() {
            let message = format!(
                "`address` in listener \"tcp\": `{}` is no IP address with a port: expected e.g. 127.0.0.1:8200",
                given.value
            );
            problems.error(given.place, message);
        }
        address
    });
    section.ignored("cluster_address", "the nodes of a region talk to each other at `api_addr`");
    let disabled = section.flag("tls_disable");
    let certificate = section.text("tls_cert_file");
    let key = section.text("tls_key_file");
    let min_version = tls_min_version(&section, problems);
    let tls = match (disabled.as_ref().is_some_and(|disabled| disabled.value), certificate, key) {
        (true, None, None) => Some(Tls::Disabled),
        (true, Some(file), _) | (true, None, Some(file)) => {
            problems.error(file.place, "a TLS file beside `tls_disable`: expected one or the other");
            None
        }
        (false, Some(certificate), Some(key)) => {
            Some(Tls::Files { certificate: certificate.value.into(), key: key.value.into(), min_version: min_version? })
        }
        (false, None, None) => Some(Tls::SelfSigned { min_version: min_version? }),
        (false, Some(_), None) => {
            section.missing("tls_key_file", "the key to `tls_cert_file`");
            None
        }
        (false, None, Some(_)) => {
            section.missing("tls_cert_file", "the certificate to `tls_key_file`");
            None
        }
    };
    section.finish();
    Some(Listener { address: address?, tls: tls? })
}

fn tls_min_version(section: &Section<'_>, problems: &Problems) -> Option<TlsVersion> {
    let Some(given) = section.text("tls_min_version") else { return Some(TlsVersion::Tls13) };
    match given.value.as_str() {
        "tls12" => Some(TlsVersion::Tls12),
        "tls13" => Some(TlsVersion::Tls13),
        other => {
            let message = format!("`tls_min_version` in listener \"tcp\": `{other}`: expected tls12 or tls13");
            problems.error(given.place, message);
            None
        }
    }
}

fn storage(
    label: Located<'_, String>,
    section: Section<'_>,
    listener: Option<&Listener>,
    problems: &Problems,
) -> Option<Storage> {
    expect_label("storage", &label, &["raft"], problems)?;
    let path = section.required_text("path", "path = \"/var/lib/twinkeep\"");
    let node_id = section.required_text("node_id", "node_id = \"NAME\", of its own for each node");
    let engine = match section.text("engine") {
        None => Some(Engine::default()),
        Some(given) => match Engine::from_name(&given.value) {
            Some(engine) if engine != Engine::Memory => Some(engine),
            _ => {
                problems.error(
                    given.place,
                    format!(
                        "`engine` in storage \"raft\": there is no engine `{}`: expected fjall or sled",
                        given.value
                    ),
                );
                None
            }
        },
    };
    let tls = listener.map(|listener| &listener.tls);
    // OpenBao says it once for all, `sys/storage/raft/join` by each.
    let mut joins_without_vote = section.flag("retry_join_as_non_voter").is_some_and(|flag| flag.value);
    let joins = section.unlabelled("retry_join").into_iter();
    let retry_join = joins.filter_map(|join| retry_join(join, tls, &mut joins_without_vote, problems)).collect();
    section.ignored("performance_multiplier", "elections have one timing");
    section.finish();
    Some(Storage {
        path: PathBuf::from(path?.value),
        node_id: node_id?.value,
        engine: engine?,
        retry_join,
        joins_without_vote,
    })
}

fn retry_join(
    section: Section<'_>,
    tls: Option<&Tls>,
    without_vote: &mut bool,
    problems: &Problems,
) -> Option<RetryJoin> {
    *without_vote |= section.flag("non_voter").is_some_and(|flag| flag.value);
    let (api, address) = (section.text("leader_api_addr"), section.text("leader_address"));
    for key in ["leader_ca_cert_file", "leader_tls_servername"] {
        section.ignored(key, "a node that joins and its region prove each other by the region's keys");
    }
    let leader_api_addr = match (api, address) {
        (Some(_), Some(address)) => {
            problems.error(address.place, "`leader_address` beside `leader_api_addr`: expected one or the other");
            None
        }
        (Some(given), None) => url(&given, "leader_api_addr", problems),
        (None, Some(given)) if given.value.contains("://") => url(&given, "leader_address", problems),
        (None, Some(mut given)) => {
            let scheme = if tls == Some(&Tls::Disabled) { "http" } else { "https" };
            given.value = format!("{scheme}://{}", given.value);
            url(&given, "leader_address", problems)
        }
        (None, None) => {
            section.missing("leader_api_addr", "leader_api_addr = \"http://HOST:8200\"");
            None
        }
    };
    section.finish();
    Some(RetryJoin { leader_api_addr: leader_api_addr? })
}

fn seal(top: &Section<'_>, problems: &Problems) -> Option<Seal> {
    let mut stanzas = top.labelled("seal").into_iter();
    let Some((label, section)) = stanzas.next() else { return Some(Seal::Shamir) };
    for (again, _) in stanzas {
        problems.error(again.place, format!("a second `seal`: there is one at {} already", label.place));
    }
    expect_label("seal", &label, &["file", "shamir"], problems)?;
    let seal = match label.value.as_str() {
        "shamir" => Some(Seal::Shamir),
        _ => section
            .required_text("path", "path = \"unseal.key\"")
            .map(|path| Seal::File { path: PathBuf::from(path.value) }),
    };
    section.finish();
    seal
}

fn replication(top: &Section<'_>, problems: &Problems) -> Option<Replication> {
    let mut name: Option<Located<'_, String>> = None;
    let mut enabled = Some(true);
    let mut address = None;
    let mut serve_reads = false;
    let (mut wal_bytes_max, mut wal_time_max) = (None, None);
    for (label, section) in top.labelled("replication") {
        match &name {
            Some(first) => problems.error(label.place, one_path_only(first)),
            None => {
                enabled = match section.flag("enabled") {
                    Some(flag) => Some(flag.value),
                    None => {
                        section.missing("enabled", "enabled = true");
                        None
                    }
                };
                address = section.text("address").and_then(|given| url(&given, "address", problems));
                serve_reads = section.flag("serve_reads").is_some_and(|flag| flag.value);
                wal_bytes_max = section.bytes("wal_bytes_max", WAL_BYTES_MIN).map(|bytes| bytes.value);
                wal_time_max = section.duration("wal_time_max").map(|time| {
                    if time.value < WAL_TIME_MIN {
                        let message = format!("`wal_time_max`: expected at least {} s", WAL_TIME_MIN.as_secs());
                        problems.error(time.place, message);
                    }
                    time.value
                });
                name = Some(label);
                section.finish();
            }
        }
    }
    let mut links: Vec<Link> = Vec::new();
    for (label, section) in top.labelled("replication_path") {
        match &name {
            Some(first) if first.value != label.value => problems.error(label.place, one_path_only(first)),
            Some(_) => {}
            None => name = Some(label.clone()),
        }
        if let Some(link) = link(section, problems) {
            if links.iter().any(|other| other.address == link.address) {
                problems
                    .error(label.place, format!("a second link to {}: expected one for each standby", link.address));
            }
            links.push(link);
        }
    }
    if let [first, .., last] = links.as_slice() {
        let named = links.iter().filter(|link| link.region.is_some()).count();
        let mut regions: Vec<&String> = links.iter().filter_map(|link| link.region.as_ref()).collect();
        regions.sort_unstable();
        regions.dedup();
        if named < links.len() || regions.len() < named {
            let place = name.as_ref().map(|name| name.place)?;
            let message = format!(
                "several standbys ({}, {}): expected a `region = \"NAME\"` of its own in each replication_path",
                first.address, last.address
            );
            problems.error(place, message);
        }
    }
    let path = name.map_or_else(|| DEFAULT_PATH.to_owned(), |name| name.value);
    Some(Replication { path, enabled: enabled?, address, serve_reads, wal_bytes_max, wal_time_max, links })
}

fn one_path_only(first: &Located<'_, String>) -> String {
    format!("a region has one path, and it is \"{}\" since {}: expected that name here", first.value, first.place)
}

fn link(section: Section<'_>, problems: &Problems) -> Option<Link> {
    let address = section
        .required_text("address", "address = \"https://HOST:8200\", where the standby is reached")
        .and_then(|given| url(&given, "address", problems));
    let token = section
        .required_text("token", "the token that `twinkeep replication generate-token` prints on the standby")
        .map(|token| SensitiveString::new(token.value));
    let max_parallel =
        section.number("max_parallel", 1..=MAX_PARALLEL_MAX).map_or(MAX_PARALLEL_DEFAULT, |number| number.value);
    let region = section.text("region").map(|region| region.value);
    section.finish();
    Some(Link { address: address?, token: token?, max_parallel, region })
}

fn log_level(top: &Section<'_>, problems: &Problems) -> Option<LogLevel> {
    let Some(given) = top.text("log_level") else { return Some(LogLevel::Info) };
    let level = LogLevel::named(&given.value);
    if level.is_none() {
        let message =
            format!("`log_level`: there is no level `{}`: expected trace, debug, info, warn or error", given.value);
        problems.error(given.place, message);
    }
    level
}

fn log_format(top: &Section<'_>, problems: &Problems) -> Option<LogFormat> {
    let Some(given) = top.text("log_format") else { return Some(LogFormat::Standard) };
    match given.value.as_str() {
        "standard" => Some(LogFormat::Standard),
        "json" => Some(LogFormat::Json),
        other => {
            problems
                .error(given.place, format!("`log_format`: there is no format `{other}`: expected standard or json"));
            None
        }
    }
}

/// Keys that a file made for Vault may have and that are safe to pass over: each is named in a warning. Those whose
/// loss would weaken a server (client certificates, say) stay unknown, and are refused.
fn leases(top: &Section<'_>, problems: &Problems) -> Option<Leases> {
    let (default_ttl, max_ttl) = (top.duration("default_lease_ttl"), top.duration("max_lease_ttl"));
    let max = max_ttl.map_or(LEASE_TTL_DEFAULT, |max| max.value);
    let Some(default) = default_ttl else {
        return Some(Leases { default_ttl: LEASE_TTL_DEFAULT.min(max), max_ttl: max });
    };
    if default.value > max || default.value.is_zero() {
        problems.error(
            default.place,
            "`default_lease_ttl` must be more than 0 and at most `max_lease_ttl` (768h unless it is set)",
        );
        return None;
    }
    Some(Leases { default_ttl: default.value, max_ttl: max })
}

fn accept_vaults(top: &Section<'_>, problems: &Problems) {
    if let Some(ui) = top.flag("ui")
        && ui.value
    {
        problems.warn(ui.place, "`ui` has no effect: there is no web page; the console is `twinkeep attach`");
    }
    top.ignored("cluster_addr", "the nodes of a region talk to each other at `api_addr`");
    top.ignored("disable_cache", "there is no cache");
    top.ignored("telemetry", "metrics need no setting: `sys/metrics` has them");
}

/// A stanza of another kind is not looked into: all its keys would be unknown.
fn expect_label(key: &str, label: &Located<'_, String>, known: &[&str], problems: &Problems) -> Option<()> {
    if known.contains(&label.value.as_str()) {
        return Some(());
    }
    // A missing label was reported when the stanza was read.
    if !label.value.is_empty() {
        let known: Vec<String> = known.iter().map(|name| format!("{key} \"{name}\"")).collect();
        let message = format!("there is no {key} \"{}\": expected {}", label.value, known.join(" or "));
        problems.error(label.place, message);
    }
    None
}

/// A URL of a server, without a slash at its end.
fn url(given: &Located<'_, String>, key: &str, problems: &Problems) -> Option<String> {
    let text = given.value.trim();
    let parsed = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if parsed.is_none() {
        let message = format!("`{key}`: `{text}` is no server address: expected e.g. http://127.0.0.1:8200");
        problems.error(given.place, message);
    }
    parsed.map(|url| url.as_str().trim_end_matches('/').to_owned())
}

fn derived_api_addr(listener: &Listener, path: &Path, problems: &Problems) -> Option<String> {
    if listener.address.ip().is_unspecified() {
        let message = format!(
            "`api_addr` is missing: others can't reach this node at the listener's {}: expected e.g. api_addr = \"http://HOST:8200\"",
            listener.address.ip()
        );
        problems.error_in(path, message);
        return None;
    }
    let scheme = if listener.tls == Tls::Disabled { "http" } else { "https" };
    Some(format!("{scheme}://{}", listener.address))
}
