//! The one table of all that a key, the palette or the help can do. Dispatch, help, footer, palette and the README's
//! table are made from it; tests fail when they differ.

use super::keymap::Keymap;
use super::list::Move;
use super::model::{Model, Screen};
pub use super::table::ACTIONS;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Show(Screen),
    /// Looks at the context under the cursor, or the one that is named.
    Context,
    NextScreen,
    PreviousScreen,
    NextRegion,
    PreviousRegion,
    List(Move),
    Filter,
    /// To the first event at or after a time.
    Jump,
    ZoomIn,
    ZoomOut,
    Palette,
    /// All that is wrong, in whole sentences.
    Alarms,
    /// What became of what was asked for.
    Outcomes,
    Back,
    TokenGenerate,
    Link,
    TokenHandOver,
    TokenReveal,
    TokenCopy,
    TokenSave,
    TokenRevoke,
    Promote,
    FindPromotion,
    PauseResume,
    LedgerMark,
    LedgerMarkAll,
    LedgerReplay,
    LedgerOverwrite,
    LedgerDiscard,
    LedgerExport,
    Verify,
    Fence,
    Rejoin,
    Retry,
    Faults,
    Past(Look),
    Mark,
    Export,
    Bundle,
    Log,
    Quiet,
    Arm,
    Disarm,
    Copy,
    Mouse,
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

/// How one moves in what was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    Back,
    Forward,
    FarBack,
    FarForward,
    Play,
    PreviousMark,
    NextMark,
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
            Place::On(screens) if screens.len() + 2 >= Screen::ALL.len() => {
                let missing = Screen::ALL.into_iter().filter(|screen| !screens.contains(screen));
                format!("everywhere but {}", missing.map(Screen::title).collect::<Vec<_>>().join(", "))
            }
            Place::On(screens) => screens.iter().map(|screen| screen.title()).collect::<Vec<_>>().join(", "),
            Place::TokenDialog => "Token dialog".into(),
        }
    }
}

/// What an action is told when it is run by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    Nothing,
    /// The name of a theme: shown while it is pointed at.
    Theme,
    /// The name of a context.
    Context,
    /// How long: `15m`.
    Duration,
    /// What a screen is written as.
    Format,
    /// Words: why.
    Reason,
    /// The id of a promotion.
    Id,
    /// A time of day: `02:58`.
    Time,
}

/// What the footer says beside an action's key.
#[derive(Clone, Copy)]
pub enum FooterHint {
    /// It leaves it out.
    None,
    Always(&'static str),
    /// Where it leads on, and by the name that it has there.
    When(fn(&Model) -> Option<&'static str>),
}

impl FooterHint {
    pub fn words(self, model: &Model) -> Option<&'static str> {
        match self {
            FooterHint::None => None,
            FooterHint::Always(words) => Some(words),
            FooterHint::When(words) => words(model),
        }
    }
}

pub struct ActionInfo {
    pub action: Action,
    /// What the palette takes.
    pub id: &'static str,
    pub title: &'static str,
    /// For the footer.
    pub hint: FooterHint,
    pub group: Group,
    pub keys: &'static [&'static str],
    pub place: Place,
    pub danger: Danger,
    pub takes: Takes,
    /// Why it can't be done now, in words; `None`: it can.
    pub disabled: fn(&Model) -> Option<String>,
}

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

/// A line of a table of keys: the keys, or the name behind `:` where there are none; what they do; where.
pub struct KeyRow {
    pub group: Group,
    pub keys: Vec<String>,
    pub title: &'static str,
    pub place: String,
}

/// All actions in the order of their groups, with the keys that they have unless the user says otherwise.
pub fn key_rows() -> Vec<KeyRow> {
    let keymap = Keymap::default();
    let row = |info: &ActionInfo| {
        let mut keys: Vec<String> = keymap.keys(info.action).map(|key| key.to_string()).collect();
        if keys.is_empty() {
            keys.push(format!(":{}", info.id));
        }
        KeyRow { group: info.group, keys, title: info.title, place: info.place.words() }
    };
    let of_group = |group| ACTIONS.iter().filter(move |info| info.group == group);
    Group::ALL.into_iter().flat_map(of_group).map(row).collect()
}

/// The README's table of keys: what stands between `<!-- keys -->` and `<!-- /keys -->`.
pub fn keys_markdown() -> String {
    let mut table = String::from("| key | what it does | where |\n|---|---|---|\n");
    for KeyRow { keys, title, place, .. } in key_rows() {
        let keys: Vec<String> = keys.into_iter().map(|key| format!("`{key}`")).collect();
        table += &format!("| {} | {title} | {place} |\n", keys.join(" "));
    }
    table
}
