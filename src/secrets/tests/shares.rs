//! What holders of shares can do together: new shares, and a root token.

use super::*;
use crate::error::Error;
use crate::secrets::rekey::Rekeyed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

fn hex_of(shares: &[crate::sensitive::Sensitive]) -> Vec<SensitiveString> {
    shares.iter().map(|share| SensitiveString::new(hex::encode(share.expose()))).collect()
}

impl Fixture {
    /// Gives enough of the old shares; the new ones.
    async fn rekeyed(&self, nonce: &str) -> Vec<SensitiveString> {
        for share in &self.keys[..2] {
            assert!(matches!(self.vault.rekey_update(share, nonce).await.unwrap(), Rekeyed::More(_)));
        }
        match self.vault.rekey_update(&self.keys[2], nonce).await.unwrap() {
            Rekeyed::Made(shares, _) => hex_of(&shares),
            Rekeyed::More(_) => panic!("three shares are enough"),
        }
    }
}

#[tokio::test]
async fn new_shares_open_what_the_old_ones_did_and_the_old_ones_no_more() {
    let mut fixture = Fixture::open().await;
    fixture.put("a", r#"{"x":1}"#).await;
    assert!(!fixture.vault.rekey_status().unwrap().started);
    let begun = fixture.vault.rekey_begin(Split::new(2, 2).unwrap(), false).unwrap();
    assert_eq!((begun.started, begun.required, begun.progress), (true, 3, 0));
    assert!(fixture.vault.rekey_begin(Split::new(1, 1).unwrap(), false).is_err(), "one at a time");
    let wrong = fixture.vault.rekey_update(&fixture.keys[0], "another").await;
    let tells_nothing = |text: &str| text.contains("incorrect nonce") && !text.contains(&begun.nonce);
    assert!(matches!(wrong, Err(Error::Invalid(text)) if tells_nothing(&text)), "whoever has it may end the rekey");
    let new = fixture.rekeyed(&begun.nonce).await;
    assert_eq!(new.len(), 2);
    assert!(!fixture.vault.rekey_status().unwrap().started, "it is done");

    fixture.vault.seal();
    for old in &fixture.keys[..3] {
        let _ = fixture.vault.unseal(old);
    }
    assert!(fixture.vault.is_sealed(), "the old shares are worth nothing");
    fixture.vault.unseal_reset().unwrap();
    fixture.keys = new;
    fixture.unseal();
    assert_eq!(fixture.get("a", 0).await, r#"{"x":1}"#);
}

#[tokio::test]
async fn with_verification_the_old_shares_count_until_the_new_ones_were_given_back() {
    let mut fixture = Fixture::open().await;
    let begun = fixture.vault.rekey_begin(Split::new(3, 3).unwrap(), true).unwrap();
    let new = fixture.rekeyed(&begun.nonce).await;
    let waits = fixture.vault.rekey_status().unwrap();
    let verification = waits.verification.unwrap();
    assert!(fixture.vault.rekey_verify(&new[0], "another").await.is_err());
    assert_ne!(verification.nonce, begun.nonce, "it has one of its own");
    assert_eq!(fixture.vault.rekey_verify(&new[0], &verification.nonce).await.unwrap(), None);
    assert_eq!(fixture.vault.rekey_verify(&new[1], &begun.nonce).await.unwrap(), None, "who began knows no other");
    let done = fixture.vault.rekey_verify(&new[2], &begun.nonce).await;
    assert_eq!(done.unwrap().as_deref(), Some(verification.nonce.as_str()));
    fixture.vault.seal();
    fixture.keys = new;
    fixture.unseal();

    // What was given back can be forgotten.
    let begun = fixture.vault.rekey_begin(Split::new(3, 2).unwrap(), true).unwrap();
    let new = fixture.rekeyed(&begun.nonce).await;
    let verification = fixture.vault.rekey_status().unwrap().verification.unwrap();
    assert_eq!(fixture.vault.rekey_verify(&new[0], &verification.nonce).await.unwrap(), None);
    let again = fixture.vault.rekey_verify_restart().unwrap().verification.unwrap();
    assert_eq!(again.progress, 0);
    for share in &new[..2] {
        assert!(fixture.vault.rekey_status().unwrap().started);
        fixture.vault.rekey_verify(share, &again.nonce).await.unwrap();
    }
    assert!(!fixture.vault.rekey_status().unwrap().started);
    fixture.vault.seal();
    fixture.keys = new;
    fixture.unseal();
}

#[tokio::test]
async fn a_rekey_that_is_given_up_or_sealed_away_changes_nothing() {
    let fixture = Fixture::open().await;
    let begun = fixture.vault.rekey_begin(Split::new(1, 1).unwrap(), false).unwrap();
    fixture.vault.rekey_update(&fixture.keys[0], &begun.nonce).await.unwrap();
    assert!(fixture.vault.rekey_cancel() && !fixture.vault.rekey_cancel());
    assert!(fixture.vault.rekey_update(&fixture.keys[1], &begun.nonce).await.is_err());
    fixture.vault.rekey_begin(Split::new(1, 1).unwrap(), false).unwrap();
    fixture.vault.seal();
    fixture.unseal();
    assert!(!fixture.vault.rekey_status().unwrap().started);
}

#[tokio::test]
async fn a_root_token_is_made_by_shares_and_read_by_whoever_has_the_password() {
    let fixture = Fixture::open().await;
    assert!(fixture.vault.root_generation_begin(Some(SensitiveString::new("short"))).is_err());
    let (begun, otp) = fixture.vault.root_generation_begin(None).unwrap();
    let otp = otp.unwrap();
    assert_eq!((begun.required, begun.progress), (3, 0));
    assert!(fixture.vault.root_generation_begin(None).is_err(), "one at a time");
    for share in &fixture.keys[..2] {
        assert!(fixture.vault.root_generation_update(share, &begun.nonce).await.unwrap().is_err());
    }
    let made = fixture.vault.root_generation_update(&fixture.keys[2], &begun.nonce).await.unwrap();
    let encoded = STANDARD_NO_PAD.decode(made.unwrap_or_else(|_| panic!("it is made")).encoded).unwrap();
    let token: Vec<u8> = encoded.iter().zip(otp.expose().bytes()).map(|(one, other)| one ^ other).collect();
    let token = SensitiveString::new(String::from_utf8(token).unwrap());
    assert!(fixture.vault.authenticate(&token, None, Use::ToCount).await.unwrap().is_root());
    assert!(!fixture.vault.root_generation_status().unwrap().started);
}
