//! The storage engines under one set of tests: the same scripts, the same model, the same crashes on every engine.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod crash;
mod model;
mod scripts;
mod subject;
mod writer;
