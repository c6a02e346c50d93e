//! The layers of DESIGN.md, read off the `use` lines: no arrow points up, and the pure folders stay pure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer → the layers it may name. What is missing here may name nothing of the crate.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("ids", &[]),
    ("sensitive", &[]),
    ("error", &["ids"]),
    ("duration", BOTTOM),
    ("decoding", &["error"]),
    ("tls", BOTTOM),
    ("storage", BOTTOM),
    ("state", &["decoding", "storage", "duration", "error", "ids", "clock", "sensitive"]),
    ("consensus", &["decoding", "state", "storage", "duration", "error", "ids", "clock", "sensitive"]),
    ("api", &["state", "duration", "error", "ids", "clock", "sensitive"]),
    (
        "secrets",
        &["decoding", "consensus", "state", "storage", "api", "duration", "error", "ids", "clock", "sensitive"],
    ),
    (
        "replication",
        &["decoding", "consensus", "state", "storage", "api", "tls", "duration", "error", "ids", "clock", "sensitive"],
    ),
    ("config", &["decoding", "storage", "duration", "error", "ids", "clock", "sensitive"]),
    ("client", &["api", "tls", "duration", "error", "ids", "clock", "sensitive"]),
    ("console", &["client", "api", "duration", "error", "ids", "clock", "sensitive"]),
    (
        "server",
        &[
            "decoding",
            "secrets",
            "replication",
            "consensus",
            "state",
            "storage",
            "config",
            "client",
            "api",
            "tls",
            "duration",
            "error",
            "ids",
            "clock",
            "sensitive",
        ],
    ),
    ("demo", &["server", "console", "client", "config", "api", "duration", "error", "ids", "clock", "sensitive"]),
    (
        "cli",
        &[
            "demo",
            "server",
            "console",
            "client",
            "config",
            "api",
            "tls",
            "storage",
            "duration",
            "error",
            "ids",
            "clock",
            "sensitive",
        ],
    ),
];

const BOTTOM: &[&str] = &["error", "ids", "clock", "sensitive"];

/// Folder → words that its files must not contain, and why.
const PURE: &[(&str, &[&str])] = &[
    (
        "src/replication/protocol",
        // Of storage it knows the layout of keys and how a scan is limited, never a store.
        &[
            "tokio",
            "std::time",
            "SystemTime",
            "Instant",
            "rand::",
            "crate::clock::now",
            "dyn Store",
            "SharedStore",
            "Snapshot",
            "storage::memory",
            "storage::fjall",
            "storage::sled",
            "state::State",
            "reqwest",
        ],
    ),
    ("src/console/app", &["tokio", "SystemTime", "Instant::now", "crate::clock::now", "reqwest", "crossterm::execute"]),
    (
        "src/console/domain",
        &["tokio", "SystemTime", "Instant::now", "crate::clock::now", "reqwest", "ratatui", "crossterm"],
    ),
    (
        "src/console/ui",
        // A view gets at what was observed only together with its age.
        &["tokio", "SystemTime", "Instant::now", "crate::clock::now", "reqwest", "crossterm::execute", "AnyAge"],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a directory entry can be read").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The code of a file before its tests, without comments.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).expect("a source file can be read");
    let before_tests = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    before_tests
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect()
}

/// Layers that a line names as `crate::layer`, also in `use crate::{a, b}`.
fn named(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in line.split("crate::").skip(1) {
        let group = part.strip_prefix('{');
        let names: Vec<&str> = match group {
            Some(group) => group.split(['}', ',']).collect(),
            None => vec![part],
        };
        for name in names {
            let word: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(word);
        }
    }
    found
}

#[test]
fn no_layer_names_one_above_it() {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        let inside = file.strip_prefix("src").expect("listed under src");
        let layer = inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default().trim_end_matches(".rs");
        if layer == "main" || layer == "lib" {
            continue;
        }
        let Some(allowed) = rules.get(layer) else {
            wrong.push(format!("{}: layer `{layer}` is not in the table of layers", file.display()));
            continue;
        };
        for (number, line) in code(&file) {
            for name in named(&line) {
                if name != layer && rules.contains_key(name.as_str()) && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{}:{number}: `{layer}` names `{name}`, which is not below it", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_folders_know_no_clock_no_runtime_and_no_socket() {
    let mut wrong = Vec::new();
    for (folder, words) in PURE {
        let files = sources(Path::new(folder));
        assert!(!files.is_empty(), "{folder} holds no source: the rule watches nothing");
        // Tests may draw chance from a seed and stand a store behind what they test.
        for file in files.into_iter().filter(|file| !file.iter().any(|part| part == "tests")) {
            for (number, line) in code(&file) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number}: `{word}` in a pure folder", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_clock_reads_time_and_entropy() {
    let readers = [
        "SystemTime::now",
        "Instant::now",
        "OsRng",
        "thread_rng",
        "rand::random",
        "jiff::Timestamp::now",
        "jiff::Zoned::now",
    ];
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")).into_iter().filter(|file| !file.ends_with("clock.rs")) {
        for (number, line) in code(&file) {
            for word in readers.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!(
                    "{}:{number}: `{word}`; take the time as an argument or call crate::clock",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_engine_is_known_by_its_own_file_only() {
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        for engine in ["fjall", "sled"] {
            let own = Path::new("src/storage").join(format!("{engine}.rs"));
            for (number, line) in code(&file).into_iter().filter(|_| file != own) {
                let names = line.contains(&format!("{engine}::"))
                    && !line.contains(&format!("storage::{engine}::"))
                    && !line.contains(&format!("super::{engine}::"));
                // `storage/mod.rs` and `format.rs` may name the module beside them.
                if names && !file.starts_with("src/storage") {
                    wrong.push(format!("{}:{number}: only {} may know {engine}", file.display(), own.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
