//! What the console asks of a region: one node after the other, one token after the other, as long as nothing can have been
//! done by the one before.

use super::Shared;
use crate::api::ledger::{LedgerExport, LedgerPage};
use crate::api::replication::LinkRequest;
use crate::client::{Client, ClientError, ClientOptions, Phase};
use crate::console::app::msg::{Failure, FailureSort};
use crate::console::app::outcome::Asked;
use crate::console::app::{Answer, Change, Permit, Query, Target};
use crate::console::domain::units::{count, plural};
use crate::ids::PromotionId;
use crate::sensitive::SensitiveString;
use std::time::Duration;

/// A change may have to be agreed upon first: that takes longer than a look.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Decisions on a ledger are agreed on one after the other: as long as a server works on one request.
const DECISIONS_TIMEOUT: Duration = Duration::from_secs(95);

pub(super) async fn ask(shared: &Shared, target: Target, query: Query) {
    let path = &shared.options.path;
    let answer = match query {
        Query::Plan(mode) => {
            let plan = anywhere(shared, &target, |client| async move { client.plan(path, mode).await });
            let id = PromotionId(crate::clock::random_bytes());
            Answer::Plan(target.clone(), mode, plan.await.map(|plan| (plan, id)))
        }
        Query::Ledger => Answer::Ledger(target.clone(), whole_ledger(shared, &target).await),
        Query::LedgerExport => Answer::LedgerExport(target.clone(), whole_export(shared, &target).await),
        Query::Verification(id) => {
            let of = id.as_str();
            let said = anywhere(shared, &target, |client| async move { client.verification(path, of).await });
            Answer::Verification(target.clone(), said.await)
        }
        Query::Promotion(id) => {
            let known = anywhere(shared, &target, |client| async move { client.promotion(path, id).await });
            Answer::Promotion(id, known.await.map_err(as_unknown))
        }
    };
    shared.answer(answer).await;
}

/// Carries out a change. The permit is spent with it.
pub(super) async fn change(shared: &Shared, _permit: Permit, target: Target, change: Change) {
    let path = &shared.options.path;
    let asked = Asked::of(&change);
    let result = match change {
        Change::GenerateToken(request) => {
            let request = &request;
            let made = anywhere(shared, &target, |client| async move { client.generate_token(path, request).await });
            let made = Answer::Token(target.clone(), made.await);
            return shared.answer(made).await;
        }
        Change::Verify => {
            let begun = anywhere(shared, &target, |client| async move { client.verify(path).await });
            let begun = Answer::Verification(target.clone(), begun.await);
            return shared.answer(begun).await;
        }
        Change::CancelPromotion(id) => {
            let sent = anywhere(shared, &target, |client| async move { client.cancel_promotion(path, id).await });
            let sent = Answer::Promotion(id, sent.await.map(Some).map_err(as_unknown));
            return shared.answer(sent).await;
        }
        Change::Promote(request) => {
            let (id, request) = (request.id, &request);
            let sent = anywhere(shared, &target, |client| async move { client.promote(path, request).await });
            let sent = Answer::Promotion(id, sent.await.map(Some));
            return shared.answer(sent).await;
        }
        Change::Connect { token, .. } => {
            let request = LinkRequest { address: None, token: token.expose().to_owned(), max_parallel: None };
            let request = &request;
            anywhere(shared, &target, |client| async move { client.connect(path, request).await }).await.map(|()| None)
        }
        Change::Link { standby, request } => link(shared, &target, &standby, &request).await.map(|()| None),
        Change::RevokeToken { accessor } => {
            let of = accessor.as_str();
            anywhere(shared, &target, |client| async move { client.revoke_token(path, of).await }).await.map(|()| None)
        }
        Change::Pause => {
            anywhere(shared, &target, |client| async move { client.pause(path, None).await }).await.map(|()| None)
        }
        Change::Resume => {
            anywhere(shared, &target, |client| async move { client.resume(path, None).await }).await.map(|()| None)
        }
        Change::ReplayLedger(request) => {
            let request = &request;
            let call = |client: Client| async move { client.replay(path, request).await };
            let done = within(DECISIONS_TIMEOUT, shared, &target, call).await;
            done.map(|answer| {
                let there = plural(answer.replayed.len() as u64, "write", "writes");
                let (met, refused) = (count(answer.conflicts.len() as u64), count(answer.refused.len() as u64));
                let region = &target.region;
                Some(format!("{region}: {there} replayed, {met} met another change, {refused} refused"))
            })
        }
        Change::DiscardLedger(request) => {
            let request = &request;
            let call = |client: Client| async move { client.discard(path, request).await };
            let done = within(DECISIONS_TIMEOUT, shared, &target, call).await;
            done.map(|answer| {
                let given_up = plural(answer.discarded.len() as u64, "write", "writes");
                Some(format!("{}: {given_up} discarded", target.region))
            })
        }
        Change::Rejoin(request) => {
            let request = &request;
            anywhere(shared, &target, |client| async move { client.rejoin(path, request).await }).await.map(|()| None)
        }
        Change::Fence(request) => {
            let request = &request;
            anywhere(shared, &target, |client| async move { client.demote(path, request).await }).await.map(|()| None)
        }
    };
    let words = result.map(|words| words.unwrap_or_else(|| asked.done(&target.region)));
    shared.answer(Answer::Ended(target, asked, words)).await;
}

