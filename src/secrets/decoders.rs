//! What the layer of secrets decodes: its records, once they are decrypted, and what a joining node is told.

use super::audit::AuditTable;
use super::join::{JoinAnswer, JoinChallenge};
use super::keyring::Keyring;
use super::kv::KvMetadata;
use super::layout::SecretPath;
use super::mounts::MountTable;
use super::policy::Policy;
use super::seal::SealRecord;
use super::snapshot::{Meta, Unfinished};
use super::tokens::{TokenRecord, TokenRole, batch::BatchToken};
use crate::decoding::{Decoder, Kind};
use crate::error::{Error, Result};
use crate::sensitive::Sensitive;

pub const DECODERS: &[Decoder] = &[
    Decoder { name: "keyring", again: keyring_again, kind: Kind::Whole },
    Decoder::postcard::<KvMetadata>("kv-metadata"),
    Decoder::postcard::<AuditTable>("audit-table"),
    Decoder::postcard::<MountTable>("mount-table"),
    Decoder::postcard::<TokenRecord>("client-token"),
    Decoder::postcard::<BatchToken>("batch-token"),
    Decoder::postcard::<TokenRole>("token-role"),
    Decoder::json::<Meta>("snapshot-meta"),
    Decoder::postcard::<Unfinished>("unfinished-restore"),
    Decoder::json::<JoinChallenge>("join-challenge"),
    Decoder::json::<JoinAnswer>("join-answer"),
    Decoder { name: "kv-path", again: path_again, kind: Kind::Text },
    Decoder { name: "policy", again: policy_again, kind: Kind::Text },
    Decoder { name: "seal-record", again: |bytes| SealRecord::from_bytes(bytes)?.to_bytes(), kind: Kind::Text },
];

fn keyring_again(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(Keyring::from_bytes(&Sensitive::new(bytes.to_vec()))?.to_bytes()?.expose().to_vec())
}

/// A secret's path as a client names it.
fn path_again(text: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| Error::invalid("the path is no text"))?;
    Ok(SecretPath::parse(text)?.as_str().as_bytes().to_vec())
}

/// A policy is kept as its author wrote it.
fn policy_again(text: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| Error::invalid("the policy is no text"))?;
    Policy::parse(text)?;
    Ok(text.as_bytes().to_vec())
}
