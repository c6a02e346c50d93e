//! Snapshots: the whole data set of a region as one file, encrypted as it is stored, and back again.
//!
//! ```text
//!   gzip of tar:  meta.json            what it is of, and the seal and keyring that open it
//!                 state.bin            (key length u32, value length u32, key, value)…, keys ascending
//!                 SHA256SUMS           of these two
//!                 SHA256SUMS.sealed    of that, keyed by the data set's keyring: who made it held the keys
//! ```
//!
//! A snapshot of the same data set (of this region, or of one that replicates with it) is restored as *writes*: so the
//! standbys follow as they follow everything else, and whole or not at all, whichever node leads (`staged`). While its
//! records take their places nothing is mounted. A snapshot of another data set is restored by force only: the region takes over its keyring and its
//! seal with it, all nodes are sealed, and open with the unseal shares of the region that it was made in.

mod archive;
mod restore;
mod save;
mod staged;

pub use restore::{Restored, Unfinished};

use super::core::View;
use crate::error::{Error, Result};
use crate::state::{Batch, Class, Op};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;
const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
const SUMS_SEALED: &str = "SHA256SUMS.sealed";

/// What is not `state.bin` is small.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// One batch of a restore.
const BATCH_OPS: usize = 500;
const BATCH_BYTES: u64 = 1 << 20;

/// What a snapshot says of itself. Nothing in it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    version: u32,
    /// Of the region that made it.
    region: String,
    dataset: String,
    epoch: u64,
    index: u64,
    made_at: String,
    entries: u64,
    bytes: u64,
    /// `Key::Seal` and `Key::Keyring` of that region, in base64.
    seal: String,
    keyring: String,
}

impl Meta {
    fn parse(text: &[u8]) -> Result<Meta> {
        let meta: Meta = serde_json::from_slice(text).map_err(|_| not_a_snapshot("its meta.json does not decode"))?;
        if meta.version != FORMAT {
            let found = meta.version;
            return Err(Error::invalid(format!("the snapshot has format {found}, this version knows {FORMAT}")));
        }
        Ok(meta)
    }

    fn bytes_of(text: &str) -> Result<Vec<u8>> {
        BASE64.decode(text).map_err(|_| not_a_snapshot("its keys are no base64"))
    }
}

fn not_a_snapshot(why: &str) -> Error {
    Error::invalid(format!("this is no snapshot of a region, or it is damaged: {why}"))
}

/// The keyed hash of a snapshot's sums.
fn seal_sums(view: &View, sums: &[u8]) -> blake3::Hash {
    let key = super::aead::derive(&view.barrier.keyring().token_key(), "twinkeep 2026 snapshot sums");
    blake3::keyed_hash(&key, sums)
}

/// Operations gathered to a batch of bounded size.
#[derive(Default)]
struct Gathering {
    ops: Vec<Op>,
    bytes: u64,
}

impl Gathering {
    /// Adds one; gives back what is gathered once it is enough.
    fn add(&mut self, op: Op) -> Option<Vec<Op>> {
        self.bytes += match &op {
            Op::Put { key, value } => (key.len() + value.len()) as u64,
            Op::Delete { key } => key.len() as u64,
        };
        self.ops.push(op);
        (self.ops.len() >= BATCH_OPS || self.bytes >= BATCH_BYTES).then(|| self.take())
    }

    fn take(&mut self) -> Vec<Op> {
        self.bytes = 0;
        std::mem::take(&mut self.ops)
    }
}

fn batch(now: crate::clock::UnixMs, ops: Vec<Op>) -> Batch {
    Batch { class: Class::System, at: now, ops }
}
