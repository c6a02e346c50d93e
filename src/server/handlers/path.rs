//! `sys/replication/path/:path/…`: what the console shows and what operators do.

use crate::api::replication::{
    Event, LinkRequest, LinkStatus, NodeStatus, OpenRequest, PathStatus, PauseRequest, PromoteMode, PromoteRequest,
    TokenRequest,
};
use crate::api::replication_answers::{Events, Listing};
use crate::error::{Error, Result};
use crate::ids::{DatasetId, Epoch, NodeId, PromotionId};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::failures::of_site;
use crate::server::node::Node;
use crate::server::places::Place;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// A comment goes out after so long without an event, so that a dead connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub async fn status(call: Call) -> Result<Answer> {
    Ok(Answer::data(&path_status(&call, call.param("path")).await?))
}

/// The path's status, with what this node knows of its peers.
pub async fn path_status(call: &Call, path: &str) -> Result<PathStatus> {
    call.node.expect_path(path)?;
    let mut status = call.node.replication.status().await?;
    for node in &mut status.nodes {
        complete(&call.node, node, (status.dataset, status.epoch));
    }
    if call.node.vault.is_sealed() {
        conceal(&mut status);
    }
    Ok(status)
}

/// A sealed node, which can tell nobody from anybody, says its own name, its region's, and numbers: who else there is, and
/// where, the nodes tell that can check a token or are open.
fn conceal(status: &mut PathStatus) {
    status.nodes.retain(|node| node.name == status.region.node);
    for link in &mut status.links {
        link.name.clear();
        link.addresses.clear();
    }
    status.primary = None;
    status.fence = None;
    status.ledger = None;
    status.handover = None;
    status.verification = None;
    status.promotion = None;
    status.closed = None;
}

fn complete(node: &Node, shown: &mut NodeStatus, line: (DatasetId, Epoch)) {
    if shown.name == node.name() {
        shown.sealed = Some(node.vault.is_sealed());
    } else if let Some((report, heard_at)) = node.report_of(NodeId::of(&shown.name)) {
        shown.sealed = Some(report.sealed);
        shown.saw_open = Some(report.saw_open == Some(line));
        shown.last_contact_at = shown.last_contact_at.max(Some(heard_at));
    }
}

/// As JSON what happened after `?after=ID`; with `Accept: text/event-stream` that, and then what happens.
pub async fn events(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let after = match (call.query.number("after")?, call.header("last-event-id")) {
        (Some(after), _) => after,
        (None, Some(last)) => last.parse().map_err(|_| Error::invalid("`Last-Event-ID` is no number"))?,
        (None, None) => 0,
    };
    let wants_stream = call.header("accept").is_some_and(|accept| accept.contains("text/event-stream"));
    if !wants_stream {
        return Ok(Answer::data(&Events { events: told(&call.node, after) }));
    }
    // Counted by who reads it, through whichever node: a follower's connections to its leader are for all.
    let from = call.address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    // Whoever shows no token leaves room for those who do.
    let known = match call.token() {
        Some(token) => {
            call.node.vault.recognise(&token, call.address(), call.uses).is_ok_and(|caller| caller.is_some())
        }
        None => false,
    };
    let places = if known { &call.node.event_streams } else { &call.node.strangers_streams };
    let Some(place) = places.enter(of_site(from)) else {
        return Ok(Answer::too_often("too many streams of events are open"));
    };
    Ok(Answer::stream("text/event-stream", event_stream(&call, after, place)))
}

/// What happened after an event. It names regions and nodes: a sealed node tells nobody, until it is open.
fn told(node: &Node, after: u64) -> Vec<Event> {
    if node.vault.is_sealed() { Vec::new() } else { node.replication.events(after) }
}

