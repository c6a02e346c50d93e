//! Asking the primary's nodes directly, beside the link: a promotion's plan is to say who still answers, and as what.
//!
//! From here only: that this node can't reach an address says nothing of clients. The nodes are asked at once, for a
//! moment only, over TLS that is pinned to the certificates of the link; `sys/health` needs no token.

use super::context::Context;
use super::link_record;
use super::protocol::{Probe, Probed};
use super::transport;
use crate::api::health::Health;
use crate::clock;
use crate::error::Result;
use crate::ids::RegionId;
use crate::tls;
use std::sync::Arc;
use std::time::Duration;

/// Of one node. A plan waits no longer than this for all of them together.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const ADDRESSES_MAX: usize = 8;

/// What each known address of a region says. Empty if none is known.
pub(super) async fn probe(context: &Arc<Context>, region: RegionId) -> Result<Vec<Probe>> {
    let link = link_record::get(context.state(), region)?;
    let known = context.state().path().primary.filter(|primary| primary.region == region);
    let mut addresses = link.as_ref().map(|link| link.addresses.clone()).unwrap_or_default();
    for address in known.into_iter().flat_map(|primary| primary.addresses) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.retain(|address| transport::check_address(address).is_ok());
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let fingerprints = link.map(|link| link.fingerprints).unwrap_or_default();
    let client = reqwest::Client::builder()
        .use_preconfigured_tls(tls::pinned_to_any(fingerprints)?)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_WITHIN)
        .build()
        .map_err(|error| crate::error::Error::internal(format!("an HTTP client can't be made: {error}")))?;
    let asked = addresses.into_iter().map(|address| {
        let client = client.clone();
        async move {
            let said = ask(&client, &address).await;
            Probe { address, said, at: clock::now() }
        }
    });
    Ok(futures::future::join_all(asked).await)
}

async fn ask(client: &reqwest::Client, address: &str) -> Probed {
    let response = match client.get(format!("{address}/v1/sys/health?standbyok=true")).send().await {
        Ok(response) => response,
        Err(error) => return Probed::Silent(transport::words(&error)),
    };
    let status = response.status().as_u16();
    match response.json::<Health>().await {
        Ok(health) if health.sealed => Probed::Answers("sealed".into()),
        Ok(health) if health.replication_dr_mode == "primary" && health.closed.is_none() => Probed::TakesWrites,
        Ok(health) if health.replication_dr_mode == "primary" => {
            Probed::Answers("primary, but takes no writes since it restarted".into())
        }
        Ok(health) if health.replication_dr_mode == "secondary" => Probed::Answers("a standby".into()),
        Ok(_) => Probed::Answers("no primary: fenced, or not initialised".into()),
        Err(_) => Probed::Answers(format!("something that is no node (status {status})")),
    }
}
