//! Two regions in this process: real servers on loopback with real data directories, a link with WAN latency between
//! them, a load that writes secrets, and the console on top, which attaches over HTTP as to any other servers.
//!
//! The regions are started from configuration files that this module writes into the demo's folder, so that they are
//! what an operator would run by hand. The folder goes when the demo ends.

mod headless;
mod load;
mod region;
pub mod wan;

use crate::client::{Client, ClientOptions};
use crate::clock;
use crate::console::{self, AttachOptions, ContextSpec, WriteRight};
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use load::Load;
use region::{Region, Shape};
use std::time::Duration;
use wan::Quality;

pub use headless::Verdict;

/// The path that the demo's regions replicate on, as in the seed.
const PATH: &str = "default";
const PRIMARY: &str = "us-east-1";
const STANDBY: &str = "eu-west-1";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Nodes of each region, 1 to 5.
    pub nodes: u32,
    /// There and back.
    pub wan_latency: Duration,
    /// Of each connection over the link, each way.
    pub wan_bytes_per_s: u64,
    /// Secrets written per second, once the first ones are there.
    pub write_rate: u32,
    /// Secrets that are written as fast as it goes when the demo starts, so that there is something to sync.
    pub secrets: u32,
}

/// How the console looks.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub theme: Option<String>,
    pub ascii: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            nodes: 1,
            wan_latency: Duration::from_millis(80),
            wan_bytes_per_s: 512 << 10,
            write_rate: 20,
            secrets: 10_000,
        }
    }
}

/// A running demo. Its servers stop and its folder goes when it is dropped; `stop` does it gracefully.
struct Demo {
    primary: Region,
    standby: Region,
    load: Load,
    _folder: tempfile::TempDir,
}

/// With the console on top, until the user quits.
pub async fn interactive(options: Options, look: Look) -> Result<()> {
    let demo = Demo::start(&options).await?;
    let context = ContextSpec {
        name: "demo".to_owned(),
        addresses: demo.primary.addresses().chain(demo.standby.addresses()).map(str::to_owned).collect(),
        tokens: vec![demo.primary.token().clone(), demo.standby.token().clone()],
        write: WriteRight::Write,
        ..ContextSpec::default()
    };
    let attach =
        AttachOptions { contexts: vec![context], theme: look.theme, ascii: look.ascii, ..AttachOptions::default() };
    let ended = console::run(attach).await;
    demo.stop().await;
    ended
}

/// Without a terminal, for `duration`: connects the regions by itself and prints a JSON line a second.
pub async fn headless(options: Options, duration: Duration) -> Result<Verdict> {
    let demo = Demo::start(&options).await?;
    let verdict = headless::run(&demo, duration).await;
    demo.stop().await;
    verdict
}

impl Demo {
    async fn start(options: &Options) -> Result<Demo> {
        if !(1..=5).contains(&options.nodes) {
            return Err(Error::invalid(format!("--nodes {}: a region has 1 to 5 nodes", options.nodes)));
        }
        let folder = tempfile::Builder::new().prefix("twinkeep-demo-").tempdir()?;
        let quality = Quality { round_trip: options.wan_latency, bytes_per_s: options.wan_bytes_per_s };
        let shape =
            |name: &'static str| Shape { name, nodes: options.nodes, folder: folder.path().join(name), quality };
        let (primary, standby) = tokio::try_join!(Region::start(shape(PRIMARY)), Region::start(shape(STANDBY)))?;
        let clients = [primary.client()?, standby.client_as(primary.token())?];
        let load = Load::start(clients.to_vec(), options.secrets, options.write_rate);
        Ok(Demo { primary, standby, load, _folder: folder })
    }

    async fn stop(self) {
        self.load.stop().await;
        tokio::join!(self.primary.stop(), self.standby.stop());
    }
}

/// A client of one node, with the demo's deadlines.
fn client(address: &str, token: &SensitiveString) -> Result<Client> {
    let options = ClientOptions { call_timeout: Duration::from_secs(10), ..ClientOptions::new(address) };
    Client::new(options.token(token.clone())).map_err(|error| Error::internal(error.to_string()))
}

/// Asks `fact` again and again until it holds something; what a demo waits for on loopback is there in moments.
async fn wait_for<T, F, W>(what: &str, mut fact: F) -> Result<T>
where
    F: FnMut() -> W,
    W: Future<Output = Option<T>>,
{
    const PATIENCE: Duration = Duration::from_secs(30);
    const PAUSE: Duration = Duration::from_millis(20);
    let began = clock::steady();
    loop {
        if let Some(found) = fact().await {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::unavailable(format!("the demo waited {} s in vain for {what}", PATIENCE.as_secs())));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
