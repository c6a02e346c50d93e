//! Watches one node for as long as the console runs.

use super::foreign::{ForeignEye, is_foreign};
use super::{Shared, backoff};
use crate::api::replication::{LinkState, LinkStatus, PathStatus, TokenInfo, TokenSummary};
use crate::client::{Client, ClientError, ClientOptions};
use crate::clock::UnixMs;
use crate::console::app::Msg;
use crate::console::domain::AnyAge;
use crate::console::domain::node::normal_address;
use crate::console::domain::{Access, Contact, NodeReport, Observed};
use crate::sensitive::SensitiveString;
use std::sync::Arc;
use std::time::Duration;

/// A status is asked for this often,
const POLL_EVERY: Duration = Duration::from_secs(1);
/// and this often while a sync runs or a link is being made.
const POLL_EVERY_SYNCING: Duration = Duration::from_millis(250);
/// A link that connects for longer is not about to move.
const JUST_MADE: Duration = Duration::from_secs(10);
/// Tokens are listed when the status says that something changed, and at least this often.
const TOKENS_EVERY: Duration = Duration::from_secs(15);
/// After a broken event stream.
const EVENTS_AGAIN: Duration = Duration::from_secs(2);

/// One client without a token for what needs none, and one for each token.
struct Clients {
    open: Client,
    /// The one that was taken last comes first.
    tokens: Vec<Client>,
}

pub(super) async fn run(shared: Arc<Shared>, address: String) {
    let clients = client(&shared, &address, None).and_then(|open| {
        let tokens = shared.options.tokens.iter().map(|token| client(&shared, &address, Some(token)));
        Ok(Clients { open, tokens: tokens.collect::<Result<_, _>>()? })
    });
    let mut clients = match clients {
        Ok(clients) => clients,
        Err(error) => {
            // Nothing that waiting would mend: an address that a server made up.
            let since = shared.clock.now();
            let contact = Contact::Erring { since, error: error.to_string(), retry_at: None };
            return shared.report(NodeReport { contact, ..NodeReport::new(address) });
        }
    };
    let mut report = NodeReport::new(address);
    let mut rng = crate::clock::rng();
    let mut failures = 0;
    let mut listed: Option<(UnixMs, TokenSummary)> = None;
    let mut follows_events = false;
    let mut eye: Option<Box<ForeignEye>> = None;
    loop {
        let asked_at = shared.clock.now();
        let answer = match eye.take() {
            Some(eye) => Answer::OfOthers(eye),
            None => match clients.open.path_status(&shared.options.path).await {
                Err(error) if report.status.is_none() && is_foreign(&error) => Answer::OfOthers(Box::default()),
                other => Answer::Status(Box::new(other)),
            },
        };
        let answer = match answer {
            Answer::Status(status) => *status,
            Answer::OfOthers(mut of) => match of.look(&shared, &clients.open, &mut clients.tokens, &mut report).await {
                Ok(others) => {
                    failures = 0;
                    eye = Some(of);
                    shared.report(report.clone());
                    if !is_untried(&shared) {
                        others.into_iter().for_each(|address| shared.watch(address));
                    }
                    sleep_until(&shared, POLL_EVERY).await;
                    continue;
                }
                // The next look begins anew: another server may run there by then.
                Err(error) => Err(error),
            },
        };
        let wait = match answer {
            Ok(status) => {
                failures = 0;
                take_status(&mut report, &shared, asked_at, status.clone());
                shared.report(report.clone());
                // A token that was refused may be taken a moment later: a sync brings the primary's.
                let stale = listed.is_none_or(|(at, summary)| {
                    report.access == Access::Refused
                        || summary != status.tokens
                        || shared.clock.now().since(at) >= TOKENS_EVERY
                });
                if stale {
                    list_tokens(&mut report, &shared, &mut clients).await;
                    listed = Some((shared.clock.now(), status.tokens));
                    shared.report(report.clone());
                }
                if !follows_events {
                    follows_events = true;
                    let (shared, client) = (Arc::clone(&shared), clients.open.clone());
                    let events = Arc::clone(&shared);
                    shared.spawn(async move { follow_events(&events, client).await });
                }
                discover(&shared, &status);
                if is_busy(&status) { POLL_EVERY_SYNCING } else { POLL_EVERY }
            }
            Err(error) => {
                failures += 1;
                let wait = backoff::after(failures, &mut rng);
                let retry_at = Some(shared.clock.now().plus(wait));
                report.contact = lost(&report.contact, &error, failures, retry_at, shared.clock.now());
                shared.report(report.clone());
                wait
            }
        };
        sleep_until(&shared, wait).await;
    }
}

/// What a node was asked, by what it turned out to be.
enum Answer {
    Status(Box<Result<PathStatus, ClientError>>),
    OfOthers(Box<ForeignEye>),
}

/// Until it is time for the next look, or somebody wants one now.
async fn sleep_until(shared: &Shared, wait: Duration) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = shared.retry.notified() => {}
    }
}

