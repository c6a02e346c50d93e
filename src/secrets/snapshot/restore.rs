//! Restoring a snapshot. See the module for what holds meanwhile.

use super::archive::{self, Checked};
use super::{Gathering, Meta, batch, seal_sums};
use crate::error::{Error, Result};
use crate::secrets::core::{Access, Core, View, blocking};
use crate::secrets::key_file;
use crate::secrets::layout::{self, Record};
use crate::secrets::mounts;
use crate::secrets::seal::{SealKind, SealRecord};
use crate::secrets::vault::Vault;
use crate::state::{Command, Op, Outcome, RegionChange, Stored};
use crate::storage::keys::{self, Key};
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Batches that are ready while one is written.
const READY_MAX: usize = 2;
const STRETCH: ScanLimit = ScanLimit { entries: 4096, bytes: 4 << 20 };

/// What a restore came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Restored {
    /// The region serves again, as it was then.
    Whole,
    /// The region has the snapshot's keys: each node is to be unsealed with the shares of the named region.
    Sealed { region: String },
}

/// A restore by force, as stored in `Key::Restore` from before its first write on: what is left to do, for whichever node
/// leads.
#[derive(Serialize, Deserialize)]
pub struct Unfinished {
    /// Where it began to write.
    start: u64,
    /// Once it switched keys: records whose keys every data set has, and what they become. What is older than `start` goes.
    /// Before, it never was: what this region's keys don't open goes.
    fixed: Option<Fixed>,
}

/// Records whose keys every data set has, and what they become.
type Fixed = Vec<(Bytes, Option<Bytes>)>;

/// Whose keys a snapshot is encrypted with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Own,
    Foreign,
}

impl Vault {
    /// Makes the region what it was when the snapshot was made. `force`: also if its keys are others.
    pub async fn snapshot_restore(&self, file: PathBuf, force: bool) -> Result<Restored> {
        self.core.expect_serving(Access::Write)?;
        let _alone = self.restoring.try_lock().map_err(|_| Error::unavailable("another snapshot is being restored"))?;
        let core = self.core.clone();
        let (checked, keys) = blocking({
            let file = file.clone();
            move || {
                let checked = archive::check(&file)?;
                let keys = whose(&core.view()?, &checked);
                Ok((checked, keys))
            }
        })
        .await?;
        let Meta { region, index, entries, .. } = &checked.meta;
        info!(region, index, entries, "restoring a snapshot");
        let restored = match keys {
            Keys::Own => self.restore_own(file).await.map(|()| Restored::Whole),
            Keys::Foreign if force => self.restore_foreign(file, &checked.meta).await,
            Keys::Foreign => Err(Error::invalid(
                "could not verify hash file, possibly the snapshot is using a different set of unseal keys; use the \
                 snapshot-force API to bypass this check",
            )),
        };
        match &restored {
            Ok(_) => info!("the snapshot is restored"),
            Err(error) => warn!("the snapshot was not restored: {error}"),
        }
        restored
    }

    /// As writes, in the steps of `staged`.
    async fn restore_own(&self, file: PathBuf) -> Result<()> {
        let _nobody_writes = self.core.hold_writes().await;
        let term = self.core.lead_term().await?;
        self.stage(term, file).await?;
        self.commit_staged(term).await?;
        let unknown = |error| Error::Unknown(format!("the next leader goes on with the restore by itself ({error})"));
        self.move_staged(term).await.map_err(unknown)
    }

    /// The region gets the snapshot's seal and keyring. From then on it is sealed, and needs no key to be finished.
    async fn restore_foreign(&self, file: PathBuf, meta: &Meta) -> Result<Restored> {
        let (seal, keyring) = (Meta::bytes_of(&meta.seal)?, Meta::bytes_of(&meta.keyring)?);
        self.expect_to_open(&SealRecord::from_bytes(&seal)?, &meta.region)?;
        if !self.core.state().scan_region(keys::LINKS)?.is_empty() {
            return Err(Error::invalid(
                "this region replicates to others, which could not read what another region's keys encrypted: \
                 disconnect them first, and connect them anew afterwards",
            ));
        }
        let _nobody_writes = self.core.hold_writes().await;
        let term = self.core.lead_term().await?;
        let start = self.core.state().path().applied.index + 1;
        let fixed = Some(self.put_foreign(term, start, &file).await?);
        let unfinished = postcard::to_stdvec(&Unfinished { start, fixed })?;
        let (old_seal, old_keyring) = (self.core.state().region(&Key::Seal)?, self.core.state().region(&Key::Keyring)?);
        let change = RegionChange {
            expect: vec![(Key::Seal.to_bytes(), old_seal), (Key::Keyring.to_bytes(), old_keyring)],
            puts: vec![
                (Key::Seal.to_bytes(), Some(seal.into())),
                (Key::Keyring.to_bytes(), Some(keyring.into())),
                (Key::Restore.to_bytes(), Some(unfinished.into())),
            ],
            path: None,
        };
        self.agree(change).await?;
        self.seal();
        self.finish_unfinished(term).await?;
        Ok(Restored::Sealed { region: meta.region.clone() })
    }

