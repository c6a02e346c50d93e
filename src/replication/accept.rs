//! The new primary's side of a replay: entries of another region's ledger as new writes here.
//!
//! What becomes of each entry is judged by `look`. What is to be written is looked at and agreed on while no client write
//! is under way, and apply refuses it if anything came between after all. Which entries were taken is agreed on in the same
//! commit, so that to ask again, after a lost answer, writes nothing twice.

use super::context::Context;
use super::link_record;
use super::look::Look;
use crate::api::ledger::{AcceptAnswer, AcceptOutcome, AcceptRequest};
use crate::api::replication::EventLevel;
use crate::clock;
use crate::consensus;
use crate::error::{Error, Result};
use crate::ids::Position;
use crate::state::ledger::Accept;
use crate::state::{Command, Outcome, Role};
use std::sync::Arc;

/// Entries of one request at most.
pub const ACCEPT_ENTRIES_MAX: usize = 256;
/// How often it is looked at anew when something came between.
const ATTEMPTS: usize = 4;
pub(super) async fn accept(context: &Arc<Context>, request: AcceptRequest) -> Result<AcceptAnswer> {
    context.lead().await?;
    if request.entries.len() > ACCEPT_ENTRIES_MAX {
        return Err(Error::invalid(format!("more than {ACCEPT_ENTRIES_MAX} entries at once")));
    }
    // Whoever asks may go away; what was begun is brought to its end.
    let context = context.clone();
    let task = tokio::spawn(async move {
        let _held = context.keyring.hold_writes().await;
        let request = Arc::new(request);
        for _ in 0..ATTEMPTS {
            if let Some(answer) = attempt(&context, &request).await? {
                return Ok(answer);
            }
        }
        Err(Error::unavailable("other writes came between again and again: repeat the replay"))
    });
    task.await.map_err(|_| Error::internal("a replay was cut off"))?
}

/// One look and one proposal; `None` if something came between.
async fn attempt(context: &Arc<Context>, request: &Arc<AcceptRequest>) -> Result<Option<AcceptAnswer>> {
    let term = context.consensus.lead_term()?;
    context.consensus.gate().pass(term).await?;
    let path = context.state().path();
    if path.role != Role::Primary || !path.is_whole() {
        return Err(consensus::wrong_role(context.state()));
    }
    let (asked, as_of) = (request.clone(), path.applied);
    // Never earlier than what was agreed on.
    let at = clock::now().max(path.applied_at);
    let look = move |context: &Context| Look::new(context.state(), &context.keyring, &path, &asked, at)?.evaluate();
    let (mut outcomes, entries) = context.blocking(look).await?;
    if entries.is_empty() {
        return Ok(Some(answer(outcomes)));
    }
    let written: Vec<usize> = entries.iter().map(|(at, _)| *at).collect();
    let accept = Accept {
        epoch: context.state().path().epoch,
        as_of,
        origin: request.region,
        number: request.number,
        entries: entries.into_iter().map(|(at, batch)| (request.entries[at].position.index, batch)).collect(),
    };
    match context.consensus.propose(Command::Accept(accept)).await? {
        Outcome::Written { first, .. } => {
            for (offset, at) in written.iter().enumerate() {
                let position = Position::new(first.epoch, first.index + offset as u64);
                outcomes[*at] = Some(AcceptOutcome::Replayed { position });
            }
            let link = link_record::get(context.state(), request.region)?;
            let whose = link.map_or_else(|| format!("region {}", request.region), |link| link.name);
            let writes = if written.len() == 1 { "write" } else { "writes" };
            let text = format!("{} {writes} replayed here from the ledger of {whose}", written.len());
            context.events.record(EventLevel::Warn, "ledger", text);
            Ok(Some(answer(outcomes)))
        }
        _ => Ok(None),
    }
}

fn answer(outcomes: Vec<Option<AcceptOutcome>>) -> AcceptAnswer {
    AcceptAnswer { outcomes: outcomes.into_iter().flatten().collect() }
}