/// Whether a node that was named on the command line has not answered yet: a node may be reached by several addresses,
/// and each shall have its chance to say who it is.
fn is_untried(shared: &Shared) -> bool {
    let board = shared.board.borrow();
    let asked = shared.options.addresses.iter().filter_map(|address| board.get(shared.options.context, address));
    asked.into_iter().any(|report| report.contact == Contact::Connecting)
}

fn client(shared: &Shared, address: &str, token: Option<&SensitiveString>) -> Result<Client, ClientError> {
    let options = ClientOptions { trust: shared.options.trust.clone(), ..ClientOptions::new(address) };
    Client::new(match token {
        Some(token) => options.token(token.clone()),
        None => options,
    })
}

fn take_status(report: &mut NodeReport, shared: &Shared, asked_at: UnixMs, status: PathStatus) {
    let now = shared.clock.now();
    let trip = now.since(asked_at);
    let middle = asked_at.0 + trip.as_millis() as u64 / 2;
    report.clock_skew_ms = Some(status.observed_at.0 as i64 - middle as i64);
    report.round_trip = Some(trip);
    if !matches!(report.contact, Contact::Up { .. }) {
        report.contact = Contact::Up { since: now };
    }
    if shared.options.tokens.is_empty() {
        report.access = Access::NoToken;
    }
    let source = status.region.node.clone();
    report.status = Some(Observed::new(status, now, source));
}

fn lost(before: &Contact, error: &ClientError, attempts: u32, retry_at: Option<UnixMs>, now: UnixMs) -> Contact {
    let since = match before {
        Contact::Gone { since, .. } | Contact::Erring { since, .. } => *since,
        Contact::Connecting | Contact::Up { .. } => now,
    };
    match error {
        // Which address it is stands beside it: the cause is enough.
        ClientError::Unreachable { phase, cause, .. } => {
            Contact::Gone { since, error: format!("{phase}: {cause}"), attempts, retry_at }
        }
        other => Contact::Erring { since, error: other.to_string(), retry_at },
    }
}

/// Tries one token after the other, the last one that was taken first.
async fn list_tokens(report: &mut NodeReport, shared: &Shared, clients: &mut Clients) {
    for at in 0..clients.tokens.len() {
        match clients.tokens[at].tokens(&shared.options.path).await {
            Ok(listing) => {
                report.access = Access::Accepted;
                let tokens: Vec<TokenInfo> = listing.key_info.into_values().collect();
                let source = report.name().unwrap_or(&report.address).to_owned();
                report.tokens = Some(Observed::new(tokens, shared.clock.now(), source));
                clients.tokens.swap(0, at);
                return;
            }
            Err(error) if error.status() == Some(403) => report.access = Access::Refused,
            // Sealed, syncing, no leader: that says nothing about the token.
            Err(_) => return,
        }
    }
}

/// Watches the region's other nodes as well.
fn discover(shared: &Arc<Shared>, status: &PathStatus) {
    if is_untried(shared) {
        return;
    }
    let named: Vec<String> = {
        let board = shared.board.borrow();
        // One that does not answer where it was may answer where its region says it is by now.
        let same_region = board
            .of(shared.options.context)
            .filter(|report| matches!(report.contact, Contact::Up { .. }))
            .filter_map(|report| report.status.as_ref())
            .map(|status| &status.last().region);
        same_region.filter(|region| region.id == status.region.id).map(|region| region.node.clone()).collect()
    };
    for node in &status.nodes {
        let address = normal_address(&node.api_addr);
        if !address.is_empty() && !named.contains(&node.name) {
            shared.watch(address);
        }
    }
}

/// Whether things move that people wait for.
fn is_busy(status: &PathStatus) -> bool {
    let moving = |link: &LinkStatus| match link.state {
        LinkState::FullSync | LinkState::DiffSync | LinkState::Activating => true,
        LinkState::Connecting => status.observed_at.since(link.since) < JUST_MADE,
        LinkState::Streaming | LinkState::Paused | LinkState::Refused => false,
    };
    !status.whole || status.sync.is_some() || status.links.iter().any(moving)
}

/// Tells the console what happens, and begins behind the last event after a break.
async fn follow_events(shared: &Shared, client: Client) {
    let mut after = 0;
    loop {
        if let Ok(mut stream) = client.event_stream(&shared.options.path, after).await {
            while let Ok(Some(event)) = stream.next().await {
                after = after.max(event.id);
                let region = {
                    let board = shared.board.borrow();
                    let status =
                        board.get(shared.options.context, client.address()).and_then(|report| report.status.as_ref());
                    status.map_or_else(|| client.address().to_owned(), |status| status.last().region.name.clone())
                };
                shared.tell(Msg::Events { context: shared.options.context, region, events: vec![event] }).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVENTS_AGAIN) => {}
            () = shared.retry.notified() => {}
        }
    }
}
