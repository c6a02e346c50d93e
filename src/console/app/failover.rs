//! The failover's screen: from it a promotion is begun, verified, and what is left to do is done. Where one stands follows
//! from the servers' state, so that another terminal finds the same.

use super::confirm::{Confirm, Consent};
use super::context::WriteRight;
use super::dialog::Dialog;
use super::ledger::ask_why;
use super::model::{Model, Screen};
use super::msg::{Change, Effect, Failure, Query, Target};
use super::outcome::{self, Asked};
use super::promoting;
use super::promotion::{PromotionDesk, Stage, Standing, TOLD_EVERY};
use super::targets::{self, target};
use crate::api::ledger::DemoteRequest;
use crate::api::replication::{EventLevel, PromoteMode};
use crate::api::verification::{OwnDisk, Verification, VerifyOutcome};
use crate::clock::UnixMs;
use crate::console::domain::AnyAge;
use crate::console::domain::Observed;
use crate::console::domain::failover::Verified;
use crate::ids::PromotionId;
use std::time::Duration;

/// A verification that runs is asked about this often.
const VERIFY_ASK_EVERY: Duration = Duration::from_secs(1);

/// A verification of the standbys' disks: begun here, or at another terminal and told by the primary's status.
#[derive(Clone, Debug)]
pub struct VerifyDesk {
    pub target: Target,
    pub said: Option<Observed<Verification>>,
    /// Why its outcome is not known.
    pub doubt: Option<String>,
    pub asked_at: UnixMs,
    pub asking: bool,
}

impl VerifyDesk {
    /// What it found, in a word.
    pub fn found(&self) -> Verified {
        let Some(said) = self.said.as_ref().map(|said| said.last()) else { return Verified::Running };
        let fine = |outcome| matches!(outcome, VerifyOutcome::Equal | VerifyOutcome::Repaired);
        let damaged = matches!(said.own_disk, OwnDisk::Differs { .. } | OwnDisk::Unreadable { .. });
        match said.ended_at {
            None => Verified::Running,
            Some(_) if !damaged && !said.standbys.is_empty() && said.standbys.iter().all(|it| fine(it.outcome)) => {
                Verified::Equal
            }
            Some(_) if damaged || said.standbys.iter().any(|it| it.outcome == VerifyOutcome::Differs) => {
                Verified::Damaged
            }
            Some(_) => Verified::Unchecked,
        }
    }

    /// Takes in what the status tells, unless the same was asked for: an answer names what differed, a status does not.
    fn hear(&mut self, told: Observed<Verification>) {
        let ended = |said: &Observed<Verification>| said.last().ended_at;
        let known = self
            .said
            .as_ref()
            .is_some_and(|said| said.last().id == told.last().id && ended(said).is_some() == ended(&told).is_some());
        if !known || ended(&told).is_none() {
            self.said = Some(told);
            self.doubt = None;
        }
    }
}

pub(super) fn verify(model: &mut Model) {
    let Ok(primary) = targets::verifiable(model) else { return };
    let confirm = Confirm {
        title: format!("Verify the standbys of {}", primary.name),
        lines: vec![format!(
            "{} reads what each standby holds on its disks and compares it with its own. What differs is taken over from {} \
             again. Reading costs the disks some time.",
            primary.name, primary.name
        )],
        consent: Consent::yes("Verify", model.now),
        command: format!(
            "twinkeep replication verify -address={} -replication-path={}",
            primary.api_address(),
            model.here.path
        ),
        target: target(model, &primary),
        change: Change::Verify,
    };
    model.dialogs.push(Dialog::Confirm(confirm));
}

/// Notes that a verification is on its way.
pub(super) fn verifying(model: &mut Model, target: &Target) {
    let (target, asked_at) = (target.clone(), model.now);
    model.here.verify = Some(VerifyDesk { target, said: None, doubt: None, asked_at, asking: true });
    model.open(Screen::Failover);
}

/// The verification that a primary tells of: one that was begun at another terminal, or before this console was started, is
/// found by itself.
pub(super) fn take_told(model: &mut Model) {
    let regions = model.here.world.regions();
    let told = regions.iter().filter_map(|region| {
        let status = region.status?;
        let said = status.last();
        let verification = said.verification.as_deref()?.clone();
        let began_at = verification.began_at;
        let told = Observed::new(verification, status.at(), region.name.clone());
        Some((began_at, target(model, region), told))
    });
    let Some((_, target, told)) = told.max_by_key(|(began_at, ..)| *began_at) else { return };
    let (runs, asked_at) = (told.last().ended_at.is_none(), model.now);
    let before = model.here.verify.as_ref().filter(|desk| desk.target.region == target.region);
    let begun = before.and_then(|desk| desk.said.as_ref()).map(|said| (said.last().id.clone(), said.last().ended_at));
    match &mut model.here.verify {
        // What was asked for a moment ago is newer than what any status says of the one before.
        Some(desk) if desk.target.region == target.region && desk.said.is_none() && desk.asking => return,
        Some(desk) if desk.target.region == target.region => desk.hear(told.clone()),
        verify => {
            let (target, said) = (target.clone(), Some(told.clone()));
            *verify = Some(VerifyDesk { target, said, doubt: None, asked_at, asking: false });
        }
    }
    match begun {
        Some((id, _)) if id == told.last().id && runs => {}
        Some((id, None)) if id == told.last().id => say_ended(model, &target, told.last()),
        _ if runs => {
            let words = format!("the standbys of {} are being verified: 5 shows how far it is", target.region);
            model.toast(EventLevel::Info, words);
        }
        _ => {}
    }
}

