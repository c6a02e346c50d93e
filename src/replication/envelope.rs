//! The envelope of every body on a link: whoever does not hold the link credential can neither forge, change,
//! replay nor redirect one, with TLS or without.
//!
//! ```text
//! version 1 │ author 16 │ session 16 │ number 8 │ authenticator 32 │ payload
//! ```
//!
//! The payload is encrypted (XChaCha20-Poly1305 under a nonce of session and number, which never come twice), so that
//! without TLS as well whoever listens learns sizes and times only; requests for a session, which say nothing, are not.
//! The authenticator covers everything else, and the path, the kind of request and, in an answer, the authenticator
//! of the request. Keys differ by direction, and for requests and answers. A sender first asks for a session
//! (`OPEN`); the receiver names one at random, so that requests recorded earlier belong to no session that it knows.
//! Inside a session a number is taken once, in any order within a window.

use super::crypto::{Mac, Secret};
use super::protocol::PROTOCOL;
use crate::clock;
use crate::decoding::{Decoder, Kind};
use crate::error::{Error, Result};
use crate::ids::RegionId;
use bytes::{BufMut, Bytes, BytesMut};
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use std::collections::VecDeque;

/// The kind of the request that asks for a session.
pub const OPEN: &str = "open";
/// The longest body that is taken from the network.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// The protocol's version begins every body, so that another one is known before anything is decoded. It and the author
/// stay where they are in every version.
const VERSION: u8 = PROTOCOL as u8;
const HEADER_BYTES: usize = 1 + 16 + 16 + 8;
const MAC_BYTES: usize = 32;
/// Of the cipher.
const TAG_BYTES: usize = 16;
/// How far behind the newest number of a session a number may arrive.
const WINDOW: u64 = 1024;
/// Sessions that the receiver remembers: the one in use, and those that were asked for meanwhile.
const SESSIONS_MAX: usize = 8;

/// Names a conversation of a sender with a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Session(pub [u8; 16]);

/// Who sends requests to whom, on which path, and the keys of that direction.
#[derive(Clone, Debug)]
pub struct Channel {
    path: String,
    from: RegionId,
    to: RegionId,
    request: Keys,
    answer: Keys,
}

/// Of one direction.
#[derive(Clone, Debug)]
struct Keys {
    authenticates: Secret,
    encrypts: Secret,
}

/// A sealed request, or a request as it was opened, as its answer refers to it.
#[derive(Clone, Copy, Debug)]
pub struct RequestTag {
    session: Session,
    number: u64,
    mac: Mac,
}

/// What an envelope carried.
#[derive(Clone, Debug)]
pub struct Opened {
    pub payload: Bytes,
    pub tag: RequestTag,
}

impl Channel {
    pub fn new(credential: &Secret, path: &str, from: RegionId, to: RegionId) -> Channel {
        let key = |context| credential.derive(context, &[path.as_bytes(), &from.0, &to.0]);
        Channel {
            path: path.to_owned(),
            from,
            to,
            request: Keys {
                authenticates: key("twinkeep 2026 link request"),
                encrypts: key("twinkeep 2026 link request encryption"),
            },
            answer: Keys {
                authenticates: key("twinkeep 2026 link answer"),
                encrypts: key("twinkeep 2026 link answer encryption"),
            },
        }
    }

    /// The receiver's answer to a request that it opened.
    pub fn seal_answer(&self, tag: RequestTag, kind: &str, payload: &[u8]) -> Result<Bytes> {
        let bound = Bound { author: self.to, kind, session: tag.session, number: tag.number, answers: Some(tag.mac) };
        Ok(self.seal(&self.answer, &bound, payload)?.0)
    }

    fn seal(&self, keys: &Keys, bound: &Bound<'_>, payload: &[u8]) -> Result<(Bytes, Mac)> {
        let length = HEADER_BYTES + MAC_BYTES + payload.len() + TAG_BYTES;
        if length > BODY_BYTES_MAX {
            return Err(Error::TooLarge { got: length as u64, max: BODY_BYTES_MAX as u64 });
        }
        let mut body = BytesMut::with_capacity(length);
        body.put_u8(VERSION);
        body.put_slice(&bound.author.0);
        body.put_slice(&bound.session.0);
        body.put_u64(bound.number);
        let sealed = bound.encrypt(&keys.encrypts, payload)?;
        let mac = self.mac(&keys.authenticates, bound, &body, &sealed);
        body.put_slice(&mac.0);
        body.put_slice(&sealed);
        Ok((body.freeze(), mac))
    }

