//! Where secrets go: KV mounts of the source, made here where they are not.

use super::report::{MountReport, MountState, Report};
use super::trouble::{Trouble, patiently};
use super::{Mode, Sides};
use crate::api::kv::{Config, ConfigRequest};
use crate::api::mounts::{Mount, MountConfig, Mounts};
use crate::client::Logical;
use serde_json::json;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// KV version 1.
    Plain,
    Versioned,
}

/// Whether a mount is here, or would be made if this were no dry run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    There,
    Planned,
}

/// A mount, at the same path on both sides.
pub struct Place {
    /// Without a slash at its end.
    pub path: String,
    pub kind: Kind,
    pub presence: Presence,
    /// What the mount here says of how many versions are kept; 0: nothing.
    pub max_versions: u64,
}

/// KV, and of which version.
pub fn kind(mount: &Mount) -> Option<Kind> {
    let version = mount.options.as_ref().and_then(|options| options.get("version"));
    match (mount.kind.as_str(), version.map(String::as_str)) {
        ("kv", Some("2")) => Some(Kind::Versioned),
        ("kv" | "generic", _) => Some(Kind::Plain),
        _ => None,
    }
}

/// The KV mounts that were asked for: all, or those that were named.
pub fn chosen(theirs: &Mounts, named: &[String], report: &mut Report) -> Vec<(String, Mount)> {
    let wanted: Vec<String> = named.iter().map(|name| format!("{}/", name.trim_matches('/'))).collect();
    for name in &wanted {
        if theirs.get(name).is_none_or(|mount| kind(mount).is_none()) {
            report.fail(name, &Trouble::Refused("the source has no KV mount there".into()));
        }
    }
    let chosen = |path: &String| wanted.is_empty() || wanted.contains(path);
    let found = theirs.iter().filter(|(path, mount)| kind(mount).is_some() && chosen(path));
    found.map(|(path, mount)| (path.clone(), mount.clone())).collect()
}

/// The mount here; made, if it is not there. `None`: something else is, and the report says so.
pub async fn prepare(
    sides: &Sides,
    path: &str,
    theirs: &Mount,
    ours: Option<&Mount>,
    report: &mut Report,
) -> Result<Option<Place>, Trouble> {
    let Some(kind) = kind(theirs) else { return Ok(None) };
    let name = path.trim_end_matches('/').to_owned();
    let (presence, state) = match ours {
        Some(ours) if self::kind(ours) == Some(kind) => {
            if tuning(ours) != tuning(theirs) {
                report.leave(path, "its description or settings, which are others here");
            }
            (Presence::There, MountState::There)
        }
        Some(_) => {
            report.fail(path, &Trouble::Conflict("another engine, or another version of KV, is mounted here".into()));
            return Ok(None);
        }
        None if sides.mode == Mode::DryRun => (Presence::Planned, MountState::Made),
        None => match patiently(async || make(sides, &name, theirs).await).await {
            Ok(()) => (Presence::There, MountState::Made),
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
            Err(trouble) => {
                report.fail(path, &trouble);
                return Ok(None);
            }
        },
    };
    for (is_set, what) in [(theirs.local, "`local`: here it is replicated"), (theirs.seal_wrap, "`seal_wrap`")] {
        if is_set {
            report.leave(path, what);
        }
    }
    let max_versions = match (kind, presence) {
        (Kind::Versioned, Presence::There) => {
            patiently(async || Ok(sides.here.kv_config(&name).await?)).await?.max_versions
        }
        _ => 0,
    };
    let version = if kind == Kind::Versioned { 2 } else { 1 };
    report.mounts.push(MountReport::new(path, version, state));
    Ok(Some(Place { path: name, kind, presence, max_versions }))
}

fn tuning(mount: &Mount) -> (&str, &MountConfig) {
    (&mount.description, &mount.config)
}

async fn make(sides: &Sides, name: &str, theirs: &Mount) -> Result<(), Trouble> {
    // An earlier attempt's answer may have been lost.
    if sides.here.mounts().await?.contains_key(&format!("{name}/")) {
        return Ok(());
    }
    let mut config = json!(theirs.config);
    for (name, seconds) in
        [("default_lease_ttl", theirs.config.default_lease_ttl), ("max_lease_ttl", theirs.config.max_lease_ttl)]
    {
        config[name] = json!(format!("{seconds}s"));
    }
    let body = json!({
        "type": "kv",
        "description": theirs.description,
        "options": theirs.options,
        "config": config,
    });
    sides.here.logical(&format!("sys/mounts/{name}"), &[], Logical::Write(body), None).await?;
    Ok(())
}

/// The settings of all secrets of a mount come last: before, they would count for the versions that are written.
pub async fn configure(sides: &Sides, place: &Place, report: &mut Report) -> Result<(), Trouble> {
    if place.kind == Kind::Plain {
        return Ok(());
    }
    let done = patiently(async || {
        let theirs = normal(sides.source.kv_config(&place.path).await?);
        if place.presence == Presence::Planned {
            return Ok(());
        }
        let ours = normal(sides.here.kv_config(&place.path).await?);
        if ours == theirs {
            return Ok(());
        }
        if ours != normal(Config::default()) {
            return Err(Trouble::Conflict(
                "its config (cas_required, metadata_cas_required, max_versions, delete_version_after) is another here"
                    .into(),
            ));
        }
        if sides.mode == Mode::Copy {
            let request = ConfigRequest {
                cas_required: Some(theirs.cas_required.into()),
                delete_version_after: Some(theirs.delete_version_after.into()),
                max_versions: Some(theirs.max_versions.into()),
                metadata_cas_required: Some(theirs.metadata_cas_required.into()),
            };
            sides.here.kv_configure(&place.path, &request).await?;
        }
        Ok(())
    })
    .await;
    match done {
        Err(lost @ Trouble::Lost(_)) => Err(lost),
        Err(trouble) => {
            report.fail(&format!("{}/", place.path), &trouble);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn normal(config: Config) -> Config {
    let unset = config.delete_version_after.is_empty();
    Config { delete_version_after: if unset { "0s".into() } else { config.delete_version_after }, ..config }
}
