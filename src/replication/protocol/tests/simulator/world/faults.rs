//! What goes wrong, and when it stops.

use super::schedule::Event;
use super::{CHECK_EVERY_MS, World};
use crate::replication::protocol::tests::simulator::invariants::Seen;
use crate::replication::protocol::{Input, OpenedBy};
use rand::Rng;

impl World {
    pub(super) fn some_fault(&mut self) -> Result<(), String> {
        let count = self.regions.len();
        let (one, other) = (self.chance.gen_range(0..count), self.chance.gen_range(0..count));
        let lasts = self.chance.gen_range(100..6_000);
        match self.chance.gen_range(0..6) {
            0 => {
                self.note(format!("{} changes its leader", self.regions[one].name));
                self.lose_leader(one)?;
                self.schedule(lasts / 4, Event::Lead { region: one });
            }
            1 => {
                self.note(format!("{} goes down", self.regions[one].name));
                self.lose_leader(one)?;
                self.regions[one].down = true;
                self.schedule(lasts, Event::Lead { region: one });
            }
            2 => {
                let skew_ms = self.chance.gen_range(0..60_000);
                self.note(format!("the clock of {} jumps to {skew_ms} ahead", self.regions[one].name));
                self.regions[one].skew_ms = skew_ms;
            }
            3 | 4 if one != other => {
                let both = self.chance.gen_bool(0.6);
                self.note(format!("cut from {one} to {other}{}", if both { " and back" } else { "" }));
                self.network.cut(one, other);
                self.schedule(lasts, Event::Mend { from: one, to: other });
                if both {
                    self.network.cut(other, one);
                    self.schedule(lasts, Event::Mend { from: other, to: one });
                }
            }
            _ if !self.regions[one].peers.is_empty() => {
                let peer = self.chance.gen_range(0..self.regions[one].peers.len());
                self.regions[one].peers[peer].paused = true;
                self.tell_peers(one)?;
                self.schedule(lasts, Event::Resume { region: one, peer });
            }
            _ => {}
        }
        Ok(())
    }

    /// Of what the leader proposed, some prefix made it to a majority.
    pub(super) fn lose_leader(&mut self, index: usize) -> Result<(), String> {
        self.coverage.diff_leaders += u32::from(self.regions[index].is_patched());
        self.regions[index].core = None;
        self.regions[index].term += 1;
        let made_it = self.chance.gen_range(0..=self.regions[index].log.len());
        self.regions[index].log.truncate(made_it);
        for _ in 0..made_it {
            self.agree(index)?;
        }
        Ok(())
    }

    pub(super) fn lead(&mut self, index: usize) -> Result<(), String> {
        let restarts = std::mem::take(&mut self.regions[index].down);
        self.regions[index].log.clear();
        if restarts {
            self.regions[index].saw_open = None;
            self.see(index, &Seen::Restarted)?;
            if self.fault(30) {
                let after = self.chance.gen_range(0..3_000);
                self.schedule(after, Event::Override { region: index });
            }
        }
        // The new leader may be a node that has just started, to which another tells later what it saw.
        let forgetful = self.fault(20);
        self.regions[index].lead(self.now, forgetful, self.mutation);
        if forgetful {
            let after = self.chance.gen_range(0..2_000);
            let term = self.regions[index].term;
            self.schedule(after, Event::Remember { region: index, term });
        }
        self.tell_peers(index)
    }

    pub(super) fn remember(&mut self, index: usize) -> Result<(), String> {
        let Some((dataset, epoch)) = self.regions[index].saw_open else { return Ok(()) };
        self.step(index, Input::Open { dataset, epoch, by: OpenedBy::Remembered })
    }

    pub(super) fn calm(&mut self) -> Result<(), String> {
        self.note("the faults are over".into());
        self.network.heal();
        for index in 0..self.regions.len() {
            self.regions[index].peers.iter_mut().for_each(|peer| peer.paused = false);
            if self.regions[index].core.is_none() {
                self.lead(index)?;
            }
            self.tell_peers(index)?;
        }
        self.schedule(CHECK_EVERY_MS, Event::Check);
        Ok(())
    }
}
