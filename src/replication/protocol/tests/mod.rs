//! The core under test: stories told message by message, and worlds drawn from seeds.

mod golden;
mod hostile;
mod opening;
mod simulator;
