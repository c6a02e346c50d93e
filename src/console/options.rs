//! What a console is started with.

use super::app::{ModelOptions, WriteRight};
use super::session::{SessionOptions, understood};
use super::ui::glyphs;
use super::ui::theme::{DEFAULT, Themes, WITHOUT_COLOUR};
use super::ui::{ColourDepth, Glyphs};
use super::{session::ConsoleClock, term};
use crate::client::Trust;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use std::path::{Path, PathBuf};

/// Whom to attach to, as whom, and how it looks. `..AttachOptions::default()` for what does not matter.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    /// At least one node of each region; the regions' other nodes are found.
    pub addresses: Vec<String>,
    /// Each is tried on each region. Without any the console shows what needs none.
    pub tokens: Vec<SensitiveString>,
    pub trust: Trust,
    /// The path to look at.
    pub path: String,
    /// Whether anything may be changed from here.
    pub write: bool,
    /// `None`: `terminal`, or `mono` without colours.
    pub theme: Option<String>,
    /// Theme files of the user.
    pub theme_dir: Option<PathBuf>,
    /// Plain signs even where the locale has more.
    pub ascii: bool,
    /// In the top line: `demo`, the name of a context.
    pub title: String,
    /// A line in the colours of a warning on every screen: `PRODUCTION`.
    pub banner: Option<String>,
}

impl Default for AttachOptions {
    fn default() -> AttachOptions {
        AttachOptions {
            addresses: Vec::new(),
            tokens: Vec::new(),
            trust: Trust::System,
            path: "default".into(),
            write: false,
            theme: None,
            theme_dir: user_theme_dir(),
            ascii: false,
            title: String::new(),
            banner: None,
        }
    }
}

/// `$XDG_CONFIG_HOME/twinkeep/themes`, or `~/.config/twinkeep/themes`.
fn user_theme_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(config.join("twinkeep").join("themes"))
}

/// The theme files in a directory, if there is one, in the order of their names.
fn theme_files(directory: &Path) -> Vec<(PathBuf, Result<String, String>)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The options, understood and checked.
pub(super) struct Prepared {
    pub sessions: SessionOptions,
    pub model: ModelOptions,
    pub themes: Themes,
    pub glyphs: &'static Glyphs,
}

pub(super) fn prepare(options: AttachOptions, clock: ConsoleClock) -> Result<Prepared> {
    if options.addresses.is_empty() {
        return Err(Error::invalid("no server to attach to: name a node of each region, such as http://10.1.1.1:8200"));
    }
    let variable = |name: &str| std::env::var(name).ok();
    let depth = term::colour_depth(variable);
    let themes = Themes::load(options.theme_dir.as_deref().map(theme_files).unwrap_or_default(), depth);
    let names = themes.names();
    let theme = match options.theme {
        Some(name) if !names.contains(&name) => {
            return Err(Error::invalid(format!("there is no theme `{name}`: there are {}", names.join(", "))));
        }
        Some(name) => name,
        None if depth == ColourDepth::None => WITHOUT_COLOUR.into(),
        None => DEFAULT.into(),
    };
    let mut addresses = understood(&options.addresses, &options.trust)?;
    let mut seen = std::collections::BTreeSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    let sessions = SessionOptions {
        path: options.path.clone(),
        addresses: addresses.clone(),
        tokens: options.tokens,
        trust: options.trust,
    };
    let model = ModelOptions {
        now: clock.now(),
        path: options.path,
        title: options.title,
        banner: options.banner,
        addresses,
        write: if options.write { WriteRight::Write } else { WriteRight::ReadOnly },
        theme,
        themes: names,
    };
    let ascii = options.ascii || !term::is_utf8(variable);
    Ok(Prepared { sessions, model, themes, glyphs: if ascii { &glyphs::ASCII } else { &glyphs::UTF8 } })
}
