//! `sys/storage/raft/snapshot`: a region's whole data set as a file, and back. Neither is ever in memory as a whole.

use super::request::unreachable;
use super::{Client, ClientError, Phase, Result};
use reqwest::{Body, Method};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::io::ReaderStream;

/// A server that sends nothing for so long has stopped.
const STALL_MAX: Duration = Duration::from_secs(60);
/// A whole region has to be sent, written and replicated.
const RESTORE_MAX: Duration = Duration::from_secs(3600);

/// Which snapshots a region takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restore {
    /// Its own.
    Own,
    /// Any region's, with its keys: all that is here is lost.
    Force,
}

impl Client {
    /// `GET sys/storage/raft/snapshot`, written as it arrives; so many bytes.
    pub async fn snapshot_save(&self, to: &mut (impl AsyncWrite + Unpin)) -> Result<u64> {
        let address = self.address().to_owned();
        let broken = |cause: String| ClientError::Unreachable { address: address.clone(), phase: Phase::Body, cause };
        let mut response = self.get(&["sys/storage/raft/snapshot"]).stream().await?;
        let mut total = 0;
        loop {
            let chunk = tokio::time::timeout(STALL_MAX, response.chunk()).await;
            let chunk = chunk.map_err(|_| broken(format!("nothing within {} s", STALL_MAX.as_secs())))?;
            let Some(chunk) = chunk.map_err(|error| unreachable(&address, Phase::Body, error))? else { break };
            total += chunk.len() as u64;
            to.write_all(&chunk)
                .await
                .map_err(|error| ClientError::Options(format!("it can't be written: {error}")))?;
        }
        to.flush().await.map_err(|error| ClientError::Options(format!("it can't be written: {error}")))?;
        Ok(total)
    }

    /// `PUT sys/storage/raft/snapshot`, or `…/snapshot-force`
    pub async fn snapshot_restore(&self, file: &Path, restore: Restore) -> Result<()> {
        let unread = |error: std::io::Error| ClientError::Options(format!("{}: {error}", file.display()));
        let open = tokio::fs::File::open(file).await.map_err(unread)?;
        let length = open.metadata().await.map_err(unread)?.len();
        let path = match restore {
            Restore::Own => "sys/storage/raft/snapshot",
            Restore::Force => "sys/storage/raft/snapshot-force",
        };
        let body = Body::wrap_stream(ReaderStream::new(open));
        self.request(Method::PUT, &[path])
            .upload(body, RESTORE_MAX)
            .header("content-length", length.to_string())
            .done()
            .await
    }
}
