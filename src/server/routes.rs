//! The one table of routes: dispatch, forwarding, 404 and 405, and the README's list of endpoints come from it.

use super::answer::Answer;
use super::call::Call;
use super::handlers::{
    audit, auth_methods, autopilot, health, info, kv, kv_lists, leases, ledger, link, loggers, membership, metrics,
    monitor, mounts, mounts_seen, path, plain, plugins, policy, quotas, rekey, replication_status, root_generation,
    rotation, seal, settings, snapshot, token, token_roles, tools, wrapping,
};
use super::pattern::{self, Params, Within};
use super::request::Verb::{self, Delete, List, Patch, Read, Scan, Write};
use crate::error::Result;
use std::future::Future;
use std::pin::Pin;

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Anyone,
    /// Clients, with a token, of a region that is primary and whole: what reads or writes secrets.
    Client,
    /// Whoever asks an open node; who shows a token, which then must be good, learns more.
    Guest,
    /// Who has a token, whatever the region's role: what operates the region.
    Operator,
    /// Another node of this region, which proves that it holds the region's key.
    Node,
    /// Another region, which proves that it holds the link's credential or an activation token.
    Link,
}

/// Where it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// On the node that was asked.
    Here,
    /// On the region's leader, to which followers forward.
    Leader,
    /// On the leader if one can be reached, else on the node that was asked: what an operator wants to see when
    /// there is no leader.
    LeaderIfAny,
}

/// What a handler gives back, in its time.
pub type Handling = Pin<Box<dyn Future<Output = Result<Answer>> + Send>>;

pub struct Route {
    pub verb: Verb,
    pub pattern: &'static str,
    pub who: Who,
    pub runs: Runs,
    pub handler: fn(Call) -> Handling,
    pub doc: &'static str,
}

impl Route {
    /// Whether what it is sent may be too large for memory.
    pub fn takes_file(&self) -> bool {
        self.verb == Verb::Write && self.moves_file()
    }

    /// Whether it is how nodes come into the region, which need not be open for that.
    pub fn lets_join(&self) -> bool {
        self.pattern.starts_with("sys/storage/raft/bootstrap/")
    }

    /// Whether it brings or fetches a file, which takes its time.
    pub fn moves_file(&self) -> bool {
        matches!(self.pattern, "sys/storage/raft/snapshot" | "sys/storage/raft/snapshot-force")
    }
}

/// Rows of the table: verb, pattern, who, where, handler, doc.
macro_rules! routes {
    ($($verb:ident $pattern:literal $who:ident $runs:ident $handler:path, $doc:literal;)*) => {
        &[$(Route {
            verb: $verb,
            pattern: $pattern,
            who: Who::$who,
            runs: Runs::$runs,
            handler: |call| Box::pin($handler(call)),
            doc: $doc,
        }),*]
    };
}

