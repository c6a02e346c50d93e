//! How far a text in a dialog is scrolled. Nobody here knows how long it is, so that its end is a place of its own.

use crossterm::event::KeyCode;

/// Rows that PageUp and PageDown move by.
const PAGE: usize = 10;
/// No text is longer.
const ROWS_MAX: usize = 500;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scroll {
    /// So many rows are above.
    Above(usize),
    /// So many rows are below.
    Below(usize),
}

impl Default for Scroll {
    fn default() -> Scroll {
        Scroll::Above(0)
    }
}

impl Scroll {
    /// Moves, if the key is one that does.
    pub fn key(&mut self, code: KeyCode) -> bool {
        let down = |by: usize| match *self {
            Scroll::Above(rows) => Scroll::Above((rows + by).min(ROWS_MAX)),
            Scroll::Below(rows) => Scroll::Below(rows.saturating_sub(by)),
        };
        let up = |by: usize| match *self {
            Scroll::Above(rows) => Scroll::Above(rows.saturating_sub(by)),
            Scroll::Below(rows) => Scroll::Below((rows + by).min(ROWS_MAX)),
        };
        *self = match code {
            KeyCode::Up => up(1),
            KeyCode::Down => down(1),
            KeyCode::PageUp => up(PAGE),
            KeyCode::PageDown => down(PAGE),
            KeyCode::Home => Scroll::Above(0),
            KeyCode::End => Scroll::Below(0),
            _ => return false,
        };
        true
    }

    pub fn moves(code: KeyCode) -> bool {
        Scroll::default().key(code)
    }

    /// The first row in view, of so many, where so many fit.
    pub fn top(self, rows: usize, height: usize) -> usize {
        let most = rows.saturating_sub(height);
        match self {
            Scroll::Above(above) => above.min(most),
            Scroll::Below(below) => most.saturating_sub(below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_list_move_a_text_and_none_is_dead_at_its_end() {
        let mut at = Scroll::default();
        let mut press = |code| {
            assert!(at.key(code));
            at.top(30, 12)
        };
        use KeyCode::*;
        let seen = [Up, Down, PageDown, PageUp, End, Up, PageUp, PageDown, Home].map(&mut press);
        assert_eq!(seen, [0, 1, 11, 1, 18, 17, 7, 17, 0]);
        assert!(!Scroll::moves(Char('k')));
    }
}
