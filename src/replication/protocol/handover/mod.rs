//! A switchover: the primary stops, the standby takes over what it reached, nothing is lost.
//!
//! ```text
//!   standby (ask)                                  primary (give)
//!   agrees that it asks  ────── answer: asks ────► goes on with writes until the standby has nearly all
//!                        ◄── request: waiting ───
//!                                                  agrees that it gave up: what was agreed on before is below
//!                        ◄── request: gave up ──── `reached`, what comes after is refused
//!   applies up to `reached`, compares the roots,
//!   agrees on the next epoch and opens   ────────► hears the epoch, is fenced by it, follows
//! ```
//!
//! Every step is a durable fact of the region that takes it, and each side says its own in all that it sends. So
//! whichever message is lost and whichever leader changes, the next message has the same effect. Anything but the last
//! step ends in the standby's word that it asks no more: durable, so that it never opens by that id, and enough for the
//! primary to take back what it gave up. Before the primary gave up, it may refuse as well.
//!
//! What a cut in between means: before the give-up, nothing happened. After it, no region takes writes until the two
//! meet again, or an operator promotes one of them by force; the standby declines at its deadline.

mod ask;
mod give;
mod record;

pub(super) use ask::Asking;
pub(super) use give::{Giving, Words};
pub(super) use record::{declined, put};
