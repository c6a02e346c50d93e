//! The terminal console.

pub mod app;
pub mod domain;
