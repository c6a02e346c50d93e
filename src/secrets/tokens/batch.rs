//! Batch tokens: all that is known of one is in the token itself, encrypted by a key of the data set. They cost no
//! write, so they have no accessor, can't be renewed or revoked, have no children, and end with their time or with the
//! token that made them.

use super::cidrs::Cidr;
use super::record::is_alive;
use super::{TokenInfo, TokenKind};
use crate::clock::UnixMs;
use crate::error::Result;
use crate::secrets::aead;
use crate::secrets::core::{View, decode};
use crate::sensitive::{Key, SensitiveString};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const PREFIX: &str = "b.";

/// What is longer is refused unread: room for many policies and metadata.
const BYTES_MAX: usize = 16 << 10;

/// What a batch token is authenticated as. The last word is the format's version.
const ABOUT: &[u8] = b"twinkeep batch token 2";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchToken {
    pub policies: Vec<String>,
    pub display_name: String,
    pub path: String,
    pub role: Option<String>,
    pub meta: BTreeMap<String, String>,
    pub bound_cidrs: Vec<Cidr>,
    pub created_at: UnixMs,
    pub creation_ttl: Duration,
    pub expires_at: UnixMs,
    /// The hash of the token that made it; `None`: an orphan.
    pub parent: Option<[u8; 32]>,
}

impl BatchToken {
    pub fn info(&self, now: UnixMs) -> TokenInfo {
        TokenInfo {
            kind: TokenKind::Batch,
            accessor: String::new(),
            policies: self.policies.clone(),
            display_name: self.display_name.clone(),
            path: self.path.clone(),
            role: self.role.clone(),
            meta: self.meta.clone(),
            bound_cidrs: self.bound_cidrs.clone(),
            created_at: self.created_at,
            creation_ttl: self.creation_ttl,
            expires_at: Some(self.expires_at),
            ttl: self.expires_at.since(now),
            explicit_max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            renewable: false,
            renewed_at: None,
            uses: 0,
            orphan: self.parent.is_none(),
        }
    }
}

pub fn is_batch(token: &SensitiveString) -> bool {
    token.expose().starts_with(PREFIX)
}

/// The token that says `batch`.
pub fn seal(view: &View, batch: &BatchToken) -> Result<SensitiveString> {
    let plain = zeroize::Zeroizing::new(postcard::to_stdvec(batch)?);
    Ok(SensitiveString::new(format!("{PREFIX}{}", BASE64.encode(aead::encrypt(&key(view), ABOUT, &plain)))))
}

/// What a token says, if this data set made it and neither it nor any that it descends from has ended.
pub fn open(view: &View, token: &SensitiveString) -> Result<Option<BatchToken>> {
    let text = token.expose();
    if text.len() > BYTES_MAX {
        return Ok(None);
    }
    let bytes = text.strip_prefix(PREFIX).and_then(|text| BASE64.decode(text).ok());
    let Some(plain) = bytes.and_then(|bytes| aead::decrypt(&key(view), ABOUT, &bytes)) else { return Ok(None) };
    let batch: BatchToken = decode(&plain)?;
    let good = batch.expires_at > view.now.ms() && is_alive(view, batch.parent)?;
    Ok(good.then_some(batch))
}

fn key(view: &View) -> Key {
    aead::derive(&view.barrier.keyring().token_key(), "twinkeep 2026 batch tokens")
}
