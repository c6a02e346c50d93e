//! A peer that holds a link's true credential, taken from a killed primary's data directory, and sends what it likes.

use crate::support::{Node, PATH};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use twinkeep::clock;
use twinkeep::ids::{Epoch, Position, RegionId};
use twinkeep::replication::envelope::{Channel, OPEN, Sender};
use twinkeep::replication::link_record;
use twinkeep::replication::protocol::{Answer, Ask, Header, Hello, Identity, PROTOCOL, Request};
use twinkeep::state::{PathState, State};
use twinkeep::storage::{self, Engine};

/// Where the envelope holds its author.
const AUTHOR: std::ops::Range<usize> = 1..17;

/// What is needed to speak as the primary that was killed.
pub struct Peer {
    http: reqwest::Client,
    address: String,
    sender: Sender,
    channel: Channel,
    pub me: RegionId,
    pub path: PathState,
}

/// What came back: the status and the body.
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Peer {
    /// Takes over from the node that kept its data in `directory`. It must not run any more.
    pub fn take_over(directory: &Path, standby: &Node) -> Peer {
        let store = storage::open(directory, Engine::Fjall).expect("the data of a killed node");
        let state = Arc::new(State::open(store, PATH).expect("a state"));
        let me = state.identity().expect("read").expect("a region").id;
        let link = link_record::list(&state).expect("links").pop().expect("a link");
        let credential = link.credential.expect("an activated link").current().clone();
        let channel = Channel::new(&credential, PATH, me, link.region);
        Peer {
            http: http(),
            address: standby.address.clone(),
            sender: Sender::new(channel.clone()),
            channel,
            me,
            path: state.path(),
        }
    }

    /// Asks for a session.
    pub async fn open(&mut self) {
        let (body, tag) = self.sender.seal_open().expect("sealed");
        let reply = self.post(PATH, OPEN, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        self.sender.open_session(tag, &reply.body).expect("a session");
    }

    /// A body that proves the credential.
    pub fn seal(&mut self, kind: &str, payload: &[u8]) -> Bytes {
        self.sender.seal_request(kind, payload).expect("sealed").0
    }

    /// The same as somebody else would claim to have sent it.
    pub fn seal_as(&mut self, author: RegionId, kind: &str, payload: &[u8]) -> Bytes {
        let mut body = self.seal(kind, payload).to_vec();
        body[AUTHOR].copy_from_slice(&author.0);
        body.into()
    }

    /// A sender with the same credential, but of another session of its own.
    pub fn stranger(&self) -> Sender {
        Sender::new(self.channel.clone())
    }

    /// Asks as the credential's holder, and opens the answer.
    pub async fn ask(&mut self, request: &Request) -> Answer {
        let kind = request.ask.name();
        let payload = postcard::to_stdvec(request).expect("encoded");
        let (body, tag) = self.sender.seal_request(kind, &payload).expect("sealed");
        let reply = self.post(PATH, kind, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let opened = self.sender.open_answer(tag, kind, &reply.body).expect("the standby's own answer");
        postcard::from_bytes(&opened.payload).expect("an answer")
    }

    pub async fn post(&self, path: &str, kind: &str, body: Bytes) -> Reply {
        let url = format!("{}/v1/sys/replication/path/{path}/link/{kind}", self.address);
        let response = self.http.post(url).body(body).send().await.expect("the node answers");
        Reply { status: response.status().as_u16(), body: response.bytes().await.expect("a body") }
    }

    /// What a primary that stands where the killed one stood says of itself.
    pub fn header(&self) -> Header {
        Header {
            dataset: self.path.dataset,
            epoch: self.path.epoch,
            head: self.path.applied,
            head_at: self.path.applied_at,
            totals: self.path.totals,
            sent_at: clock::now(),
            handover: None,
        }
    }

    pub fn heartbeat(&self) -> Request {
        Request { header: self.header(), ask: Ask::Heartbeat { root: None } }
    }

    pub fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            identity: Identity {
                region: self.me,
                name: "us-east-1".into(),
                addresses: Vec::new(),
                version: "0".into(),
            },
            history: self.path.history.clone(),
            wal_first: 1,
            entries: self.path.entries,
            bytes: self.path.bytes,
        }
    }

    /// The position behind what the standby holds by so many.
    pub fn ahead(&self, by: u64) -> Position {
        Position::new(Epoch(self.path.epoch.0), self.path.applied.index + by)
    }
}

/// A client that speaks plain HTTP.
pub fn http() -> reqwest::Client {
    let tls = twinkeep::tls::pinned_to_any(Vec::new()).expect("a configuration");
    reqwest::Client::builder()
        .use_preconfigured_tls(tls)
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client")
}
