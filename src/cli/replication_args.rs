//! `twinkeep replication …` as clap sees it: tokens, links, promotion, the ledger.

use super::args::{Connection, PathFlag};
use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub enum Replication {
    /// Make an activation token, on the standby; it is shown once
    GenerateToken(GenerateToken),
    /// List activation tokens, on the standby
    Tokens(OnPath),
    /// Revoke an activation token by its accessor, on the standby
    RevokeToken(RevokeToken),
    /// Connect a standby by its activation token, on the primary
    Connect(Connect),
    /// End the link to a standby, on the primary
    Disconnect(Disconnect),
    /// Role, epoch, positions, lag, links
    Status(OnPath),
    /// Stop sending to the standbys, on the primary
    Pause(OnLink),
    /// Go on sending
    Resume(OnLink),
    /// Compare the standbys' disks with the primary's data, on the primary, and repair what differs
    Verify(Verify),
    /// Let a primary that restarted take writes before its standbys confirmed that no other was promoted
    Open(Open),
    /// Make this standby the primary
    Promote(Promote),
    /// Have this primary stop being it: of two primaries, the one that is to give way
    Demote(Demote),
    /// Let this region rejoin the present primary, once its ledger was reviewed
    Rejoin(Rejoin),
    /// What this region holds that the new primary never got
    #[command(subcommand)]
    Ledger(Ledger),
}

#[derive(Subcommand, Debug)]
pub enum Ledger {
    /// List all entries and what became of them
    List(OnPath),
    /// Print whole entries as JSON, their values encrypted as they were written
    Export(OnPath),
    /// Write entries on the new primary; exits 1 if some met newer writes there
    Replay(Replay),
    /// Decide against entries; they are kept, with the reason
    Discard(Discard),
}

#[derive(Args, Debug)]
pub struct Replay {
    /// Entries as `ledger list` names them, like 1/1:1042, separated by commas
    #[arg(long, value_name = "ENTRY", value_delimiter = ',', required_unless_present = "all", conflicts_with = "all")]
    pub entries: Vec<String>,
    /// All that nobody has decided on
    #[arg(long)]
    pub all: bool,
    /// Write them although the new primary changed the same things since
    #[arg(long, conflicts_with = "all")]
    pub overwrite: bool,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Discard {
    /// Entries as `ledger list` names them, like 1/1:1042, separated by commas
    #[arg(long, value_name = "ENTRY", value_delimiter = ',', required_unless_present = "all", conflicts_with = "all")]
    pub entries: Vec<String>,
    /// All that nobody has decided on
    #[arg(long)]
    pub all: bool,
    /// Why they are of no use; kept for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Rejoin {
    /// Why it may rejoin although entries of its ledger were not reviewed
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Which primary it is to follow; a standby, which follows one already, leaves it only for one that is named
    #[arg(long, value_name = "REGION")]
    pub primary: Option<String>,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Demote {
    /// Why another region is to be primary; kept for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

/// A command on a path that needs nothing else.
#[derive(Args, Debug, Clone)]
pub struct OnPath {
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

/// One link of a path, or all of them.
#[derive(Args, Debug)]
pub struct OnLink {
    /// The standby region's name or id; without it all standbys
    pub region: Option<String>,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct GenerateToken {
    #[command(flatten)]
    pub path: PathFlag,
    /// How long it is good for, like 30m or 2h; 30 minutes if not said, a day at most
    #[arg(long, value_name = "DURATION")]
    pub ttl: Option<String>,
    /// Make it although this region holds secrets, which the primary's will replace
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct RevokeToken {
    pub accessor: String,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Connect {
    /// The activation token; - reads it from standard input
    pub token: String,
    #[command(flatten)]
    pub path: PathFlag,
    /// The standby's address, if it is another than the token says
    #[arg(long, value_name = "URL")]
    pub standby_address: Option<String>,
    /// Requests in flight on the link
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::config::MAX_PARALLEL_MAX)))]
    pub max_parallel: Option<u32>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Disconnect {
    /// The standby region's name or id
    pub region: String,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    pub path: PathFlag,
    /// How long to wait for the outcome
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub timeout: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Open {
    /// Why no other region can have been promoted; kept for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub path: PathFlag,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Args, Debug)]
pub struct Promote {
    #[command(flatten)]
    pub path: PathFlag,
    /// Switch over: the primary stops first, and nothing is lost. So without either flag, if the primary answers
    #[arg(long, conflicts_with = "forced")]
    pub planned: bool,
    /// Fail over, without the primary's consent. So without either flag, if the primary does not answer
    #[arg(long)]
    pub forced: bool,
    /// How long a switchover may take before it comes to nothing, like 10s; 30 seconds if not said
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// End the switchover of this id that is not done: at the standby, or at the primary before it gave up
    #[arg(long, value_name = "ID", conflicts_with_all = ["planned", "forced", "dry_run", "accept_loss", "deadline"])]
    pub cancel: Option<String>,
    /// Show the checks and what may be lost, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go ahead without a terminal although acknowledged writes may be lost
    #[arg(long)]
    pub accept_loss: bool,
    /// How long to ask for the outcome before it is called unknown
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: String,
    #[command(flatten)]
    pub connection: Connection,
}
