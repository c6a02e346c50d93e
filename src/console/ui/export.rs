//! A painted screen as text: plain, with escape sequences, or as a picture in SVG.
//!
//! Secrets are painted over by then: what is exported was drawn with [`Secrets::PaintedOver`](super::Secrets).

use super::Theme;
use super::role::Role;
use super::theme::NAMED;
use crate::console::app::history::{SAMPLES_MAX, Samples};
use crossterm::style::ContentStyle;
use ratatui::backend::IntoCrossterm;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write;

/// A character's size in the picture.
const CELL_WIDTH: f64 = 8.4;
const CELL_HEIGHT: u16 = 18;
const MARGIN: u16 = 12;
/// Without a colour of its own the picture looks like a dark terminal.
const PAPER: (u8, u8, u8) = (13, 17, 23);
const INK: (u8, u8, u8) = (201, 209, 217);

/// Lines without styles, and without spaces at their ends.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in rows(buffer) {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Lines with the escape sequences of their styles.
pub fn ansi(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in rows(buffer) {
        let mut x = 0;
        while x < row.len() {
            let style = row[x].style();
            let run = row[x..].iter().take_while(|cell| cell.style() == style).count();
            let symbols: String = row[x..x + run].iter().map(|cell| cell.symbol()).collect();
            let style: ContentStyle = style.into_crossterm();
            text += &style.apply(symbols).to_string();
            x += run;
        }
        text.push('\n');
    }
    text
}

/// The lag over time, a line a second; what was unknown is empty.
pub fn csv(samples: &Samples) -> String {
    let mut text = String::from("time,lag_entries,lag_ms\n");
    let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    for sample in samples.newest(SAMPLES_MAX) {
        text += &format!("{},{},{}\n", sample.at, number(sample.entries), number(sample.ms));
    }
    text
}

/// The screen as a picture: each run of equal cells is one piece of text, in a fixed grid.
pub fn svg(buffer: &Buffer, theme: &Theme) -> String {
    let base = theme.style(Role::Text);
    let paper = base.bg.map_or(PAPER, |colour| rgb(colour, PAPER));
    let ink = base.fg.map_or(INK, |colour| rgb(colour, INK));
    let (width, height) = (
        f64::from(buffer.area.width) * CELL_WIDTH + 2.0 * f64::from(MARGIN),
        buffer.area.height * CELL_HEIGHT + 2 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height}\" viewBox=\"0 0 {width:.0} \
         {height}\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{}\"/>\n<g font-family=\"ui-monospace, \
         'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n",
        hex(paper)
    );
    for (y, row) in rows(buffer).enumerate() {
        let mut x = 0;
        while x < row.len() {
            let look = look(&row[x], ink, paper);
            let run = row[x..].iter().take_while(|cell| self::look(cell, ink, paper) == look).count();
            let symbols: String = row[x..x + run].iter().map(|cell| cell.symbol()).collect();
            piece(&mut svg, x, y, run, &symbols, &look, paper);
            x += run;
        }
    }
    svg + "</g>\n</svg>\n"
}

#[derive(PartialEq)]
struct Look {
    ink: (u8, u8, u8),
    paper: (u8, u8, u8),
    bold: bool,
    italic: bool,
    underlined: bool,
    dim: bool,
}

fn look(cell: &Cell, ink: (u8, u8, u8), paper: (u8, u8, u8)) -> Look {
    let (mut ink, mut paper) = (rgb(cell.fg, ink), rgb(cell.bg, paper));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut ink, &mut paper);
    }
    Look {
        ink,
        paper,
        bold: cell.modifier.contains(Modifier::BOLD),
        italic: cell.modifier.contains(Modifier::ITALIC),
        underlined: cell.modifier.contains(Modifier::UNDERLINED),
        dim: cell.modifier.contains(Modifier::DIM),
    }
}

fn piece(svg: &mut String, x: usize, y: usize, cells: usize, symbols: &str, look: &Look, paper: (u8, u8, u8)) {
    let left = f64::from(MARGIN) + x as f64 * CELL_WIDTH;
    let top = usize::from(MARGIN) + y * usize::from(CELL_HEIGHT);
    let width = cells as f64 * CELL_WIDTH;
    if look.paper != paper {
        let fill = hex(look.paper);
        put(
            svg,
            format_args!(
                "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" fill=\"{fill}\"/>\n"
            ),
        );
    }
    if symbols.trim().is_empty() {
        return;
    }
    let mut style = format!("fill=\"{}\"", hex(look.ink));
    for (wanted, attribute) in [
        (look.bold, " font-weight=\"bold\""),
        (look.italic, " font-style=\"italic\""),
        (look.underlined, " text-decoration=\"underline\""),
        (look.dim, " opacity=\"0.6\""),
    ] {
        if wanted {
            style += attribute;
        }
    }
    let base = top + 13;
    // The length is set, so that a font of another width keeps the grid.
    put(
        svg,
        format_args!(
            "<text x=\"{left:.1}\" y=\"{base}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" {style}>{}</text>\n",
            escaped(symbols)
        ),
    );
}

fn put(svg: &mut String, piece: std::fmt::Arguments<'_>) {
    svg.write_fmt(piece).expect("writing to a string does not fail");
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buffer.content.chunks(usize::from(buffer.area.width).max(1)).take(usize::from(buffer.area.height))
}

fn escaped(text: &str) -> String {
    // Ordinary spaces at the ends of a piece are dropped by some viewers.
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}")
}

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn rgb(colour: Color, default: (u8, u8, u8)) -> (u8, u8, u8) {
    match colour {
        Color::Reset => default,
        Color::Rgb(r, g, b) => (r, g, b),
        Color::Indexed(at @ 0..16) => NAMED[usize::from(at)].1,
        Color::Indexed(at @ 16..232) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = at - 16;
            (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        Color::Indexed(at) => {
            let grey = 8 + 10 * (at - 232);
            (grey, grey, grey)
        }
        named => NAMED.iter().find(|(name, _)| *name == named).map_or(default, |(_, rgb)| *rgb),
    }
}
