//! What can happen to the console, and what it can ask for.

use super::actions::{Action, Look};
use super::confirm::Permit;
use super::context::ContextId;
use super::list::Move;
use super::model::{Mouse, Screen};
use super::outcome::Asked;
use super::rehearsal::RehearsalNews;
use crate::api::ledger::{DemoteRequest, DiscardRequest, LedgerExport, LedgerPage, RejoinRequest, ReplayRequest};
use crate::api::replication::{Event, Plan, PromoteMode, PromoteRequest, Promotion, TokenCreated, TokenRequest};
use crate::api::verification::Verification;
use crate::clock::UnixMs;
use crate::console::domain::NodeReport;
use crate::ids::PromotionId;
use crate::sensitive::SensitiveString;
use crossterm::event::KeyEvent;
use std::path::PathBuf;

/// Everything that can happen.
#[derive(Debug)]
pub enum Msg {
    /// What time it is. Comes at least once a second, and before whatever else happens at that time.
    Tick(UnixMs),
    Key(KeyEvent),
    Paste(String),
    /// What sessions learned since: newest wins.
    Reports(Vec<(ContextId, NodeReport)>),
    /// What happened in a region, as one of its nodes tells.
    Events {
        context: ContextId,
        region: String,
        events: Vec<Event>,
    },
    Answer(ContextId, Box<Answer>),
    Rehearsal(RehearsalNews),
    /// The mouse pressed something that was painted as pressable.
    Click(Hit),
    /// The wheel was turned, up or down.
    Wheel(Move),
    /// Something about the console itself: a theme file that does not parse, a node that is not watched.
    Notice(String),
}

/// What can be pressed with the mouse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hit {
    Screen(Screen),
    Region(String),
    /// A row of the list in view.
    Row(usize),
    Action(Action),
}

/// Where to send a request: the region's nodes, best first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    pub context: ContextId,
    pub region: String,
    pub addresses: Vec<String>,
}

/// What the runtime shall do.
#[derive(Debug)]
pub enum Effect {
    Quit,
    /// Give the terminal back to the shell until it wakes us.
    Suspend,
    /// Paint all cells anew.
    Redraw,
    Bell,
    /// Let all sessions that wait for their next try go now.
    RetryNow,
    /// Throw a fault in the rehearsal.
    Throw(String),
    /// Look at what was recorded, or move in it.
    Past(Look),
    /// Remember this moment in the recording.
    Mark(String),
    Export(ExportFormat),
    Bundle,
    /// Let the mouse go to the console, or back to the terminal.
    Mouse(Mouse),
    /// Hand text to the terminal's clipboard (OSC 52).
    Copy(SensitiveString),
    /// Put something into files of the console's own folder, for this user alone.
    Save(Vec<SavedFile>),
    Ask(Target, Query),
    /// Changes something, hence the permit.
    Do(Permit, Target, Change),
}

/// What a file is called, and what stands in it.
#[derive(Debug)]
pub struct SavedFile {
    pub name: String,
    pub text: SensitiveString,
}

impl SavedFile {
    pub fn new(name: String, text: impl Into<String>) -> SavedFile {
        SavedFile { name, text: SensitiveString::new(text) }
    }
}

impl Effect {
    /// Whether servers have to do with it, or what stands for them in a demo.
    pub fn is_for_servers(&self) -> bool {
        matches!(self, Effect::Ask(..) | Effect::Do(..) | Effect::RetryNow | Effect::Throw(_))
    }
}

/// What a screen, or what is on it, is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportFormat {
    Text,
    Ansi,
    Svg,
    /// All that is known, as `--json` has it.
    Json,
    /// The list in view, or the lag over time where there is none.
    Csv,
}

impl ExportFormat {
    pub const ALL: [ExportFormat; 5] =
        [ExportFormat::Text, ExportFormat::Ansi, ExportFormat::Svg, ExportFormat::Json, ExportFormat::Csv];

    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Text => "text",
            ExportFormat::Ansi => "ansi",
            ExportFormat::Svg => "svg",
            ExportFormat::Json => "json",
            ExportFormat::Csv => "csv",
        }
    }

    pub fn parse(name: &str) -> Option<ExportFormat> {
        ExportFormat::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A question that changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    Plan(PromoteMode),
    Promotion(PromotionId),
    Ledger,
    /// Whole entries, for a file.
    LedgerExport,
    /// How a verification goes, by its id.
    Verification(String),
}

/// A request that changes something.
#[derive(Clone, Debug)]
pub enum Change {
    GenerateToken(TokenRequest),
    /// Give the token of `standby` to the primary. It says itself where the standby is reached.
    Connect {
        standby: String,
        token: SensitiveString,
    },
    /// Make a token on `standby` and give it to the primary at once: nobody sees it.
    Link {
        standby: Target,
        request: TokenRequest,
    },
    RevokeToken {
        accessor: String,
    },
    Pause,
    Resume,
    Promote(PromoteRequest),
    /// Of a switchover that is not done.
    CancelPromotion(PromotionId),
    ReplayLedger(ReplayRequest),
    DiscardLedger(DiscardRequest),
    Rejoin(RejoinRequest),
    /// Compare the standbys' disks, and repair what differs.
    Verify,
    /// Of two primaries the one that gives way.
    Fence(DemoteRequest),
}

/// Why a request brought no answer, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub words: String,
    pub sort: FailureSort,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureSort {
    /// Nothing was done.
    Refused,
    /// It may have been done.
    Unknown,
}

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    Token(Target, Result<TokenCreated, Failure>),
    /// What became of a change, in words if it was done.
    Ended(Target, Asked, Result<String, Failure>),
    Ledger(Target, Result<LedgerPage, Failure>),
    LedgerExport(Target, Result<LedgerExport, Failure>),
    Verification(Target, Result<Verification, Failure>),
    /// The files that something was written to, or why it was not.
    Saved(Result<Vec<PathBuf>, String>),
    /// A plan of the mode that was asked about comes with a new id for the promotion that it may lead to, since nothing here
    /// makes random numbers.
    Plan(Target, PromoteMode, Result<(Plan, PromotionId), Failure>),
    /// The answer to the promotion itself, or to a question about it; `None`: the region knows of none with this id.
    Promotion(PromotionId, Result<Option<Promotion>, Failure>),
}
