//! How Raft's records look on disk and on the wire: postcard of the forms below.
//!
//! The forms mirror openraft's types but are our own, so that a newer openraft changes neither disks nor wire. An
//! enum's ordinal is stored: variants are only ever added at the end.

use super::types::{
    Entry, EntryPayload, LogId, Membership, Payload, Peer, SnapshotMeta, StoredMembership, Types, Vote,
};
use crate::decoding::{Decoder, Kind};
use crate::error::Result;
use crate::ids::NodeId;
use crate::state::Command;
use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use openraft::{CommittedLeaderId, EntryPayload as Open};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A type that is stored or sent, as its form.
pub trait Encoded: Sized {
    type Form: Serialize + DeserializeOwned;

    fn to_form(&self) -> Self::Form;

    fn from_form(form: Self::Form) -> Self;

    fn encode(&self) -> Bytes {
        postcard::to_stdvec(&self.to_form()).expect("a form holds nothing that postcard can't encode").into()
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self::from_form(postcard::from_bytes(bytes)?))
    }
}

impl<T: Encoded> Encoded for Option<T> {
    type Form = Option<T::Form>;

    fn to_form(&self) -> Self::Form {
        self.as_ref().map(T::to_form)
    }

    fn from_form(form: Self::Form) -> Self {
        form.map(T::from_form)
    }
}

impl<T: Encoded> Encoded for Vec<T> {
    type Form = Vec<T::Form>;

    fn to_form(&self) -> Self::Form {
        self.iter().map(T::to_form).collect()
    }

    fn from_form(form: Self::Form) -> Self {
        form.into_iter().map(T::from_form).collect()
    }
}

#[derive(Serialize, Deserialize)]
pub struct LogIdForm {
    term: u64,
    leader: NodeId,
    index: u64,
}

impl Encoded for LogId {
    type Form = LogIdForm;

    fn to_form(&self) -> LogIdForm {
        LogIdForm { term: self.leader_id.term, leader: self.leader_id.node_id, index: self.index }
    }

    fn from_form(form: LogIdForm) -> LogId {
        LogId::new(CommittedLeaderId::new(form.term, form.leader), form.index)
    }
}

#[derive(Serialize, Deserialize)]
pub struct VoteForm {
    term: u64,
    node: NodeId,
    committed: bool,
}

impl Encoded for Vote {
    type Form = VoteForm;

    fn to_form(&self) -> VoteForm {
        VoteForm { term: self.leader_id.term, node: self.leader_id.node_id, committed: self.committed }
    }

    fn from_form(form: VoteForm) -> Vote {
        if form.committed { Vote::new_committed(form.term, form.node) } else { Vote::new(form.term, form.node) }
    }
}

#[derive(Serialize, Deserialize)]
pub struct MembershipForm {
    /// One set of voters; two while the membership changes.
    voters: Vec<BTreeSet<NodeId>>,
    nodes: BTreeMap<NodeId, Peer>,
}

impl Encoded for Membership {
    type Form = MembershipForm;

    fn to_form(&self) -> MembershipForm {
        let nodes = self.nodes().map(|(id, peer)| (*id, peer.clone())).collect();
        MembershipForm { voters: self.get_joint_config().clone(), nodes }
    }

    fn from_form(form: MembershipForm) -> Membership {
        Membership::new(form.voters, form.nodes)
    }
}

#[derive(Serialize, Deserialize)]
pub struct StoredMembershipForm {
    log_id: Option<LogIdForm>,
    membership: MembershipForm,
}

impl Encoded for StoredMembership {
    type Form = StoredMembershipForm;

    fn to_form(&self) -> StoredMembershipForm {
        StoredMembershipForm { log_id: self.log_id().to_form(), membership: self.membership().to_form() }
    }

    fn from_form(form: StoredMembershipForm) -> StoredMembership {
        StoredMembership::new(Option::from_form(form.log_id), Membership::from_form(form.membership))
    }
}

#[derive(Serialize, Deserialize)]
pub struct EntryForm {
    log_id: LogIdForm,
    payload: PayloadForm,
}

#[derive(Serialize, Deserialize)]
enum PayloadForm {
    Blank,
    Command(Arc<Command>),
    Membership(MembershipForm),
}

