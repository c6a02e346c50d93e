//! Activation tokens: asked for, handed over, copied, written to a file, revoked.

use super::confirm::{Confirm, Consent};
use super::dialog::Dialog;
use super::form::TokenForm;
use super::model::Model;
use super::msg::{Change, Effect, SavedFile};
use super::targets::{self, target};
use crate::api::replication::Role;
use crate::clock::UnixMs;
use crate::console::domain::units::{bytes, clock_time, entries};
use crate::console::domain::{Reading, RegionView};

pub(super) fn generate_token(model: &mut Model) -> Vec<Effect> {
    if model.here.desk.held().is_some() {
        // The one that is here was not used yet: a second one would only be a second secret.
        model.dialogs.push(Dialog::Token);
        return Vec::new();
    }
    let Ok(region) = targets::token_region(model) else { return Vec::new() };
    let form = token_form(model, &region, None);
    model.dialogs.push(Dialog::Form(form));
    Vec::new()
}

fn token_form(model: &Model, standby: &RegionView<'_>, primary: Option<&RegionView<'_>>) -> TokenForm {
    let mut form = TokenForm::new(target(model, standby), primary.map(|primary| target(model, primary)), model.now);
    let own =
        standby.read(model.now).filter(|reading| reading.value.role != Role::Standby && reading.value.entries > 0);
    form.holds = own.map(|reading| {
        let status = reading.value;
        format!("{}, {} (as of {})", entries(status.entries), bytes(status.bytes), said_at(model, &reading))
    });
    let on = |region: &RegionView<'_>, what: &str| {
        let path = &model.here.path;
        format!("twinkeep replication {what} -address={} -replication-path={path}", region.api_address())
    };
    form.command = match primary {
        None => on(standby, "generate-token"),
        Some(primary) => format!("{}; {} TOKEN", on(standby, "generate-token"), on(primary, "connect")),
    };
    form
}

/// When that was, by the clock on top: a question stays while time goes on.
fn said_at<T>(model: &Model, reading: &Reading<'_, T>) -> String {
    clock_time(UnixMs(model.now.0.saturating_sub(reading.age.as_millis() as u64)))
}

pub(super) fn link(model: &mut Model) {
    let Ok(standby) = targets::token_region(model) else { return };
    let Ok(primary) = targets::primary_for(model, &standby.name) else { return };
    let form = token_form(model, &standby, Some(&primary));
    model.dialogs.push(Dialog::Form(form));
}

pub(super) fn copy_token(model: &mut Model) -> Vec<Effect> {
    let Some(held) = model.here.desk.held_mut() else { return Vec::new() };
    held.notice = Some("sent to the terminal, which may or may not put it into its clipboard; w writes a file".into());
    vec![Effect::Copy(held.token.clone())]
}

pub(super) fn save_token(model: &mut Model) -> Vec<Effect> {
    let Some(held) = model.here.desk.held() else { return Vec::new() };
    let (name, text) = (format!("activation-token-{}", held.accessor), held.token.clone());
    vec![Effect::Save(vec![SavedFile { name, text }])]
}

pub(super) fn hand_over(model: &mut Model) -> Vec<Effect> {
    let Some(held) = model.here.desk.held() else { return Vec::new() };
    let Ok(primary) = targets::primary_for(model, &held.region) else { return Vec::new() };
    let standby = model.here.world.regions().into_iter().find(|region| region.name == held.region);
    let mut lines =
        vec![format!("{} copies everything to {} and then keeps it up to date.", primary.name, held.region)];
    if let Some(reading) = standby.as_ref().and_then(|standby| standby.read(model.now)) {
        let status = reading.value;
        lines.push(if status.entries == 0 {
            format!("{} holds nothing (as of {}).", held.region, said_at(model, &reading))
        } else {
            format!(
                "What {} holds is replaced: {}, {} (as of {}).",
                held.region,
                entries(status.entries),
                bytes(status.bytes),
                said_at(model, &reading)
            )
        });
    }
    let confirm = Confirm {
        title: format!("Hand the token of {} to {}", held.region, primary.name),
        lines,
        // Whether secrets may be replaced was asked, by name, before the token was made.
        consent: Consent::yes("Hand over", model.now),
        command: format!(
            "twinkeep replication connect -address={} -replication-path={} TOKEN",
            primary.api_address(),
            model.here.path,
        ),
        target: target(model, &primary),
        change: Change::Connect { standby: held.region.clone(), token: held.token.clone() },
    };
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}

pub(super) fn revoke(model: &mut Model) -> Vec<Effect> {
    let Ok((region, token)) = targets::selected_token(model) else { return Vec::new() };
    let confirm = Confirm {
        title: format!("Revoke the token {} of {}", token.accessor, region.name),
        lines: vec!["Nobody can activate a link with it any more. A link that is already active stays.".into()],
        consent: Consent::yes("Revoke", model.now),
        command: format!(
            "twinkeep replication revoke-token -address={} -replication-path={} {}",
            region.api_address(),
            model.here.path,
            token.accessor
        ),
        target: target(model, &region),
        change: Change::RevokeToken { accessor: token.accessor },
    };
    model.dialogs.push(Dialog::Confirm(confirm));
    Vec::new()
}
