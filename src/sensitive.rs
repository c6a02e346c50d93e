//! Secret bytes and strings: they print as redacted, compare in constant time and are wiped when dropped.

use std::fmt;
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
}
