//! The signs on the screen, in UTF-8 or in ASCII.

use ratatui::buffer::Buffer;
use ratatui::symbols::border;

#[derive(Clone, Debug)]
pub struct Glyphs {
    pub ascii_only: bool,
    pub border: border::Set<'static>,
    pub ok: &'static str,
    pub warn: &'static str,
    pub crit: &'static str,
    pub unknown: &'static str,
    pub stale: &'static str,
    pub primary: &'static str,
    pub standby: &'static str,
    pub fenced: &'static str,
    /// Of the link's arrow.
    pub line: &'static str,
    pub dashes: &'static str,
    pub right: &'static str,
    pub left: &'static str,
    pub cut: &'static str,
    pub pause: &'static str,
    pub full: &'static str,
    pub empty: &'static str,
    /// From low to high.
    pub levels: [&'static str; 8],
    /// In a sparkline: nothing known.
    pub gap: &'static str,
    pub pointer: &'static str,
    pub mask: &'static str,
    pub arrow: &'static str,
}

pub const UTF8: Glyphs = Glyphs {
    ascii_only: false,
    border: border::ROUNDED,
    ok: "●",
    warn: "▲",
    crit: "✖",
    unknown: "?",
    stale: "◌",
    primary: "◆",
    standby: "◇",
    fenced: "⊘",
    line: "━",
    dashes: "╌",
    right: "▶",
    left: "◀",
    cut: "╳",
    pause: "‖",
    full: "█",
    empty: "░",
    levels: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    gap: "·",
    pointer: "▸",
    mask: "•",
    arrow: "→",
};

pub const ASCII: Glyphs = Glyphs {
    ascii_only: true,
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    ok: "+",
    warn: "!",
    crit: "X",
    unknown: "?",
    stale: "~",
    primary: "#",
    standby: "=",
    fenced: "/",
    line: "=",
    dashes: "-",
    right: ">",
    left: "<",
    cut: "x",
    pause: "\"",
    full: "#",
    empty: "-",
    levels: ["_", ".", "-", "=", "+", "*", "%", "#"],
    gap: " ",
    pointer: ">",
    mask: "*",
    arrow: "->",
};

/// Replaces what is left of other characters: names and sentences that came from servers.
pub fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let plain = match cell.symbol() {
            "·" | "–" | "—" => "-",
            "…" => "~",
            "×" => "x",
            "’" | "‘" => "'",
            "“" | "”" => "\"",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}
