//! The handshake that turns an activation token into a link: two requests of the primary to the standby.
//!
//! ```text
//! primary                                              standby
//!    │  start   who I am, which token, nonce, proof ──►   │  looks at its record: known, right, still good?
//!    │ ◄──  who I am, nonce, proof                        │
//!    │  finish  offer, sealed keyring and seed, proof ──► │  spends the token, keeps link and keyring: one change
//!    │ ◄──  proof under the new credential                │
//! ```
//!
//! A proof is a BLAKE3 hash keyed with a hash of the token's secret, over all that was said, so the secret never
//! crosses the link and neither side can be somebody else. The first finish that arrives binds the token to its
//! primary; the same finish may be repeated as often as its answer is lost. The link credential also depends on a
//! random seed that is sealed to the token's key, which the standby then forgets: who later finds the token in a
//! file and has recorded the handshake can't derive it.
//!
//! Pure: values and bytes in, values and bytes out.

use super::crypto::{self, Mac, Secret};
use super::protocol::PROTOCOL;
use super::token::ActivationToken;
use super::token_records::{Fate, TokenRecord, Use};
use crate::api::replication::TokenState;
use crate::clock::UnixMs;
use crate::decoding::Decoder;
use crate::error::{Error, Result};
use crate::ids::{DatasetId, RegionId};
use crate::tls::Fingerprint;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest request or answer of a handshake; a keyring is far smaller.
pub const HANDSHAKE_BYTES_MAX: usize = 1 << 20;
pub const START: &str = "start";
pub const FINISH: &str = "finish";

/// A region that takes part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Party {
    pub id: RegionId,
    pub name: String,
}

/// The first request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Start {
    protocol: u32,
    path: String,
    accessor: String,
    standby: RegionId,
    primary: Party,
    nonce: [u8; 32],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StartAnswer {
    standby: Party,
    nonce: [u8; 32],
}

/// What the standby will take over, and how the primary is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The standby agrees, by spending the token, that its own data may be replaced by this data set.
    pub dataset: DatasetId,
    pub addresses: Vec<String>,
    pub fingerprints: Vec<Fingerprint>,
}

/// The second request.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Finish {
    start: Start,
    standby_nonce: [u8; 32],
    offer: Offer,
    /// Sealed to the token's key by whoever holds the keyring.
    keyring: Vec<u8>,
    /// Sealed to the token's key: 32 random bytes that go into the credential.
    seed: Vec<u8>,
}

/// What both sides decode before or after a proof.
pub(super) const DECODERS: &[Decoder] = &[
    Decoder::postcard::<Start>("handshake-start"),
    Decoder::postcard::<StartAnswer>("handshake-start-answer"),
    Decoder::postcard::<Finish>("handshake-finish"),
    Decoder::postcard::<Finished>("handshake-finished"),
    Decoder::postcard::<Proven>("handshake-proven"),
];

/// A body with its proof.
#[derive(Serialize, Deserialize)]
struct Proven {
    proof: Mac,
    body: Vec<u8>,
}

/// The primary's side of one handshake.
#[derive(Debug)]
pub struct Attempt {
    token: ActivationToken,
    start: Start,
    request: Bytes,
}

impl Attempt {
    /// Checks the token as far as the primary can, and makes the first request. Whether it expired is for the
    /// standby to say, by whose clock it was made.
    pub fn begin(token: ActivationToken, path: &str, primary: Party, nonce: [u8; 32]) -> Result<Attempt> {
        if token.path != path {
            return Err(Error::invalid(format!(
                "the activation token is for the path \"{}\", this region's path is \"{path}\"",
                token.path
            )));
        }
        if token.region == primary.id {
            return Err(Error::invalid(
                "the activation token was made in this region: make it on the standby, connect on the primary",
            ));
        }
        let start = Start {
            protocol: PROTOCOL,
            path: path.to_owned(),
            accessor: token.accessor.clone(),
            standby: token.region,
            primary,
            nonce,
        };
        let request = prove(&token.proof_key(), START, &[], &start)?;
        Ok(Attempt { token, start, request })
    }

