//! How a fresh node becomes a member of a region: `retry_join`, over the handshake in `secrets::join`.
//!
//! ```text
//!   joiner                                              the region's leader
//!     POST sys/storage/raft/bootstrap/challenge ─────►    remembers a nonce, for a while
//!   (waits for `operator unseal` with the region's shares, or reads the key file; then asks for a fresh challenge)
//!     POST sys/storage/raft/bootstrap/answer ────────►    checks the proof, answers with the region's Raft key,
//!   stores the key, from now on understands its peers     then adds the node: learner, caught up, voter (or not)
//! ```
//!
//! Every step may be repeated: a node that was not added in time begins again. A member that lost its data asks the same
//! way, and is removed before it gets the key: until then it can't be heard as the voter that it was. Nothing in it needs TLS to be trusted,
//! since each side proves to the other that it holds the root key.

use super::answer::Answer;
use super::call::Call;
use super::node::{Node, blocking};
use super::peers::{self, ANSWER_BYTES_MAX};
use crate::clock::{self, UnixMs};
use crate::consensus::Member;
use crate::consensus::raft::Suffrage;
use crate::decoding::Decoder;
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::replication::transport;
use crate::secrets::join::{JoinAnswer, JoinChallenge, JoinNonce, Joiner};
use crate::storage::WriteBatch;
use crate::storage::keys::Key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Challenges that the leader remembers at a time, and how long.
const CHALLENGES_MAX: usize = 512;
/// From one address. Whoever asks for more takes them from himself.
const CHALLENGES_EACH_MAX: usize = 8;
/// How often a member is asked before another node takes its place.
const ANSWER_TRIES: usize = 3;
/// Addresses that a node which is to join was told to try.
const ASKED_MAX: usize = 8;
const CHALLENGE_LIFE: Duration = Duration::from_secs(60);
/// Between two rounds over the addresses to join.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a leader may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for the leader's first message after it admitted this node, before asking again.
const ADDED_WITHIN: Duration = Duration::from_secs(20);
/// How long the leader tries to reach a node that it admitted, and how often.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
const HEAR_PAUSE: Duration = Duration::from_millis(50);

/// Both sides' memory of joins under way.
#[derive(Default)]
pub struct Joining {
    /// The leader's: challenges not yet answered, by their id.
    challenges: Mutex<HashMap<[u8; 16], Open>>,
    /// The joiner's: whether a region is waiting for this node to be unsealed.
    expected: AtomicBool,
    /// The joiner's: addresses given by `sys/storage/raft/join`.
    asked: Mutex<Vec<String>>,
    /// The joiner's: it is to join without a vote.
    without_vote: AtomicBool,
}

/// A challenge that nobody answered yet.
struct Open {
    nonce: JoinNonce,
    made: UnixMs,
    by: Option<IpAddr>,
}

#[derive(Serialize, Deserialize)]
struct ChallengeRequest {
    server_id: String,
}

#[derive(Serialize, Deserialize)]
struct ChallengeAnswer {
    id: String,
    challenge: JoinChallenge,
}

#[derive(Serialize, Deserialize)]
struct AnswerRequest {
    id: String,
    server_id: String,
    api_addr: String,
    answer: JoinAnswer,
    #[serde(default)]
    non_voter: bool,
}

#[derive(Serialize, Deserialize)]
struct Admitted {
    /// The Raft key, encrypted for the joiner.
    raft_key: Vec<u8>,
}

pub const DECODERS: &[Decoder] = &[
    Decoder::json::<ChallengeRequest>("join-challenge-request"),
    Decoder::json::<ChallengeAnswer>("join-challenge-body"),
    Decoder::json::<AnswerRequest>("join-answer-request"),
    Decoder::json::<Admitted>("join-admitted"),
];

impl Joining {
    /// Whether this node is joining a region, which is initialised though this node holds nothing of it yet.
    pub fn is_expected(&self) -> bool {
        self.expected.load(Ordering::Relaxed)
    }

    /// Adds an address to try, as `sys/storage/raft/join` asks.
    pub fn ask(&self, address: &str, suffrage: Suffrage) {
        self.without_vote.store(suffrage == Suffrage::NonVoter, Ordering::Relaxed);
        let mut asked = lock(&self.asked);
        if !asked.iter().any(|known| known == address) {
            asked.push(address.to_owned());
        }
        // The newest count: each is dialled, round after round.
        let surplus = asked.len().saturating_sub(ASKED_MAX);
        asked.drain(..surplus);
    }
}

