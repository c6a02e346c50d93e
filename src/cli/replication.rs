//! `twinkeep replication`: tokens, links and the state of a path. Promotion is `promote.rs`.

use super::Context;
use super::args::{Connect, Connection, Disconnect, GenerateToken, OnPath, Replication, RevokeToken};
use super::failure::Failure;
use super::output::{Output, bytes, grouped, key_values, span, table};
use crate::api::replication::{
    Lag, LinkRequest, LinkStatus, NodeStatus, OpenRequest, PathStatus, Promotion, PromotionOutcome, Role, SyncStatus,
    TokenCreated, TokenInfo, TokenRequest, TokenState,
};
use crate::api::replication_answers::TokenList;
use crate::clock::{self, UnixMs};
use crate::ids::Position;
use serde_json::Value;

pub async fn run(command: Replication, context: &mut Context<'_>) -> Result<Output, Failure> {
    match command {
        Replication::GenerateToken(generate) => generate_token(generate, context).await,
        Replication::Tokens(on) => tokens(on, context).await,
        Replication::RevokeToken(revoke) => revoke_token(revoke, context).await,
        Replication::Connect(connect) => run_connect(connect, context).await,
        Replication::Disconnect(disconnect) => run_disconnect(disconnect, context).await,
        Replication::Status(on) => status(on, context).await,
        Replication::Pause(on) => {
            let path = on.path.replication_path.as_str();
            context
                .environment
                .client(&on.connection)?
                .pause(path, on.region.as_deref())
                .await
                .map_err(Failure::changed)?;
            said(
                &on.connection,
                context,
                format!("Success! Path {path} is paused: the standbys fall behind from now on."),
            )
        }
        Replication::Resume(on) => {
            let path = on.path.replication_path.as_str();
            context
                .environment
                .client(&on.connection)?
                .resume(path, on.region.as_deref())
                .await
                .map_err(Failure::changed)?;
            said(&on.connection, context, format!("Success! Path {path} goes on."))
        }
        Replication::Verify(verify) => super::verify::run(verify, context).await,
        Replication::Open(open) => {
            let path = open.path.replication_path.as_str();
            let request = OpenRequest { reason: open.reason };
            context.environment.client(&open.connection)?.open(path, &request).await.map_err(Failure::changed)?;
            said(&open.connection, context, format!("Success! Path {path} takes writes. The reason is kept."))
        }
        Replication::Promote(promote) => super::promote::run(promote, context).await,
        Replication::Demote(demote) => super::ledger::run_demote(demote, context).await,
        Replication::Rejoin(rejoin) => super::ledger::run_rejoin(rejoin, context).await,
        Replication::Ledger(ledger) => super::ledger::run(ledger, context).await,
    }
}

fn said(connection: &Connection, context: &Context<'_>, sentence: String) -> Result<Output, Failure> {
    Ok(Output::said(context.environment.format(connection)?, sentence))
}

async fn generate_token(generate: GenerateToken, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&generate.connection)?;
    if let Some(ttl) = &generate.ttl {
        crate::duration::parse(ttl).map_err(|error| Failure::local(format!("-ttl: {error}")))?;
    }
    let request = TokenRequest { ttl: generate.ttl.map(Value::String), force: generate.force };
    let path = &generate.path.replication_path;
    let client = context.environment.client(&generate.connection)?;
    let created = client.generate_token(path, &request).await.map_err(Failure::changed)?;
    Ok(Output::of(format, &created, |created| token_shown(created, path)))
}

fn token_shown(created: &TokenCreated, path: &str) -> String {
    let rows = key_values(&[
        ("token", created.token.clone()),
        ("accessor", created.accessor.clone()),
        ("expires_at", created.expires_at.rfc3339()),
    ]);
    format!(
        "{rows}\n\nThe token is shown this once and works once. On the primary, either put it into the file,\n\
         replication_path \"{path}\" {{ address = …, token = … }}, and reload it (SIGHUP); or\n\
         twinkeep replication connect -replication-path={path} -"
    )
}

async fn tokens(on: OnPath, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&on.connection)?;
    let client = context.environment.client(&on.connection)?;
    let list = client.tokens(&on.path.replication_path).await.map_err(Failure::asked)?;
    Ok(Output::of(format, &list, token_table))
}

fn token_table(list: &TokenList) -> String {
    if list.keys.is_empty() {
        return "No activation tokens.".to_owned();
    }
    let mut tokens: Vec<&TokenInfo> = list.key_info.values().collect();
    tokens.sort_by_key(|token| (token.created_at, token.accessor.clone()));
    let rows: Vec<[String; 5]> = tokens
        .into_iter()
        .map(|token| {
            let (state, at) = match token.state {
                TokenState::Issued => ("issued", None),
                TokenState::Used => ("used", token.used_at),
                TokenState::Expired => ("expired", Some(token.expires_at)),
                TokenState::Revoked => ("revoked", token.revoked_at),
            };
            let by = token.used_by.as_ref().map_or_else(|| "-".to_owned(), |region| region.name.clone());
            [
                token.accessor.clone(),
                state.to_owned(),
                at.map_or_else(|| "-".to_owned(), UnixMs::rfc3339),
                by,
                token.expires_at.rfc3339(),
            ]
        })
        .collect();
    table(["Accessor", "State", "Since", "Used by", "Expires"], &rows)
}

