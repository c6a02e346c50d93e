//! `sys/replication/path/:path/…`: everything the console shows, each value with the time it was observed.
//!
//! All times are milliseconds since 1970 by the clock of the node that answers, unless a field says otherwise.

use crate::clock::UnixMs;
use crate::ids::{DatasetId, Epoch, Position, PromotionId, RegionId};
use serde::{Deserialize, Serialize};

use super::verification::Verification;

pub use crate::state::{Class, Role};

/// `GET …/status`. Needs no token, like Vault's replication status; holds no secret.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PathStatus {
    /// When this answer was put together.
    pub observed_at: UnixMs,
    pub path: String,
    pub region: RegionInfo,
    pub role: Role,
    pub epoch: Epoch,
    pub dataset: DatasetId,
    /// False while a sync is under way: the region serves nothing.
    pub whole: bool,
    /// Whether this region acknowledges writes now.
    pub writable: bool,
    /// Of a primary that restarted as a whole: why it takes no writes yet, and what to do.
    #[serde(default)]
    pub closed: Option<String>,
    pub sealed: bool,
    /// The newest committed position of the primary. On the primary its own; on a standby what the primary said
    /// last, at `head_at`. `None`: never heard.
    pub head: Option<Position>,
    pub head_at: Option<UnixMs>,
    /// Durable here.
    pub received: Position,
    /// What readers see here, and when its batch was evaluated by the primary.
    pub applied: Position,
    pub applied_at: UnixMs,
    /// Of a standby, from its own side; `None` when the head is unknown.
    pub lag: Option<Lag>,
    /// At `applied`, hexadecimal.
    pub merkle_root: String,
    pub entries: u64,
    pub bytes: u64,
    pub wal: WalStatus,
    pub sync: Option<SyncStatus>,
    /// Who is primary, as far as a standby or a fenced region knows.
    pub primary: Option<PrimaryInfo>,
    pub fence: Option<FenceInfo>,
    /// Of a region that left a line, or is about to: what the new primary never got.
    #[serde(default)]
    pub ledger: Option<super::ledger::LedgerSummary>,
    /// The switchover that this region is in the middle of.
    #[serde(default)]
    pub handover: Option<HandoverInfo>,
    /// Of a primary: the newest verification of its standbys that its leader began, without the names of what differed, so
    /// that it is seen from any terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Box<Verification>>,
    /// This region's newest promotion: the one that is under way, else the last one that ended within a day. So that who
    /// lost the terminal that began it finds it from any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Box<Promotion>>,
    /// Of a primary: one for each standby. Of a standby: the one from its primary, once it was connected.
    pub links: Vec<LinkStatus>,
    pub tokens: TokenSummary,
    pub nodes: Vec<NodeStatus>,
    /// Client writes acknowledged per second over the last ten seconds.
    pub writes_per_s: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RegionInfo {
    pub id: RegionId,
    pub name: String,
    /// The node that answered, and its API address.
    pub node: String,
    pub api_addr: String,
    pub version: String,
    pub protocol: u32,
    /// Whether its listener speaks TLS; `None`: it does not say. Without it whoever is on the way reads tokens and secrets.
    #[serde(default)]
    pub tls: Option<bool>,
}

