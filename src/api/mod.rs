//! The HTTP API as types: each request and answer once, shared by server and client. No behaviour here.
//!
//! Which answer comes in which dress:
//!
//! | endpoint | body of a 200 |
//! |---|---|
//! | `sys/health`, `sys/seal-status`, `sys/init`, `sys/unseal`, `sys/leader` | the type itself |
//! | `sys/ha-status`, `sys/mounts`, `sys/auth` | [`envelope::Doubled`]: the payload in the envelope's `data` and at the top level |
//! | all others, those under `sys/replication/` as well | [`envelope::Envelope`], the payload in `data` |
//! | `sys/replication/path/:path/events` | server-sent events: `id:` the event's id, `data:` a [`replication::Event`]; with `?after=ID` and no `Accept: text/event-stream`, an envelope of [`replication_answers::Events`]. A comment at least every 15 s shows that the stream is alive |
//! | any error | [`envelope::Errors`] |
//!
//! What a request does not need to say has a default, and what an answer may lack is an `Option`, so that the types
//! read the answers of Vault and OpenBao as well.

pub mod autopilot;
pub mod cluster;
pub mod envelope;
pub mod health;
pub mod kv;
pub mod ledger;
pub mod mounts;
pub mod replication;
pub mod replication_answers;
pub mod seal;
pub mod token;
pub mod vault_replication;
pub mod verification;