async fn revoke_token(revoke: RevokeToken, context: &mut Context<'_>) -> Result<Output, Failure> {
    let client = context.environment.client(&revoke.connection)?;
    client.revoke_token(&revoke.path.replication_path, &revoke.accessor).await.map_err(Failure::changed)?;
    said(&revoke.connection, context, format!("Success! Activation token {} is revoked.", revoke.accessor))
}

async fn run_connect(connect: Connect, context: &mut Context<'_>) -> Result<Output, Failure> {
    let token = if connect.token == "-" {
        let read = context.person.standard_input();
        read.map_err(|error| Failure::local(format!("the token can't be read: {error}")))?.trim().to_owned()
    } else {
        connect.token
    };
    if token.is_empty() {
        return Err(Failure::local("no activation token was given"));
    }
    let path = &connect.path.replication_path;
    let request = LinkRequest { address: connect.standby_address, token, max_parallel: connect.max_parallel };
    context.environment.client(&connect.connection)?.connect(path, &request).await.map_err(Failure::changed)?;
    let sentence =
        format!("Success! The standby is being connected: twinkeep replication status -replication-path={path}");
    said(&connect.connection, context, sentence)
}

async fn run_disconnect(disconnect: Disconnect, context: &mut Context<'_>) -> Result<Output, Failure> {
    let client = context.environment.client(&disconnect.connection)?;
    client.disconnect(&disconnect.path.replication_path, &disconnect.region).await.map_err(Failure::changed)?;
    let sentence = format!("Success! {} is disconnected. It keeps what it has.", disconnect.region);
    said(&disconnect.connection, context, sentence)
}

async fn status(on: OnPath, context: &mut Context<'_>) -> Result<Output, Failure> {
    let format = context.environment.format(&on.connection)?;
    let client = context.environment.client(&on.connection)?;
    let status = client.path_status(&on.path.replication_path).await.map_err(Failure::asked)?;
    Ok(Output::of(format, &status, |status| shown(status, clock::now())))
}

/// All times as ages by the answering node's clock: the two clocks may differ.
fn shown(status: &PathStatus, now: UnixMs) -> String {
    let age = |at: UnixMs| format!("{} ago", span(status.observed_at.since(at).as_millis() as u64));
    let at = |at: Option<UnixMs>| at.map_or_else(|| "never".to_owned(), age);
    let unknown = || "unknown".to_owned();
    let head = |head: Position| match status.role {
        Role::Primary => head.to_string(),
        Role::Standby | Role::Fenced => format!("{head}, heard {}", at(status.head_at)),
    };
    let mut rows = vec![
        ("path", status.path.clone()),
        ("region", format!("{} ({})", status.region.name, status.region.id)),
        ("answered by", format!("{} at {}", status.region.node, status.region.api_addr)),
        ("role", role(status)),
        ("epoch", status.epoch.to_string()),
        ("head", status.head.map_or_else(unknown, head)),
        ("received", status.received.to_string()),
        ("applied", format!("{}, written {}", status.applied, age(status.applied_at))),
    ];
    if status.role == crate::api::replication::Role::Standby {
        rows.push(("lag", lag(status.lag.as_ref())));
    }
    if let Some(sync) = &status.sync {
        rows.push(("sync", progress(sync)));
    }
    rows.extend([
        ("entries", format!("{}, {}", grouped(status.entries), bytes(status.bytes))),
        ("merkle root", status.merkle_root.clone()),
        (
            "log",
            format!(
                "{} entries from {}, {}",
                grouped(status.wal.next_index.saturating_sub(status.wal.first_index)),
                status.wal.first_index,
                bytes(status.wal.bytes)
            ),
        ),
        ("writes", format!("{:.1}/s", status.writes_per_s)),
        (
            "tokens",
            format!(
                "{} issued, {} used, {} expired, {} revoked",
                status.tokens.issued, status.tokens.used, status.tokens.expired, status.tokens.revoked
            ),
        ),
    ]);
    if let Some(primary) = &status.primary {
        rows.push(("primary", format!("{} at {}", primary.name, primary.addresses.join(", "))));
    }
    if let Some(closed) = &status.closed {
        rows.push(("closed", closed.clone()));
    }
    if let Some(handover) = &status.handover {
        let words = handover.words(&status.region.name);
        rows.push(("switchover", format!("{}: {words}, {}", handover.id, age(handover.since))));
    }
    if let Some(promotion) = &status.promotion {
        rows.push(("promotion", promoted(promotion, &age)));
    }
    if status.region.tls == Some(false) {
        rows.push(("TLS", "disabled: whoever is on the way reads tokens and secrets".to_owned()));
    }
    if let Some(fence) = status.fence.as_ref().filter(|_| status.role == Role::Fenced) {
        let fact = format!("by epoch {}, {}; it had reached {}", fence.by_epoch, age(fence.at), fence.reached);
        rows.push(("fenced", fact));
    }
    if let Some(ledger) = &status.ledger {
        rows.push(("ledger", super::ledger::summary(ledger)));
    }
    rows.push(("observed", format!("{} ago", span(now.since(status.observed_at).as_millis() as u64))));
    let mut text = key_values(&rows);
    if !status.links.is_empty() {
        text.push_str(&format!("\n\n{}", links(&status.links, &age)));
        text.extend(status.links.iter().filter_map(forecast));
    }
    if !status.nodes.is_empty() {
        text.push_str(&format!("\n\n{}", nodes(&status.nodes)));
    }
    text
}

