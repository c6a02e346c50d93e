//! The secrets of one mount: some at a time, with a line of progress every so often.

use super::mounts::{Kind, Place};
use super::report::Report;
use super::trouble::{Trouble, patiently};
use super::{Sides, plain, versioned, walk};
use crate::cli::Person;
use crate::cli::args::Format;
use futures::{StreamExt, TryStreamExt};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Copies all that the source lists, `parallel` secrets at a time: so many are in memory, each with one version. Fails where
/// nothing else would go better either; all else is in the report.
pub async fn copy(
    sides: &Sides,
    place: &Place,
    parallel: usize,
    format: Format,
    report: &mut Report,
    person: &mut dyn Person,
) -> Result<(), Trouble> {
    let mut outcomes = std::pin::pin!(
        walk::secrets(&sides.source, place)
            .map_ok(|path| async move {
                let done = patiently(async || match place.kind {
                    Kind::Versioned => versioned::copy(sides, place, &path).await,
                    Kind::Plain => plain::copy(sides, place, &path).await,
                })
                .await;
                Ok((path, done))
            })
            .try_buffer_unordered(parallel)
    );
    let mut ticks = interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once, and there is nothing to say yet.
    ticks.tick().await;
    loop {
        tokio::select! {
            outcome = outcomes.next() => match outcome {
                None => break,
                Some(Err(lost @ Trouble::Lost(_))) => return Err(lost),
                // A folder that can't be listed: what lies beyond it is not found.
                Some(Err(trouble)) => {
                    report.fail(&format!("{}/", place.path), &trouble);
                    break;
                }
                Some(Ok((_, Err(lost @ Trouble::Lost(_))))) => return Err(lost),
                Some(Ok((path, Err(trouble)))) => report.fail(&format!("{}/{path}", place.path), &trouble),
                Some(Ok((_, Ok(copied)))) => report.count(copied),
            },
            _ = ticks.tick() => person.tell(&report.progress(format)),
        }
    }
    person.tell(&report.progress(format));
    Ok(())
}
