//! A rehearsal's side of the console: faults on keys, and the drill's score. Only a demo has one.

use crate::api::replication::EventLevel;

/// A fault that can be thrown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultKey {
    pub key: char,
    /// As a script has it.
    pub command: String,
    pub title: String,
}

/// What the rehearsal tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RehearsalNews {
    /// The drill's score so far, a line each.
    Score(Vec<String>),
    Said(EventLevel, String),
}

#[derive(Debug, Default)]
pub struct RehearsalDesk {
    pub faults: Vec<FaultKey>,
    /// The command that attaches another terminal.
    pub elsewhere: String,
    pub score: Vec<String>,
}
