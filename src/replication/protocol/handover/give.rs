//! The primary's half of a switchover: chooses whom to give up to and when, says so, and takes back what was declined.

use super::super::context::{Context, Mutation};
use super::super::interface::*;
use super::super::message::{HandoverSaid, HandoverWord, Root};
use super::super::primary::{PeerSeen, Primary};
use crate::ids::{Epoch, PromotionId, RegionId};
use crate::state::{Command, GaveUp, HandoverAsk, HandoverChange, Outcome, PathChange, RegionChange, Role};
use std::collections::BTreeMap;

/// How far the standby may be behind when the primary stops taking writes: what a moment ships, since nobody can write
/// until it is there.
const BEHIND_ENTRIES_MAX: u64 = 2_048;
const BEHIND_BYTES_MAX: u64 = 4 << 20;

#[derive(Default)]
pub(in super::super) struct Giving {
    proposal: Option<ProposalId>,
    again_at: u64,
    /// To whom the core proposed to give up, and since when writes may be refused for it.
    since: Option<(PromotionId, u64)>,
    /// Of this region at the position where it stopped.
    root: Option<Root>,
    root_asked_at: Option<u64>,
    /// What was reported last of the give-up that is under way.
    gave_up: Option<(PromotionId, RegionId, Epoch)>,
}

/// What is said to one peer.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) struct Words {
    said: HandoverSaid,
    /// When writes began to be refused, by the steady clock: may lie before its zero.
    since: Option<i64>,
    half_way_ms: u64,
}

impl Words {
    /// As of `now`.
    pub fn said(&self, now: Now) -> HandoverSaid {
        let mut said = self.said.clone();
        if let (HandoverWord::GaveUp { age_ms, .. }, Some(since)) = (&mut said.word, self.since) {
            *age_ms = (now.steady_ms as i64 - since).max(0) as u64 + self.half_way_ms;
        }
        said
    }
}

impl Giving {
    /// Looks at new facts: what became of the give-up, and what is to be said.
    pub fn settle(&mut self, ctx: &mut Context, primary: &mut Primary) {
        self.report(ctx);
        if ctx.path.handover.gave_up.is_none() {
            self.root = None;
            self.root_asked_at = None;
        }
        let words = self.words(ctx, primary);
        let news = |region: &RegionId, words: &Words| ctx.words.get(region).map(|it| &it.said) != Some(&words.said);
        for (region, _) in words.iter().filter(|(region, words)| news(region, words)) {
            primary.hurry(ctx, *region);
        }
        if let Some(gave_up) = &ctx.path.handover.gave_up {
            primary.insist(gave_up.to.region);
        }
        ctx.words = words;
    }

    pub fn proposed(&mut self, ctx: &Context, id: ProposalId, result: &Result<Outcome, Failure>) {
        let ours = self.proposal.take_if(|proposal| *proposal == id).is_some();
        if ours && !matches!(result, Ok(Outcome::Changed)) {
            self.again_at = ctx.after(ctx.options.timing.propose_again_ms);
        }
    }

    pub fn root(&mut self, ctx: &Context, root: Root) {
        let stopped_at = ctx.path.handover.gave_up.as_ref().map(|gave_up| gave_up.reached);
        if (Some(root.at), root.dataset) == (stopped_at, ctx.path.dataset) {
            self.root = Some(root);
        }
    }

    /// `open`: a primary that restarted and does not know yet whether another was promoted has nothing to give.
    pub fn drive(&mut self, ctx: &mut Context, primary: &Primary, open: bool) {
        if let Some(gave_up) = ctx.path.handover.gave_up.clone() {
            self.compute_root(ctx);
            let over = primary.peers(ctx).any(|peer| is_over(ctx, &gave_up, &peer));
            let hasty = ctx.mutated(Mutation::TakeBackUnheard) && ctx.now.wall.since(gave_up.at).as_millis() > 3_000;
            if over || hasty {
                self.propose(ctx, HandoverChange::TakeBack { id: gave_up.id });
            }
        } else if open && self.proposal.is_none() && ctx.is_due(self.again_at) {
            let ready = first_asker(ctx, primary)
                .filter(|(peer, ask)| {
                    !ctx.path.handover.refused.contains(&ask.id) && peer.streams && is_near(ctx, peer)
                })
                .map(|(peer, ask)| (ctx.known_primary(peer.region, Some(&peer.standing.identity)), ask.clone()));
            let Some((to, HandoverAsk { number, id, .. })) = ready else { return };
            self.since = Some((id, ctx.now.steady_ms));
            let (epoch, at) = (ctx.path.epoch, ctx.now.wall);
            self.propose(ctx, HandoverChange::GiveUp { number, id, to, epoch, at });
        }
    }

    pub fn wakes_at(&self, ctx: &Context) -> Option<u64> {
        let again = Some(self.again_at).filter(|at| *at > ctx.now.steady_ms);
        let root = self.root_asked_at.filter(|_| self.root.is_none());
        again.into_iter().chain(root.map(|at| at + ctx.options.timing.propose_again_ms)).min()
    }

    fn propose(&mut self, ctx: &mut Context, step: HandoverChange) {
        if self.proposal.is_none() && ctx.is_due(self.again_at) {
            let change = RegionChange { path: Some(PathChange::Handover(step)), ..RegionChange::default() };
            self.proposal = Some(ctx.propose(Command::Region(change)));
        }
    }

