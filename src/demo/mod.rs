//! Two regions in this process: real servers on loopback with real data directories, a link with WAN latency between
//! them, a load that writes secrets, and the console on top, which attaches over HTTP as to any other servers.
//!
//! Each node has threads of its own, so that faults are what they are in earnest: a node is killed, the link is cut, a
//! clock is wrong. `fault` names them, `scenario` plays them from a script, `drill` keeps the score, `rehearsal` puts them
//! on the console's keys. `ports` finds where the servers can listen.
//!
//! The regions are started from configuration files that this module writes into the demo's folder, so that they are
//! what an operator would run by hand. The folder goes when the demo ends.

mod drill;
mod fault;
mod headless;
mod load;
mod node;
pub mod ports;
mod region;
mod rehearsal;
mod scenario;
pub mod wan;

use crate::client::{Client, ClientOptions};
use crate::clock;
use crate::console::{self, AttachOptions, ContextSpec, WriteRight};
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use drill::Drill;
use fault::{Fault, Which};
use load::Load;
use region::{Region, Shape};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use wan::Quality;

pub use headless::Verdict;
pub use scenario::Scenario;

/// The path that the demo's regions replicate on, as in the seed.
const PATH: &str = "default";
/// The first is primary at the start.
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

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
    pub quiet: bool,
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
    /// In the order of [`REGIONS`].
    regions: [Region; 2],
    load: Arc<Mutex<Load>>,
    drill: Arc<Drill>,
    observer: JoinHandle<()>,
    folder: tempfile::TempDir,
}

/// With the console on top, until the user quits. A scenario is played meanwhile.
pub async fn interactive(options: Options, look: Look, scenario: Option<Scenario>) -> Result<()> {
    let options = scenario.as_ref().map_or_else(|| options.clone(), |scenario| scenario.over(options.clone()));
    let demo = Demo::start(&options).await?;
    let context = ContextSpec {
        name: "demo".to_owned(),
        addresses: demo.regions.iter().flat_map(Region::addresses).map(str::to_owned).collect(),
        tokens: demo.regions.iter().map(|region| region.token().clone()).collect(),
        write: WriteRight::Write,
        ..ContextSpec::default()
    };
    let attach = AttachOptions {
        contexts: vec![context],
        theme: look.theme,
        ascii: look.ascii,
        quiet: look.quiet,
        ..AttachOptions::default()
    };
    let demo = Arc::new(Mutex::new(demo));
    let (rehearsal, stagehands) = rehearsal::start(&demo, scenario).await;
    let ended = console::rehearse(attach, rehearsal).await;
    drop(stagehands);
    demo.lock().await.stop().await;
    ended
}

/// Without a terminal, for `duration`: connects the regions by itself and prints a JSON line a second.
pub async fn headless(options: Options, duration: Duration) -> Result<Verdict> {
    let mut demo = Demo::start(&options).await?;
    let verdict = headless::run(&demo, duration).await;
    demo.stop().await;
    verdict
}

/// Plays a scenario without a terminal: a JSON line a step, the score at the end.
pub async fn play(options: Options, scenario: &Scenario) -> Result<()> {
    let demo = Arc::new(Mutex::new(Demo::start(&scenario.over(options)).await?));
    let played = headless::play(&demo, scenario).await;
    demo.lock().await.stop().await;
    played
}

impl Demo {
    async fn start(options: &Options) -> Result<Demo> {
        if !(1..=5).contains(&options.nodes) {
            return Err(Error::invalid(format!("--nodes {}: a region has 1 to 5 nodes", options.nodes)));
        }
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("twinkeep-demo-").permissions(private).tempdir()?;
        let quality = Quality { round_trip: options.wan_latency, bytes_per_s: options.wan_bytes_per_s };
        let shape =
            |name: &'static str| Shape { name, nodes: options.nodes, folder: folder.path().join(name), quality };
        let [one, two] = REGIONS;
        let (one, two) = tokio::try_join!(Region::start(shape(one)), Region::start(shape(two)))?;
        // Whoever gives its data gives its tokens with it: the first region's work on both, once they are linked.
        let clients = vec![one.clients_as(one.token())?, two.clients_as(one.token())?];
        let load = Arc::new(Mutex::new(Load::start(clients.clone(), options.secrets, options.write_rate)));
        let drill = Arc::new(Drill::new(clients, Arc::clone(&load)));
        let watching = Arc::clone(&drill);
        let observer = tokio::spawn(async move { watching.watch().await });
        let demo = Demo { regions: [one, two], load, drill, observer, folder };
        demo.write_context()?;
        Ok(demo)
    }

