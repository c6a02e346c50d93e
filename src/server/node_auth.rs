//! How the nodes of a region prove to each other who they are: a MAC by the region's key over each message.
//!
//! Raft itself bears messages that come twice, late or in another order, so no order is kept here. What a MAC must bind
//! is who a message is for and which request an answer belongs to: else one node's vote could be passed off as
//! another's.

use crate::error::{Error, Result};
use crate::sensitive::Key;

pub const NONCE_BYTES: usize = 16;
const CONTEXT: &str = "twinkeep 2026 messages between the nodes of a region v1";

/// One request's frame: the receiver is named by the address that the sender knows it by.
pub struct Frame<'a> {
    pub to_addr: &'a str,
    pub kind: &'a str,
    pub nonce: [u8; NONCE_BYTES],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request = 1,
    Answer = 2,
}

/// Makes and checks MACs.
pub struct NodeAuth {
    key: [u8; 32],
}

impl NodeAuth {
    pub fn new(raft_key: &Key) -> NodeAuth {
        NodeAuth { key: blake3::derive_key(CONTEXT, raft_key.as_slice()) }
    }

    /// What a request carries in its header: the nonce and the MAC.
    pub fn request_header(&self, frame: &Frame<'_>, body: &[u8]) -> String {
        format!("{}{}", hex::encode(frame.nonce), self.mac(Direction::Request, frame, body).to_hex())
    }

    /// Checks a request's header. The nonce, to answer with.
    pub fn check_request(&self, header: &str, to_addr: &str, kind: &str, body: &[u8]) -> Result<[u8; NONCE_BYTES]> {
        let mut bytes = [0; NONCE_BYTES + blake3::OUT_LEN];
        hex::decode_to_slice(header, &mut bytes).map_err(|_| Error::PermissionDenied)?;
        let (head, mac) = bytes.split_at(NONCE_BYTES);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(head);
        let expected = self.mac(Direction::Request, &Frame { to_addr, kind, nonce }, body);
        // Comparing with a `blake3::Hash` takes constant time.
        if expected == *mac { Ok(nonce) } else { Err(Error::PermissionDenied) }
    }

    /// What the answer to `frame` carries in its header.
    pub fn answer_header(&self, frame: &Frame<'_>, body: &[u8]) -> String {
        self.mac(Direction::Answer, frame, body).to_hex().to_string()
    }

    pub fn check_answer(&self, header: &str, frame: &Frame<'_>, body: &[u8]) -> Result<()> {
        let given = blake3::Hash::from_hex(header).map_err(|_| Error::PermissionDenied)?;
        if given == self.mac(Direction::Answer, frame, body) { Ok(()) } else { Err(Error::PermissionDenied) }
    }

    fn mac(&self, direction: Direction, frame: &Frame<'_>, body: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[direction as u8]);
        hasher.update(&frame.nonce);
        for part in [frame.to_addr.as_bytes(), frame.kind.as_bytes(), body] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }
}

impl Drop for NodeAuth {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'static> = Frame { to_addr: "http://a:1", kind: "vote", nonce: [7; NONCE_BYTES] };

    fn auth(byte: u8) -> NodeAuth {
        NodeAuth::new(&Key::new([byte; 32]))
    }

    #[test]
    fn a_message_counts_for_its_receiver_kind_body_and_key_only() {
        let header = auth(1).request_header(&FRAME, b"body");
        assert_eq!(auth(1).check_request(&header, "http://a:1", "vote", b"body").ok(), Some(FRAME.nonce));
        assert!(auth(2).check_request(&header, "http://a:1", "vote", b"body").is_err());
        assert!(auth(1).check_request(&header, "http://b:1", "vote", b"body").is_err());
        assert!(auth(1).check_request(&header, "http://a:1", "append", b"body").is_err());
        assert!(auth(1).check_request(&header, "http://a:1", "vote", b"bodY").is_err());
        assert!(auth(1).check_request("", "http://a:1", "vote", b"body").is_err());
    }

    #[test]
    fn an_answer_counts_for_its_request_only_and_no_request_is_an_answer() {
        let header = auth(1).answer_header(&FRAME, b"yes");
        assert!(auth(1).check_answer(&header, &FRAME, b"yes").is_ok());
        let other = Frame { nonce: [8; NONCE_BYTES], ..FRAME };
        assert!(auth(1).check_answer(&header, &other, b"yes").is_err());
        let request = auth(1).request_header(&FRAME, b"yes");
        assert!(auth(1).check_answer(&request[NONCE_BYTES * 2..], &FRAME, b"yes").is_err());
    }
}