/// `POST sys/storage/raft/bootstrap/challenge`, on the leader.
pub async fn challenge(call: Call) -> Result<Answer> {
    let request: ChallengeRequest = call.json()?;
    let by = call.source().map(|source| source.ip());
    let node = call.node;
    let (challenge, nonce) = blocking({
        let node = node.clone();
        move || node.vault.join_challenge()
    })
    .await?;
    let now = clock::now();
    let mut challenges = lock(&node.joining.challenges);
    challenges.retain(|_, open| now.since(open.made) < CHALLENGE_LIFE);
    let of_his = challenges.iter().filter(|(_, open)| open.by == by).map(|(id, open)| (open.made, *id));
    let (held, oldest) = of_his.fold((0, None), |(held, oldest), next| {
        (held + 1, Some(oldest.map_or(next, |oldest: (UnixMs, [u8; 16])| oldest.min(next))))
    });
    if let Some((_, oldest)) = oldest.filter(|_| held >= CHALLENGES_EACH_MAX) {
        challenges.remove(&oldest);
    } else if challenges.len() >= CHALLENGES_MAX {
        return Err(Error::unavailable("too many nodes want to join at a time; try again in a minute"));
    }
    let id = clock::random_bytes();
    challenges.insert(id, Open { nonce, made: now, by });
    info!(node = request.server_id, "a node wants to join");
    Ok(Answer::data(&ChallengeAnswer { id: hex::encode(id), challenge }))
}

/// `POST sys/storage/raft/bootstrap/answer`, on the leader.
pub async fn answer(call: Call) -> Result<Answer> {
    let request: AnswerRequest = call.json()?;
    let mut id = [0; 16];
    hex::decode_to_slice(&request.id, &mut id).map_err(|_| Error::PermissionDenied)?;
    let nonce = lock(&call.node.joining.challenges).remove(&id);
    let Open { nonce, .. } =
        nonce.ok_or_else(|| Error::unavailable("the challenge is not known any more: ask for another"))?;
    let node = call.node;
    let (raft_key, request) = blocking({
        let node = node.clone();
        move || {
            let joiner = Joiner { name: &request.server_id, api_addr: &request.api_addr };
            Ok((node.vault.join_admit(nonce, joiner, &request.answer)?, request))
        }
    })
    .await?;
    let before = take_place(&node, &request.server_id, &request.api_addr).await?;
    // The joiner understands its peers once it has this answer: so it is added behind it.
    let without_vote = request.non_voter || before == Some(Suffrage::NonVoter);
    let suffrage = if without_vote { Suffrage::NonVoter } else { Suffrage::Voter };
    tokio::spawn(add(node, request.server_id, request.api_addr, suffrage));
    Ok(Answer::data(&Admitted { raft_key }))
}

/// Only a node that holds nothing asks to join. If its name is a member's, it is one that lost its data: it must not be
/// heard as that member, whose vote counts for entries that it does not hold any more. What that member was.
async fn take_place(node: &Node, name: &str, api_addr: &str) -> Result<Option<Suffrage>> {
    let id = NodeId::of(name);
    let Some(known) = node.standing().members.get(&id).cloned() else { return Ok(None) };
    let was = if known.voter { Suffrage::Voter } else { Suffrage::NonVoter };
    // One that lost its data has no key to answer with: whoever answers is the member itself.
    let lives = id == node.standing().me || answers(node, &known.api_addr).await;
    if lives && known.api_addr != api_addr {
        return Err(Error::Conflict(format!(
            "a node `{name}` at {} is a member: choose another node_id",
            known.api_addr
        )));
    }
    if lives {
        return Ok(Some(was));
    }
    // One without a vote that holds nothing yet is on its way: everything may be going over, which takes its time, and the
    // joiner asks again meanwhile.
    if !known.voter && known.matched_index.is_none() {
        return Ok(None);
    }
    node.raft.remove_node(id).await?;
    warn!(node = name, "a member asked to join without any data: it was removed, and is added anew");
    Ok(Some(was))
}

/// One that restarts or is busy is given some time.
async fn answers(node: &Node, api_addr: &str) -> bool {
    for _ in 0..ANSWER_TRIES {
        if node.peers.report(api_addr).await.is_ok() {
            return true;
        }
        tokio::time::sleep(HEAR_PAUSE).await;
    }
    false
}

async fn add(node: Arc<Node>, name: String, api_addr: String, suffrage: Suffrage) {
    hear(&node, &name, &api_addr).await;
    let member = Member { name: name.clone(), api_addr: api_addr.clone(), ..Member::default() };
    match node.raft.add_node(NodeId::of(&name), member, suffrage).await {
        Ok(()) => info!(node = name, api_addr, "a node joined"),
        // The joiner asks again if nothing reaches it.
        Err(error) => warn!(node = name, "the node was admitted but not added yet: {error}"),
    }
}

