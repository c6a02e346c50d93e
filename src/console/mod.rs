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
//!   once      one screen of text, or one JSON object, without a terminal
//! ```

pub mod app;
pub mod domain;
pub mod ui;

mod once;
mod options;
mod runtime;
mod session;
mod term;

pub use app::actions::keys_markdown;
pub use once::{Format, Seen, once};
pub use options::AttachOptions;
pub use runtime::run;
pub use ui::export;