    fn open(&self, keys: &Keys, bound: &Bound<'_>, body: &Bytes) -> Result<(Bytes, Mac)> {
        let parts = Parts::split(body)?;
        if parts.author != bound.author || parts.session != bound.session || parts.number != bound.number {
            return Err(Error::PermissionDenied);
        }
        if self.mac(&keys.authenticates, bound, &body[..HEADER_BYTES], &parts.payload) != parts.mac {
            return Err(Error::PermissionDenied);
        }
        Ok((bound.decrypt(&keys.encrypts, parts.payload)?, parts.mac))
    }

    fn mac(&self, key: &Secret, bound: &Bound<'_>, header: &[u8], payload: &[u8]) -> Mac {
        let answers = bound.answers.map(|mac| mac.0).unwrap_or_default();
        let ends = [self.from.0, self.to.0].concat();
        key.authenticate(&[self.path.as_bytes(), bound.kind.as_bytes(), &ends, &answers, header, payload])
    }
}

/// What a body must belong to.
struct Bound<'a> {
    author: RegionId,
    kind: &'a str,
    session: Session,
    number: u64,
    /// Of an answer: the authenticator of its request.
    answers: Option<Mac>,
}

impl Bound<'_> {
    fn encrypt(&self, key: &Secret, payload: &[u8]) -> Result<Vec<u8>> {
        if self.kind == OPEN {
            return Ok(payload.to_vec());
        }
        let sealed = XChaCha20Poly1305::new(key.expose().into()).encrypt(&self.nonce().into(), payload);
        sealed.map_err(|_| Error::internal("encrypting a body of the link failed"))
    }

    fn decrypt(&self, key: &Secret, sealed: Bytes) -> Result<Bytes> {
        if self.kind == OPEN {
            return Ok(sealed);
        }
        let payload = XChaCha20Poly1305::new(key.expose().into()).decrypt(&self.nonce().into(), sealed.as_ref());
        payload.map(Bytes::from).map_err(|_| Error::PermissionDenied)
    }

    /// A session is random, and a number is taken once in it: by one request, and the one answer to that.
    fn nonce(&self) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&self.session.0);
        nonce[16..].copy_from_slice(&self.number.to_be_bytes());
        nonce
    }
}

/// A body, cut into its fields.
struct Parts {
    author: RegionId,
    session: Session,
    number: u64,
    mac: Mac,
    payload: Bytes,
}

impl Parts {
    fn split(body: &Bytes) -> Result<Parts> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::TooLarge { got: body.len() as u64, max: BODY_BYTES_MAX as u64 });
        }
        if body.len() < HEADER_BYTES + MAC_BYTES {
            return Err(Error::invalid("a body on the link is shorter than its envelope"));
        }
        if body[0] != VERSION {
            return Err(Error::invalid(other_version(body[0])));
        }
        let array = |at: usize| -> [u8; 16] { body[at..at + 16].try_into().expect("the length was checked") };
        let word = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("the length was checked"));
        Ok(Parts {
            author: RegionId(array(1)),
            session: Session(array(17)),
            number: word(33),
            mac: Mac(body[HEADER_BYTES..HEADER_BYTES + MAC_BYTES].try_into().expect("the length was checked")),
            payload: body.slice(HEADER_BYTES + MAC_BYTES..),
        })
    }
}

pub(super) const DECODER: Decoder = Decoder { name: "link-envelope", again: parts_again, kind: Kind::Open };

fn parts_again(body: &[u8]) -> Result<Vec<u8>> {
    let parts = Parts::split(&Bytes::copy_from_slice(body))?;
    let number = parts.number.to_be_bytes();
    Ok([&[VERSION][..], &parts.author.0, &parts.session.0, &number, &parts.mac.0, &parts.payload].concat())
}

/// What is said of a body of another version, on both sides.
fn other_version(theirs: u8) -> String {
    format!(
        "the other region speaks version {theirs} of the protocol between regions, this one {VERSION}: run the same \
         version of twinkeep in both"
    )
}

