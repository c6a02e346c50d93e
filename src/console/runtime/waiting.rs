//! The one place where the loop waits: for keys, signals, reports and answers, and for the next second.

use super::Console;
use super::Dirt;
use crate::console::app::Msg;
use crate::console::app::rehearsal::RehearsalNews;
use crate::console::session::Board;
use crate::console::ui::theme::Themes;
use crate::error::Result;
use crossterm::event::Event;
use futures::StreamExt;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

pub(super) struct Signals {
    ends: Ends,
    carry_on: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Signals> {
        let carry_on = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
        Ok(Signals { ends: Ends::listen()?, carry_on })
    }
}

/// The signals that end a console, which gives the terminal back first.
pub(in crate::console) struct Ends {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl Ends {
    pub(in crate::console) fn listen() -> Result<Ends> {
        Ok(Ends {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(in crate::console) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What the `select!` woke up for.
pub(super) enum Woken {
    Input(Option<std::io::Result<Event>>),
    Msg(Box<Msg>),
    News(Option<RehearsalNews>),
    Board,
    /// The user's theme files changed.
    Themes(Themes),
    Time,
    Ended,
    CarryOn,
}

/// A change on the board, but not before it is due: what changes meanwhile is read with it.
async fn next_board(board: &mut watch::Receiver<Board>, due: Duration) {
    tokio::time::sleep(due).await;
    // Over a recording there are no sessions that would report.
    if board.changed().await.is_err() {
        std::future::pending().await
    }
}

async fn next_msg(waiting: &mut mpsc::Receiver<Msg>) -> Msg {
    match waiting.recv().await {
        Some(msg) => msg,
        None => std::future::pending().await,
    }
}

/// Without a rehearsal there is never any.
async fn next_news(news: &mut Option<mpsc::Receiver<RehearsalNews>>) -> Option<RehearsalNews> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

impl Console {
    /// The only place where anything is awaited.
    pub(super) async fn wait(&mut self) -> Woken {
        let until = self.next_wake();
        let board_due = self.clock.until(self.board_read_at.plus(self.frame_every(Dirt::Unhurried)));
        let Some(input) = &mut self.input else { return Woken::Time };
        tokio::select! {
            event = input.next() => Woken::Input(event),
            msg = next_msg(&mut self.waiting) => Woken::Msg(Box::new(msg)),
            news = next_news(&mut self.news) => Woken::News(news),
            () = next_board(&mut self.board, board_due) => Woken::Board,
            themes = self.themes.next() => Woken::Themes(themes),
            () = tokio::time::sleep(until) => Woken::Time,
            () = self.signals.ends.next() => Woken::Ended,
            _ = self.signals.carry_on.recv() => Woken::CarryOn,
        }
    }
}