/// Head minus applied, in its three units: never one without the others.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Lag {
    pub entries: u64,
    pub bytes: u64,
    /// How much older the applied batch is than the head's; 0 when all is applied.
    pub ms: u64,
    pub observed_at: UnixMs,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct WalStatus {
    /// The oldest and one behind the newest index that the log holds.
    pub first_index: u64,
    pub next_index: u64,
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SyncStatus {
    /// `full` or `diff`.
    pub kind: String,
    /// Of a diff sync first `comparing`, while nobody knows how much differs. `copying`, then `replaying` what was
    /// written meanwhile.
    pub stage: String,
    pub entries_done: u64,
    pub entries_total: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub bytes_per_s: f64,
    /// `None` while the rate is unknown.
    pub eta_ms: Option<u64>,
    pub began_at: UnixMs,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PrimaryInfo {
    pub region: RegionId,
    pub name: String,
    pub addresses: Vec<String>,
}

/// A switchover that is not done, as agreed on in the region that says so.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HandoverInfo {
    pub id: PromotionId,
    pub stage: HandoverStage,
    /// The other region.
    pub region: RegionId,
    pub name: String,
    pub since: UnixMs,
    /// Of a standby that asks: when it declines.
    pub deadline_at: Option<UnixMs>,
    /// Of a primary that gave up: the last position that it acknowledged.
    pub reached: Option<Position>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandoverStage {
    /// This standby asks its primary to hand over.
    Asks,
    /// This primary takes no more writes, and waits for the standby to open or to decline.
    GaveUp,
}

impl HandoverInfo {
    /// In words, of the region `name` that says it.
    pub fn words(&self, name: &str) -> String {
        match self.stage {
            HandoverStage::Asks => format!("{name} asks {} to hand over", self.name),
            HandoverStage::GaveUp => format!("{name} gave up to {}: neither takes writes just now", self.name),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FenceInfo {
    pub by_epoch: Epoch,
    pub at: UnixMs,
    pub reached: Position,
    /// Of a region that an operator demoted: why.
    #[serde(default)]
    pub demoted: Option<String>,
}

/// What a link is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// No answer yet, or the connection was lost: dialling with back-off.
    Connecting,
    /// Presenting the activation token.
    Activating,
    /// Copying all, or replaying what was written meanwhile.
    FullSync,
    /// Comparing and copying what differs, or replaying what was written meanwhile.
    DiffSync,
    /// Shipping the WAL.
    Streaming,
    /// The operator paused it.
    Paused,
    /// Refused for good: `error` says why and what to do.
    Refused,
}

impl LinkState {
    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            LinkState::Connecting => "connecting",
            LinkState::Activating => "activating",
            LinkState::FullSync => "full-sync",
            LinkState::DiffSync => "diff-sync",
            LinkState::Streaming => "streaming",
            LinkState::Paused => "paused",
            LinkState::Refused => "refused",
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The other region; zero until it was reached for the first time.
    pub region: RegionId,
    pub name: String,
    pub addresses: Vec<String>,
    /// True on the primary, which dials; false on the standby.
    pub outgoing: bool,
    pub state: LinkState,
    pub since: UnixMs,
    /// When the other side was last heard. `None`: never.
    pub last_heard_at: Option<UnixMs>,
    pub error: Option<String>,
    /// When a lost connection is dialled again.
    pub retry_at: Option<UnixMs>,
    /// The standby's, as last heard (on the standby: its own).
    pub received: Position,
    pub applied: Position,
    /// As the primary sees it; `None` when the standby was never heard.
    pub lag: Option<Lag>,
    pub sync: Option<SyncStatus>,
    pub in_flight: u32,
    pub max_parallel: u32,
    pub entries_per_s: f64,
    pub bytes_per_s: f64,
    pub round_trip_ms: Option<f64>,
    /// The other side's wall clock minus ours, by the middle of a round trip.
    pub clock_skew_ms: Option<i64>,
    /// Whether the other side speaks TLS, and its certificate is pinned.
    pub tls: bool,
    /// When the standby leaves the log as things go; `None`: it keeps up, has more than a day, or was never heard.
    #[serde(default)]
    pub forecast: Option<Forecast>,
}

/// A standby that lags leaves the log when that reaches its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forecast {
    /// From now; 0: it has left it.
    pub ms: u64,
    /// About so many keys will have to be synced then.
    pub keys: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TokenSummary {
    pub issued: u32,
    pub used: u32,
    pub expired: u32,
    pub revoked: u32,
    /// When the next issued token expires.
    pub next_expiry_at: Option<UnixMs>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub name: String,
    pub api_addr: String,
    pub leader: bool,
    pub voter: bool,
    /// `None` for a node whose state the answering node does not know.
    pub sealed: Option<bool>,
    pub last_log_index: Option<u64>,
    pub applied_index: Option<u64>,
    pub term: Option<u64>,
    pub last_contact_at: Option<UnixMs>,
    /// Whether it has seen its region open for writes, in the present epoch, since it started: while one node has, a
    /// restart of the others closes nothing. `None`: not known.
    #[serde(default)]
    pub saw_open: Option<bool>,
}

/// The state of an activation token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    Issued,
    Used,
    Expired,
    Revoked,
}

/// `POST …/tokens`
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Time to live in seconds or as Vault writes durations (`"30m"`); 30 minutes without it, a day at most.
    #[serde(default)]
    pub ttl: Option<serde_json::Value>,
    /// Make the token although this region holds secrets of its own, which the sync will replace.
    #[serde(default)]
    pub force: bool,
}

/// The answer to it, and the only time the token is seen.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenCreated {
    pub token: String,
    pub accessor: String,
    pub expires_at: UnixMs,
}

impl std::fmt::Debug for TokenCreated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenCreated {{ accessor: {}, … }}", self.accessor)
    }
}

/// `LIST …/tokens` (as `key_info` by accessor) and `GET …/tokens/:accessor`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TokenInfo {
    pub accessor: String,
    pub state: TokenState,
    pub created_at: UnixMs,
    pub expires_at: UnixMs,
    /// Who used it, and when.
    pub used_by: Option<RegionInfoShort>,
    pub used_at: Option<UnixMs>,
    pub revoked_at: Option<UnixMs>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RegionInfoShort {
    pub id: RegionId,
    pub name: String,
}

/// `POST …/links` on the primary.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkRequest {
    /// The standby's address; the token's own where it is missing.
    #[serde(default)]
    pub address: Option<String>,
    pub token: String,
    #[serde(default)]
    pub max_parallel: Option<u32>,
}

impl std::fmt::Debug for LinkRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkRequest {{ address: {:?}, … }}", self.address)
    }
}

