//! Tokens by the ids of their leases, `PATH/HASH`: where they were made, and the beginning of what they are stored under.
//! Only tokens that end have a lease.

use super::TokenInfo;
use super::record::{TokenRecord, good_record};
use super::revoke::Doomed;
use crate::error::Result;
use crate::secrets::core::{View, Written, decode};
use crate::secrets::layout;
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::vault::Vault;
use crate::state::Class;
use crate::storage::{KeyRange, ScanLimit};

/// Bytes of the hash in an id.
const HASH_BYTES: usize = 20;

impl Vault {
    /// The token whose lease this is.
    pub async fn lease(&self, id: &str) -> Result<Option<TokenInfo>> {
        let id = id.to_owned();
        let read = move |view: &View| {
            let Some(hash) = token_of(view, &id)? else { return Ok(None) };
            Ok(good_record(view, hash)?.map(|record| record.info(view.now.ms())))
        };
        self.core.read(read).await
    }

    /// The ids, or the next names of them, below `prefix`, in order.
    pub async fn leases_below(&self, prefix: &str) -> Result<Vec<String>> {
        let prefix = folder(prefix);
        let read = move |view: &View| {
            let mut names = Vec::new();
            for (id, _) in all(view)? {
                let Some(rest) = id.strip_prefix(&prefix) else { continue };
                names.push(rest.split_inclusive('/').next().unwrap_or_default().to_owned());
            }
            names.sort_unstable();
            names.dedup();
            Ok(names)
        };
        self.core.scan(read).await
    }

    /// How many tokens have a lease.
    pub async fn lease_count(&self) -> Result<usize> {
        self.core.scan(|view| Ok(all(view)?.len())).await
    }

    /// Revokes the token whose lease this is, with its family; one that is not there is revoked already.
    pub async fn lease_revoke(&self, id: &str) -> Result<Written<()>> {
        let id = id.to_owned();
        self.revoke_leases(move |view| Ok(token_of(view, &id)?.into_iter().collect())).await
    }

    /// Revokes all tokens whose leases begin with `prefix`, with their families.
    pub async fn lease_revoke_prefix(&self, prefix: &str) -> Result<Written<()>> {
        let prefix = prefix.trim_matches('/').to_owned();
        let below = folder(&prefix);
        let find = move |view: &View| {
            let named = all(view)?.into_iter().filter(|(id, _)| *id == prefix || id.starts_with(&below));
            Ok(named.map(|(_, hash)| hash).collect())
        };
        self.revoke_leases(find).await
    }

    /// In batches of bounded size, until none is left that `find` finds.
    async fn revoke_leases<F>(&self, find: F) -> Result<Written<()>>
    where
        F: Fn(&View) -> Result<Vec<[u8; 32]>> + Clone + Send + 'static,
    {
        loop {
            let find = find.clone();
            let revoke = move |view: &View| {
                let mut doomed = Doomed::default();
                let mut whole = true;
                for hash in find(view)? {
                    if doomed.is_full() {
                        whole = false;
                        break;
                    }
                    whole &= doomed.add_family(view, hash)?;
                }
                let (ops, took_all) = doomed.ops(view)?;
                Ok((whole && took_all, ops))
            };
            let written = self.core.write(Class::TokenRevoke, Lock::Whole(Gate::Tokens), revoke).await?;
            if written.value {
                return Ok(written.map(|_| ()));
            }
        }
    }
}

/// The hash of the token whose lease this is, if it is there.
fn token_of(view: &View, id: &str) -> Result<Option<[u8; 32]>> {
    let id = id.trim_matches('/');
    let mut start = [0; HASH_BYTES];
    let named = id.rsplit_once('/').and_then(|(_, hash)| hex::decode_to_slice(hash, &mut start).ok());
    if named.is_none() {
        return Ok(None);
    }
    let range = KeyRange::prefix(&layout::tokens_beginning(&start));
    for (key, stored) in view.state.scan_data(&range, ScanLimit::entries(2))? {
        let record: TokenRecord = decode(&view.barrier.decrypt(&key, &stored.value)?)?;
        let hash = layout::token_hash(&key)?;
        if record.expires_at.is_some() && id_of(&record, hash) == id {
            return Ok(Some(hash));
        }
    }
    Ok(None)
}

/// All leases, with their tokens' hashes.
fn all(view: &View) -> Result<Vec<(String, [u8; 32])>> {
    let mut leases = Vec::new();
    for (key, stored) in view.state.scan_data(&KeyRange::prefix(layout::TOKENS), ScanLimit::NONE)? {
        let record: TokenRecord = decode(&view.barrier.decrypt(&key, &stored.value)?)?;
        if record.expires_at.is_some_and(|end| end > view.now.ms()) {
            let hash = layout::token_hash(&key)?;
            leases.push((id_of(&record, hash), hash));
        }
    }
    Ok(leases)
}

fn id_of(record: &TokenRecord, hash: [u8; 32]) -> String {
    format!("{}/{}", record.path, hex::encode(&hash[..HASH_BYTES]))
}

/// With a slash at its end, unless it is empty.
fn folder(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}