    pub fn request(&self) -> Bytes {
        self.request.clone()
    }

    /// Checks the standby's proof, and makes the second request and the credential that both sides will hold.
    /// `keyring` is sealed to the token's key already.
    pub fn finish(&self, answer: &Bytes, offer: Offer, keyring: Vec<u8>, seed: &Secret) -> Result<(Bytes, Secret)> {
        let proof_key = self.token.proof_key();
        let answer: StartAnswer = check(&proof_key, "start answer", &self.request, answer).map_err(|_| {
            Error::invalid(format!("who answered is not the region {} that made the token", self.token.region_name))
        })?;
        let finish = Finish {
            start: self.start.clone(),
            standby_nonce: answer.nonce,
            offer,
            keyring,
            seed: crypto::seal(&self.token.sealing_key, seed.expose())?,
        };
        let request = prove(&proof_key, FINISH, &[], &finish)?;
        if request.len() > HANDSHAKE_BYTES_MAX {
            return Err(Error::TooLarge { got: request.len() as u64, max: HANDSHAKE_BYTES_MAX as u64 });
        }
        Ok((request, credential(&proof_key, &finish, seed)))
    }
}

/// Whether the answer to a finish proves that the standby holds the same credential.
pub fn check_finished(credential: &Secret, request: &Bytes, answer: &Bytes) -> Result<Finished> {
    check(credential, "finish answer", request, answer)
}

/// What the standby answers to a finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub standby: Party,
    pub addresses: Vec<String>,
    pub fingerprints: Vec<Fingerprint>,
}

/// Longer than any that is made.
const ACCESSOR_CHARS_MAX: usize = 64;

/// Which token a request names: to look up its record, before anything is proven.
pub fn claimed_accessor(kind: &str, request: &Bytes) -> Result<String> {
    let body = split(request)?.body;
    let start = if kind == FINISH { decode::<Finish>(&body)?.start } else { decode::<Start>(&body)? };
    if start.accessor.len() > ACCESSOR_CHARS_MAX {
        return Err(Error::invalid("the request does not name an activation token"));
    }
    Ok(start.accessor)
}

/// The standby's side.
pub struct Standby<'a> {
    pub path: &'a str,
    pub me: &'a Party,
    pub now: UnixMs,
}

/// What a finish comes to on the standby.
#[derive(Debug)]
pub enum Verdict {
    /// The token is good: spend it and keep these.
    Accept(Box<Accepted>),
    /// This very finish spent the token before: only the answer was lost.
    Repeated { primary: Party },
}

#[derive(Debug)]
pub struct Accepted {
    pub primary: Party,
    pub offer: Offer,
    pub credential: Secret,
    pub sealed_keyring: Vec<u8>,
    pub opening_key: Secret,
    /// What the spent token's record remembers of the finish.
    pub finish: [u8; 32],
}

