//! Twinkeep: a Vault-compatible secrets store in two regions, and the console that fails one over.
//!
//! # The layers
//!
//! Each knows those below it and nothing above; `tests/architecture.rs` reads the `use` lines and says so.
//!
//! ```text
//! main ─► cli ─► demo ─► server ─► secrets ─────┐
//!          │       │        └────► replication ─┴─► consensus ─► state ─► storage ─► error, ids, clock, sensitive
//!          └───────┴─► console ─► client ─► api, tls
//! ```
//!
//! | layer | what it is | what holds there |
//! |---|---|---|
//! | [`cli`] | commands, flags, exit codes | all help, completions and tables come from one definition |
//! | [`demo`] | two regions in this process, a WAN link, a load | it starts servers from files, as an operator would |
//! | [`console`] | the terminal console | it knows nothing but [`client`]; every remote value carries its age; only the confirm layer makes a `Permit` |
//! | [`server`] | one node: routes, TLS, forwarding, joining, signals | one table of routes; several servers fit into one process |
//! | [`secrets`] | what a client sees: seal, barrier, mounts, tokens, KV | plaintext and keys exist here only; below there is ciphertext |
//! | [`replication`] | the path between regions; `protocol` is its pure core | no socket, clock or chance in the core; roles change along named edges |
//! | [`consensus`] | openraft inside a region, behind one trait | acknowledged means on the disks of a majority, and applied |
//! | [`state`] | what a region agreed on: apply, WAL, Merkle tree | deterministic; same data set and position, same bytes |
//! | [`storage`] | ordered trees over fjall, sled or memory | only `storage` knows an engine; every key is a variant of one enum |
//! | [`config`] | HCL to a typed `ServerConfig` | parse, validate, then use; an error names file and line |
//! | [`client`], [`api`] | one typed HTTP client over the API's types | each request and answer is written down once |
//! | [`decoding`] | every decoder by name | no bytes make one panic, or take more memory than they are worth |
//! | [`clock`] | the only reader of time and entropy | everything else takes them as arguments |
//!
//! Where to begin: [`replication`] opens with the protocol in prose, [`state`] with its invariants, [`console`] with its loop.

pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod consensus;
pub mod console;
pub mod decoding;
pub mod demo;
pub mod duration;
pub mod error;
pub mod ids;
pub mod replication;
pub mod secrets;
pub mod sensitive;
pub mod server;
pub mod state;
pub mod storage;
pub mod tls;