/// Who says that it sent this body of another version, and what is to be said of it; `None` for one of this version.
pub fn of_another_version(body: &Bytes) -> Option<(RegionId, String)> {
    let (theirs, rest) = body.split_first().filter(|(theirs, _)| **theirs != VERSION)?;
    Some((RegionId(rest.get(..16)?.try_into().ok()?), other_version(*theirs)))
}

/// Which region says that it sent this body: to look up its link, before anything is proven.
pub fn claimed_sender(body: &Bytes) -> Result<RegionId> {
    Ok(Parts::split(body)?.author)
}

/// The side that sends requests.
#[derive(Debug)]
pub struct Sender {
    channel: Channel,
    session: Session,
    next: u64,
}

impl Sender {
    /// Has no session yet: only `seal_open` works.
    pub fn new(channel: Channel) -> Sender {
        Sender { channel, session: Session::default(), next: 1 }
    }

    pub fn has_session(&self) -> bool {
        self.session != Session::default()
    }

    /// Forgets the session of this request, after the receiver said that it does not know it. A newer one stays.
    pub fn drop_session(&mut self, tag: RequestTag) {
        if self.session == tag.session {
            self.session = Session::default();
        }
    }

    /// The request for a session.
    pub fn seal_open(&self) -> Result<(Bytes, RequestTag)> {
        // A random number in place of a count: the answer is bound to just this request.
        let number = u64::from_be_bytes(clock::random_bytes());
        self.seal_with(OPEN, Session::default(), number, &[])
    }

    /// Takes up the session that the answer to `seal_open` names.
    pub fn open_session(&mut self, tag: RequestTag, body: &Bytes) -> Result<()> {
        let opened = self.open_answer(tag, OPEN, body)?;
        let session = opened.payload.as_ref().try_into();
        let session =
            Session(session.map_err(|_| Error::corrupt("the answer to a request for a session is no session"))?);
        (self.session, self.next) = (session, 1);
        Ok(())
    }

    pub fn seal_request(&mut self, kind: &str, payload: &[u8]) -> Result<(Bytes, RequestTag)> {
        if !self.has_session() {
            return Err(Error::internal("a request on a link needs a session"));
        }
        let number = self.next;
        self.next += 1;
        self.seal_with(kind, self.session, number, payload)
    }

    /// Opens the answer to the request with this tag, and to no other.
    pub fn open_answer(&self, tag: RequestTag, kind: &str, body: &Bytes) -> Result<Opened> {
        let channel = &self.channel;
        let bound =
            Bound { author: channel.to, kind, session: tag.session, number: tag.number, answers: Some(tag.mac) };
        let (payload, mac) = channel.open(&channel.answer, &bound, body)?;
        Ok(Opened { payload, tag: RequestTag { mac, ..tag } })
    }

    fn seal_with(&self, kind: &str, session: Session, number: u64, payload: &[u8]) -> Result<(Bytes, RequestTag)> {
        let bound = Bound { author: self.channel.from, kind, session, number, answers: None };
        let (body, mac) = self.channel.seal(&self.channel.request, &bound, payload)?;
        Ok((body, RequestTag { session, number, mac }))
    }
}

/// The side that takes requests.
#[derive(Debug)]
pub struct Receiver {
    channel: Channel,
    /// Oldest first. A session in use drops those before it.
    sessions: VecDeque<(Session, Window)>,
}

/// What the receiver found in a body that proved to be the sender's.
#[derive(Debug)]
pub enum Incoming {
    Request(Opened),
    /// It asked for a session: the answer to send.
    Opened(Bytes),
    /// Its session is not known here, after a restart or a change of leader: it must ask for one.
    NoSession,
}

impl Receiver {
    pub fn new(channel: Channel) -> Receiver {
        Receiver { channel, sessions: VecDeque::new() }
    }

