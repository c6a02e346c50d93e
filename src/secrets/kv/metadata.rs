//! What KV v2 keeps of a secret beside its versions' data, and how versions come and go: Vault's rules, without storage.

use super::config::{DeleteVersionAfter, KvConfig};
use crate::clock::UnixNs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many versions are kept where neither the secret nor the mount says.
pub const DEFAULT_MAX_VERSIONS: u32 = 10;

/// A secret's metadata, as stored and as `metadata/PATH` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KvMetadata {
    pub created: UnixNs,
    pub updated: UnixNs,
    /// 0 before the first version.
    pub current_version: u64,
    /// 0 as long as none was pruned, as in Vault.
    pub oldest_version: u64,
    /// 0: what the mount says.
    pub max_versions: u32,
    pub cas_required: bool,
    /// How often its settings were written.
    pub metadata_version: u64,
    pub metadata_cas_required: bool,
    /// Zero: what the mount says.
    pub delete_version_after: Duration,
    pub custom_metadata: Option<BTreeMap<String, String>>,
    /// Ascending, without a gap.
    pub versions: BTreeMap<u64, VersionInfo>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionInfo {
    pub created: UnixNs,
    /// When it was or will be deleted. It can be undeleted until it is destroyed.
    pub deletion: Option<UnixNs>,
    /// Its data is gone.
    pub destroyed: bool,
}

impl VersionInfo {
    pub fn is_deleted(&self, now: UnixNs) -> bool {
        self.deletion.is_some_and(|deletion| deletion <= now)
    }

    /// Whether its data can be read.
    pub fn is_live(&self, now: UnixNs) -> bool {
        !self.destroyed && !self.is_deleted(now)
    }
}

impl KvMetadata {
    /// About what it takes in an answer.
    pub fn bytes(&self) -> usize {
        const VERSION: usize = 128;
        let custom = self.custom_metadata.iter().flatten().map(|(key, value)| key.len() + value.len());
        custom.sum::<usize>() + VERSION * (1 + self.versions.len())
    }

    /// Of a secret that has no version yet.
    pub fn new(now: UnixNs) -> KvMetadata {
        KvMetadata {
            created: now,
            updated: now,
            current_version: 0,
            oldest_version: 0,
            max_versions: 0,
            cas_required: false,
            metadata_version: 0,
            metadata_cas_required: false,
            delete_version_after: Duration::ZERO,
            custom_metadata: None,
            versions: BTreeMap::new(),
        }
    }

    /// Adds a version and makes it current. Returns the versions that are too many, whose data must go: the oldest
    /// `drops_max` of them, and the others with the next versions.
    pub fn add_version(&mut self, now: UnixNs, config: &KvConfig, drops_max: usize) -> Vec<u64> {
        self.current_version += 1;
        let deletion = self.lifetime(config).map(|lifetime| now.plus(lifetime));
        self.versions.insert(self.current_version, VersionInfo { created: now, deletion, destroyed: false });
        self.updated = now;
        let keep = match self.max_versions.max(config.max_versions) {
            0 => DEFAULT_MAX_VERSIONS,
            keep => keep,
        };
        if self.current_version - self.oldest_version < u64::from(keep) {
            return Vec::new();
        }
        // The oldest is counted from 0 until something was pruned, so it may move without anything to drop.
        let oldest = self.current_version - u64::from(keep) + 1;
        let too_many = self.versions.range(..oldest).nth(drops_max).map(|(number, _)| *number);
        self.prune(too_many.unwrap_or(oldest)).into_keys().collect()
    }

    /// Drops the versions before `oldest`.
    fn prune(&mut self, oldest: u64) -> BTreeMap<u64, VersionInfo> {
        self.oldest_version = oldest;
        let kept = self.versions.split_off(&oldest);
        std::mem::replace(&mut self.versions, kept)
    }

    /// Drops the oldest versions if there are more than so many. Returns those whose data must go.
    pub fn prune_first(&mut self, drops_max: usize) -> Option<Vec<u64>> {
        let next = *self.versions.iter().nth(drops_max)?.0;
        Some(with_data(&self.prune(next)).collect())
    }

    /// The versions whose data is stored.
    pub fn stored(&self) -> impl Iterator<Item = u64> {
        with_data(&self.versions)
    }

    /// Marks live versions as deleted now. Says whether anything changed.
    pub fn delete(&mut self, versions: &[u64], now: UnixNs) -> bool {
        self.each(versions, |version| {
            let live = version.is_live(now);
            if live {
                version.deletion = Some(now);
            }
            live
        })
    }

    /// Takes back the deletion of versions that were not destroyed. Where versions delete themselves these do so anew,
    /// counted from now.
    pub fn undelete(&mut self, versions: &[u64], now: UnixNs, config: &KvConfig) -> bool {
        let deletion = self.lifetime(config).map(|lifetime| now.plus(lifetime));
        self.each(versions, |version| {
            let changes = !version.destroyed && version.deletion != deletion;
            if changes {
                version.deletion = deletion;
            }
            changes
        })
    }

    /// Marks versions as destroyed and returns those that were not, whose data must go.
    pub fn destroy(&mut self, versions: &[u64]) -> Vec<u64> {
        let mut gone = Vec::new();
        for number in versions {
            if let Some(version) = self.versions.get_mut(number)
                && !version.destroyed
            {
                version.destroyed = true;
                gone.push(*number);
            }
        }
        gone
    }

    fn each(&mut self, versions: &[u64], mut change: impl FnMut(&mut VersionInfo) -> bool) -> bool {
        let mut changed = false;
        for number in versions {
            if let Some(version) = self.versions.get_mut(number) {
                changed |= change(version);
            }
        }
        changed
    }

    /// After how long a new version is deleted: the shorter of what the secret and its mount say.
    fn lifetime(&self, config: &KvConfig) -> Option<Duration> {
        let own = Some(self.delete_version_after).filter(|own| !own.is_zero());
        match config.delete_version_after {
            DeleteVersionAfter::Disabled => None,
            DeleteVersionAfter::Unset => own,
            DeleteVersionAfter::After(mount) => Some(own.map_or(mount, |own| own.min(mount))),
        }
    }
}

fn with_data(versions: &BTreeMap<u64, VersionInfo>) -> impl Iterator<Item = u64> {
    versions.iter().filter(|(_, info)| !info.destroyed).map(|(number, _)| *number)
}