    /// The data stands still: its root is what the standby's must equal.
    fn compute_root(&mut self, ctx: &mut Context) {
        let again = |at: u64| ctx.is_due(at + ctx.options.timing.propose_again_ms);
        if self.root.is_none() && self.root_asked_at.is_none_or(again) {
            self.root_asked_at = Some(ctx.now.steady_ms);
            ctx.effects.push(Effect::ReadRoot);
        }
    }

    fn words(&self, ctx: &Context, primary: &Primary) -> BTreeMap<RegionId, Words> {
        if let Some(gave_up) = &ctx.path.handover.gave_up {
            let to = gave_up.to.region;
            let round_trip_ms = primary.peers(ctx).find(|peer| peer.region == to).and_then(|peer| peer.round_trip_ms);
            let word = HandoverWord::GaveUp {
                reached: gave_up.reached,
                root: self.root.map(|root| root.hash),
                // As of when it is sent.
                age_ms: 0,
            };
            let said = HandoverSaid { id: gave_up.id, number: gave_up.number, word };
            let since = Some(self.refuses_since(ctx, gave_up));
            return BTreeMap::from([(to, Words { said, since, half_way_ms: round_trip_ms.unwrap_or_default() / 2 })]);
        }
        if ctx.path.role != Role::Primary {
            return BTreeMap::new();
        }
        let first = first_asker(ctx, primary).map(|(peer, _)| peer.region);
        let word = |peer: &PeerSeen, ask: &HandoverAsk| match ctx.path.handover.refused.contains(&ask.id) {
            true => HandoverWord::Refused("the primary's operator cancelled it".into()),
            false if first == Some(peer.region) => HandoverWord::Waiting,
            false => HandoverWord::Refused("the primary hands over to another region just now".into()),
        };
        let of_peer = |peer: PeerSeen| {
            let ask = asked(ctx, &peer)?;
            let said = HandoverSaid { id: ask.id, number: ask.number, word: word(&peer, ask) };
            Some((peer.region, Words { said, since: None, half_way_ms: 0 }))
        };
        primary.peers(ctx).filter_map(of_peer).collect()
    }

    /// By the steady clock. What an earlier leader gave up, it did so long ago as the wall clock says.
    fn refuses_since(&self, ctx: &Context, gave_up: &GaveUp) -> i64 {
        match self.since {
            Some((id, since)) if id == gave_up.id => since as i64,
            _ => ctx.started.steady_ms as i64 - ctx.started.wall.since(gave_up.at).as_millis() as i64,
        }
    }

    fn report(&mut self, ctx: &mut Context) {
        let path = &ctx.path;
        let now = path.handover.gave_up.as_ref().map(|gave_up| (gave_up.id, gave_up.to.region, path.epoch));
        let stage = match (self.gave_up, now) {
            (None, Some(_)) => Some(HandoverStage::GaveUp { reached: path.applied }),
            (Some((.., epoch)), None) if (path.role, path.epoch) == (Role::Primary, epoch) => {
                Some(HandoverStage::TookBack)
            }
            _ => None,
        };
        if let (Some(stage), Some((id, peer, _))) = (stage, now.or(self.gave_up)) {
            ctx.report(Fact::Handover { id, peer, stage });
        }
        self.gave_up = now;
    }
}

/// What a peer asks this primary for, if it follows its line.
fn asked<'a>(ctx: &Context, peer: &PeerSeen<'a>) -> Option<&'a HandoverAsk> {
    let standing = peer.standing;
    let ours = (ctx.path.dataset, ctx.path.epoch, Role::Standby);
    let follows = (standing.dataset, standing.epoch, standing.role) == ours && standing.sync.is_none();
    let ask = standing.handover.asks.as_ref().filter(|_| follows)?;
    (ask.epoch == ctx.path.epoch && ask.from == ctx.options.identity.region).then_some(ask)
}

/// One handover at a time: whose region's id is lowest.
fn first_asker<'a>(ctx: &Context, primary: &'a Primary) -> Option<(PeerSeen<'a>, &'a HandoverAsk)> {
    let may = |(_, ask): &(PeerSeen, &HandoverAsk)| !ctx.path.handover.refused.contains(&ask.id);
    primary.peers(ctx).filter_map(|peer| asked(ctx, &peer).map(|ask| (peer, ask))).find(may)
}

/// Whether the standby lacks so little that writes may stop until it has it.
fn is_near(ctx: &Context, peer: &PeerSeen) -> bool {
    let behind = ctx.path.totals.since(&peer.standing.totals);
    let entries = ctx.path.applied.index.saturating_sub(peer.standing.applied.index);
    entries <= BEHIND_ENTRIES_MAX && behind.bytes <= BEHIND_BYTES_MAX
}

/// Whether the standby said, durably and in the epoch that was given up, that it will not open by it.
fn is_over(ctx: &Context, gave_up: &GaveUp, peer: &PeerSeen) -> bool {
    let standing = peer.standing;
    let same_epoch = (standing.dataset, standing.epoch) == (ctx.path.dataset, ctx.path.epoch);
    let standby = peer.region == gave_up.to.region && standing.role == Role::Standby;
    same_epoch && standby && standing.handover.is_over(gave_up.number)
}
