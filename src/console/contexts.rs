//! The contexts file: names for regions that belong together, where their tokens come from, and what may be done there.
//!
//! ```toml
//! [prod]
//! addresses  = ["https://10.1.1.1:8200", "https://10.2.2.1:8200"]
//! token_file = "~/.vault-token-prod"   # or a list of files: regions that are not linked have tokens of their own; or token_env = "PROD_TOKEN"; without either: VAULT_TOKEN, ~/.vault-token
//! ca_cert    = "/etc/twinkeep/ca.pem"  # or tls_fingerprint = "…"
//! path       = "default"
//! read_only  = true                    # not even `:arm` changes anything
//! banner     = "PRODUCTION"
//! theme      = "high-contrast"
//! ```

use super::app::WriteRight;
use super::options::ContextSpec;
use crate::client::Trust;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file's name in the user's configuration folder.
pub const FILE: &str = "contexts.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    addresses: Vec<String>,
    token_file: Option<Files>,
    token_env: Option<String>,
    ca_cert: Option<String>,
    tls_fingerprint: Option<String>,
    path: Option<String>,
    #[serde(default)]
    read_only: bool,
    banner: Option<String>,
    theme: Option<String>,
}

/// Two regions that were never linked have tokens of their own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Files {
    One(String),
    Several(Vec<String>),
}

/// What the file leaves to the command line and the environment.
#[derive(Clone, Debug)]
pub struct Defaults {
    pub tokens: Vec<SensitiveString>,
    pub trust: Trust,
    pub path: String,
    pub write: bool,
}