    /// A contexts file for other terminals, with the token beside it; the folder is for this user alone, and goes with us.
    fn write_context(&self) -> Result<()> {
        let [one, two] = &self.regions;
        let addresses: Vec<&str> = [one, two].into_iter().flat_map(Region::addresses).collect();
        let (token, contexts) = (self.folder.path().join("token"), self.contexts_file());
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&token)?;
        file.write_all(one.token().expose().as_bytes())?;
        let text = format!("[demo]\naddresses = {addresses:?}\ntoken_file = {:?}\n", token.display().to_string());
        std::fs::write(contexts, text)?;
        Ok(())
    }

    fn contexts_file(&self) -> PathBuf {
        self.folder.path().join("contexts.toml")
    }

    /// How another terminal attaches to the same regions.
    fn elsewhere(&self) -> String {
        format!("twinkeep attach --contexts-file={}", self.contexts_file().display())
    }

    /// Which regions are meant, by their numbers.
    async fn regions_of(&self, which: &Which) -> Vec<usize> {
        match which {
            Which::All => (0..self.regions.len()).collect(),
            one => vec![self.region_of(one).await],
        }
    }

    async fn region_of(&self, which: &Which) -> usize {
        let primary = self.drill.primary().await;
        match which {
            Which::Named(name) => REGIONS.iter().position(|region| region == name).unwrap_or(primary),
            Which::Standby => 1 - primary,
            Which::Primary | Which::All => primary,
        }
    }

    /// Does it, and says in words what was done.
    async fn throw(&mut self, fault: &Fault) -> Result<String> {
        if fault.begins_a_drill() {
            self.drill.begin(&fault.to_string()).await;
        }
        let name = |at: usize| REGIONS[at];
        Ok(match fault {
            Fault::Cut => {
                self.regions.iter().for_each(|region| region.link.cut());
                "the link is cut".into()
            }
            Fault::Heal => {
                self.regions.iter().for_each(|region| region.link.heal());
                "the link is healed".into()
            }
            Fault::Latency(trip) => {
                self.regions.iter().for_each(|region| region.link.set_round_trip(*trip));
                format!("the link takes {} ms there and back", trip.as_millis())
            }
            Fault::KillLeader(which) => {
                let at = self.region_of(which).await;
                format!("{} was killed, which led {}", self.regions[at].kill_leader().await?, name(at))
            }
            Fault::KillRegion(which) => {
                let regions = self.regions_of(which).await;
                regions.iter().for_each(|at| self.regions[*at].kill());
                format!("{} was killed", regions.into_iter().map(name).collect::<Vec<_>>().join(" and "))
            }
            Fault::Restart(which) => {
                for at in self.regions_of(which).await {
                    self.regions[at].restart().await?;
                }
                "all that was killed there runs again".into()
            }
            Fault::Skew(which, ms) => {
                let regions = self.regions_of(which).await;
                regions.iter().for_each(|at| self.regions[*at].skew(*ms));
                format!(
                    "the clock of {} is {ms} ms wrong",
                    regions.into_iter().map(name).collect::<Vec<_>>().join(" and ")
                )
            }
            Fault::Load(rate) => {
                self.load.lock().await.set_rate(*rate);
                format!("{rate} writes a second")
            }
        })
    }

    async fn stop(&mut self) {
        self.observer.abort();
        self.load.lock().await.stop().await;
        let [one, two] = &mut self.regions;
        tokio::join!(one.stop(), two.stop());
    }
}

/// A client of one node, with the demo's deadlines.
fn client(address: &str, token: &SensitiveString) -> Result<Client> {
    let options = ClientOptions { call_timeout: Duration::from_secs(10), ..ClientOptions::new(address) };
    Client::new(options.token(token.clone())).map_err(|error| Error::internal(error.to_string()))
}

/// Asks `fact` again and again until it holds something; what a demo waits for on loopback is there in moments,
/// where the machine isn't busy.
async fn wait_for<T, F, W>(what: &str, mut fact: F) -> Result<T>
where
    F: FnMut() -> W,
    W: Future<Output = Option<T>>,
{
    const PATIENCE: Duration = Duration::from_secs(120);
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
