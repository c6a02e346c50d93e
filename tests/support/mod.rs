//! Real processes for tests: nodes and regions of the built binary, from configuration files, on loopback.
//!
//! Everything a test starts ends with it. Nothing here sleeps to wait for something: `wait_for` asks until the fact
//! holds, and says which fact it waited for in vain, with the logs of the nodes.

#![allow(dead_code, reason = "each test binary compiles this module and uses its own part of it")]

pub mod authority;
pub mod http;
pub mod proxy;
pub mod raw;
pub mod writer;

use authority::Authority;
use proxy::Proxy;
use std::cell::Cell;
use std::fs::{self, File};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use twinkeep::api::replication::{PathStatus, PromoteMode, PromoteRequest, Promotion, PromotionOutcome};
use twinkeep::api::seal::{InitAnswer, InitRequest, UnsealRequest};
use twinkeep::client::{Client, ClientOptions, Trust};
use twinkeep::clock;
use twinkeep::ids::PromotionId;
use twinkeep::sensitive::SensitiveString;

pub const BINARY: &str = env!("CARGO_BIN_EXE_twinkeep");
pub const PATH: &str = "default";
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(25);

/// Asks `fact` until it holds something.
pub async fn wait_for<T, F, W>(what: &str, mut fact: F) -> T
where
    F: FnMut() -> W,
    W: Future<Output = Option<T>>,
{
    let began = Instant::now();
    loop {
        if let Some(found) = fact().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {} s in vain for {what}", PATIENCE.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}

pub fn free_port() -> u16 {
    twinkeep::demo::ports::free_address().expect("a free port").port()
}

/// One server process and its file.
pub struct Node {
    pub name: String,
    pub address: String,
    pub config: PathBuf,
    pub log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A node whose configuration file is there.
    pub fn new(name: &str, address: &str, config: PathBuf) -> Node {
        let log = config.with_extension("log");
        Node { name: name.to_owned(), address: address.to_owned(), config, log, child: None }
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let child = Command::new(BINARY)
            .arg("server")
            .arg(format!("-config={}", self.config.display()))
            .env_remove("VAULT_TOKEN")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the built binary starts");
        self.child = Some(child);
    }

    pub fn socket(&self) -> SocketAddr {
        let (_, address) = self.address.split_once("://").expect("an address has a scheme");
        address.parse().expect("an address on loopback")
    }

    /// The process, while it runs.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours can be killed");
            child.wait().expect("a killed child ends");
        }
    }

    /// Sends a signal by name (`HUP`, `TERM`).
    pub fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let done = Command::new("kill").args(["-s", signal, &id]).status().expect("kill is there");
        assert!(done.success(), "kill -s {signal} {id}");
    }

    /// Waits for the process to end by itself; its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("the node runs");
        child.wait().expect("a child can be waited for").code()
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn client(&self, token: &str) -> Client {
        // A test has nobody between.
        let trust = Trust::Anything;
        let patience = Duration::from_secs(20);
        let options = ClientOptions {
            call_timeout: patience,
            connect_timeout: patience,
            trust,
            ..ClientOptions::new(&self.address)
        };
        Client::new(options.token(SensitiveString::new(token))).expect("a client of a loopback address")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- {} ----\n{}", self.name, self.log_text());
        }
    }
}

/// How a region's nodes are configured.
pub struct Shape<'a> {
    pub nodes: usize,
    pub engine: &'a str,
    pub scheme: &'a str,
    /// Who signs the nodes' certificates, with the scheme `https`. Without one each signs its own.
    pub authority: Option<&'a Authority>,
    /// Further lines of the `replication` stanza.
    pub replication: &'a str,
    /// Further stanzas.
    pub more: &'a str,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Shape { nodes: 1, engine: "fjall", scheme: "http", authority: None, replication: "", more: "" }
    }
}

/// A region of real processes, initialised and unsealed.
pub struct Region {
    pub name: String,
    pub nodes: Vec<Node>,
    /// One share, which unseals alone.
    pub share: String,
    pub token: String,
}

impl Region {
    /// `nodes` nodes with Shamir seals in `folder/name`.
    pub async fn start(folder: &Path, name: &str, nodes: usize) -> Region {
        Region::start_as(folder, name, Shape { nodes, ..Shape::default() }).await
    }