    /// Writes another region's records beside this region's, but for those that have the same keys everywhere: these are
    /// returned.
    pub(in crate::secrets) async fn put_foreign(&self, term: u64, start: u64, file: &Path) -> Result<Fixed> {
        let (core, path) = (self.core.clone(), file.to_owned());
        let fixed = blocking(move || fixed_of(&path, &fixed_keys(&core.view()?)?)).await?;
        let kept: Vec<Bytes> = fixed.iter().map(|(key, _)| key.clone()).collect();
        let begun = postcard::to_stdvec(&Unfinished { start, fixed: None })?;
        let puts = vec![(Key::Restore.to_bytes(), Some(begun.into()))];
        self.agree(RegionChange { expect: Vec::new(), puts, path: None }).await?;
        let wanted = move |key: &Bytes| !kept.contains(key) && !layout::is_staged(key);
        self.put_from(term, file, move |key, value| Ok(wanted(&key).then_some(Op::Put { key, value }))).await?;
        Ok(fixed)
    }

    /// Fails while the records of a snapshot take their places: tokens and policies are those of neither.
    pub fn expect_settled(&self) -> Result<()> {
        let switched = |unfinished: Unfinished| unfinished.fixed.is_some();
        if self.unfinished()?.is_some_and(switched) {
            return Err(mounts::restoring());
        }
        self.core.read_local(mounts::table).map(drop)
    }

    fn unfinished(&self) -> Result<Option<Unfinished>> {
        let stored = self.core.state().region(&Key::Restore)?;
        Ok(stored.map(|stored| postcard::from_bytes(&stored)).transpose()?)
    }

    /// Goes on with a restore that was interrupted by the loss of its leader, or undoes it. Whether there was one. For the
    /// leader of a primary region; what was restored by force needs no key to be finished, but one to be undone.
    pub async fn finish_restore(&self) -> Result<bool> {
        let unfinished = self.unfinished()?;
        let by_force = unfinished.is_some();
        let waits_for_keys = unfinished.is_some_and(|it| it.fixed.is_none()) && self.is_sealed();
        if waits_for_keys || (!by_force && !self.has_staged().await?) {
            return Ok(false);
        }
        // Whoever restores just now finishes it itself.
        let Ok(_alone) = self.restoring.try_lock() else { return Ok(false) };
        let _nobody_writes = self.core.hold_writes().await;
        let term = self.core.lead_term().await?;
        if by_force {
            self.finish_unfinished(term).await?;
            return Ok(true);
        }
        self.finish_staged(term).await
    }

    async fn finish_unfinished(&self, term: u64) -> Result<()> {
        let Some(Unfinished { start, fixed }) = self.unfinished()? else { return Ok(()) };
        let undone = fixed.is_none();
        self.write_raw(term, ops_of(&fixed.unwrap_or_default())).await?;
        let mut range = KeyRange::all();
        loop {
            let (core, from) = (self.core.clone(), range.clone());
            let (last, gone) = blocking(move || {
                let stretch = core.state().scan_data(&from, STRETCH)?;
                let last = stretch.last().map(|(key, _)| key.clone());
                let own = undone.then(|| Ok::<_, Error>((core.barrier()?, fixed_keys(&core.view()?)?))).transpose()?;
                let goes = |(key, stored): &(Bytes, Stored)| match &own {
                    Some((barrier, fixed)) => {
                        let foreign = barrier.decrypt(key, &stored.value).is_err() && !fixed.contains(key);
                        stored.position.index >= start && foreign
                    }
                    None => stored.position.index < start,
                };
                Ok((last, stretch.into_iter().filter(goes).map(|(key, _)| key).collect::<Vec<_>>()))
            })
            .await?;
            let Some(last) = last else { break };
            range.start = [last.as_ref(), &[0]].concat();
            let mut gathering = Gathering::default();
            for key in gone {
                if let Some(ops) = gathering.add(Op::Delete { key }) {
                    self.write_raw(term, ops).await?;
                }
            }
            self.write_raw(term, gathering.take()).await?;
        }
        let puts = vec![(Key::Restore.to_bytes(), None)];
        self.agree(RegionChange { expect: Vec::new(), puts, path: None }).await
    }

