//! From an HTTP request to its answer: path, route, body, leader, seal, token, role, handler, in this order.

use super::answer::Answer;
use super::audit::{Outcome, Trail};
use super::authorise;
use super::call::{self, Call, within};
use super::cors::{self, Verdict};
use super::forward::{self, CLIENT_ADDRESS, FORWARDED_BY, Forwarded, NOT_LEADER, UNPROVEN};
use super::handlers::help::{HELP_PATTERN, help};
use super::handlers::{no_route, wrapping};
use super::index;
use super::node::Node;
use super::pattern::{MountKind, Params, Within};
use super::request::{CleanPath, Query, Verb, clean_path};
use super::request_id;
use super::routes::{self, Found, Route, Runs, Who};
use super::visitor::Visitor;
use crate::clock;
use crate::consensus::Consensus;
use crate::error::{Error, Result};
use crate::secrets::{Access, Caller, Operation};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, request::Parts};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a request may take before it is given up, the body of an answer that streams aside. As in Vault.
const REQUEST_DEADLINE: Duration = Duration::from_secs(90);
/// … and one that brings or fetches a file.
const FILE_DEADLINE: Duration = Duration::from_secs(3600);
const FILES_AT: &str = "/sys/storage/raft/snapshot";
/// How long a request waits for a leader, while there is none: an election takes less.
const LEADER_WAIT: Duration = Duration::from_secs(8);
/// How long to wait for a leader to answer for what this node could answer itself.
const LEADER_IF_ANY_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to reach a leader, if nothing changed meanwhile.
const LEADER_PAUSE: Duration = Duration::from_millis(100);

const UNWRAP: &str = "sys/wrapping/unwrap";
/// What answers about wrapped answers is not wrapped once more.
const NOT_WRAPPED: &[&str] = &[UNWRAP, "sys/wrapping/lookup", "sys/wrapping/rewrap"];

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
    let mut pattern = "";
    let visitor = request.extensions().get().copied();
    let forwarded = request.headers().contains_key(FORWARDED_BY);
    let origin = match cors::judge(&node, &method, request.headers()) {
        Verdict::Usual => None,
        Verdict::Allowed(origin) => Some(origin),
        Verdict::Answered(answer) => return *answer,
    };
    let client = client_of(&node, request.headers(), visitor);
    let mut guard = node.requests.begin(method.as_str(), request.uri().path(), client);
    let deadline = if request.uri().path().contains(FILES_AT) { FILE_DEADLINE } else { REQUEST_DEADLINE };
    let handling = handle(node.clone(), request, client, began + deadline, &mut pattern);
    let answered = match tokio::time::timeout(deadline, request_id::with(handling)).await {
        Ok(answered) => answered,
        Err(_) => Err(Error::Unknown(format!("the request took longer than {} s", deadline.as_secs()))),
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(Error::PermissionDenied) => unproven(&node, visitor, forwarded).into_response(),
        Err(error) => Answer::from(error).into_response(),
    };
    if let Some(origin) = origin {
        cors::tell(&mut response, origin);
    }
    // The pattern, not the path: a path holds the names of secrets.
    guard.answered(response.status().as_u16());
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis() as u64);
    tracing::debug!(%method, pattern, status, ms, "request");
    response
}

/// Where a request comes from: another node of the region says whose it forwards, and nobody else is believed.
fn client_of(node: &Node, headers: &HeaderMap, visitor: Option<Visitor>) -> Option<SocketAddr> {
    let visitor = visitor?;
    let said = headers.get(CLIENT_ADDRESS).and_then(|said| said.to_str().ok()?.parse().ok());
    match headers.contains_key(FORWARDED_BY) {
        true if node.is_peer(visitor) => said,
        // A node that is not known yet, or somebody who says that he is one: whose request it is, nobody knows.
        true => None,
        false => Some(visitor.from),
    }
}

/// The answer to who failed to prove who he is; whoever does so too often learns nothing more for a while.
fn unproven(node: &Node, visitor: Option<Visitor>, forwarded: bool) -> Answer {
    let refused = Answer::from(Error::PermissionDenied);
    let Some(visitor) = visitor else { return refused };
    if forwarded && node.is_peer(visitor) {
        return refused.with_header(UNPROVEN, "1");
    }
    if node.logins.are_spent(visitor.address()) {
        return Answer::too_often("too many requests with tokens that are none");
    }
    node.logins.count(visitor.address());
    refused
}