    /// Over TLS, each node with a self-signed certificate of its own.
    pub async fn start_tls(folder: &Path, name: &str, nodes: usize) -> Region {
        Region::start_as(folder, name, Shape { nodes, scheme: "https", ..Shape::default() }).await
    }

    /// With a storage engine and further lines for each node's file.
    pub async fn start_with(folder: &Path, name: &str, nodes: usize, engine: &str, more: &str) -> Region {
        Region::start_as(folder, name, Shape { nodes, engine, more, ..Shape::default() }).await
    }

    /// Where other regions reach it through a proxy only. `replication` is further lines of that stanza.
    pub async fn start_behind(folder: &Path, name: &str, nodes: usize, proxy: &Proxy, replication: &str) -> Region {
        let replication = format!("address = \"{}\"\n{replication}", proxy.address);
        let shape = Shape { nodes, replication: &replication, ..Shape::default() };
        let region = Region::start_as(folder, name, shape).await;
        proxy.lead_to(region.nodes.iter().map(Node::socket).collect());
        region
    }

    pub async fn start_as(folder: &Path, name: &str, shape: Shape<'_>) -> Region {
        let Shape { nodes, engine, scheme, authority, replication, more } = shape;
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder for the region");
        let ports: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
        let mut region =
            Region { name: name.to_owned(), nodes: Vec::new(), share: String::new(), token: String::new() };
        for (number, port) in ports.iter().enumerate() {
            let node = format!("{name}-{number}");
            let config = folder.join(format!("{node}.hcl"));
            let data = folder.join(&node);
            let tls = match authority.map(|authority| authority.issue(&folder, &node)) {
                Some((certificate, key)) => {
                    format!("tls_cert_file = {certificate:?}\n  tls_key_file = {key:?}")
                }
                None if scheme == "http" => "tls_disable = 1".to_owned(),
                None => String::new(),
            };
            let text = format!(
                "cluster_name = \"{name}\"\napi_addr = \"{scheme}://127.0.0.1:{port}\"\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  {tls}\n}}\n\
                 storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"{node}\"\n  engine = \"{engine}\"\n  retry_join {{ leader_api_addr = \"{scheme}://127.0.0.1:{}\" }}\n}}\n\
                 replication \"{PATH}\" {{\n  enabled = true\n{replication}\n}}\n{more}\n",
                data.display(),
                ports[0]
            );
            fs::write(&config, text).expect("a configuration file");
            region.nodes.push(Node::new(&node, &format!("{scheme}://127.0.0.1:{port}"), config));
        }
        region.nodes[0].start();
        let init = init(&region.nodes[0], 1, 1).await;
        region.share = init.keys.first().cloned().unwrap_or_default();
        region.token = init.root_token;
        region.unseal(0).await;
        for number in 1..nodes {
            region.nodes[number].start();
            region.unseal(number).await;
        }
        region.wait_for_voters(nodes).await;
        region
    }

    /// Unseals a node; with a key file it does so itself, and this waits for it.
    pub async fn unseal(&self, number: usize) {
        let node = &self.nodes[number];
        let client = node.client("");
        wait_for(&format!("{} to unseal", node.name), || async {
            let status = client.seal_status().await.ok()?;
            if status.initialized && status.sealed && status.kind == "shamir" {
                let request = UnsealRequest { key: Some(self.share.clone()), ..UnsealRequest::default() };
                return client.unseal(&request).await.ok().filter(|status| !status.sealed).map(drop);
            }
            (status.initialized && !status.sealed).then_some(())
        })
        .await;
    }

    pub async fn wait_for_voters(&self, voters: usize) {
        wait_for(&format!("{voters} voters in {}", self.name), || async {
            let status = self.status().await?;
            let found = status.nodes.iter().filter(|node| node.voter).count();
            (found == voters && status.nodes.iter().any(|node| node.leader)).then_some(())
        })
        .await;
    }

    /// The leader's view, from whichever node answers.
    pub async fn status(&self) -> Option<PathStatus> {
        for node in &self.nodes {
            if let Ok(status) = node.client("").path_status(PATH).await {
                return Some(status);
            }
        }
        None
    }

