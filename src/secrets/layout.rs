//! Where records lie in the data tree: one enum, each variant with its key's bytes and what it holds.
//!
//! Every key crosses the link and is seen by whoever can read a disk, so it holds nothing in the clear but kinds,
//! random ids, keyed hashes, version numbers and the times at which tokens end. Ordinals (the first byte) are never reused.

use super::barrier::{Barrier, TokenHash, first_segment};
use super::mounts::MountId;
use crate::clock::UnixMs;
use crate::error::{Error, Result};
use crate::storage::{KEY_BYTES_MAX, KeyRange};
use bytes::Bytes;

/// A path of a secret, in bytes of UTF-8, may be as long as this.
pub const PATH_BYTES_MAX: usize = 4096;
/// One name between two slashes may be as long as this.
pub const SEGMENT_BYTES_MAX: usize = 1024;
/// What follows the path in the key of a version.
const VERSION_BYTES: usize = 10;

const MOUNTS: u8 = 1;
const KV_METADATA: u8 = 2;
const KV_VERSION: u8 = 3;
const KV_CONFIG: u8 = 4;
const TOKEN: u8 = 5;
const ACCESSOR: u8 = 6;
const CHILD: u8 = 7;
const EXPIRY: u8 = 8;
const ROLE: u8 = 9;
const POLICY: u8 = 10;
const KV1: u8 = 11;
const CUBBYHOLE: u8 = 12;
const KEY_TERMS: u8 = 13;
const AUDIT: u8 = 14;
const SETTINGS: u8 = 15;
const STAGE: u8 = 16;
/// All that lies in a mount is under one of these, then the mount's id.
const OF_MOUNTS: [u8; 4] = [KV_METADATA, KV_VERSION, KV_CONFIG, KV1];

/// `[0D]` → the terms of the keyring that this data set was encrypted with, encrypted by `Keyring` itself.
pub const TERMS: &[u8] = &[KEY_TERMS];

/// What a restore has staged.
pub const STAGED: &[u8] = &[STAGE];

/// All KV metadata, and all secrets without versions, whatever the mount; all tokens, token roles and policies.
pub const KV_METADATA_ALL: &[u8] = &[KV_METADATA];
pub const KV1_ALL: &[u8] = &[KV1];
pub const TOKENS: &[u8] = &[TOKEN];
pub const ROLES: &[u8] = &[ROLE];
pub const POLICIES: &[u8] = &[POLICY];

