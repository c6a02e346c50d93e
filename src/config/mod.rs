//! The configuration of a server: parsed from HCL, then validated, and only then used.
//!
//! * `problem.rs`: what is wrong, and where: `FILE:LINE: …`. All that is found is reported at once.
//! * `section.rs`: a stanza whose keys are asked for by name and type; what nobody asked for is an unknown key.
//! * `validate.rs`: from stanzas to [`ServerConfig`].
//!
//! Values that the file leaves out, and where they come from:
//!
//! | key | default |
//! |---|---|
//! | `cluster_name` | the `node_id`: set it once a region has more than one node |
//! | `api_addr` | the listener's address, `http` with `tls_disable`, else `https`; required if the listener takes any address (`0.0.0.0`) |
//! | `engine` | `fjall` |
//! | `tls_min_version` in `listener` | `tls13`; `tls12` lets in older clients |
//! | `disable_mlock` | false: the memory of the process is kept out of the swap, where the system allows it |
//! | the path's name | `default`; else the label of `replication` or `replication_path` |
//! | `max_parallel` | [`MAX_PARALLEL_DEFAULT`] |
//! | `serve_reads` in `replication` | false: a standby names its primary to whoever asks it |
//! | `wal_bytes_max` in `replication` | 256 MiB: the log is kept for standbys that lag until it holds so much |
//! | `wal_time_max` in `replication` | 72 h: … or until it is so old |
//!
//! Relative file names are relative to the directory the server is started in, as in Vault.

mod one_line;
mod problem;
mod section;
mod validate;

use crate::decoding::{Decoder, Kind};
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use crate::storage::Engine;
use problem::{Problems, Source};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Requests in flight on a link, if the file does not say.
pub const MAX_PARALLEL_DEFAULT: u32 = 8;
/// The most that a link may have: beyond it, more connections bring nothing but memory.
pub const MAX_PARALLEL_MAX: u32 = 64;
/// Vault's default of both times of a lease: 32 days.
const LEASE_TTL_DEFAULT: Duration = Duration::from_secs(768 * 3600);
/// A configuration is a page, no data set.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All that a server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The region's name. It counts when the region is initialised; nodes that join take over the region's.
    pub cluster_name: String,
    /// Where other nodes, the other region and clients reach this node: a URL without a slash at its end.
    pub api_addr: String,
    pub listener: Listener,
    pub storage: Storage,
    pub seal: Seal,
    pub replication: Replication,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    pub leases: Leases,
    /// Whether the process keeps its memory out of the swap.
    pub lock_memory: bool,
    /// What was understood and has no effect, each as `FILE:LINE: …`: to be logged at the start.
    pub warnings: Vec<String>,
}

/// How long tokens live that do not say, and how long any may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    pub default_ttl: Duration,
    pub max_ttl: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    Disabled,
    Files {
        certificate: PathBuf,
        key: PathBuf,
        min_version: TlsVersion,
    },
    /// A pair that the server makes at its first start and keeps in its data directory.
    SelfSigned {
        min_version: TlsVersion,
    },
}

/// The oldest version of TLS that a listener speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    pub path: PathBuf,
    pub node_id: String,
    pub engine: Engine,
    pub retry_join: Vec<RetryJoin>,
    /// By any `retry_join`: it holds all data, and counts for no majority.
    pub joins_without_vote: bool,
}

/// A node to ask for admission to its region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryJoin {
    /// A URL without a slash at its end. A node that finds its own here skips it.
    pub leader_api_addr: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    Shamir,
    /// Auto-unseal with the key in this file.
    File {
        path: PathBuf,
    },
}

/// The region's one path.
#[derive(Clone, Debug)]
pub struct Replication {
    pub path: String,
    /// False: `replication` says so; no link is dialled and none is let in.
    pub enabled: bool,
    /// Where other regions reach this one, if not at its nodes' `api_addr`: a load balancer, a tunnel.
    pub address: Option<String>,
    /// While this region is a standby it answers reads, from what has arrived.
    pub serve_reads: bool,
    /// How much of the log is kept for standbys that lag, in bytes and in time.
    pub wal_bytes_max: Option<u64>,
    pub wal_time_max: Option<Duration>,
    pub links: Vec<Link>,
}

/// A standby that this region replicates to while it is primary.
#[derive(Clone, Debug)]
pub struct Link {
    /// A URL without a slash at its end.
    pub address: String,
    /// The activation token that the standby made.
    pub token: SensitiveString,
    pub max_parallel: u32,
    /// The standby's name, to tell several apart.
    pub region: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Standard,
    Json,
}

impl LogLevel {
    /// By the names that Vault takes, however they are written.
    pub fn named(name: &str) -> Option<LogLevel> {
        Some(match name.to_ascii_lowercase().as_str() {
            "trace" => LogLevel::Trace,
            "debug" => LogLevel::Debug,
            "info" | "notice" => LogLevel::Info,
            "warn" | "warning" => LogLevel::Warn,
            "error" | "err" => LogLevel::Error,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

/// The configuration as people write it. It is read, never written.
pub const DECODER: Decoder = Decoder { name: "config", again: text_again, kind: Kind::Text };

fn text_again(text: &[u8]) -> Result<Vec<u8>> {
    let text = String::from_utf8(text.to_vec()).map_err(|_| Error::invalid("the configuration is no text"))?;
    server(&[Source::new(PathBuf::from("config.hcl"), text.clone())], Path::new("config.hcl"))?;
    Ok(text.into_bytes())
}

/// Reads a file, or all `*.hcl` files of a directory in the order of their names, as one configuration.
pub fn load(path: &Path) -> Result<ServerConfig> {
    let sources: Vec<Source> = files(path)?.into_iter().map(read).collect::<Result<_>>()?;
    server(&sources, path)
}

fn server(sources: &[Source], path: &Path) -> Result<ServerConfig> {
    let problems = Problems::default();
    let config = validate::server(sources, path, &problems);
    match (config, problems.into_error()) {
        (Some(config), None) => Ok(config),
        (_, Some(error)) => Err(error),
        (None, None) => Err(Error::internal(format!("{}: refused, yet nothing is wrong with it", path.display()))),
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error: std::io::Error| Error::invalid(format!("{}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "hcl") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::invalid(format!("{}: no `*.hcl` file in this directory", path.display())));
    }
    Ok(files)
}

fn read(path: PathBuf) -> Result<Source> {
    let unreadable = |why: String| Error::invalid(format!("{}: {why}", path.display()));
    let bytes = std::fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(unreadable(format!("{bytes} bytes are too many for a configuration: at most {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    Ok(Source::new(path, text))
}

#[cfg(test)]
mod tests;
