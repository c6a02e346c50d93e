//! What of a frame can be pressed with the mouse: noted while it is painted.

use crate::console::app::Hit;
use ratatui::layout::{Position, Rect};
use std::cell::RefCell;

#[derive(Debug, Default)]
pub struct Hits(RefCell<Vec<(Rect, Hit)>>);

impl Hits {
    pub fn note(&self, area: Rect, hit: Hit) {
        self.0.borrow_mut().push((area, hit));
    }

    /// What was painted there last.
    pub fn at(&self, column: u16, row: u16) -> Option<Hit> {
        let place = Position::new(column, row);
        self.0.borrow().iter().rev().find(|(area, _)| area.contains(place)).map(|(_, hit)| hit.clone())
    }
}
