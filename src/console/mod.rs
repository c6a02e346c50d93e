//! The terminal console.

pub mod domain;
