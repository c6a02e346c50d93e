//! Asking the core for a verification, and saying what came of it.

use super::context::Context;
use super::driver::Ask;
use super::link_record;
use super::protocol::{self, StandbyVerified, Verified};
use crate::api::verification::{OwnDisk, StandbyVerification, Verification, VerifyOutcome};
use crate::clock;
use crate::consensus;
use crate::error::{Error, Result};
use crate::ids::RegionId;
use crate::state::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Begins to verify the standbys of this primary. One that is under way goes on, and is what is answered.
pub(super) async fn verify(context: &Arc<Context>) -> Result<Verification> {
    context.lead().await?;
    if context.state().path().role != Role::Primary {
        return Err(consensus::wrong_role(context.state()));
    }
    let id = u64::from_be_bytes(clock::random_bytes());
    let verified = context.ask(|reply| Ask::Verify { id, reply }).await?;
    let verified = verified.ok_or_else(|| Error::unavailable("this region is primary no longer"))?;
    describe(context, verified).await
}

pub(super) async fn verification(context: &Arc<Context>, id: &str) -> Result<Verification> {
    context.lead().await?;
    let verified = context.ask(|reply| Ask::Verification { reply }).await?;
    match verified.filter(|verified| format!("{:016x}", verified.id) == id) {
        Some(verified) => describe(context, verified).await,
        None => Err(Error::NotFound(format!(
            "this node knows of no verification {id}: another began since, or another node led when it did. Begin anew"
        ))),
    }
}

/// The newest one for the status, which anybody may read: the names of what differed stay behind the token.
pub(super) async fn newest(context: &Arc<Context>) -> Option<Verification> {
    let verified = context.ask(|reply| Ask::Verification { reply }).await.ok().flatten()?;
    let mut described = describe(context, verified).await.ok()?;
    described.standbys.iter_mut().for_each(|standby| standby.prefixes.clear());
    Some(described)
}

async fn describe(context: &Arc<Context>, verified: Verified) -> Result<Verification> {
    let described = move |context: &Context| {
        let records = link_record::list(context.state())?;
        let names: BTreeMap<RegionId, String> = records.into_iter().map(|it| (it.region, it.name)).collect();
        let standby = |(region, it): (RegionId, StandbyVerified)| {
            let name = names.get(&region).cloned().unwrap_or_else(|| region.to_string());
            standby(context, region, name, it)
        };
        Ok(Verification {
            id: format!("{:016x}", verified.id),
            began_at: verified.began_at,
            ended_at: verified.ended_at,
            own_disk: own_disk(verified.own),
            standbys: verified.standbys.into_iter().map(standby).collect(),
        })
    };
    context.blocking(described).await
}

fn own_disk(own: protocol::OwnDisk) -> OwnDisk {
    match own {
        protocol::OwnDisk::NotRead => OwnDisk::NotRead,
        protocol::OwnDisk::Sound => OwnDisk::Sound,
        protocol::OwnDisk::Differs(buckets) => OwnDisk::Differs { buckets: buckets as u64 },
        protocol::OwnDisk::Unreadable(error) => OwnDisk::Unreadable { error },
    }
}

fn standby(context: &Context, region: RegionId, name: String, it: StandbyVerified) -> StandbyVerification {
    let (outcome, words) = match it.outcome {
        protocol::VerifyOutcome::Waiting => (VerifyOutcome::Waiting, "waits for its turn".to_owned()),
        protocol::VerifyOutcome::Running(what) => (VerifyOutcome::Running, what.to_owned()),
        protocol::VerifyOutcome::Equal => (VerifyOutcome::Equal, "holds the same".to_owned()),
        protocol::VerifyOutcome::Repaired => {
            let words = "differed; a diff sync took over what differed, and a second comparison found no difference";
            (VerifyOutcome::Repaired, words.to_owned())
        }
        protocol::VerifyOutcome::Differs(why) => (VerifyOutcome::Differs, why),
        protocol::VerifyOutcome::Unchecked(why) => (VerifyOutcome::Unchecked, why),
    };
    let prefixes: BTreeSet<String> = it.keys.iter().filter_map(|key| context.keyring.place_of(key)).collect();
    StandbyVerification {
        region,
        name,
        outcome,
        at: it.at,
        damaged_buckets: it.scrubbed as u64,
        differing_buckets: it.buckets as u64,
        differing_entries: it.entries as u64,
        prefixes: prefixes.into_iter().collect(),
        words,
    }
}
