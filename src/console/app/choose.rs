//! Of several primaries the one that a region shall follow: asked before the question whether it shall.

use super::msg::Target;
use crossterm::event::{KeyCode, KeyEvent};

#[derive(Debug)]
pub struct Choose {
    /// The region that is to follow.
    pub who: Target,
    /// Names, and what each says of itself.
    pub primaries: Vec<(String, String)>,
    pub cursor: usize,
    /// What was typed as the reason, for the question that comes next.
    pub reason: Option<String>,
}

/// What a key came to.
#[derive(Debug)]
pub enum Chosen {
    Open,
    Cancelled,
    Primary(String),
}

impl Choose {
    pub fn key(&mut self, key: KeyEvent) -> Chosen {
        let last = self.primaries.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Chosen::Cancelled,
            KeyCode::Up | KeyCode::Char('k') => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => self.cursor = (self.cursor + 1).min(last),
            KeyCode::Enter => {
                let chosen = self.primaries.get(self.cursor).map(|(name, _)| name.clone());
                return chosen.map_or(Chosen::Cancelled, Chosen::Primary);
            }
            _ => {}
        }
        Chosen::Open
    }
}
