//! What the halves of the core share: the moment, the durable facts, the peers, and the effects of this step.

use super::handover::Words;
use super::interface::*;
use super::message::*;
use crate::ids::{RegionId, SyncId};
use crate::state::{Command, KnownPrimary, PathState};
use std::collections::BTreeMap;

pub(super) struct Context {
    pub options: Options,
    /// When this core was made.
    pub started: Now,
    pub now: Now,
    pub path: PathState,
    pub peers: Vec<Peer>,
    pub adopts: Option<Adoption>,
    /// What is said of handovers to those who ask for one.
    pub words: BTreeMap<RegionId, Words>,
    /// What this step did so far.
    pub effects: Vec<Effect>,
    /// The newest of the numbers that name calls, proposals and reads.
    numbered: u64,
    drawn: u64,
    #[cfg(test)]
    pub mutation: Option<Mutation>,
}

/// A deliberate mistake. The simulator must catch each: that it does shows that its invariants can see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutation {
    /// Every epoch counts as one's own.
    IgnoreEpochs,
    /// The standby answers an append before its region agreed on it.
    ReplyBeforeApplied,
    /// A region that hears of a higher epoch answers without fencing itself.
    ForgetFence,
    /// A region that restarted takes writes at once.
    ForgetRestartRule,
    /// A standby in a diff sync keeps what the primary no longer has.
    ForgetGone,
    /// A region leaves its line though its ledger does not keep what only it holds, and its operator said nothing.
    ForgetLedger,
    /// A standby opens what it asked for before it heard that the primary gave up.
    OpenUnheard,
    /// A primary takes back what it gave up before it heard that the standby asks no more.
    TakeBackUnheard,
}

impl Context {
    pub fn new(options: Options, now: Now, path: PathState) -> Context {
        Context {
            options,
            started: now,
            now,
            path,
            peers: Vec::new(),
            adopts: None,
            words: BTreeMap::new(),
            effects: Vec::new(),
            numbered: 0,
            drawn: 0,
            #[cfg(test)]
            mutation: None,
        }
    }

    pub fn peer(&self, region: RegionId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.region == region)
    }

    /// A peer in the words of the path's record, with what its introduction says if there is one.
    pub fn known_primary(&self, region: RegionId, identity: Option<&Identity>) -> KnownPrimary {
        let of_identity =
            |it: &Identity| KnownPrimary { region, name: it.name.clone(), addresses: it.addresses.clone() };
        let of_peer = |it: &Peer| KnownPrimary { region, name: it.name.clone(), addresses: it.addresses.clone() };
        let unknown = || KnownPrimary { region, name: region.to_string(), addresses: Vec::new() };
        identity.map(of_identity).or_else(|| self.peer(region).map(of_peer)).unwrap_or_else(unknown)
    }

    /// Who is primary as far as this region knows, itself included.
    pub fn present_primary(&self) -> Option<KnownPrimary> {
        if self.path.role == crate::state::Role::Primary {
            let me = &self.options.identity;
            return Some(self.known_primary(me.region, Some(me)));
        }
        self.path.primary.clone()
    }

    pub fn report(&mut self, fact: Fact) {
        self.effects.push(Effect::Report(fact));
    }

    pub fn reply(&mut self, id: RequestId, want: Want) {
        let standing = Standing::of(&self.options.identity, &self.path, self.now.wall);
        self.effects.push(Effect::Reply { id, answer: Answer { standing, want } });
    }

    pub fn propose(&mut self, command: Command) -> ProposalId {
        let id = ProposalId(self.number());
        self.effects.push(Effect::Propose { id, command });
        id
    }

    /// What a request says of this region now.
    pub fn header(&self) -> Header {
        Header {
            dataset: self.path.dataset,
            epoch: self.path.epoch,
            head: self.path.applied,
            head_at: self.path.applied_at,
            totals: self.path.totals,
            sent_at: self.now.wall,
            handover: None,
        }
    }

    pub fn send(&mut self, to: RegionId, ask: Ask) -> CallId {
        let call = CallId(self.number());
        let handover = self.words.get(&to).map(|words| Box::new(words.said(self.now)));
        let header = Header { handover, ..self.header() };
        let deadline_ms = self.options.timing.request_deadline_ms;
        self.effects.push(Effect::Send { call, to, request: Request { header, ask }, deadline_ms });
        call
    }

    /// A number that no other call, proposal or read of this core has.
    pub fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    pub fn sync_id(&mut self) -> SyncId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.draw()[..16]);
        SyncId(id)
    }

    /// A number that no other core comes up with.
    pub fn draw_u64(&mut self) -> u64 {
        let draw = self.draw();
        draw.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Between `ms` and one and a half of it, so that links that were lost together are not dialled together.
    pub fn jittered(&mut self, ms: u64) -> u64 {
        let draw = self.draw();
        ms + u64::from(u16::from_be_bytes([draw[0], draw[1]])) * (ms / 2) / u64::from(u16::MAX)
    }

    /// Steady time after a pause from now.
    pub fn after(&self, ms: u64) -> u64 {
        self.now.steady_ms + ms
    }

    pub fn is_due(&self, at: u64) -> bool {
        self.now.steady_ms >= at
    }

    #[cfg(test)]
    pub fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    #[cfg(not(test))]
    pub fn mutated(&self, _: Mutation) -> bool {
        false
    }

    /// The next draw from the seed: the core's only source of chance.
    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        *blake3::keyed_hash(&self.options.seed, &self.drawn.to_be_bytes()).as_bytes()
    }
}
