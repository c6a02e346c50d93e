//! Stories of a vault over a region of one node without a log.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod barrier;
mod canary;
mod concurrency;
mod join;
mod keyring;
mod kv;
mod legible;
mod mounts;
mod policies;
mod seal;
mod shares;
mod snapshots;
mod tokens;

use super::kv::KvFound;
use super::*;
use crate::clock::UnixNs;
use crate::consensus::Consensus;
use crate::consensus::direct::Direct;
use crate::sensitive::SensitiveString;
use crate::state::State;
use crate::storage::memory::Memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A vault whose clock stands still unless told.
struct Fixture {
    vault: Arc<Vault>,
    consensus: Arc<Direct>,
    now: Arc<AtomicU64>,
    keys: Vec<SensitiveString>,
    root: SensitiveString,
    kv: MountId,
}

const THREE_OF_FIVE: (u8, u8) = (5, 3);

impl Fixture {
    async fn open() -> Fixture {
        let fixture = Fixture::sealed(THREE_OF_FIVE).await;
        fixture.unseal();
        fixture
    }

    async fn sealed((shares, threshold): (u8, u8)) -> Fixture {
        let (vault, consensus, now) = blank(SealKind::Shamir);
        let done = vault.init(InitOptions { shares, threshold, region_name: "here".into() }).await.unwrap();
        let keys: Vec<_> = done.keys.iter().map(|key| SensitiveString::new(hex::encode(key.expose()))).collect();
        let mut fixture = Fixture { vault, consensus, now, keys, root: done.root_token, kv: MountId([0; 16]) };
        fixture.unseal();
        fixture.kv = fixture.vault.mount_of("secret/").unwrap().unwrap().0.id;
        fixture.vault.seal();
        fixture
    }

    fn unseal(&self) {
        for key in &self.keys {
            if self.vault.is_sealed() {
                self.vault.unseal(key).unwrap();
            }
        }
        assert!(!self.vault.is_sealed());
    }

    fn pass(&self, time: Duration) {
        self.now.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    async fn put(&self, path: &str, data: &str) -> u64 {
        let data = SensitiveString::new(data);
        self.vault.kv_put(self.kv, path, data, None).await.unwrap().value.version
    }

    async fn caller(&self) -> Caller {
        self.vault.authenticate(&self.root, None, Use::ToCount).await.unwrap()
    }

    /// The data of a version (0: the current one), or what became of it.
    async fn get(&self, path: &str, version: u64) -> String {
        match self.vault.kv_get(self.kv, path, Some(version)).await.unwrap() {
            KvFound::Live { data, .. } => data.expose().to_owned(),
            KvFound::Gone(version) if version.destroyed => "destroyed".into(),
            KvFound::Gone(_) => "deleted".into(),
            KvFound::Missing => "missing".into(),
        }
    }
}

/// A region that nobody has initialised.
fn blank(seal: SealKind) -> (Arc<Vault>, Arc<Direct>, Arc<AtomicU64>) {
    let state = Arc::new(State::open(Arc::new(Memory::new()), "default").unwrap());
    let consensus = Arc::new(Direct::new(state));
    let now = Arc::new(AtomicU64::new(1_700_000_000_123_456_789));
    let clock = now.clone();
    let wall = Arc::new(move || UnixNs(clock.load(Ordering::Relaxed)));
    let clock = Clock { wall, steady: Arc::new(|| std::time::Duration::ZERO) };
    let vault = Arc::new(Vault::with(
        consensus.clone() as Arc<dyn Consensus>,
        seal,
        Leases::default(),
        StandbyReads::Refused,
        clock,
    ));
    (vault, consensus, now)
}
