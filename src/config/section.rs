//! A stanza, or a whole file, whose keys are asked for by name and type. What nobody asked for is an unknown key, so
//! that the list of known keys is never written twice.

use super::problem::{Place, Problems, Source};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body, Structure};
use std::cell::RefCell;

/// How far a key may be from a known one to be taken for a slip of the pen: 1 is the same word.
const SIMILAR_ENOUGH: f64 = 0.8;

/// A value and where it stands.
#[derive(Clone)]
pub struct Located<'a, T> {
    pub value: T,
    pub place: Place<'a>,
}

pub struct Section<'a> {
    /// As the user wrote it: `listener "tcp"`; `None`: the top level.
    name: Option<String>,
    /// Where it begins; `None`: the top level.
    pub place: Option<Place<'a>>,
    entries: RefCell<Vec<Entry<'a>>>,
    asked: RefCell<Vec<String>>,
    problems: &'a Problems,
}

struct Entry<'a> {
    key: String,
    place: Place<'a>,
    content: Content<'a>,
}

enum Content<'a> {
    Value(&'a Expression),
    Block(&'a Block),
}

impl<'a> Section<'a> {
    /// The top level of these files.
    pub fn top(parsed: impl IntoIterator<Item = (&'a Source, &'a Body)>, problems: &'a Problems) -> Section<'a> {
        let section =
            Section { name: None, place: None, entries: RefCell::default(), asked: RefCell::default(), problems };
        for (source, body) in parsed {
            section.add(source, body);
        }
        section
    }

    /// One label of the stanza, `tcp` of `listener "tcp"`; anything but one is an error.
    fn block(source: &'a Source, block: &'a Block, labels: Labels, problems: &'a Problems) -> (String, Section<'a>) {
        let place = source.place(block.span().or(block.ident.span()));
        let key = block.ident.as_str();
        let label = block.labels.first().map(|label| label.as_str().to_owned()).unwrap_or_default();
        match labels {
            Labels::One if block.labels.len() != 1 || label.is_empty() => {
                problems.error(place, format!("`{key}` needs one name: expected {key} \"NAME\" {{ … }}"));
            }
            Labels::None if !block.labels.is_empty() => {
                problems.error(place, format!("`{key}` takes no name: expected {key} {{ … }}"));
            }
            Labels::One | Labels::None => {}
        }
        let name = if label.is_empty() { key.to_owned() } else { format!("{key} \"{label}\"") };
        let section = Section {
            name: Some(name),
            place: Some(place),
            entries: RefCell::default(),
            asked: RefCell::default(),
            problems,
        };
        section.add(source, &block.body);
        (label, section)
    }

    fn add(&self, source: &'a Source, body: &'a Body) {
        let mut entries = self.entries.borrow_mut();
        for structure in body.iter() {
            let (key, span, content) = match structure {
                Structure::Attribute(attribute) => {
                    (attribute.key.as_str(), attribute.key.span(), Content::Value(&attribute.value))
                }
                Structure::Block(block) => (block.ident.as_str(), block.ident.span(), Content::Block(block)),
            };
            entries.push(Entry { key: key.to_owned(), place: source.place(span), content });
        }
    }

    /// The stanzas of this name, with their labels.
    pub fn labelled(&self, key: &str) -> Vec<(Located<'a, String>, Section<'a>)> {
        self.sections(key, Labels::One)
    }

    /// The stanzas of this name, which have no labels.
    pub fn unlabelled(&self, key: &str) -> Vec<Section<'a>> {
        self.sections(key, Labels::None).into_iter().map(|(_, section)| section).collect()
    }

    fn sections(&self, key: &str, labels: Labels) -> Vec<(Located<'a, String>, Section<'a>)> {
        let mut sections = Vec::new();
        for entry in self.take(key) {
            match entry.content {
                Content::Block(block) => {
                    let (value, section) = Section::block(entry.place.source, block, labels, self.problems);
                    sections.push((Located { value, place: entry.place }, section));
                }
                Content::Value(_) => {
                    let form = if labels == Labels::One { " \"NAME\"" } else { "" };
                    self.problems.error(entry.place, format!("`{key}` is a stanza: expected {key}{form} {{ … }}"));
                }
            }
        }
        sections
    }

    /// A string, if it is there. An empty one is as wrong as a number.
    pub fn text(&self, key: &str) -> Option<Located<'a, String>> {
        let (expression, place) = self.value(key, "a string")?;
        match expression {
            Expression::String(text) if !text.trim().is_empty() => {
                Some(Located { value: text.as_str().to_owned(), place })
            }
            Expression::String(_) => self.wrong(place, key, "a string that is not empty", "an empty one"),
            Expression::StringTemplate(_) => {
                self.wrong(place, key, "a plain string", "one with ${…}, which is not evaluated here")
            }
            other => self.wrong(place, key, "a string", kind(other)),
        }
    }

    /// A string that must be there; `example` shows a user what to write.
    pub fn required_text(&self, key: &str, example: &str) -> Option<Located<'a, String>> {
        let before = self.has(key);
        let text = self.text(key);
        if !before {
            self.missing(key, example);
        }
        text
    }

    /// `true`, `false`, `1`, `0`, also as strings, as Vault takes them.
    pub fn flag(&self, key: &str) -> Option<Located<'a, bool>> {
        let (expression, place) = self.value(key, "true or false")?;
        let value = match expression {
            Expression::Bool(value) => Some(*value.value()),
            Expression::Number(number) => match number.value().as_u64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Expression::String(text) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        match value {
            Some(value) => Some(Located { value, place }),
            None => self.wrong(place, key, "true or false", kind(expression)),
        }
    }

    /// A whole number in this range, also as a string.
    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<u32>) -> Option<Located<'a, u32>> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let (expression, place) = self.value(key, &expected)?;
        let (number, found) = match expression {
            Expression::Number(number) => (number.value().as_u64(), number.value().to_string()),
            Expression::String(text) => (text.parse().ok(), kind(expression).to_owned()),
            other => (None, kind(other).to_owned()),
        };
        match number.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number)) {
            Some(value) => Some(Located { value, place }),
            None => self.wrong(place, key, &expected, &found),
        }
    }

    /// A number of bytes, at least `min`: a whole number, or a string like `256MiB`.
    pub fn bytes(&self, key: &str, min: u64) -> Option<Located<'a, u64>> {
        let expected = format!("bytes as a whole number or like \"256MiB\", at least {min}");
        let (expression, place) = self.value(key, &expected)?;
        let (number, found) = match expression {
            Expression::Number(number) => (number.value().as_u64(), number.value().to_string()),
            Expression::String(text) => (parse_bytes(text), kind(expression).to_owned()),
            other => (None, kind(other).to_owned()),
        };
        match number.filter(|number| *number >= min) {
            Some(value) => Some(Located { value, place }),
            None => self.wrong(place, key, &expected, &found),
        }
    }

    /// A duration: seconds as a number, or a string like `30m`.
    pub fn duration(&self, key: &str) -> Option<Located<'a, std::time::Duration>> {
        let (expression, place) = self.value(key, "a duration")?;
        let text = match expression {
            Expression::Number(number) => number.value().to_string(),
            Expression::String(text) => text.as_str().to_owned(),
            other => return self.wrong(place, key, "seconds or a duration like \"30m\"", kind(other)),
        };
        match crate::duration::parse(&text) {
            Ok(value) => Some(Located { value, place }),
            Err(error) => {
                self.problems.error(place, format!("`{key}`{}: {error}", self.inside()));
                None
            }
        }
    }

    /// Takes a key or stanza of Vault's that has no effect here, and says so.
    pub fn ignored(&self, key: &str, why: &str) {
        for entry in self.take(key) {
            self.problems.warn(entry.place, format!("`{key}`{} has no effect: {why}", self.inside()));
        }
    }

    pub fn missing(&self, key: &str, example: &str) {
        if let Some(place) = self.place {
            self.problems.error(place, format!("`{key}` is missing{}: expected {example}", self.inside()));
        }
    }

    /// What is left was asked for by nobody.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for entry in self.entries.borrow().iter() {
            let nearest = asked
                .iter()
                .map(|known| (strsim::jaro_winkler(known, &entry.key), known))
                .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH)
                .max_by(|left, right| left.0.total_cmp(&right.0));
            let advice = match nearest {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => {
                    let mut known: Vec<&str> = asked.iter().map(String::as_str).collect();
                    known.sort_unstable();
                    format!("expected one of {}", known.join(", "))
                }
            };
            let what = match entry.content {
                Content::Value(_) => "key",
                Content::Block(_) => "stanza",
            };
            self.problems.error(entry.place, format!("unknown {what} `{}`{}: {advice}", entry.key, self.inside()));
        }
    }

    fn has(&self, key: &str) -> bool {
        self.entries.borrow().iter().any(|entry| entry.key == key)
    }

    fn take(&self, key: &str) -> Vec<Entry<'a>> {
        self.asked.borrow_mut().push(key.to_owned());
        self.entries.borrow_mut().extract_if(.., |entry| entry.key == key).collect()
    }

    fn value(&self, key: &str, expected: &str) -> Option<(&'a Expression, Place<'a>)> {
        let mut entries = self.take(key).into_iter();
        let first = entries.next()?;
        for again in entries {
            self.problems.error(again.place, format!("`{key}`{} is already set at {}", self.inside(), first.place));
        }
        match first.content {
            Content::Value(expression) => Some((expression, first.place)),
            Content::Block(_) => self.wrong(first.place, key, expected, "a stanza"),
        }
    }

    /// Names the kind of what was found, never its value: it may be a secret in the wrong place.
    fn wrong<T>(&self, place: Place<'_>, key: &str, expected: &str, found: &str) -> Option<T> {
        self.problems.error(place, format!("`{key}`{}: expected {expected}, found {found}", self.inside()));
        None
    }

    fn inside(&self) -> String {
        self.name.as_ref().map(|name| format!(" in {name}")).unwrap_or_default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    None,
    One,
}

/// `1048576`, `1024KiB`, `1MiB`, `2GiB`.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

fn kind(expression: &Expression) -> &'static str {
    match expression {
        Expression::Null(_) => "null",
        Expression::Bool(_) => "true or false",
        Expression::Number(_) => "a number",
        Expression::String(_) => "another string",
        Expression::Array(_) => "a list",
        Expression::Object(_) => "an object",
        Expression::StringTemplate(_) | Expression::HeredocTemplate(_) => "a template",
        Expression::Variable(_) => "a bare word (quotes are missing)",
        _ => "an expression",
    }
}