fn say_ended(model: &mut Model, target: &Target, verification: &Verification) {
    let standbys = verification.standbys.iter();
    let words: Vec<String> =
        standbys.map(|standby| format!("{} {}", standby.name, outcome_word(standby.outcome))).collect();
    let words = format!("verified: {}", words.join(", "));
    outcome::settle(model, target, Asked::Verify, Standing::Done, words.clone());
    model.toast(EventLevel::Info, words);
}

pub(super) fn verified(model: &mut Model, target: &Target, result: Result<Verification, Failure>) {
    let now = model.now;
    let Some(desk) = model.here.verify.as_mut().filter(|desk| desk.target.region == target.region) else { return };
    desk.asking = false;
    match result {
        Ok(verification) => {
            let news =
                verification.ended_at.is_some() && desk.said.as_ref().is_none_or(|said| said.last().ended_at.is_none());
            desk.doubt = None;
            desk.said = Some(Observed::new(verification.clone(), now, target.region.clone()));
            if news {
                say_ended(model, target, &verification);
            }
        }
        Err(failure) => {
            desk.doubt = Some(failure.words.clone());
            if desk.said.is_none() {
                outcome::ended(model, target, Asked::Verify, Err(failure));
            }
        }
    }
}

pub fn outcome_word(outcome: VerifyOutcome) -> &'static str {
    match outcome {
        VerifyOutcome::Waiting => "waits",
        VerifyOutcome::Running => "is read",
        VerifyOutcome::Equal => "is equal",
        VerifyOutcome::Repaired => "was repaired",
        VerifyOutcome::Differs => "DIFFERS",
        VerifyOutcome::Unchecked => "was not checked",
    }
}

/// Asks about a verification that runs.
pub(super) fn ask_verification(model: &mut Model) -> Vec<Effect> {
    let now = model.now;
    let Some(desk) = &mut model.here.verify else { return Vec::new() };
    let Some(said) = &desk.said else { return Vec::new() };
    // What the primary's status says every second needs no question.
    let due = !desk.asking && now.since(desk.asked_at) >= VERIFY_ASK_EVERY && now.since(said.at()) >= TOLD_EVERY;
    if said.last().ended_at.is_some() || !due {
        return Vec::new();
    }
    (desk.asking, desk.asked_at) = (true, now);
    vec![Effect::Ask(desk.target.clone(), Query::Verification(said.last().id.clone()))]
}

/// Of two primaries the one that is to give way stops being it.
pub(super) fn fence(model: &mut Model, reason: Option<String>) {
    let Some(reason) = reason else { return ask_why(model, "fence", None) };
    let Ok(region) = targets::fenceable(model) else { return };
    let name = &region.name;
    let confirm = Confirm {
        title: format!("Fence {name}"),
        lines: vec![
            format!(
                "{name} durably stops being primary: it takes no more writes, and becomes a standby when it meets the other."
            ),
            "What only it has goes into its ledger; nothing is dropped.".into(),
        ],
        consent: Consent::named("Fence", name, model.now),
        command: format!(
            "twinkeep replication demote -reason={reason:?} -address={} -replication-path={}",
            region.api_address(),
            model.here.path
        ),
        target: target(model, &region),
        change: Change::Fence(DemoteRequest { reason }),
    };
    model.dialogs.push(Dialog::Confirm(confirm));
}

pub(super) fn promote(model: &mut Model) -> Vec<Effect> {
    model.open(Screen::Failover);
    // What was decided on then is looked at; nobody is asked for another plan.
    if model.here.write == WriteRight::Past {
        if model.here.promotion.is_some() {
            model.dialogs.push(Dialog::Promotion);
        }
        return Vec::new();
    }
    let unsettled = model.here.promotion.as_ref().is_some_and(|desk| match &desk.stage {
        Stage::Sent(sent) => !sent.is_settled(),
        _ => false,
    });
    if unsettled {
        model.dialogs.push(Dialog::Promotion);
        return Vec::new();
    }
    let is_settled = |id| model.here.settled.as_ref().is_some_and(|sent| sent.id == id);
    // One that was begun at another terminal: what the regions say of it leads back to it.
    if let Some((asker, id)) = targets::handover_under_way(model).filter(|(_, id)| !is_settled(*id)) {
        let target = target(model, &asker);
        return promoting::look_after(model, target, id);
    }
    let Ok(region) = targets::promotable(model) else {
        // A finished one can still be looked at.
        model.dialogs.push(Dialog::Promotion);
        return Vec::new();
    };
    let target: Target = target(model, &region);
    // A primary that answers is switched over; one that does not is failed over. The other way is a key away.
    let alive = model.pair().as_ref().and_then(|pair| pair.primary()).is_some_and(|primary| !primary.is_dark());
    let mode = if alive { PromoteMode::Planned } else { PromoteMode::Forced };
    model.here.promotion = Some(PromotionDesk {
        target: target.clone(),
        scroll: super::scroll::Scroll::default(),
        mode,
        stage: Stage::Planning { notice: None },
    });
    model.dialogs.push(Dialog::Promotion);
    vec![Effect::Ask(target, Query::Plan(mode))]
}

pub(super) fn find_promotion(model: &mut Model, argument: Option<String>) -> Vec<Effect> {
    match argument.as_deref().map(str::parse::<PromotionId>) {
        Some(Ok(id)) => promoting::find(model, id),
        Some(Err(_)) => {
            model.hint(EventLevel::Warn, "promotion: an id has 32 hexadecimal digits, as the cockpit shows it");
            Vec::new()
        }
        None if model.here.promotion.is_some() => {
            model.open(Screen::Failover);
            model.dialogs.push(Dialog::Promotion);
            Vec::new()
        }
        None => {
            model.hint(EventLevel::Info, "no region tells of a promotion; `:promotion ID` asks for one");
            Vec::new()
        }
    }
}
