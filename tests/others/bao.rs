//! Three nodes of OpenBao with Raft: what they say of themselves is shown, and what is lost is an alarm.

use crate::support::{free_port, has_client, wait_for};
use crate::{alarms, look, wait_until_shown};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `bao server` processes, which end with this.
struct Cluster {
    nodes: Vec<Child>,
    addresses: Vec<String>,
    token: String,
    _folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

impl Cluster {
    async fn start() -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), [7; 32]).unwrap();
        let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
        let addresses: Vec<String> = ports.iter().map(|(api, _)| format!("http://127.0.0.1:{api}")).collect();
        let start = |at: usize| node(folder.path(), at + 1, ports[at], &addresses[0]);
        let nodes = (0..3).map(start).collect();
        let mut cluster = Cluster { nodes, addresses, token: String::new(), _folder: folder };
        let init = || async {
            let out = Command::new("bao")
                .args(["operator", "init", "-format=json"])
                .env("BAO_ADDR", &cluster.addresses[0])
                .output()
                .ok()?;
            let said: serde_json::Value = serde_json::from_slice(&out.stdout).ok()?;
            Some(said["root_token"].as_str()?.to_owned())
        };
        let token = wait_for("OpenBao to be initialised", init).await;
        cluster.token = token;
        cluster
    }

    fn look(&self) -> (serde_json::Value, i32) {
        look(&self.addresses[1..2], Some(&self.token))
    }
}

fn node(folder: &Path, number: usize, (api, cluster): (u16, u16), first: &str) -> Child {
    let data = folder.join(format!("node-{number}"));
    std::fs::create_dir(&data).unwrap();
    let text = format!(
        r#"
        cluster_name = "bao-lab"
        api_addr = "http://127.0.0.1:{api}"
        cluster_addr = "http://127.0.0.1:{cluster}"
        listener "tcp" {{
          address = "127.0.0.1:{api}"
          cluster_address = "127.0.0.1:{cluster}"
          tls_disable = 1
        }}
        storage "raft" {{
          path = "{data}"
          node_id = "bao-{number}"
          retry_join {{
            leader_api_addr = "{first}"
          }}
        }}
        seal "static" {{
          current_key_id = "one"
          current_key = "file://{key}"
        }}
        "#,
        data = data.display(),
        key = folder.join("key").display(),
    );
    let file = folder.join(format!("node-{number}.hcl"));
    std::fs::write(&file, text).unwrap();
    let log = File::create(folder.join(format!("node-{number}.log"))).unwrap();
    let mut server = Command::new("bao");
    server.arg("server").arg(format!("-config={}", file.display())).stdin(Stdio::null());
    server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_openbao_shows_its_nodes_and_what_is_lost_of_them() {
    if !has_client("bao", &["bao", "version"]) {
        return;
    }
    let mut cluster = Cluster::start().await;
    // Found from one node: the others, who leads, and that all of them vote once autopilot trusts them.
    wait_for("three healthy voters", || async {
        let (seen, exit) = cluster.look();
        let region = &seen["regions"][0];
        let said = &region["nodes"][0]["foreign"]["value"];
        let peers = said["raft"]["value"]["peers"].as_array()?;
        let voters = peers.iter().filter(|peer| peer["voter"] == true && peer["healthy"] == true).count();
        let whole = region["name"] == "bao-lab" && region["nodes"].as_array()?.len() == 3 && voters == 3;
        (whole && seen["standing"] == "well" && exit == 0).then_some(())
    })
    .await;
    let signs = ["OpenBao 2.", "3 of 3 answer", "unsealed", "1 node to spare", "has no replication between clusters"];
    wait_until_shown(&cluster.addresses[1..2], Some(&cluster.token), &signs).await;
    // Without a token there is still seal and leader, and it says what is missing: whether all is well is not known then.
    wait_until_shown(&cluster.addresses[1..2], None, &["UNKNOWN", "unsealed", "told to who has a token only"]).await;

    cluster.nodes[2].kill().unwrap();
    cluster.nodes[2].wait().unwrap();
    wait_for("the dead node to be missed", || async {
        let (seen, exit) = look(&cluster.addresses[..2], Some(&cluster.token));
        let wrong = alarms(&seen);
        (wrong.contains("bao-3") && exit == 2).then_some(())
    })
    .await;

    let sealed = Command::new("bao")
        .args(["operator", "seal"])
        .env("BAO_ADDR", &cluster.addresses[0])
        .env("BAO_TOKEN", &cluster.token)
        .status()
        .unwrap();
    assert!(sealed.success());
    wait_for("the sealed node to be an alarm", || async {
        let (seen, exit) = look(&cluster.addresses[..2], Some(&cluster.token));
        (alarms(&seen).contains("is sealed") && seen["standing"] == "alarm" && exit == 2).then_some(())
    })
    .await;
}