/// Entries that are shown of a ledger: it says itself how many more there are.
const LEDGER_ENTRIES_MAX: usize = 2_000;

/// All pages of a ledger, as far as they are shown.
async fn whole_ledger(shared: &Shared, target: &Target) -> Result<LedgerPage, Failure> {
    let path = &shared.options.path;
    let mut all = anywhere(shared, target, |client| async move { client.ledger(path, None).await }).await?;
    // What is left out stays named: a page that was cut is not the whole ledger.
    while all.entries.len() < LEDGER_ENTRIES_MAX
        && let Some(after) = all.next.take()
    {
        let after = after.as_str();
        let page = anywhere(shared, target, |client| async move { client.ledger(path, Some(after)).await }).await?;
        all.entries.extend(page.entries);
        all.next = page.next;
    }
    Ok(all)
}

/// Entries that are written to a file at most: a larger ledger is exported on the command line.
const EXPORT_ENTRIES_MAX: usize = 50_000;

async fn whole_export(shared: &Shared, target: &Target) -> Result<LedgerExport, Failure> {
    let path = &shared.options.path;
    let mut all = anywhere(shared, target, |client| async move { client.export_ledger(path, None).await }).await?;
    while let Some(after) = all.next.take() {
        if all.entries.len() >= EXPORT_ENTRIES_MAX {
            let words = format!("more than {EXPORT_ENTRIES_MAX} entries: use `twinkeep replication ledger export`");
            return Err(Failure { words, sort: FailureSort::Refused });
        }
        let after = after.as_str();
        let page =
            anywhere(shared, target, |client| async move { client.export_ledger(path, Some(after)).await }).await?;
        all.entries.extend(page.entries);
        all.next = page.next;
    }
    Ok(all)
}

/// Both halves of linking two regions; the token lives in between only.
async fn link(
    shared: &Shared,
    primary: &Target,
    standby: &Target,
    request: &crate::api::replication::TokenRequest,
) -> Result<(), Failure> {
    let path = &shared.options.path;
    let mut made =
        anywhere(shared, standby, |client| async move { client.generate_token(path, request).await }).await?;
    let token = SensitiveString::new(std::mem::take(&mut made.token));
    let request = LinkRequest { address: None, token: token.expose().to_owned(), max_parallel: None };
    let request = &request;
    let taken = anywhere(shared, primary, |client| async move { client.connect(path, request).await }).await;
    taken.map_err(|failure| Failure {
        words: format!(
            "{} (the token {} of {} was made and is not used)",
            failure.words, made.accessor, standby.region
        ),
        ..failure
    })
}

/// A question about a promotion that brings no answer leaves its outcome unknown.
fn as_unknown(failure: Failure) -> Failure {
    Failure { sort: FailureSort::Unknown, ..failure }
}

/// The first node that answers, with the first token that it takes.
async fn anywhere<T, F>(shared: &Shared, target: &Target, call: impl Fn(Client) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, ClientError>>,
{
    within(CHANGE_TIMEOUT, shared, target, call).await
}

async fn within<T, F>(
    call_timeout: Duration,
    shared: &Shared,
    target: &Target,
    call: impl Fn(Client) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let nowhere = || Failure { words: format!("no address of {} is known", target.region), sort: FailureSort::Refused };
    let mut failure = nowhere();
    for address in &target.addresses {
        for token in shared.options.tokens.iter().map(Some).chain(shared.options.tokens.is_empty().then_some(None)) {
            let options = ClientOptions {
                trust: shared.options.trust.clone(),
                call_timeout,
                token: token.cloned(),
                ..ClientOptions::new(address.clone())
            };
            let error = match Client::new(options) {
                Ok(client) => match call(client).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let next = next(&error);
            failure = as_failure(&error);
            match next {
                Next::Token => continue,
                Next::Node => break,
                Next::Nothing => return Err(failure),
            }
        }
    }
    Err(failure)
}

/// What is worth a try after an error, because nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Token,
    Node,
    Nothing,
}

fn next(error: &ClientError) -> Next {
    match error {
        ClientError::Status { status: 403, .. } => Next::Token,
        // Nothing was sent, or the node can't do it now and says so.
        ClientError::Unreachable { phase: Phase::Connect, .. } | ClientError::Status { status: 503, .. } => Next::Node,
        _ => Next::Nothing,
    }
}

fn as_failure(error: &ClientError) -> Failure {
    let sort = if error.outcome_unknown() { FailureSort::Unknown } else { FailureSort::Refused };
    Failure { words: error.to_string(), sort }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> ClientError {
        ClientError::Status { method: "POST".into(), url: String::new(), status, errors: Vec::new(), raw: None }
    }

    fn unreachable(phase: Phase) -> ClientError {
        ClientError::Unreachable { address: String::new(), phase, cause: String::new() }
    }

    #[test]
    fn only_what_was_surely_not_done_is_tried_elsewhere() {
        assert_eq!(next(&status(403)), Next::Token);
        assert_eq!(next(&unreachable(Phase::Connect)), Next::Node);
        assert_eq!(next(&status(503)), Next::Node);
        for error in [unreachable(Phase::Answer), unreachable(Phase::Body), status(500), status(504), status(400)] {
            assert_eq!(next(&error), Next::Nothing, "{error}");
        }
        assert_eq!(as_failure(&unreachable(Phase::Answer)).sort, FailureSort::Unknown);
        assert_eq!(as_failure(&unreachable(Phase::Connect)).sort, FailureSort::Refused);
    }
}