    /// The number of the node that leads now.
    pub async fn leader(&self) -> usize {
        wait_for(&format!("a leader of {}", self.name), || async {
            for (number, node) in self.nodes.iter().enumerate() {
                if node.client("").leader().await.is_ok_and(|leader| leader.is_self) {
                    return Some(number);
                }
            }
            None
        })
        .await
    }

    /// A client of the leader, as the region's root.
    pub async fn client(&self) -> Client {
        self.client_as(&self.token).await
    }

    pub async fn client_as(&self, token: &str) -> Client {
        self.nodes[self.leader().await].client(token)
    }

    /// Kills a node and starts it again, unsealed.
    pub async fn restart(&mut self, number: usize) {
        self.nodes[number].kill();
        self.nodes[number].start();
        self.unseal(number).await;
    }
}

/// `operator init` with so many shares.
pub async fn init(node: &Node, shares: u32, threshold: u32) -> InitAnswer {
    let client = node.client("");
    wait_for(&format!("{} to listen", node.name), || async { client.seal_status().await.ok() }).await;
    let request = InitRequest { secret_shares: shares, secret_threshold: threshold, ..InitRequest::default() };
    client.init(&request).await.expect("a new region can be initialised")
}

/// Makes a token on the standby and gives it to the primary.
pub async fn connect(primary: &Region, standby: &Region) {
    use twinkeep::api::replication::{LinkRequest, TokenRequest};
    let token = wait_for("a token", || async {
        standby.client().await.generate_token(PATH, &TokenRequest::default()).await.ok()
    })
    .await;
    let request = LinkRequest { address: None, token: token.token, max_parallel: None };
    wait_for("a link", || async { primary.client().await.connect(PATH, &request).await.ok() }).await;
}

/// Until the standby is whole and both hold the same at the same position.
pub async fn wait_until_in_step(primary: &Region, standby: &Region) {
    wait_for(&format!("{} to hold what {} holds", standby.name, primary.name), || async {
        let (one, two) = (primary.status().await?, standby.status().await?);
        let equal = two.whole && one.dataset == two.dataset && one.applied == two.applied;
        (equal && one.merkle_root == two.merkle_root).then_some(())
    })
    .await;
}

/// Whether an outside program is there. Says loudly when a test has to skip for it; with
/// `TWINKEEP_REQUIRE_CLIENTS` set, as in CI, a missing one is a failure.
pub fn has_client(name: &str, probe: &[&str]) -> bool {
    let found = Command::new(probe[0]).args(&probe[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(std::env::var_os("TWINKEEP_REQUIRE_CLIENTS").is_none(), "{name} is missing, and this run must have it");
    eprintln!("SKIPPED: {name} is not installed; nothing of it was tested");
    false
}

/// Promotes the region by force, whatever is lost, and waits until that is done. Where the facts changed between the plan
/// and its promotion, as they may on a busy machine, it is planned again.
pub async fn promote(client: &Client) -> Promotion {
    let mode = PromoteMode::Forced;
    let asked = Cell::new(None);
    wait_for("a promotion to be done", || async {
        // One whose answer was lost may have been done after all.
        if let Some(id) = asked.get() {
            let last = client.promotion(PATH, id).await.ok()?;
            if let Some(done) = last.filter(|last| last.outcome == PromotionOutcome::Done) {
                return Some(done);
            }
        }
        let plan = client.plan(PATH, mode).await.ok()?;
        let id = PromotionId(clock::random_bytes());
        asked.set(Some(id));
        let request = PromoteRequest { mode, plan: plan.hash, accept_loss: true, id, deadline: None };
        // Whatever comes of asking: the region knows how it ended.
        let _ = client.promote(PATH, &request).await;
        wait_for("the end of a promotion", || async {
            let promotion = client.promotion(PATH, id).await.ok()?;
            let ended =
                |promotion: &Promotion| matches!(promotion.outcome, PromotionOutcome::Done | PromotionOutcome::Failed);
            promotion.as_ref().is_none_or(ended).then_some(promotion)
        })
        .await
        .filter(|promotion| promotion.outcome == PromotionOutcome::Done)
    })
    .await
}
