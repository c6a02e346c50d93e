//! Large values cut into pieces, for an engine that stores large ones badly.
//!
//! A key's entry holds either its whole value, or the length of a value whose pieces lie in a key space of their own:
//!
//! ```text
//! [tree] key                          → [00] value
//! [tree] key                          → [01] length as u32 big-endian
//! [tree | 80] key length as u16 big-endian, key, number as u32 big-endian → the piece of that number
//! ```

use crate::error::{Error, Result};
use bytes::Bytes;

/// Values above this are cut into pieces of this.
pub const PIECE_BYTES: usize = 8 << 10;

/// Room that is made for a value before its pieces are read.
const ROOM_BYTES_MAX: usize = 4 << 20;
const WHOLE: u8 = 0;
const IN_PIECES: u8 = 1;
/// Set in the first byte of a piece's key.
const PIECE: u8 = 0x80;

/// What an entry says about its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head<'a> {
    Whole(&'a [u8]),
    InPieces { bytes: usize },
}

impl Head<'_> {
    pub fn parse(entry: &[u8]) -> Result<Head<'_>> {
        let wrong = || Error::corrupt("a stored entry is neither a value nor the head of one");
        match entry.split_first().ok_or_else(wrong)? {
            (&WHOLE, value) => Ok(Head::Whole(value)),
            (&IN_PIECES, length) => {
                let length = length.try_into().map_err(|_| wrong())?;
                Ok(Head::InPieces { bytes: u32::from_be_bytes(length) as usize })
            }
            _ => Err(wrong()),
        }
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> u32 {
        match self {
            Head::Whole(_) => 0,
            Head::InPieces { bytes } => bytes.div_ceil(PIECE_BYTES) as u32,
        }
    }
}

/// The entry of a value, and its pieces if it is too large for an entry.
pub fn cut(value: &[u8]) -> Result<(Vec<u8>, impl Iterator<Item = &[u8]>)> {
    if value.len() <= PIECE_BYTES {
        let mut entry = Vec::with_capacity(1 + value.len());
        entry.push(WHOLE);
        entry.extend_from_slice(value);
        return Ok((entry, [].chunks(PIECE_BYTES)));
    }
    let too_large = |_| Error::internal(format!("a value of {} bytes can't be stored", value.len()));
    let length = u32::try_from(value.len()).map_err(too_large)?;
    let mut entry = vec![IN_PIECES];
    entry.extend_from_slice(&length.to_be_bytes());
    Ok((entry, value.chunks(PIECE_BYTES)))
}

/// The key of piece `number` of the value under `key`, which begins with its tree.
pub fn piece_key(key: &[u8], number: u32) -> Vec<u8> {
    let (tree, rest) = key.split_first().expect("a key begins with its tree");
    let length = u16::try_from(rest.len()).expect("keys are checked before they come here");
    let mut piece = Vec::with_capacity(key.len() + 6);
    piece.push(tree | PIECE);
    piece.extend_from_slice(&length.to_be_bytes());
    piece.extend_from_slice(rest);
    piece.extend_from_slice(&number.to_be_bytes());
    piece
}

/// Puts a value of `bytes` bytes together again.
pub fn join<P: AsRef<[u8]>>(bytes: usize, pieces: impl Iterator<Item = Result<P>>) -> Result<Bytes> {
    // A length that lies takes no room before its pieces are there.
    let mut value = Vec::with_capacity(bytes.min(ROOM_BYTES_MAX));
    for piece in pieces {
        value.extend_from_slice(piece?.as_ref());
    }
    if value.len() != bytes {
        return Err(Error::corrupt(format!("a value of {bytes} bytes has pieces of {}", value.len())));
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_value_survives_the_cut_at_every_edge() {
        for bytes in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 3 * PIECE_BYTES + 1] {
            let value: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
            let (entry, pieces) = cut(&value).unwrap();
            let pieces: Vec<&[u8]> = pieces.collect();
            let head = Head::parse(&entry).unwrap();
            assert_eq!(head.pieces() as usize, pieces.len());
            match head {
                Head::Whole(whole) => assert_eq!(whole, value),
                Head::InPieces { bytes } => assert_eq!(join(bytes, pieces.into_iter().map(Ok)).unwrap(), value),
            }
        }
        assert!(join(3, [Ok("ab")].into_iter()).is_err());
        assert!(Head::parse(b"").is_err() && Head::parse(&[7]).is_err());
    }

    #[test]
    fn pieces_of_two_keys_never_meet() {
        let inside = |key: &[u8], piece: &[u8]| *piece >= *piece_key(key, 0) && *piece <= *piece_key(key, u32::MAX);
        assert!(inside(b"\x04a", &piece_key(b"\x04a", 7)));
        assert!(!inside(b"\x04a", &piece_key(b"\x04a\0\0\0\0", 0)));
        assert!(!inside(b"\x04a", &piece_key(b"\x05a", 0)));
    }
}