    pub fn open(&mut self, kind: &str, body: &Bytes) -> Result<Incoming> {
        let parts = Parts::split(body)?;
        let bound =
            Bound { author: self.channel.from, kind, session: parts.session, number: parts.number, answers: None };
        let (payload, mac) = self.channel.open(&self.channel.request, &bound, body)?;
        let tag = RequestTag { session: parts.session, number: parts.number, mac };
        if kind == OPEN {
            return Ok(Incoming::Opened(self.new_session(tag)?));
        }
        let Some(at) = self.sessions.iter().position(|(session, _)| *session == tag.session) else {
            return Ok(Incoming::NoSession);
        };
        if !self.sessions[at].1.take(tag.number) {
            return Err(Error::Conflict("this request was already taken: a replay".into()));
        }
        self.sessions.drain(..at);
        Ok(Incoming::Request(Opened { payload, tag }))
    }

    fn new_session(&mut self, tag: RequestTag) -> Result<Bytes> {
        let session = Session(clock::random_bytes());
        if self.sessions.len() == SESSIONS_MAX {
            // The first is the one in use; a flood of recorded requests must not push it out.
            self.sessions.remove(1);
        }
        self.sessions.push_back((session, Window::default()));
        self.channel.seal_answer(tag, OPEN, &session.0)
    }
}

/// Which numbers of a session were taken.
#[derive(Debug, Default)]
struct Window {
    newest: u64,
    /// One bit for each of the `WINDOW` numbers up to `newest`, by number modulo `WINDOW`.
    taken: [u64; (WINDOW / 64) as usize],
}

impl Window {
    /// True once for each number; false for one that is too old to tell.
    fn take(&mut self, number: u64) -> bool {
        if number == 0 || number.saturating_add(WINDOW) <= self.newest {
            return false;
        }
        if number > self.newest {
            let passed = (number - self.newest).min(WINDOW);
            for between in number + 1 - passed..=number {
                self.set(between, false);
            }
            self.newest = number;
        } else if self.get(number) {
            return false;
        }
        self.set(number, true);
        true
    }

    fn get(&self, number: u64) -> bool {
        let at = number % WINDOW;
        self.taken[(at / 64) as usize] >> (at % 64) & 1 == 1
    }

