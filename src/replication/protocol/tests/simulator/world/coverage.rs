//! What the worlds went through, so that a simulator that sees too little says so.

use std::collections::BTreeSet;

/// What the worlds went through.
#[derive(Default, Debug)]
pub struct Coverage {
    pub promotions: u32,
    pub repeated_promotions: u32,
    pub switchovers: u32,
    pub given_up: u32,
    pub taken_back: u32,
    pub declined: u32,
    pub promoted_itself: u32,
    pub fences: u32,
    pub proofs: u32,
    pub lost_writes: u32,
    pub ledgers: u32,
    pub kept_writes: u32,
    /// Entries of ledgers that were written elsewhere, that met newer ones, and that were asked for again.
    pub replayed: u32,
    pub conflicts: u32,
    pub replayed_again: u32,
    /// Primaries that were demoted: in rash worlds only.
    pub demoted: u32,
    pub follows: u32,
    pub whole: u32,
    pub equal_roots: u32,
    pub closed: u32,
    pub overrides: u32,
    pub confirmed: u32,
    pub remembered: u32,
    pub reasons: BTreeSet<&'static str>,
    pub diff_syncs: u32,
    /// Standbys that a verification found equal, and that it could not look at.
    pub verified: u32,
    pub unchecked: u32,
    /// Patches that put something, and that took something away.
    pub puts: u32,
    pub deletes: u32,
    /// Leaders that were lost in the middle of a diff sync.
    pub diff_leaders: u32,
    /// Writes while a standby is in the middle of one.
    pub diff_writes: u32,
}

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        self.promotions += other.promotions;
        self.repeated_promotions += other.repeated_promotions;
        self.switchovers += other.switchovers;
        self.given_up += other.given_up;
        self.taken_back += other.taken_back;
        self.declined += other.declined;
        self.promoted_itself += other.promoted_itself;
        self.fences += other.fences;
        self.proofs += other.proofs;
        self.lost_writes += other.lost_writes;
        self.ledgers += other.ledgers;
        self.kept_writes += other.kept_writes;
        self.replayed += other.replayed;
        self.conflicts += other.conflicts;
        self.replayed_again += other.replayed_again;
        self.demoted += other.demoted;
        self.follows += other.follows;
        self.whole += other.whole;
        self.equal_roots += other.equal_roots;
        self.closed += other.closed;
        self.overrides += other.overrides;
        self.confirmed += other.confirmed;
        self.remembered += other.remembered;
        self.reasons.extend(&other.reasons);
        self.diff_syncs += other.diff_syncs;
        self.verified += other.verified;
        self.unchecked += other.unchecked;
        self.puts += other.puts;
        self.deletes += other.deletes;
        self.diff_leaders += other.diff_leaders;
        self.diff_writes += other.diff_writes;
    }

    /// What never happened, though it should.
    pub fn missing(&self) -> Vec<&'static str> {
        let counts = [
            ("promotion", self.promotions),
            ("repeated promotion", self.repeated_promotions),
            ("switchover", self.switchovers),
            ("give-up", self.given_up),
            ("right taken back", self.taken_back),
            ("switchover declined", self.declined),
            ("region that gave up and was promoted again", self.promoted_itself),
            ("fence", self.fences),
            ("proof of a fence", self.proofs),
            ("lost write", self.lost_writes),
            ("ledger", self.ledgers),
            ("write in a ledger", self.kept_writes),
            ("write of a ledger that was replayed", self.replayed),
            ("conflict of a replay", self.conflicts),
            ("replay after a lost answer", self.replayed_again),
            ("new primary followed", self.follows),
            ("whole standby", self.whole),
            ("equal roots", self.equal_roots),
            ("closed region", self.closed),
            ("override", self.overrides),
            ("confirmation", self.confirmed),
            ("open region that was remembered", self.remembered),
            ("fourth reason to sync", self.reasons.len().saturating_sub(3) as u32),
            ("diff sync", self.diff_syncs),
            ("standby that was verified", self.verified),
            ("standby that could not be verified", self.unchecked),
            ("patch that puts", self.puts),
            ("patch that deletes", self.deletes),
            ("leader lost in a diff sync", self.diff_leaders),
            ("write during a diff sync", self.diff_writes),
            ("rejoin", self.reasons.iter().filter(|reason| reason.contains("rejoins")).count() as u32),
            ("standby that left its line", self.reasons.iter().filter(|reason| reason.contains("held")).count() as u32),
        ];
        counts.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}
