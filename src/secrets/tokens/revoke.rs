//! Revoking tokens, with all that descend from them, in batches of bounded size: children first, so that what is left
//! when a batch is lost is still a family.

use super::record::TokenRecord;
use super::{Caller, batch, hash_of, hash_of_accessor};
use crate::error::{Error, Result};
use crate::secrets::core::{View, Written};
use crate::secrets::layout::{self, Record, Shelf};
use crate::secrets::lock::{Gate, Lock};
use crate::secrets::vault::Vault;
use crate::sensitive::SensitiveString;
use crate::state::{Class, Op};
use crate::storage::{KeyRange, ScanLimit};
use std::collections::HashSet;

/// One batch revokes at most so many tokens, and not many more bytes of keys than this; a larger family goes in several.
/// With its cubbyhole a single token may bring more, but never more than one message between nodes or regions can carry.
pub const REVOKE_BATCH: usize = 500;
const REVOKE_BYTES: usize = 1 << 20;

/// It is stored nowhere, so there is nothing to take away.
fn batch_stays() -> Error {
    Error::invalid("batch tokens cannot be revoked")
}

/// What one step takes away of the token with this hash.
type TakeStep = fn(&View, [u8; 32]) -> Result<(Step, Vec<Op>)>;

impl Vault {
    /// Revokes a token and all that descend from it. One that does not exist is revoked already.
    pub async fn token_revoke(&self, token: &SensitiveString) -> Result<Written<()>> {
        if batch::is_batch(token) {
            return Err(batch_stays());
        }
        let token = token.clone();
        let revoked = self.revoke(move |view| Ok(hash_of(view, &token))).await?;
        Ok(revoked.map(|_| ()))
    }

    pub async fn token_revoke_self(&self, caller: &Caller) -> Result<Written<()>> {
        let hash = caller.hash().ok_or_else(batch_stays)?;
        Ok(self.revoke(move |_| Ok(Some(hash))).await?.map(|_| ()))
    }

    /// As `token_revoke`; an unknown accessor is `Error::NotFound("invalid accessor")`.
    pub async fn token_revoke_accessor(&self, accessor: &str) -> Result<Written<()>> {
        let accessor = accessor.to_owned();
        let revoked = self.revoke(move |view| hash_of_accessor(view, &accessor)).await?;
        if revoked.value { Ok(revoked.map(|_| ())) } else { Err(Error::NotFound("invalid accessor".into())) }
    }

    /// Revokes a token alone: its children become orphans.
    pub async fn token_revoke_orphan(&self, token: &SensitiveString) -> Result<Written<()>> {
        if batch::is_batch(token) {
            return Err(batch_stays());
        }
        let token = token.clone();
        let named = move |view: &View| Ok(hash_of(view, &token));
        let revoked = self.in_steps(named, free_children_and_remove).await?;
        if revoked.value { Ok(revoked.map(|_| ())) } else { Err(Error::invalid("token to revoke not found")) }
    }

    /// Revokes the token that `named` finds, with its family. Says whether there was one.
    async fn revoke<F>(&self, named: F) -> Result<Written<bool>>
    where
        F: Fn(&View) -> Result<Option<[u8; 32]>> + Clone + Send + 'static,
    {
        self.in_steps(named, |view, hash| {
            let mut doomed = Doomed::default();
            let found_all = doomed.add_family(view, hash)?;
            let (mut ops, took_all) = doomed.ops(view)?;
            let whole = found_all && took_all;
            if !whole {
                // From now on none of the family is good, whatever becomes of this revocation: the sweep ends it.
                ops.extend(end_now(view, hash)?);
            }
            Ok((Step { any: !ops.is_empty(), more: !whole }, ops))
        })
        .await
    }

    async fn in_steps<F>(&self, named: F, step: TakeStep) -> Result<Written<bool>>
    where
        F: Fn(&View) -> Result<Option<[u8; 32]>> + Clone + Send + 'static,
    {
        let mut any = false;
        loop {
            let named = named.clone();
            let once = move |view: &View| match named(view)? {
                Some(hash) => step(view, hash),
                None => Ok((Step::default(), Vec::new())),
            };
            let written = self.core.write(Class::TokenRevoke, Lock::Whole(Gate::Tokens), once).await?;
            any |= written.value.any;
            if !written.value.more {
                return Ok(written.map(|_| any));
            }
        }
    }
}

/// What one batch of a revocation did.
#[derive(Clone, Copy, Default)]
struct Step {
    any: bool,
    /// Some of the family are left.
    more: bool,
}

/// The tokens that one batch removes, children before parents.
#[derive(Default)]
pub struct Doomed {
    order: Vec<[u8; 32]>,
    set: HashSet<[u8; 32]>,
}