/// The contexts of a file that are meant, in its order; all, where none is named. A mistake in one of several is shown as
/// that context's, and the others are attached to; in one that was named it is an error.
/// `variable` is the environment.
pub fn load(
    file: &Path,
    meant: &[String],
    defaults: &Defaults,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<ContextSpec>> {
    let text = std::fs::read_to_string(file).map_err(|error| Error::invalid(format!("{}: {error}", file.display())))?;
    let mut contexts = parse(&text, meant, defaults, variable)
        .map_err(|error| Error::invalid(format!("{}: {error}", file.display())))?;
    for context in &mut contexts {
        context.file = Some(file.to_owned());
    }
    Ok(contexts)
}

fn parse(
    text: &str,
    meant: &[String],
    defaults: &Defaults,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<ContextSpec>> {
    let table: toml::Table = toml::from_str(text).map_err(|error| Error::invalid(error.to_string()))?;
    if let Some(unknown) = meant.iter().find(|name| !table.contains_key(*name)) {
        let known: Vec<&str> = table.keys().map(String::as_str).collect();
        return Err(Error::invalid(format!("no context `{unknown}`: there are {}", known.join(", "))));
    }
    let table: Vec<(String, toml::Value)> =
        table.into_iter().filter(|(name, _)| meant.is_empty() || meant.contains(name)).collect();
    let mut contexts = Vec::new();
    let mut mistakes = Vec::new();
    for (name, value) in table {
        match context(&name, value, defaults, &variable) {
            Ok(context) => contexts.push(context),
            // Who named it wants this one and no other.
            Err(words) if !meant.is_empty() => return Err(Error::invalid(format!("[{name}]: {words}"))),
            Err(words) => {
                mistakes.push(format!("[{name}]: {words}"));
                contexts.push(ContextSpec { name, mistake: Some(words), ..ContextSpec::default() });
            }
        }
    }
    if !contexts.is_empty() && mistakes.len() == contexts.len() {
        return Err(Error::invalid(mistakes.join("; ")));
    }
    Ok(contexts)
}

/// One context, or what is wrong with it, in words.
fn context(
    name: &str,
    value: toml::Value,
    defaults: &Defaults,
    variable: &impl Fn(&str) -> Option<String>,
) -> std::result::Result<ContextSpec, String> {
    let entry: Entry = value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    if entry.addresses.is_empty() {
        return Err("`addresses` is empty: name a node of each region".into());
    }
    let home = |path: &str| match (path.strip_prefix("~/"), variable("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    };
    let tokens = match (&entry.token_file, &entry.token_env) {
        (Some(_), Some(_)) => return Err("`token_file` or `token_env`, not both".into()),
        (Some(files), None) => {
            let paths = match files {
                Files::One(path) => std::slice::from_ref(path),
                Files::Several(paths) => paths,
            };
            let read = |path: &String| {
                let text = std::fs::read_to_string(home(path)).map_err(|error| format!("{path}: {error}"))?;
                Ok::<_, String>(SensitiveString::new(text.trim()))
            };
            paths.iter().map(read).collect::<std::result::Result<_, _>>()?
        }
        (None, Some(name)) => {
            let token = variable(name).ok_or_else(|| format!("the variable {name} is not set"))?;
            vec![SensitiveString::new(token.trim())]
        }
        (None, None) => defaults.tokens.clone(),
    };
    let trust = match (&entry.tls_fingerprint, &entry.ca_cert) {
        (Some(_), Some(_)) => return Err("`ca_cert` or `tls_fingerprint`, not both".into()),
        (Some(print), None) => Trust::Pinned(print.parse().map_err(|error| format!("{error}"))?),
        (None, Some(path)) => Trust::CaFile(home(path)),
        (None, None) => defaults.trust.clone(),
    };
    let write = match (entry.read_only, defaults.write) {
        (true, _) => WriteRight::Locked,
        (false, true) => WriteRight::Write,
        (false, false) => WriteRight::ReadOnly,
    };
    Ok(ContextSpec {
        name: name.to_owned(),
        addresses: entry.addresses,
        tokens,
        trust,
        path: entry.path.unwrap_or_else(|| defaults.path.clone()),
        write,
        banner: entry.banner,
        theme: entry.theme,
        mistake: None,
        file: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(text: &str) -> Result<Vec<ContextSpec>> {
        read_some(text, &[])
    }

    fn read_some(text: &str, meant: &[String]) -> Result<Vec<ContextSpec>> {
        let defaults = Defaults {
            tokens: vec![SensitiveString::new("s.usual")],
            trust: Trust::System,
            path: "default".into(),
            write: true,
        };
        parse(text, meant, &defaults, |name| (name == "PROD").then(|| " s.prod\n".to_owned()))
    }

    #[test]
    fn what_a_context_leaves_out_comes_from_the_command_line() {
        let text = r#"
            [prod]
            addresses = ["https://10.1.1.1:8200"]
            token_env = "PROD"
            read_only = true
            banner = "PRODUCTION"
            [staging]
            addresses = ["https://10.3.1.1:8200", "https://10.3.2.1:8200"]
            path = "other"
        "#;
        let contexts = read(text).unwrap();
        let of = |name: &str| contexts.iter().find(|context| context.name == name).unwrap();
        assert_eq!(of("prod").tokens[0].expose(), "s.prod");
        assert_eq!((of("prod").write, of("prod").path.as_str()), (WriteRight::Locked, "default"));
        assert_eq!(of("staging").tokens[0].expose(), "s.usual");
        assert_eq!((of("staging").write, of("staging").path.as_str()), (WriteRight::Write, "other"));
    }

    #[test]
    fn a_context_may_have_a_token_for_each_region() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["us", "eu"] {
            std::fs::write(path(name), format!("s.{name}\n")).unwrap();
        }
        let of = |files: String| read(&format!("[lab]\naddresses = [\"h\"]\ntoken_file = {files}")).unwrap().remove(0);
        let tokens = |files| of(files).tokens.iter().map(|token| token.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(tokens(format!("{:?}", path("us"))), ["s.us"]);
        assert_eq!(tokens(format!("{:?}", [path("us"), path("eu")])), ["s.us", "s.eu"]);
    }

    #[test]
    fn a_mistake_in_a_context_that_is_not_meant_is_nobodys_hindrance() {
        let text = "[lab]\naddresses = [\"h\"]\ntoken_env = \"NONE\"\n[prod]\naddresses = [\"h\"]";
        let prod = read_some(text, &["prod".to_owned()]).unwrap();
        assert_eq!(prod.iter().map(|context| context.name.as_str()).collect::<Vec<_>>(), ["prod"]);
        let unknown = read_some(text, &["prd".to_owned()]).unwrap_err().to_string();
        assert!(unknown.contains("no context `prd`: there are lab, prod"), "{unknown}");
    }

    #[test]
    fn where_none_is_named_a_mistake_is_shown_as_its_contexts_and_the_rest_is_attached_to() {
        let text = "[lab]\naddresses = [\"h\"]\ntoken_env = \"NONE\"\n[prod]\naddresses = [\"h\"]";
        let all = read(text).unwrap();
        let of = |name: &str| all.iter().find(|context| context.name == name).unwrap();
        assert_eq!(of("lab").mistake.as_deref(), Some("the variable NONE is not set"));
        assert_eq!((of("lab").addresses.len(), of("prod").mistake.as_ref()), (0, None));
        assert!(read_some(text, &["lab".to_owned()]).is_err());
    }

    #[test]
    fn mistakes_are_named_with_their_context() {
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert!(wrong("[a]\naddresses = []").contains("[a]: `addresses` is empty"));
        assert!(wrong("[a]\naddresses = [\"h\"]\ntoken_env = \"NONE\"").contains("NONE is not set"));
        let unknown = wrong("[a]\naddresses = [\"h\"]\nreadonly = true");
        assert!(unknown.contains("[a]") && unknown.contains("readonly"), "{unknown}");
    }
}
