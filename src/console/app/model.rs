//! All that the console is at one moment.

use super::context::{Context, ContextId, ContextOptions};
use super::dialog::Dialog;
use super::history::{LogEntry, Toast};
use super::keymap::Keymap;
use super::list::{List, Rest};
use super::outcome::Outcome;
use super::promotion::Standing;
use super::rehearsal::RehearsalDesk;
use crate::api::ledger::{LedgerEntryInfo, ReviewInfo};
use crate::api::replication::{EventLevel, TokenInfo};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::console::domain::{Alarm, NodeRow, Overall, PairView, RegionView};
use std::collections::{BTreeMap, VecDeque};

/// What a terminal is taken for until it says more.
const USUAL_SIZE: (u16, u16) = (80, 24);
/// Columns and rows below which there is a line a region and nothing else.
pub const LEAST_SIZE: (u16, u16) = (36, 10);
/// Toasts kept: the newest is shown.
const TOASTS_MAX: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Screen {
    Index,
    Overview,
    Region,
    Replication,
    Tokens,
    Failover,
    Ledger,
    Events,
    Help,
}

impl Screen {
    /// In the order of Tab.
    pub const ALL: [Screen; 9] = [
        Screen::Index,
        Screen::Overview,
        Screen::Region,
        Screen::Replication,
        Screen::Tokens,
        Screen::Failover,
        Screen::Ledger,
        Screen::Events,
        Screen::Help,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Screen::Index => "Index",
            Screen::Overview => "Overview",
            Screen::Region => "Region",
            Screen::Replication => "Replication",
            Screen::Tokens => "Tokens",
            Screen::Failover => "Failover",
            Screen::Ledger => "Ledger",
            Screen::Events => "Events",
            Screen::Help => "Help",
        }
    }
}

impl Screen {
    /// Where a line must hold all of them.
    pub fn short_title(self) -> &'static str {
        match self {
            Screen::Overview => "Over",
            Screen::Replication => "Repl",
            other => other.title(),
        }
    }
}

/// What a model starts with.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    pub now: UnixMs,
    /// At least one; the first is looked at.
    pub contexts: Vec<ContextOptions>,
    pub theme: String,
    /// The names that `:theme` takes.
    pub themes: Vec<String>,
    pub keymap: Keymap,
    /// Whether the terminal's bell is left alone.
    pub quiet: bool,
}

#[derive(Debug)]
pub struct Model {
    pub now: UnixMs,
    pub theme: String,
    pub themes: Vec<String>,
    pub keymap: Keymap,
    /// The context that is looked at.
    pub here: Context,
    /// The others, in no order.
    elsewhere: Vec<Context>,
    pub screen: Screen,
    /// The screens that led here, the first one first: Esc goes back along them.
    pub trail: Vec<Screen>,
    pub lists: BTreeMap<Screen, List>,
    pub dialogs: Vec<Dialog>,
    pub toasts: Vec<Toast>,
    /// What became of what was asked for in any context, newest last.
    pub outcomes: VecDeque<Outcome>,
    /// Ids and arguments that the palette ran, newest last.
    pub palette_history: Vec<String>,
    pub mouse: Mouse,
    /// Seconds a column of the lag's chart.
    pub zoom: usize,
    /// Whether the terminal's bell is left alone.
    pub quiet: bool,
    /// Only in a demo.
    pub rehearsal: Option<RehearsalDesk>,
    /// While a recording is looked at: where in it.
    pub past: Option<String>,
    /// Columns and rows of what it is painted on: where a loss can't be read, nobody consents to it.
    pub size: (u16, u16),
}

/// Whether the console takes the mouse, or leaves it to the terminal for selecting text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mouse {
    Left,
    Taken,
}

impl Model {
    pub fn new(options: ModelOptions) -> Model {
        let several = options.contexts.len() > 1;
        let mut contexts = options.contexts.into_iter().enumerate().map(|(at, of)| Context::new(ContextId(at), of));
        let here = contexts.next().expect("a console is started with at least one context");
        let theme = here.theme.clone().filter(|theme| options.themes.contains(theme)).unwrap_or(options.theme);
        Model {
            now: options.now,
            theme,
            themes: options.themes,
            keymap: options.keymap,
            here,
            elsewhere: contexts.collect(),
            screen: if several { Screen::Index } else { Screen::Overview },
            trail: Vec::new(),
            lists: BTreeMap::new(),
            dialogs: Vec::new(),
            toasts: Vec::new(),
            outcomes: VecDeque::new(),
            palette_history: Vec::new(),
            mouse: Mouse::Left,
            zoom: 1,
            quiet: options.quiet,
            rehearsal: None,
            past: None,
            size: USUAL_SIZE,
        }
    }

    /// Whether there is room for more than a line a region.
    pub fn is_tiny(&self) -> bool {
        self.size.0 < LEAST_SIZE.0 || self.size.1 < LEAST_SIZE.1
    }

