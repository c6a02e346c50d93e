//! The storage engines under one set of tests: the same scripts, the same model, the same crashes on every engine.
#![allow(clippy::unwrap_used)] // a failed step of a test is its failure

mod crash;
mod model;
mod scripts;
mod subject;
mod writer;
