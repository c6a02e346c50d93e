//! All that the console is at one moment.

use super::desk::TokenDesk;
use super::dialog::Dialog;
use super::history::{EventLog, LogEntry, Samples, Toast};
use super::keymap::Keymap;
use super::list::{List, Rest};
use super::promotion::PromotionDesk;
use crate::api::replication::{EventLevel, TokenInfo};
use crate::clock::UnixMs;
use crate::console::domain::{Alarm, PairView, RegionView, World, alarms};
use std::collections::BTreeMap;

/// Toasts kept: the newest is shown.
const TOASTS_MAX: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Screen {
    Overview,
    Region,
    Replication,
    Tokens,
    Events,
    Help,
}

impl Screen {
    /// In the order of Tab.
    pub const ALL: [Screen; 6] =
        [Screen::Overview, Screen::Region, Screen::Replication, Screen::Tokens, Screen::Events, Screen::Help];

    pub fn title(self) -> &'static str {
        match self {
            Screen::Overview => "Overview",
            Screen::Region => "Region",
            Screen::Replication => "Replication",
            Screen::Tokens => "Tokens",
            Screen::Events => "Events",
            Screen::Help => "Help",
        }
    }
}

/// Whether this console may change anything at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteRight {
    ReadOnly,
    Write,
}

/// What a model starts with.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    pub now: UnixMs,
    /// The path that all this is about.
    pub path: String,
    /// In the top line: `demo`, the name of a context.
    pub title: String,
    /// Stays on top of every screen, as `PRODUCTION`.
    pub banner: Option<String>,
    pub addresses: Vec<String>,
    pub write: WriteRight,
    pub theme: String,
    /// The names that `:theme` takes.
    pub themes: Vec<String>,
}

#[derive(Debug)]
pub struct Model {
    pub now: UnixMs,
    pub path: String,
    pub title: String,
    pub banner: Option<String>,
    pub write: WriteRight,
    pub theme: String,
    pub themes: Vec<String>,
    pub keymap: Keymap,
    pub world: World,
    pub screen: Screen,
    /// By name, since regions may come and their order is that of discovery. `None`: nobody chose.
    pub selected: Option<String>,
    pub lists: BTreeMap<Screen, List>,
    pub dialogs: Vec<Dialog>,
    pub desk: TokenDesk,
    pub promotion: Option<PromotionDesk>,
    pub log: EventLog,
    pub samples: Samples,
    pub toasts: Vec<Toast>,
    /// Ids and arguments that the palette ran, newest last.
    pub palette_history: Vec<String>,
}

impl Model {
    pub fn new(options: ModelOptions) -> Model {
        Model {
            now: options.now,
            path: options.path,
            title: options.title,
            banner: options.banner,
            write: options.write,
            theme: options.theme,
            themes: options.themes,
            keymap: Keymap::default(),
            world: World::of_addresses(options.addresses.iter().map(String::as_str)),
            screen: Screen::Overview,
            selected: None,
            lists: BTreeMap::new(),
            dialogs: Vec::new(),
            desk: TokenDesk::Empty,
            promotion: None,
            log: EventLog::default(),
            samples: Samples::default(),
            toasts: Vec::new(),
            palette_history: Vec::new(),
        }
    }

    /// The selected region's place among the regions: what was chosen, else the standby, else the second one.
    pub fn selected_index(&self) -> usize {
        let regions = self.world.regions();
        let chosen = self.selected.as_ref().and_then(|name| regions.iter().position(|region| region.name == *name));
        chosen.unwrap_or_else(|| {
            let standby =
                self.world.pair(1, self.now).and_then(|pair| pair.standby().map(|region| region.name.clone()));
            let standby = standby.and_then(|name| regions.iter().position(|region| region.name == name));
            standby.unwrap_or(1).min(regions.len().saturating_sub(1))
        })
    }

    pub fn selected_region(&self) -> Option<RegionView<'_>> {
        let at = self.selected_index();
        self.world.regions().into_iter().nth(at)
    }

    pub fn pair(&self) -> Option<PairView<'_>> {
        self.world.pair(self.selected_index(), self.now)
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        alarms(&self.world, self.now)
    }

    pub fn list(&self) -> List {
        self.lists.get(&self.screen).cloned().unwrap_or_default()
    }

    pub fn list_mut(&mut self) -> &mut List {
        self.lists.entry(self.screen).or_default()
    }

    /// The theme to draw with: while the palette points at one, that one.
    pub fn theme_in_view(&self) -> String {
        let previewed = self.dialogs.iter().rev().find_map(|dialog| match dialog {
            Dialog::Palette(palette) => palette.previewed_theme(self),
            _ => None,
        });
        previewed.unwrap_or_else(|| self.theme.clone())
    }

    /// Tokens of all regions that told them, as the tokens' screen lists them: unused ones first, then by age.
    pub fn token_rows(&self) -> Vec<(RegionView<'_>, &TokenInfo)> {
        let list = self.lists.get(&Screen::Tokens);
        let mut rows = Vec::new();
        for region in self.world.regions() {
            let tokens = region.tokens().map(|tokens| tokens.last().as_slice()).unwrap_or_default();
            for token in tokens {
                let text = format!("{} {} {}", region.name, token.accessor, token_word(token));
                if list.is_none_or(|list| list.shows(&text)) {
                    rows.push((region.clone(), token));
                }
            }
        }
        rows.sort_by_key(|(_, token)| {
            (token.state != crate::api::replication::TokenState::Issued, std::cmp::Reverse(token.created_at))
        });
        rows
    }

    pub fn token_row(&self) -> usize {
        let rows = self.token_rows().len();
        self.lists.get(&Screen::Tokens).map_or(0, |list| list.row(rows, Rest::First))
    }

    /// Events that the filter shows, oldest first.
    pub fn event_rows(&self) -> Vec<&LogEntry> {
        let list = self.lists.get(&Screen::Events);
        let shown = |entry: &&LogEntry| {
            list.is_none_or(|list| {
                !list.is_filtered() || list.shows(&format!("{} {} {}", entry.region, entry.subject, entry.text))
            })
        };
        self.log.entries().filter(shown).collect()
    }

    /// Says something in a corner and keeps it among the events.
    pub(super) fn toast(&mut self, level: EventLevel, text: impl Into<String>) {
        let text = text.into();
        self.log.note(self.now, level, "console", text.clone());
        self.hint(level, text);
    }

    /// Says something in a corner that is not worth keeping.
    pub(super) fn hint(&mut self, level: EventLevel, text: impl Into<String>) {
        self.toasts.push(Toast { at: self.now, level, text: text.into() });
        if self.toasts.len() > TOASTS_MAX {
            self.toasts.remove(0);
        }
    }

    /// The newest toast while it is new.
    pub fn toast_in_view(&self) -> Option<&Toast> {
        self.toasts.last().filter(|toast| self.now.since(toast.at) < super::history::TOAST_FOR)
    }
}

pub fn token_word(token: &TokenInfo) -> &'static str {
    use crate::api::replication::TokenState;
    match token.state {
        TokenState::Issued => "issued",
        TokenState::Used => "used",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
    }
}
