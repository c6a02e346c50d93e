//! What can be typed of the commands that Vault has: any path, KV, tokens, policies, mounts, audit logs.

use super::args::{Connection, KvPath};
use clap::{Args, Subcommand};

/// Keep the answer on the server.
#[derive(Args, Debug, Clone, Default)]
pub struct Wrap {
    /// Keep the answer on the server, for who shows the token that is answered, so long
    #[arg(long, value_name = "DURATION")]
    pub wrap_ttl: Option<String>,
}

#[derive(Args, Debug)]
pub struct Read {
    /// Like secret/data/app or sys/mounts
    pub path: String,
    /// The query, like version=2
    #[arg(value_name = "KEY=VALUE")]
    pub query: Vec<String>,
    /// Print this field alone
    #[arg(long, value_name = "KEY")]
    pub field: Option<String>,
    #[command(flatten)]
    pub wrap: Wrap,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Write {
    /// Like auth/token/roles/app
    pub path: String,
    /// key=value, key=@file, key=- (standard input), @file.json or -
    #[arg(value_name = "KEY=VALUE", required_unless_present = "force")]
    pub fields: Vec<String>,
    /// Write although there are no fields
    #[arg(long, short = 'f')]
    pub force: bool,
    /// Print this field alone
    #[arg(long, value_name = "KEY")]
    pub field: Option<String>,
    #[command(flatten)]
    pub wrap: Wrap,
    #[command(flatten)]
    pub connection: Connection,
}

/// A path and nothing else.
#[derive(Args, Debug)]
pub struct At {
    /// Like secret/metadata/app
    pub path: String,
    #[command(flatten)]
    pub connection: Connection,
}

/// A name and nothing else.
#[derive(Args, Debug)]
pub struct Named {
    pub name: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Unwrap {
    /// The wrapping token; without it your own token is one. - reads it from standard input
    pub token: Option<String>,
    /// Print this field alone
    #[arg(long, value_name = "KEY")]
    pub field: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Subcommand, Debug)]
pub enum Policy {
    /// The names of all policies
    List(Connection),
    /// Print a policy
    Read(Named),
    /// Make or change a policy, from a file or - (standard input)
    Write(PolicyWrite),
    /// Delete a policy
    Delete(Named),
    /// Put a policy's file in order
    Fmt(PolicyFmt),
}

#[derive(Args, Debug)]
pub struct PolicyWrite {
    pub name: String,
    /// Its file; - is standard input
    pub file: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct PolicyFmt {
    pub file: std::path::PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum Secrets {
    /// What is mounted where
    List(Connection),
    /// Mount a secret engine
    Enable(SecretsEnable),
    /// Unmount a secret engine, with all that lies in it
    Disable(At),
    /// Change a mount's settings
    Tune(SecretsTune),
    /// Move a mount to another path
    Move(SecretsMove),
}

#[derive(Args, Debug)]
pub struct SecretsEnable {
    /// kv, or kv-v2
    pub engine: String,
    /// Where; the engine's name if not said
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// Of KV: 1, or 2 which keeps versions
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct SecretsTune {
    pub path: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// How long leases run that do not say
    #[arg(long, value_name = "DURATION")]
    pub default_lease_ttl: Option<String>,
    /// How long any lease may run
    #[arg(long, value_name = "DURATION")]
    pub max_lease_ttl: Option<String>,
    /// Of KV version 1: 2 keeps versions from now on
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct SecretsMove {
    pub from: String,
    pub to: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Subcommand, Debug)]
pub enum Audit {
    /// The audit logs
    List(Connection),
    /// Write an audit log from now on, like: file file_path=/var/log/twinkeep.log
    Enable(AuditEnable),
    /// Stop writing an audit log
    Disable(At),
}

#[derive(Args, Debug)]
pub struct AuditEnable {
    /// file
    pub device: String,
    /// Its options
    #[arg(value_name = "KEY=VALUE")]
    pub options: Vec<String>,
    /// Its name; the device's if not said
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Subcommand, Debug)]
pub enum Token {
    /// Make a token, child of your own
    Create(Box<TokenCreate>),
    /// What the server knows of a token, or of your own
    Lookup(TokenLookup),
    /// Let a token live on, or your own
    Renew(TokenRenew),
    /// End a token and its children
    Revoke(TokenRevoke),
    /// What a token may do at a path, or your own
    Capabilities(TokenCapabilities),
}

#[derive(Args, Debug)]
pub struct TokenCreate {
    /// A policy it has; may be given several times
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,
    /// How long it lives
    #[arg(long, value_name = "DURATION")]
    pub ttl: Option<String>,
    /// How long it lives at most, however often it is renewed
    #[arg(long, value_name = "DURATION")]
    pub explicit_max_ttl: Option<String>,
    /// Renewed within each such time, it lives for ever
    #[arg(long, value_name = "DURATION")]
    pub period: Option<String>,
    /// How often it may be used
    #[arg(long, value_name = "N")]
    pub use_limit: Option<u64>,
    /// What it is shown as
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,
    /// A note on it, key=value; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata: Vec<String>,
    /// As this role has it
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// service, or batch: one that is stored nowhere
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<String>,
    /// It outlives yours
    #[arg(long)]
    pub orphan: bool,
    /// Without the policy `default`
    #[arg(long)]
    pub no_default_policy: bool,
    /// Print this field alone, like token
    #[arg(long, value_name = "KEY")]
    pub field: Option<String>,
    #[command(flatten)]
    pub wrap: Wrap,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct TokenLookup {
    /// The token; - reads it from standard input
    pub token: Option<String>,
    /// It is an accessor
    #[arg(long, requires = "token")]
    pub accessor: bool,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct TokenRenew {
    /// The token; - reads it from standard input
    pub token: Option<String>,
    /// It is an accessor
    #[arg(long, requires = "token")]
    pub accessor: bool,
    /// For so long
    #[arg(long, value_name = "DURATION")]
    pub increment: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct TokenRevoke {
    /// The token; - reads it from standard input
    #[arg(required_unless_present = "own")]
    pub token: Option<String>,
    /// Your own
    #[arg(long = "self", id = "own", conflicts_with_all = ["token", "accessor", "mode"])]
    pub own: bool,
    /// It is an accessor
    #[arg(long)]
    pub accessor: bool,
    /// orphan: its children live on
    #[arg(long, value_name = "MODE", value_parser = ["orphan"])]
    pub mode: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct TokenCapabilities {
    /// The token and the path, or the path alone
    #[arg(required = true, num_args = 1..=2, value_name = "TOKEN PATH")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct KvPatch {
    #[command(flatten)]
    pub path: KvPath,
    /// The fields that change
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub fields: Vec<String>,
    /// Change it only if this is the current version
    #[arg(long, value_name = "VERSION")]
    pub cas: Option<u64>,
}

#[derive(Args, Debug)]
pub struct KvVersions {
    #[command(flatten)]
    pub path: KvPath,
    /// These versions
    #[arg(long, value_name = "N,N", value_delimiter = ',', required = true)]
    pub versions: Vec<u64>,
}

#[derive(Args, Debug)]
pub struct KvRollback {
    #[command(flatten)]
    pub path: KvPath,
    /// The version to go back to
    #[arg(long, value_name = "N")]
    pub version: u64,
}

#[derive(Subcommand, Debug)]
pub enum KvMetadata {
    /// Versions and settings
    Get(KvPath),
    /// Change its settings
    Put(KvMetadataPut),
    /// Delete a secret with all its versions
    Delete(KvPath),
}

#[derive(Args, Debug)]
pub struct KvMetadataPut {
    #[command(flatten)]
    pub path: KvPath,
    /// How many versions are kept
    #[arg(long, value_name = "N")]
    pub max_versions: Option<u64>,
    /// Whether a write must name the version it replaces
    #[arg(long, value_name = "BOOL")]
    pub cas_required: Option<bool>,
    /// How long a version lives
    #[arg(long, value_name = "DURATION")]
    pub delete_version_after: Option<String>,
    /// A note on it, key=value; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub custom_metadata: Vec<String>,
}

#[derive(Args, Debug)]
pub struct KvEnableVersioning {
    /// The mount
    pub path: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Rekey {
    /// One of the old keys, or with -verify of the new; better left out: it is asked for, or read from standard input
    pub key: Option<String>,
    /// Begin
    #[arg(long, conflicts_with_all = ["key", "cancel", "status", "nonce"])]
    pub init: bool,
    /// Give the rekey up, which who has no token names by its -nonce; with -verify only forget which keys were given back
    #[arg(long, conflicts_with_all = ["key", "status"])]
    pub cancel: bool,
    /// How far it is
    #[arg(long, conflicts_with = "key")]
    pub status: bool,
    /// With -init: the new keys have to be given back before they count. Else: it is about that
    #[arg(long)]
    pub verify: bool,
    /// Into how many keys the root key is split
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    pub key_shares: u32,
    /// How many of them unseal
    #[arg(long, short = 't', value_name = "N", default_value_t = 3)]
    pub key_threshold: u32,
    /// What -init printed, so that all keys are given to one rekey
    #[arg(long, value_name = "NONCE")]
    pub nonce: Option<String>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Subcommand, Debug)]
pub enum Snapshot {
    /// Save a snapshot, encrypted as the data is, while the region works
    Save(SnapshotSave),
    /// Restore a snapshot: what was written since is gone, here and on the standbys
    Restore(SnapshotRestore),
}

#[derive(Args, Debug)]
pub struct SnapshotSave {
    pub file: std::path::PathBuf,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct SnapshotRestore {
    pub file: std::path::PathBuf,
    /// It may be another region's: its keys come with it, and this region's are lost
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub connection: Connection,
}

/// From where, as whom, and how much of it.
#[derive(Args, Debug)]
pub struct Import {
    /// The address of the Vault, OpenBao or Twinkeep that is copied from
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// A file with its token, - for standard input [env: VAULT_FROM_TOKEN]; without either it is asked for
    #[arg(long, value_name = "FILE")]
    pub from_token_file: Option<std::path::PathBuf>,
    /// PEM file of the authority that signed its certificate [env: VAULT_CACERT]
    #[arg(long, value_name = "FILE")]
    pub from_ca_cert: Option<std::path::PathBuf>,
    /// Believe this certificate of it and no other, by its SHA-256
    #[arg(long, value_name = "HEX", conflicts_with = "from_ca_cert")]
    pub from_tls_fingerprint: Option<String>,
    /// Believe any certificate of it [env: VAULT_SKIP_VERIFY]
    #[arg(long)]
    pub from_tls_skip_verify: bool,
    /// This KV mount only; may be given several times
    #[arg(long, value_name = "PATH")]
    pub mount: Vec<String>,
    /// Leave policies out
    #[arg(long)]
    pub no_policies: bool,
    /// Look and compare, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Secrets that are copied at a time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub parallel: usize,
    #[command(flatten)]
    pub connection: Connection,
}