/// Subscribes first and then reads what was, so that nothing falls between; what comes twice is dropped by its id.
fn event_stream(call: &Call, after: u64, place: Place) -> Body {
    let node = call.node.clone();
    let stopping = call.node.stopping.clone();
    let live = node.replication.subscribe_events();
    let past = told(&node, after);
    let last = past.last().map_or(after, |event| event.id);
    let past = futures::stream::iter(past.into_iter().map(|event| Ok::<_, Infallible>(block(&event))));
    let live = futures::stream::unfold((live, last, stopping), move |(mut live, last, stopping)| {
        // Held until nobody reads any more.
        let _place = &place;
        let node = node.clone();
        async move {
            let next = tokio::select! {
                next = tokio::time::timeout(KEEP_ALIVE, live.recv()) => next,
                () = stopping.cancelled() => return None,
            };
            match next {
                Err(_) => Some((Ok(Bytes::from_static(b": still here\n\n")), (live, last, stopping))),
                Ok(Ok(event)) if event.id <= last => Some((Ok(Bytes::new()), (live, last, stopping))),
                // From memory: also what a reader missed that is too slow, and what happened while the node was sealed.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {
                    let new = told(&node, last);
                    let last = new.last().map_or(last, |event| event.id);
                    let blocks: Vec<u8> = new.iter().flat_map(block).collect();
                    Some((Ok(blocks.into()), (live, last, stopping)))
                }
                Ok(Err(RecvError::Closed)) => None,
            }
        }
    });
    // An empty chunk would be no chunk at all to the client, but is to some proxies.
    Body::from_stream(past.chain(live).filter(|chunk| {
        let says_something = chunk.as_ref().is_ok_and(|chunk| !chunk.is_empty());
        async move { says_something }
    }))
}

/// One server-sent event.
fn block(event: &Event) -> Bytes {
    let json = serde_json::to_string(event).expect("an event is a map with string keys");
    format!("id: {}\ndata: {json}\n\n", event.id).into()
}

pub async fn generate_token(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: TokenRequest = call.json()?;
    Ok(Answer::data(&call.node.replication.generate_token(request).await?))
}

pub async fn list_tokens(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let tokens = call.node.replication.tokens().await?;
    listed(tokens.into_iter().map(|token| (token.accessor.clone(), token)))
}

pub async fn token(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    Ok(Answer::data(&call.node.replication.token(call.param("accessor")).await?))
}

pub async fn revoke_token(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    call.node.replication.revoke_token(call.param("accessor")).await?;
    Ok(Answer::empty())
}

pub async fn connect(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: LinkRequest = call.json()?;
    call.node.replication.connect(request).await?;
    Ok(Answer::empty())
}

pub async fn list_links(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let links = call.node.replication.links().await?;
    listed(links.into_iter().map(|link: LinkStatus| (link_key(&link), link)))
}

/// A link that was never up has no region to go by.
fn link_key(link: &LinkStatus) -> String {
    if link.name.is_empty() { link.addresses.join(",") } else { link.name.clone() }
}

pub async fn disconnect(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    call.node.replication.disconnect(call.param("region")).await?;
    Ok(Answer::empty())
}

pub async fn plan(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let mode = match call.query.get("mode") {
        None | Some("forced") => PromoteMode::Forced,
        Some("planned") => PromoteMode::Planned,
        Some(other) => {
            return Err(Error::invalid(format!("`{other}` is no mode of a promotion: use `planned` or `forced`")));
        }
    };
    Ok(Answer::data(&call.node.replication.plan(mode).await?))
}

pub async fn verify(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    Ok(Answer::data(&call.node.replication.verify().await?))
}

pub async fn verification(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    Ok(Answer::data(&call.node.replication.verification(call.param("id")).await?))
}

pub async fn promote(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: PromoteRequest = call.json()?;
    Ok(Answer::data(&call.node.replication.promote(request).await?))
}

pub async fn promotion(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let id: PromotionId = call.param("id").parse().map_err(Error::Invalid)?;
    Ok(Answer::data(&call.node.replication.promotion(id).await?))
}

pub async fn cancel_promotion(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let id: PromotionId = call.param("id").parse().map_err(Error::Invalid)?;
    Ok(Answer::data(&call.node.replication.cancel_promotion(id).await?))
}

pub async fn pause(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: PauseRequest = call.json()?;
    call.node.replication.pause(request.region.as_deref()).await?;
    Ok(Answer::empty())
}

pub async fn resume(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: PauseRequest = call.json()?;
    call.node.replication.resume(request.region.as_deref()).await?;
    Ok(Answer::empty())
}

pub async fn open(call: Call) -> Result<Answer> {
    call.node.expect_path(call.param("path"))?;
    let request: OpenRequest = call.json()?;
    call.node.replication.open(&request.reason).await?;
    Ok(Answer::empty())
}

/// `keys` and `key_info`; 404 for a list of nothing, as everywhere in Vault.
fn listed<T: serde::Serialize>(entries: impl Iterator<Item = (String, T)>) -> Result<Answer> {
    let listing = Listing::new(entries);
    Ok(if listing.keys.is_empty() { Answer::missing() } else { Answer::data(&listing) })
}
