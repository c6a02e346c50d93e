//! `sys/init`, `sys/unseal`, `sys/seal` and `sys/seal-status`.

use crate::api::replication::EventLevel;
use crate::api::seal::{InitAnswer, InitRequest, InitStatus, SealStatus, UnsealRequest};
use crate::error::{Error, Result};
use crate::ids;
use crate::secrets::{self, InitOptions};
use crate::sensitive::{Key as SecretKey, SensitiveString};
use crate::server::answer::Answer;
use crate::server::audit::{Audit, Tell};
use crate::server::call::Call;
use crate::server::node::{Node, blocking};
use crate::storage::keys::Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::Arc;

pub async fn seal_status(call: Call) -> Result<Answer> {
    let vault = call.node.vault.clone();
    let status = blocking(move || vault.seal_status()).await?;
    Ok(Answer::plain(&shown(&call.node, status)?))
}

pub async fn init_status(call: Call) -> Result<Answer> {
    let initialized = call.node.is_initialised() || call.node.joining.is_expected();
    Ok(Answer::plain(&InitStatus { initialized }))
}

pub async fn init(call: Call) -> Result<Answer> {
    let request: InitRequest = call.json()?;
    let node = call.node;
    if node.is_initialised() || node.joining.is_expected() {
        return Err(Error::invalid("Vault is already initialized"));
    }
    if request.pgp_keys.is_some_and(|keys| !keys.is_empty())
        || request.root_token_pgp_key.is_some_and(|key| !key.is_empty())
    {
        return Err(Error::invalid("encrypting the shares to PGP keys is not supported: leave `pgp_keys` out"));
    }
    if request.recovery_shares.is_some_and(|shares| shares > 0) {
        return Err(Error::invalid("parameters recovery_shares,recovery_threshold not applicable to this seal"));
    }
    let count = |number: u32, name: &str| {
        u8::try_from(number).map_err(|_| Error::invalid(format!("{name} must be at most {}", u8::MAX)))
    };
    let options = InitOptions {
        shares: count(request.secret_shares, "secret_shares")?,
        threshold: count(request.secret_threshold, "secret_threshold")?,
        region_name: node.config.cluster_name.clone(),
    };
    // Before Raft starts: a region whose shares can't be made must not come to be.
    if let crate::config::Seal::Shamir = node.config.seal {
        secrets::Split::new(options.shares, options.threshold)?;
    }
    match node.raft.initialise().await {
        // An earlier attempt may have come this far.
        Ok(()) | Err(Error::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    let made = node.vault.init(options).await?;
    use_raft_key(&node).await?;
    let keys = || made.keys.iter();
    Ok(Answer::plain(&InitAnswer {
        keys: keys().map(|key| hex::encode(key.expose())).collect(),
        keys_base64: keys().map(|key| BASE64.encode(key.expose())).collect(),
        root_token: made.root_token.expose().to_owned(),
    }))
}

/// The first node made the key that its peers will know it by.
async fn use_raft_key(node: &Arc<Node>) -> Result<()> {
    let opener = node.clone();
    blocking(move || {
        let stored = opener.state.store().get(Key::RaftKey.tree(), &Key::RaftKey.to_bytes())?;
        let key = stored.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_ref()).ok());
        let key = key.ok_or_else(|| Error::internal("the region was initialised without a Raft key"))?;
        opener.peers.set_key(&SecretKey::new(key));
        Ok(())
    })
    .await
}

pub async fn unseal(call: Call) -> Result<Answer> {
    let request: UnsealRequest = call.json()?;
    if request.migrate {
        return Err(Error::invalid("seal migration is not supported"));
    }
    let share = request.key.filter(|key| !key.is_empty()).map(SensitiveString::new);
    if share.is_none() && !request.reset {
        return Err(Error::invalid("'key' must be specified in request body as JSON, or 'reset' set to true"));
    }
    if let Some(answer) = too_many_shares(&call) {
        return Ok(answer);
    }
    let node = call.node.clone();
    let (vault, was_sealed) = (node.vault.clone(), node.vault.is_sealed());
    if request.reset && !was_sealed {
        return Err(Error::invalid("vault is unsealed"));
    }
    let status = blocking(move || match share {
        Some(share) if !request.reset => vault.unseal(&share),
        _ => vault.unseal_reset(),
    })
    .await;
    count_if_none(&call, &status);
    let status = status?;
    if was_sealed && !status.sealed {
        node.replication.record_event(EventLevel::Info, "seal", format!("{} was unsealed", node.name()));
    }
    Ok(Answer::plain(&shown(&node, status)?))
}

/// The answer to who gave too many shares that are none, by which none is looked at.
pub fn too_many_shares(call: &Call) -> Option<Answer> {
    let spent = call.source().map(|source| source.ip()).is_some_and(|address| call.node.shares.are_spent(address));
    spent.then(|| Answer::too_often("too many shares that are none"))
}

/// Counts a share that was refused.
pub fn count_if_none<T>(call: &Call, outcome: &Result<T>) {
    if let (Err(Error::Invalid(_)), Some(address)) = (outcome, call.source().map(|source| source.ip())) {
        call.node.shares.count(address);
    }
}

pub async fn seal(call: Call) -> Result<Answer> {
    Audit::tell_left_out(&call.node, Tell::All).await;
    call.node.seal();
    call.node.replication.record_event(EventLevel::Warn, "seal", format!("{} was sealed", call.node.name()));
    Ok(Answer::empty())
}

fn shown(node: &Arc<Node>, status: secrets::SealStatus) -> Result<SealStatus> {
    // Names are for who has opened it.
    let identity = node.state.identity()?.filter(|_| !status.sealed);
    Ok(SealStatus {
        kind: status.kind,
        // A node that joins belongs to a region that is initialised, though it holds nothing of it yet.
        initialized: status.initialised || node.joining.is_expected(),
        sealed: status.sealed,
        t: status.split.threshold.into(),
        n: status.split.shares.into(),
        progress: status.progress.into(),
        nonce: status.nonce,
        recovery_seal: false,
        version: env!("CARGO_PKG_VERSION").into(),
        commit_date: String::new(),
        migration: false,
        cluster_name: identity.as_ref().map(|identity| identity.name.clone()),
        cluster_id: identity.map(|identity| ids::uuid(identity.id.0)),
        storage_type: "raft".into(),
    })
}
