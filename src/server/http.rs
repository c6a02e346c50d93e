//! From an HTTP request to its answer: path, route, body, leader; what comes behind them is in `guarded`.

use super::answer::Answer;
use super::bodies;
use super::bodies::Giver;
use super::call::{Call, Via, within};
use super::cors::{self, Verdict};
use super::failures::of_site;
use super::forward::{self, CLIENT_ADDRESS, FORWARDED_BY, Forwarded, NOT_LEADER, UNPROVEN, USE_COUNTED};
use super::guarded;
use super::handlers::help::{HELP_PATTERN, help};
use super::handlers::no_route;
use super::node::Node;
use super::pattern::{MountKind, Params, Within};
use super::quotas::Standing;
use super::request::{CleanPath, Query, Verb, clean_path};
use super::request_id;
use super::routes::{self, Found, Route, Runs, Who};
use super::visitor::Visitor;
use crate::clock;
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::secrets::{Mount, Use};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, request::Parts};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a request may take before it is given up, the body of an answer that streams aside. As in Vault.
const REQUEST_DEADLINE: Duration = Duration::from_secs(90);
/// … and one that brings or fetches a file.
const FILE_DEADLINE: Duration = Duration::from_secs(3600);
/// How long a request waits for a leader, while there is none: an election takes less.
const LEADER_WAIT: Duration = Duration::from_secs(8);
/// How long to wait for a leader to answer for what this node could answer itself.
const LEADER_IF_ANY_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to reach a leader, if nothing changed meanwhile.
const LEADER_PAUSE: Duration = Duration::from_millis(100);

/// The route of what is at no path: refused like any other without a token, then 404.
static NO_ROUTE: Route = Route {
    verb: Verb::Read,
    pattern: "*path",
    who: Who::Client,
    runs: Runs::Leader,
    handler: |call| Box::pin(no_route(call)),
    doc: "",
};

/// … and of a path that is there for other methods, which is nobody's business who has no token.
static OTHER_METHODS: Route = Route {
    verb: Verb::Read,
    pattern: "*path",
    who: Who::Operator,
    runs: Runs::Here,
    handler: |call| Box::pin(async move { Ok(method_not_allowed(&routes::at(&call.path, call.within()))) }),
    doc: "",
};

/// … and of help, wherever it is asked for.
static HELP: Route = Route {
    verb: Verb::Read,
    pattern: HELP_PATTERN,
    who: Who::Operator,
    runs: Runs::Here,
    handler: |call| Box::pin(help(call)),
    doc: "",
};

/// Answers one request.
pub async fn serve(State(node): State<Arc<Node>>, request: Request) -> Response<Body> {
    let began = clock::steady();
    let method = request.method().clone();
    let visitor = request.extensions().get().copied();
    let origin = match cors::judge(&node, &method, request.headers()) {
        Verdict::Usual => None,
        Verdict::Allowed(origin) => Some(origin),
        Verdict::Answered(answer) => return *answer,
    };
    let (parts, body) = request.into_parts();
    let sender = Sender::of(&node, &parts.headers, visitor);
    let mut guard = node.requests.begin(method.as_str(), parts.uri.path(), sender.client);
    let found = destination(&node, &parts);
    let deadline = match &found {
        Ok(Destination::Route(way)) if way.route.moves_file() => FILE_DEADLINE,
        _ => REQUEST_DEADLINE,
    };
    let pattern = match &found {
        Ok(Destination::Route(way)) => way.route.pattern,
        _ => "",
    };
    let quota = match &found {
        Ok(Destination::Route(way)) => quota_of(&node, way, sender),
        _ => None,
    };
    let handling = async {
        match found? {
            Destination::Answered(response) => Ok(*response),
            Destination::Route(way) => handle(&node, *way, (parts, body), sender, quota, began + deadline).await,
        }
    };
    let answered = match tokio::time::timeout(deadline, request_id::with(handling)).await {
        Ok(answered) => answered,
        Err(_) => Err(Error::Unknown(format!("the request took longer than {} s", deadline.as_secs()))),
    };
    let response = answered.unwrap_or_else(|error| match error {
        Error::PermissionDenied => Answer::from(error).with_header(UNPROVEN, "1").into_response(),
        error => Answer::from(error).into_response(),
    });
    let mut response = unproven(&node, sender, response);
    for (name, value) in quota.iter().flat_map(Standing::headers) {
        response.headers_mut().insert(name, value.into());
    }
    if let Some(origin) = origin {
        cors::tell(&mut response, origin);
    }
    // The pattern, not the path: a path holds the names of secrets.
    guard.answered(response.status().as_u16());
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis() as u64);
    tracing::debug!(%method, pattern, status, ms, "request");
    response
}

