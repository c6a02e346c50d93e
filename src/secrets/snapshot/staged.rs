//! A snapshot of this data set is restored in three steps, so that it is restored whole or not at all, whichever node
//! leads meanwhile:
//!
//! 1. *Stage*: what would change is written beside the data set, each record under a key of its own. Readers see nothing
//!    of it. A leader that dies here leaves nothing but leftovers, which the next one removes.
//! 2. *Commit*: one batch unmounts everything. From now on the restore happens.
//! 3. *Move*: the staged records take their places, and with the last batch the snapshot's mounts are there. Any leader
//!    can do that, since all that it takes is in the data set: also one of a standby region that was promoted meanwhile.

use super::Gathering;
use super::restore::{fixed_keys, fixed_of, not_in, ops_of};
use crate::error::{Error, Result};
use crate::secrets::core::{View, blocking};
use crate::secrets::layout::{self, Record};
use crate::secrets::mounts::{self, MountTable};
use crate::secrets::vault::Vault;
use crate::state::Op;
use crate::storage::{KeyRange, ScanLimit};
use bytes::Bytes;
use std::path::PathBuf;

/// What is moved at once.
const MOVED: ScanLimit = ScanLimit { entries: 250, bytes: 1 << 20 };

/// What a record becomes: its value, or nothing.
type Becomes = (Bytes, Option<Bytes>);

/// How far a restore is that some leader began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    None,
    Staged,
    Committed,
}

impl Vault {
    /// Stages what differs from the file. Nobody may write meanwhile.
    pub(in crate::secrets) async fn stage(&self, term: u64, file: PathBuf) -> Result<()> {
        self.drop_staged(term).await?;
        let core = self.core.clone();
        let (fixed, staged) = blocking({
            let (core, file) = (core.clone(), file.clone());
            move || {
                let view = core.view()?;
                let fixed = fixed_of(&file, &fixed_keys(&view)?)?;
                let staged = fixed.iter().map(|becomes| to_stage(&view, becomes)).collect::<Result<Vec<Op>>>()?;
                Ok((fixed, staged))
            }
        })
        .await?;
        self.write_raw(term, staged).await?;
        let known: Vec<Bytes> = fixed.iter().map(|(key, _)| key.clone()).collect();
        self.put_from(term, &file, {
            let (core, known) = (core.clone(), known.clone());
            move |key, value| {
                let same = core.state().data(&key)?.is_some_and(|stored| stored.value == value);
                let wanted = !same && !layout::is_staged(&key) && !known.contains(&key);
                wanted.then(|| to_stage(&core.view()?, &(key, Some(value)))).transpose()
            }
        })
        .await?;
        let gone = blocking({
            let core = core.clone();
            move || {
                let gone = not_in(&core, &file)?.into_iter();
                let view = core.view()?;
                let gone = gone.filter(|key| !layout::is_staged(key) && !known.contains(key));
                gone.map(|key| to_stage(&view, &(key, None))).collect::<Result<Vec<Op>>>()
            }
        })
        .await?;
        let mut gathering = Gathering::default();
        for op in gone {
            if let Some(ops) = gathering.add(op) {
                self.write_raw(term, ops).await?;
            }
        }
        self.write_raw(term, gathering.take()).await
    }

    /// Unmounts everything: from now on what is staged takes its place.
    pub(in crate::secrets) async fn commit_staged(&self, term: u64) -> Result<()> {
        let core = self.core.clone();
        let closed = blocking(move || mounts::put(&core.view()?, &MountTable::restoring())).await?;
        self.write_raw(term, vec![closed]).await
    }

    /// Moves what is staged, the mounts last.
    pub(in crate::secrets) async fn move_staged(&self, term: u64) -> Result<()> {
        let core = self.core.clone();
        let fixed = blocking(move || fixed_keys(&core.view()?)).await?;
        let mut range = KeyRange::prefix(layout::STAGED);
        let mut last = Vec::new();
        loop {
            let (core, from) = (self.core.clone(), range.clone());
            let stretch = blocking(move || {
                let view = core.view()?;
                let stretch = view.state.scan_data(&from, MOVED)?;
                stretch.into_iter().map(|(at, _)| Ok((view.get::<Becomes>(&at)?, at))).collect::<Result<Vec<_>>>()
            })
            .await?;
            let Some((_, end)) = stretch.last() else { break };
            range.start = [end.as_ref(), &[0]].concat();
            let mut ops = Vec::new();
            for (becomes, at) in stretch {
                let becomes = becomes.ok_or_else(|| Error::corrupt("a staged record is gone"))?;
                let into = if fixed.contains(&becomes.0) { &mut last } else { &mut ops };
                into.extend(ops_of(&[becomes]));
                into.push(Op::Delete { key: at });
            }
            self.write_raw(term, ops).await?;
        }
        self.write_raw(term, last).await
    }

    /// Goes on with what another leader began, or clears it away. Whether there was anything.
    pub(super) async fn finish_staged(&self, term: u64) -> Result<bool> {
        match self.progress().await? {
            Progress::None => return Ok(false),
            Progress::Staged => self.drop_staged(term).await?,
            Progress::Committed => {
                tracing::info!("going on with a restore that another leader began");
                self.move_staged(term).await?;
            }
        }
        Ok(true)
    }

    /// Whether another leader began a restore that is to be finished or cleared away.
    pub(super) async fn has_staged(&self) -> Result<bool> {
        Ok(!self.is_sealed() && self.progress().await? != Progress::None)
    }

    async fn progress(&self) -> Result<Progress> {
        let core = self.core.clone();
        blocking(move || {
            let view = core.view()?;
            if view.state.scan_data(&KeyRange::prefix(layout::STAGED), ScanLimit::entries(1))?.is_empty() {
                return Ok(Progress::None);
            }
            let table: Option<MountTable> = view.get(&Record::Mounts.key(&view.barrier)?)?;
            Ok(if table.is_some_and(|table| table.is_restoring()) { Progress::Committed } else { Progress::Staged })
        })
        .await
    }

    async fn drop_staged(&self, term: u64) -> Result<()> {
        loop {
            let core = self.core.clone();
            let stretch = blocking(move || core.state().scan_data(&KeyRange::prefix(layout::STAGED), MOVED)).await?;
            if stretch.is_empty() {
                return Ok(());
            }
            self.write_raw(term, stretch.into_iter().map(|(key, _)| Op::Delete { key }).collect()).await?;
        }
    }
}

/// The operation that stages what a record becomes.
fn to_stage(view: &View, becomes: &Becomes) -> Result<Op> {
    view.put(Record::Staged(&becomes.0).key(&view.barrier)?, becomes)
}
