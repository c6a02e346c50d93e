//! `twinkeep operator raft snapshot`: a region's whole data set as a file, and back.

use super::Context;
use super::args::{Snapshot, SnapshotRestore, SnapshotSave};
use super::failure::Failure;
use super::output::{Output, bytes};
use crate::client::Restore;
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::Path;

/// What the archive ends with: a snapshot without it broke off.
const SEAL: &str = "SHA256SUMS.sealed";

pub async fn run(command: Snapshot, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Snapshot::Save(save) => run_save(save, context).await,
        Snapshot::Restore(restore) => run_restore(restore, context).await,
    }
}

/// The file is there when it is whole, for its owner's eyes only; one that is there already is replaced then.
async fn run_save(save: SnapshotSave, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&save.connection)?;
    let client = context.environment.client(&save.connection)?;
    let unwritten = |error: std::io::Error| Failure::local(format!("{}: {error}", save.file.display()));
    let folder = match save.file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let partial = tempfile::Builder::new().prefix(".snapshot-").tempfile_in(folder).map_err(unwritten)?;
    let mut writer = tokio::fs::File::from_std(partial.reopen().map_err(unwritten)?);
    let size = client.snapshot_save(&mut writer).await.map_err(Failure::asked)?;
    writer.sync_all().await.map_err(unwritten)?;
    let file = partial.path().to_owned();
    let whole = tokio::task::spawn_blocking(move || is_whole(&file)).await;
    if !whole.is_ok_and(|whole| whole.is_ok_and(|whole| whole)) {
        return Err(Failure::server("the snapshot broke off: nothing was saved; try again"));
    }
    partial.persist(&save.file).map_err(|error| unwritten(error.error))?;
    Ok(Output::said(format, format!("Success! A snapshot of {} is in {}", bytes(size), save.file.display())))
}

/// Reads all of it, so that each checksum of the compression is looked at.
fn is_whole(file: &Path) -> std::io::Result<bool> {
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(file)?));
    let mut sealed = false;
    for entry in archive.entries()? {
        let mut entry = entry?;
        sealed |= entry.path()?.as_os_str() == SEAL && entry.size() > 0;
        std::io::copy(&mut entry, &mut std::io::sink())?;
    }
    archive.into_inner().read_to_end(&mut Vec::new())?;
    Ok(sealed)
}

async fn run_restore(restore: SnapshotRestore, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&restore.connection)?;
    let client = context.environment.client(&restore.connection)?;
    let which = if restore.force { Restore::Force } else { Restore::Own };
    client.snapshot_restore(&restore.file, which).await.map_err(Failure::changed)?;
    let more = if restore.force {
        " If it is of another region, all nodes are sealed now: unseal them with that region's keys."
    } else {
        ""
    };
    Ok(Output::said(format, format!("Success! The snapshot is restored.{more}")))
}
