//! The command line as clap sees it. Help, completions, the man pages and the README's table come from here.

pub use super::replication_args::{
    Connect, Demote, Discard, Disconnect, GenerateToken, Ledger, OnLink, OnPath, Open, Promote, Rejoin, Replay,
    Replication, RevokeToken, Verify,
};
pub use super::vault_args::{
    At, Audit, AuditEnable, Import, KvEnableVersioning, KvMetadata, KvMetadataPut, KvPatch, KvRollback, KvVersions,
    Named, Policy, PolicyFmt, PolicyWrite, Read, Rekey, Secrets, SecretsEnable, SecretsMove, SecretsTune, Snapshot,
    SnapshotRestore, SnapshotSave, Token, TokenCapabilities, TokenCreate, TokenLookup, TokenRenew, TokenRevoke, Unwrap,
    Wrap, Write,
};
use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const STYLES: Styles = Styles::plain();

/// A Vault-compatible secrets store that lives in two regions, and the console that fails one over.
#[derive(Parser, Debug)]
#[command(name = "twinkeep", version, styles = STYLES, disable_help_subcommand = true, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Flags may be written with one dash, as Vault's: -address=…, -format=json.\n\
    Exit codes: 0 done; 1 refused here; 2 error from the server, or an ailing `status`; 3 outcome unknown.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Two regions in this process, a link with WAN latency and a load, the console on top
    Demo(Demo),
    /// The console on running servers: what replication does, and failing over
    Attach(Attach),
    /// Run one node of a region
    Server(Server),
    /// The replication between regions: tokens, links, status, promotion
    #[command(subcommand)]
    Replication(Replication),
    /// The region itself: init, unseal, its nodes
    #[command(subcommand)]
    Operator(Operator),
    /// Secrets of a KV mount
    #[command(subcommand)]
    Kv(Kv),
    /// Read what is at a path
    Read(Read),
    /// Write fields to a path
    Write(Write),
    /// List the names below a path
    List(At),
    /// Delete what is at a path
    Delete(At),
    /// Fetch a wrapped answer, once
    Unwrap(Unwrap),
    /// Policies
    #[command(subcommand)]
    Policy(Policy),
    /// Secret engines and where they are mounted
    #[command(subcommand)]
    Secrets(Secrets),
    /// Audit logs
    #[command(subcommand)]
    Audit(Audit),
    /// Copy KV mounts, their data with all versions, and policies of a running Vault or OpenBao to this server; again, it
    /// goes on where it stopped. Exits 1 if something here differs, 2 if something was not copied
    Import(Box<Import>),
    /// A node: seal, leader, version; exits 2 if it is sealed or not initialised. With addresses or -context the regions:
    /// exits 0 if all is well, 2 if not, 3 if that is unknown
    Status(Status),
    /// Check a token and keep it in ~/.vault-token
    Login(Login),
    /// Tokens
    #[command(subcommand)]
    Token(Token),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completion { shell: clap_complete::Shell },
    /// Print the man page of twinkeep, or of one command
    Man(Man),
}

/// Which regions a console looks at, and as whom.
#[derive(Args, Debug, Clone)]
pub struct View {
    /// A node of each region, like http://10.1.1.1:8200; their other nodes are found. Without one: -address, or the
    /// contexts of ~/.config/twinkeep/contexts.toml
    #[arg(value_name = "ADDR")]
    pub addresses: Vec<String>,
    /// These contexts of the file alone
    #[arg(long, value_name = "NAME")]
    pub context: Vec<String>,
    /// The contexts file [default: ~/.config/twinkeep/contexts.toml]
    #[arg(long, value_name = "FILE")]
    pub contexts_file: Option<PathBuf>,
    /// A file with one more token, for a region that does not take the usual one
    #[arg(long, value_name = "FILE")]
    pub token_file: Vec<PathBuf>,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug, Clone)]
