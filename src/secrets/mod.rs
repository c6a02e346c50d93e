//! What a client sees, and the encryption beneath it: seal, keyring, barrier, mounts, tokens, KV v2.
//!
//! ```text
//!   shares or key file ──► unseal key ──► root key ──► keyring ──► values (XChaCha20-Poly1305, by term)
//!   (people keep them)     (never stored) (Key::Seal)  (Key::Keyring)  path segments (AES-SIV, one key for good)
//!                                                                      hashes of tokens (keyed BLAKE3)
//! ```
//!
//! The seal and the root key are the region's own. The keyring belongs to the data set: a standby that takes over a
//! primary's data takes over its keyring too, encrypted under its own root key. So each region keeps its own shares.
//!
//! Invariants:
//! * Nothing of a client reaches `Consensus` but as ciphertext: no value, no name, no token, not even its hash unkeyed.
//! * Sealing forgets every key; storing and replicating go on.
//! * A write holds its record's lock from its evaluation until its outcome has come.
//! * No error and no `Debug` carries a secret or a path.

pub mod audit;
pub mod join;
pub mod kv;
pub mod mounts;
pub mod policy;
pub mod quotas;
pub mod rekey;
pub mod root_generation;
pub mod rotation;
pub mod seal;
pub mod settings;
pub mod snapshot;
pub mod tokens;
pub mod vault;
pub mod wrapping;

mod aead;
mod barrier;
mod core;
mod decoders;
mod handover;
mod key_file;
mod keyring;
mod known;
mod layout;
mod ledger;
mod legible;
mod lock;
mod mount_changes;
mod mount_config;
mod time;

#[cfg(test)]
mod tests;

pub use core::{Access, StandbyReads, Written};
pub use decoders::DECODERS;
pub use mount_changes::{MountRequest, MountTuning};
pub use mount_config::{Listing, MountConfig, MountConfigChange};
pub use mounts::{KvKind, Mount, MountId, Table};
pub use policy::{Acl, Asked, Decision, Operation};
pub use seal::{SealKind, Split};
pub use time::Clock;
pub use tokens::cidrs::Cidr;
pub use tokens::{Caller, Leases, Parent, RoleKind, TokenInfo, TokenKind, TokenMade, TokenRequest, TokenRole, Use};
pub use vault::{InitOptions, InitResult, SealStatus, Vault};