    /// All contexts, in the order in which they were named.
    pub fn contexts(&self) -> Vec<&Context> {
        let mut contexts: Vec<&Context> = self.elsewhere.iter().chain([&self.here]).collect();
        contexts.sort_by_key(|context| context.id);
        contexts
    }

    pub fn context_mut(&mut self, id: ContextId) -> Option<&mut Context> {
        std::iter::once(&mut self.here).chain(&mut self.elsewhere).find(|context| context.id == id)
    }

    pub(super) fn swap_to(&mut self, id: ContextId) {
        if let Some(other) = self.elsewhere.iter_mut().find(|context| context.id == id) {
            std::mem::swap(other, &mut self.here);
        }
    }

    /// Looks at another context. What was begun here goes on and is found again.
    pub(super) fn go_to(&mut self, id: ContextId) {
        self.swap_to(id);
        if let Some(theme) = self.here.theme.clone().filter(|theme| self.themes.contains(theme)) {
            self.theme = theme;
        }
        self.lists.retain(|screen, _| *screen == Screen::Index);
    }

    /// Where the way back ends.
    fn home(&self) -> Screen {
        if self.elsewhere.is_empty() { Screen::Overview } else { Screen::Index }
    }

    /// Goes to a screen, from which Esc leads back here. One that lies on the way here is gone back to, so that no way is
    /// longer than there are screens.
    pub(super) fn open(&mut self, screen: Screen) {
        if screen == self.screen {
            return;
        }
        match self.trail.iter().position(|before| *before == screen) {
            Some(at) => self.trail.truncate(at),
            None if screen == self.home() => self.trail.clear(),
            None => self.trail.push(self.screen),
        }
        self.show(screen);
    }

    /// The next screen beside this one: one level is not left by it.
    pub(super) fn turn_to(&mut self, screen: Screen) {
        if let Some(at) = self.trail.iter().position(|before| *before == screen) {
            self.trail.truncate(at);
        }
        self.show(screen);
    }

    /// A filter that came with the way to a list goes with it.
    fn show(&mut self, screen: Screen) {
        if self.list().borrowed && screen != self.screen {
            self.list_mut().clear_filter();
        }
        self.screen = screen;
    }

    /// One screen back. Says whether there was one.
    pub(super) fn leave_screen(&mut self) -> bool {
        let before = self.trail.pop().or((self.screen != self.home()).then(|| self.home()));
        before.map(|before| self.show(before)).is_some()
    }

    /// Whether Esc has nothing to leave but the model itself.
    pub fn is_at_rest(&self) -> bool {
        let list = self.list();
        let list_at_rest = !list.is_filtered() && !list.typing && !self.points_at_a_row();
        self.dialogs.is_empty() && self.trail.is_empty() && list_at_rest
    }

    /// Whether a row was chosen. How far a text is scrolled is nothing to back out of.
    pub(super) fn points_at_a_row(&self) -> bool {
        self.list().cursor.is_some() && !matches!(self.screen, Screen::Failover | Screen::Replication)
    }

    /// Looks at the same screen and the same region of the same context.
    pub fn keep_place_of(&mut self, other: &Model) {
        self.go_to(other.here.id);
        self.screen = other.screen;
        self.theme.clone_from(&other.theme);
        self.here.selected.clone_from(&other.here.selected);
        self.lists.clone_from(&other.lists);
    }

    /// Puts contexts in the place of those that there are. What is looked at stays.
    pub fn put_back(&mut self, contexts: Vec<Context>) {
        for mut context in contexts {
            if let Some(place) = self.context_mut(context.id) {
                context.selected = place.selected.take();
                *place = context;
            }
        }
    }

    /// The index's rows: the worst first, of the same that which lasts longest, then by name.
    pub fn context_rows(&self) -> Vec<(&Context, Overall)> {
        let list = self.lists.get(&Screen::Index);
        let mut rows: Vec<(&Context, Overall)> = self
            .contexts()
            .into_iter()
            .filter(|context| {
                let names: Vec<String> = context.world.regions().into_iter().map(|region| region.name).collect();
                list.is_none_or(|list| list.shows(&format!("{} {}", context.name, names.join(" "))))
            })
            .map(|context| (context, context.overall(self.now)))
            .collect();
        let key = |(context, overall): &(&Context, Overall)| {
            let severity = std::cmp::Reverse((overall.standing, overall.gravity));
            (severity, overall.since.unwrap_or(UnixMs(u64::MAX)), context.title())
        };
        rows.sort_by_cached_key(key);
        rows
    }

    pub fn selected_index(&self) -> usize {
        self.here.selected_index(self.now)
    }