impl Standby<'_> {
    /// The answer to a start, or what is wrong with its token.
    pub fn answer_start(&self, request: &Bytes, record: Option<&TokenRecord>) -> Result<Bytes> {
        let claimed: Start = decode(&split(request)?.body)?;
        let record = self.known(&claimed, record)?;
        let start: Start = check(&record.proof_key, START, &[], request).map_err(|_| self.wrong())?;
        self.still_good(record, start.primary.id)?;
        let answer =
            StartAnswer { standby: self.me.clone(), nonce: *standby_nonce(&record.proof_key, &start)?.expose() };
        prove(&record.proof_key, "start answer", request, &answer)
    }

    /// Whether a finish spends its token. The caller makes it so in one agreed change.
    pub fn judge_finish(&self, request: &Bytes, record: Option<&TokenRecord>) -> Result<Verdict> {
        let claimed: Finish = decode(&split(request)?.body)?;
        let record = self.known(&claimed.start, record)?;
        let finish: Finish = check(&record.proof_key, FINISH, &[], request).map_err(|_| self.wrong())?;
        if standby_nonce(&record.proof_key, &finish.start)?.expose() != &finish.standby_nonce {
            return Err(self.wrong());
        }
        let hash = *blake3::hash(request).as_bytes();
        if matches!(&record.fate, Fate::Used(used) if used.finish == hash) {
            return Ok(Verdict::Repeated { primary: finish.start.primary });
        }
        self.still_good(record, RegionId::default())?;
        let Fate::Issued { opening_key } = &record.fate else {
            return Err(Error::internal("a token that is still good has no opening key"));
        };
        let seed: [u8; 32] = crypto::open(opening_key, &finish.seed)?
            .try_into()
            .map_err(|_| Error::corrupt("the seed of a link credential has a wrong length"))?;
        let credential = credential(&record.proof_key, &finish, &Secret::new(seed));
        Ok(Verdict::Accept(Box::new(Accepted {
            primary: finish.start.primary,
            offer: finish.offer,
            credential,
            sealed_keyring: finish.keyring,
            opening_key: opening_key.clone(),
            finish: hash,
        })))
    }

    /// The answer to a finish that was accepted, now or before.
    pub fn answer_finish(&self, request: &Bytes, credential: &Secret, finished: &Finished) -> Result<Bytes> {
        prove(credential, "finish answer", request, finished)
    }

    fn known<'r>(&self, start: &Start, record: Option<&'r TokenRecord>) -> Result<&'r TokenRecord> {
        if start.protocol != PROTOCOL {
            return Err(Error::invalid(format!(
                "the primary speaks version {} of the protocol between regions, {} speaks {PROTOCOL}",
                start.protocol, self.me.name
            )));
        }
        if start.path != self.path {
            return Err(Error::invalid(format!(
                "the activation token is of the path \"{}\"; the path of {} is \"{}\"",
                start.path, self.me.name, self.path
            )));
        }
        if start.standby != self.me.id {
            return Err(Error::invalid(format!(
                "the activation token was made in another region than {} at this address",
                self.me.name
            )));
        }
        record.filter(|record| record.path == self.path).ok_or_else(|| self.wrong())
    }

    fn still_good(&self, record: &TokenRecord, asking: RegionId) -> Result<()> {
        let again = format!("make a new one on {} with `twinkeep replication generate-token`", self.me.name);
        match (&record.fate, record.state(self.now)) {
            (_, TokenState::Issued) => Ok(()),
            // Lets a primary whose first finish got through, but not its answer, repeat it.
            (Fate::Used(used), _) if used.by == asking => Ok(()),
            (Fate::Used(Use { by_name, at, .. }), _) => {
                Err(Error::invalid(format!("the activation token was used already, by {by_name} at {at}: {again}")))
            }
            (Fate::Revoked { at }, _) => {
                Err(Error::invalid(format!("the activation token was revoked at {at}: {again}")))
            }
            (Fate::Issued { .. } | Fate::Expired, _) => {
                Err(Error::invalid(format!("the activation token expired at {}: {again}", record.expires_at)))
            }
        }
    }

    fn wrong(&self) -> Error {
        Error::invalid(format!("the activation token is wrong: {} has not made it, or not as it is", self.me.name))
    }
}

/// The standby's nonce depends on the token and the start alone, so that any leader of the region gives the same.
fn standby_nonce(proof_key: &Secret, start: &Start) -> Result<Secret> {
    Ok(proof_key.derive("twinkeep 2026 link standby nonce", &[&postcard::to_stdvec(start)?]))
}

fn credential(proof_key: &Secret, finish: &Finish, seed: &Secret) -> Secret {
    let (start, context) = (&finish.start, "twinkeep 2026 link credential");
    let parts = [&start.nonce[..], &finish.standby_nonce, &start.primary.id.0, &start.standby.0, seed.expose()];
    proof_key.derive(context, &parts)
}