    /// Writes what `op` makes of the entries of the file.
    pub(super) async fn put_from<F>(&self, term: u64, file: &Path, op: F) -> Result<()>
    where
        F: Fn(Bytes, Bytes) -> Result<Option<Op>> + Send + 'static,
    {
        let (ready, mut batches) = mpsc::channel::<Vec<Op>>(READY_MAX);
        let file = file.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let stopped = |_| Error::internal("the restore was given up");
            let mut gathering = Gathering::default();
            archive::entries(&file, |key, value| {
                if let Some(op) = op(key, value)?
                    && let Some(ops) = gathering.add(op)
                {
                    ready.blocking_send(ops).map_err(stopped)?;
                }
                Ok(())
            })?;
            ready.blocking_send(gathering.take()).map_err(stopped)
        });
        while let Some(ops) = batches.recv().await {
            self.write_raw(term, ops).await?;
        }
        reading.await.map_err(|error| Error::cut_off("reading the snapshot", &error))?
    }

    /// One batch of what is encrypted already.
    pub(super) async fn write_raw(&self, term: u64, ops: Vec<Op>) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        self.core.consensus.write(term, batch(self.core.now().ms(), ops)).await.map(|_| ())
    }

    async fn agree(&self, change: RegionChange) -> Result<()> {
        match self.core.consensus.propose(Command::Region(change)).await? {
            Outcome::Changed => Ok(()),
            Outcome::Refused(refusal) => Err(Error::Conflict(format!("the restore stopped: {refusal}"))),
            other => Err(Error::internal(format!("a step of a restore came out as {other:?}"))),
        }
    }

    /// Fails where this region's nodes could not be opened with the snapshot's seal.
    fn expect_to_open(&self, seal: &SealRecord, region: &str) -> Result<()> {
        seal.expect_kind(self.seal_kind())?;
        let SealKind::File(path) = self.seal_kind() else { return Ok(()) };
        match seal.open(&key_file::read(path)?)? {
            Some(_) => Ok(()),
            None => Err(Error::invalid(format!(
                "the snapshot's keys open with the key file of the region {region}, which is not the one that this node \
                 is configured with"
            ))),
        }
    }
}

fn whose(view: &View, checked: &Checked) -> Keys {
    let expected = seal_sums(view, &checked.sums).to_hex();
    let same = expected.as_bytes().ct_eq(checked.sums_sealed.as_slice());
    if bool::from(same) { Keys::Own } else { Keys::Foreign }
}

/// The keys that are the same in every data set.
pub(super) fn fixed_keys(view: &View) -> Result<Vec<Bytes>> {
    let tables = [Record::Mounts, Record::Audit, Record::Settings];
    let tables = tables.iter().map(|table| table.key(&view.barrier)).collect::<Result<Vec<_>>>()?;
    Ok([tables.as_slice(), &[Bytes::from_static(layout::TERMS)]].concat())
}

/// What these records are in the file.
pub(super) fn fixed_of(file: &Path, keys: &[Bytes]) -> Result<Vec<(Bytes, Option<Bytes>)>> {
    let mut fixed: Vec<(Bytes, Option<Bytes>)> = keys.iter().map(|key| (key.clone(), None)).collect();
    archive::entries(file, |key, value| {
        if let Some((_, found)) = fixed.iter_mut().find(|(known, _)| *known == key) {
            *found = Some(value);
        }
        Ok(())
    })?;
    Ok(fixed)
}

pub(super) fn ops_of(fixed: &[(Bytes, Option<Bytes>)]) -> Vec<Op> {
    let op = |(key, value): &(Bytes, Option<Bytes>)| match value.clone() {
        Some(value) => Op::Put { key: key.clone(), value },
        None => Op::Delete { key: key.clone() },
    };
    fixed.iter().map(op).collect()
}

/// The keys of the data tree that the file does not have. Both are in order.
pub(super) fn not_in(core: &Arc<Core>, file: &Path) -> Result<Vec<Bytes>> {
    let mut gone = Vec::new();
    let mut range = KeyRange::all();
    let mut held: std::collections::VecDeque<Bytes> = core_keys(core, &mut range)?;
    archive::entries(file, |key, _| {
        loop {
            if held.is_empty() {
                held = core_keys(core, &mut range)?;
            }
            match held.front() {
                Some(front) if *front < key => gone.extend(held.pop_front()),
                Some(front) if *front == key => {
                    held.pop_front();
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    })?;
    while !held.is_empty() {
        gone.extend(held.drain(..));
        held = core_keys(core, &mut range)?;
    }
    Ok(gone)
}

/// The next keys of the data tree.
fn core_keys(core: &Core, range: &mut KeyRange) -> Result<std::collections::VecDeque<Bytes>> {
    let stretch = core.state().scan_data(range, STRETCH)?;
    if let Some((last, _)) = stretch.last() {
        range.start = [last.as_ref(), &[0]].concat();
    }
    Ok(stretch.into_iter().map(|(key, _)| key).collect())
}
