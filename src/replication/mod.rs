//! Replication of a region's data to another region.

pub mod crypto;
pub mod envelope;
pub mod handshake;
pub mod protocol;
pub mod token;
pub mod token_records;
