//! `twinkeep import`: the KV mounts, secrets with their versions, and policies of a running Vault or OpenBao, copied through
//! the public API of both.
//!
//! What holds:
//! * The source is only read.
//! * Nothing that is here is overwritten: what differs is a conflict, named in the report and left as it is. Versions are
//!   written with check-and-set; KV version 1 has no such thing, so of it only what is not here is written.
//! * Version numbers here are those of the source. Of versions whose data can't be read (deleted, destroyed, pruned) there is
//!   a destroyed one here, or none.
//! * To repeat it is safe, and goes on where it stopped: what is here and equal is passed over, newer versions are added.
//! * What it does not take is said, and what could not be looked at counts as that.
//!
//! `versioned` copies one secret of KV version 2, `plain` one of version 1; `mounts` prepares where they go, `walk` finds
//! them, `copying` runs some at a time; `policies`, `inventory` (what is not taken) and `report` are what they say.

mod copying;
mod inventory;
mod mounts;
mod plain;
mod policies;
mod report;
mod trouble;
mod versioned;
mod walk;

use super::Context;
use super::args::{Connection, Import};
use super::environment::Environment;
use super::failure::Failure;
use super::output::Output;
use crate::client::{Client, ClientError};
use crate::sensitive::SensitiveString;
use report::{Report, State};
use trouble::Trouble;

const TOKEN_VARIABLE: &str = "VAULT_FROM_TOKEN";

/// Where from, where to, and whether to write at all.
struct Sides {
    source: Client,
    here: Client,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Copy,
    /// Look and compare, and write nothing.
    DryRun,
}

pub async fn run(import: Import, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&import.connection)?;
    let token = source_token(&import, context)?;
    let sides = Sides {
        source: source(&import, context.environment, token)?,
        here: context.environment.client(&import.connection)?,
        mode: if import.dry_run { Mode::DryRun } else { Mode::Copy },
    };
    refuse_itself(&sides).await?;
    let theirs = sides.source.mounts().await.map_err(unreadable)?;
    let ours = sides.here.mounts().await.map_err(Failure::asked)?;
    let mut report = Report::new(&sides);
    let stopped = async {
        for (path, mount) in mounts::chosen(&theirs, &import.mount, &mut report) {
            let Some(place) = mounts::prepare(&sides, &path, &mount, ours.get(&path), &mut report).await? else {
                continue;
            };
            copying::copy(&sides, &place, import.parallel, format, &mut report, context.person).await?;
            mounts::configure(&sides, &place, &mut report).await?;
        }
        if !import.no_policies {
            policies::copy(&sides, &mut report).await?;
        }
        Ok::<(), Trouble>(())
    }
    .await;
    if let Err(trouble) = stopped {
        report.state = State::Stopped { why: trouble.to_string() };
    }
    inventory::look(&sides.source, &theirs, &mut report).await;
    Ok(report.shown(format))
}

fn source(import: &Import, environment: &Environment, token: SensitiveString) -> Result<Client, Failure> {
    let connection = Connection {
        address: Some(import.from.clone()),
        ca_cert: import.from_ca_cert.clone(),
        tls_fingerprint: import.from_tls_fingerprint.clone(),
        tls_skip_verify: import.from_tls_skip_verify,
        format: None,
    };
    environment.client_with(&connection, Some(token))
}

/// From a file, else the environment, else who sits there; never from the command line, which others can read.
fn source_token(import: &Import, context: &mut Context<'_>) -> Result<SensitiveString, Failure> {
    let text = match &import.from_token_file {
        Some(file) if file.as_os_str() == "-" => context
            .person
            .standard_input()
            .map_err(|error| Failure::local(format!("the source's token can't be read: {error}")))?,
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?
        }
        None => match context.environment.get(TOKEN_VARIABLE) {
            Some(token) => token.to_owned(),
            None if context.person.is_present() => context
                .person
                .ask_secret("Token of the source (it won't be shown): ")
                .map_err(|error| Failure::local(format!("the source's token can't be read: {error}")))?,
            None => String::new(),
        },
    };
    match text.trim() {
        "" => Err(Failure::local(format!(
            "no token of the source was given: set {TOKEN_VARIABLE}, or name a file by -from-token-file"
        ))),
        token => Ok(SensitiveString::new(token)),
    }
}

/// A source that is where everything is copied to would be compared with itself.
async fn refuse_itself(sides: &Sides) -> Result<(), Failure> {
    let (theirs, ours) = (sides.source.health().await.map_err(unreadable)?, sides.here.health().await);
    let ours = ours.map_err(Failure::asked)?;
    if theirs.health.cluster_id.is_some() && theirs.health.cluster_id == ours.health.cluster_id {
        return Err(Failure::local("the source and the server here are of one cluster: there is nothing to copy"));
    }
    Ok(())
}

fn unreadable(error: ClientError) -> Failure {
    let refused = error.status() == Some(403);
    let said = error.to_string();
    let mut failure = Failure::asked(error);
    if refused {
        failure.text = format!(
            "{said}\n\nCheck the source's token ({TOKEN_VARIABLE} or -from-token-file): it must read sys/mounts, the \
             secrets and the policies."
        );
    }
    failure.text = format!("The source can't be read: {}", failure.text);
    failure
}
