//! Reading a snapshot's file: checked whole before anything is done with it, then entry by entry.

use super::{META, Meta, SMALL_BYTES_MAX, STATE, SUMS, SUMS_SEALED, not_a_snapshot};
use crate::error::Result;
use crate::storage::KEY_BYTES_MAX;
use bytes::Bytes;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// No stored value is longer: a version's data, or a table of mounts.
const VALUE_BYTES_MAX: usize = 8 << 20;

/// What a file was found to hold. Nothing was done with it yet.
pub struct Checked {
    pub meta: Meta,
    pub sums: Vec<u8>,
    pub sums_sealed: Vec<u8>,
}

/// Reads the whole file and checks its sums, its order and its sizes.
pub fn check(path: &Path) -> Result<Checked> {
    let (mut meta, mut sums, mut sealed) = (None, Vec::new(), Vec::new());
    let mut found = String::new();
    members(path, |name, member| {
        match name {
            META => {
                let text = small(member)?;
                found.push_str(&line(&text, META));
                meta = Some(Meta::parse(&text)?);
            }
            STATE => {
                let mut hashing = Hashing { inner: member, hash: Sha256::new() };
                let (mut last, mut entries, mut bytes) = (Bytes::new(), 0, 0);
                read_entries(&mut hashing, |key, value| {
                    if key <= last {
                        return Err(not_a_snapshot("its entries are not in order"));
                    }
                    entries += 1;
                    bytes += (key.len() + value.len()) as u64;
                    last = key;
                    Ok(())
                })?;
                found.push_str(&format!("{}  {STATE}\n", hex::encode(hashing.hash.finalize())));
                let expected = meta.as_ref().map(|meta: &Meta| meta.entries);
                if expected != Some(entries) {
                    return Err(not_a_snapshot("it does not hold as many entries as it says"));
                }
            }
            SUMS => sums = small(member)?,
            SUMS_SEALED => sealed = small(member)?,
            _ => return Err(not_a_snapshot("it holds a file that does not belong there")),
        }
        Ok(())
    })?;
    if found.is_empty() || found.as_bytes() != sums {
        return Err(not_a_snapshot("its sums do not match"));
    }
    let meta = meta.ok_or_else(|| not_a_snapshot("its meta.json is missing"))?;
    Ok(Checked { meta, sums, sums_sealed: sealed })
}

/// Calls `each` for every entry of a file that was checked, in order.
pub fn entries(path: &Path, mut each: impl FnMut(Bytes, Bytes) -> Result<()>) -> Result<()> {
    members(path, |name, member| if name == STATE { read_entries(member, &mut each) } else { Ok(()) })
}

/// The line of a file in `SHA256SUMS`.
pub fn line(bytes: &[u8], name: &str) -> String {
    format!("{}  {name}\n", hex::encode(Sha256::digest(bytes)))
}

fn members(path: &Path, mut each: impl FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
    let broken = |error: io::Error| not_a_snapshot(&error.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(File::open(path)?)));
    // As they stand: a long name, of whatever length, would be read into memory before anybody could look at it.
    for member in archive.entries().map_err(broken)?.raw(true) {
        let mut member = member.map_err(broken)?;
        if !member.header().entry_type().is_file() {
            return Err(not_a_snapshot("it holds something that is no file"));
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        each(&name, &mut member)?;
    }
    Ok(())
}

fn small(member: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    member.take(SMALL_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| not_a_snapshot(&error.to_string()))?;
    Ok(bytes)
}

fn read_entries(from: &mut dyn Read, mut each: impl FnMut(Bytes, Bytes) -> Result<()>) -> Result<()> {
    let mut from = BufReader::with_capacity(256 << 10, from);
    let broken = |error: io::Error| not_a_snapshot(&error.to_string());
    loop {
        let mut lengths = [0; 8];
        match from.read_exact(&mut lengths[..1]) {
            Ok(()) => from.read_exact(&mut lengths[1..]).map_err(broken)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(broken(error)),
        }
        let [a, b, c, d, e, f, g, h] = lengths;
        let (key, value) = (u32::from_be_bytes([a, b, c, d]) as usize, u32::from_be_bytes([e, f, g, h]) as usize);
        if key == 0 || key > KEY_BYTES_MAX || value > VALUE_BYTES_MAX {
            return Err(not_a_snapshot("an entry has a size that none can have"));
        }
        let mut bytes = vec![0; key + value];
        from.read_exact(&mut bytes).map_err(broken)?;
        let mut bytes = Bytes::from(bytes);
        let key = bytes.split_to(key);
        each(key, bytes)?;
    }
}

/// Passes on what it reads, and hashes it.
struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hash: Sha256,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
