//! A body that is too large for memory: kept in a file of the data directory until its request is answered.
//!
//! Only who shows a token that is known here may send one, and one is taken at a time.

use super::node::{Node, blocking};
use crate::error::{Error, Result};
use axum::body::Body;
use futures::StreamExt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The beginning of the names of the files, so that those of a server that was killed are found again.
const PREFIX: &str = "upload.";
const BYTES_MAX: u64 = 8 << 30;
/// A body whose next bytes take longer is given up.
const STALL_MAX: Duration = Duration::from_secs(20);
/// How much is gathered before it is written.
const CHUNK_BYTES: usize = 1 << 20;

/// The room for uploads of one node.
pub struct Uploads(Arc<Semaphore>);

impl Default for Uploads {
    fn default() -> Uploads {
        Uploads(Arc::new(Semaphore::new(1)))
    }
}

/// A body in a file, which goes with it.
pub struct Upload {
    file: NamedTempFile,
    _room: OwnedSemaphorePermit,
}

impl Upload {
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// Removes what a server that was killed left behind.
pub fn remove_leftovers(data: &Path) {
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!("{} can't be removed: {error}", entry.path().display());
        }
    }
}

impl Uploads {
    pub async fn take(&self, node: &Arc<Node>, body: Body) -> Result<Upload> {
        let busy = |_| Error::unavailable("this node takes in another file just now; try again");
        let room = self.0.clone().try_acquire_owned().map_err(busy)?;
        let folder = node.config.storage.path.clone();
        let mut file = blocking(move || Ok(tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?)).await?;
        let mut chunks = body.into_data_stream();
        let (mut ready, mut total) = (Vec::with_capacity(CHUNK_BYTES), 0);
        loop {
            let next = tokio::time::timeout(STALL_MAX, chunks.next()).await;
            let next = next.map_err(|_| Error::invalid("the request's body did not come in time"))?;
            let chunk = next.transpose().map_err(|_| Error::invalid("the request's body broke off"))?;
            let is_last = chunk.is_none();
            let chunk = chunk.unwrap_or_default();
            total += chunk.len() as u64;
            if total > BYTES_MAX {
                return Err(Error::TooLarge { got: total, max: BYTES_MAX });
            }
            ready.extend_from_slice(&chunk);
            if ready.len() >= CHUNK_BYTES || is_last {
                let bytes = std::mem::replace(&mut ready, Vec::with_capacity(CHUNK_BYTES));
                file = blocking(move || {
                    file.write_all(&bytes)?;
                    Ok(file)
                })
                .await?;
            }
            if is_last {
                return Ok(Upload { file, _room: room });
            }
        }
    }
}
