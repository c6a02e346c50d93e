//! One region of the demo: its configuration files, its nodes, its initialisation.

use super::node::Node;
use super::ports::free_address;
use super::wan::{Quality, Wan};
use super::{PATH, client, wait_for};
use crate::api::seal::InitRequest;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::sensitive::SensitiveString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a region is to be.
pub struct Shape {
    pub name: &'static str,
    pub nodes: u32,
    pub folder: PathBuf,
    /// Of the link by which other regions reach it.
    pub quality: Quality,
}

pub struct Region {
    pub name: &'static str,
    nodes: Vec<Node>,
    addresses: Vec<String>,
    token: SensitiveString,
    /// In front of the nodes: what the other region dials.
    pub link: Wan,
}

impl Region {
    /// Starts the nodes, initialises the region and waits until it takes writes. It unseals itself, with a key file.
    pub async fn start(shape: Shape) -> Result<Region> {
        std::fs::create_dir_all(&shape.folder)?;
        let listens = (0..shape.nodes).map(|_| free_address()).collect::<Result<Vec<SocketAddr>>>()?;
        let link = Wan::start(listens.clone(), shape.quality).await?;
        let addresses: Vec<String> = listens.iter().map(|listen| format!("http://{listen}")).collect();
        let mut nodes: Vec<Node> = Vec::new();
        let mut token = SensitiveString::new("");
        for (number, listen) in listens.iter().enumerate() {
            let file = write_config(&shape, number + 1, *listen, link.address(), &addresses[0])?;
            let mut node = Node::new(file, *listen);
            node.start().await?;
            nodes.push(node);
            if number == 0 {
                token = initialise(&addresses[0]).await?;
            }
        }
        let region = Region { name: shape.name, nodes, addresses, token, link };
        region.wait_until_whole().await?;
        Ok(region)
    }

    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().map(String::as_str)
    }

    pub fn token(&self) -> &SensitiveString {
        &self.token
    }

    /// A client of the first node, as the region's own root.
    pub fn client(&self) -> Result<Client> {
        client(&self.addresses[0], &self.token)
    }

    /// A client of each node.
    pub fn clients_as(&self, token: &SensitiveString) -> Result<Vec<Client>> {
        self.addresses.iter().map(|address| client(address, token)).collect()
    }

    /// Until all nodes are voters and the region acknowledges writes.
    async fn wait_until_whole(&self) -> Result<()> {
        let client = self.client()?;
        wait_for("a region's nodes to join", || async {
            let status = client.path_status(PATH).await.ok()?;
            let voters = status.nodes.iter().filter(|node| node.voter).count();
            (voters == self.nodes.len() && status.writable).then_some(())
        })
        .await
    }

    /// Kills the node that leads, as a power cut would. Its name.
    pub async fn kill_leader(&mut self) -> Result<String> {
        let living = self.nodes.iter().filter(|node| node.is_alive());
        let addresses: Vec<String> = living.map(Node::address).collect();
        for address in addresses {
            let Ok(status) = client(&address, &self.token)?.path_status(PATH).await else { continue };
            let Some(leader) = status.nodes.iter().find(|node| node.leader) else { continue };
            let (name, at) = (leader.name.clone(), leader.api_addr.clone());
            if let Some(node) = self.nodes.iter_mut().find(|node| node.address() == at) {
                node.kill();
                return Ok(name);
            }
        }
        Err(Error::unavailable(format!("{} has no leader to kill", self.name)))
    }

    pub fn kill(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
    }

    /// Starts whatever was killed.
    pub async fn restart(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.start().await?;
        }
        Ok(())
    }

    pub fn skew(&self, ms: i64) {
        self.nodes.iter().for_each(|node| node.skew.set_ms(ms));
    }

    pub async fn stop(&mut self) {
        futures::future::join_all(self.nodes.iter_mut().map(Node::stop)).await;
    }
}

/// `operator init`, by HTTP as anybody would.
async fn initialise(address: &str) -> Result<SensitiveString> {
    let client = client(address, &SensitiveString::new(""))?;
    let request = InitRequest { secret_shares: 1, secret_threshold: 1, ..InitRequest::default() };
    let answer = client.init(&request).await.map_err(|error| Error::unavailable(error.to_string()))?;
    Ok(SensitiveString::new(answer.root_token))
}

fn write_config(shape: &Shape, number: usize, listen: SocketAddr, link: SocketAddr, first: &str) -> Result<PathBuf> {
    let name = shape.name;
    let folder = shape.folder.display();
    let file = shape.folder.join(format!("{name}-{number}.hcl"));
    let text = format!(
        r#"cluster_name = "{name}"
api_addr     = "http://{listen}"
listener "tcp" {{
  address     = "{listen}"
  tls_disable = 1
}}
storage "raft" {{
  path    = "{folder}/{number}"
  node_id = "{name}-{number}"
  retry_join {{ leader_api_addr = "{first}" }}
}}
seal "file" {{ path = "{folder}/unseal.key" }}
replication "{PATH}" {{
  enabled = true
  address = "http://{link}"   # what the other region dials: the link with WAN latency in front of these nodes
}}
"#
    );
    std::fs::write(&file, text)?;
    Ok(file)
}