impl Doomed {
    pub fn is_full(&self) -> bool {
        self.order.len() >= REVOKE_BATCH
    }

    /// Adds a token and what descends from it. Whether all of them found room.
    pub fn add_family(&mut self, view: &View, hash: [u8; 32]) -> Result<bool> {
        // The way down to the token looked at; of each, where to look for its next child.
        let mut way = vec![(hash, KeyRange::prefix(&layout::children_prefix(&hash)))];
        while !self.is_full()
            && let Some((hash, children)) = way.last_mut()
        {
            match view.state.scan_data(children, ScanLimit::entries(1))?.first() {
                Some((key, _)) => {
                    children.start = [key.as_ref(), &[0]].concat();
                    let child = layout::child_of(key)?;
                    if !self.set.contains(&child) {
                        way.push((child, KeyRange::prefix(&layout::children_prefix(&child))));
                    }
                }
                None => {
                    if self.set.insert(*hash) {
                        self.order.push(*hash);
                    }
                    way.pop();
                }
            }
        }
        Ok(way.is_empty())
    }

    /// What removes them, and whether that is all of them: parents wait for the next batch where children fill this one.
    pub fn ops(&self, view: &View) -> Result<(Vec<Op>, bool)> {
        let (mut ops, mut bytes) = (Vec::new(), 0);
        for hash in &self.order {
            if bytes >= REVOKE_BYTES {
                return Ok((ops, false));
            }
            let of_one = remove_one(view, *hash)?;
            bytes += of_one.iter().map(|op| op.key().len()).sum::<usize>();
            ops.extend(of_one);
        }
        Ok((ops, true))
    }
}

/// The operations by which a token has ended; none if it has, or is not there.
fn end_now(view: &View, hash: [u8; 32]) -> Result<Vec<Op>> {
    let now = view.now.ms();
    let key = Record::Token(hash).key(&view.barrier)?;
    let Some(mut record) = view.get::<TokenRecord>(&key)?.filter(|record| !record.is_expired(now)) else {
        return Ok(Vec::new());
    };
    let mut ops = Vec::new();
    if let Some(end) = record.expires_at.replace(now) {
        ops.push(Op::Delete { key: Record::Expiry(end, hash).key(&view.barrier)? });
    }
    ops.push(view.put(key, &record)?);
    ops.push(view.put_bytes(Record::Expiry(now, hash).key(&view.barrier)?, &[]));
    Ok(ops)
}

/// The operations that remove one token; none if it is not there.
pub fn remove_one(view: &View, hash: [u8; 32]) -> Result<Vec<Op>> {
    let key = Record::Token(hash).key(&view.barrier)?;
    let Some(record) = view.get::<TokenRecord>(&key)? else { return Ok(Vec::new()) };
    let accessor = Record::Accessor(&record.accessor).key(&view.barrier)?;
    let mut ops = vec![Op::Delete { key }, Op::Delete { key: accessor }];
    if let Some(parent) = record.parent {
        ops.push(Op::Delete { key: Record::Child(parent, hash).key(&view.barrier)? });
    }
    if let Some(end) = record.expires_at {
        ops.push(Op::Delete { key: Record::Expiry(end, hash).key(&view.barrier)? });
    }
    let cubbyhole = KeyRange::prefix(&Shelf::Cubbyhole(hash).prefix());
    let cubbyhole = view.state.scan_data(&cubbyhole, ScanLimit::NONE)?;
    ops.extend(cubbyhole.into_iter().map(|(key, _)| Op::Delete { key }));
    Ok(ops)
}

/// Frees a batch of children; once none is left, removes the token.
fn free_children_and_remove(view: &View, hash: [u8; 32]) -> Result<(Step, Vec<Op>)> {
    let children = KeyRange::prefix(&layout::children_prefix(&hash));
    let children = view.state.scan_data(&children, ScanLimit::entries(REVOKE_BATCH))?;
    if children.len() < REVOKE_BATCH {
        let mut ops = remove_one(view, hash)?;
        let any = !ops.is_empty();
        for (key, _) in children {
            ops.extend(free(view, key)?);
        }
        return Ok((Step { any, more: false }, ops));
    }
    let ops: Result<Vec<Vec<Op>>> = children.into_iter().map(|(key, _)| free(view, key)).collect();
    Ok((Step { any: true, more: true }, ops?.concat()))
}

/// Makes the child at this key an orphan.
fn free(view: &View, key: bytes::Bytes) -> Result<Vec<Op>> {
    let child = Record::Token(layout::child_of(&key)?).key(&view.barrier)?;
    let mut ops = vec![Op::Delete { key }];
    if let Some(mut record) = view.get::<TokenRecord>(&child)? {
        record.parent = None;
        ops.push(view.put(child, &record)?);
    }
    Ok(ops)
}