async fn handle(
    node: Arc<Node>,
    request: Request,
    client: Option<SocketAddr>,
    deadline: Instant,
    pattern: &mut &'static str,
) -> Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let path = match clean_path(parts.uri.path())? {
        CleanPath::Path(path) => path,
        CleanPath::Redirect(path) => return Ok(redirect(path, &parts)),
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
            return Ok(method_not_allowed(&others).into_response());
        }
        Found::OtherMethods(_) => (&OTHER_METHODS, Params::default()),
        Found::Nothing => (&NO_ROUTE, Params::default()),
    };
    *pattern = route.pattern;
    let writes = matches!(verb, Some(Verb::Write | Verb::Patch)) && matches!(route.who, Who::Client | Who::Operator);
    if writes && parts.uri.path().ends_with('/') {
        return Err(Error::invalid("cannot write to a path ending in '/'"));
    }
    // The room that a body takes is held until its request is answered.
    let (held, upload) = if route.takes_file() {
        expect_good_token(&node, &parts, client)?;
        (None, Some(Arc::new(node.uploads.take(&node, body).await?)))
    } else {
        (Some(node.bodies.read(route, &parts, body).await?), None)
    };
    let verb = verb.unwrap_or(route.verb);
    let headers = parts.headers.clone();
    let visitor = parts.extensions.get().copied();
    let body = held.as_ref().map(|held| held.bytes.clone()).unwrap_or_default();
    let (caller, sudo) = (None, false);
    let call = Call { node, verb, path, params, query, headers, visitor, client, body, upload, mount, caller, sudo };
    match route.runs {
        Runs::Here => run(route, call).await,
        Runs::Leader => run_on_leader(route, call, &parts, deadline).await,
        Runs::LeaderIfAny => run_on_leader_if_any(route, call, &parts).await,
    }
    .map(|response| if parts.method == axum::http::Method::HEAD { without_body(response) } else { response })
}

/// Fails for whoever shows no token that this node knows to be good.
fn expect_good_token(node: &Node, parts: &Parts, client: Option<SocketAddr>) -> Result<()> {
    node.expect_open()?;
    match call::token_of(&parts.headers) {
        Some(token) if node.vault.is_good(&token, client.map(|client| client.ip()))? => Ok(()),
        _ => Err(Error::PermissionDenied),
    }
}

/// On this node: seal, token, role, handler.
async fn run(route: &Route, call: Call) -> Result<Response<Body>> {
    if matches!(route.who, Who::Guest | Who::Client | Who::Operator) {
        call.node.expect_open()?;
        // Before the token: whoever asks the wrong region is told the right one.
        if route.who == Who::Client {
            call.node.vault.expect_serving(if call.verb.reads() { Access::Read } else { Access::Write })?;
        }
        if !index::is_reached(&call).await? {
            return Ok(index::not_reached(&call.node).into_response());
        }
        return Ok(run_audited(route, call).await?.into_response());
    }
    Ok((route.handler)(call).await?.into_response())
}

/// Whoever tries many tokens that wrap nothing is guessing.
fn unwrapped_nothing(call: &Call) -> Result<Answer> {
    let direct = call.visitor.filter(|_| !call.headers.contains_key(FORWARDED_BY));
    if let Some(visitor) = direct {
        if call.node.logins.are_spent(visitor.address()) {
            return Ok(Answer::too_often("too many requests with tokens that are none"));
        }
        call.node.logins.count(visitor.address());
    }
    Err(crate::secrets::wrapping::invalid())
}

/// Written down before anything is done, and its answer before the client has it.
async fn run_audited(route: &Route, mut call: Call) -> Result<Answer> {
    let authenticated = match call.token() {
        Some(token) => call.node.vault.authenticate(&token, call.address()).await.map(Some),
        None if route.who == Who::Guest => Ok(None),
        None => Err(Error::PermissionDenied),
    };
    call.caller = authenticated.as_ref().ok().cloned().flatten();
    let permit = permit(route, &call).await;
    if let Ok(Some(permit)) = &permit {
        call.sudo = permit.allowed == Some(Sudo::Granted);
    }
    let (operation, allowed) = permit
        .as_ref()
        .ok()
        .copied()
        .flatten()
        .map_or((None, None), |permit| (Some(permit.operation), Some(permit.allowed.is_some())));
    let trail = Trail::of(route, &call, operation, allowed)?;
    if let Some(trail) = &trail {
        trail.request(&call).await?;
    }
    let answered = match (authenticated, permit) {
        // Whose own token wraps nothing any more is told so, as Vault does.
        (Err(Error::PermissionDenied), _)
            if route.pattern == UNWRAP && call.token().is_some() && !wrapping::is_named(&call) =>
        {
            unwrapped_nothing(&call)
        }
        (Err(error), _) => Err(error),
        (Ok(caller), permit) => run_as(route, call.clone(), caller, permit).await,
    };
    let Some(trail) = trail else { return answered };
    match answered {
        Ok(answer) => {
            let (answer, body) = answer.read().await?;
            trail.answer(&call, Outcome { status: answer.status(), body: body.as_ref() }).await?;
            Ok(answer)
        }
        Err(error) => {
            let (answer, body) = Answer::from(error.clone()).read().await?;
            trail.answer(&call, Outcome { status: answer.status(), body: body.as_ref() }).await?;
            Err(error)
        }
    }
}

