//! A node's face to clients: initialise, unseal, seal. The other files of this folder add what an open vault does.

use super::core::{Access, Core, StandbyReads, View, blocking};
use super::keyring::Keyring;
use super::mounts::MountTable;
use super::rekey::Rekey;
use super::root_generation::RootGeneration;
use super::seal::{self, Attempt, SealKind, SealRecord, Split, split_key};
use super::time::Clock;
use super::tokens::Leases;
use super::{aead, key_file, layout, mounts, tokens};
use crate::clock;
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, RegionId};
use crate::sensitive::{Key as RootKey, Sensitive, SensitiveString};
use crate::state::{Batch, Class, Command, Outcome, PathChange, Refusal, RegionChange, RegionIdentity};
use crate::storage::keys::Key;
use crate::storage::{KeyRange, ScanLimit, WriteBatch};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::info;

/// How often `init` tries to store the first records, each time in the term it then leads.
const FIRST_RECORDS_TRIES: usize = 5;

pub struct Vault {
    pub(super) core: Arc<Core>,
    seal: SealKind,
    attempt: Mutex<Attempt>,
    /// Held while a snapshot is restored.
    pub(super) restoring: tokio::sync::Mutex<()>,
    pub(super) rekey: Mutex<Option<Rekey>>,
    pub(super) root_generation: Mutex<Option<RootGeneration>>,
    /// The seal of the region that this node is about to join, until it has the region's own record.
    joining: Mutex<Option<SealRecord>>,
}

pub struct InitOptions {
    /// Into how many shares the unseal key is split, and how many of them unseal. Without meaning for a key file.
    pub shares: u8,
    pub threshold: u8,
    pub region_name: String,
}

pub struct InitResult {
    /// The shares of the unseal key; none with a key file.
    pub keys: Vec<Sensitive>,
    pub root_token: SensitiveString,
}

/// What `sys/seal-status` says. Nothing in it is secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealStatus {
    /// `shamir` or `file`.
    pub kind: String,
    pub initialised: bool,
    pub sealed: bool,
    pub split: Split,
    /// How many shares the present attempt has, and its name; 0 and empty before the first share.
    pub progress: u8,
    pub nonce: String,
}

impl Vault {
    /// A vault whose tokens live as long as `leases` says, by the time of `clock`.
    pub fn with(
        consensus: Arc<dyn Consensus>,
        seal: SealKind,
        leases: Leases,
        standby_reads: StandbyReads,
        clock: Clock,
    ) -> Vault {
        let core = Arc::new(Core::new(consensus, clock, leases, standby_reads));
        Vault {
            core,
            seal,
            attempt: Mutex::default(),
            restoring: tokio::sync::Mutex::default(),
            rekey: Mutex::default(),
            root_generation: Mutex::default(),
            joining: Mutex::default(),
        }
    }

    /// Makes this node's region a region: identity, seal, keyring, an empty data set, the default mounts and a root
    /// token. The node must lead. Afterwards it is sealed, unless it has a key file.
    pub async fn init(&self, options: InitOptions) -> Result<InitResult> {
        if self.is_initialised()? {
            return Err(already_initialised());
        }
        let seal = self.seal.clone();
        let (split, unseal_key) = match seal {
            SealKind::Shamir => (Split::new(options.shares, options.threshold)?, aead::new_key()),
            SealKind::File(path) => (Split::default(), blocking(move || key_file::read_or_create(&path)).await?),
        };
        let keys = if self.seal == SealKind::Shamir { split_key(&unseal_key, split)? } else { Vec::new() };
        let root = aead::new_key();
        let seal = SealRecord::new(&self.seal, split, &unseal_key, &root).to_bytes()?;
        let now = self.core.now();
        let keyring = Keyring::generate(now.ms());
        let identity = RegionIdentity { id: RegionId(clock::random_bytes()), name: options.region_name };
        self.make_raft_key().await?;
        let puts = vec![
            (Key::RegionIdentity.to_bytes(), Some(identity.to_bytes()?)),
            (Key::Seal.to_bytes(), Some(seal.into())),
            (Key::Keyring.to_bytes(), Some(keyring.encrypt(&root)?.into())),
        ];
        let change = RegionChange {
            expect: puts.iter().map(|(key, _)| (key.clone(), None)).collect(),
            puts,
            path: Some(PathChange::Initialise { dataset: DatasetId(clock::random_bytes()) }),
        };
        match self.core.consensus.propose(Command::Region(change)).await? {
            Outcome::Changed => {}
            Outcome::Refused(Refusal::Guard { .. } | Refusal::Edge { .. }) => return Err(already_initialised()),
            other => return Err(Error::internal(format!("to initialise came out as {other:?}"))),
        }
        info!(region = %identity.id, name = %identity.name, "initialised");
        let root_token = self.write_first_records(keyring).await?;
        if let SealKind::File(_) = self.seal {
            self.core.unseal(root);
        }
        Ok(InitResult { keys, root_token })
    }

    /// The default mounts and the root token. The region exists already, so this must not be left undone lightly.
    async fn write_first_records(&self, keyring: Keyring) -> Result<SensitiveString> {
        let barrier = Arc::new(super::barrier::Barrier::new(keyring));
        let state = self.core.state().clone();
        let view = View { state, barrier, known: Arc::default(), now: self.core.now() };
        let mut ops = vec![mounts::put(&view, &MountTable::new())?];
        let (root_token, token_ops) = tokens::new_root(&view)?;
        ops.extend(token_ops);
        let batch = Batch { class: Class::System, at: view.now.ms(), ops };
        let mut tries = 1;
        loop {
            let written = match self.core.lead_term().await {
                Ok(term) => self.core.consensus.write(term, batch.clone()).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(_) => return Ok(root_token),
                // To store the same records twice is to store them once.
                Err(Error::Unavailable(_) | Error::NotLeader(_) | Error::Unknown(_)) if tries < FIRST_RECORDS_TRIES => {
                    tries += 1
                }
                Err(error) => {
                    return Err(Error::Unknown(format!(
                        "the region was initialised, but its root token could not be stored ({error}): remove the \
                         data directories of all its nodes and initialise again"
                    )));
                }
            }
        }
    }

