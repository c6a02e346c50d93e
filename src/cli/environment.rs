//! What the command line takes from outside itself: variables, `~/.vault-token`, and the client they add up to.

use super::args::{Connection, Format};
use super::failure::Failure;
use crate::client::{Client, ClientOptions, Trust};
use crate::sensitive::SensitiveString;
use crate::tls::Fingerprint;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// As Vault's CLI has it.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";
/// People wait longer than a console: as long as Vault's CLI does.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const TOKEN_FILE: &str = ".vault-token";

/// The variables of the process, as a value, so that tests can make their own. An empty one counts as not set.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
}

impl Environment {
    pub fn of_process() -> Environment {
        Environment::new(std::env::vars_os().filter_map(|(name, value)| {
            // Variables that are no text are none of ours.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        Environment { variables: variables.into_iter().filter(|(_, value)| !value.is_empty()).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub fn format(&self, connection: &Connection) -> Result<Format, Failure> {
        match (connection.format, self.get("VAULT_FORMAT")) {
            (Some(format), _) => Ok(format),
            (None, None | Some("table")) => Ok(Format::Table),
            (None, Some("json")) => Ok(Format::Json),
            (None, Some(other)) => {
                Err(Failure::local(format!("VAULT_FORMAT: there is no format `{other}`: expected table or json")))
            }
        }
    }

    pub fn token_file(&self) -> Result<PathBuf, Failure> {
        let home = self.get("HOME").ok_or_else(|| {
            Failure::local("HOME is not set, so there is no ~/.vault-token: set VAULT_TOKEN, or HOME")
        })?;
        Ok(PathBuf::from(home).join(TOKEN_FILE))
    }

    /// `VAULT_TOKEN`, else `~/.vault-token`, else none.
    pub fn token(&self) -> Result<Option<SensitiveString>, Failure> {
        if let Some(token) = self.get("VAULT_TOKEN") {
            return Ok(Some(SensitiveString::new(token.trim())));
        }
        let Ok(file) = self.token_file() else { return Ok(None) };
        match std::fs::read_to_string(&file) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Ok(Some(SensitiveString::new(text.trim()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::local(format!("{}: {error}", file.display()))),
        }
    }

    pub fn trust(&self, connection: &Connection) -> Result<Trust, Failure> {
        if let Some(fingerprint) = &connection.tls_fingerprint {
            let fingerprint: Fingerprint =
                fingerprint.parse().map_err(|error| Failure::local(format!("-tls-fingerprint: {error}")))?;
            return Ok(Trust::Pinned(fingerprint));
        }
        if connection.tls_skip_verify || self.flag("VAULT_SKIP_VERIFY")? {
            return Ok(Trust::Anything);
        }
        let file = connection.ca_cert.clone().or_else(|| self.get("VAULT_CACERT").map(PathBuf::from));
        Ok(file.map_or(Trust::System, Trust::CaFile))
    }

    pub fn client(&self, connection: &Connection) -> Result<Client, Failure> {
        self.client_with(connection, self.token()?)
    }

    pub fn client_with(&self, connection: &Connection, token: Option<SensitiveString>) -> Result<Client, Failure> {
        let address = connection.address.as_deref().or_else(|| self.get("VAULT_ADDR")).unwrap_or(DEFAULT_ADDRESS);
        let options = ClientOptions {
            token,
            trust: self.trust(connection)?,
            call_timeout: CALL_TIMEOUT,
            ..ClientOptions::new(address)
        };
        Client::new(options).map_err(Failure::asked)
    }

    /// As Go reads a boolean.
    fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(other) => Err(Failure::local(format!("{name}: expected true or false, found `{other}`"))),
        }
    }
}
