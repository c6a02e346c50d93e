//! One secret of KV version 2, with its versions and settings.
//!
//! The API numbers versions itself, from 1. To come to the source's numbers, a version without data, `{}`, is written
//! for each one whose data can't be read there, and destroyed once all are written: what was pruned at the source is pruned
//! here by keeping as many versions as the source has, what was deleted there is deleted and destroyed here.
//!
//! While that is going on, the secret's custom metadata say so ([`MARK`]) and tell the first version that this import wrote,
//! so that an interrupted one is finished by the next, and settings that it changed on the way are not taken for somebody's.

use super::mounts::{Place, Presence};
use super::report::Copied;
use super::trouble::Trouble;
use super::{Mode, Sides};
use crate::api::kv::{Metadata, MetadataRequest, VersionState};
use crate::client::KvText;
use crate::clock;
use crate::sensitive::SensitiveString;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MARK: &str = "twinkeep-import-unfinished-since-version";
/// So many versions that no longer are there are written for one secret, and no more: each costs a write.
const PLACEHOLDERS_MAX: u64 = 20_000;
const PLACEHOLDER: &str = "{}";
/// What Vault keeps where nobody said.
const VERSIONS_KEPT: u64 = 10;

pub async fn copy(sides: &Sides, place: &Place, path: &str) -> Result<Copied, Trouble> {
    let Some(theirs) = sides.source.kv_metadata(&place.path, path).await? else { return Ok(Copied::Vanished) };
    let ours = match place.presence {
        Presence::There => sides.here.kv_metadata(&place.path, path).await?,
        Presence::Planned => None,
    };
    let (is_new, ours) = (ours.is_none(), ours.unwrap_or_default());
    let secret = Secret { sides, place, path };
    secret.compare(&theirs, &ours).await?;
    let plan = Plan::new(&theirs, &ours, is_new, place.max_versions)?;
    if plan.is_done() {
        return Ok(Copied::Equal);
    }
    if sides.mode == Mode::Copy {
        secret.carry_out(&plan, &theirs).await?;
    }
    let markers = plan.markers.len() as u64;
    let versions = plan.to_write.clone().count() as u64 - plan.without_data;
    Ok(Copied::Written { versions, markers })
}

/// What is to be done to a secret here.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    to_write: std::ops::RangeInclusive<u64>,
    /// How many of them have no data to be had.
    without_data: u64,
    /// Versions that are to be destroyed here in the end, as their data is not to be had.
    markers: Vec<u64>,
    /// How many versions are to be kept while they are written.
    keep: u64,
    /// The first version that this import wrote, where it has to be written down.
    mark: Option<u64>,
    /// Whether the settings are to be written in the end.
    settings: bool,
}

impl Plan {
    fn new(theirs: &Metadata, ours: &Metadata, is_new: bool, mount_keeps: u64) -> Result<Plan, Trouble> {
        let (reached, goal) = (ours.current_version, theirs.current_version);
        if reached > goal {
            return Err(Trouble::Conflict(format!("it has version {reached} here, and {goal} at the source")));
        }
        let began = unfinished(ours);
        let differ = settings(theirs) != settings(ours);
        if differ && began.is_none() && settings(ours) != settings(&Metadata::default()) {
            return Err(Trouble::Conflict("its settings or custom metadata are others here".into()));
        }
        let since = began.unwrap_or(reached + 1);
        let oldest = theirs.versions.keys().next().copied().unwrap_or(goal + 1);
        let to_write = reached + 1..=goal;
        let pruned = |version: &u64| !theirs.versions.contains_key(version);
        let placeholders = to_write.clone().filter(pruned).count() as u64;
        if placeholders > PLACEHOLDERS_MAX {
            return Err(Trouble::Refused(format!(
                "{placeholders} versions before version {oldest} are no longer there, and more than {PLACEHOLDERS_MAX} \
                 are not made up for"
            )));
        }
        let gone = |version: &u64| theirs.versions.get(version).is_none_or(is_gone_now);
        // Versions of an earlier run that were written, and not destroyed yet.
        let markers: Vec<u64> = (since..=goal).filter(gone).collect();
        let without_data = to_write.clone().filter(gone).count() as u64;
        let needed = (goal + 1).saturating_sub(oldest).max(1);
        let kept = match theirs.max_versions.max(mount_keeps) {
            0 => VERSIONS_KEPT,
            kept => kept,
        };
        let ends_later =
            |version: &u64| theirs.versions.get(version).is_some_and(|state| !state.deletion_time.is_empty());
        let marked = began.is_some()
            || (!to_write.is_empty()
                && (!markers.is_empty() || needed > kept || to_write.clone().any(|v| ends_later(&v))));
        let metadata_only = is_new && goal == 0;
        Ok(Plan {
            to_write,
            without_data,
            markers: if marked { markers } else { Vec::new() },
            keep: if placeholders > 0 || needed > kept { needed } else { theirs.max_versions },
            mark: marked.then_some(since),
            settings: differ || marked || metadata_only,
        })
    }

    fn is_done(&self) -> bool {
        self.to_write.is_empty() && self.mark.is_none() && !self.settings
    }
}

