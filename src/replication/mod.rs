//! Replication of a region's data to another region.

pub mod crypto;
