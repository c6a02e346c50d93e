//! What a standby keeps of its activation tokens: `Key::ActivationToken` in the region's own tree.
//!
//! A record never holds the token: only the hash of its secret, and, while the token can still be used, the key
//! that opens what is sealed to it. Every change is agreed on by the region, guarded by the record as it was read.

use super::context::agree;
use super::crypto::{self, Secret};
use super::token::{ActivationToken, proof_key};
use crate::api::replication::{RegionInfoShort, TokenInfo, TokenState, TokenSummary};
use crate::clock::{self, UnixMs};
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, RegionId};
use crate::state::{RegionChange, State};
use crate::storage::keys::{self, Key};
use crate::tls::Fingerprint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub const TTL_DEFAULT: Duration = Duration::from_secs(30 * 60);
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Records of tokens that were never used are kept so long after they expired, to say what became of them.
const KEEP_DEAD: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Issued tokens at one time.
const ISSUED_MAX: usize = 64;
const ACCESSOR_BYTES: usize = 12;

/// The stored record of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub accessor: String,
    pub path: String,
    pub created_at: UnixMs,
    pub expires_at: UnixMs,
    /// Whether the operator agreed that secrets which only this region holds may be replaced.
    pub forced: bool,
    /// The hash of the secret: both sides prove to each other that they hold it.
    pub proof_key: Secret,
    pub fate: Fate,
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It can be used once, until it expires. The key opens the keyring that the primary will send.
    Issued {
        opening_key: Secret,
    },
    Used(Use),
    Revoked {
        at: UnixMs,
    },
    /// Its time was over when the region looked; the opening key is gone.
    Expired,
}

/// How a token was spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub by: RegionId,
    pub by_name: String,
    pub at: UnixMs,
    /// The data set that this region agreed to take over in place of its own.
    pub dataset: DatasetId,
    /// The hash of the finish that spent it: the same one may be repeated.
    pub finish: [u8; 32],
}

impl TokenRecord {
    /// The state at `now`, whether or not the region has already written down that it expired.
    pub fn state(&self, now: UnixMs) -> TokenState {
        match &self.fate {
            Fate::Issued { .. } if now < self.expires_at => TokenState::Issued,
            Fate::Issued { .. } | Fate::Expired => TokenState::Expired,
            Fate::Used(_) => TokenState::Used,
            Fate::Revoked { .. } => TokenState::Revoked,
        }
    }

    pub fn info(&self, now: UnixMs) -> TokenInfo {
        let (used_by, used_at, revoked_at) = match &self.fate {
            Fate::Used(used) => {
                (Some(RegionInfoShort { id: used.by, name: used.by_name.clone() }), Some(used.at), None)
            }
            Fate::Revoked { at } => (None, None, Some(*at)),
            Fate::Issued { .. } | Fate::Expired => (None, None, None),
        };
        TokenInfo {
            accessor: self.accessor.clone(),
            state: self.state(now),
            created_at: self.created_at,
            expires_at: self.expires_at,
            used_by,
            used_at,
            revoked_at,
        }
    }

    pub fn key(&self) -> Bytes {
        Key::ActivationToken(self.accessor.clone()).to_bytes()
    }

    pub fn to_bytes(&self) -> Result<Bytes> {
        Ok(postcard::to_stdvec(self)?.into())
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<TokenRecord> {
        postcard::from_bytes(bytes).map_err(|_| Error::corrupt("an activation token's record does not decode"))
    }
}

/// Who makes a token, and how it is reached.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub path: String,
    pub region: RegionId,
    pub region_name: String,
    pub addresses: Vec<String>,
    pub fingerprints: Vec<Fingerprint>,
}

