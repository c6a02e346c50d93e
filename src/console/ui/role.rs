//! What a thing on the screen *is*; a theme says how that looks.

/// Roles form a tree: what a theme leaves out looks like its parent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    Text,
    /// Labels, separators, what matters less.
    Muted,
    Border,
    Title,
    /// The one thing to look at first: the link's arrow.
    Accent,
    /// The border of the selected card.
    Selected,
    /// The row under the cursor.
    Cursor,
    Primary,
    Standby,
    Fenced,
    Ok,
    Warn,
    Crit,
    Unknown,
    /// A value that was observed too long ago.
    Stale,
    Key,
    Disabled,
    /// A revealed secret.
    Secret,
    Gauge,
    Spark,
    /// The line of a split brain, or of a production context.
    Banner,
    Dialog,
    Input,
}

impl Role {
    pub const ALL: [Role; 23] = [
        Role::Text,
        Role::Muted,
        Role::Border,
        Role::Title,
        Role::Accent,
        Role::Selected,
        Role::Cursor,
        Role::Primary,
        Role::Standby,
        Role::Fenced,
        Role::Ok,
        Role::Warn,
        Role::Crit,
        Role::Unknown,
        Role::Stale,
        Role::Key,
        Role::Disabled,
        Role::Secret,
        Role::Gauge,
        Role::Spark,
        Role::Banner,
        Role::Dialog,
        Role::Input,
    ];

    /// As theme files write it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Text => "text",
            Role::Muted => "muted",
            Role::Border => "border",
            Role::Title => "title",
            Role::Accent => "accent",
            Role::Selected => "selected",
            Role::Cursor => "cursor",
            Role::Primary => "primary",
            Role::Standby => "standby",
            Role::Fenced => "fenced",
            Role::Ok => "ok",
            Role::Warn => "warn",
            Role::Crit => "crit",
            Role::Unknown => "unknown",
            Role::Stale => "stale",
            Role::Key => "key",
            Role::Disabled => "disabled",
            Role::Secret => "secret",
            Role::Gauge => "gauge",
            Role::Spark => "spark",
            Role::Banner => "banner",
            Role::Dialog => "dialog",
            Role::Input => "input",
        }
    }

    /// Whose look it takes over where a theme says nothing. A parent stands before its children in [`Role::ALL`].
    pub fn parent(self) -> Option<Role> {
        match self {
            Role::Text => None,
            Role::Border | Role::Stale | Role::Disabled => Some(Role::Muted),
            Role::Selected | Role::Primary | Role::Fenced | Role::Key | Role::Gauge | Role::Spark => Some(Role::Accent),
            Role::Banner => Some(Role::Crit),
            Role::Secret | Role::Unknown => Some(Role::Warn),
            Role::Muted
            | Role::Title
            | Role::Accent
            | Role::Cursor
            | Role::Standby
            | Role::Ok
            | Role::Warn
            | Role::Crit
            | Role::Dialog
            | Role::Input => Some(Role::Text),
        }
    }
}