/// Whether a version's data was to be had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Had,
    Gone,
}

struct Secret<'a> {
    sides: &'a Sides,
    place: &'a Place,
    path: &'a str,
}

impl Secret<'_> {
    /// Whether all versions that both have are the same.
    async fn compare(&self, theirs: &Metadata, ours: &Metadata) -> Result<(), Trouble> {
        let began = unfinished(ours);
        for version in ours.versions.keys().filter(|version| theirs.versions.contains_key(version)) {
            let there = self.sides.source.kv_text(&self.place.path, self.path, *version).await?;
            let here = self.sides.here.kv_text(&self.place.path, self.path, *version).await?;
            let ends = theirs.versions.get(version).is_some_and(|state| !state.deletion_time.is_empty());
            let differs = match (&there, &here) {
                (KvText::Live(there), KvText::Live(here)) if same(there, here) => continue,
                (KvText::Live(_), KvText::Live(_)) => "other data here",
                // An earlier run did not come to destroy it.
                (_, KvText::Live(here)) if began.is_some() && here.expose() == PLACEHOLDER => continue,
                (_, KvText::Live(_)) => "been deleted or destroyed at the source, and not here",
                // It may end here a moment sooner.
                (KvText::Live(_), _) if ends => continue,
                (KvText::Live(_), _) => "been deleted or destroyed here, and not at the source",
                _ => continue,
            };
            return Err(Trouble::Conflict(format!("version {version} has {differs}")));
        }
        Ok(())
    }

    async fn carry_out(&self, plan: &Plan, theirs: &Metadata) -> Result<(), Trouble> {
        let (here, mount) = (&self.sides.here, &self.place.path);
        if let Some(since) = plan.mark {
            let request = MetadataRequest {
                custom_metadata: Some([(MARK.to_owned(), since.to_string())].into()),
                max_versions: Some(plan.keep.into()),
                delete_version_after: Some(json!(0)),
                ..MetadataRequest::default()
            };
            self.put_settings(request).await?;
        }
        let mut markers = plan.markers.clone();
        for version in plan.to_write.clone() {
            let had = self.write(version, theirs.versions.get(&version)).await?;
            // It was deleted since the look at it.
            if had == Data::Gone && !markers.contains(&version) {
                markers.push(version);
            }
        }
        if !markers.is_empty() {
            let deleted =
                |version: &u64| theirs.versions.get(version).is_some_and(|state| !state.deletion_time.is_empty());
            let deleted: Vec<u64> = markers.iter().copied().filter(deleted).collect();
            // Of a destroyed version it can't be said any more that it was deleted.
            if !deleted.is_empty() {
                here.kv_delete_versions(mount, self.path, &deleted).await?;
            }
            here.kv_destroy(mount, self.path, &markers).await?;
        }
        if plan.settings {
            self.put_settings(request(theirs)).await?;
        }
        Ok(())
    }

    async fn write(&self, version: u64, state: Option<&VersionState>) -> Result<Data, Trouble> {
        let (here, mount) = (&self.sides.here, &self.place.path);
        let text = match state {
            Some(state) if !state.destroyed => self.sides.source.kv_text(mount, self.path, version).await?,
            Some(_) | None => KvText::Gone,
        };
        let KvText::Live(data) = text else {
            here.kv_put_text(mount, self.path, &SensitiveString::new(PLACEHOLDER), version - 1).await?;
            return Ok(Data::Gone);
        };
        let ends_in = state.and_then(|state| seconds_until(&state.deletion_time));
        if let Some(seconds) = ends_in {
            self.set_lifetime(seconds).await?;
        }
        let written = here.kv_put_text(mount, self.path, &data, version - 1).await?;
        match ends_in {
            Some(_) => self.set_lifetime(0).await?,
            // The mount here would have it end.
            None if !written.deletion_time.is_empty() => here.kv_undelete(mount, self.path, &[version]).await?,
            None => {}
        }
        Ok(Data::Had)
    }

    /// Of versions that are written from now on; 0: what the mount says.
    async fn set_lifetime(&self, seconds: u64) -> Result<(), Trouble> {
        let request = MetadataRequest { delete_version_after: Some(seconds.into()), ..MetadataRequest::default() };
        self.put_settings(request).await
    }

    /// Over those that are there now, whether or not the mount wants that to be said.
    async fn put_settings(&self, request: MetadataRequest) -> Result<(), Trouble> {
        let (here, mount) = (&self.sides.here, &self.place.path);
        let written = here.kv_metadata(mount, self.path).await?.map_or(0, |now| now.current_metadata_version);
        let request = MetadataRequest { metadata_cas: Some(written.into()), ..request };
        Ok(here.kv_put_metadata(mount, self.path, &request).await?)
    }
}

/// Whether two texts are one JSON object. Numbers that JSON's usual form may round are only equal as they are written.
pub fn same(one: &SensitiveString, two: &SensitiveString) -> bool {
    let parsed = |text: &SensitiveString| serde_json::from_str::<Value>(text.expose()).ok();
    one.expose() == two.expose()
        || match (parsed(one), parsed(two)) {
            (Some(one), Some(two)) => one == two && !may_be_rounded(&one),
            _ => false,
        }
}

