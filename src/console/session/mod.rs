//! The console's eyes and hands: one supervisor a node that looks, and tasks that carry out what was asked for.
//!
//! A supervisor never ends because its node is gone: it calls again, ever more slowly, and says when. What it learns of its
//! node replaces what it knew before (a watch: newest wins); what happened, and what became of requests, goes through the
//! console's bounded queue, where nothing is lost.

mod backoff;
mod board;
mod clock;
mod commands;
mod foreign;
mod supervisor;

#[cfg(test)]
mod tests;

pub use board::Board;
pub use clock::ConsoleClock;

use super::app::{Answer, ContextId, Effect, Msg};
use super::domain::NodeReport;
use crate::client::{Client, ClientOptions, Trust};
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

/// Nodes watched at once: a region that names more is not believed.
const NODES_MAX: usize = 256;

/// Whom to watch, and as whom.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    pub context: ContextId,
    pub path: String,
    /// Understood ones: see [`understood`].
    pub addresses: Vec<String>,
    /// Each is tried on each region: after a sync the primary's tokens work on the standby.
    pub tokens: Vec<SensitiveString>,
    pub trust: Trust,
}

/// All sessions. They end when this is dropped.
pub struct Sessions {
    contexts: Vec<Arc<Shared>>,
}

/// What the supervisors of a context share.
struct Shared {
    options: SessionOptions,
    clock: ConsoleClock,
    board: Arc<watch::Sender<Board>>,
    queue: mpsc::Sender<Msg>,
    retry: Notify,
    known: Mutex<BTreeSet<String>>,
    tasks: Mutex<JoinSet<()>>,
}

/// The addresses as clients understand them: with a scheme, without a slash at the end. Fails for what is no address.
pub fn understood(addresses: &[String], trust: &Trust) -> Result<Vec<String>> {
    let understand = |address: &String| {
        let options = ClientOptions { trust: trust.clone(), ..ClientOptions::new(address.clone()) };
        let client = Client::new(options).map_err(|error| Error::invalid(error.to_string()))?;
        Ok(client.address().to_owned())
    };
    addresses.iter().map(understand).collect()
}

impl Sessions {
    /// Starts to watch. Snapshots are on the returned watch, all else comes through `queue`.
    pub fn start(
        contexts: Vec<SessionOptions>,
        clock: ConsoleClock,
        queue: mpsc::Sender<Msg>,
    ) -> (Sessions, watch::Receiver<Board>) {
        let (board, reports) = watch::channel(Board::default());
        let board = Arc::new(board);
        let start = |options: SessionOptions| {
            let addresses = options.addresses.clone();
            let shared = Arc::new(Shared {
                options,
                clock,
                board: Arc::clone(&board),
                queue: queue.clone(),
                retry: Notify::new(),
                known: Mutex::default(),
                tasks: Mutex::default(),
            });
            for address in addresses {
                shared.watch(address);
            }
            shared
        };
        (Sessions { contexts: contexts.into_iter().map(start).collect() }, reports)
    }

    /// Carries out what `update` asked for, as far as it is about servers. Never waits.
    pub fn perform(&self, effect: Effect) {
        match effect {
            Effect::RetryNow => self.contexts.iter().for_each(|shared| shared.retry.notify_waiters()),
            Effect::Ask(target, query) => {
                let Some(shared) = self.context(target.context) else { return };
                let of = Arc::clone(shared);
                shared.spawn(async move { commands::ask(&of, target, query).await });
            }
            Effect::Do(permit, target, change) => {
                let Some(shared) = self.context(target.context) else { return };
                let of = Arc::clone(shared);
                shared.spawn(async move {
                    commands::change(&of, permit, target, change).await;
                    // What was changed shall be seen soon.
                    of.retry.notify_waiters();
                });
            }
            Effect::Quit
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Bell
            | Effect::Mouse(_)
            | Effect::Copy(_)
            | Effect::Past(_)
            | Effect::Mark(_)
            | Effect::Export(_)
            | Effect::Bundle
            | Effect::Throw(_)
            | Effect::Save(_) => {}
        }
    }

    fn context(&self, id: ContextId) -> Option<&Arc<Shared>> {
        self.contexts.iter().find(|shared| shared.options.context == id)
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        // The tasks hold the shared parts, so that only this can end them.
        for shared in &self.contexts {
            shared.lock_tasks().abort_all();
        }
    }
}

impl Shared {
    /// Starts a supervisor, unless there is one for this address.
    fn watch(self: &Arc<Shared>, address: String) {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= NODES_MAX || !known.insert(address.clone()) {
                return;
            }
        }
        self.report(NodeReport::new(address.clone()));
        let shared = Arc::clone(self);
        self.spawn(async move { supervisor::run(shared, address).await });
    }

    fn report(&self, report: NodeReport) {
        self.board.send_modify(|board| board.put(self.options.context, report));
    }

    async fn answer(&self, answer: Answer) {
        self.tell(Msg::Answer(self.options.context, Box::new(answer))).await;
    }

    /// Messages wait for room in the queue; without a console they go nowhere.
    async fn tell(&self, msg: Msg) {
        let _ = self.queue.send(msg).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock_tasks();
        // Those that ended are swept up as new ones come.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn lock_tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
