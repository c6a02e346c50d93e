//! The terminal console: it attaches to servers over HTTP, here or far away, shows how replication between two regions is
//! doing, and fails one over. It knows nothing but [`crate::client`] and [`crate::api`].
//!
//! ```text
//!   app/      what the console is and what keys do       pure
//!   domain/   what is known, how old it is, what is wrong pure
//!   ui/       how it looks                                pure
//!   session/  one supervisor a node; requests
//!   term      the terminal, entered and left whole
//!   runtime   the one loop: in, update, effects, one frame
//!   watcher   the same without a terminal: `once` looks once, `stream` adds line to line
//!   report    what was seen as JSON
//!   contexts  the contexts file; options: what all this is started with
//! ```

pub mod app;
pub mod domain;
pub mod ui;

mod contexts;
mod files;
mod flight;
mod once;
mod options;
mod replay;
mod report;
mod runtime;
mod session;
mod stream;
mod term;
mod watcher;

pub use app::WriteRight;
pub use app::actions::{KeyRow, key_rows, keys_markdown};
pub use app::rehearsal::{FaultKey, RehearsalNews};
pub use contexts::{Defaults, FILE as CONTEXTS_FILE, load as load_contexts};
pub use domain::Standing;
pub use once::{Format, Seen, Verdict, judge, once};
pub use options::{AttachOptions, ContextSpec, config_dir};
pub use replay::replay;
pub use runtime::{Rehearsal, rehearse, run};
pub use stream::{plain, watch_json};
pub use term::is_dumb;
pub use ui::export;