fn may_be_rounded(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(may_be_rounded),
        Value::Object(fields) => fields.values().any(may_be_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn unfinished(ours: &Metadata) -> Option<u64> {
    ours.custom_metadata.as_ref()?.get(MARK)?.parse().ok()
}

/// What a secret says beside its versions, in one form for each meaning.
#[derive(PartialEq, Eq)]
struct Settings {
    cas_required: bool,
    metadata_cas_required: bool,
    max_versions: u64,
    delete_version_after: String,
    custom_metadata: BTreeMap<String, String>,
}

fn settings(of: &Metadata) -> Settings {
    let after = match of.delete_version_after.as_str() {
        "" => "0s",
        after => after,
    };
    Settings {
        cas_required: of.cas_required,
        metadata_cas_required: of.metadata_cas_required,
        max_versions: of.max_versions,
        delete_version_after: after.to_owned(),
        custom_metadata: of.custom_metadata.clone().unwrap_or_default(),
    }
}

fn request(theirs: &Metadata) -> MetadataRequest {
    let settings = settings(theirs);
    MetadataRequest {
        cas_required: Some(settings.cas_required.into()),
        metadata_cas_required: Some(settings.metadata_cas_required.into()),
        custom_metadata: Some(settings.custom_metadata),
        delete_version_after: Some(settings.delete_version_after.into()),
        max_versions: Some(settings.max_versions.into()),
        metadata_cas: None,
    }
}

fn is_gone_now(state: &VersionState) -> bool {
    state.destroyed || (!state.deletion_time.is_empty() && seconds_until(&state.deletion_time).is_none())
}

/// `None` of a time that is past, and of what is no time.
fn seconds_until(time: &str) -> Option<u64> {
    let ends: jiff::Timestamp = time.parse().ok()?;
    let left = u64::try_from(ends.as_millisecond()).ok()?.checked_sub(clock::now().0)?;
    (left > 0).then(|| left.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(range: std::ops::RangeInclusive<u64>) -> Metadata {
        let current_version = *range.end();
        Metadata {
            current_version,
            versions: range.map(|v| (v, VersionState::default())).collect(),
            ..Metadata::default()
        }
    }

    fn plan(theirs: &Metadata, ours: Option<&Metadata>) -> Result<Plan, Trouble> {
        Plan::new(theirs, ours.unwrap_or(&Metadata::default()), ours.is_none(), 0)
    }

    #[test]
    fn a_secret_with_all_its_versions_needs_no_mark() {
        let plan = plan(&versions(1..=3), None).expect("a plan");
        assert_eq!((plan.to_write, plan.mark, plan.settings), (1..=3, None, false));
    }

    #[test]
    fn what_was_pruned_or_destroyed_is_made_up_for_and_destroyed() {
        let mut theirs = versions(6..=15);
        theirs.versions.get_mut(&7).expect("version 7").destroyed = true;
        let plan = plan(&theirs, None).expect("a plan");
        assert_eq!((plan.to_write, plan.without_data, plan.keep, plan.mark), (1..=15, 6, 10, Some(1)));
        assert_eq!(plan.markers, [1, 2, 3, 4, 5, 7]);
    }

    #[test]
    fn an_interrupted_secret_is_finished_from_where_it_began() {
        let mut theirs = versions(1..=4);
        theirs.versions.get_mut(&2).expect("version 2").destroyed = true;
        let mut ours = versions(1..=3);
        ours.custom_metadata = Some([(MARK.to_owned(), "1".to_owned())].into());
        let plan = plan(&theirs, Some(&ours)).expect("a plan");
        assert_eq!((plan.to_write, plan.markers, plan.mark, plan.settings), (4..=4, vec![2], Some(1), true));
    }

    #[test]
    fn what_is_here_and_newer_or_set_otherwise_is_a_conflict() {
        assert!(matches!(plan(&versions(1..=3), Some(&versions(1..=4))), Err(Trouble::Conflict(_))));
        let ours = Metadata { max_versions: 7, ..versions(1..=3) };
        assert!(matches!(plan(&versions(1..=3), Some(&ours)), Err(Trouble::Conflict(_))));
        assert!(plan(&versions(1..=3), Some(&versions(1..=3))).expect("a plan").is_done());
    }

    #[test]
    fn a_secret_whose_beginning_lies_too_far_back_is_refused() {
        let far = PLACEHOLDERS_MAX + 2;
        assert!(matches!(plan(&versions(far..=far), None), Err(Trouble::Refused(_))));
    }

    #[test]
    fn a_rounded_number_is_not_taken_for_equal() {
        let text = SensitiveString::new;
        assert!(same(&text(r#"{"a":1,"b":2}"#), &text(r#"{"b":2, "a":1}"#)));
        assert!(same(&text(r#"{"a":1.5}"#), &text(r#"{"a":1.5}"#)));
        assert!(!same(&text(r#"{"a":12345678901234567890123}"#), &text(r#"{"a":12345678901234567890124}"#)));
    }
}