fn prove<T: Serialize>(key: &Secret, what: &str, answers: &[u8], body: &T) -> Result<Bytes> {
    let body = postcard::to_stdvec(body)?;
    let proof = key.authenticate(&[what.as_bytes(), answers, &body]);
    Ok(postcard::to_stdvec(&Proven { proof, body })?.into())
}

fn check<T: for<'de> Deserialize<'de>>(key: &Secret, what: &str, answers: &[u8], bytes: &Bytes) -> Result<T> {
    let proven = split(bytes)?;
    if key.authenticate(&[what.as_bytes(), answers, &proven.body]) != proven.proof {
        return Err(Error::PermissionDenied);
    }
    decode(&proven.body)
}

fn split(bytes: &Bytes) -> Result<Proven> {
    if bytes.len() > HANDSHAKE_BYTES_MAX {
        return Err(Error::TooLarge { got: bytes.len() as u64, max: HANDSHAKE_BYTES_MAX as u64 });
    }
    decode(bytes)
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|_| Error::invalid("a request of the handshake does not decode"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::token;
    use proptest::prelude::*;

    const NOW: UnixMs = UnixMs(1_000);

    fn primary() -> Party {
        Party { id: RegionId([1; 16]), name: "us-east-1".into() }
    }

    fn standby() -> Party {
        Party { id: RegionId([2; 16]), name: "eu-west-1".into() }
    }

    /// A token and its record, as `generate` makes them.
    fn issued() -> (ActivationToken, TokenRecord) {
        let (opening_key, sealing_key) = crypto::key_pair();
        let token = ActivationToken { sealing_key, ..token::tests::token() };
        let record = TokenRecord {
            accessor: token.accessor.clone(),
            path: token.path.clone(),
            created_at: UnixMs(0),
            expires_at: token.expires_at,
            forced: false,
            proof_key: token.proof_key(),
            fate: Fate::Issued { opening_key },
        };
        (token, record)
    }

    fn offer() -> Offer {
        let addresses = vec!["http://127.0.0.1:8200".into()];
        Offer { dataset: DatasetId([8; 16]), addresses, fingerprints: Vec::new() }
    }

    fn begin(token: &ActivationToken) -> Attempt {
        Attempt::begin(token.clone(), "default", primary(), [6; 32]).expect("a good token")
    }

    fn side(me: &Party) -> Standby<'_> {
        Standby { path: "default", me, now: NOW }
    }

    fn finish(attempt: &Attempt, record: &TokenRecord) -> (Bytes, Secret) {
        let answer = side(&standby()).answer_start(&attempt.request(), Some(record)).expect("answered");
        attempt.finish(&answer, offer(), b"sealed keyring".to_vec(), &Secret::new([7; 32])).expect("a finish")
    }

    fn used(record: &TokenRecord, by: Party, request: &Bytes) -> TokenRecord {
        let finish = *blake3::hash(request).as_bytes();
        let dataset = offer().dataset;
        let fate = Fate::Used(Use { by: by.id, by_name: by.name, at: UnixMs(500), dataset, finish });
        TokenRecord { fate, ..record.clone() }
    }

    fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.expect_err("a refusal").to_string()
    }

    #[test]
    fn both_sides_end_with_the_same_credential_and_prove_it() {
        let (token, record) = issued();
        let (request, credential) = finish(&begin(&token), &record);
        let me = standby();
        let verdict = side(&me).judge_finish(&request, Some(&record)).expect("accepted");
        let Verdict::Accept(accepted) = verdict else { panic!("not new") };
        assert_eq!(accepted.credential, credential);
        assert_eq!((accepted.primary, accepted.offer), (primary(), offer()));
        assert_eq!(accepted.sealed_keyring, b"sealed keyring");
        let finished = Finished { standby: me.clone(), addresses: Vec::new(), fingerprints: Vec::new() };
        let answer = side(&me).answer_finish(&request, &credential, &finished).expect("answered");
        assert_eq!(check_finished(&credential, &request, &answer).expect("proven"), finished);
        assert!(check_finished(&Secret::new([0; 32]), &request, &answer).is_err());
        for secret in [token.secret.expose(), record.proof_key.expose(), credential.expose()] {
            assert!(!request.windows(32).any(|window| window == secret), "a secret crossed the link");
        }
    }

    #[test]
    fn a_repeated_finish_is_known_and_another_one_is_refused_with_who_and_when() {
        let (token, record) = issued();
        let (request, _) = finish(&begin(&token), &record);
        let spent = used(&record, primary(), &request);
        let again = side(&standby()).judge_finish(&request, Some(&spent)).expect("known");
        assert!(matches!(again, Verdict::Repeated { primary: by } if by == primary()));
        let other = Party { id: RegionId([3; 16]), name: "ap-south-1".into() };
        let thief = Attempt::begin(token.clone(), "default", other, [9; 32]).expect("a token that looks good");
        let refused = text(side(&standby()).answer_start(&thief.request(), Some(&spent)));
        assert!(refused.contains("used already, by us-east-1 at 1970-01-01T00:00:00.500Z"), "{refused}");
        let (second, _) = finish(&begin(&token), &record);
        assert!(side(&standby()).judge_finish(&second, Some(&spent)).is_err(), "another seed is another finish");
    }

    #[test]
    fn each_fault_of_a_token_is_named() {
        let (token, record) = issued();
        let attempt = begin(&token);
        let me = standby();
        let refusal = |record: Option<&TokenRecord>, now| {
            text(Standby { path: "default", me: &me, now }.answer_start(&attempt.request(), record))
        };
        assert!(refusal(None, NOW).contains("wrong"));
        assert!(refusal(Some(&record), token.expires_at).contains("expired at"));
        let revoked = TokenRecord { fate: Fate::Revoked { at: UnixMs(1) }, ..record.clone() };
        assert!(refusal(Some(&revoked), NOW).contains("revoked at"));
        let forged = TokenRecord { proof_key: Secret::new([0; 32]), ..record.clone() };
        assert!(refusal(Some(&forged), NOW).contains("wrong"));
        let other_path = Standby { path: "other", me: &me, now: NOW };
        assert!(text(other_path.answer_start(&attempt.request(), Some(&record))).contains("of the path \"default\""));
        let elsewhere = primary();
        assert!(text(side(&elsewhere).answer_start(&attempt.request(), Some(&record))).contains("another region"));
        let begin = |path: &str, who: Party| text(Attempt::begin(token.clone(), path, who, [0; 32]));
        assert!(begin("other", primary()).contains("for the path \"default\""));
        assert!(begin("default", standby()).contains("made in this region"));
    }

    #[test]
    fn an_impostor_of_the_standby_gets_no_finish() {
        let (token, record) = issued();
        let forged = TokenRecord { proof_key: Secret::new([0; 32]), ..record.clone() };
        let attempt = begin(&token);
        let answer = StartAnswer { standby: standby(), nonce: [0; 32] };
        let answer = prove(&forged.proof_key, "start answer", &attempt.request(), &answer).expect("encoded");
        assert!(text(attempt.finish(&answer, offer(), Vec::new(), &Secret::new([7; 32]))).contains("not the region"));
    }

    #[test]
    fn every_changed_byte_of_a_finish_is_refused() {
        let (token, record) = issued();
        let (request, _) = finish(&begin(&token), &record);
        for at in 0..request.len() {
            let mut changed = request.to_vec();
            changed[at] ^= 1;
            assert!(side(&standby()).judge_finish(&changed.into(), Some(&record)).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_standby_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (_, record) = issued();
            let bytes = Bytes::from(bytes);
            let me = standby();
            prop_assert!(side(&me).answer_start(&bytes, Some(&record)).is_err());
            prop_assert!(side(&me).judge_finish(&bytes, Some(&record)).is_err());
            let _ = claimed_accessor(FINISH, &bytes);
        }
    }
}
