//! What the console knows, and what follows from it. Pure: no clock, no sockets, no terminal.
//!
//! Everything that came over the network is an [`Observed`] value: it has an age, and no view gets the value without it
//! ([`AnyAge`] is for what follows from a value, and out of reach for views).
//! Nothing is ever removed because a node fell silent; it grows old instead. What was never heard is `None`, and is
//! shown as unknown, never as 0.

pub mod alarm;
pub mod evidence;
pub mod failover;
pub mod foreign;
pub mod loss;
pub mod node;
pub mod observed;
pub mod overall;
pub mod pair;
pub mod region;
pub mod told_head;
pub mod units;
pub mod vault;
pub mod world;

pub use alarm::{Alarm, Gravity};
pub use evidence::{Evidence, Speaks, conclusion, evidence};
pub use foreign::{Foreign, Product};
pub use node::{Access, Contact, NodeReport, NodeView};
pub use observed::{AnyAge, FRESH_FOR, Observed, Reading};
pub use overall::{Overall, Standing, overall};
pub use pair::{LagReading, LinkLook, LinkView, PairView};
pub use region::{Health, NodeRow, RegionView};
pub use told_head::{ToldHead, told_head};
pub use world::World;

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
mod tests;
