//! What a region keeps of a link: `Key::Link(other region)` in its own tree, on both sides.
//!
//! The record has no direction: whoever is primary dials, so that after a promotion the same record, with the same
//! credential, works the other way round.

use super::credential::Credential;
use super::crypto::Secret;
use super::protocol::{Adoption, Peer};
use super::token_records::{self, Fate, Use};
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::state::{RegionChange, State};
use crate::storage::keys::{self, Key};
use crate::tls::Fingerprint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Requests in flight on a link, unless the operator says otherwise, and at most.
pub const MAX_PARALLEL_DEFAULT: u32 = 8;
pub const MAX_PARALLEL_MAX: u32 = 64;

/// The stored record of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    pub region: RegionId,
    pub name: String,
    /// API addresses of the other region, as configured or handed over, best first.
    pub addresses: Vec<String>,
    /// The certificates of its nodes; empty if they speak plain HTTP or are known to an authority.
    pub fingerprints: Vec<Fingerprint>,
    pub max_parallel: u32,
    pub paused: bool,
    pub created_at: UnixMs,
    /// Names the activation token that the link was, or will be, made with.
    pub accessor: String,
    /// A random number for each time that a token is presented, so that what became of one attempt is not taken for
    /// another's.
    pub attempt: u64,
    /// Of an activated link. Stays while a newer token waits to replace it.
    pub credential: Option<Credential>,
    pub pending: Option<Pending>,
    /// The activated link that `pending` is to replace. It is put back if the token is refused for good.
    pub before: Option<Box<LinkRecord>>,
    /// Of a link between two standbys: the primary that introduced them (`news`). `None`: made with a token.
    pub introduced_by: Option<RegionId>,
}

/// An activation that is not done yet: on the primary only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pending {
    /// The token, as the operator gave it.
    Token(String),
    /// The finish was made and may have got through: it must be repeated as it is, with the credential it leads to.
    Finishing { request: Bytes, credential: Secret },
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Pending::Token(_) => "Token(<sensitive>)",
            Pending::Finishing { .. } => "Finishing { … }",
        })
    }
}

impl LinkRecord {
    pub fn key(&self) -> Bytes {
        Key::Link(self.region).to_bytes()
    }

    pub fn to_bytes(&self) -> Result<Bytes> {
        Ok(postcard::to_stdvec(self)?.into())
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<LinkRecord> {
        postcard::from_bytes(bytes).map_err(|_| Error::corrupt("a link's record does not decode"))
    }

    /// The record in the core's words.
    pub fn peer(&self) -> Peer {
        Peer {
            region: self.region,
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            activated: self.pending.is_none(),
            known: self.credential.is_some(),
            paused: self.paused,
            max_parallel: self.max_parallel,
        }
    }

    /// The link that works, or that did: this one, or the one that it is to replace.
    pub fn activated(&self) -> Option<&LinkRecord> {
        if self.pending.is_none() { Some(self) } else { self.before.as_deref() }
    }

    /// Whether the other side is reached over TLS.
    pub fn tls(&self) -> bool {
        self.addresses.first().is_some_and(|address| address.starts_with("https://"))
    }
}

pub fn list(state: &State) -> Result<Vec<LinkRecord>> {
    let pairs = state.scan_region(keys::LINKS)?;
    pairs.iter().map(|(_, value)| LinkRecord::from_bytes(value)).collect()
}

pub fn get(state: &State, region: RegionId) -> Result<Option<LinkRecord>> {
    let bytes = state.region(&Key::Link(region))?;
    bytes.map(|bytes| LinkRecord::from_bytes(&bytes)).transpose()
}

/// Puts `next` in the place of `before`, unless somebody changed it meanwhile.
pub fn replacement(before: Option<&LinkRecord>, next: &LinkRecord) -> Result<RegionChange> {
    let expected = before.map(LinkRecord::to_bytes).transpose()?;
    Ok(RegionChange {
        expect: vec![(next.key(), expected)],
        puts: vec![(next.key(), Some(next.to_bytes()?))],
        path: None,
    })
}

pub fn removal(record: &LinkRecord) -> Result<RegionChange> {
    Ok(RegionChange {
        expect: vec![(record.key(), Some(record.to_bytes()?))],
        puts: vec![(record.key(), None)],
        path: None,
    })
}

/// What the core is to know of the links, and whose data this region agreed to take over: that of the newest used
/// token, as long as its link was not disconnected.
pub fn peers(state: &State) -> Result<(Vec<Peer>, Option<Adoption>)> {
    let links = list(state)?;
    let used = token_records::list(state)?.into_iter().filter_map(|record| match record.fate {
        Fate::Used(used) => Some(used),
        Fate::Issued { .. } | Fate::Revoked { .. } | Fate::Expired => None,
    });
    Ok((links.iter().map(LinkRecord::peer).collect(), adoption(used, &links)))
}

/// The newest is looked for first: that its link is gone makes no older one count again.
fn adoption(used: impl Iterator<Item = Use>, links: &[LinkRecord]) -> Option<Adoption> {
    let newest = used.max_by_key(|used| used.at)?;
    let linked = links.iter().any(|link| link.region == newest.by);
    linked.then_some(Adoption { from: newest.by, dataset: newest.dataset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DatasetId;

    /// Its operator disconnected the newest, and an older one still dials: it must not take this region over.
    #[test]
    fn who_was_disconnected_is_not_followed_by_an_older_one() {
        let used = |number: u8| Use {
            by: RegionId([number; 16]),
            by_name: "a region".into(),
            at: UnixMs(number.into()),
            dataset: DatasetId([number; 16]),
            finish: [0; 32],
        };
        let link = |number: u8| LinkRecord { region: RegionId([number; 16]), ..record() };
        let adopted = |links: &[LinkRecord]| adoption([used(1), used(2)].into_iter(), links).map(|it| it.from);
        assert_eq!(adopted(&[link(1), link(2)]), Some(RegionId([2; 16])));
        assert_eq!(adopted(&[link(1)]), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let record = record();
        assert!(!format!("{record:?}").contains("canary"));
        assert_eq!(LinkRecord::from_bytes(&record.to_bytes().expect("bytes")).expect("record"), record);
        assert!(!record.peer().activated && !record.tls());
    }

    fn record() -> LinkRecord {
        LinkRecord {
            region: RegionId([1; 16]),
            name: "us-east-1".into(),
            addresses: vec!["http://127.0.0.1:8200".into()],
            fingerprints: Vec::new(),
            max_parallel: MAX_PARALLEL_DEFAULT,
            paused: false,
            created_at: UnixMs(0),
            accessor: "accessor".into(),
            attempt: 0,
            credential: Some(Credential::new(Secret::new(*b"canary-canary-canary-canary-cana"), UnixMs(0))),
            pending: Some(Pending::Token("s.canary".into())),
            before: None,
            introduced_by: None,
        }
    }
}
