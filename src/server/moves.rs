//! Mounts that were moved here lately, by the ids that their moves were answered with. A move is done before it is
//! answered; clients ask all the same how far it is. As in Vault the node that moved it knows, and as long as it runs.

use crate::clock;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// No more are remembered: who asks does so right after.
const MOVES_MAX: usize = 256;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    pub from: String,
    pub to: String,
}

#[derive(Default)]
pub struct Moves(Mutex<VecDeque<(String, Move)>>);

impl Moves {
    /// The id of a move that is done.
    pub fn add(&self, done: Move) -> String {
        let id = clock::random_uuid();
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.len() == MOVES_MAX {
            moves.pop_front();
        }
        moves.push_back((id.clone(), done));
        id
    }

    pub fn get(&self, id: &str) -> Option<Move> {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moves.iter().find(|(known, _)| known == id).map(|(_, done)| done.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let moves = Moves::default();
        let done = |at: usize| Move { from: format!("a{at}/"), to: "b/".into() };
        let ids: Vec<String> = (0..=MOVES_MAX).map(|at| moves.add(done(at))).collect();
        assert_eq!((moves.get(&ids[0]), moves.get(&ids[1])), (None, Some(done(1))));
        assert_eq!(moves.get("none"), None);
    }
}
