//! The console on what is no Twinkeep: a cluster of OpenBao, by real `bao server` processes, and a pair of Vault Enterprise,
//! by a server that answers as Vault's documents say.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bao;
mod import;
#[path = "../support/mod.rs"]
mod support;
mod vault;

use serde_json::Value;
use std::process::Command;
use support::{BINARY, wait_for};

/// What one look of the console saw: its JSON, and the exit code of `status` on the same servers.
pub fn look(addresses: &[String], token: Option<&str>) -> (Value, i32) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(arguments).args(addresses).env("HOME", "/nonexistent").env_remove("VAULT_TOKEN");
        if let Some(token) = token {
            command.env("VAULT_TOKEN", token);
        }
        command.output().unwrap()
    };
    let seen = run(&["attach", "--json"]);
    let text = String::from_utf8(seen.stdout).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    (json, run(&["status"]).status.code().unwrap())
}

/// Until one screen shows all of it: a look shows what was heard within a few seconds, on a busy machine nothing yet.
pub async fn wait_until_shown(addresses: &[String], token: Option<&str>, signs: &[&str]) {
    wait_for(&format!("a screen with {signs:?}"), || async {
        let text = screen(addresses, token);
        let missing: Vec<_> = signs.iter().filter(|sign| !text.contains(**sign)).collect();
        if !missing.is_empty() {
            println!("{missing:?} not shown:\n{text}");
        }
        missing.is_empty().then_some(())
    })
    .await;
}

/// One screen as text.
fn screen(addresses: &[String], token: Option<&str>) -> String {
    let mut command = Command::new(BINARY);
    command.args(["attach", "--once"]).args(addresses).env("HOME", "/nonexistent").env_remove("VAULT_TOKEN");
    command.env("COLUMNS", "120").env("LINES", "40").env("LANG", "C.UTF-8");
    if let Some(token) = token {
        command.env("VAULT_TOKEN", token);
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// All alarms in one string.
pub fn alarms(seen: &Value) -> String {
    seen["alarms"].as_array().unwrap().iter().map(|alarm| format!("{}\n", alarm["text"].as_str().unwrap())).collect()
}
