//! `sys/storage/raft/snapshot`: the whole data set as a file, and back.

use crate::api::replication::EventLevel;
use crate::error::{Error, Result};
use crate::secrets::snapshot::Restored;
use crate::server::answer::Answer;
use crate::server::call::Call;
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use std::io::{self, Write};
use tokio::sync::mpsc;

/// Bytes of one piece of the answer, and how many are ready while one is sent.
const PIECE_BYTES: usize = 256 << 10;
const READY_MAX: usize = 4;

pub async fn save(call: Call) -> Result<Answer> {
    let (ready, pieces) = mpsc::channel::<io::Result<Bytes>>(READY_MAX);
    let vault = call.node.vault.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { ready: ready.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
        if let Err(error) = vault.snapshot_save(&mut out) {
            tracing::warn!("a snapshot was not saved: {error}");
            // The answer has begun: to break it off is the only way left to say so. Nobody may be there to hear it.
            let _gone = ready.blocking_send(Err(io::Error::other(error.to_string())));
        }
    });
    let first = Box::pin(stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) }));
    Ok(Answer::stream("application/gzip", Body::from_stream(first)))
}

pub async fn restore(call: Call) -> Result<Answer> {
    run(call, false).await
}

pub async fn restore_by_force(call: Call) -> Result<Answer> {
    run(call, true).await
}

/// In a task of its own: a client that goes away must not leave half of it.
async fn run(call: Call, force: bool) -> Result<Answer> {
    let upload = call.upload.clone().ok_or_else(|| Error::invalid("the snapshot's file is missing"))?;
    let node = call.node.clone();
    let task = tokio::spawn(async move {
        let restored = node.vault.snapshot_restore(upload.path().to_owned(), force).await?;
        let text = match &restored {
            Restored::Whole => "a snapshot was restored".to_owned(),
            Restored::Sealed { region } => format!(
                "a snapshot with the keys of {region} was restored by force: unseal all nodes with the shares of {region}"
            ),
        };
        node.replication.record_event(EventLevel::Warn, "snapshot", text);
        Ok(())
    });
    task.await.map_err(|error| Error::cut_off("the restore", &error))?.map(|()| Answer::empty())
}

/// Writes into the answer, a piece at a time.
struct Pieces {
    ready: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        if piece.is_empty() {
            return Ok(());
        }
        self.ready.blocking_send(Ok(piece.into())).map_err(|_| io::Error::other("the client went away"))
    }
}
