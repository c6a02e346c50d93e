//! The terminal console.

pub mod app;
pub mod domain;
pub mod ui;
