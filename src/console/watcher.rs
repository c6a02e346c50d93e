//! The console's mind and eyes without a terminal: what `--once`, `--json`, `--plain` and `status` look through.

use super::app::{self, Model, Msg};
use super::domain::Contact;
use super::options::{AttachOptions, Look, prepare};
use super::session::{Board, ConsoleClock, Sessions};
use crate::error::Result;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A node that has not answered by then is shown as it is.
const PATIENCE: Duration = Duration::from_millis(3_500);
/// After all nodes answered: time for the tokens' list, the other nodes and the first events.
const AFTERTHOUGHT: Duration = Duration::from_millis(300);
const QUEUE_MAX: usize = 1_024;

pub struct Watcher {
    pub model: Model,
    pub look: Look,
    pub warnings: Vec<String>,
    clock: ConsoleClock,
    _sessions: Sessions,
    board: watch::Receiver<Board>,
    waiting: mpsc::Receiver<Msg>,
    seen: u64,
}

impl Watcher {
    pub fn start(options: AttachOptions) -> Result<Watcher> {
        let clock = ConsoleClock::start();
        let prepared = prepare(options, clock)?;
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (sessions, board) = Sessions::start(prepared.sessions, clock, queue);
        let model = Model::new(prepared.model);
        let (look, warnings) = (prepared.look, prepared.warnings);
        Ok(Watcher { model, look, warnings, clock, _sessions: sessions, board, waiting, seen: 0 })
    }

    /// Until each node was called once, at most for a few seconds.
    pub async fn settle(&mut self) {
        let tried =
            |board: &Board| board.all().next().is_some() && board.all().all(|node| node.contact != Contact::Connecting);
        // The time limit is what ends it when nodes are dead; the sender lives as long as the sessions.
        let _ = tokio::time::timeout(PATIENCE, self.board.wait_for(tried)).await;
        self.pass(AFTERTHOUGHT).await;
    }

    /// Lets time pass, and takes in what came meanwhile.
    pub async fn pass(&mut self, time: Duration) {
        let until = tokio::time::sleep(time);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => break,
                // Events wait for room: they are taken as they come.
                Some(msg) = self.waiting.recv() => drop(app::update(&mut self.model, msg)),
            }
        }
        let (reports, seen) = self.board.borrow_and_update().since(self.seen);
        self.seen = seen;
        app::update(&mut self.model, Msg::Reports(reports));
        app::update(&mut self.model, Msg::Tick(self.clock.now()));
        while let Ok(msg) = self.waiting.try_recv() {
            app::update(&mut self.model, msg);
        }
    }
}