/// Who sends a request to this node, and whose it is.
#[derive(Clone, Copy)]
struct Sender {
    visitor: Option<Visitor>,
    /// Another node of the region says whose request it forwards, and nobody else is believed.
    client: Option<SocketAddr>,
    via: Via,
    uses: Use,
}

impl Sender {
    fn of(node: &Node, headers: &HeaderMap, visitor: Option<Visitor>) -> Sender {
        let says_so = headers.contains_key(FORWARDED_BY);
        if says_so && visitor.is_some_and(|visitor| node.is_peer(visitor)) {
            let client = headers.get(CLIENT_ADDRESS).and_then(|said| said.to_str().ok()?.parse().ok());
            let uses = if headers.contains_key(USE_COUNTED) { Use::Counted } else { Use::ToCount };
            return Sender { visitor, client, via: Via::Peer, uses };
        }
        // A node that is not known yet, or somebody who says that he is one: whose request it is, nobody knows.
        let client = visitor.map(|visitor| visitor.from).filter(|_| !says_so);
        Sender { visitor, client, via: Via::Nobody, uses: Use::ToCount }
    }
}

/// The answer to who failed to prove who he is, or tried what wraps nothing: the node that he talks to counts that, and
/// whoever does so too often learns nothing more for a while.
fn unproven(node: &Node, sender: Sender, mut response: Response<Body>) -> Response<Body> {
    let Some(visitor) = sender.visitor.filter(|_| response.headers().contains_key(UNPROVEN)) else { return response };
    if sender.via == Via::Peer {
        return response;
    }
    response.headers_mut().remove(UNPROVEN);
    if node.logins.are_spent(visitor.address()) {
        return Answer::too_often("too many requests with tokens that are none").into_response();
    }
    node.logins.count(visitor.address());
    response
}

/// How a request stands to the quota that counts it, if one does. It is counted where its client sends it.
fn quota_of(node: &Node, way: &Way, sender: Sender) -> Option<Standing> {
    let of_client = sender.via == Via::Nobody && !matches!(way.route.who, Who::Node | Who::Link);
    let client = sender.client.filter(|_| of_client)?;
    node.quotas.count(node, &way.path, client.ip())
}

/// Where a request goes.
enum Destination {
    Route(Box<Way>),
    /// What needs no route is answered.
    Answered(Box<Response<Body>>),
}

struct Way {
    route: &'static Route,
    params: Params,
    path: String,
    ends_in_slash: bool,
    query: Query,
    verb: Verb,
    mount: Option<Arc<Mount>>,
}

fn destination(node: &Node, parts: &Parts) -> Result<Destination> {
    let answered = |response| Ok(Destination::Answered(Box::new(response)));
    let path = match clean_path(parts.uri.path())? {
        CleanPath::Path(path) => path,
        CleanPath::Redirect(path) => return answered(redirect(path, parts)),
        CleanPath::Elsewhere => return Err(Error::NotFound("the API is below /v1/".into())),
    };
    let query = Query::of(&parts.uri);
    let verb = Verb::of(&parts.method, &query);
    let mount = node.mount_of(&path).map(Arc::new);
    let within = mount.as_deref().map(within).or_else(|| first_segment(&path));
    let wants_help = query.get("help").is_some_and(|value| !value.is_empty());
    let (route, params) = match routes::find(verb, &path, within) {
        _ if wants_help => (&HELP, Params::default()),
        Found::Route(route, params) => (route, params),
        Found::OtherMethods(others) if others.iter().all(|route| route.who == Who::Anyone) => {
            return answered(method_not_allowed(&others).into_response());
        }
        Found::OtherMethods(_) => (&OTHER_METHODS, Params::default()),
        Found::Nothing => (&NO_ROUTE, Params::default()),
    };
    let writes = matches!(verb, Some(Verb::Write | Verb::Patch)) && matches!(route.who, Who::Client | Who::Operator);
    let ends_in_slash = parts.uri.path().ends_with('/');
    if writes && ends_in_slash {
        return Err(Error::invalid("cannot write to a path ending in '/'"));
    }
    let verb = verb.unwrap_or(route.verb);
    Ok(Destination::Route(Box::new(Way { route, params, path, ends_in_slash, query, verb, mount })))
}

