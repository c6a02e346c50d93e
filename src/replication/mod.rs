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

mod activation;
mod context;
mod driver;
mod face;
mod facts;
mod inbound;
mod jobs;
mod links;
mod promotion;
mod rates;
mod reads;
mod retention;
mod status;

pub use face::Replication;
pub use ports::{KeyringPort, RegionConfig};
