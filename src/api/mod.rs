//! The HTTP API as types: each request and answer once, shared by server and client. No behaviour here.

pub mod replication;