async fn handle(
    node: &Arc<Node>,
    way: Way,
    (parts, body): (Parts, Body),
    sender: Sender,
    quota: Option<Standing>,
    deadline: Instant,
) -> Result<Response<Body>> {
    let Way { route, params, path, ends_in_slash, query, verb, mount } = way;
    let mut call = Call {
        node: node.clone(),
        verb,
        path,
        ends_in_slash,
        params,
        query,
        headers: parts.headers.clone(),
        visitor: sender.visitor,
        client: sender.client,
        via: sender.via,
        uses: sender.uses,
        body: Bytes::new(),
        upload: None,
        mount,
        caller: None,
        sudo: false,
    };
    if let Some(exceeded) = quota.filter(|quota| !quota.is_allowed) {
        bodies::refuse(&parts, body).await;
        return Ok(guarded::refuse(route, &mut call, exceeded).await?.into_response());
    }
    // The room that a body takes is held until its request is answered.
    let mut _held = None;
    if !route.takes_file() {
        let giver = Giver {
            address: sender.visitor.map(Visitor::address),
            is_peer: route.who == Who::Node && sender.visitor.is_some_and(|visitor| node.is_peer(visitor)),
            is_client: bodies::may_be_long(&parts) && may_send_much(&call)?,
        };
        let held = node.bodies.read(route, giver, &parts, body).await?;
        call.body = held.bytes.clone();
        _held = Some(held);
    } else {
        match guarded::would_allow(route, &call) {
            Ok(true) => call.upload = Some(Arc::new(node.uploads.take(node, body).await?)),
            refused => {
                // This node may lag behind what the leader knows.
                if may_ask_leader(&call, &parts)
                    && let Some(_place) = call.source().and_then(|from| node.passed_on.enter(of_site(from.ip())))
                {
                    return pass_on(&call, &parts, body, deadline).await;
                }
                // Like any other request, with nothing of what it brings.
                bodies::refuse(&parts, body).await;
                refused?;
            }
        }
    }
    match route.runs {
        Runs::Here => guarded::run(route, &mut call).await.map(Answer::into_response),
        Runs::Leader => run_on_leader(route, call, &parts, deadline).await,
        Runs::LeaderIfAny => run_on_leader_if_any(route, call, &parts).await,
    }
    .map(|response| if parts.method == axum::http::Method::HEAD { without_body(response) } else { response })
}

/// Whether who sends it may send much. A node that does not lead may not know a good token yet, nor may one that is sealed:
/// whoever shows any is believed there, within the bounds of an address.
fn may_send_much(call: &Call) -> Result<bool> {
    let Some(token) = call.token() else { return Ok(false) };
    if !call.node.standing().is_leader || call.node.expect_open().is_err() {
        return Ok(true);
    }
    Ok(call.node.vault.recognise(&token, call.address(), call.uses)?.is_some())
}

/// Here if this node leads, else wherever the leader is. While there is none, and when leadership is lost before
/// anything was done, it tries again for a while.
async fn run_on_leader(route: &Route, mut call: Call, parts: &Parts, deadline: Instant) -> Result<Response<Body>> {
    let node = call.node.clone();
    // A sealed node says so itself, whoever leads, and asks for nobody what it would not tell.
    let of_region = matches!(route.who, Who::Node | Who::Link) || route.lets_join();
    if !of_region {
        node.expect_open()?;
    }
    let mut standing = node.raft.standing();
    let give_up = deadline.min(clock::steady() + LEADER_WAIT);
    loop {
        let now = standing.borrow_and_update().clone();
        // A node of no region has no leader to wait for.
        if now.members.is_empty() && !node.is_initialised() {
            return Err(Error::Uninitialised);
        }
        let outcome = if now.is_leader {
            match guarded::run(route, &mut call).await.map(Answer::into_response) {
                Err(Error::NotLeader(text)) => text,
                Err(Error::Unavailable(text)) if node.raft.standing().borrow().lead_term != now.lead_term => text,
                settled => return settled,
            }
        } else if parts.headers.contains_key(FORWARDED_BY) {
            return Ok(Answer::from(no_leader("this node does not lead")).with_header(NOT_LEADER, "1").into_response());
        } else if let Some(addr) = now.leader_addr() {
            let left = deadline.saturating_duration_since(clock::steady());
            let from = forward::From::of(&call);
            match forward::forward(&node.peers, from, addr, parts, call.to_send().await?, left).await? {
                Forwarded::Answered(response) => return Ok(response),
                Forwarded::NotDone(text) => text,
                Forwarded::Unknown(text) if call.verb.reads() => text,
                Forwarded::Unknown(text) => return Err(Error::Unknown(text)),
            }
        } else {
            "an election is under way, or a majority of the nodes is gone".to_owned()
        };
        if clock::steady() >= give_up {
            return Err(no_leader(&outcome));
        }
        // Whichever comes first; both mean to look again.
        let _changed = tokio::time::timeout(LEADER_PAUSE, standing.changed()).await;
    }
}

