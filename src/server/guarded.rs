//! What stands before a handler: the seal, the region's role, the token, its policies, the audit log, the wrapping of the
//! answer, in this order.

use super::answer::Answer;
use super::audit::{Of, Outcome, Trail};
use super::authorise;
use super::call::Call;
use super::handlers::wrapping;
use super::ignored;
use super::index;
use super::quotas::Standing;
use super::request::Verb;
use super::routes::{Route, Who};
use crate::error::{Error, Result};
use crate::secrets::{Access, Caller, Operation, Use};
use crate::state::Role;

const UNWRAP: &str = "sys/wrapping/unwrap";
const WRAPPING_LOOKUP: &str = "sys/wrapping/lookup";
/// What answers about wrapped answers is not wrapped once more.
const NOT_WRAPPED: &[&str] = &[WRAPPING_LOOKUP, "sys/wrapping/rewrap"];

/// Whether a request would be let through, as far as this node can tell, and without counting a use of its token: before
/// anything large is taken from whoever sends it. Whom it refuses, `run` refuses as well, and writes that down.
pub fn would_allow(route: &Route, call: &Call) -> Result<bool> {
    call.node.expect_open()?;
    expect_here(route, call)?;
    let Some(token) = call.token() else { return Ok(false) };
    let Some(caller) = call.node.vault.recognise(&token, call.address(), call.uses)? else { return Ok(false) };
    let call = Call { caller: Some(caller), ..call.clone() };
    match authorise::authorise(route, &call, Operation::Update) {
        Ok(_) => Ok(true),
        Err(Error::PermissionDenied) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses what is beyond a quota, and writes that down where it is to be.
pub async fn refuse(route: &Route, call: &mut Call, exceeded: Standing) -> Result<Answer> {
    let refusal = exceeded.refusal(&call.asked_path());
    let audits = exceeded.audits && matches!(route.who, Who::Guest | Who::Client | Who::Operator);
    if audits { run_or_refuse(route, call, Some(Ok(refusal))).await } else { Ok(refusal) }
}

/// On this node.
pub async fn run(route: &Route, call: &mut Call) -> Result<Answer> {
    match route.who {
        Who::Guest | Who::Client | Who::Operator => {
            call.node.expect_open()?;
            run_audited(route, call).await
        }
        // Whose answer it was, its own audit log says.
        Who::Anyone if route.pattern == WRAPPING_LOOKUP => {
            call.node.expect_open()?;
            run_audited(route, call).await
        }
        Who::Anyone | Who::Node | Who::Link => (route.handler)(call.clone()).await,
    }
}

/// What this region does not answer now, whoever asks: before the token, so that whoever asks the wrong region is told
/// the right one.
async fn refusal(route: &Route, call: &Call) -> Option<Result<Answer>> {
    if let Err(error) = expect_here(route, call) {
        return Some(Err(error));
    }
    match index::is_reached(call).await {
        Ok(true) => None,
        Ok(false) => Some(Ok(index::not_reached(&call.node))),
        Err(error) => Some(Err(error)),
    }
}

fn expect_here(route: &Route, call: &Call) -> Result<()> {
    let node = &call.node;
    if route.who == Who::Client {
        node.vault.expect_serving(if call.verb.reads() { Access::Read } else { Access::Write })?;
    }
    // A standby whose primary is lost in the middle of a restore is still to be promoted, by whom it knows.
    if node.state.path().role == Role::Primary { node.vault.expect_settled() } else { Ok(()) }
}

async fn run_audited(route: &Route, call: &mut Call) -> Result<Answer> {
    let refusal = refusal(route, call).await;
    let answer = run_or_refuse(route, call, refusal).await?;
    Ok(index::told(&call.node, answer))
}

/// Written down before anything is done, and its answer before the client has it.
async fn run_or_refuse(route: &Route, call: &mut Call, refusal: Option<Result<Answer>>) -> Result<Answer> {
    let authenticated = authenticate(route, call, refusal.is_some()).await;
    call.caller = authenticated.as_ref().ok().cloned().flatten();
    let permit = permit(route, call).await;
    if let Ok(Some(permit)) = &permit {
        call.sudo = permit.allowed == Some(Sudo::Granted);
    }
    let (operation, allowed) = permit
        .as_ref()
        .ok()
        .copied()
        .flatten()
        .map_or((None, None), |permit| (Some(permit.operation), Some(permit.allowed.is_some())));
    let of = if call.caller.is_some() { Of::Caller } else { Of::Stranger };
    let trail = Trail::of(route, call, of, operation, allowed)?;
    if let Some(trail) = &trail {
        trail.request(call).await?;
    }
    let answered = match (refusal, authenticated, permit) {
        (Some(refused), _, _) => refused,
        // Whose own token wraps nothing any more is told so, as Vault does.
        (None, Err(Error::PermissionDenied), _)
            if route.pattern == UNWRAP && call.token().is_some() && !wrapping::is_named(call) =>
        {
            Ok(wrapping::nothing_wrapped())
        }
        (None, Err(error), _) => Err(error),
        (None, Ok(caller), permit) => run_as(route, call.clone(), caller, permit).await,
    };
    let Some(trail) = trail else { return answered };
    match answered {
        Ok(answer) => {
            let (answer, body) = answer.read().await?;
            trail.answer(call, Outcome { status: answer.status(), body: body.as_ref() }).await?;
            Ok(answer)
        }
        Err(error) => {
            let (answer, body) = Answer::from(error.clone()).read().await?;
            trail.answer(call, Outcome { status: answer.status(), body: body.as_ref() }).await?;
            Err(error)
        }
    }
}

/// `None` of whoever needs no token. Only a request that is answered counts as one that its token is good for, and only
/// once, however often it is sent on to another leader.
async fn authenticate(route: &Route, call: &mut Call, is_refused: bool) -> Result<Option<Caller>> {
    match call.token() {
        _ if route.who == Who::Anyone => Ok(None),
        Some(token) if is_refused => {
            let known = call.node.vault.recognise(&token, call.address(), call.uses)?;
            known.map(Some).ok_or(Error::PermissionDenied)
        }
        Some(token) => {
            let caller = call.node.vault.authenticate(&token, call.address(), call.uses).await?;
            call.uses = Use::Counted;
            Ok(Some(caller))
        }
        None if route.who == Who::Guest => Ok(None),
        None => Err(Error::PermissionDenied),
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
    // What was not done is sent to another leader, with this use of the token.
    if matches!(answered, Err(Error::NotLeader(_))) {
        return answered;
    }
    if let Some(caller) = &caller
        && let Err(error) = vault.finish(caller).await
    {
        // It is refused from now on in any case; the request was answered.
        tracing::warn!("a token whose last use this was could not be removed yet: {error}");
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
        return handled(route, call).await;
    };
    let answer = handled(route, call.clone()).await?;
    if answer.is_good() { wrapping::wrapped(&call, answer, ttl).await } else { Ok(answer) }
}

/// What the handler answers, and what of the request it took no notice of.
async fn handled(route: &Route, call: Call) -> Result<Answer> {
    // No secret has such a name: what is asked for by it is not there, whatever the name without the slash holds.
    if call.names_nothing(route) {
        return Ok(if route.verb == Verb::Delete { Answer::empty() } else { Answer::missing() });
    }
    let warnings = ignored::warnings(route, &call);
    let mut answer = (route.handler)(call).await?;
    for warning in warnings {
        answer = answer.with_warning(&warning).await?;
    }
    Ok(answer)
}
