//! The activation token: made on a standby, given to a primary, spent once.
//!
//! `s.` and, in base64url without padding: a version byte, the postcard of `Contents`, eight bytes of checksum. The
//! checksum is no protection, it tells a token that was cut or mistyped from one that is wrong.

use super::crypto::Secret;
use crate::clock::UnixMs;
use crate::decoding::{Decoder, Kind};
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::tls::Fingerprint;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;

const PREFIX: &str = "s.";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
/// Longer texts are not even decoded.
const TOKEN_CHARS_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 256;
const ADDRESSES_MAX: usize = 16;

/// What a primary learns from a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationToken {
    pub path: String,
    /// The standby that made it.
    pub region: RegionId,
    pub region_name: String,
    /// API addresses of its nodes, best first.
    pub addresses: Vec<String>,
    pub expires_at: UnixMs,
    /// Names the token without giving it away.
    pub accessor: String,
    /// Proven in the handshake, never sent.
    pub secret: Secret,
    /// The certificates of its nodes; empty if they speak plain HTTP or are known to an authority.
    pub fingerprints: Vec<Fingerprint>,
    /// X25519: the keyring is sealed to it.
    pub sealing_key: [u8; 32],
}

impl ActivationToken {
    /// The text that people carry over.
    pub fn encode(&self) -> Result<String> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&postcard::to_stdvec(self)?);
        bytes.extend_from_slice(&checksum(&bytes));
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        if text.len() > TOKEN_CHARS_MAX {
            return Err(Error::invalid("the region's names and addresses are too long for an activation token"));
        }
        Ok(text)
    }

    pub fn decode(text: &str) -> Result<ActivationToken> {
        let text = text.trim();
        if text.len() > TOKEN_CHARS_MAX {
            return Err(wrong("it is longer than any activation token"));
        }
        let encoded = text.strip_prefix(PREFIX).ok_or_else(|| wrong("it does not begin with `s.`"))?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| wrong("it was cut or changed on the way"))?;
        let at = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|at| *at > 0);
        let (body, sum) = bytes.split_at(at.ok_or_else(|| wrong("it was cut on the way"))?);
        if checksum(body) != *sum {
            return Err(wrong("it was cut or changed on the way"));
        }
        if body[0] != VERSION {
            return Err(wrong("another version of Twinkeep made it"));
        }
        let token: ActivationToken =
            postcard::from_bytes(&body[1..]).map_err(|_| wrong("its contents don't decode"))?;
        let names = [&token.path, &token.region_name, &token.accessor].into_iter().chain(&token.addresses);
        if names.into_iter().any(|name| name.len() > NAME_BYTES_MAX) {
            return Err(wrong("a name in it is too long"));
        }
        if token.addresses.len() > ADDRESSES_MAX || token.fingerprints.len() > ADDRESSES_MAX {
            return Err(wrong("it names too many nodes"));
        }
        Ok(token)
    }

    /// What the standby keeps of the secret, and both sides prove to each other.
    pub fn proof_key(&self) -> Secret {
        proof_key(&self.secret)
    }
}

pub(super) const DECODERS: &[Decoder] = &[
    Decoder::postcard::<ActivationToken>("token-contents"),
    Decoder { name: "activation-token", again: text_again, kind: Kind::Text },
];

fn text_again(text: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| wrong("it is no text"))?;
    Ok(ActivationToken::decode(text)?.encode()?.into_bytes())
}

impl fmt::Debug for ActivationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivationToken {{ accessor: {}, region: {}, … }}", self.accessor, self.region_name)
    }
}

/// The hash of a token's secret.
pub fn proof_key(secret: &Secret) -> Secret {
    secret.derive("twinkeep 2026 activation token proof", &[])
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM_BYTES]);
    sum
}

fn wrong(why: &str) -> Error {
    Error::invalid(format!(
        "this is no activation token of a standby region: {why}. Copy it whole, or make one there with \
         `twinkeep replication generate-token`"
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::replication) fn token() -> ActivationToken {
        ActivationToken {
            path: "default".into(),
            region: RegionId([2; 16]),
            region_name: "eu-west-1".into(),
            addresses: vec!["http://127.0.0.2:8200".into()],
            expires_at: UnixMs(1_800_000),
            accessor: "accessor-of-the-token".into(),
            secret: Secret::new([9; 32]),
            fingerprints: vec![Fingerprint([3; 32])],
            sealing_key: [4; 32],
        }
    }

    #[test]
    fn a_token_survives_the_way_with_blanks_around_it() {
        let text = token().encode().expect("encoded");
        assert!(text.starts_with("s."));
        assert_eq!(ActivationToken::decode(&format!("  {text}\n")).expect("decoded"), token());
        assert!(!format!("{:?}", token()).contains("09"));
    }

    #[test]
    fn every_changed_cut_or_foreign_text_is_refused_with_what_to_do() {
        let text = token().encode().expect("encoded");
        for at in 2..text.len() {
            let mut changed: Vec<u8> = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("still ASCII");
            let error = ActivationToken::decode(&changed).expect_err("a changed token");
            assert!(error.to_string().contains("generate-token"), "{error}");
            assert!(ActivationToken::decode(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(ActivationToken::decode("hvs.CAESI").is_err());
        assert!(ActivationToken::decode("").is_err());
        assert!(ActivationToken::decode(&format!("s.{}", "A".repeat(TOKEN_CHARS_MAX))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(text in ".{0,200}") {
            let _ = ActivationToken::decode(&text);
        }

        #[test]
        fn no_contents_with_a_right_checksum_make_it_panic(contents in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = vec![VERSION];
            bytes.extend_from_slice(&contents);
            bytes.extend_from_slice(&checksum(&bytes));
            let _ = ActivationToken::decode(&format!("s.{}", URL_SAFE_NO_PAD.encode(&bytes)));
        }
    }
}
