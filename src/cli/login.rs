//! `twinkeep login`: the token that the other commands use.

use super::Context;
use super::args::{Connection, Login};
use super::failure::Failure;
use super::output::{Output, key_values};
use crate::api::token::TokenLookup;
use crate::sensitive::SensitiveString;
use std::io::Write;
use std::path::Path;

pub async fn run(login: Login, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&login.connection)?;
    let token = given_token(login.token, context)?;
    let client = context.environment.client_with(&login.connection, Some(token.clone()))?;
    let lookup = client.lookup_self().await.map_err(Failure::asked)?;
    let mut kept = String::new();
    if !login.no_store {
        let file = context.environment.token_file()?;
        store(&file, &token).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
        kept = format!(" and kept in {}", file.display());
        if context.environment.get("VAULT_TOKEN").is_some() {
            context.person.tell("VAULT_TOKEN is set and goes before the token that was kept now: unset it.");
        }
    }
    Ok(Output::of_data(format, lookup, |lookup| format!("The token is good{kept}.\n\n{}", shown(lookup))))
}

/// The caller's own token.
pub async fn looked_up(connection: &Connection, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(connection)?;
    let lookup = context.environment.client(connection)?.lookup_self().await.map_err(Failure::asked)?;
    Ok(Output::of_data(format, lookup, shown))
}

/// As an argument (`TOKEN` or Vault's `token=TOKEN`), asked for, or from standard input.
pub(super) fn given_token(argument: Option<String>, context: &mut Context<'_>) -> Result<SensitiveString, Failure> {
    let failed = |error: std::io::Error| Failure::local(format!("the token can't be read: {error}"));
    let text = match argument.as_deref() {
        Some("-") => context.person.standard_input().map_err(failed)?,
        Some(token) => token.strip_prefix("token=").unwrap_or(token).to_owned(),
        None if context.person.is_present() => {
            context.person.ask_secret("Token (it won't be shown): ").map_err(failed)?
        }
        None => context.person.standard_input().map_err(failed)?,
    };
    match text.trim() {
        "" => Err(Failure::local("no token was given")),
        token => Ok(SensitiveString::new(token)),
    }
}

/// For its owner's eyes only, as temporary files are made, also if a file was there before.
fn store(file: &Path, token: &SensitiveString) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::Builder::new().prefix(".vault-token-").tempfile_in(folder)?;
    fresh.write_all(token.expose().as_bytes())?;
    fresh.as_file().sync_all()?;
    fresh.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// The token itself is not shown.
fn shown(lookup: &TokenLookup) -> String {
    key_values(&[
        ("accessor", lookup.accessor.clone()),
        ("creation_ttl", format!("{}s", lookup.creation_ttl)),
        ("display_name", lookup.display_name.clone()),
        ("expire_time", lookup.expire_time.clone().unwrap_or_else(|| "<nil>".to_owned())),
        ("orphan", lookup.orphan.to_string()),
        ("path", lookup.path.clone()),
        ("policies", lookup.policies.join(", ")),
        ("renewable", lookup.renewable.to_string()),
        ("ttl", format!("{}s", lookup.ttl)),
        ("type", lookup.kind.clone()),
    ])
}
