//! `POST sys/replication/path/:path/verify`: whether the standbys hold, on their disks, what the primary holds.

use crate::clock::UnixMs;
use crate::ids::{Position, RegionId};
use serde::{Deserialize, Serialize};

/// How a verification goes, or came out. `GET …/verify/:id` asks again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Verification {
    pub id: String,
    pub began_at: UnixMs,
    /// `None` while it runs.
    pub ended_at: Option<UnixMs>,
    pub own_disk: OwnDisk,
    pub standbys: Vec<StandbyVerification>,
}

/// What the disk of the primary's leader holds, beside what was applied to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OwnDisk {
    NotRead,
    Sound,
    /// In so many of the 65 536 buckets of the Merkle tree: nothing is repaired from such a disk.
    Differs {
        buckets: u64,
    },
    Unreadable {
        error: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyOutcome {
    Waiting,
    Running,
    /// Both sides hold the same at `at`.
    Equal,
    /// They did not: what differed was taken over from the primary, and a second comparison found them equal.
    Repaired,
    /// They do not.
    Differs,
    /// Nothing is known of it: `words` says why.
    Unchecked,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StandbyVerification {
    pub region: RegionId,
    pub name: String,
    pub outcome: VerifyOutcome,
    /// The position of the newest comparison.
    pub at: Option<Position>,
    /// Buckets of the Merkle tree in which the standby's disk was not what had been applied to it.
    pub damaged_buckets: u64,
    pub differing_buckets: u64,
    /// Of the buckets that were looked into.
    pub differing_entries: u64,
    /// Where they belong, in clear: mounts and the first names of paths. Empty while this node is sealed.
    pub prefixes: Vec<String>,
    /// What is being done, or why it came out so.
    pub words: String,
}
