//! `twinkeep operator`: the region itself.

use super::Context;
use super::args::{Connection, Init, Operator, Raft, RemovePeer, Unseal};
use super::failure::Failure;
use super::logical::{ask, change, shown};
use super::output::{Output, key_values, table};
use super::status::seal_rows;
use crate::api::cluster::{RaftConfiguration, RaftConfigurationAnswer};
use crate::api::seal::{InitRequest, UnsealRequest};
use crate::client::Logical;
use serde::Serialize;
use std::fmt::Write;

pub async fn run(command: Operator, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Operator::Init(init) => run_init(init, context).await,
        Operator::Unseal(unseal) => run_unseal(unseal, context).await,
        Operator::Seal(connection) => seal(connection, context).await,
        Operator::ReplicateResume(promote) => super::promote::run(promote, context).await,
        Operator::StepDown(connection) => {
            let done = "Success! Another node leads the region, if there is one that can.";
            change("sys/step-down", nothing(), &connection, context, done).await
        }
        Operator::Rotate(connection) => {
            change("sys/rotate", nothing(), &connection, context, "Success! What is written now has a new key.").await
        }
        Operator::KeyStatus(connection) => {
            let status = ask("sys/key-status", &connection, context).await?;
            shown(status, None, &connection, context, "")
        }
        Operator::Rekey(rekey) => super::rekey::run(rekey, context).await,
        Operator::Raft(Raft::Snapshot(command)) => super::snapshot::run(command, context).await,
        Operator::Raft(Raft::ListPeers(connection)) => list_peers(connection, context).await,
        Operator::Raft(Raft::RemovePeer(remove)) => remove_peer(remove, context).await,
    }
}

fn nothing() -> Logical {
    Logical::Write(serde_json::json!({}))
}

/// The names that Vault's CLI gives to what `sys/init` answers.
#[derive(Serialize)]
struct Initialised {
    unseal_keys_b64: Vec<String>,
    unseal_keys_hex: Vec<String>,
    unseal_shares: u32,
    unseal_threshold: u32,
    recovery_keys_b64: [String; 0],
    recovery_keys_hex: [String; 0],
    recovery_keys_shares: u32,
    recovery_keys_threshold: u32,
    root_token: String,
}

async fn run_init(init: Init, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&init.connection)?;
    let request =
        InitRequest { secret_shares: init.key_shares, secret_threshold: init.key_threshold, ..InitRequest::default() };
    let answer = context.environment.client(&init.connection)?.init(&request).await.map_err(Failure::changed)?;
    // With an auto-unseal there are no shares, whatever was asked for.
    let (shares, threshold) = if answer.keys.is_empty() { (0, 0) } else { (init.key_shares, init.key_threshold) };
    let initialised = Initialised {
        unseal_keys_b64: answer.keys_base64,
        unseal_keys_hex: answer.keys,
        unseal_shares: shares,
        unseal_threshold: threshold,
        recovery_keys_b64: [],
        recovery_keys_hex: [],
        recovery_keys_shares: 0,
        recovery_keys_threshold: 0,
        root_token: answer.root_token,
    };
    Ok(Output::of(format, &initialised, |initialised| {
        let mut text = String::new();
        // Writing to a string can't fail.
        for (at, key) in initialised.unseal_keys_b64.iter().enumerate() {
            let _ = writeln!(text, "Unseal Key {}: {key}", at + 1);
        }
        let _ = writeln!(text, "\nInitial Root Token: {}\n", initialised.root_token);
        text.push_str(&match shares {
            0 => "The region unseals itself with its key file. The root token is shown this once.".to_owned(),
            1 => "The one key unseals a node that starts. It and the root token are shown this once: without the key\n\
                 nobody can read the data."
                .to_owned(),
            _ => format!(
                "The root key was split into {shares} keys; any {threshold} of them unseal a node that starts. They and the\n\
                 root token are shown this once: give each key to another person. Without {threshold} of them nobody can\n\
                 read the data."
            ),
        });
        text.trim_start().to_owned()
    }))
}

async fn run_unseal(unseal: Unseal, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&unseal.connection)?;
    let client = context.environment.client(&unseal.connection)?;
    let key = if unseal.reset { None } else { Some(unseal_key(unseal.key, context)?) };
    let request = UnsealRequest { key, reset: unseal.reset, migrate: false };
    let status = client.unseal(&request).await.map_err(Failure::changed)?;
    Ok(Output::of(format, &status, |status| key_values(&seal_rows(status))))
}

fn unseal_key(argument: Option<String>, context: &mut Context<'_>) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::local(format!("the unseal key can't be read: {error}"));
    let key = match argument.as_deref() {
        Some(key) if key != "-" => key.to_owned(),
        None if context.person.is_present() => {
            context.person.ask_secret("Unseal Key (it won't be shown): ").map_err(failed)?
        }
        Some(_) | None => context.person.standard_input().map_err(failed)?,
    };
    match key.trim() {
        "" => Err(Failure::local("no unseal key was given")),
        key => Ok(key.to_owned()),
    }
}

async fn seal(connection: Connection, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&connection)?;
    context.environment.client(&connection)?.seal().await.map_err(Failure::changed)?;
    Ok(Output::said(format, "Success! The node is sealed."))
}

async fn list_peers(connection: Connection, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&connection)?;
    let config = context.environment.client(&connection)?.raft_configuration().await.map_err(Failure::asked)?;
    Ok(Output::of_data(format, RaftConfigurationAnswer { config }, |answer| peers(&answer.config)))
}

fn peers(config: &RaftConfiguration) -> String {
    let rows: Vec<[String; 4]> = config
        .servers
        .iter()
        .map(|server| {
            let state = if server.leader { "leader" } else { "follower" };
            [server.node_id.clone(), server.address.clone(), state.to_owned(), server.voter.to_string()]
        })
        .collect();
    table(["Node", "Address", "State", "Voter"], &rows)
}

async fn remove_peer(remove: RemovePeer, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&remove.connection)?;
    let client = context.environment.client(&remove.connection)?;
    client.raft_remove_peer(&remove.node_id).await.map_err(Failure::changed)?;
    Ok(Output::said(format, format!("Success! Node {} is no longer a part of the region.", remove.node_id)))
}
