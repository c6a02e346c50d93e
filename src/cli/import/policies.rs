//! Policies: those that are not here are written, those that differ are conflicts.

use super::report::Report;
use super::trouble::{Trouble, patiently};
use super::{Mode, Sides};
use crate::client::{Client, Logical};
use serde_json::{Value, json};

const AT: &str = "sys/policies/acl";
/// Every server has it, with rights to everything, and no text.
const ROOT: &str = "root";
/// Every server has one of its own.
const DEFAULT: &str = "default";

pub async fn copy(sides: &Sides, report: &mut Report) -> Result<(), Trouble> {
    let listed = patiently(async || Ok(sides.source.logical(AT, &[], Logical::List, None).await?)).await;
    let listed = match listed {
        Ok(listed) => listed.unwrap_or_default(),
        Err(lost @ Trouble::Lost(_)) => return Err(lost),
        Err(trouble) => {
            report.fail("policies", &trouble);
            return Ok(());
        }
    };
    let names = listed["data"]["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in names.filter(|name| *name != ROOT) {
        match patiently(async || one(sides, name).await).await {
            Ok(Outcome::Written) => report.policies.written += 1,
            Ok(Outcome::Equal) => report.policies.equal += 1,
            Err(Trouble::Conflict(_)) if name == DEFAULT => {
                report.leave("policy default", "it is another here: each server has one of its own");
            }
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
            Err(trouble) => report.fail(&format!("policy {name}"), &trouble),
        }
    }
    Ok(())
}

enum Outcome {
    Written,
    Equal,
}

async fn one(sides: &Sides, name: &str) -> Result<Outcome, Trouble> {
    let path = format!("{AT}/{name}");
    // Deleted since it was listed.
    let Some(theirs) = read(&sides.source, &path).await? else { return Ok(Outcome::Equal) };
    match read(&sides.here, &path).await? {
        Some(ours) if ours.trim() == theirs.trim() => Ok(Outcome::Equal),
        Some(_) => Err(Trouble::Conflict("it is here already, with another text".into())),
        None => {
            if sides.mode == Mode::Copy {
                let body = Logical::Write(json!({ "policy": theirs }));
                sides.here.logical(&path, &[], body, None).await?;
            }
            Ok(Outcome::Written)
        }
    }
}

async fn read(client: &Client, path: &str) -> Result<Option<String>, Trouble> {
    let answer = client.logical(path, &[], Logical::Read, None).await?;
    Ok(answer.and_then(|answer| Some(answer["data"]["policy"].as_str()?.to_owned())))
}
