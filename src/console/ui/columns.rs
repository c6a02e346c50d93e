//! Column policies: a table names its columns in the order of their worth, and shows as many as fit.

use super::Paint;
use super::role::Role;
use super::widgets::{cell, number};
use ratatui::text::{Line, Span};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub width: usize,
    pub align: Align,
    /// Lower is kept longer when the terminal is narrow.
    pub rank: u8,
}

/// A cell before its column is known to fit.
#[derive(Clone, Debug)]
pub struct Value {
    pub role: Role,
    pub text: String,
}

impl Value {
    pub fn new(role: Role, text: impl Into<String>) -> Value {
        Value { role, text: text.into() }
    }
}

/// Which columns fit in this width, in their order. The last one takes what is left.
pub fn fitting(columns: &[Column], width: u16) -> Vec<(usize, usize)> {
    let mut ranked: Vec<usize> = (0..columns.len()).collect();
    ranked.sort_by_key(|at| columns[*at].rank);
    let mut chosen = Vec::new();
    let mut used = 0;
    for at in ranked {
        let needed = columns[at].width + usize::from(used > 0) * 2;
        if used + needed > usize::from(width) && !chosen.is_empty() {
            continue;
        }
        used += needed;
        chosen.push(at);
    }
    chosen.sort_unstable();
    let spare = usize::from(width).saturating_sub(used);
    let last = chosen.last().copied();
    chosen.into_iter().map(|at| (at, columns[at].width + if Some(at) == last { spare } else { 0 })).collect()
}

/// The line of titles.
pub fn header(columns: &[Column], fit: &[(usize, usize)], paint: Paint<'_>) -> Line<'static> {
    let values = columns.iter().map(|column| Value::new(Role::Muted, column.title)).collect();
    row(columns, fit, values, paint)
}

pub fn row(columns: &[Column], fit: &[(usize, usize)], values: Vec<Value>, paint: Paint<'_>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (at, width) in fit {
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        let value = &values[*at];
        let text = match columns[*at].align {
            Align::Left => cell(&value.text, *width),
            Align::Right => number(&value.text, columns[*at].width),
        };
        spans.push(paint.span(value.role, text));
    }
    Line::from(spans)
}