pub struct Attach {
    #[command(flatten)]
    pub view: View,
    /// Allow changes: tokens, links, promotion. Without it the console only looks, until `:arm`
    #[arg(long)]
    pub write: bool,
    /// Print one screen of text and end; exits 2 if something is wrong
    #[arg(long)]
    pub once: bool,
    /// Print one JSON object with all that was observed and when, and end
    #[arg(long)]
    pub json: bool,
    /// With --json: an object a second, a line each
    #[arg(long, requires = "json")]
    pub watch: bool,
    /// Line after line in words, for screen readers, pipes and dumb terminals
    #[arg(long, conflicts_with_all = ["once", "json"])]
    pub plain: bool,
    /// terminal, dark, light, high-contrast, deuteranopia, tritanopia, mono, or a file in ~/.config/twinkeep/themes
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Draw with ASCII only
    #[arg(long)]
    pub ascii: bool,
    /// Ring no bell when a role changes, a region falls silent or a standby lags
    #[arg(long)]
    pub quiet: bool,
    /// Record what is observed and done on the screens, without secrets, to a new file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["once", "json", "plain"])]
    pub record: Option<PathBuf>,
    /// Show what was recorded, or an incident file, in the same screens
    #[arg(long, value_name = "FILE", conflicts_with_all = ["once", "json", "plain", "write", "record"])]
    pub replay: Option<PathBuf>,
    /// A line of warning on every screen
    #[arg(long, value_name = "TEXT")]
    pub banner: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub struct Status {
    #[command(flatten)]
    pub view: View,
    /// With regions: a standby that is further behind is not well
    #[arg(long, value_name = "DURATION")]
    pub max_lag: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub struct Server {
    /// The configuration: a file, or a directory whose *.hcl files count as one. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Which server to ask, as whom, and how to answer.
#[derive(Args, Debug, Clone, Default)]
pub struct Connection {
    /// The server's address [env: VAULT_ADDR] [default: https://127.0.0.1:8200]
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub address: Option<String>,
    /// PEM file of the authority that signed its certificate [env: VAULT_CACERT]
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub ca_cert: Option<PathBuf>,
    /// Believe this certificate and no other: the SHA-256 that the server logs at its start
    #[arg(long, value_name = "HEX", help_heading = "Server", conflicts_with = "ca_cert")]
    pub tls_fingerprint: Option<String>,
    /// Believe any certificate [env: VAULT_SKIP_VERIFY]
    #[arg(long, help_heading = "Server")]
    pub tls_skip_verify: bool,
    /// table for people, json for programs [env: VAULT_FORMAT] [default: table]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output", hide_possible_values = true)]
    pub format: Option<Format>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// Which path is meant.
#[derive(Args, Debug, Clone)]
pub struct PathFlag {
    /// The path's name
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub replication_path: String,
}

#[derive(Subcommand, Debug)]
pub enum Operator {
    /// Start a region on a fresh node; prints the unseal keys and the root token, once
    Init(Init),
    /// Give one unseal key; without it, it is asked for, or read from standard input
    Unseal(Unseal),
    /// Forget the root key on a node
    Seal(Connection),
    /// Make this standby the primary (the same as `replication promote`)
    ReplicateResume(Promote),
    /// Have another node lead the region
    StepDown(Connection),
    /// The key that encrypts, and since when
    KeyStatus(Connection),
    /// Encrypt with a new key from now on
    Rotate(Connection),
    /// New unseal keys by a quorum of the old: -init, then one key each; with -verify the new ones are given back first
    Rekey(Rekey),
    /// The nodes of the region, and snapshots of it
    #[command(subcommand)]
    Raft(Raft),
}

#[derive(Args, Debug)]
pub struct Init {
    /// Into how many unseal keys the root key is split
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    pub key_shares: u32,
    /// How many of them unseal
    #[arg(long, short = 't', value_name = "N", default_value_t = 3)]
    pub key_threshold: u32,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Unseal {
    /// One unseal key; better left out, so that no shell history keeps it
    pub key: Option<String>,
    /// Forget the keys given so far
    #[arg(long, conflicts_with = "key")]
    pub reset: bool,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Subcommand, Debug)]
pub enum Raft {
    /// List the region's nodes
    ListPeers(Connection),
    /// Take a node out of the region
    RemovePeer(RemovePeer),
    /// The whole data set as a file, and back
    #[command(subcommand)]
    Snapshot(Snapshot),
}

#[derive(Args, Debug)]
pub struct RemovePeer {
    /// Its node_id
    pub node_id: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Subcommand, Debug)]
pub enum Kv {
    /// Write a new version of a secret: key=value, key=@file, key=- (standard input), @file.json or -
    Put(KvPut),
    /// Read a secret
    Get(KvGet),
    /// List the names below a path
    List(KvPath),
    /// Delete the newest version, or those of -versions
    Delete(KvDelete),
    /// Change some fields of a secret
    Patch(KvPatch),
    /// Bring deleted versions back
    Undelete(KvVersions),
    /// Destroy versions for good
    Destroy(KvVersions),
    /// Write an older version anew as the newest
    Rollback(KvRollback),
    /// Versions and settings of a secret
    #[command(subcommand)]
    Metadata(KvMetadata),
    /// Keep versions from now on, in a mount of KV version 1
    EnableVersioning(KvEnableVersioning),
}

#[derive(Args, Debug, Clone)]
pub struct KvPath {
    /// Like secret/app; with -mount=secret: app
    pub path: String,
    /// The mount, if it is not the beginning of the path
    #[arg(long, value_name = "MOUNT")]
    pub mount: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct KvPut {
    #[command(flatten)]
    pub path: KvPath,
    /// The secret's fields
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub fields: Vec<String>,
    /// Write only if this is the current version; 0: only if there is none
    #[arg(long, value_name = "VERSION")]
    pub cas: Option<u64>,
}

#[derive(Args, Debug)]
pub struct KvGet {
    #[command(flatten)]
    pub path: KvPath,
    /// This version, not the newest
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,
    /// Print this field alone
    #[arg(long, value_name = "KEY")]
    pub field: Option<String>,
}

#[derive(Args, Debug)]
pub struct KvDelete {
    #[command(flatten)]
    pub path: KvPath,
    /// These versions
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub versions: Vec<u64>,
}

#[derive(Args, Debug)]
pub struct Login {
    /// The token; better left out: it is asked for, or read from standard input
    pub token: Option<String>,
    /// Check it only
    #[arg(long)]
    pub no_store: bool,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Man {
    /// The command, like: kv put
    pub command: Vec<String>,
    /// Print the table of all commands as the README has it
    #[arg(long, conflicts_with = "command")]
    pub markdown: bool,
}

#[derive(Args, Debug)]
pub struct Demo {
    /// Nodes of each region
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5))]
    pub nodes: u32,
    /// Milliseconds from one region to the other and back
    #[arg(long, value_name = "MS", default_value_t = 80)]
    pub wan_latency: u64,
    /// Secrets that are there to be synced at the start
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub secrets: u32,
    /// Secrets written per second
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub write_rate: u32,
    /// Colours: terminal, dark, light, high-contrast, deuteranopia, tritanopia, mono, or a theme of your own
    #[arg(long, value_name = "NAME", conflicts_with = "headless")]
    pub theme: Option<String>,
    /// Plain signs, for terminals that show no others
    #[arg(long, conflicts_with = "headless")]
    pub ascii: bool,
    /// Ring no bell
    #[arg(long, conflicts_with = "headless")]
    pub quiet: bool,
    /// Play a rehearsal: dead-primary, switchover, ledger, cut-link, lost-leader, or a file of steps. With --headless it exits 0 only if all its
    /// steps hold
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<String>,
    /// Without the console: connect the regions, print a JSON line a second, exit 0 only if both end with equal Merkle roots
    #[arg(long)]
    pub headless: bool,
    /// How long a headless demo runs
    #[arg(long = "for", id = "for_secs", value_name = "SECS", default_value_t = 10, requires = "headless")]
    pub for_secs: u64,
}