    pub fn selected_region(&self) -> Option<RegionView<'_>> {
        self.here.selected_region(self.now)
    }

    pub fn pair(&self) -> Option<PairView<'_>> {
        self.here.pair(self.now)
    }

    pub fn alarms(&self) -> Vec<Alarm> {
        self.here.alarms(self.now)
    }

    /// What is wrong in the context that is looked at; on the index in all of them, each with its name.
    pub fn alarms_in_view(&self) -> Vec<Alarm> {
        if self.screen != Screen::Index {
            return self.alarms();
        }
        let rows = self.context_rows().into_iter();
        let named = rows.flat_map(|(context, _)| {
            let title = context.title();
            let name = move |alarm: Alarm| Alarm { text: format!("{title}: {}", alarm.text), ..alarm };
            context.alarms(self.now).into_iter().map(name)
        });
        let mut alarms: Vec<Alarm> = named.collect();
        alarms.sort_by_key(|alarm| std::cmp::Reverse((alarm.level, alarm.gravity)));
        alarms
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
        for region in self.here.world.regions() {
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

    /// The ledger's entries that the filter shows, oldest first.
    pub fn ledger_rows(&self) -> Vec<&LedgerEntryInfo> {
        let list = self.lists.get(&Screen::Ledger);
        // Of the region whose ledger is looked at now, and of no other.
        let region = super::targets::ledger_region(self).map(|region| region.name);
        let told = self.here.ledger.as_ref().filter(|told| Ok(told.source()) == region.as_deref());
        let entries = told.map(|told| told.last().entries.as_slice()).unwrap_or_default();
        let shown = |entry: &&LedgerEntryInfo| {
            let text = format!(
                "{} {} {} {}",
                entry.entry,
                entry.class.name(),
                review_word(&entry.review),
                entry.paths.join(" ")
            );
            list.is_none_or(|list| list.shows(&text))
        };
        entries.iter().filter(shown).collect()
    }

    /// The nodes of the selected region that the filter shows.
    pub fn node_rows(&self) -> Vec<NodeRow<'_>> {
        let list = self.lists.get(&Screen::Region);
        let rows = self.selected_region().map(|region| region.node_rows()).unwrap_or_default();
        rows.into_iter().filter(|row| list.is_none_or(|list| list.shows(&row.text()))).collect()
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
        self.here.log.entries().filter(shown).collect()
    }

    /// Says something in a corner and keeps it among the events.
    pub(super) fn toast(&mut self, level: EventLevel, text: impl Into<String>) {
        let text = text.into();
        self.here.log.note(self.now, level, "noticed", text.clone());
        self.hint(level, text);
    }

    /// Says something in a corner that is not worth keeping.
    pub(super) fn hint(&mut self, level: EventLevel, text: impl Into<String>) {
        self.toasts.push(Toast { at: self.now, context: self.here.id, level, text: text.into() });
        if self.toasts.len() > TOASTS_MAX {
            self.toasts.remove(0);
        }
    }

    /// The newest toast while it is new.
    pub fn toast_in_view(&self) -> Option<&Toast> {
        self.toasts.last().filter(|toast| self.now.since(toast.at) < super::history::TOAST_FOR)
    }
}

/// Lists by what their rows are, whatever rows come and go.
impl Model {
    /// What the rows of the list in view are known by.
    fn row_ids(&self) -> Vec<String> {
        match self.screen {
            Screen::Index => self.context_rows().iter().map(|(context, _)| context.id.0.to_string()).collect(),
            Screen::Region => self.node_rows().iter().map(|node| node.address()).collect(),
            Screen::Tokens => {
                let id = |(region, token): &(RegionView<'_>, &TokenInfo)| format!("{} {}", region.name, token.accessor);
                self.token_rows().iter().map(id).collect()
            }
            Screen::Ledger => self.ledger_rows().into_iter().map(|entry| entry.entry.clone()).collect(),
            Screen::Events => {
                let id = |of: &LogEntry| format!("{} {} {} {}", of.at.0, of.region, of.subject, of.text);
                self.event_rows().into_iter().map(id).collect()
            }
            // These never move.
            Screen::Help | Screen::Failover | Screen::Overview | Screen::Replication => Vec::new(),
        }
    }

    /// Remembers what the cursor was put on.
    pub(super) fn hold_row(&mut self) {
        let Some(cursor) = self.lists.get(&self.screen).and_then(|list| list.cursor) else { return };
        self.list_mut().held = self.row_ids().into_iter().nth(cursor);
    }

    /// Puts the cursor back on what it was put on, wherever that is by now.
    pub(super) fn find_row(&mut self) {
        let Some(list) = self.lists.get(&self.screen) else { return };
        let (Some(_), Some(held)) = (list.cursor, &list.held) else { return };
        if let Some(row) = self.row_ids().iter().position(|id| id == held) {
            self.list_mut().cursor = Some(row);
        }
    }

    /// Something that was asked for, whose end nobody knows, and that was not read since.
    pub fn unknown_outcome(&self) -> Option<&Outcome> {
        self.outcomes.iter().rev().find(|of| of.standing == Standing::Unknown && !of.read)
    }
}

pub fn review_word(review: &ReviewInfo) -> &'static str {
    match review {
        ReviewInfo::Unreviewed { conflicts } if conflicts.is_empty() => "undecided",
        ReviewInfo::Unreviewed { .. } => "conflict",
        ReviewInfo::Replayed { .. } => "replayed",
        ReviewInfo::Discarded { .. } => "discarded",
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
