//! Secret bytes and strings: they print as redacted, compare in constant time and are wiped when dropped. And what a panic
//! may say.
//!
//! # Comparisons
//!
//! How long it takes to compare something tells nobody anything about a secret, since none is compared byte by byte. Reviewed,
//! and to be kept so:
//!
//! | what | how it is found or compared |
//! |---|---|
//! | tokens of clients, accessors, activation tokens | looked up by a keyed hash: the secret itself is nowhere to compare with |
//! | batch tokens, wrapped keys, the keyring, bodies of a link | an AEAD's tag, which the crates compare in constant time |
//! | unseal shares, of which there may be twins | [`Sensitive`], by `subtle`; their first byte, a share's number, is no secret |
//! | whether shares fit | the root key opens or does not: an AEAD's tag |
//! | proofs of the handshake, MACs of the link, link credentials | `Mac` and `Secret` in `replication/crypto`, by `subtle` |
//! | messages between nodes | a `blake3::Hash`, whose `==` takes constant time |
//! | a joiner's answer, the seal of a snapshot | `subtle`, where they are checked |
//!
//! [`SensitiveString`] has no `==` at all. Nonces of a rekey or an unseal attempt, ids of requests and hashes of plans are no
//! secrets and are compared as any text. Shares and keys are read from hexadecimal and base64 by crates that take tables,
//! which a process on the same core could watch.

use std::any::Any;
use std::fmt;
use std::panic::PanicHookInfo;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that must never reach a log, an error or a screen.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Sensitive(Vec<u8>);

impl Sensitive {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Sensitive {
        Sensitive(bytes.into())
    }

    /// The bytes themselves. Each call is a place to look at in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Sensitive {
    fn eq(&self, other: &Sensitive) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Sensitive {}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} sensitive bytes>", self.0.len())
    }
}

/// A 32-byte key, wiped when dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// A string, such as a token, that must never reach a log, an error or a screen.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SensitiveString(String);

impl SensitiveString {
    pub fn new(text: impl Into<String>) -> SensitiveString {
        SensitiveString(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SensitiveString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sensitive>")
    }
}

/// What a panic says to a log or a terminal: where it was, and its message if that was written down in the source. One that
/// was put together as it ran may hold what it was about.
pub fn panic_text(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
    format!("a bug: panicked at {place}: {}", panic_message(info.payload()))
}

fn panic_message(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(its message is not shown: it may hold a secret)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let bytes = Sensitive::new(b"canary".to_vec());
        let text = SensitiveString::new("canary");
        assert!(!format!("{bytes:?} {text:?}").contains("canary"));
        assert_eq!(bytes, Sensitive::new(b"canary".to_vec()));
    }
    #[test]
    fn a_panic_tells_only_what_the_source_says() {
        let caught = |it: fn()| std::panic::catch_unwind(it).expect_err("a panic");
        let put_together = caught(|| panic!("{}", String::from("canary")));
        assert!(!panic_message(&*put_together).contains("canary"));
        let written = caught(|| panic!("a rule was broken"));
        assert_eq!(panic_message(&*written), "a rule was broken");
    }
}