    fn set(&mut self, number: u64, taken: bool) {
        let at = number % WINDOW;
        let word = &mut self.taken[(at / 64) as usize];
        *word = *word & !(1 << (at % 64)) | u64::from(taken) << (at % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn channel() -> Channel {
        Channel::new(&Secret::new([5; 32]), "default", RegionId([1; 16]), RegionId([2; 16]))
    }

    /// A sender and a receiver with a session.
    fn pair() -> (Sender, Receiver) {
        let (mut sender, mut receiver) = (Sender::new(channel()), Receiver::new(channel()));
        let (body, tag) = sender.seal_open().expect("sealed");
        let Incoming::Opened(answer) = receiver.open(OPEN, &body).expect("opened") else { panic!("no session") };
        sender.open_session(tag, &answer).expect("a session");
        (sender, receiver)
    }

    fn payload(incoming: Result<Incoming>) -> Option<Bytes> {
        match incoming {
            Ok(Incoming::Request(opened)) => Some(opened.payload),
            _ => None,
        }
    }

    #[test]
    fn a_request_and_its_answer_go_through_and_belong_together() {
        let (mut sender, mut receiver) = pair();
        let (one, tag_one) = sender.seal_request("wal", b"one").expect("sealed");
        let (two, tag_two) = sender.seal_request("wal", b"two").expect("sealed");
        let Ok(Incoming::Request(two)) = receiver.open("wal", &two) else { panic!("refused") };
        let Ok(Incoming::Request(one)) = receiver.open("wal", &one) else { panic!("refused out of order") };
        assert_eq!((one.payload.as_ref(), two.payload.as_ref()), (&b"one"[..], &b"two"[..]));
        let answer = channel().seal_answer(one.tag, "wal", b"yes").expect("sealed");
        let opened = sender.open_answer(tag_one, "wal", &answer).expect("its answer");
        assert_eq!(opened.payload.as_ref(), &b"yes"[..]);
        assert!(sender.open_answer(tag_two, "wal", &answer).is_err(), "an answer to another request");
        assert!(sender.open_answer(tag_one, "hello", &answer).is_err(), "an answer of another kind");
    }

    #[test]
    fn what_is_sent_is_not_what_passes() {
        let (mut sender, mut receiver) = pair();
        let (body, _) = sender.seal_request("news", b"a credential of two standbys").expect("sealed");
        assert!(!body.windows(10).any(|window| window == b"credential"));
        let Ok(Incoming::Request(opened)) = receiver.open("news", &body) else { panic!("refused") };
        let answer = channel().seal_answer(opened.tag, "news", b"a credential of two standbys").expect("sealed");
        assert!(!answer.windows(10).any(|window| window == b"credential"));
        assert_ne!(body[HEADER_BYTES + MAC_BYTES..], answer[HEADER_BYTES + MAC_BYTES..], "keys of their own");
    }

    #[test]
    fn a_replay_is_refused_inside_a_session_and_across_sessions() {
        let (mut sender, mut receiver) = pair();
        let (old, _) = sender.seal_request("wal", b"old").expect("sealed");
        assert!(payload(receiver.open("wal", &old)).is_some());
        assert!(matches!(receiver.open("wal", &old), Err(Error::Conflict(_))));
        let (mut next, mut fresh) = pair();
        assert!(matches!(fresh.open("wal", &old), Ok(Incoming::NoSession)));
        let (body, _) = next.seal_request("wal", b"new").expect("sealed");
        assert!(payload(fresh.open("wal", &body)).is_some());
    }

    #[test]
    fn recorded_requests_for_sessions_do_not_push_out_the_one_in_use() {
        let (mut sender, mut receiver) = pair();
        let (first, _) = sender.seal_request("wal", b"1").expect("sealed");
        assert!(payload(receiver.open("wal", &first)).is_some());
        let (recorded, _) = sender.seal_open().expect("sealed");
        for _ in 0..3 * SESSIONS_MAX {
            receiver.open(OPEN, &recorded).expect("a session");
        }
        let (second, _) = sender.seal_request("wal", b"2").expect("sealed");
        assert!(payload(receiver.open("wal", &second)).is_some());
    }

    #[test]
    fn another_path_direction_kind_or_credential_opens_nothing() {
        let (mut sender, mut receiver) = pair();
        let (body, _) = sender.seal_request("wal", b"x").expect("sealed");
        assert!(receiver.open("copy", &body).is_err());
        let (one, two) = (RegionId([1; 16]), RegionId([2; 16]));
        let others = [
            Channel::new(&Secret::new([6; 32]), "default", one, two),
            Channel::new(&Secret::new([5; 32]), "other", one, two),
            Channel::new(&Secret::new([5; 32]), "default", two, one),
        ];
        for other in others {
            let mut other = Receiver::new(other);
            other.sessions = receiver.sessions.iter().map(|(session, _)| (*session, Window::default())).collect();
            assert!(matches!(other.open("wal", &body), Err(Error::PermissionDenied)));
        }
        assert!(payload(receiver.open("wal", &body)).is_some(), "a refused body took no number");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused_and_changes_nothing() {
        let (mut sender, mut receiver) = pair();
        let (body, _) = sender.seal_request("wal", b"payload").expect("sealed");
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.to_vec();
                changed[at] ^= 1 << bit;
                assert!(payload(receiver.open("wal", &changed.into())).is_none(), "byte {at}");
            }
            assert!(receiver.open("wal", &body.slice(..at)).is_err(), "cut at {at}");
        }
        assert!(payload(receiver.open("wal", &body)).is_some());
    }

    #[test]
    fn what_is_too_long_is_neither_sent_nor_read() {
        let (mut sender, mut receiver) = pair();
        let long = vec![0; BODY_BYTES_MAX];
        assert!(matches!(sender.seal_request("wal", &long), Err(Error::TooLarge { .. })));
        let long = Bytes::from(vec![1; BODY_BYTES_MAX + 1]);
        assert!(matches!(receiver.open("wal", &long), Err(Error::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_receiver_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (_, mut receiver) = pair();
            prop_assert!(payload(receiver.open("wal", &body.into())).is_none());
        }

        #[test]
        fn the_window_takes_each_number_at_most_once(numbers in proptest::collection::vec(0u64..5_000, 0..400)) {
            let (mut window, mut seen, mut newest) = (Window::default(), HashSet::new(), 0);
            for number in numbers {
                let expected = number > 0 && number + WINDOW > newest && !seen.contains(&number);
                prop_assert_eq!(window.take(number), expected);
                if expected {
                    seen.insert(number);
                    newest = newest.max(number);
                }
            }
        }
    }
}
