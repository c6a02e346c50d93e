//! Writing a snapshot: a view of the store at one moment, streamed as it is read.

use super::archive::line;
use super::{FORMAT, META, Meta, STATE, SUMS, SUMS_SEALED, seal_sums};
use crate::clock;
use crate::error::{Error, Result};
use crate::secrets::mounts;
use crate::secrets::vault::Vault;
use crate::state::{PathState, RegionIdentity, Stored};
use crate::storage::keys::Key;
use crate::storage::{KeyRange, ScanLimit, Snapshot, Tree};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

const STRETCH: ScanLimit = ScanLimit { entries: 4096, bytes: 1 << 20 };
/// Of each entry before its key.
const LENGTHS_BYTES: u64 = 8;
/// What is stored before each value, and not saved.
const POSITION_BYTES: u64 = 16;

impl Vault {
    /// Writes a snapshot of what this node has applied. Blocks.
    pub fn snapshot_save(&self, out: impl Write) -> Result<()> {
        let keys = self.core.view()?;
        // What is half restored is nothing to save, whether that began before or since.
        mounts::table(&keys)?;
        let view = self.core.state().store().snapshot()?;
        mounts::table(&keys)?;
        let path = view.get(Tree::Region, &Key::Path.to_bytes())?.ok_or(Error::Uninitialised)?;
        let path: PathState = postcard::from_bytes(&path)?;
        if !path.is_whole() {
            return Err(Error::unavailable("this region is in the middle of a sync: there is nothing whole to save"));
        }
        let stored = |key: Key| view.get(Tree::Region, &key.to_bytes())?.ok_or(Error::Uninitialised);
        let region = postcard::from_bytes::<RegionIdentity>(&stored(Key::RegionIdentity)?)?;
        let state_bytes = path.bytes + path.entries * LENGTHS_BYTES - path.entries * POSITION_BYTES;
        let meta = Meta {
            version: FORMAT,
            region: region.name,
            dataset: path.dataset.to_string(),
            epoch: path.applied.epoch.0,
            index: path.applied.index,
            made_at: clock::now().rfc3339(),
            entries: path.entries,
            bytes: state_bytes,
            seal: BASE64.encode(stored(Key::Seal)?),
            keyring: BASE64.encode(stored(Key::Keyring)?),
        };
        let meta = serde_json::to_vec_pretty(&meta).map_err(|error| Error::internal(error.to_string()))?;
        // Ciphertext does not get smaller.
        let mut tar = tar::Builder::new(GzEncoder::new(out, Compression::none()));
        append(&mut tar, META, &meta)?;
        let mut entries =
            Entries { view: view.as_ref(), range: KeyRange::all(), ready: Vec::new(), at: 0, hash: Sha256::new() };
        tar.append_data(&mut header(state_bytes), STATE, &mut entries)?;
        let state_sum = hex::encode(entries.hash.finalize());
        let sums = format!("{}{state_sum}  {STATE}\n", line(&meta, META));
        append(&mut tar, SUMS, sums.as_bytes())?;
        append(&mut tar, SUMS_SEALED, seal_sums(&keys, sums.as_bytes()).to_hex().as_bytes())?;
        tar.into_inner()?.finish()?.flush()?;
        Ok(())
    }
}

fn append<W: Write>(tar: &mut tar::Builder<W>, name: &str, bytes: &[u8]) -> Result<()> {
    Ok(tar.append_data(&mut header(bytes.len() as u64), name, bytes)?)
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header
}

/// The data tree as `state.bin` holds it, hashed as it is read.
struct Entries<'a> {
    view: &'a dyn Snapshot,
    range: KeyRange,
    ready: Vec<u8>,
    at: usize,
    hash: Sha256,
}

impl Entries<'_> {
    /// Encodes the next stretch. Nothing is ready afterwards at the end.
    fn fill(&mut self) -> Result<()> {
        self.ready.clear();
        self.at = 0;
        let stretch = self.view.scan(Tree::Data, &self.range, STRETCH)?;
        if let Some((last, _)) = stretch.last() {
            self.range.start = [last.as_ref(), &[0]].concat();
        }
        for (key, stored) in &stretch {
            let value = Stored::from_bytes(stored)?.value;
            self.ready.extend_from_slice(&(key.len() as u32).to_be_bytes());
            self.ready.extend_from_slice(&(value.len() as u32).to_be_bytes());
            self.ready.extend_from_slice(key);
            self.ready.extend_from_slice(&value);
        }
        self.hash.update(&self.ready);
        Ok(())
    }
}

impl Read for Entries<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.ready.len() {
            self.fill().map_err(io::Error::other)?;
        }
        let given = buffer.len().min(self.ready.len() - self.at);
        buffer[..given].copy_from_slice(&self.ready[self.at..self.at + given]);
        self.at += given;
        Ok(given)
    }
}