fn promoted(promotion: &Promotion, age: &impl Fn(UnixMs) -> String) -> String {
    let what = match promotion.outcome {
        PromotionOutcome::Running => format!("under way, began {}", age(promotion.began_at)),
        PromotionOutcome::Unknown => format!("outcome unknown, began {}", age(promotion.began_at)),
        PromotionOutcome::Failed => format!("failed {}", age(promotion.ended_at.unwrap_or(promotion.began_at))),
        PromotionOutcome::Done => {
            format!("opened epoch {} {}", promotion.epoch, age(promotion.ended_at.unwrap_or(promotion.began_at)))
        }
    };
    format!("{}: {what}", promotion.id)
}

fn role(status: &PathStatus) -> String {
    let mut words = vec![status.role.to_string()];
    if !status.whole {
        words.push("syncing: serves nothing yet".to_owned());
    }
    if status.sealed {
        words.push("sealed".to_owned());
    }
    let writes = if status.writable { "takes writes" } else { "takes no writes" };
    words.push(writes.to_owned());
    words.join(", ")
}

/// What is not known is never shown as nothing.
fn lag(lag: Option<&Lag>) -> String {
    match lag {
        Some(lag) => format!("{} entries, {}, {}", grouped(lag.entries), bytes(lag.bytes), span(lag.ms)),
        None => "unknown".to_owned(),
    }
}

fn progress(sync: &SyncStatus) -> String {
    let left = sync.eta_ms.map_or_else(|| "time left unknown".to_owned(), |ms| format!("{} left", span(ms)));
    format!(
        "{}, {}: {} of {} entries, {} of {}, {}/s, {left}",
        sync.kind,
        sync.stage,
        grouped(sync.entries_done),
        grouped(sync.entries_total),
        bytes(sync.bytes_done),
        bytes(sync.bytes_total),
        bytes(sync.bytes_per_s as u64)
    )
}

fn links(links: &[LinkStatus], age: &impl Fn(UnixMs) -> String) -> String {
    let rows: Vec<[String; 6]> = links
        .iter()
        .map(|link| {
            let name = if link.name.is_empty() { link.addresses.join(", ") } else { link.name.clone() };
            let direction = if link.outgoing { "to" } else { "from" };
            let heard = link.last_heard_at.map_or_else(|| "never".to_owned(), age);
            let state = link.state.name().to_owned();
            let trouble = link.error.clone().unwrap_or_else(|| "-".to_owned());
            [format!("{direction} {name}"), state, heard, link.applied.to_string(), lag(link.lag.as_ref()), trouble]
        })
        .collect();
    table(["Link", "State", "Heard", "Applied", "Lag", "Error"], &rows)
}

/// A standby that is about to need a sync.
fn forecast(link: &LinkStatus) -> Option<String> {
    let forecast = link.forecast?;
    let keys = grouped(forecast.keys);
    Some(match forecast.ms {
        0 => format!("\n{} has left the log: about {keys} keys to sync", link.name),
        ms => format!("\n{} leaves the log in {}, then about {keys} keys to sync", link.name, span(ms)),
    })
}

fn nodes(nodes: &[NodeStatus]) -> String {
    let rows: Vec<[String; 5]> = nodes
        .iter()
        .map(|node| {
            let role = match (node.leader, node.voter) {
                (true, _) => "leader",
                (false, true) => "follower",
                (false, false) => "learner",
            };
            let sealed = node.sealed.map_or_else(|| "unknown".to_owned(), |sealed| sealed.to_string());
            let applied = node.applied_index.map_or_else(|| "unknown".to_owned(), |index| index.to_string());
            [node.name.clone(), node.api_addr.clone(), role.to_owned(), sealed, applied]
        })
        .collect();
    table(["Node", "Address", "Raft", "Sealed", "Applied"], &rows)
}