/// All routes. The first one that matches counts.
pub static ROUTES: &[Route] = routes! {
    Read "sys/health" Anyone Here health::health, "the node's health as a status code: 200, 429, 472, 474, 501, 503";
    Read "sys/seal-status" Anyone Here seal::seal_status, "sealed or not, and how many shares are still missing";
    Read "sys/init" Anyone Here seal::init_status, "whether the region is initialised";
    Write "sys/init" Anyone Here seal::init, "start a region on this node: the shares and the root token, once";
    Write "sys/unseal" Anyone Here seal::unseal, "give one share, or start over";
    Write "sys/seal" Operator Here seal::seal, "forget the root key on this node";
    Read "sys/rekey/init" Anyone Leader rekey::status, "how far a rekey of the unseal shares is";
    Write "sys/rekey/init" Anyone Leader rekey::begin, "begin to make new unseal shares";
    Delete "sys/rekey/init" Anyone Leader rekey::cancel, "give a rekey up";
    Write "sys/rekey/update" Anyone Leader rekey::update, "give one of the old shares";
    Read "sys/rekey/verify" Anyone Leader rekey::verification, "how many of the new shares were given back";
    Write "sys/rekey/verify" Anyone Leader rekey::verify, "give one of the new shares back";
    Delete "sys/rekey/verify" Anyone Leader rekey::verify_restart, "forget which were given back";
    Read "sys/rotate/root/init" Operator Leader rekey::status, "how far a rekey of the unseal shares is";
    Write "sys/rotate/root/init" Operator Leader rekey::begin, "begin to make new unseal shares";
    Delete "sys/rotate/root/init" Operator Leader rekey::cancel, "give a rekey up";
    Write "sys/rotate/root/update" Operator Leader rekey::update, "give one of the old shares";
    Read "sys/rotate/root/verify" Operator Leader rekey::verification, "how many of the new shares were given back";
    Write "sys/rotate/root/verify" Operator Leader rekey::verify, "give one of the new shares back";
    Delete "sys/rotate/root/verify" Operator Leader rekey::verify_restart, "forget which were given back";
    Read "sys/rekey/backup" Operator Leader rekey::backup, "nothing: new shares are never kept";
    Delete "sys/rekey/backup" Operator Leader rekey::backup_delete, "nothing";
    Read "sys/rotate/root/backup" Operator Leader rekey::backup, "nothing: new shares are never kept";
    Delete "sys/rotate/root/backup" Operator Leader rekey::backup_delete, "nothing";
    Read "sys/rekey-recovery-key/*rest" Anyone Leader rekey::recovery, "refused: there are no recovery keys";
    Write "sys/rekey-recovery-key/*rest" Anyone Leader rekey::recovery, "refused: there are no recovery keys";
    Delete "sys/rekey-recovery-key/*rest" Anyone Leader rekey::recovery, "refused: there are no recovery keys";
    Read "sys/generate-root/attempt" Anyone Leader root_generation::status, "how far the generation of a root token is";
    Write "sys/generate-root/attempt" Anyone Leader root_generation::begin, "begin to make a root token by unseal shares";
    Delete "sys/generate-root/attempt" Anyone Leader root_generation::cancel, "give it up";
    Write "sys/generate-root/update" Anyone Leader root_generation::update, "give one share";
    Read "sys/generate-root-token/attempt" Operator Leader root_generation::status, "how far the generation of a root token is";
    Write "sys/generate-root-token/attempt" Operator Leader root_generation::begin, "begin to make a root token by unseal shares";
    Delete "sys/generate-root-token/attempt" Operator Leader root_generation::cancel, "give it up";
    Write "sys/generate-root-token/update" Operator Leader root_generation::update, "give one share";
    Write "sys/step-down" Operator Leader membership::step_down, "hand leadership to another node";
    Read "sys/leader" Anyone Here health::leader, "which node leads";
    Read "sys/ha-status" Operator LeaderIfAny health::ha_status, "the region's nodes";
    Read "sys/internal/ui/mounts" Guest Leader mounts_seen::mounts, "the mounts a token can see; without one, those that are listed for all";
    Read "sys/internal/ui/mounts/*path" Client Leader mounts_seen::preflight, "the mount that a path lies in";
    Read "sys/internal/ui/resultant-acl" Operator Leader mounts_seen::resultant_acl, "what one's own policies grant together";
    Read "sys/mounts" Client Leader mounts::list, "all mounts";
    Read "sys/audit" Client Leader audit::list, "the audit devices";
    Write "sys/audit/*path" Client Leader audit::enable, "write an audit log to a file";
    Delete "sys/audit/*path" Client Leader audit::disable, "stop writing an audit log";
    Write "sys/audit-hash/*path" Client Leader audit::hash, "what a value looks like in an audit log";
    Write "sys/rotate" Client Leader rotation::rotate, "encrypt with a new key from now on";
    Write "sys/rotate/keyring" Client Leader rotation::rotate, "encrypt with a new key from now on";
    Read "sys/rotate/config" Client Leader rotation::config, "when the key is rotated by itself";
    Write "sys/rotate/config" Client Leader rotation::config_write, "change that";
    Read "sys/rotate/keyring/config" Client Leader rotation::config, "the same";
    Write "sys/rotate/keyring/config" Client Leader rotation::config_write, "the same";
    Read "sys/key-status" Client Leader rotation::key_status, "the key that encrypts, and since when";
    Read "sys/storage/raft/autopilot/state" Operator LeaderIfAny autopilot::state, "the region's health, node by node";
    Read "sys/mounts/*path" Client Leader mounts::read, "one mount, or its settings below `tune`";
    Write "sys/mounts/*path" Client Leader mounts::write, "enable a secret engine, or change its settings below `tune`";
    Delete "sys/mounts/*path" Client Leader mounts::disable, "disable a secret engine, with all that lies in it";
    Write "sys/remount" Client Leader mounts::remount, "move a mount to another path";
    Read "sys/remount/status/:id" Client Leader mounts::remount_status, "how far a move is: it is done when it was answered";
    Write "sys/leases/lookup" Client Leader leases::lookup, "a token's lease";
    List "sys/leases/lookup/*prefix" Client Leader leases::list, "the leases below a prefix";
    Write "sys/leases/renew" Client Leader leases::renew, "refused: a token is renewed as a token";
    Write "sys/leases/renew/*id" Client Leader leases::renew, "refused: a token is renewed as a token";
    Write "sys/leases/revoke" Client Leader leases::revoke, "end the token of a lease";
    Write "sys/leases/revoke/*id" Client Leader leases::revoke, "end the token of a lease";
    Write "sys/leases/revoke-prefix/*prefix" Client Leader leases::revoke_prefix, "end the tokens of all leases below a prefix";
    Write "sys/leases/revoke-force/*prefix" Client Leader leases::revoke_prefix, "the same";
    Write "sys/renew" Client Leader leases::renew, "the old name of sys/leases/renew";
    Write "sys/renew/*id" Client Leader leases::renew, "the old name of sys/leases/renew";
    Write "sys/revoke" Client Leader leases::revoke, "the old name of sys/leases/revoke";
    Write "sys/revoke/*id" Client Leader leases::revoke, "the old name of sys/leases/revoke";
    Write "sys/revoke-prefix/*prefix" Client Leader leases::revoke_prefix, "the old name of sys/leases/revoke-prefix";
    Write "sys/revoke-force/*prefix" Client Leader leases::revoke_prefix, "the same";
    Write "sys/leases/tidy" Client Leader leases::tidy, "nothing: leases end with their tokens";
    Read "sys/leases/count" Client Leader leases::count, "how many leases could not be revoked: none";
    Read "sys/leases" Client Leader leases::irrevocable, "leases that could not be revoked: none";
    Read "sys/internal/counters/:of" Client Leader leases::counters, "how many `tokens` or `entities` there are";
    Write "sys/tools/random" Operator Leader tools::random, "random bytes";
    Write "sys/tools/random/*rest" Operator Leader tools::random, "random bytes: `[SOURCE/]BYTES`";
    Write "sys/tools/hash" Operator Leader tools::hash, "the hash of a value";
    Write "sys/tools/hash/:algorithm" Operator Leader tools::hash, "the hash of a value";
    Read "sys/host-info" Operator Here info::host_info, "the machine that the node runs on";
    Read "sys/version-history" Operator Here info::version_history, "the version that runs";
    List "sys/version-history" Operator Here info::version_history, "the version that runs";
    Read "sys/in-flight-req" Operator Here info::in_flight, "the requests under way on the node";
    Read "sys/config/state/sanitized" Operator Here info::config, "the node's configuration, without what is secret in it";
    Read "sys/config/cors" Client Leader settings::cors, "which web pages of other origins may use the API";
    Write "sys/config/cors" Client Leader settings::cors_write, "let web pages of other origins use the API";
    Delete "sys/config/cors" Client Leader settings::cors_delete, "let none";
    List "sys/config/ui/headers" Client Leader settings::ui_headers, "headers that were set for web pages";
    Read "sys/config/ui/headers/:name" Client Leader settings::ui_header, "one of them; all its values with `?multivalue=true`";
    Write "sys/config/ui/headers/:name" Client Leader settings::ui_header_write, "set a header for web pages; there are none yet";
    Delete "sys/config/ui/headers/:name" Client Leader settings::ui_header_delete, "take it back";
    Read "sys/config/auditing/request-headers" Client Leader settings::audited_headers, "request headers in the audit log";
    Read "sys/config/auditing/request-headers/:name" Client Leader settings::audited_header, "one of them, and whether as a hash";
    Write "sys/config/auditing/request-headers/:name" Client Leader settings::audited_header_write, "show a request header in the audit log";
    Delete "sys/config/auditing/request-headers/:name" Client Leader settings::audited_header_delete, "show it no longer";
    Read "sys/quotas/config" Client Leader quotas::config, "what holds for all quotas: paths that none counts, headers, audit";
    Write "sys/quotas/config" Client Leader quotas::config_write, "change that";
    List "sys/quotas/rate-limit" Client Leader quotas::list, "the names of all rate limits";
    Read "sys/quotas/rate-limit/:name" Client Leader quotas::read, "a rate limit: requests of an address below a path, in an interval";
    Write "sys/quotas/rate-limit/:name" Client Leader quotas::write, "make or change a rate limit; each node counts for itself";
    Delete "sys/quotas/rate-limit/:name" Client Leader quotas::delete, "delete a rate limit";
    Read "sys/plugins/catalog" Client Leader plugins::all, "the engines there are, all built in";
    List "sys/plugins/catalog/:kind" Client Leader plugins::of_kind, "those of a kind: `auth`, `database`, `secret`";
    Read "sys/plugins/catalog/:kind/:name" Client Leader plugins::one, "one of them";
    Read "sys/monitor" Operator Here monitor::monitor, "the node's log as it is written; `?log_level=debug&log_format=json`";
    Read "sys/loggers" Operator Here loggers::levels, "how much each part of the node logs";
    Write "sys/loggers" Operator Here loggers::write_all, "let all parts log from `level` on, until the node restarts";
    Delete "sys/loggers" Operator Here loggers::revert_all, "back to what is configured";
    Read "sys/loggers/:name" Operator Here loggers::level, "how much one part logs";
    Write "sys/loggers/:name" Operator Here loggers::write, "let it log from `level` on";
    Delete "sys/loggers/:name" Operator Here loggers::revert, "back to what is configured";
    Read "sys/internal/specs/openapi" Client Leader info::openapi, "these routes as an OpenAPI document";
    Write "sys/internal/specs/openapi" Client Leader info::openapi, "the same";
    Read "sys/metrics" Operator Here metrics::metrics, "gauges and counters; `?format=prometheus`";
    Write "sys/wrapping/wrap" Client Leader wrapping::wrap, "keep a value for who holds the token that is answered";
    Write "sys/wrapping/unwrap" Client Leader wrapping::unwrap, "fetch a wrapped answer, once";
    Read "sys/wrapping/lookup" Anyone Leader wrapping::lookup, "when and where the answer of one's own wrapping token came to be";
    Write "sys/wrapping/lookup" Anyone Leader wrapping::lookup, "when and where a wrapped answer came to be";
    Write "sys/wrapping/rewrap" Client Leader wrapping::rewrap, "move a wrapped answer to a new token";
    Read "cubbyhole/*path" Client Leader plain::read, "a secret of one's token alone";
    Write "cubbyhole/*path" Client Leader plain::write, "keep a secret of one's token alone";
    Delete "cubbyhole/*path" Client Leader plain::delete, "delete a secret of one's token alone";
    List "cubbyhole/*path" Client Leader plain::list, "names in one's cubbyhole";
    Scan "cubbyhole/*path" Client Leader plain::scan, "all names in one's cubbyhole, however deep";
    Read "sys/auth" Client Leader auth_methods::list, "all ways to log in";
    Read "sys/auth/*path" Client Leader auth_methods::read, "a way to log in, or its settings below `tune`";
    Write "sys/auth/*path" Client Leader auth_methods::write, "change the settings of a way to log in below `tune`; none can be added";
    Delete "sys/auth/*path" Client Leader auth_methods::disable, "nothing: tokens are the only way to log in";
    Write "sys/capabilities" Operator Leader policy::capabilities, "what a token may do at paths";
    Write "sys/capabilities-self" Operator Leader policy::capabilities_self, "what one's own token may do at paths";
    Write "sys/capabilities-accessor" Operator Leader policy::capabilities_accessor, "what a token may do, by its accessor";
    List "sys/policies/acl" Client Leader policy::list, "the names of all policies";
    Read "sys/policies/acl/*name" Client Leader policy::read, "a policy's text";
    Write "sys/policies/acl/*name" Client Leader policy::write, "make or change a policy";
    Delete "sys/policies/acl/*name" Client Leader policy::delete, "delete a policy";
    Read "sys/policy" Client Leader policy::list_old, "the names of all policies";
    List "sys/policy" Client Leader policy::list_old, "the names of all policies";
    Read "sys/policy/*name" Client Leader policy::read_old, "a policy's text";
    Write "sys/policy/*name" Client Leader policy::write, "make or change a policy";
    Delete "sys/policy/*name" Client Leader policy::delete, "delete a policy";
    Read "sys/replication/status" Anyone LeaderIfAny replication_status::all, "replication in Vault's fields";
    Read "sys/replication/dr/status" Anyone LeaderIfAny replication_status::dr, "the part that is in use";
    Read "sys/replication/performance/status" Anyone LeaderIfAny replication_status::performance, "always disabled";
    Read "sys/replication/path/:path/status" Anyone LeaderIfAny path::status, "all that is known of a path, each value with its time";
    Read "sys/replication/path/:path/events" Anyone LeaderIfAny path::events, "what happened; `?after=ID`, or server-sent events";
    Write "sys/replication/path/:path/tokens" Operator Leader path::generate_token, "an activation token, on a standby";
    List "sys/replication/path/:path/tokens" Operator Leader path::list_tokens, "activation tokens by accessor";
    Read "sys/replication/path/:path/tokens/:accessor" Operator Leader path::token, "one activation token's state";
    Delete "sys/replication/path/:path/tokens/:accessor" Operator Leader path::revoke_token, "revoke an activation token";
    Write "sys/replication/path/:path/links" Operator Leader path::connect, "connect a standby by its activation token, on a primary";
    List "sys/replication/path/:path/links" Operator Leader path::list_links, "the links of the path";
    Delete "sys/replication/path/:path/links/:region" Operator Leader path::disconnect, "forget a link";
    Read "sys/replication/path/:path/plan" Operator Leader path::plan, "checks and the estimate of loss of a promotion";
    Write "sys/replication/path/:path/promote" Operator Leader path::promote, "promote this standby; safe to repeat with its id";
    Read "sys/replication/path/:path/promote/:id" Operator Leader path::promotion, "a promotion's progress and outcome";
    Write "sys/replication/path/:path/promote/:id/cancel" Operator Leader path::cancel_promotion, "end a switchover that is not done";
    Write "sys/replication/path/:path/verify" Operator Leader path::verify, "compare the standbys' disks with this primary, and repair what differs";
    Read "sys/replication/path/:path/verify/:id" Operator Leader path::verification, "a verification's progress and outcome";
    Write "sys/replication/path/:path/pause" Operator Leader path::pause, "stop sending over the links";
    Write "sys/replication/path/:path/resume" Operator Leader path::resume, "go on sending";
    Write "sys/replication/path/:path/open" Operator Leader path::open, "take writes although no standby has confirmed the epoch since the restart";
    Read "sys/replication/path/:path/ledger" Operator Leader ledger::list, "what this region holds that the new primary never got; `?after=ENTRY&limit=N`";
    Read "sys/replication/path/:path/ledger/export" Operator Leader ledger::export, "whole entries, values encrypted; `?after=ENTRY`";
    Write "sys/replication/path/:path/ledger/replay" Operator Leader ledger::replay, "write entries on the new primary; safe to repeat";
    Write "sys/replication/path/:path/ledger/discard" Operator Leader ledger::discard, "decide against entries, with a reason";
    Write "sys/replication/path/:path/ledger/accept" Operator Leader ledger::accept, "entries of another region's ledger as new writes, on the new primary";
    Write "sys/replication/path/:path/rejoin" Operator Leader ledger::rejoin, "let this region rejoin the present primary";
    Write "sys/replication/path/:path/demote" Operator Leader ledger::demote, "stop being primary, with a reason";
    Write "sys/replication/path/:path/link/:kind" Link Leader link::link, "the link itself (binary)";
    Read "sys/storage/raft/configuration" Operator LeaderIfAny membership::configuration, "the members of the region";
    Read "sys/storage/raft/snapshot" Operator Leader snapshot::save, "the whole data set as a file, encrypted";
    Write "sys/storage/raft/snapshot" Client Leader snapshot::restore, "restore a snapshot of this data set";
    Write "sys/storage/raft/snapshot-force" Client Leader snapshot::restore_by_force, "restore a snapshot of any region, with its keys";
    Read "sys/storage/raft/autopilot/configuration" Operator LeaderIfAny autopilot::configuration, "by what the health of nodes is judged";
    Write "sys/storage/raft/autopilot/configuration" Operator Leader autopilot::configure, "change that";
    Write "sys/storage/raft/remove-peer" Operator Leader membership::remove_peer, "take a node out of the region";
    Write "sys/storage/raft/promote" Operator Leader membership::promote, "give a node a vote";
    Write "sys/storage/raft/demote" Operator Leader membership::demote, "take a node's vote: it holds all data, and counts for no majority";
    Write "sys/storage/raft/join" Anyone Here membership::join, "make this fresh node join a region";
    Write "sys/storage/raft/bootstrap/challenge" Anyone Leader membership::challenge, "what a joining node must prove";
    Write "sys/storage/raft/bootstrap/answer" Anyone Leader membership::answer, "its proof, for the region's key";
    Write "sys/storage/raft/rpc/:kind" Node Here membership::rpc, "messages between the nodes of a region (binary)";
    Read "auth/token/lookup-self" Operator Leader token::lookup_self, "one's own token";
    Write "auth/token/lookup-self" Operator Leader token::lookup_self, "the same";
    Read "auth/token/lookup" Operator Leader token::lookup, "a token, one's own or that of `?token=`";
    Write "auth/token/lookup" Operator Leader token::lookup, "another token";
    Write "auth/token/lookup-accessor" Operator Leader token::lookup_accessor, "a token by its accessor";
    List "auth/token/accessors" Client Leader token::accessors, "the accessors of all tokens";
    Write "auth/token/create" Client Leader token::create, "a token, child of one's own";
    Write "auth/token/create-orphan" Client Leader token::create, "a token that outlives one's own";
    Write "auth/token/create/:role" Client Leader token::create, "a token as a role has it";
    List "auth/token/roles" Client Leader token_roles::list, "the names of all token roles";
    Read "auth/token/roles/:role" Client Leader token_roles::read, "what tokens of a role may be";
    Write "auth/token/roles/:role" Client Leader token_roles::write, "make or change a token role";
    Delete "auth/token/roles/:role" Client Leader token_roles::delete, "delete a token role";
    Write "auth/token/renew" Client Leader token::renew, "let a token live on";
    Write "auth/token/renew-self" Client Leader token::renew_self, "let one's own token live on";
    Write "auth/token/renew-accessor" Client Leader token::renew_accessor, "let a token live on, by its accessor";
    Write "auth/token/revoke" Client Leader token::revoke, "end a token and its children";
    Write "auth/token/revoke-orphan" Client Leader token::revoke_orphan, "end a token; its children live on";
    Write "auth/token/revoke-accessor" Client Leader token::revoke_accessor, "end a token by its accessor";
    Write "auth/token/revoke-self" Client Leader token::revoke_self, "end one's own token";
    Write "auth/token/tidy" Client Leader token::tidy, "nothing: tokens are removed as they end";
    Read "{kv1}/*path" Client Leader plain::read, "read a secret of KV v1";
    Write "{kv1}/*path" Client Leader plain::write, "write a secret of KV v1";
    Delete "{kv1}/*path" Client Leader plain::delete, "delete a secret of KV v1";
    List "{kv1}/*path" Client Leader plain::list, "names below a path of KV v1";
    Scan "{kv1}/*path" Client Leader plain::scan, "all paths below a path of KV v1, however deep";
    Write "{mount}/data/*path" Client Leader kv::write, "write a new version of a secret";
    Patch "{mount}/data/*path" Client Leader kv::patch, "change some fields of a secret";
    Read "{mount}/data/*path" Client Leader kv::read, "read a version, the newest one or `?version=N`";
    Read "{mount}/subkeys/*path" Client Leader kv::subkeys, "the names of a secret's fields";
    Delete "{mount}/data/*path" Client Leader kv::delete_newest, "delete the newest version; it can be undeleted";
    Write "{mount}/delete/*path" Client Leader kv::delete_versions, "delete versions; they can be undeleted";
    Write "{mount}/undelete/*path" Client Leader kv::undelete, "bring deleted versions back";
    Write "{mount}/destroy/*path" Client Leader kv::destroy, "destroy versions for good";
    Read "{mount}/metadata/*path" Client Leader kv::read_metadata, "a secret's versions and settings";
    List "{mount}/metadata/*path" Client Leader kv_lists::list, "names below a path; `?after=NAME&limit=N`";
    Scan "{mount}/metadata/*path" Client Leader kv_lists::scan, "all paths below a path, however deep";
    List "{mount}/detailed-metadata/*path" Client Leader kv_lists::list_details, "names below a path, each with its metadata";
    Scan "{mount}/detailed-metadata/*path" Client Leader kv_lists::scan_details, "all paths below a path, each with its metadata";
    Write "{mount}/metadata/*path" Client Leader kv::write_metadata, "change a secret's settings";
    Patch "{mount}/metadata/*path" Client Leader kv::write_metadata, "change a secret's settings";
    Delete "{mount}/metadata/*path" Client Leader kv::delete_metadata, "delete a secret with all its versions";
    Read "{mount}/config" Client Leader kv::read_config, "the mount's settings";
    Write "{mount}/config" Client Leader kv::write_config, "change the mount's settings";
};

