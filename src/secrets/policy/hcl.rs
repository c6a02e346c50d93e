//! The language of policies: HCL 1, which differs from the HCL 2 of configuration files in what may stand on one line
//! and in quoted keys. Only what a policy can hold: keys, strings, numbers, flags, lists, objects, heredocs, comments.
//! A JSON object is read as well.

use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// Lists and objects in each other.
const DEPTH_MAX: usize = 16;

/// One entry: its keys, like `path "secret/*"`, and its value.
pub type Item = (Vec<String>, Value);

pub fn parse(text: &str) -> Result<Vec<Item>> {
    if text.trim_start().starts_with('{') {
        return parse_json(text);
    }
    let mut reader = Reader { text, at: 0 };
    let items = reader.items(None, 0)?;
    Ok(items)
}

/// `{"path": {"secret/*": {…}}}`, or the same with lists of objects.
fn parse_json(text: &str) -> Result<Vec<Item>> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Error::invalid(format!("failed to parse policy: not JSON at line {}, column {}", error.line(), error.column()))
    })?;
    let Value::Object(top) = value else { return Err(Error::invalid("failed to parse policy: not an object")) };
    let mut items = Vec::new();
    for (key, value) in top {
        let groups = match value {
            Value::Array(groups) => groups,
            other => vec![other],
        };
        for group in groups {
            match group {
                Value::Object(labelled) if key == "path" => {
                    items.extend(labelled.into_iter().map(|(label, value)| (vec![key.clone(), label], value)));
                }
                other => items.push((vec![key.clone()], other)),
            }
        }
    }
    Ok(items)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    /// Entries up to `close`, or to the end of the text.
    fn items(&mut self, close: Option<char>, depth: usize) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek() {
                None if close.is_none() => return Ok(items),
                None => return Err(self.wrong("the text ends inside an object: `}` is missing")),
                next if next == close => {
                    self.bump();
                    return Ok(items);
                }
                Some(',') => self.bump(),
                Some(_) => items.push(self.item(depth)?),
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item> {
        let mut keys = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek() {
                Some('=' | ':') if !keys.is_empty() => {
                    self.bump();
                    self.skip_space()?;
                    return Ok((keys, self.value(depth)?));
                }
                Some('{') if !keys.is_empty() => return Ok((keys, self.value(depth)?)),
                Some('"') => keys.push(self.string()?),
                Some(c) if is_word(c) => keys.push(self.word()),
                _ => {
                    let key = keys.join(" ");
                    return Err(self.wrong(&format!("key '{key}' expected start of object ('{{') or assignment ('=')")));
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth >= DEPTH_MAX {
            return Err(self.wrong(&format!("lists and objects nest deeper than {DEPTH_MAX}")));
        }
        match self.peek() {
            Some('"') => Ok(Value::String(self.string()?)),
            Some('<') => self.heredoc(),
            Some('[') => self.list(depth),
            Some('{') => {
                self.bump();
                let mut object = Map::new();
                for (mut keys, mut value) in self.items(Some('}'), depth + 1)? {
                    // `a "b" { … }` inside an object is `a = { b = { … } }`.
                    while keys.len() > 1 {
                        let inner = keys.pop().unwrap_or_default();
                        value = Value::Object(Map::from_iter([(inner, value)]));
                    }
                    object.insert(keys.pop().unwrap_or_default(), value);
                }
                Ok(Value::Object(object))
            }
            Some(c) if is_word(c) => {
                let word = self.word();
                match word.as_str() {
                    "true" => Ok(Value::Bool(true)),
                    "false" => Ok(Value::Bool(false)),
                    number => serde_json::from_str(number)
                        .ok()
                        .filter(Value::is_number)
                        .ok_or_else(|| self.wrong(&format!("`{number}` is no value: strings stand in quotes"))),
                }
            }
            _ => Err(self.wrong("a value is missing")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        self.bump();
        let mut values = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek() {
                Some(']') => {
                    self.bump();
                    return Ok(Value::Array(values));
                }
                Some(',') => self.bump(),
                Some(_) => values.push(self.value(depth + 1)?),
                None => return Err(self.wrong("the text ends inside a list: `]` is missing")),
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        self.bump();
        let mut text = String::new();
        loop {
            let c = self.next().filter(|c| *c != '\n');
            match c.ok_or_else(|| self.wrong("a string is not closed"))? {
                '"' => return Ok(text),
                '\\' => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('u') => {
                        let digits: String = (0..4).filter_map(|_| self.next()).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        text.push(code.ok_or_else(|| self.wrong("`\\u` wants four hexadecimal digits"))?);
                    }
                    Some(c @ ('"' | '\\' | '/')) => text.push(c),
                    _ => return Err(self.wrong("an unknown escape in a string")),
                },
                c => text.push(c),
            }
        }
    }

    /// `<<EOF`, or `<<-EOF` whose lines lose their indent.
    fn heredoc(&mut self) -> Result<Value> {
        let rest = &self.text[self.at..];
        let broken = || self.wrong("a heredoc begins with `<<` and a word at the end of a line");
        let (head, body) = rest.split_once('\n').ok_or_else(broken)?;
        let marker = head.strip_prefix("<<").map(|marker| marker.trim_start_matches('-').trim());
        let marker = marker.filter(|marker| !marker.is_empty()).ok_or_else(broken)?;
        let (mut text, mut used) = (String::new(), head.len() + 1);
        for line in body.split_inclusive('\n') {
            used += line.len();
            if line.trim() == marker {
                self.at += used;
                return Ok(Value::String(text));
            }
            text.push_str(if head.starts_with("<<-") { line.trim_start() } else { line });
        }
        Err(self.wrong("a heredoc is not closed"))
    }

    fn word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn skip_space(&mut self) -> Result<()> {
        loop {
            let rest = &self.text[self.at..];
            let after = rest.trim_start();
            self.at += rest.len() - after.len();
            if after.starts_with('#') || after.starts_with("//") {
                self.at += after.find('\n').unwrap_or(after.len());
            } else if after.starts_with("/*") {
                self.at += after.find("*/").ok_or_else(|| self.wrong("a comment is not closed"))? + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn bump(&mut self) {
        self.next();
    }

    fn wrong(&self, what: &str) -> Error {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::invalid(format!("failed to parse policy: At {line}:{column}: {what}"))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')
}
