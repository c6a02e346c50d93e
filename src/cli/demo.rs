//! `twinkeep demo`.

use super::args;
use super::failure::Failure;
use super::output::Output;
use crate::demo::{self, Look, Options, Scenario, Verdict};
use std::time::Duration;

pub async fn run(asked: args::Demo) -> Result<Output, Failure> {
    let options = Options {
        nodes: asked.nodes,
        wan_latency: Duration::from_millis(asked.wan_latency),
        write_rate: asked.write_rate,
        secrets: asked.secrets,
        ..Options::default()
    };
    let scenario = asked.scenario.as_deref().map(Scenario::load).transpose();
    let scenario = scenario.map_err(|error| Failure::local(error.to_string()))?;
    let failed = |error: crate::error::Error| Failure::local(error.to_string());
    if !asked.headless {
        let look = Look { theme: asked.theme, ascii: asked.ascii, quiet: asked.quiet };
        return demo::interactive(options, look, scenario).await.map(|()| Output::text("")).map_err(failed);
    }
    if let Some(scenario) = scenario {
        return demo::play(options, &scenario).await.map(|()| Output::text("")).map_err(failed);
    }
    let duration = Duration::from_secs(asked.for_secs);
    match demo::headless(options, duration).await.map_err(failed)? {
        Verdict::Equal => Ok(Output::text("")),
        Verdict::Different => Err(Failure::local("the two regions did not end with equal Merkle roots")),
    }
}
