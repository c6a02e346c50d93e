//! What a console is started with.

use super::app::{ContextId, ContextOptions, Keymap, ModelOptions, WriteRight};
use super::flight::Film;
use super::session::{SessionOptions, understood};
use super::ui::glyphs;
use super::ui::theme::{DEFAULT, Themes, WITHOUT_COLOUR};
use super::ui::{ColourDepth, Glyphs};
use super::{session::ConsoleClock, term};
use crate::client::Trust;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Between two looks at the folder of the user's themes.
const THEMES_EVERY: Duration = Duration::from_secs(1);
/// The user's keys, in the configuration folder.
const KEYS_FILE: &str = "keys.toml";

/// Whom to attach to, as whom, and how it looks. `..AttachOptions::default()` for what does not matter.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    /// At least one. Several begin with the index.
    pub contexts: Vec<ContextSpec>,
    /// `None`: `terminal`, or `mono` without colours.
    pub theme: Option<String>,
    /// The user's folder: themes, keys.
    pub config_dir: Option<PathBuf>,
    /// Plain signs even where the locale has more.
    pub ascii: bool,
    /// Where to record what is observed and done.
    pub record: Option<PathBuf>,
    /// Ring no bell.
    pub quiet: bool,
}

/// Regions that belong together.
#[derive(Clone, Debug)]
pub struct ContextSpec {
    /// In the top line: `demo`, `prod`.
    pub name: String,
    /// At least one node of each region; the regions' other nodes are found.
    pub addresses: Vec<String>,
    /// Each is tried on each region. Without any the console shows what needs none.
    pub tokens: Vec<SensitiveString>,
    pub trust: Trust,
    /// The path to look at.
    pub path: String,
    /// Whether anything may be changed from here.
    pub write: WriteRight,
    /// A line in the colours of a warning on every screen: `PRODUCTION`.
    pub banner: Option<String>,
    /// Worn while this context is looked at.
    pub theme: Option<String>,
    /// Why it can't be attached to: it is shown with that, and nobody is called.
    pub mistake: Option<String>,
    /// The contexts file that it stands in.
    pub file: Option<PathBuf>,
}

impl Default for ContextSpec {
    fn default() -> ContextSpec {
        ContextSpec {
            name: String::new(),
            addresses: Vec::new(),
            tokens: Vec::new(),
            trust: Trust::System,
            path: "default".into(),
            write: WriteRight::ReadOnly,
            banner: None,
            theme: None,
            mistake: None,
            file: None,
        }
    }
}

impl Default for AttachOptions {
    fn default() -> AttachOptions {
        AttachOptions {
            contexts: Vec::new(),
            theme: None,
            config_dir: config_dir(),
            ascii: false,
            record: None,
            quiet: false,
        }
    }
}

