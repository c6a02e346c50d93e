//! How a node proves that it may join a region, as functions over bytes: who holds the region's unseal key may.
//!
//! ```text
//!   joiner                                leader
//!     ── "I am NAME at ADDRESS" ───────────►
//!     ◄── challenge: seal, encrypted nonce ──     (the nonce is remembered, once, for a while)
//!   opens the seal's root key with shares or key file, and the nonce with a key made from that
//!     ── answer: hash of nonce, NAME, ADDRESS, keyed by the root key ──►
//!     ◄── the region's Raft key, encrypted by a key made from nonce and root key ──
//! ```
//!
//! Neither the root key nor the nonce crosses in the clear, and an answer is good for one name at one address. The
//! challenge itself is public: it holds the seal's record, which is useless without the unseal key.

use super::aead;
use super::seal::SealRecord;
use super::vault::Vault;
use crate::error::{Error, Result};
use crate::sensitive::{Key as SecretKey, Sensitive};
use crate::storage::keys::Key;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

const ABOUT_NONCE: &[u8] = b"twinkeep join nonce 1";
const ABOUT_RAFT_KEY: &[u8] = b"twinkeep raft key 1";

/// What the leader sends to a node that wants to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinChallenge {
    /// The seal's configuration with the encrypted root key, as stored in `Key::Seal`.
    seal: Vec<u8>,
    nonce: Vec<u8>,
}

/// What the leader keeps of a challenge until it is answered: use it once.
pub struct JoinNonce(SecretKey);

/// Who wants to join. Both ends must mean the same.
#[derive(Clone, Copy)]
pub struct Joiner<'a> {
    /// Its configured `node_id`.
    pub name: &'a str,
    pub api_addr: &'a str,
}

/// Proof that a joiner holds the root key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinAnswer([u8; 32]);

fn challenge(root: &SecretKey, seal: Vec<u8>) -> (JoinChallenge, JoinNonce) {
    let nonce = aead::new_key();
    let encrypted = aead::encrypt(&aead::derive(root, "twinkeep 2026 join: nonce"), ABOUT_NONCE, nonce.as_slice());
    (JoinChallenge { seal, nonce: encrypted }, JoinNonce(nonce))
}

fn open_nonce(root: &SecretKey, challenge: &JoinChallenge) -> Result<JoinNonce> {
    let key = aead::derive(root, "twinkeep 2026 join: nonce");
    let nonce = aead::decrypt(&key, ABOUT_NONCE, &challenge.nonce).and_then(|nonce| nonce.expose().try_into().ok());
    let nonce = nonce.ok_or_else(|| Error::invalid("the challenge to join was not made by this region's leader"))?;
    Ok(JoinNonce(SecretKey::new(nonce)))
}

/// A length before each part, so that no two joiners hash alike.
fn answer(root: &SecretKey, nonce: &JoinNonce, joiner: Joiner) -> JoinAnswer {
    let mut hasher = blake3::Hasher::new_keyed(&aead::derive(root, "twinkeep 2026 join: answer"));
    for part in [nonce.0.as_slice(), joiner.name.as_bytes(), joiner.api_addr.as_bytes()] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    JoinAnswer(*hasher.finalize().as_bytes())
}

/// The key under which the Raft key travels: of this region and of this nonce.
fn transport_key(root: &SecretKey, nonce: &JoinNonce) -> SecretKey {
    let both = [root.as_slice(), nonce.0.as_slice()].concat();
    let both = Sensitive::new(both);
    SecretKey::new(blake3::derive_key("twinkeep 2026 join: raft key", both.expose()))
}

/// The leader's side.
impl Vault {
    /// A challenge for a node that wants to join, and what to keep until its answer comes.
    pub fn join_challenge(&self) -> Result<(JoinChallenge, JoinNonce)> {
        let seal = self.core.state().region(&Key::Seal)?.ok_or(Error::Uninitialised)?;
        Ok(challenge(&self.core.root()?, seal.to_vec()))
    }

    /// Checks an answer and returns the region's Raft key, encrypted for the joiner. Add the joiner to the region's
    /// members only after this.
    pub fn join_admit(&self, nonce: JoinNonce, joiner: Joiner, given: &JoinAnswer) -> Result<Vec<u8>> {
        let root = self.core.root()?;
        let expected = answer(&root, &nonce, joiner);
        if !bool::from(expected.0.ct_eq(&given.0)) {
            return Err(Error::PermissionDenied);
        }
        let store = self.core.state().store();
        let raft_key = store.get(Key::RaftKey.tree(), &Key::RaftKey.to_bytes())?;
        let raft_key = raft_key.ok_or_else(|| Error::internal("this node has no Raft key to hand on"))?;
        Ok(aead::encrypt(&transport_key(&root, &nonce), ABOUT_RAFT_KEY, &raft_key))
    }
}

/// The joiner's side. First `join_expect`; then `unseal` takes shares for that region, or `unseal_from_file` reads the
/// key file; once unsealed, `join_answer`; with what comes back, `join_raft_key`, which the caller stores.
impl Vault {
    /// Lets this node be unsealed for the region whose leader sent `challenge`.
    pub fn join_expect(&self, challenge: &JoinChallenge) -> Result<()> {
        self.expect_to_join(SealRecord::from_bytes(&challenge.seal)?)
    }

    /// The answer to a challenge, and what to keep to open the reply. Needs an unsealed node.
    pub fn join_answer(&self, challenge: &JoinChallenge, joiner: Joiner) -> Result<(JoinAnswer, JoinNonce)> {
        let root = self.core.root()?;
        let nonce = open_nonce(&root, challenge)?;
        Ok((answer(&root, &nonce, joiner), nonce))
    }

    /// The Raft key in the leader's reply: the value of `Key::RaftKey`.
    pub fn join_raft_key(&self, nonce: &JoinNonce, reply: &[u8]) -> Result<SecretKey> {
        let key = transport_key(&self.core.root()?, nonce);
        let raft_key = aead::decrypt(&key, ABOUT_RAFT_KEY, reply).and_then(|key| key.expose().try_into().ok());
        raft_key.map(SecretKey::new).ok_or_else(|| Error::corrupt("the leader's reply does not open"))
    }
}
