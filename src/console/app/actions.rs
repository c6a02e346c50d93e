//! The one table of all that a key, the palette or the help can do. Dispatch, help, footer, palette and the README's
//! table are made from it; tests fail when they differ.

use super::keymap::Keymap;
use super::list::Move;
use super::model::{Model, Screen};
use super::targets;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Show(Screen),
    NextScreen,
    PreviousScreen,
    NextRegion,
    PreviousRegion,
    List(Move),
    Filter,
    Palette,
    Back,
    TokenGenerate,
    TokenHandOver,
    TokenReveal,
    TokenRevoke,
    Promote,
    PauseResume,
    Retry,
    Theme,
    Redraw,
    Quit,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    Replication,
    Screens,
    Lists,
    Console,
}

impl Group {
    pub const ALL: [Group; 4] = [Group::Replication, Group::Screens, Group::Lists, Group::Console];

    pub fn title(self) -> &'static str {
        match self {
            Group::Replication => "Replication",
            Group::Screens => "Screens",
            Group::Lists => "Lists",
            Group::Console => "Console",
        }
    }
}

/// What it can do to the regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Danger {
    /// Looks only.
    None,
    /// Changes something that is easily undone.
    Changes,
    /// Asks yes or no first.
    Asks,
    /// Wants the region's name typed.
    Typed,
}

/// Where an action's keys work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Anywhere,
    On(&'static [Screen]),
    /// In the dialog of a new activation token.
    TokenDialog,
}

impl Place {
    /// In a word or two, for tables.
    pub fn words(self) -> String {
        match self {
            Place::Anywhere => "everywhere".into(),
            Place::On(screens) if screens.len() + 1 == Screen::ALL.len() => {
                let missing = Screen::ALL.into_iter().filter(|screen| !screens.contains(screen));
                format!("everywhere but {}", missing.map(Screen::title).collect::<String>())
            }
            Place::On(screens) => screens.iter().map(|screen| screen.title()).collect::<Vec<_>>().join(", "),
            Place::TokenDialog => "Token dialog".into(),
        }
    }
}

pub struct ActionInfo {
    pub action: Action,
    /// What the palette takes.
    pub id: &'static str,
    pub title: &'static str,
    /// For the footer; without one the footer leaves it out.
    pub hint: Option<&'static str>,
    pub group: Group,
    pub keys: &'static [&'static str],
    pub place: Place,
    pub danger: Danger,
    /// Why it can't be done now, in words; `None`: it can.
    pub disabled: fn(&Model) -> Option<String>,
}

const LISTS: Place = Place::On(&[Screen::Region, Screen::Tokens, Screen::Events, Screen::Help]);
const FILTERED: Place = Place::On(&[Screen::Tokens, Screen::Events, Screen::Help]);
const PAIR: Place = Place::On(&[Screen::Overview, Screen::Region, Screen::Replication, Screen::Tokens, Screen::Events]);

const fn show(screen: Screen, id: &'static str, title: &'static str, keys: &'static [&'static str]) -> ActionInfo {
    ActionInfo {
        action: Action::Show(screen),
        id,
        title,
        hint: None,
        group: Group::Screens,
        keys,
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    }
}

const fn go(step: Move, id: &'static str, title: &'static str, keys: &'static [&'static str]) -> ActionInfo {
    ActionInfo {
        action: Action::List(step),
        id,
        title,
        hint: None,
        group: Group::Lists,
        keys,
        place: LISTS,
        danger: Danger::None,
        disabled: never,
    }
}

fn never(_: &Model) -> Option<String> {
    None
}

