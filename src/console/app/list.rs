//! A list on a screen: where the cursor is, and what it is filtered by.

use tui_input::{Input, InputRequest};

/// Rows that PageUp and PageDown move by.
const PAGE: usize = 10;

#[derive(Clone, Debug, Default)]
pub struct List {
    /// The selected row of those that are shown; `None` follows the newest, or stays at the first.
    pub cursor: Option<usize>,
    /// What the selected row is known by: rows come and go above it.
    pub held: Option<String>,
    pub filter: Input,
    /// Whether keys go to the filter.
    pub typing: bool,
    /// The filter came with the way here, as that of `:log`, and goes with it.
    pub borrowed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

/// Which end of a list is looked at while nobody moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    First,
    /// The newest is last, and stays in view.
    Last,
}

impl List {
    pub fn go(&mut self, step: Move, rows: usize, rest: Rest) {
        let last = rows.saturating_sub(1);
        let at = self.row(rows, rest);
        let to = match step {
            Move::Up => at.saturating_sub(1),
            Move::Down => at + 1,
            Move::PageUp => at.saturating_sub(PAGE),
            Move::PageDown => at + PAGE,
            Move::First => 0,
            Move::Last => last,
        }
        .min(last);
        let back_at_rest = rest == Rest::Last && to == last;
        self.cursor = if back_at_rest { None } else { Some(to) };
    }

    /// The selected row.
    pub fn row(&self, rows: usize, rest: Rest) -> usize {
        let last = rows.saturating_sub(1);
        match (self.cursor, rest) {
            (Some(at), _) => at.min(last),
            (None, Rest::First) => 0,
            (None, Rest::Last) => last,
        }
    }

    /// The first visible row, if `height` rows fit and the selected one must be seen.
    pub fn top(&self, rows: usize, height: usize, rest: Rest) -> usize {
        let at = self.row(rows, rest);
        let below = at.saturating_sub(height.saturating_sub(1) / 2);
        below.min(rows.saturating_sub(height))
    }

    pub fn is_filtered(&self) -> bool {
        !self.filter.value().is_empty()
    }

    /// Whether a row with this text is shown: all words of the filter occur in it.
    pub fn shows(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.filter.value().to_lowercase().split_whitespace().all(|word| text.contains(word))
    }

    pub fn clear_filter(&mut self) {
        self.filter.reset();
        self.typing = false;
        self.cursor = None;
        self.borrowed = false;
    }
}

/// Applies a key that edits a line of text; others do nothing.
pub fn edit(input: &mut Input, key: crossterm::event::KeyEvent) {
    use crossterm::event::{KeyCode, KeyModifiers};
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let request = match key.code {
        KeyCode::Char('u') if control => InputRequest::DeleteLine,
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Char(_) if control => return,
        KeyCode::Char(character) => InputRequest::InsertChar(character),
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return,
    };
    input.handle(request);
}

/// The first line of pasted text.
pub fn paste(input: &mut Input, text: &str) {
    for character in text.lines().next().unwrap_or_default().chars().filter(|character| !character.is_control()) {
        input.handle(InputRequest::InsertChar(character));
    }
}