/// A record of the data tree. All values are encrypted by the barrier.
pub enum Record<'a> {
    /// `[01]` → postcard of `mounts::MountTable`.
    Mounts,
    /// `[02] mount id, segments` → postcard of `kv::metadata::Metadata`.
    KvMetadata(MountId, &'a SecretPath),
    /// `[03] mount id, segments, 00 00, version u64` → the JSON text of the version's data. No segment has length 0.
    KvVersion(MountId, &'a SecretPath, u64),
    /// `[04] mount id` → postcard of `kv::KvConfig`.
    KvConfig(MountId),
    /// `[05] keyed hash of the token` → postcard of `tokens::record::TokenRecord`.
    Token([u8; 32]),
    /// `[06] keyed hash of the accessor` → the token's hash.
    Accessor(&'a str),
    /// `[07] parent's hash, child's hash` → nothing.
    Child([u8; 32], [u8; 32]),
    /// `[08] milliseconds since 1970 u64, token's hash` → nothing: the order in which tokens end.
    Expiry(UnixMs, [u8; 32]),
    /// `[09] keyed hash of the name` → postcard of `tokens::roles::TokenRole`.
    Role(&'a str),
    /// `[0E]` → postcard of `audit::AuditTable`.
    Audit,
    /// `[0F]` → postcard of `settings::Settings`.
    Settings,
    /// `[10] half a hash of a record's key` → postcard of that key and of the value that it gets, if any.
    Staged(&'a [u8]),
    /// `[0A] keyed hash of the name` → postcard of `policy::store::PolicyRecord`.
    Policy(&'a str),
    /// `[0B] mount id, segments` in a mount, `[0C] half the token's hash, segments` in a cubbyhole → the JSON text.
    Plain(Shelf, &'a SecretPath),
}

impl Record<'_> {
    pub fn key(&self, barrier: &Barrier) -> Result<Bytes> {
        Ok(match self {
            Record::Mounts => join(MOUNTS, &[]),
            Record::KvMetadata(mount, path) => path_key(barrier, KV_METADATA, *mount, path.segments())?.0.into(),
            Record::KvVersion(mount, path, version) => {
                let (mut key, _) = path_key(barrier, KV_VERSION, *mount, path.segments())?;
                key.extend_from_slice(&[0, 0]);
                key.extend_from_slice(&version.to_be_bytes());
                key.into()
            }
            Record::KvConfig(mount) => join(KV_CONFIG, &[&mount.0]),
            Record::Token(hash) => join(TOKEN, &[hash]),
            Record::Accessor(accessor) => join(ACCESSOR, &[&barrier.token_hash(TokenHash::Accessor, accessor)]),
            Record::Child(parent, child) => join(CHILD, &[parent, child]),
            Record::Expiry(at, hash) => join(EXPIRY, &[&at.0.to_be_bytes(), hash]),
            Record::Role(name) => join(ROLE, &[&barrier.token_hash(TokenHash::Role, name)]),
            Record::Audit => join(AUDIT, &[]),
            Record::Settings => join(SETTINGS, &[]),
            Record::Staged(key) => join(STAGE, &[&blake3::hash(key).as_bytes()[..16]]),
            Record::Plain(shelf, path) => path_key(barrier, shelf.kind(), shelf.id(), path.segments())?.0.into(),
            Record::Policy(name) => join(POLICY, &[&barrier.token_hash(TokenHash::Policy, name)]),
        })
    }
}

/// What a key's first bytes say of it.
pub enum Place<'a> {
    Kv {
        mount: MountId,
        path: &'a [u8],
    },
    /// A record whose key names nothing: what it is one of.
    Kind(&'static str),
}

pub fn place(key: &[u8]) -> Place<'_> {
    let Some((kind, rest)) = key.split_first() else { return Place::Kind("an empty key") };
    let kv = rest.split_first_chunk::<16>().map(|(mount, path)| Place::Kv { mount: MountId(*mount), path });
    match *kind {
        KV_METADATA | KV_VERSION | KV_CONFIG | KV1 => kv.unwrap_or(Place::Kind("a damaged key")),
        MOUNTS => Place::Kind("sys/mounts"),
        TOKEN | ACCESSOR | CHILD | EXPIRY => Place::Kind("auth/token"),
        ROLE => Place::Kind("auth/token/roles"),
        POLICY => Place::Kind("sys/policies/acl"),
        CUBBYHOLE => Place::Kind("cubbyhole"),
        KEY_TERMS => Place::Kind("sys/key-status"),
        AUDIT => Place::Kind("sys/audit"),
        SETTINGS => Place::Kind("sys/config"),
        STAGE => Place::Kind("sys/storage/raft/snapshot"),
        _ => Place::Kind("an unknown kind of record"),
    }
}

/// How much hangs on the record at a key.
pub enum Scope {
    /// One thing: a secret, a token, a policy.
    Single,
    /// All of a kind: the mounts, the audit devices, the settings.
    Table,
    /// The terms of the keyring.
    KeyTerms,
    /// Of a restore.
    Staged,
}

pub fn scope(key: &[u8]) -> Scope {
    match key.first() {
        Some(&(MOUNTS | AUDIT | SETTINGS)) => Scope::Table,
        Some(&KEY_TERMS) => Scope::KeyTerms,
        Some(&STAGE) => Scope::Staged,
        _ => Scope::Single,
    }
}

/// Whether a key is one of what a restore has staged.
pub fn is_staged(key: &[u8]) -> bool {
    key.starts_with(STAGED)
}

/// The prefix of all tokens whose hashes begin with `start`.
pub fn tokens_beginning(start: &[u8]) -> Bytes {
    join(TOKEN, &[start])
}

/// The hash in the key of a token.
pub fn token_hash(key: &[u8]) -> Result<[u8; 32]> {
    let hash = key.strip_prefix(TOKENS).and_then(|hash| hash.try_into().ok());
    hash.ok_or_else(|| Error::corrupt("a token is not stored under a hash"))
}

/// The prefix of a token's children, each followed by the child's hash.
pub fn children_prefix(parent: &[u8; 32]) -> Bytes {
    join(CHILD, &[parent])
}

/// The child's hash in a key that begins with `children_prefix`.
pub fn child_of(key: &[u8]) -> Result<[u8; 32]> {
    let child = key.get(1 + 32..).and_then(|child| child.try_into().ok());
    child.ok_or_else(|| Error::corrupt("a token's child is not named by a hash"))
}

/// The keys of all tokens that have ended at `now`, the earliest first.
pub fn ended_by(now: UnixMs) -> KeyRange {
    KeyRange::new(vec![EXPIRY], join(EXPIRY, &[&now.0.saturating_add(1).to_be_bytes()]))
}

/// The token's hash in a key of `ended_by`.
pub fn ended_token(key: &[u8]) -> Result<[u8; 32]> {
    let hash = key.get(1 + 8..).and_then(|hash| hash.try_into().ok());
    hash.ok_or_else(|| Error::corrupt("the end of a token does not name its hash"))
}

/// Where secrets without versions lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shelf {
    Kv1(MountId),
    /// Of the token with this hash. Half of it tells tokens apart.
    Cubbyhole([u8; 32]),
}

impl Shelf {
    fn kind(self) -> u8 {
        match self {
            Shelf::Kv1(_) => KV1,
            Shelf::Cubbyhole(_) => CUBBYHOLE,
        }
    }

    fn id(self) -> MountId {
        match self {
            Shelf::Kv1(mount) => mount,
            Shelf::Cubbyhole(token) => {
                let mut half = [0; 16];
                half.copy_from_slice(&token[..16]);
                MountId(half)
            }
        }
    }

    /// The prefix of all that lies there.
    pub fn prefix(self) -> Bytes {
        join(self.kind(), &[&self.id().0])
    }
}

/// The prefixes of all that lies in a mount.
pub fn of_mount(mount: MountId) -> [Bytes; 4] {
    OF_MOUNTS.map(|kind| join(kind, &[&mount.0]))
}

/// The path in the key of a `Record::Plain`.
pub fn plain_path(barrier: &Barrier, key: &[u8]) -> Result<SecretPath> {
    let wrong = || Error::corrupt("a stored path does not decode");
    let (mut above, mut rest) = key.split_at_checked(1 + 16).ok_or_else(wrong)?;
    let mut names = Vec::new();
    while !rest.is_empty() {
        let segment = first_segment(rest).ok_or_else(wrong)?;
        names.push(barrier.open_segment(above, segment)?);
        above = segment;
        rest = &rest[segment.len()..];
    }
    SecretPath::parse(&names.join("/"))
}

/// What has folders: the secrets of a KV v2 mount by their metadata, or a shelf.
#[derive(Clone, Copy)]
pub enum Tree {
    Kv2(MountId),
    Plain(Shelf),
}

/// The prefix of what lies in `folder`, and what the names in it are authenticated with.
pub fn folder_prefix(barrier: &Barrier, tree: Tree, folder: &Folder) -> Result<(Vec<u8>, Vec<u8>)> {
    let (kind, id) = match tree {
        Tree::Kv2(mount) => (KV_METADATA, mount),
        Tree::Plain(shelf) => (shelf.kind(), shelf.id()),
    };
    let (key, last) = path_key(barrier, kind, id, folder.segments())?;
    let above = key[last..].to_vec();
    Ok((key, above))
}

/// A secret's path: names between slashes, none of them empty.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretPath(String);

impl SecretPath {
    pub fn parse(path: &str) -> Result<SecretPath> {
        if path.is_empty() {
            return Err(Error::invalid("missing path"));
        }
        check(path)?;
        Ok(SecretPath(path.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// What is listed: a folder's path with or without its closing slash, or nothing for the root.
pub struct Folder(String);

impl Folder {
    pub fn parse(path: &str) -> Result<Folder> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.is_empty() {
            check(path)?;
        }
        Ok(Folder(path.to_owned()))
    }

    /// The folder at `path` in this one; this one itself where the path is empty.
    pub fn inner(&self, path: &str) -> Result<Folder> {
        let slash = if self.0.is_empty() || path.is_empty() { "" } else { "/" };
        Folder::parse(&format!("{}{slash}{path}", self.0))
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

fn check(path: &str) -> Result<()> {
    if path.len() > PATH_BYTES_MAX {
        let got = path.len();
        return Err(Error::invalid(format!("the path is {got} bytes long, at most {PATH_BYTES_MAX} are taken")));
    }
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err(Error::invalid("the path has an empty name: two slashes in a row, or one at an end"));
        }
        if segment.len() > SEGMENT_BYTES_MAX {
            let got = segment.len();
            return Err(Error::invalid(format!(
                "a name in the path is {got} bytes long, at most {SEGMENT_BYTES_MAX} are taken"
            )));
        }
    }
    Ok(())
}

/// The key, and where its last segment begins (or the mount's part, when there is none).
fn path_key<'a>(
    barrier: &Barrier,
    kind: u8,
    mount: MountId,
    segments: impl Iterator<Item = &'a str>,
) -> Result<(Vec<u8>, usize)> {
    let mut key = join(kind, &[&mount.0]).to_vec();
    let mut last = 0;
    for segment in segments {
        let above = key[last..].to_vec();
        last = key.len();
        barrier.push_segment(&mut key, &above, segment)?;
        // Each name grows by 18 bytes, so a path of many short names gets here before `PATH_BYTES_MAX`.
        if key.len() + VERSION_BYTES > KEY_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the path has too many names: encrypted, it would be longer than {KEY_BYTES_MAX} bytes"
            )));
        }
    }
    Ok((key, last))
}

fn join(kind: u8, parts: &[&[u8]]) -> Bytes {
    let mut key = vec![kind];
    for part in parts {
        key.extend_from_slice(part);
    }
    key.into()
}
