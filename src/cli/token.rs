//! `twinkeep token`: making, looking up, renewing and ending tokens.

use super::Context;
use super::args::{Token, TokenCapabilities, TokenCreate, TokenLookup, TokenRenew, TokenRevoke};
use super::failure::Failure;
use super::logical::{change, pairs, shown};
use super::login::{given_token, looked_up};
use super::output::Output;
use crate::client::Logical;
use serde_json::{Map, Value, json};

pub async fn run(command: Token, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Token::Create(create) => run_create(*create, context).await,
        Token::Lookup(lookup) => run_lookup(lookup, context).await,
        Token::Renew(renew) => run_renew(renew, context).await,
        Token::Revoke(revoke) => run_revoke(revoke, context).await,
        Token::Capabilities(capabilities) => run_capabilities(capabilities, context).await,
    }
}

async fn run_create(create: TokenCreate, context: &mut Context<'_>) -> Result<Output, Failure> {
    let mut body = Map::new();
    let texts = [
        ("ttl", create.ttl),
        ("explicit_max_ttl", create.explicit_max_ttl),
        ("period", create.period),
        ("display_name", create.display_name),
        ("type", create.kind),
    ];
    body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))));
    if !create.policy.is_empty() {
        body.insert("policies".into(), json!(create.policy));
    }
    if let Some(uses) = create.use_limit {
        body.insert("num_uses".into(), json!(uses));
    }
    let metadata: Map<String, Value> =
        pairs(&create.metadata)?.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    if !metadata.is_empty() {
        body.insert("meta".into(), metadata.into());
    }
    for (name, given) in [("no_parent", create.orphan), ("no_default_policy", create.no_default_policy)] {
        if given {
            body.insert(name.into(), json!(true));
        }
    }
    let path = match &create.role {
        Some(role) => format!("auth/token/create/{role}"),
        None => "auth/token/create".to_owned(),
    };
    let client = context.environment.client(&create.connection)?;
    let wrap_ttl = create.wrap.wrap_ttl.as_deref();
    let made = client.logical(&path, &[], Logical::Write(body.into()), wrap_ttl).await.map_err(Failure::changed)?;
    let made = made.ok_or_else(|| Failure::server("the server answered with no token"))?;
    shown(made, create.field.as_deref(), &create.connection, context, "")
}

async fn run_lookup(lookup: TokenLookup, context: &mut Context<'_>) -> Result<Output, Failure> {
    if lookup.token.is_none() {
        return looked_up(&lookup.connection, context).await;
    }
    let (path, body) = named("lookup", lookup.token, lookup.accessor, context)?;
    let client = context.environment.client(&lookup.connection)?;
    let found = client.logical(&path, &[], Logical::Write(body.into()), None).await.map_err(Failure::asked)?;
    shown(found.unwrap_or_default(), None, &lookup.connection, context, "")
}

async fn run_renew(renew: TokenRenew, context: &mut Context<'_>) -> Result<Output, Failure> {
    let (path, mut body) = match renew.token {
        None => ("auth/token/renew-self".to_owned(), Map::new()),
        given => named("renew", given, renew.accessor, context)?,
    };
    if let Some(increment) = renew.increment {
        body.insert("increment".into(), increment.into());
    }
    let client = context.environment.client(&renew.connection)?;
    let renewed = client.logical(&path, &[], Logical::Write(body.into()), None).await.map_err(Failure::changed)?;
    shown(renewed.unwrap_or_default(), None, &renew.connection, context, "")
}

async fn run_revoke(revoke: TokenRevoke, context: &mut Context<'_>) -> Result<Output, Failure> {
    let (path, body) = match (revoke.own, revoke.mode.is_some()) {
        (true, _) => ("auth/token/revoke-self".to_owned(), Map::new()),
        (false, true) if revoke.accessor => {
            return Err(Failure::local("-mode=orphan takes a token, no accessor"));
        }
        (false, true) => named("revoke-orphan", revoke.token, false, context)?,
        (false, false) => named("revoke", revoke.token, revoke.accessor, context)?,
    };
    let done = "Success! Revoked token (if it existed)";
    change(&path, Logical::Write(body.into()), &revoke.connection, context, done).await
}

async fn run_capabilities(asked: TokenCapabilities, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&asked.connection)?;
    let client = context.environment.client(&asked.connection)?;
    let (route, body) = match asked.words.as_slice() {
        [token, path] => {
            let token = given_token(Some(token.clone()), context)?;
            ("sys/capabilities", json!({ "token": token.expose(), "path": path }))
        }
        [path] => ("sys/capabilities-self", json!({ "path": path })),
        _ => return Err(Failure::local("expected a token and a path, or a path")),
    };
    let answer = client.logical(route, &[], Logical::Write(body), None).await.map_err(Failure::asked)?;
    let answer = answer.unwrap_or_default();
    let capabilities = &answer["data"]["capabilities"];
    let mut words: Vec<&str> = capabilities.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    words.sort_unstable();
    Ok(Output::of(format, capabilities, |_| words.join(", ")))
}

/// Where a token, or the one of an accessor, is asked about, and the body that names it.
fn named(
    what: &str,
    token: Option<String>,
    is_accessor: bool,
    context: &mut Context<'_>,
) -> Result<(String, Map<String, Value>), Failure> {
    let token = given_token(token, context)?;
    let (path, name) = match is_accessor {
        true => (format!("auth/token/{what}-accessor"), "accessor"),
        false => (format!("auth/token/{what}"), "token"),
    };
    Ok((path, Map::from_iter([(name.to_owned(), Value::String(token.expose().to_owned()))])))
}
