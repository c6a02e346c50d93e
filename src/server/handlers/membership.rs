//! The members of the region: who they are, taking one out, and messages between them. How one comes in is in `join`.

pub use crate::server::join::{answer, challenge};

use crate::api::cluster::{
    JoinAnswer, JoinRequest, PeerRequest, RaftConfiguration, RaftConfigurationAnswer, RaftServer,
};
use crate::consensus::Member;
use crate::consensus::raft::Suffrage;
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::node_auth::Received;
use crate::server::peers::{AUTH_HEADER, NODE_STATUS};
use url::Url;

pub async fn configuration(call: Call) -> Result<Answer> {
    let standing = call.node.standing();
    let servers = standing.members.iter().map(|(id, member)| RaftServer {
        node_id: member.name.clone(),
        address: host_and_port(&member.api_addr),
        leader: standing.leader == Some(*id),
        protocol_version: "3".into(),
        voter: member.voter,
    });
    let config = RaftConfiguration { servers: servers.collect(), index: standing.committed_index };
    Ok(Answer::data(&RaftConfigurationAnswer { config }))
}

pub async fn remove_peer(call: Call) -> Result<Answer> {
    let server_id = named(&call)?;
    let members = call.node.standing().members;
    // One that is none is out already, as in Vault.
    if let Some((id, _)) = members.iter().find(|(_, member)| member.name == server_id) {
        call.node.raft.remove_node(*id).await?;
    }
    Ok(Answer::empty())
}

/// Vault's words, where it has them.
pub async fn promote(call: Call) -> Result<Answer> {
    let (id, member) = peer(&call)?;
    if member.voter {
        return Err(Error::invalid("1 error occurred:\n\t* server is not a non-voter\n\n"));
    }
    call.node.raft.set_suffrage(id, Suffrage::Voter).await?;
    Ok(Answer::empty())
}

/// One that has no vote keeps none. A leader leaves that to the next one.
pub async fn demote(call: Call) -> Result<Answer> {
    let (id, member) = peer(&call)?;
    let standing = call.node.standing();
    let others = standing.members.iter().filter(|(other, member)| **other != id && member.voter).count();
    if member.voter && id == standing.me && others > 0 {
        call.node.raft.step_down().await?;
        return Err(Error::NotLeader("this node leaves leadership to another, which takes its vote".into()));
    }
    if member.voter {
        call.node.raft.set_suffrage(id, Suffrage::NonVoter).await?;
    }
    Ok(Answer::empty())
}

/// The member that a request names.
fn peer(call: &Call) -> Result<(NodeId, Member)> {
    let server_id = named(call)?;
    let members = call.node.standing().members;
    let found = members.into_iter().find(|(_, member)| member.name == server_id);
    let missing = format!("1 error occurred:\n\t* server {server_id} not found in raft configuration\n\n");
    found.ok_or_else(|| Error::invalid(missing))
}

fn named(call: &Call) -> Result<String> {
    let PeerRequest { server_id } = call.json()?;
    if server_id.is_empty() { Err(Error::invalid("no server id provided")) } else { Ok(server_id) }
}

/// A node that is alone would be elected again: as in Vault, that is no error.
pub async fn step_down(call: Call) -> Result<Answer> {
    if call.node.standing().members.values().filter(|member| member.voter).count() < 2 {
        return Ok(Answer::empty());
    }
    call.node.raft.step_down().await?;
    Ok(Answer::empty())
}

/// Makes a fresh node try one more address; `joined` says that it is under way, as Vault's does with Shamir shares, or
/// that the node is a member.
pub async fn join(call: Call) -> Result<Answer> {
    let request: JoinRequest = call.json()?;
    if call.node.raft.is_initialised().await? {
        // As in Vault: whoever repeats it finds it done.
        return Ok(Answer::plain(&JoinAnswer { joined: true }));
    }
    let address = request.leader_api_addr.trim_end_matches('/');
    let right = Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    if !right {
        return Err(Error::invalid("`leader_api_addr` must be an address like http://10.1.1.1:8200"));
    }
    let suffrage = if request.non_voter { Suffrage::NonVoter } else { Suffrage::Voter };
    call.node.joining.ask(address, suffrage);
    Ok(Answer::plain(&JoinAnswer { joined: true }))
}

/// A message of another node of this region.
pub async fn rpc(call: Call) -> Result<Answer> {
    let node = &call.node;
    let kind = call.param("kind");
    let auth = node.peers.auth()?;
    let header = call.header(AUTH_HEADER).ok_or(Error::PermissionDenied)?;
    let certificate = call.visitor.and_then(|visitor| visitor.certificate);
    // Both ends of a connection between nodes show who they are.
    if node.report().fingerprint.is_some() && certificate.is_none() {
        return Err(Error::PermissionDenied);
    }
    // Peers name this node by the address that the region knows it by, which is another until it is told of a change.
    let standing = node.standing();
    let known = standing.members.get(&standing.me).map(|member| member.api_addr.clone());
    let names = [Some(node.config.api_addr.clone()), known];
    let checked = names.iter().flatten().find_map(|to_addr| {
        let received = Received { to_addr, kind, certificate };
        auth.check_request(header, &received, &call.body).ok()
    });
    let frame = checked.ok_or(Error::PermissionDenied)?;
    let answer = match kind {
        NODE_STATUS => postcard::to_stdvec(&node.report())?.into(),
        raft => node.raft.handle_rpc(raft, call.body.clone()).await?,
    };
    let mac = auth.answer_header(&frame, &answer);
    Ok(Answer::bytes(answer).with_header(AUTH_HEADER, &mac))
}

/// As Vault writes the addresses of peers.
pub fn host_and_port(address: &str) -> String {
    address.split_once("://").map_or(address, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_shown_without_a_scheme() {
        assert_eq!(host_and_port("http://10.1.1.1:8200"), "10.1.1.1:8200");
    }
}