/// What a caller wants, and whether its policies allow it.
#[derive(Clone, Copy)]
struct Permit {
    operation: Operation,
    /// `None`: no.
    allowed: Option<Sudo>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sudo {
    Granted,
    Missing,
}

/// `None` of who shows no token.
async fn permit(route: &Route, call: &Call) -> Result<Option<Permit>> {
    if call.caller.is_none() {
        return Ok(None);
    }
    let operation = authorise::operation(route, call).await?;
    let allowed = match authorise::authorise(route, call, operation) {
        Ok(true) => Some(Sudo::Granted),
        Ok(false) => Some(Sudo::Missing),
        Err(Error::PermissionDenied) => None,
        Err(error) => return Err(error),
    };
    Ok(Some(Permit { operation, allowed }))
}

/// Ends a token whose last use this was.
async fn run_as(route: &Route, call: Call, caller: Option<Caller>, permit: Result<Option<Permit>>) -> Result<Answer> {
    let vault = call.node.vault.clone();
    let answered = run_permitted(route, call, permit).await;
    if let Some(caller) = &caller {
        vault.finish(caller).await?;
    }
    answered
}

async fn run_permitted(route: &Route, call: Call, permit: Result<Option<Permit>>) -> Result<Answer> {
    if permit?.is_some_and(|permit| permit.allowed.is_none()) {
        return Ok(Answer::error(403, authorise::DENIED));
    }
    // Without a token nobody has anything kept here.
    let wraps = call.caller.is_some() && !NOT_WRAPPED.contains(&route.pattern);
    let Some(ttl) = authorise::wrap_ttl(&call)?.filter(|_| wraps) else {
        return (route.handler)(call).await;
    };
    let answer = (route.handler)(call.clone()).await?;
    if answer.is_good() { wrapping::wrapped(&call, answer, ttl).await } else { Ok(answer) }
}

/// Here if this node leads, else wherever the leader is. While there is none, and when leadership is lost before
/// anything was done, it tries again for a while.
async fn run_on_leader(route: &Route, call: Call, parts: &Parts, deadline: Instant) -> Result<Response<Body>> {
    let node = call.node.clone();
    // A sealed node says so itself, whoever leads.
    if matches!(route.who, Who::Guest | Who::Client | Who::Operator) {
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
            match run(route, call.clone()).await {
                Err(Error::NotLeader(text)) => text,
                Err(Error::Unavailable(text)) if node.raft.standing().borrow().lead_term != now.lead_term => text,
                settled => return settled,
            }
        } else if parts.headers.contains_key(FORWARDED_BY) {
            return Ok(Answer::from(no_leader("this node does not lead")).with_header(NOT_LEADER, "1").into_response());
        } else if let Some(addr) = now.leader_addr() {
            let left = deadline.saturating_duration_since(clock::steady());
            let from = forward::From { node: node.name(), client: call.client };
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

async fn run_on_leader_if_any(route: &Route, call: Call, parts: &Parts) -> Result<Response<Body>> {
    let node = call.node.clone();
    let leader = {
        let standing = node.raft.standing();
        let standing = standing.borrow();
        if standing.is_leader { None } else { standing.leader_addr().map(str::to_owned) }
    };
    if let Some(addr) = leader
        && !parts.headers.contains_key(FORWARDED_BY)
    {
        let timeout = LEADER_IF_ANY_TIMEOUT;
        let from = forward::From { node: node.name(), client: call.client };
        let sent = forward::forward(&node.peers, from, &addr, parts, call.to_send().await?, timeout).await?;
        if let Forwarded::Answered(response) = sent {
            return Ok(response);
        }
    }
    run(route, call).await
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