/// What a path and a verb lead to.
pub enum Found {
    Route(&'static Route, Params),
    /// The path exists, for these methods.
    OtherMethods(Vec<&'static Route>),
    Nothing,
}

/// Finds the route for a clean path, which may lie in a mount.
pub fn find(verb: Option<Verb>, path: &str, within: Option<Within>) -> Found {
    let mut others = Vec::new();
    for route in ROUTES {
        let Some(params) = pattern::matches(route.pattern, path, within) else { continue };
        if Some(route.verb) == verb {
            return Found::Route(route, params);
        }
        others.push(route);
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// All routes of a path, whatever the verb.
pub fn at(path: &str, within: Option<Within>) -> Vec<&'static Route> {
    ROUTES.iter().filter(|route| pattern::matches(route.pattern, path, within).is_some()).collect()
}

/// The table as the README shows it, in Markdown.
pub fn markdown() -> String {
    let mut text = String::from("| method | path below `/v1/` | who | what |\n|---|---|---|---|\n");
    for route in ROUTES {
        let who = match route.who {
            Who::Anyone => "anyone",
            Who::Guest => "anyone; more with a token",
            Who::Client => "token, on a primary",
            Who::Operator => "token",
            Who::Node => "nodes",
            Who::Link => "regions",
        };
        text.push_str(&format!("| {} | `{}` | {who} | {} |\n", route.verb.methods(), route.pattern, route.doc));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::pattern::MountKind;

    #[test]
    fn no_two_rows_are_the_same_and_each_is_found_by_its_own_pattern() {
        for (at, route) in ROUTES.iter().enumerate() {
            let path = route.pattern.replace("{mount}", "secret").replace("{kv1}", "secret").replace([':', '*'], "");
            let kinds = [("{mount}", MountKind::Kv2), ("{kv1}", MountKind::Kv1)];
            let kind = kinds.iter().find(|(name, _)| route.pattern.starts_with(name));
            let within = kind.map(|(_, kind)| Within { len: "secret".len(), kind: *kind });
            let Found::Route(found, _) = find(Some(route.verb), &path, within) else {
                panic!("{} is not found", route.pattern)
            };
            let position = ROUTES.iter().position(|other| std::ptr::eq(other, found));
            assert_eq!(position, Some(at), "{} is hidden by {}", route.pattern, found.pattern);
        }
    }

    #[test]
    fn a_path_with_other_methods_is_told_from_no_path() {
        let Found::OtherMethods(routes) = find(Some(Verb::Delete), "sys/init", None) else {
            panic!("sys/init is a path")
        };
        assert_eq!(routes.iter().map(|route| route.verb.methods()).collect::<Vec<_>>(), ["GET", "POST"]);
        assert!(matches!(find(Some(Verb::Read), "sys/nothing", None), Found::Nothing));
        assert!(matches!(find(None, "sys/init", None), Found::OtherMethods(_)));
    }

    #[test]
    fn only_what_says_nothing_secret_needs_no_token() {
        let open: Vec<_> = ROUTES.iter().filter(|route| route.who == Who::Anyone).map(|route| route.pattern).collect();
        assert!(open.iter().all(|pattern| pattern.starts_with("sys/")), "{open:?}");
        assert!(!open.iter().any(|pattern| pattern.contains("tokens") || pattern.contains("promote")), "{open:?}");
    }

    #[test]
    fn the_readmes_table_of_routes_is_this_one() {
        let readme = include_str!("../../README.md");
        let block = readme.split_once("<!-- routes -->").and_then(|(_, rest)| rest.split_once("<!-- /routes -->"));
        let (block, _) = block.expect("README.md has the markers <!-- routes --> and <!-- /routes -->");
        assert_eq!(block.trim(), markdown().trim(), "put this table between the markers");
    }
}