/// Hears a joiner before it is added, so that its certificate is known as soon as it is a member: what a token made
/// in that moment has to carry.
async fn hear(node: &Node, name: &str, api_addr: &str) {
    let began = clock::steady();
    while began.elapsed() < HEARD_WITHIN {
        if let Ok(report) = node.peers.report(api_addr).await {
            node.remember(NodeId::of(name), report, clock::now());
            return;
        }
        tokio::time::sleep(HEAR_PAUSE).await;
    }
    warn!(node = name, api_addr, "a node that joins can't be reached at its `api_addr`");
}

/// Tries to join until this node belongs to a region, which `operator init` on this node brings about as well.
pub async fn join_until_member(node: Arc<Node>, shutdown: CancellationToken) {
    let mut said = String::new();
    while !shutdown.is_cancelled() {
        match node.raft.is_initialised().await {
            Ok(true) | Err(_) => return,
            Ok(false) => {}
        }
        for address in addresses(&node) {
            match join(&node, &address).await {
                Ok(Step::Waiting) => {}
                Ok(Step::Admitted) => {
                    wait_until_added(&node).await;
                    break;
                }
                // Said once, not at each try.
                Err(error) if error.to_string() != said => {
                    said = error.to_string();
                    info!(leader = address, "not joined yet: {said}");
                }
                Err(_) => {}
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

enum Step {
    /// For shares of the unseal key.
    Waiting,
    Admitted,
}

async fn join(node: &Arc<Node>, address: &str) -> Result<Step> {
    if node.is_initialised() {
        return Ok(Step::Waiting);
    }
    let me = ChallengeRequest { server_id: node.name().to_owned() };
    let given: ChallengeAnswer = post(node, address, "challenge", &me).await?;
    let vault = node.vault.clone();
    let challenge = given.challenge.clone();
    let sealed = blocking(move || {
        vault.join_expect(&challenge)?;
        vault.unseal_from_file().map(|status| status.sealed)
    })
    .await?;
    node.joining.expected.store(true, Ordering::Relaxed);
    if sealed {
        return Ok(Step::Waiting);
    }
    let (name, api_addr) = (node.name().to_owned(), node.config.api_addr.clone());
    let vault = node.vault.clone();
    let challenge = given.challenge;
    let (answer, nonce) =
        blocking(move || vault.join_answer(&challenge, Joiner { name: &name, api_addr: &api_addr })).await?;
    let request = AnswerRequest {
        id: given.id,
        server_id: node.name().to_owned(),
        api_addr: node.config.api_addr.clone(),
        answer,
        non_voter: node.config.storage.joins_without_vote || node.joining.without_vote.load(Ordering::Relaxed),
    };
    let admitted: Admitted = post(node, address, "answer", &request).await?;
    let joiner = node.clone();
    blocking(move || {
        let key = joiner.vault.join_raft_key(&nonce, &admitted.raft_key)?;
        let mut batch = WriteBatch::new();
        batch.put(Key::RaftKey.tree(), Key::RaftKey.to_bytes(), key.to_vec());
        joiner.state.store().write(batch)?;
        joiner.state.store().flush()?;
        joiner.peers.set_key(&key);
        Ok(())
    })
    .await?;
    info!(leader = address, "admitted to the region");
    Ok(Step::Admitted)
}

async fn wait_until_added(node: &Node) {
    let mut standing = crate::consensus::Consensus::standing(node.raft.as_ref());
    let added = standing.wait_for(|standing| !standing.members.is_empty());
    // If it was not, the loop begins again.
    let _added = tokio::time::timeout(ADDED_WITHIN, added).await;
}

/// Where to ask: what the configuration and `sys/storage/raft/join` name, this node's own address aside.
fn addresses(node: &Node) -> Vec<String> {
    let configured = node.config.storage.retry_join.iter().map(|join| join.leader_api_addr.clone());
    let asked = lock(&node.joining.asked).clone();
    configured.chain(asked).filter(|address| *address != node.config.api_addr).collect()
}

async fn post<T: DeserializeOwned>(node: &Node, address: &str, step: &str, body: &impl Serialize) -> Result<T> {
    #[derive(Deserialize)]
    struct Reply<T> {
        data: Option<T>,
        #[serde(default)]
        errors: Vec<String>,
    }
    let url = format!("{address}/v1/sys/storage/raft/bootstrap/{step}");
    let failed = |error: reqwest::Error| Error::unavailable(peers::words(&error));
    let response = node.peers.unverified().post(url).timeout(TIMEOUT).json(body).send().await.map_err(failed)?;
    let status = response.status();
    let bytes = transport::read(response, ANSWER_BYTES_MAX).await.map_err(Error::unavailable)?;
    let reply: Reply<T> = serde_json::from_slice(&bytes)
        .map_err(|_| Error::unavailable(format!("answered {status} with something that is no answer to a join")))?;
    let refused = || Error::unavailable(reply.errors.first().cloned().unwrap_or_else(|| format!("answered {status}")));
    reply.data.ok_or_else(refused)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
