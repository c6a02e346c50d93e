//! Twinkeep: a Vault-compatible secrets store in two regions, and the console that fails one over.

pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod consensus;
pub mod console;
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
