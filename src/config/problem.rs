//! What is wrong with a configuration, and where.

use super::one_line;
use crate::error::Error;
use hcl_edit::structure::Body;
use std::cell::RefCell;
use std::ops::Range;
use std::path::PathBuf;

/// One file and its text.
pub struct Source {
    pub path: PathBuf,
    /// As it is parsed: stanzas on one line are broken into several.
    pub text: String,
    /// Where it was broken: no line of the file ends there.
    breaks: Vec<usize>,
}

/// A line of a file.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub source: &'a Source,
    pub line: usize,
}

impl Source {
    pub fn new(path: PathBuf, text: String) -> Source {
        let (text, breaks) = if text.parse::<Body>().is_ok() { (text, Vec::new()) } else { one_line::broken(&text) };
        Source { path, text, breaks }
    }

    /// Whether columns are those of the file.
    pub fn is_whole(&self) -> bool {
        self.breaks.is_empty()
    }

    /// The place of what was parsed from this range of bytes.
    pub fn place(&self, span: Option<Range<usize>>) -> Place<'_> {
        let start = span.map_or(0, |span| span.start.min(self.text.len()));
        let lines = self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
        let line = 1 + lines - self.breaks.iter().filter(|at| **at < start).count();
        Place { source: self, line }
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source.path.display(), self.line)
    }
}

/// All that was found so far: errors, which forbid a start, and warnings.
#[derive(Default)]
pub struct Problems {
    errors: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

impl Problems {
    pub fn error(&self, place: Place<'_>, message: impl AsRef<str>) {
        self.errors.borrow_mut().push(format!("{place}: {}", message.as_ref()));
    }

    /// For what is missing from a whole configuration, which has no line.
    pub fn error_in(&self, file: &std::path::Path, message: impl AsRef<str>) {
        self.errors.borrow_mut().push(format!("{}: {}", file.display(), message.as_ref()));
    }

    pub fn warn(&self, place: Place<'_>, message: impl AsRef<str>) {
        self.warnings.borrow_mut().push(format!("{place}: {}", message.as_ref()));
    }

    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// One error that names them all, one a line.
    pub fn into_error(self) -> Option<Error> {
        let errors = self.errors.into_inner();
        if errors.is_empty() { None } else { Some(Error::Invalid(errors.join("\n"))) }
    }
}
