//! Long flags with one dash, as Go programs take them: `-format=json` is `--format=json`.

use std::ffi::OsString;

/// Rewrites what looks like a Go flag: one dash, then a letter, then more than one letter's worth. What follows `--` stays, and
/// so do `-` (standard input), `-h`, and a short flag with its value, `-n=5`.
pub fn normalise(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut verbatim = false;
    arguments
        .into_iter()
        .enumerate()
        .map(|(position, argument)| {
            verbatim |= argument == "--";
            match argument.to_str() {
                Some(text) if position > 0 && !verbatim && is_go_flag(text) => format!("-{text}").into(),
                _ => argument,
            }
        })
        .collect()
}

fn is_go_flag(text: &str) -> bool {
    let Some(name) = text.strip_prefix('-') else { return false };
    let name = name.split('=').next().unwrap_or_default();
    name.len() > 1 && name.starts_with(|first: char| first.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_becomes_two_where_go_would_see_a_flag() {
        let table = [
            ("-format=json", "--format=json"),
            ("-replication-path=default", "--replication-path=default"),
            ("-help", "--help"),
            ("--format=json", "--format=json"),
            ("-h", "-h"),
            ("-n=5", "-n=5"),
            ("-", "-"),
            ("-5", "-5"),
            ("secret/a", "secret/a"),
            ("a=-b", "a=-b"),
        ];
        for (given, expected) in table {
            assert_eq!(normalise(["twinkeep".into(), given.into()])[1], OsString::from(expected), "{given}");
        }
        let after = normalise(["twinkeep".into(), "--".into(), "-format".into()]);
        assert_eq!(after[2], OsString::from("-format"));
    }
}
