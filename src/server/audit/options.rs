//! What an audit device is told: Vault's options of a file device, each kept or refused by its name.

use crate::error::{Error, Result};
use crate::server::handlers::fields;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The names under which the options are stored and told.
const FILE_PATH: &str = "file_path";
const BLOCKING: &str = "blocking";
const MODE: &str = "mode";
const HMAC_ACCESSOR: &str = "hmac_accessor";
const ELIDE_LISTS: &str = "elide_list_responses";

/// As in Vault, these are no names of files.
const STANDARD_OUTPUT: &str = "stdout";
const NOWHERE: &str = "discard";

/// Of a new file, as in Vault.
const MODE_DEFAULT: u32 = 0o600;

/// Where a device writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    StandardOutput,
    Nowhere,
    File {
        path: PathBuf,
        /// `None`: as the file has it.
        mode: Option<u32>,
    },
}

impl Target {
    /// Of options that were checked.
    pub fn of(options: &BTreeMap<String, String>) -> Target {
        match options.get(FILE_PATH).map(String::as_str).unwrap_or_default() {
            STANDARD_OUTPUT => Target::StandardOutput,
            NOWHERE => Target::Nowhere,
            path => {
                let mode = options.get(MODE).and_then(|mode| u32::from_str_radix(mode, 8).ok());
                let mode = mode.unwrap_or(MODE_DEFAULT);
                Target::File { path: path.into(), mode: (mode > 0).then_some(mode) }
            }
        }
    }
}

/// Whom a device keeps from being answered that it can't take down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocking {
    /// All, whatever other devices do: `blocking=true`.
    Always,
    /// All, if no other device can either: Vault's rule.
    Together,
    /// Nobody: `blocking=false`.
    Never,
}

pub fn blocks(options: &BTreeMap<String, String>) -> Blocking {
    match options.get(BLOCKING).map(String::as_str) {
        None => Blocking::Together,
        Some("false") => Blocking::Never,
        Some(_) => Blocking::Always,
    }
}

/// Whether accessors are shown as hashes.
pub fn hashes_accessors(options: &BTreeMap<String, String>) -> bool {
    options.get(HMAC_ACCESSOR).is_none_or(|hashed| hashed != "false")
}

/// Whether of a list only its length is shown.
pub fn elides_lists(options: &BTreeMap<String, String>) -> bool {
    options.get(ELIDE_LISTS).is_some_and(|elided| elided == "true")
}

/// Checks what a client asks for. `data` is where this node keeps what is its own.
pub fn parse(asked: &Map<String, Value>, data: &Path) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for (name, value) in asked {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match name.as_str() {
            // An older name of the same.
            FILE_PATH | "path" => options.insert(FILE_PATH.to_owned(), text),
            BLOCKING | HMAC_ACCESSOR | ELIDE_LISTS => {
                options.insert(name.clone(), fields::value_flag(value, name)?.to_string())
            }
            MODE => options.insert(MODE.to_owned(), expect_mode(text)?),
            "format" if text == "json" || text.is_empty() => None,
            "format" => return Err(Error::invalid(format!("unknown format type \"{text}\": there is `json`"))),
            "log_raw" if fields::value_flag(value, name)? => {
                return Err(Error::invalid("log_raw: values are never logged in the clear"));
            }
            "log_raw" => None,
            "prefix" if text.is_empty() => None,
            // A line that begins as the caller likes is a line of any other file, such as one of a shell.
            "prefix" => return Err(Error::invalid("audit log prefixing is not allowed")),
            other => return Err(Error::invalid(format!("the file device has no option `{other}`"))),
        };
    }
    if options.get(FILE_PATH).is_none_or(String::is_empty) {
        return Err(Error::invalid("file_path is required"));
    }
    if let Target::File { path, .. } = Target::of(&options) {
        expect_outside(&path, data)?;
    }
    Ok(options)
}

fn expect_mode(text: String) -> Result<String> {
    let wrong = || Error::invalid(format!("invalid file mode \"{text}\": expected octal digits like 0600"));
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(wrong)?;
    if mode & 0o111 > 0 {
        return Err(Error::invalid(format!("invalid file mode \"{text}\": an audit log is not to be run")));
    }
    Ok(text)
}

/// Fails for a file among those that this node keeps its data in: a line of the log would damage them.
pub fn expect_outside(path: &Path, data: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = real(path).or_else(|| real(path.parent().filter(|parent| !parent.as_os_str().is_empty())?));
    match (folder, real(data)) {
        (Some(folder), Some(data)) if folder.starts_with(&data) => {
            Err(Error::invalid("file_path: the data directory of this node holds no audit log"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(options: Value, data: &Path) -> Result<BTreeMap<String, String>> {
        parse(options.as_object().expect("an object"), data)
    }

    #[test]
    fn options_are_kept_or_refused_by_their_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("audit.log");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let given = json!({"file_path": log, "mode": "0640", "format": "json", "hmac_accessor": "false",
            "log_raw": false, "prefix": "", "blocking": "1", "elide_list_responses": true});
        let options = parsed(given, &data).expect("good options");
        assert_eq!(Target::of(&options), Target::File { path: log.clone(), mode: Some(0o640) });
        assert!(!hashes_accessors(&options) && blocks(&options) == Blocking::Always && elides_lists(&options));
        let keeps = parsed(json!({"file_path": log, "mode": "0000"}), &data).expect("good options");
        assert_eq!(Target::of(&keeps), Target::File { path: log.clone(), mode: None });
        for (wrong, why) in [
            (json!({}), "file_path"),
            (json!({"file_path": log, "log_raw": "true"}), "log_raw"),
            (json!({"file_path": log, "prefix": "@cee"}), "prefixing"),
            (json!({"file_path": log, "format": "jsonx"}), "jsonx"),
            (json!({"file_path": log, "mode": "9"}), "mode"),
            (json!({"file_path": log, "mode": "0755"}), "mode"),
            (json!({"file_path": log, "filter": "x"}), "`filter`"),
            (json!({"file_path": data.join("log")}), "data directory"),
            (json!({"file_path": folder.path().join("data/../data/log")}), "data directory"),
        ] {
            let error = parsed(wrong.clone(), &data).expect_err("refused").to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