pub const ACTIONS: &[ActionInfo] = &[
    ActionInfo {
        action: Action::TokenGenerate,
        id: "token-generate",
        title: "Generate an activation token on the standby",
        hint: Some("token"),
        group: Group::Replication,
        keys: &["g"],
        place: PAIR,
        danger: Danger::Changes,
        disabled: targets::generate_disabled,
    },
    ActionInfo {
        action: Action::TokenHandOver,
        id: "token-hand-over",
        title: "Hand the new token to the primary, which then copies everything over",
        hint: Some("hand over"),
        group: Group::Replication,
        keys: &["h"],
        place: PAIR,
        danger: Danger::Asks,
        disabled: targets::hand_over_disabled,
    },
    ActionInfo {
        action: Action::TokenReveal,
        id: "token-reveal",
        title: "Reveal or hide the new token",
        hint: Some("reveal"),
        group: Group::Replication,
        keys: &["v"],
        place: Place::TokenDialog,
        danger: Danger::None,
        disabled: targets::reveal_disabled,
    },
    ActionInfo {
        action: Action::TokenRevoke,
        id: "token-revoke",
        title: "Revoke the selected token",
        hint: Some("revoke"),
        group: Group::Replication,
        keys: &["x"],
        place: Place::On(&[Screen::Tokens]),
        danger: Danger::Asks,
        disabled: targets::revoke_disabled,
    },
    ActionInfo {
        action: Action::Promote,
        id: "promote",
        title: "Promote the standby: see the plan and the loss, then decide",
        hint: Some("promote"),
        group: Group::Replication,
        keys: &["p"],
        place: PAIR,
        danger: Danger::Typed,
        disabled: targets::promote_disabled,
    },
    ActionInfo {
        action: Action::PauseResume,
        id: "pause-resume",
        title: "Pause the link, or carry on with it",
        hint: None,
        group: Group::Replication,
        keys: &["s"],
        place: PAIR,
        danger: Danger::Asks,
        disabled: targets::pause_disabled,
    },
    show(Screen::Overview, "overview", "Regions, link, lag, latest events", &["1"]),
    show(Screen::Region, "region", "The nodes of the selected region", &["2"]),
    show(Screen::Replication, "replication", "Positions, lag and sync in detail", &["3"]),
    show(Screen::Tokens, "tokens", "Activation tokens", &["4"]),
    show(Screen::Events, "events", "What happened", &["5"]),
    ActionInfo {
        hint: Some("help"),
        ..show(Screen::Help, "help", "Every key, and why an action is not possible now", &["?"])
    },
    ActionInfo {
        action: Action::NextScreen,
        id: "next-screen",
        title: "Next screen",
        hint: None,
        group: Group::Screens,
        keys: &["tab"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::PreviousScreen,
        id: "previous-screen",
        title: "Previous screen",
        hint: None,
        group: Group::Screens,
        keys: &["shift-tab"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::PreviousRegion,
        id: "previous-region",
        title: "Select the region to the left",
        hint: None,
        group: Group::Screens,
        keys: &["left"],
        place: PAIR,
        danger: Danger::None,
        disabled: targets::region_disabled,
    },
    ActionInfo {
        action: Action::NextRegion,
        id: "next-region",
        title: "Select the region to the right",
        hint: None,
        group: Group::Screens,
        keys: &["right"],
        place: PAIR,
        danger: Danger::None,
        disabled: targets::region_disabled,
    },
    go(Move::Up, "up", "Up", &["up", "k"]),
    go(Move::Down, "down", "Down", &["down", "j"]),
    go(Move::PageUp, "page-up", "Page up", &["pgup"]),
    go(Move::PageDown, "page-down", "Page down", &["pgdn"]),
    go(Move::First, "first", "First", &["home"]),
    go(Move::Last, "last", "Last", &["end"]),
    ActionInfo {
        action: Action::Filter,
        id: "filter",
        title: "Filter the list",
        hint: Some("filter"),
        group: Group::Lists,
        keys: &["/"],
        place: FILTERED,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::Palette,
        id: "palette",
        title: "Find an action by name",
        hint: Some("command"),
        group: Group::Console,
        keys: &[":"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::Back,
        id: "back",
        title: "Back out one level",
        hint: None,
        group: Group::Console,
        keys: &["esc"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::Retry,
        id: "retry",
        title: "Call nodes that do not answer again, now",
        hint: None,
        group: Group::Console,
        keys: &["r"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: targets::retry_disabled,
    },
    ActionInfo {
        action: Action::Theme,
        id: "theme",
        title: "Change the theme: `:theme NAME`",
        hint: None,
        group: Group::Console,
        keys: &[],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::Redraw,
        id: "redraw",
        title: "Paint the screen anew",
        hint: None,
        group: Group::Console,
        keys: &["ctrl-l"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
    ActionInfo {
        action: Action::Quit,
        id: "quit",
        title: "Quit; the servers carry on",
        hint: Some("quit"),
        group: Group::Console,
        keys: &["q", "ctrl-c"],
        place: Place::Anywhere,
        danger: Danger::None,
        disabled: never,
    },
];

impl Action {
    pub fn info(self) -> &'static ActionInfo {
        ACTIONS.iter().find(|info| info.action == self).expect("a test finds every action in the table")
    }

    /// Whether its keys work where the model is now, dialogs aside.
    pub fn works_on(self, screen: Screen) -> bool {
        match self.info().place {
            Place::Anywhere => true,
            Place::On(screens) => screens.contains(&screen),
            Place::TokenDialog => false,
        }
    }
}

/// The README's table of keys: what stands between `<!-- keys -->` and `<!-- /keys -->`.
pub fn keys_markdown() -> String {
    let keymap = Keymap::default();
    let mut table = String::from("| key | what it does | where |\n|---|---|---|\n");
    for group in Group::ALL {
        for info in ACTIONS.iter().filter(|info| info.group == group) {
            let keys: Vec<String> = keymap.keys(info.action).map(|key| format!("`{key}`")).collect();
            let keys = if keys.is_empty() { format!("`:{}`", info.id) } else { keys.join(" ") };
            table += &format!("| {keys} | {} | {} |\n", info.title, info.place.words());
        }
    }
    table
}
