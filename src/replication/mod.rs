//! Replication of a region's data to another region.

pub mod crypto;
pub mod envelope;
pub mod events;
pub mod handshake;
pub mod link_record;
pub mod ports;
pub mod protocol;
pub mod token;
pub mod token_records;
pub mod transport;
