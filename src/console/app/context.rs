//! A context: regions that belong together, all that is known of them, and what is being done to them from here. The
//! index lists several; one of them is looked at.

use super::desk::TokenDesk;
use super::failover::VerifyDesk;
use super::history::{EventLog, Samples};
use super::promotion::{PromotionDesk, Sent};
use crate::api::ledger::LedgerPage;
use crate::api::replication::EventLevel;
use crate::clock::UnixMs;
use crate::console::domain::{Alarm, Gravity, Observed, Overall, PairView, RegionView, Standing, World, overall};
use std::collections::BTreeSet;

/// Contexts by their place in the contexts file, or on the command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ContextId(pub usize);

/// Whether this console may change anything here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteRight {
    /// Until it is armed.
    ReadOnly,
    Armed {
        until: UnixMs,
    },
    Write,
    /// The contexts file says that nothing is changed from here.
    Locked,
    /// What is in view has happened: nobody changes it.
    Past,
}

/// What a context starts with.
#[derive(Clone, Debug)]
pub struct ContextOptions {
    /// In the top line: `demo`, `prod`. Empty where there is one and nobody named it.
    pub name: String,
    /// The path that all this is about.
    pub path: String,
    /// Stays on top of every screen, as `PRODUCTION`.
    pub banner: Option<String>,
    /// Worn while this context is looked at.
    pub theme: Option<String>,
    pub addresses: Vec<String>,
    pub write: WriteRight,
    /// Why nobody is called here.
    pub mistake: Option<String>,
}

/// Copied only for frames of a recording, which hold no token.
#[derive(Clone, Debug)]
pub struct Context {
    pub id: ContextId,
    pub name: String,
    pub path: String,
    pub banner: Option<String>,
    pub theme: Option<String>,
    pub write: WriteRight,
    pub mistake: Option<String>,
    pub world: World,
    /// By name, since regions may come and their order is that of discovery. `None`: nobody chose.
    pub selected: Option<String>,
    pub desk: TokenDesk,
    pub promotion: Option<PromotionDesk>,
    /// The last whose outcome was read here: a region that goes on telling of it, since it can't know the end, leads back
    /// to no dialog that ended, and what was known here of it by then stays known.
    pub settled: Option<Box<Sent>>,
    pub verify: Option<VerifyDesk>,
    pub log: EventLog,
    pub samples: Samples,
    /// Of the region that has one, once its screen was looked at.
    pub ledger: Option<Observed<LedgerPage>>,
    pub ledger_asked_at: UnixMs,
    /// Entries of it that the next decision is about.
    pub marked: BTreeSet<String>,
}

impl Context {
    pub fn new(id: ContextId, options: ContextOptions) -> Context {
        Context {
            id,
            name: options.name,
            path: options.path,
            banner: options.banner,
            theme: options.theme,
            write: options.write,
            mistake: options.mistake,
            world: World::of_addresses(options.addresses.iter().map(String::as_str)),
            selected: None,
            desk: TokenDesk::Empty,
            promotion: None,
            settled: None,
            verify: None,
            log: EventLog::default(),
            samples: Samples::default(),
            ledger: None,
            ledger_asked_at: UnixMs(0),
            marked: BTreeSet::new(),
        }
    }

    /// What to call it where nobody named it: its regions.
    pub fn title(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let names: Vec<String> = self.world.regions().into_iter().map(|region| region.name).collect();
        names.join(", ")
    }

    /// The selected region's place among the regions: what was chosen, else the standby, else the second one.
    pub fn selected_index(&self, now: UnixMs) -> usize {
        let regions = self.world.regions();
        let chosen = self.selected.as_ref().and_then(|name| regions.iter().position(|region| region.name == *name));
        chosen.unwrap_or_else(|| {
            let pair = self.world.pair(1, now);
            let standby = pair.and_then(|pair| pair.standby().map(|region| region.name.clone()));
            let standby = standby.and_then(|name| regions.iter().position(|region| region.name == name));
            standby.unwrap_or(1).min(regions.len().saturating_sub(1))
        })
    }

    pub fn selected_region(&self, now: UnixMs) -> Option<RegionView<'_>> {
        let at = self.selected_index(now);
        self.world.regions().into_iter().nth(at)
    }

    pub fn pair(&self, now: UnixMs) -> Option<PairView<'_>> {
        self.world.pair(self.selected_index(now), now)
    }

    /// That it was not attached to, and why.
    fn mistaken(&self) -> Option<Alarm> {
        let text = format!("not attached: {}", self.mistake.as_ref()?);
        let (level, brief) = (EventLevel::Warn, "not attached".into());
        Some(Alarm { level, gravity: Gravity::Other, since: None, text, brief })
    }

    pub fn alarms(&self, now: UnixMs) -> Vec<Alarm> {
        if let Some(mistaken) = self.mistaken() {
            return vec![mistaken];
        }
        self.world.alarms(now)
    }

    pub fn overall(&self, now: UnixMs) -> Overall {
        if let Some(Alarm { text, .. }) = self.mistaken() {
            let (standing, gravity) = (Standing::Unknown, Gravity::Other);
            return Overall { standing, words: text, gravity, since: None, wrong: 1 };
        }
        overall(&self.world, self.pair(now).as_ref(), now)
    }
}