/// Makes a token and agrees on its record.
pub async fn generate(
    consensus: &dyn Consensus,
    issuer: Issuer,
    ttl: Duration,
    forced: bool,
) -> Result<(String, TokenRecord)> {
    if ttl.is_zero() || ttl > TTL_MAX {
        return Err(Error::invalid("an activation token lives at least a second and at most a day (-ttl)"));
    }
    let now = clock::now();
    let issued = list(consensus.state())?.iter().filter(|token| token.state(now) == TokenState::Issued).count();
    if issued >= ISSUED_MAX {
        return Err(Error::Conflict(format!(
            "{issued} activation tokens are waiting to be used already: revoke some with `twinkeep replication revoke-token`"
        )));
    }
    let (opening_key, sealing_key) = crypto::key_pair();
    let token = ActivationToken {
        path: issuer.path.clone(),
        region: issuer.region,
        region_name: issuer.region_name,
        addresses: issuer.addresses,
        expires_at: now.plus(ttl),
        accessor: hex::encode(clock::random_bytes::<ACCESSOR_BYTES>()),
        secret: Secret::random(),
        fingerprints: issuer.fingerprints,
        sealing_key,
    };
    let record = TokenRecord {
        accessor: token.accessor.clone(),
        path: issuer.path,
        created_at: now,
        expires_at: token.expires_at,
        forced,
        proof_key: proof_key(&token.secret),
        fate: Fate::Issued { opening_key },
    };
    let text = token.encode()?;
    let key = record.key();
    let change =
        RegionChange { expect: vec![(key.clone(), None)], puts: vec![(key, Some(record.to_bytes()?))], path: None };
    agree(consensus, change).await?;
    Ok((text, record))
}

/// All records, by accessor.
pub fn list(state: &State) -> Result<Vec<TokenRecord>> {
    let pairs = state.scan_region(keys::ACTIVATION_TOKENS)?;
    pairs.iter().map(|(_, value)| TokenRecord::from_bytes(value)).collect()
}

pub fn get(state: &State, accessor: &str) -> Result<Option<TokenRecord>> {
    let bytes = state.region(&Key::ActivationToken(accessor.to_owned()))?;
    bytes.map(|bytes| TokenRecord::from_bytes(&bytes)).transpose()
}

/// Revokes an issued token. One that can't be used any more stays what it was; to revoke twice is no error.
pub async fn revoke(consensus: &dyn Consensus, accessor: &str) -> Result<TokenRecord> {
    let record = get(consensus.state(), accessor)?
        .ok_or_else(|| Error::NotFound(format!("no activation token has the accessor {accessor}")))?;
    let now = clock::now();
    match record.state(now) {
        TokenState::Revoked | TokenState::Expired => return Ok(record),
        TokenState::Used => {
            return Err(Error::Conflict(
                "the token was used already: disconnect the link that it made to take back what it gave".into(),
            ));
        }
        TokenState::Issued => {}
    }
    replace(consensus, &record, Some(Fate::Revoked { at: now })).await
}

/// Forgets the opening keys of expired tokens, and, after a week, tokens that were never used. Returns the
/// records whose expiry it wrote down.
pub async fn sweep(consensus: &dyn Consensus) -> Result<Vec<TokenRecord>> {
    let now = clock::now();
    let mut expired = Vec::new();
    for record in list(consensus.state())? {
        if matches!(record.fate, Fate::Issued { .. }) && record.state(now) == TokenState::Expired {
            expired.push(replace(consensus, &record, Some(Fate::Expired)).await?);
        } else if matches!(record.fate, Fate::Revoked { .. } | Fate::Expired)
            && now.since(record.expires_at) > KEEP_DEAD
        {
            replace(consensus, &record, None).await?;
        }
    }
    Ok(expired)
}

pub fn summary(records: &[TokenRecord], now: UnixMs) -> TokenSummary {
    let mut summary = TokenSummary::default();
    for record in records {
        match record.state(now) {
            TokenState::Issued => {
                summary.issued += 1;
                let next = summary.next_expiry_at.map_or(record.expires_at, |at| at.min(record.expires_at));
                summary.next_expiry_at = Some(next);
            }
            TokenState::Used => summary.used += 1,
            TokenState::Expired => summary.expired += 1,
            TokenState::Revoked => summary.revoked += 1,
        }
    }
    summary
}

