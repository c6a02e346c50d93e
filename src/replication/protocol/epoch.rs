//! Epochs: how a message's compares with the region's own, where two lines of history part, and the gate at the top
//! of `Core::step` that lets nothing of a higher epoch by before it is durably known here.

use super::context::{Context, Mutation};
use super::interface::*;
use super::message::*;
pub use crate::state::line::holds;

use crate::ids::{DatasetId, Epoch, RegionId};
use crate::state::{Command, KnownPrimary, PathChange, PathState, RegionChange};

/// Requests that wait for a higher epoch to become durable. The sender of one too many is told to come again.
const HELD_REQUESTS_MAX: usize = 64;

/// A message's epoch against the region's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compared {
    Same,
    /// The sender's epoch is over.
    Lower,
    /// The sender knows of a promotion that this region does not know of.
    Higher,
    /// The sender speaks of another data set, whose epochs say nothing here.
    Elsewhere,
}

pub fn compare(path: &PathState, dataset: DatasetId, epoch: Epoch) -> Compared {
    if dataset != path.dataset {
        return Compared::Elsewhere;
    }
    match epoch.cmp(&path.epoch) {
        std::cmp::Ordering::Less => Compared::Lower,
        std::cmp::Ordering::Equal => Compared::Same,
        std::cmp::Ordering::Greater => Compared::Higher,
    }
}

/// The epoch whose line a region follows. Lower than `path.epoch` when it only heard of a promotion.
pub fn followed(path: &PathState) -> Epoch {
    path.history.last().map_or(path.epoch, |start| start.epoch)
}

/// Makes a higher epoch durable before anything that named it is answered.
#[derive(Default)]
pub(super) struct Gate {
    /// The highest epoch that was heard of and is not durable yet.
    learned: Option<Learned>,
    held: Vec<(RequestId, RegionId, Request)>,
}

struct Learned {
    epoch: Epoch,
    by: RegionId,
    primary: Option<KnownPrimary>,
    proposal: Option<ProposalId>,
    again_at: u64,
}

impl Gate {
    /// Compares, with the mutation that the simulator must catch.
    pub fn compare(&self, ctx: &Context, dataset: DatasetId, epoch: Epoch) -> Compared {
        match compare(&ctx.path, dataset, epoch) {
            Compared::Lower | Compared::Higher if ctx.mutated(Mutation::IgnoreEpochs) => Compared::Same,
            Compared::Higher if ctx.mutated(Mutation::ForgetFence) => Compared::Same,
            compared => compared,
        }
    }

    /// A higher epoch was heard of: the region will know it durably.
    pub fn learn(&mut self, ctx: &Context, epoch: Epoch, by: RegionId, primary: Option<KnownPrimary>) {
        if self.learned.as_ref().is_none_or(|learned| learned.epoch < epoch) {
            let again_at = ctx.now.steady_ms;
            self.learned = Some(Learned { epoch, by, primary, proposal: None, again_at });
        }
    }

    /// Keeps a request of a higher epoch until that is durable.
    pub fn hold(&mut self, ctx: &mut Context, id: RequestId, from: RegionId, request: Request) {
        let identity = match &request.ask {
            Ask::Hello(hello) => Some(&hello.identity),
            _ => None,
        };
        let primary = ctx.known_primary(from, identity);
        self.learn(ctx, request.header.epoch, from, Some(primary));
        if self.held.len() < HELD_REQUESTS_MAX {
            self.held.push((id, from, request));
        } else {
            ctx.reply(id, Want::Refused(Refused::Busy));
        }
    }

    /// Looks at new facts. Returns the held requests that may be handled now, and who told of the epoch.
    pub fn settle(&mut self, ctx: &Context) -> Vec<(RequestId, RegionId, Request)> {
        if self.learned.as_ref().is_some_and(|learned| learned.epoch <= ctx.path.epoch) {
            self.learned = None;
        }
        let higher = |request: &Request| compare(&ctx.path, request.header.dataset, request.header.epoch);
        let (held, free) =
            std::mem::take(&mut self.held).into_iter().partition(|(_, _, it)| higher(it) == Compared::Higher);
        self.held = held;
        free
    }

    /// Who told of the epoch that the region is about to learn.
    pub fn told_by(&self) -> Option<RegionId> {
        self.learned.as_ref().map(|learned| learned.by)
    }

    pub fn proposed(&mut self, ctx: &Context, id: ProposalId) {
        if let Some(learned) = self.learned.as_mut().filter(|learned| learned.proposal == Some(id)) {
            // Facts that show the epoch would have ended it already: the proposal failed.
            learned.proposal = None;
            learned.again_at = ctx.after(ctx.options.timing.propose_again_ms);
        }
    }

    pub fn drive(&mut self, ctx: &mut Context) {
        let Some(learned) = self.learned.as_mut() else { return };
        if learned.proposal.is_some() || !ctx.is_due(learned.again_at) {
            return;
        }
        let fence = PathChange::Fence { by_epoch: learned.epoch, at: ctx.now.wall, primary: learned.primary.clone() };
        let change = RegionChange { path: Some(fence), ..RegionChange::default() };
        learned.proposal = Some(ctx.propose(Command::Region(change)));
    }

    pub fn wakes_at(&self) -> Option<u64> {
        self.learned.as_ref().filter(|learned| learned.proposal.is_none()).map(|learned| learned.again_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_another_data_set_say_nothing() {
        let path = PathState::first("default", DatasetId([1; 16]));
        assert_eq!(compare(&path, DatasetId([1; 16]), Epoch(1)), Compared::Same);
        assert_eq!(compare(&path, DatasetId([1; 16]), Epoch(2)), Compared::Higher);
        assert_eq!(compare(&path, DatasetId([1; 16]), Epoch(0)), Compared::Lower);
        assert_eq!(compare(&path, DatasetId([2; 16]), Epoch(9)), Compared::Elsewhere);
    }
}
