//! Renewing a token: it lives on from now, as long as its bounds allow.

use super::leases::Grant;
use super::{Caller, TokenInfo, batch, hash_of, hash_of_accessor, record, roles};
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written};
use crate::secrets::layout::Record;
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::mounts;
use crate::secrets::vault::Vault;
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op};
use std::time::Duration;

/// What became of a token, and a warning if it got less than was asked for.
pub type Renewed = (TokenInfo, Option<String>);

impl Vault {
    /// `Error::NotFound("token not found")` if there is none such.
    pub async fn token_renew(&self, token: &SensitiveString, increment: Duration) -> Result<Written<Renewed>> {
        if batch::is_batch(token) {
            return Err(batch_ends());
        }
        let hash = self.core.read_local(|view| Ok(hash_of(view, token)))?;
        self.renew(hash.ok_or_else(|| missing("token not found"))?, increment, "token not found").await
    }

    pub async fn token_renew_self(&self, caller: &Caller, increment: Duration) -> Result<Written<Renewed>> {
        let hash = caller.hash().ok_or_else(batch_ends)?;
        self.renew(hash, increment, "token not found").await
    }

    pub async fn token_renew_accessor(&self, accessor: &str, increment: Duration) -> Result<Written<Renewed>> {
        let hash = self.core.read_local(|view| hash_of_accessor(view, accessor))?;
        self.renew(hash.ok_or_else(|| missing("invalid accessor"))?, increment, "invalid accessor").await
    }

    async fn renew(&self, hash: [u8; 32], increment: Duration, none: &'static str) -> Result<Written<Renewed>> {
        let leases = self.core.leases();
        let renew = move |view: &View| {
            let leases = mounts::token_leases(view, leases)?;
            let now = view.now.ms();
            let mut record = record::good_record(view, hash)?.ok_or_else(|| missing(none))?;
            let end = record.expires_at.filter(|_| record.renewable);
            let end = end.ok_or_else(|| Error::invalid("lease is not renewable"))?;
            let mut explicit_max_ttl = record.explicit_max_ttl;
            // A role's bounds are those of now. Whoever deleted it meant its tokens to end.
            if let Some(name) = record.role.as_deref() {
                let gone =
                    || Error::invalid(format!("original token role \"{name}\" could not be found, not renewing"));
                let role = roles::get(view, name)?.ok_or_else(gone)?;
                record.period = role.period;
                // The token's own bound is as hard, and stays what it is while the role's changes.
                let bounds = [record.explicit_max_ttl, role.explicit_max_ttl];
                explicit_max_ttl = bounds.into_iter().filter(|max| !max.is_zero()).min().unwrap_or_default();
            }
            let (ttl, warning) = leases.grant(Grant {
                increment,
                ttl: record.ttl,
                period: record.period,
                explicit_max_ttl,
                // In whole seconds, as all of these are: what is renewed at once is not cut.
                age: Duration::from_secs((now.0 / 1000).saturating_sub(record.created_at.0 / 1000)),
            });
            if ttl.is_zero() {
                return Err(Error::invalid("past the max TTL, cannot renew"));
            }
            record.ends_after(ttl, now);
            record.renewed_at = Some(now);
            let mut ops = vec![view.put(Record::Token(hash).key(&view.barrier)?, &record)?];
            let new_end = now.plus(ttl);
            if new_end != end {
                ops.push(Op::Delete { key: Record::Expiry(end, hash).key(&view.barrier)? });
                ops.push(view.put_bytes(Record::Expiry(new_end, hash).key(&view.barrier)?, &[]));
            }
            Ok(((record.info(now), warning), ops))
        };
        self.core.write(Class::TokenCreate, Lock::Within(Gate::Tokens, hash.to_vec()), renew).await
    }
}

/// Its end stands in itself.
fn batch_ends() -> Error {
    Error::invalid("batch tokens cannot be renewed")
}

fn missing(text: &str) -> Error {
    Error::NotFound(text.to_owned())
}
