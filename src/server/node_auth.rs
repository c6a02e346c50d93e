//! How the nodes of a region prove to each other who they are: a MAC by the region's key over each message.
//!
//! Raft itself bears messages that come twice, late or in another order, so no order is kept here. What a MAC must bind
//! is who a message is for and which request an answer belongs to: else one node's vote could be passed off as
//! another's. Over TLS it binds the sender's certificate too, which the receiver compares with the one that it sees: so
//! nobody in between passes on a message, not even one that he can't read.

use crate::error::{Error, Result};
use crate::sensitive::Key;
use crate::tls::Fingerprint;

pub const NONCE_BYTES: usize = 16;
const CONTEXT: &str = "twinkeep 2026 messages between the nodes of a region v1";

/// One request's frame: the receiver is named by the address that the sender knows it by.
pub struct Frame<'a> {
    pub to_addr: &'a str,
    pub kind: &'a str,
    /// The sender's, which it shows on the connection; `None` without TLS.
    pub certificate: Option<Fingerprint>,
    pub nonce: [u8; NONCE_BYTES],
}

/// What the receiver of a request knows of it.
pub struct Received<'a> {
    pub to_addr: &'a str,
    pub kind: &'a str,
    /// As the connection showed it.
    pub certificate: Option<Fingerprint>,
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

    /// Checks a request's header. The frame, to answer with.
    pub fn check_request<'a>(&self, header: &str, received: &Received<'a>, body: &[u8]) -> Result<Frame<'a>> {
        let mut bytes = [0; NONCE_BYTES + blake3::OUT_LEN];
        hex::decode_to_slice(header, &mut bytes).map_err(|_| Error::PermissionDenied)?;
        let (head, mac) = bytes.split_at(NONCE_BYTES);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(head);
        let Received { to_addr, kind, certificate } = *received;
        let frame = Frame { to_addr, kind, certificate, nonce };
        let expected = self.mac(Direction::Request, &frame, body);
        // Comparing with a `blake3::Hash` takes constant time.
        if expected == *mac { Ok(frame) } else { Err(Error::PermissionDenied) }
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
        let certificate = frame.certificate.as_ref().map_or(&[][..], |certificate| &certificate.0);
        for part in [frame.to_addr.as_bytes(), frame.kind.as_bytes(), certificate, body] {
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

    const FRAME: Frame<'static> =
        Frame { to_addr: "http://a:1", kind: "vote", certificate: None, nonce: [7; NONCE_BYTES] };

    fn auth(byte: u8) -> NodeAuth {
        NodeAuth::new(&Key::new([byte; 32]))
    }

    #[test]
    fn a_message_counts_for_its_receiver_kind_body_and_key_only() {
        let header = auth(1).request_header(&FRAME, b"body");
        let check = |by: u8, header: &str, to_addr, kind, certificate, body: &[u8]| {
            let received = Received { to_addr, kind, certificate };
            auth(by).check_request(header, &received, body).map(|frame| frame.nonce).ok()
        };
        assert_eq!(check(1, &header, "http://a:1", "vote", None, b"body"), Some(FRAME.nonce));
        assert_eq!(check(2, &header, "http://a:1", "vote", None, b"body"), None);
        assert_eq!(check(1, &header, "http://b:1", "vote", None, b"body"), None);
        assert_eq!(check(1, &header, "http://a:1", "append", None, b"body"), None);
        assert_eq!(check(1, &header, "http://a:1", "vote", None, b"bodY"), None);
        assert_eq!(check(1, "", "http://a:1", "vote", None, b"body"), None);
        // Passed on over a connection that shows another certificate, or none.
        let (own, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let header = auth(1).request_header(&Frame { certificate: Some(own), ..FRAME }, b"body");
        assert_eq!(check(1, &header, "http://a:1", "vote", Some(own), b"body"), Some(FRAME.nonce));
        assert_eq!(check(1, &header, "http://a:1", "vote", Some(other), b"body"), None);
        assert_eq!(check(1, &header, "http://a:1", "vote", None, b"body"), None);
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
