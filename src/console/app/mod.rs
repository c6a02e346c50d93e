//! The console's mind: a model, messages that change it, and effects that it asks for. Pure: no clock, no terminal, no
//! network; time is what the last [`Msg::Tick`] said.
//!
//! ```text
//!   keys, reports, events, answers ──► Msg ──► update(&mut Model, Msg) ──► Vec<Effect> ──► runtime
//! ```
//!
//! Every key that does something comes from one table, [`ACTIONS`]; the help, the footer, the palette and the README
//! are made from it. Whatever changes a region needs a [`Permit`], and only `confirm.rs` can make one.

pub mod actions;
pub mod afterwards;
pub mod choose;
pub mod confirm;
pub mod context;
pub mod desk;
pub mod dialog;
pub mod failover;
pub mod form;
pub mod history;
pub mod keymap;
pub mod list;
pub mod model;
pub mod msg;
pub mod outcome;
pub mod palette;
pub mod promotion;
pub mod rehearsal;
pub mod scroll;
pub mod targets;

mod answer;
mod ledger;
mod perform;
mod press;
mod promoting;
mod resolve;
mod table;
mod tokens;
mod told;
mod update;

pub use actions::{ACTIONS, Action, ActionInfo, Danger, Group, Place, Takes};
pub use confirm::Permit;
pub use context::{Context, ContextId, ContextOptions, WriteRight};
pub use dialog::Dialog;
pub use keymap::Keymap;
pub use model::{Model, ModelOptions, Mouse, Screen};
pub use msg::{Answer, Change, Effect, Hit, Msg, Query, SavedFile, Target};
pub use press::help_rows;
pub use promoting::{again_command, promotion_command, promotion_forbidden};
pub use update::update;

#[cfg(test)]
pub mod tests;
