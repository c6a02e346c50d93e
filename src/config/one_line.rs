//! Stanzas on one line, like `listener "tcp" { address = "127.0.0.1:8200" tls_disable = 1 }`: what Vault's files may hold,
//! whose HCL is an older one. The parser here wants a line for each setting, so such a text is broken into lines.

/// The text with each setting on a line of its own, and where a line was broken that was one before.
pub fn broken(text: &str) -> (String, Vec<usize>) {
    let mut breaker = Breaker { text, at: 0, out: String::with_capacity(text.len() + 64), breaks: Vec::new() };
    breaker.run();
    (breaker.out, breaker.breaks)
}

struct Breaker<'a> {
    text: &'a str,
    at: usize,
    out: String,
    breaks: Vec<usize>,
}

/// What a bracket opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    Stanza,
    /// A list, an object, an expression: it may be on one line anyway.
    Value,
}

/// How much of a setting was read in this line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Nothing, or its key.
    Key,
    /// All up to `=`, or to what must have something behind it.
    Sign,
    /// A whole value, though more of it may come.
    Value,
}

impl<'a> Breaker<'a> {
    fn run(&mut self) {
        let mut open = Vec::new();
        let mut read = Read::Key;
        while let Some(c) = self.rest().chars().next() {
            let in_value = open.last() == Some(&Opened::Value);
            let begins_word = c == '"' || c == '_' || c.is_alphanumeric();
            if let Some(comment) = self.comment() {
                self.take(comment);
            } else if begins_word || c == '<' && self.rest().starts_with("<<") {
                if read == Read::Value && !in_value && begins_word {
                    self.line_break();
                    read = Read::Key;
                }
                let word = self.word();
                self.take(word);
                if read == Read::Sign {
                    read = Read::Value;
                }
            } else {
                match c {
                    '{' if !in_value && read == Read::Key => {
                        open.push(Opened::Stanza);
                        self.take(1);
                        self.line_break();
                        continue;
                    }
                    '{' | '[' | '(' => open.push(Opened::Value),
                    '}' | ']' | ')' => match open.pop() {
                        Some(Opened::Stanza) => {
                            self.line_break();
                            self.take(1);
                            self.line_break();
                            read = Read::Key;
                            continue;
                        }
                        // The last of a value's brackets ends it.
                        _ => read = Read::Value,
                    },
                    ',' if !in_value && read == Read::Value => {
                        self.at += 1;
                        self.line_break();
                        read = Read::Key;
                        continue;
                    }
                    '\n' if !in_value => read = Read::Key,
                    c if c.is_whitespace() || in_value => {}
                    _ => read = Read::Sign,
                }
                self.take(c.len_utf8());
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, bytes: usize) {
        let taken = &self.rest()[..bytes];
        self.out.push_str(taken);
        self.at += bytes;
    }

    /// Ends the line, unless nothing but space is on it before this place.
    fn line_break(&mut self) {
        let line = self.out.rsplit('\n').next().unwrap_or_default();
        if !line.trim().is_empty() {
            self.breaks.push(self.out.len());
            self.out.push('\n');
        }
    }

    /// The bytes of a comment that begins here, without the end of its line.
    fn comment(&self) -> Option<usize> {
        let rest = self.rest();
        if rest.starts_with("/*") {
            return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
        }
        let is_comment = rest.starts_with('#') || rest.starts_with("//");
        is_comment.then(|| rest.find('\n').unwrap_or(rest.len()))
    }

    /// The bytes of a string, a heredoc, or a word that begins here.
    fn word(&self) -> usize {
        let rest = self.rest();
        if rest.starts_with('"') {
            let mut is_escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = matches!(c, '"' | '\n') && !is_escaped;
                is_escaped = *c == '\\' && !is_escaped;
                ends
            });
            return end.map_or(rest.len(), |(at, c)| if c == '"' { at + 1 } else { at });
        }
        if let Some(heredoc) = rest.strip_prefix("<<") {
            let name = heredoc.trim_start_matches('-').lines().next().unwrap_or_default().trim();
            let mut end = 0;
            for (number, line) in rest.split_inclusive('\n').enumerate() {
                end += line.trim_end_matches(['\r', '\n']).len();
                if number > 0 && line.trim() == name {
                    return end;
                }
                end = end - line.trim_end_matches(['\r', '\n']).len() + line.len();
            }
            return rest.len();
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        rest.find(|c| !is_word(c)).unwrap_or(rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcl_edit::structure::Body;

    #[test]
    fn stanzas_on_one_line_become_what_the_parser_takes() {
        let cases = [
            ("a \"b\" { c = 1 }", "a \"b\" {\n c = 1 \n}\n"),
            ("a \"b\" { c = \"x\" d = true }", "a \"b\" {\n c = \"x\" \nd = true \n}\n"),
            ("a { b = \"1\"\n c = 2\n}\n", "a {\n b = \"1\"\n c = 2\n}\n"),
            ("a { b = [1, 2] c = { d = 1 } e = 2 }", "a {\n b = [1, 2] \nc = { d = 1 } \ne = 2 \n}\n"),
            ("a { b = 1, c = 2 } d = 3", "a {\n b = 1\n c = 2 \n}\n d = 3"),
            ("a { b { c = 1 } }", "a {\n b {\n c = 1 \n}\n }\n"),
            ("a { b = \"} x = 1 \\\" {\" } # { c = 1 d }", "a {\n b = \"} x = 1 \\\" {\" \n}\n # { c = 1 d }"),
            ("a = <<EOF\n{ b = 1 c\nEOF\nd { e = 1 }", "a = <<EOF\n{ b = 1 c\nEOF\nd {\n e = 1 \n}\n"),
            ("a {}", "a {\n}\n"),
        ];
        for (text, expected) in cases {
            let (broken, breaks) = broken(text);
            let parses = broken.parse::<Body>().is_ok();
            assert!(parses, "{broken:?}");
            let lines =
                |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            assert_eq!(lines(&broken), lines(expected), "{text:?}");
            assert!(breaks.iter().all(|at| broken.as_bytes()[*at] == b'\n'), "{breaks:?}");
            let own = text.matches('\n').count();
            assert_eq!(broken.matches('\n').count(), own + breaks.len(), "{text:?}");
        }
    }
}