    /// The key with which the nodes of this region authenticate to each other. The first node makes it; others get it
    /// when they join. It is durable with the next entry of the Raft log, which `init` waits for.
    async fn make_raft_key(&self) -> Result<()> {
        let store = self.core.state().store().clone();
        blocking(move || {
            let (tree, key) = (Key::RaftKey.tree(), Key::RaftKey.to_bytes());
            if store.get(tree, &key)?.is_some() {
                return Ok(());
            }
            let mut batch = WriteBatch::new();
            batch.put(tree, key, aead::new_key().to_vec());
            store.write(batch)
        })
        .await
    }

    pub fn is_initialised(&self) -> Result<bool> {
        Ok(self.core.state().region(&Key::Seal)?.is_some())
    }

    /// Fails where this region answers no such request of clients.
    pub fn expect_serving(&self, access: Access) -> Result<()> {
        self.core.expect_serving(access)
    }

    pub fn is_sealed(&self) -> bool {
        self.core.is_sealed()
    }

    /// Forgets all keys. The node goes on to store and to replicate, which needs none.
    pub fn seal(&self) {
        self.core.seal();
        *self.attempt() = Attempt::default();
        self.rekey_cancel();
        self.root_generation_cancel();
        info!("sealed");
    }

    /// Takes one share of the unseal key, in hexadecimal or base64; with the last one needed, the node is open.
    pub fn unseal(&self, share: &SensitiveString) -> Result<SealStatus> {
        let record = self.seal_record()?.ok_or(Error::Uninitialised)?;
        record.expect_kind(&self.seal)?;
        if self.seal != SealKind::Shamir {
            return Err(Error::invalid("this region is unsealed by its key file, not by shares: restart the node"));
        }
        if !self.is_sealed() {
            seal::expect_legible(share)?;
        } else if let Some(root) = self.attempt().add_once(&record, share)? {
            self.open(root)?;
        }
        self.seal_status()
    }

    /// Forgets the shares given so far.
    pub fn unseal_reset(&self) -> Result<SealStatus> {
        *self.attempt() = Attempt::default();
        self.seal_status()
    }

    /// Opens a node that has a key file; does nothing where shares are needed or the region is not initialised yet.
    pub fn unseal_from_file(&self) -> Result<SealStatus> {
        if let (SealKind::File(path), Some(record), true) = (&self.seal, self.seal_record()?, self.is_sealed()) {
            record.expect_kind(&self.seal)?;
            let root = record.open(&key_file::read(path)?)?.ok_or_else(|| {
                let shown = path.display();
                Error::invalid(format!("the key file {shown} holds another region's key: nothing was unsealed"))
            })?;
            self.open(root)?;
        }
        self.seal_status()
    }

    pub fn seal_status(&self) -> Result<SealStatus> {
        let record = self.seal_record()?;
        let attempt = self.attempt();
        Ok(SealStatus {
            kind: record.as_ref().map_or(self.seal.name(), SealRecord::kind).to_owned(),
            initialised: self.is_initialised()?,
            sealed: self.is_sealed(),
            split: record.map(|record| record.split()).unwrap_or_default(),
            progress: attempt.progress(),
            nonce: attempt.nonce().to_owned(),
        })
    }

    /// Whether clients keep secrets in this region: what would be lost if it took over another region's data.
    pub fn holds_client_secrets(&self) -> Result<bool> {
        for all in [layout::KV_METADATA_ALL, layout::KV1_ALL] {
            if !self.core.state().scan_data(&KeyRange::prefix(all), ScanLimit::entries(1))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets this node be unsealed for the region it is about to join, before it has that region's records.
    pub(super) fn expect_to_join(&self, record: SealRecord) -> Result<()> {
        record.expect_kind(&self.seal)?;
        *self.joining.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
        Ok(())
    }

    fn open(&self, root: RootKey) -> Result<()> {
        self.core.unseal(root);
        // A keyring that does not open is better found now than with the first request.
        if self.is_initialised()?
            && let Err(error) = self.core.barrier()
        {
            self.core.seal();
            return Err(error);
        }
        info!("unsealed");
        Ok(())
    }

    fn seal_record(&self) -> Result<Option<SealRecord>> {
        match self.core.state().region(&Key::Seal)? {
            Some(bytes) => Ok(Some(SealRecord::from_bytes(&bytes)?)),
            None => Ok(self.joining.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Seals the node if its keys are not the region's any more. Blocks.
    pub fn check_keys(&self) {
        if !self.is_sealed() && self.is_initialised().unwrap_or(false) {
            // What is wrong was said, and is done with.
            let _checked = self.core.barrier();
        }
    }

    pub(super) fn seal_kind(&self) -> &SealKind {
        &self.seal
    }

    /// The region's seal, and the bytes that it is stored as.
    pub(super) fn stored_seal(&self) -> Result<(SealRecord, Bytes)> {
        let stored = self.core.state().region(&Key::Seal)?.ok_or(Error::Uninitialised)?;
        Ok((SealRecord::from_bytes(&stored)?, stored))
    }

    fn attempt(&self) -> MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn already_initialised() -> Error {
    Error::invalid("Vault is already initialized")
}