/// `POST …/pause` and `…/resume`: one link, or all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PauseRequest {
    /// The standby region by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// `POST …/open` on a primary that is closed since it restarted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenRequest {
    /// Why no other region can have been promoted; kept for good.
    #[serde(default)]
    pub reason: String,
}

/// How a promotion goes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromoteMode {
    /// A switchover: the primary stops first, and nothing is lost.
    Planned,
    /// Without the primary's consent: what may be lost is said first.
    Forced,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Warn,
    /// The check could not run, or its fact is too old: it has not passed.
    Unknown,
    Block,
}

/// One preflight check of a promotion.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
    /// What was found, in words.
    pub fact: String,
    /// Who observed it, and when.
    pub source: String,
    pub at: UnixMs,
    /// What to do about it; empty when it passed.
    pub advice: String,
}

/// What a failover now would lose.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LossEstimate {
    /// At least so many acknowledged writes; exact when `known`.
    pub entries: u64,
    pub bytes: u64,
    /// The age of the newest write that would be lost, or the time since the primary was last heard.
    pub ms: u64,
    /// False: the primary may have acknowledged more since it was last heard.
    pub known: bool,
    pub last_heard_at: Option<UnixMs>,
    /// At the last observed rate of writes, about so many. `None`: no rate is known.
    pub likely_entries: Option<u64>,
    pub by_class: Vec<(Class, u64)>,
    /// What the region to be promoted had applied, of the newest position that it knew its primary to have reached.
    #[serde(default)]
    pub applied: Option<Position>,
    #[serde(default)]
    pub head: Option<Position>,
    /// When the newest of the writes that are known to be lost was made, by the primary's clock.
    #[serde(default)]
    pub newest_at: Option<UnixMs>,
    /// The statement for people.
    pub words: String,
}

/// `GET …/plan?mode=planned|forced`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub mode: PromoteMode,
    /// Over the facts that matter; a promotion carries it and is refused when they changed.
    pub hash: String,
    pub made_at: UnixMs,
    pub epoch_now: Epoch,
    pub epoch_next: Epoch,
    pub checks: Vec<Check>,
    pub loss: LossEstimate,
}

/// `POST …/promote` on the standby.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PromoteRequest {
    pub mode: PromoteMode,
    pub plan: String,
    #[serde(default)]
    pub accept_loss: bool,
    pub id: PromotionId,
    /// Of a switchover: how long it may take, in seconds or as Vault writes durations; 30 seconds without it.
    #[serde(default)]
    pub deadline: Option<serde_json::Value>,
}

/// A step of a promotion, in the order in which they are taken.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub name: StepName,
    pub state: StepState,
    /// When it was done, by the clock of the region that is promoted.
    pub at: Option<UnixMs>,
    pub detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// Switchover: the region agreed that it asks its primary.
    Asked,
    /// Switchover: the primary takes no more writes, durably.
    GaveUp,
    /// Switchover: all that the primary reached is here.
    CaughtUp,
    /// Switchover: the Merkle roots of both regions are equal there.
    RootsEqual,
    /// Failover: nothing more is taken from the primary.
    StreamFrozen,
    /// This region takes writes.
    Opened,
    /// The old primary said that it takes no more writes in its epoch.
    OldPrimaryFenced,
    /// The old primary is a standby of this region.
    OldPrimaryFollows,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    Running,
    Done,
    Failed,
}

impl Step {
    pub fn done(name: StepName, at: UnixMs, detail: impl Into<String>) -> Step {
        Step { name, state: StepState::Done, at: Some(at), detail: detail.into() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromotionOutcome {
    Running,
    Done,
    Failed,
    /// Whoever asks must keep asking.
    Unknown,
}

/// The answer to it, and `GET …/promote/:id`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Promotion {
    pub id: PromotionId,
    pub mode: PromoteMode,
    pub outcome: PromotionOutcome,
    pub epoch: Epoch,
    pub began_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub loss: Option<LossEstimate>,
    pub error: Option<String>,
    /// The plan as it is now, when the promotion was refused because of it.
    pub plan: Option<Box<Plan>>,
    /// What is known of the old primary: fenced (it said so), or unproven.
    pub fence: FenceProof,
    /// Those that were taken, and the one that is under way or failed. A later step is not in it yet.
    pub steps: Vec<Step>,
    /// Of a switchover that is done: how long no region took writes. `None`: not measured.
    pub pause_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "proof")]
pub enum FenceProof {
    /// The ex-primary said, durably, that it takes no more writes.
    Acknowledged { at: UnixMs, reached: Position },
    /// It has not been heard since: it may still take writes in its own epoch.
    Unproven,
}

/// `GET …/events`: what happened on the path, newest last. Resumable by id.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: u64,
    pub at: UnixMs,
    pub level: EventLevel,
    /// `link`, `sync`, `token`, `promotion`, `fence`, `leader`, `seal`, …
    pub subject: String,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventLevel {
    Info,
    Warn,
    Alarm,
}