/// Whether this node, which does not lead, may let the leader judge: who shows no token is refused by either.
fn may_ask_leader(call: &Call, parts: &Parts) -> bool {
    let (node, forwarded) = (&call.node, parts.headers.contains_key(FORWARDED_BY));
    call.token().is_some() && !forwarded && node.expect_open().is_ok() && !node.standing().is_leader
}

/// What this node would refuse, as it comes to the leader, who refuses it as well or takes it in. Nothing of it is kept
/// here, so it can be sent once only.
async fn pass_on(call: &Call, parts: &Parts, body: Body, deadline: Instant) -> Result<Response<Body>> {
    let node = &call.node;
    let mut standing = node.raft.standing();
    let known = standing.wait_for(|standing| standing.is_leader || standing.leader_addr().is_some());
    let addr = match tokio::time::timeout(LEADER_WAIT, known).await {
        Ok(Ok(standing)) => standing.leader_addr().map(str::to_owned).filter(|_| !standing.is_leader),
        _ => return Err(no_leader("an election is under way, or a majority of the nodes is gone")),
    };
    let addr = addr.ok_or_else(|| no_leader("another node led before"))?;
    let left = deadline.saturating_duration_since(clock::steady());
    let body = reqwest::Body::wrap_stream(body.into_data_stream());
    match forward::forward(&node.peers, forward::From::of(call), &addr, parts, body, left).await? {
        Forwarded::Answered(response) => Ok(response),
        Forwarded::NotDone(text) => Err(no_leader(&text)),
        Forwarded::Unknown(text) => Err(Error::Unknown(text)),
    }
}

async fn run_on_leader_if_any(route: &Route, mut call: Call, parts: &Parts) -> Result<Response<Body>> {
    let node = call.node.clone();
    // A sealed node says so to who wants more than anyone may ask; that it tells itself, and forwards nothing for it.
    if route.who != Who::Anyone {
        node.expect_open()?;
    }
    let asks_leader = route.who != Who::Anyone || node.expect_open().is_ok();
    let leader = {
        let standing = node.raft.standing();
        let standing = standing.borrow();
        let leads = standing.is_leader || !asks_leader;
        if leads { None } else { standing.leader_addr().map(str::to_owned) }
    };
    if let Some(addr) = leader
        && !parts.headers.contains_key(FORWARDED_BY)
    {
        let timeout = LEADER_IF_ANY_TIMEOUT;
        let from = forward::From::of(&call);
        let sent = forward::forward(&node.peers, from, &addr, parts, call.to_send().await?, timeout).await?;
        if let Forwarded::Answered(response) = sent {
            return Ok(response);
        }
    }
    Ok(guarded::run(route, &mut call).await?.into_response())
}

fn no_leader(why: &str) -> Error {
    Error::unavailable(format!("no leader of this region can be reached ({why}); try again"))
}

/// The path's first segment, which would be a mount if there were one.
fn first_segment(path: &str) -> Option<Within> {
    let first = path.split('/').next()?;
    let open = !matches!(first, "" | "sys" | "auth" | "cubbyhole");
    open.then_some(Within { len: first.len(), kind: MountKind::Kv2 })
}

fn redirect(path: String, parts: &Parts) -> Response<Body> {
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Answer::empty().with_status(307).with_header("location", &format!("{path}{query}")).into_response()
}

/// Vault's words; which methods a path takes stands in the header.
fn method_not_allowed(routes: &[&Route]) -> Answer {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.verb.methods()).collect();
    methods.dedup();
    Answer::error(405, "1 error occurred:\n\t* unsupported operation\n\n").with_header("allow", &methods.join(", "))
}

fn without_body(mut response: Response<Body>) -> Response<Body> {
    *response.body_mut() = Body::empty();
    response
}