/// `$XDG_CONFIG_HOME/twinkeep`, or `~/.config/twinkeep`.
pub fn config_dir() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/twinkeep`, or `~/.local/state/twinkeep`: what the console writes.
pub fn state_dir() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set(variable).or_else(|| set("HOME").map(|home| home.join(below_home)))?;
    Some(base.join("twinkeep"))
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

/// The user's keys, if there is a file of them; what is wrong with it is a warning.
fn keymap(directory: Option<&Path>, warnings: &mut Vec<String>) -> Keymap {
    let Some(file) = directory.map(|directory| directory.join(KEYS_FILE)).filter(|file| file.exists()) else {
        return Keymap::default();
    };
    match std::fs::read_to_string(&file).map_err(|error| error.to_string()).and_then(|text| Keymap::parse(&text)) {
        Ok((keymap, wrong)) => {
            warnings.extend(wrong.into_iter().map(|wrong| format!("{KEYS_FILE}: {wrong}")));
            keymap
        }
        Err(error) => {
            warnings.push(format!("{}: {error}", file.display()));
            Keymap::default()
        }
    }
}

/// The options, understood and checked.
pub(super) struct Prepared {
    pub sessions: Vec<SessionOptions>,
    pub model: ModelOptions,
    pub look: Look,
    pub warnings: Vec<String>,
    pub record: Option<PathBuf>,
}

/// What screens are painted with, and where it came from.
pub(super) struct Look {
    pub themes: Themes,
    pub glyphs: &'static Glyphs,
    folder: Option<PathBuf>,
    depth: ColourDepth,
}

/// The user's themes as they change. Who reads them is a thread of its own, since a folder may be on a disk that hangs: it
/// ends with whoever listens, and keeps nobody from leaving.
pub(super) struct ThemeWatch(mpsc::Receiver<Themes>);

impl ThemeWatch {
    pub async fn next(&mut self) -> Themes {
        match self.0.recv().await {
            Some(themes) => themes,
            None => std::future::pending().await,
        }
    }
}

impl Look {
    fn load(folder: Option<PathBuf>, depth: ColourDepth, glyphs: &'static Glyphs) -> Look {
        let themes = Themes::load(folder.as_deref().map(theme_files).unwrap_or_default(), depth);
        Look { themes, glyphs, folder, depth }
    }

    /// Looks after the folder of the user's themes from now on.
    pub fn watch(&self) -> ThemeWatch {
        let (sender, themes) = mpsc::channel(1);
        if let Some(folder) = self.folder.clone() {
            let depth = self.depth;
            std::thread::spawn(move || watch_folder(&folder, depth, &sender));
        }
        ThemeWatch(themes)
    }
}

fn watch_folder(folder: &Path, depth: ColourDepth, sender: &mpsc::Sender<Themes>) {
    let mut known = stamp(folder);
    while !sender.is_closed() {
        std::thread::sleep(THEMES_EVERY);
        let now = stamp(folder);
        if now != known {
            known = now;
            if sender.blocking_send(Themes::load(theme_files(folder), depth)).is_err() {
                return;
            }
        }
    }
}

/// When each theme file was last written.
fn stamp(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let written = |entry: std::fs::DirEntry| {
        let time = entry.metadata().ok().and_then(|about| about.modified().ok());
        (entry.path(), time)
    };
    let mut files: Vec<_> = entries.flatten().map(written).collect();
    files.sort();
    files
}

/// What screens are painted with.
fn look(options: &AttachOptions) -> Look {
    let variable = |name: &str| std::env::var(name).ok();
    let glyphs = if options.ascii || !term::is_utf8(variable) { &glyphs::ASCII } else { &glyphs::UTF8 };
    let folder = options.config_dir.as_ref().map(|folder| folder.join("themes"));
    Look::load(folder, term::colour_depth(variable), glyphs)
}

/// The theme where nobody named one.
fn usual_theme() -> &'static str {
    let plain = term::colour_depth(|name: &str| std::env::var(name).ok()) == ColourDepth::None;
    if plain { WITHOUT_COLOUR } else { DEFAULT }
}

/// The addresses of a context as clients understand them, each once; or what is wrong with it.
fn attachable(context: &ContextSpec) -> Result<Vec<String>> {
    if let Some(mistake) = &context.mistake {
        return Err(Error::invalid(mistake.clone()));
    }
    if context.addresses.is_empty() {
        return Err(Error::invalid("no server to attach to: name a node of each region, such as http://10.1.1.1:8200"));
    }
    let mut addresses = understood(&context.addresses, &context.trust)?;
    let mut seen = std::collections::BTreeSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    Ok(addresses)
}

/// A theme that was asked for on the command line has to be there.
fn expect_theme(themes: &Themes, name: Option<&String>) -> Result<()> {
    name.map_or(Ok(()), |name| themes.expect(name)).map_err(Error::invalid)
}

/// The same for a recording, which has its contexts in it.
pub(super) fn prepare_film(options: AttachOptions, film: &Film, clock: ConsoleClock) -> Result<Prepared> {
    let look = look(&options);
    let names = look.themes.names();
    expect_theme(&look.themes, options.theme.as_ref())?;
    let theme = options.theme.clone().unwrap_or_else(|| usual_theme().into());
    let mut warnings = look.themes.warnings.clone();
    let keymap = keymap(options.config_dir.as_deref(), &mut warnings);
    // A film runs by the clock of who looks at it, whatever time it shows.
    let model = ModelOptions { now: clock.now(), ..film.options(&theme, names, keymap) };
    Ok(Prepared { sessions: Vec::new(), model, look, warnings, record: None })
}

pub(super) fn prepare(options: AttachOptions, clock: ConsoleClock) -> Result<Prepared> {
    let look = look(&options);
    let depth = look.depth;
    let names = look.themes.names();
    expect_theme(&look.themes, options.theme.as_ref())?;
    let theme = options.theme.unwrap_or_else(|| usual_theme().into());
    let mut warnings = look.themes.warnings.clone();
    let keymap = keymap(options.config_dir.as_deref(), &mut warnings);
    let mut sessions = Vec::new();
    let mut contexts = Vec::new();
    for (at, context) in options.contexts.into_iter().enumerate() {
        // Colours keep nobody from his servers.
        if let Some(Err(why)) = context.theme.as_ref().map(|name| look.themes.expect(name)) {
            warnings.push(format!("context {}: {why}; it has the usual theme", context.name));
        }
        let attached = attachable(&context);
        // What is wrong comes first: a line may end before the path does.
        let place = context.file.map(|file| format!(" (in [{}] of {})", context.name, file.display()));
        let mistake = attached.as_ref().err().map(|wrong| format!("{wrong}{}", place.unwrap_or_default()));
        let addresses = attached.unwrap_or_default();
        if mistake.is_none() {
            sessions.push(SessionOptions {
                context: ContextId(at),
                path: context.path.clone(),
                addresses: addresses.clone(),
                tokens: context.tokens,
                trust: context.trust,
            });
        }
        contexts.push(ContextOptions {
            name: context.name,
            path: context.path,
            banner: context.banner,
            theme: context.theme.filter(|theme| depth != ColourDepth::None && names.contains(theme)),
            addresses,
            write: context.write,
            mistake,
        });
    }
    if sessions.is_empty() {
        // There is nobody to show beside what is wrong.
        let mistakes: Vec<String> = contexts.into_iter().filter_map(|context| context.mistake).collect();
        let nobody = "no server to attach to: name a node of each region, such as http://10.1.1.1:8200".to_owned();
        return Err(Error::invalid(if mistakes.is_empty() { nobody } else { mistakes.join("; ") }));
    }
    let model = ModelOptions { now: clock.now(), contexts, theme, themes: names, keymap, quiet: options.quiet };
    Ok(Prepared { sessions, model, look, warnings, record: options.record })
}
