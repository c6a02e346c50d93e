//! Themes: a TOML file that gives roles their styles. Those in `themes/` are part of the program; a file of the same
//! name in the user's directory comes first.

use super::role::Role;
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The default: the terminal's own colours and its sixteen names, so that it suits whatever the user chose.
pub const DEFAULT: &str = "terminal";
/// What NO_COLOR uses: states differ by bold, dim and reversed as well.
pub const WITHOUT_COLOUR: &str = "mono";

const EMBEDDED: [(&str, &str); 7] = [
    ("terminal", include_str!("../../../themes/terminal.toml")),
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("deuteranopia", include_str!("../../../themes/deuteranopia.toml")),
    ("tritanopia", include_str!("../../../themes/tritanopia.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
];

/// How many colours the terminal has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ColourDepth {
    None,
    Sixteen,
    TwoHundredFiftySix,
    True,
}

#[derive(Clone, Debug)]
pub struct Theme {
    pub name: String,
    styles: BTreeMap<Role, Style>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StyleSpec {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    reversed: bool,
}

/// All themes by name, and what was wrong with the user's files.
pub struct Themes {
    themes: BTreeMap<String, Theme>,
    pub warnings: Vec<String>,
    /// The same warnings by the theme's name.
    broken: BTreeMap<String, String>,
}

impl Themes {
    /// The embedded themes and the user's, each a file and its text, for a terminal of this depth.
    pub fn load(users: Vec<(PathBuf, Result<String, String>)>, depth: ColourDepth) -> Themes {
        let mut themes = BTreeMap::new();
        let mut broken = BTreeMap::new();
        for (name, text) in EMBEDDED {
            let theme = Theme::parse(name, text).expect("a test parses every embedded theme");
            themes.insert(name.to_owned(), theme.at_depth(depth));
        }
        for (path, text) in users {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            match text.and_then(|text| Theme::parse(&name, &text)) {
                Ok(theme) => {
                    themes.insert(name, theme.at_depth(depth));
                }
                Err(error) => {
                    broken.insert(name, format!("theme {}: {error}", path.display()));
                }
            }
        }
        Themes { themes, warnings: broken.values().cloned().collect(), broken }
    }

    /// Of a file that was good before and is not now, what was good stays.
    pub fn keep_from(&mut self, before: &Themes) {
        for (name, warning) in &self.broken {
            if let Some(theme) = before.themes.get(name) {
                self.themes.insert(name.clone(), theme.clone());
            }
            if !before.warnings.contains(warning) {
                self.warnings.retain(|known| known != warning);
                self.warnings.push(format!("{warning}; what was good before stays"));
            }
        }
    }

    /// Fails where there is no theme of this name, or its file has a mistake.
    pub fn expect(&self, name: &str) -> Result<(), String> {
        match self.broken.get(name) {
            Some(mistake) => Err(mistake.clone()),
            None if self.themes.contains_key(name) => Ok(()),
            None => Err(format!("there is no theme `{name}`: there are {}", self.names().join(", "))),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.themes.keys().cloned().collect()
    }

    /// The theme of this name, or the default.
    pub fn get(&self, name: &str) -> &Theme {
        self.themes.get(name).unwrap_or_else(|| &self.themes[DEFAULT])
    }
}

impl Theme {
    pub fn parse(name: &str, text: &str) -> Result<Theme, String> {
        let specs: BTreeMap<String, StyleSpec> = toml::from_str(text).map_err(|error| error.to_string())?;
        for role in specs.keys() {
            if !Role::ALL.iter().any(|known| known.name() == role) {
                let known: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
                return Err(format!("there is no role `{role}`; there are {}", known.join(", ")));
            }
        }
        let mut styles: BTreeMap<Role, Style> = BTreeMap::new();
        for role in Role::ALL {
            let inherited = role.parent().map(|parent| styles[&parent]).unwrap_or_default();
            // What is behind the text belongs to the place it stands in: the screen, a dialog, a selected row.
            let inherited = if role.parent() == Some(Role::Text) { Style { bg: None, ..inherited } } else { inherited };
            let style = match specs.get(role.name()) {
                Some(spec) => own_style(inherited, spec)?,
                None => inherited,
            };
            styles.insert(role, style);
        }
        Ok(Theme { name: name.into(), styles })
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles[&role]
    }

    fn at_depth(mut self, depth: ColourDepth) -> Theme {
        for style in self.styles.values_mut() {
            style.fg = style.fg.and_then(|colour| reduce(colour, depth));
            style.bg = style.bg.and_then(|colour| reduce(colour, depth));
        }
        self
    }
}

/// The colour of the text is inherited, emphasis is not: a role that names a style means just that emphasis.
fn own_style(inherited: Style, spec: &StyleSpec) -> Result<Style, String> {
    let colour = |text: &Option<String>| match text {
        Some(text) => text
            .parse::<Color>()
            .map(Some)
            .map_err(|_| format!("`{text}` is no colour: expected a name, 0-255 or #rrggbb")),
        None => Ok(None),
    };
    let mut modifiers = Modifier::empty();
    let wanted = [
        (spec.bold, Modifier::BOLD),
        (spec.dim, Modifier::DIM),
        (spec.italic, Modifier::ITALIC),
        (spec.underlined, Modifier::UNDERLINED),
        (spec.reversed, Modifier::REVERSED),
    ];
    for (wanted, modifier) in wanted {
        if wanted {
            modifiers |= modifier;
        }
    }
    Ok(Style {
        fg: colour(&spec.fg)?.or(inherited.fg),
        bg: colour(&spec.bg)?,
        add_modifier: modifiers,
        ..Style::default()
    })
}

/// The nearest colour that the terminal has.
fn reduce(colour: Color, depth: ColourDepth) -> Option<Color> {
    match (depth, colour) {
        (ColourDepth::None, _) => None,
        (ColourDepth::TwoHundredFiftySix, Color::Rgb(r, g, b)) => Some(Color::Indexed(nearest_256(r, g, b))),
        (ColourDepth::Sixteen, Color::Rgb(r, g, b)) => Some(nearest_16(r, g, b)),
        (_, colour) => Some(colour),
    }
}

/// The 6×6×6 cube and the grey ramp of xterm.
fn nearest_256(r: u8, g: u8, b: u8) -> u8 {
    let level = |channel: u8| -> (u8, u8) {
        const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let at = (0..6).min_by_key(|at| LEVELS[*at].abs_diff(channel)).unwrap_or(0);
        (at as u8, LEVELS[at])
    };
    let ((ri, rv), (gi, gv), (bi, bv)) = (level(r), level(g), level(b));
    let average = ((u16::from(r) + u16::from(g) + u16::from(b)) / 3) as u8;
    let step = (average.saturating_sub(3) / 10).min(23);
    let grey = 8 + step * 10;
    if distance((r, g, b), (grey, grey, grey)) < distance((r, g, b), (rv, gv, bv)) {
        232 + step
    } else {
        16 + 36 * ri + 6 * gi + bi
    }
}

fn nearest_16(r: u8, g: u8, b: u8) -> Color {
    *NAMED
        .iter()
        .map(|(colour, rgb)| (colour, distance((r, g, b), *rgb)))
        .min_by_key(|(_, distance)| *distance)
        .map(|(colour, _)| colour)
        .unwrap_or(&Color::Reset)
}

/// The sixteen names as most terminals show them.
pub(super) const NAMED: [(Color, (u8, u8, u8)); 16] = [
    (Color::Black, (0, 0, 0)),
    (Color::Red, (205, 49, 49)),
    (Color::Green, (13, 188, 121)),
    (Color::Yellow, (229, 229, 16)),
    (Color::Blue, (36, 114, 200)),
    (Color::Magenta, (188, 63, 188)),
    (Color::Cyan, (17, 168, 205)),
    (Color::Gray, (204, 204, 204)),
    (Color::DarkGray, (102, 102, 102)),
    (Color::LightRed, (241, 76, 76)),
    (Color::LightGreen, (35, 209, 139)),
    (Color::LightYellow, (245, 245, 67)),
    (Color::LightBlue, (59, 142, 234)),
    (Color::LightMagenta, (214, 112, 214)),
    (Color::LightCyan, (41, 184, 219)),
    (Color::White, (229, 229, 229)),
];

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)
}

#[cfg(test)]
#[path = "theme_sight.rs"]
mod sight;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn every_embedded_theme_parses_and_parents_stand_before_their_children() {
        for (name, text) in EMBEDDED {
            Theme::parse(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for (at, role) in Role::ALL.iter().enumerate() {
            let parent = role.parent().map(|parent| Role::ALL.iter().position(|other| *other == parent).unwrap());
            assert!(parent.is_none_or(|parent| parent < at), "{role:?}");
        }
    }

    #[test]
    fn what_a_theme_leaves_out_looks_like_its_parent_and_mistakes_are_named() {
        let theme = Theme::parse("t", "accent = { fg = \"cyan\", bold = true }").unwrap();
        assert_eq!(theme.style(Role::Primary).fg, Some(Color::Cyan));
        assert!(Theme::parse("t", "acent = { fg = \"cyan\" }").unwrap_err().contains("no role `acent`"));
        assert!(Theme::parse("t", "ok = { fg = \"grean\" }").unwrap_err().contains("`grean` is no colour"));
    }

    #[test]
    fn fewer_colours_are_the_nearest_ones_and_none_are_none() {
        assert_eq!(reduce(Color::Rgb(255, 80, 80), ColourDepth::Sixteen), Some(Color::LightRed));
        assert_eq!(reduce(Color::Rgb(95, 135, 175), ColourDepth::TwoHundredFiftySix), Some(Color::Indexed(67)));
        assert_eq!(reduce(Color::Rgb(18, 18, 18), ColourDepth::TwoHundredFiftySix), Some(Color::Indexed(233)));
        assert_eq!(reduce(Color::Red, ColourDepth::None), None);
    }

    #[test]
    fn a_users_theme_comes_first_and_a_broken_one_is_a_warning() {
        let file = |name: &str, text: &str| (PathBuf::from(name), Ok(text.to_owned()));
        let users = vec![file("themes/dark.toml", "ok = { fg = \"blue\" }"), file("themes/mine.toml", "ok = 7")];
        let themes = Themes::load(users, ColourDepth::True);
        assert_eq!(themes.get("dark").style(Role::Ok).fg, Some(Color::Blue));
        assert_eq!(themes.warnings.len(), 1);
        assert_eq!(themes.get("mine").name, DEFAULT);
        assert!(themes.expect("mine").unwrap_err().contains("mine.toml"), "not that there is none");
        assert!(themes.expect("none").unwrap_err().contains("there is no theme `none`"));
        assert_eq!(themes.expect("dark"), Ok(()));
    }

    #[test]
    fn a_theme_in_use_that_is_broken_stays_as_it_was_and_is_a_warning_once() {
        let load = |text: &str| {
            Themes::load(vec![(PathBuf::from("themes/mine.toml"), Ok(text.to_owned()))], ColourDepth::True)
        };
        let good = load("ok = { fg = \"blue\" }");
        let mut broken = load("ok = 5 [");
        broken.keep_from(&good);
        assert_eq!(broken.get("mine").style(Role::Ok).fg, Some(Color::Blue));
        assert!(broken.names().contains(&"mine".to_owned()));
        assert!(broken.warnings[0].contains("stays"), "{:?}", broken.warnings);
        let mut again = load("ok = 5 [");
        again.keep_from(&broken);
        assert_eq!(again.get("mine").style(Role::Ok).fg, Some(Color::Blue));
    }
}