/// Puts a new fate into a record that nobody changed meanwhile; `None` removes the record.
async fn replace(consensus: &dyn Consensus, record: &TokenRecord, fate: Option<Fate>) -> Result<TokenRecord> {
    let next = fate.as_ref().map(|fate| TokenRecord { fate: fate.clone(), ..record.clone() });
    let put = next.as_ref().map(TokenRecord::to_bytes).transpose()?;
    let change = RegionChange {
        expect: vec![(record.key(), Some(record.to_bytes()?))],
        puts: vec![(record.key(), put)],
        path: None,
    };
    agree(consensus, change).await?;
    Ok(next.unwrap_or_else(|| record.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::direct::Direct;
    use crate::storage::memory::Memory;
    use std::sync::Arc;

    fn region() -> Direct {
        let state = State::open(Arc::new(Memory::new()), "default").expect("an empty region");
        Direct::new(Arc::new(state))
    }

    fn issuer() -> Issuer {
        Issuer {
            path: "default".into(),
            region: RegionId([2; 16]),
            region_name: "eu-west-1".into(),
            addresses: vec!["http://127.0.0.2:8200".into()],
            fingerprints: Vec::new(),
        }
    }

    #[tokio::test]
    async fn the_record_says_what_the_token_says_but_never_its_secret() {
        let region = region();
        let (text, record) = generate(&region, issuer(), TTL_DEFAULT, false).await.expect("a token");
        let token = ActivationToken::decode(&text).expect("decodes");
        assert_eq!(get(region.state(), &token.accessor).expect("read"), Some(record.clone()));
        let stored = region.state().region(&Key::ActivationToken(token.accessor.clone())).expect("read");
        let stored = stored.expect("the record");
        assert!(!stored.windows(32).any(|window| window == token.secret.expose()));
        assert_eq!(record.proof_key, token.proof_key());
        assert_eq!(summary(&list(region.state()).expect("listed"), clock::now()).issued, 1);
    }

    #[tokio::test]
    async fn a_revoked_token_forgets_its_key_and_stays_revoked() {
        let region = region();
        let (_, record) = generate(&region, issuer(), TTL_DEFAULT, false).await.expect("a token");
        let revoked = revoke(&region, &record.accessor).await.expect("revoked");
        assert_eq!(revoked.state(clock::now()), TokenState::Revoked);
        assert_eq!(revoke(&region, &record.accessor).await.expect("again"), revoked);
        assert!(matches!(revoke(&region, "unknown").await, Err(Error::NotFound(_))));
    }

    #[tokio::test]
    async fn expiry_is_known_before_and_after_the_region_wrote_it_down() {
        let region = region();
        let (_, record) = generate(&region, issuer(), Duration::from_secs(1), false).await.expect("a token");
        assert_eq!(record.state(record.expires_at), TokenState::Expired);
        let overdue = TokenRecord { expires_at: UnixMs(clock::now().0 - 1), ..record.clone() };
        let change = RegionChange {
            puts: vec![(overdue.key(), Some(overdue.to_bytes().expect("bytes")))],
            ..RegionChange::default()
        };
        agree(&region, change).await.expect("stored");
        assert_eq!(sweep(&region).await.expect("swept").len(), 1);
        let swept = get(region.state(), &record.accessor).expect("read").expect("kept for a week");
        assert_eq!(swept.fate, Fate::Expired);
    }

    #[tokio::test]
    async fn a_ttl_of_nothing_or_of_more_than_a_day_is_refused() {
        let region = region();
        for ttl in [Duration::ZERO, TTL_MAX + Duration::from_secs(1)] {
            assert!(matches!(generate(&region, issuer(), ttl, false).await, Err(Error::Invalid(_))));
        }
    }
}