impl Encoded for Entry {
    type Form = EntryForm;

    fn to_form(&self) -> EntryForm {
        let payload = match &self.payload {
            Open::Blank => PayloadForm::Blank,
            Open::Normal(Payload(command)) => PayloadForm::Command(command.clone()),
            Open::Membership(membership) => PayloadForm::Membership(membership.to_form()),
        };
        EntryForm { log_id: self.log_id.to_form(), payload }
    }

    fn from_form(form: EntryForm) -> Entry {
        let payload: EntryPayload = match form.payload {
            PayloadForm::Blank => Open::Blank,
            PayloadForm::Command(command) => Open::Normal(Payload(command)),
            PayloadForm::Membership(membership) => Open::Membership(Membership::from_form(membership)),
        };
        Entry { log_id: LogId::from_form(form.log_id), payload }
    }
}

/// What the state machine has applied (`Key::Applied`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub last: Option<LogId>,
    pub membership: StoredMembership,
}

impl Applied {
    /// The snapshot of the state in which just this is applied.
    pub fn snapshot_meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
            snapshot_id: self.last.map(|last| last.to_string()).unwrap_or_default(),
        }
    }

    pub fn of_snapshot(meta: &SnapshotMeta) -> Applied {
        Applied { last: meta.last_log_id, membership: meta.last_membership.clone() }
    }
}

#[derive(Serialize, Deserialize)]
pub struct AppliedForm {
    last: Option<LogIdForm>,
    membership: StoredMembershipForm,
}

impl Encoded for Applied {
    type Form = AppliedForm;

    fn to_form(&self) -> AppliedForm {
        AppliedForm { last: self.last.to_form(), membership: self.membership.to_form() }
    }

    fn from_form(form: AppliedForm) -> Applied {
        Applied { last: Option::from_form(form.last), membership: StoredMembership::from_form(form.membership) }
    }
}

#[derive(Serialize, Deserialize)]
pub struct AppendForm {
    vote: VoteForm,
    previous: Option<LogIdForm>,
    entries: Vec<EntryForm>,
    committed: Option<LogIdForm>,
}

impl Encoded for AppendEntriesRequest<Types> {
    type Form = AppendForm;

    fn to_form(&self) -> AppendForm {
        AppendForm {
            vote: self.vote.to_form(),
            previous: self.prev_log_id.to_form(),
            entries: self.entries.to_form(),
            committed: self.leader_commit.to_form(),
        }
    }

    fn from_form(form: AppendForm) -> Self {
        AppendEntriesRequest {
            vote: Vote::from_form(form.vote),
            prev_log_id: Option::from_form(form.previous),
            entries: Vec::from_form(form.entries),
            leader_commit: Option::from_form(form.committed),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub enum AppendAnswerForm {
    Success,
    PartialSuccess(Option<LogIdForm>),
    Conflict,
    HigherVote(VoteForm),
}

impl Encoded for AppendEntriesResponse<NodeId> {
    type Form = AppendAnswerForm;

    fn to_form(&self) -> AppendAnswerForm {
        match self {
            AppendEntriesResponse::Success => AppendAnswerForm::Success,
            AppendEntriesResponse::PartialSuccess(through) => AppendAnswerForm::PartialSuccess(through.to_form()),
            AppendEntriesResponse::Conflict => AppendAnswerForm::Conflict,
            AppendEntriesResponse::HigherVote(vote) => AppendAnswerForm::HigherVote(vote.to_form()),
        }
    }

    fn from_form(form: AppendAnswerForm) -> Self {
        match form {
            AppendAnswerForm::Success => AppendEntriesResponse::Success,
            AppendAnswerForm::PartialSuccess(through) => {
                AppendEntriesResponse::PartialSuccess(Option::from_form(through))
            }
            AppendAnswerForm::Conflict => AppendEntriesResponse::Conflict,
            AppendAnswerForm::HigherVote(vote) => AppendEntriesResponse::HigherVote(Vote::from_form(vote)),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub struct VoteRequestForm {
    vote: VoteForm,
    last: Option<LogIdForm>,
}

impl Encoded for VoteRequest<NodeId> {
    type Form = VoteRequestForm;

    fn to_form(&self) -> VoteRequestForm {
        VoteRequestForm { vote: self.vote.to_form(), last: self.last_log_id.to_form() }
    }

    fn from_form(form: VoteRequestForm) -> Self {
        VoteRequest::new(Vote::from_form(form.vote), Option::from_form(form.last))
    }
}

#[derive(Serialize, Deserialize)]
pub struct VoteAnswerForm {
    vote: VoteForm,
    granted: bool,
    last: Option<LogIdForm>,
}

impl Encoded for VoteResponse<NodeId> {
    type Form = VoteAnswerForm;

    fn to_form(&self) -> VoteAnswerForm {
        VoteAnswerForm { vote: self.vote.to_form(), granted: self.vote_granted, last: self.last_log_id.to_form() }
    }

    fn from_form(form: VoteAnswerForm) -> Self {
        VoteResponse::new(Vote::from_form(form.vote), Option::from_form(form.last), form.granted)
    }
}

/// What is read back from the log, and what nodes say to each other.
pub const DECODERS: &[Decoder] = &[
    decoder::<Entry>("raft-entry"),
    decoder::<Vote>("raft-vote"),
    decoder::<Option<LogId>>("raft-purged"),
    decoder::<Applied>("raft-applied"),
    decoder::<AppendEntriesRequest<Types>>("raft-append"),
    decoder::<AppendEntriesResponse<NodeId>>("raft-append-answer"),
    decoder::<VoteRequest<NodeId>>("raft-vote-request"),
    decoder::<VoteResponse<NodeId>>("raft-vote-answer"),
];

const fn decoder<T: Encoded>(name: &'static str) -> Decoder {
    Decoder { name, again: |bytes| Ok(T::decode(bytes)?.encode().to_vec()), kind: Kind::Whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> StoredMembership {
        let peer = |name: &str| Peer { name: name.to_owned(), api_addr: format!("http://{name}") };
        let nodes = BTreeMap::from([(NodeId(1), peer("a")), (NodeId(2), peer("b"))]);
        let voters = vec![BTreeSet::from([NodeId(1)]), BTreeSet::from([NodeId(1), NodeId(2)])];
        StoredMembership::new(Some(log_id(2, 7)), Membership::new(voters, nodes))
    }

    fn log_id(term: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, NodeId(1)), index)
    }

    fn entry(index: u64, payload: EntryPayload) -> Entry {
        Entry { log_id: log_id(3, index), payload }
    }

    /// Disks and other nodes hold these bytes: if they change, so must `format::VERSION` and `network::VERSION`.
    #[test]
    fn what_is_stored_and_sent_stays_as_it_is() {
        let command = EntryPayload::Normal(Payload::new(Command::TrimWal { below: 300 }));
        assert_eq!(hex::encode(entry(5, Open::Blank).encode()), "03010500");
        assert_eq!(hex::encode(entry(6, command).encode()), "0301060104ac02");
        assert_eq!(hex::encode(Vote::new_committed(3, NodeId(1)).encode()), "030101");
        let applied = Applied { last: Some(log_id(3, 6)), membership: membership() };
        assert_eq!(
            hex::encode(applied.encode()),
            "01030106010201070201010201020201016108687474703a2f2f6102016208687474703a2f2f62"
        );
    }

    #[test]
    fn what_is_decoded_is_what_was_encoded() {
        let applied = Applied { last: Some(log_id(3, 6)), membership: membership() };
        assert_eq!(Applied::decode(&applied.encode()).expect("it was just encoded"), applied);
        let request = AppendEntriesRequest {
            vote: Vote::new_committed(3, NodeId(1)),
            prev_log_id: Some(log_id(2, 7)),
            entries: vec![entry(8, Open::Blank), entry(9, Open::Membership(membership().membership().clone()))],
            leader_commit: None,
        };
        let decoded = AppendEntriesRequest::decode(&request.encode()).expect("it was just encoded");
        assert_eq!(format!("{decoded:?}"), format!("{request:?}"));
        for answer in [
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(Some(log_id(2, 7))),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(Vote::new(4, NodeId(2))),
        ] {
            assert_eq!(AppendEntriesResponse::decode(&answer.encode()).expect("it was just encoded"), answer);
        }
        assert!(Entry::decode(&[1]).is_err());
    }
}
