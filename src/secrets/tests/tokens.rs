//! Tokens: creation, lookup, expiry, revocation.

use super::*;
use crate::error::Error;

async fn child(f: &Fixture, of: &SensitiveString, request: TokenRequest) -> (SensitiveString, TokenInfo) {
    let caller = f.vault.authenticate(of).await.unwrap();
    f.vault.token_create(&caller, request).await.unwrap().value
}

async fn is_good(f: &Fixture, token: &SensitiveString) -> bool {
    match f.vault.authenticate(token).await {
        Ok(caller) => caller.is_root(),
        Err(Error::PermissionDenied) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_root_token_is_known_and_others_are_not() {
    let f = Fixture::open().await;
    assert!(f.root.expose().starts_with("s.") && f.root.expose().len() >= 26);
    let caller = f.caller().await;
    let info = f.vault.token_lookup_self(&caller).await.unwrap();
    assert_eq!((info.policies.as_slice(), info.display_name.as_str()), (["root".to_owned()].as_slice(), "root"));
    assert_eq!((info.expires_at, info.orphan, info.path.as_str()), (None, true, "auth/token/root"));
    assert_eq!(f.vault.token_lookup(&f.root).await.unwrap(), info);
    assert_eq!(f.vault.token_lookup_accessor(&caller.accessor).await.unwrap(), info);
    for wrong in ["", "s.", "s.0000000000000000000000000000", "root", &"x".repeat(100_000)] {
        assert!(!is_good(&f, &SensitiveString::new(wrong)).await);
    }
    let unknown = f.vault.token_lookup(&SensitiveString::new("s.nope")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "bad token");
    assert_eq!(f.vault.token_lookup_accessor("nope").await.unwrap_err().to_string(), "invalid accessor");
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let f = Fixture::open().await;
    let request = TokenRequest { ttl: Some(Duration::from_secs(60)), ..Default::default() };
    let (token, info) = child(&f, &f.root, request).await;
    assert_eq!((info.creation_ttl, info.ttl, info.orphan), (Duration::from_secs(60), Duration::from_secs(60), false));
    f.pass(Duration::from_secs(45));
    assert_eq!(f.vault.token_lookup(&token).await.unwrap().ttl, Duration::from_secs(15));
    // A child lives no longer than its parent, an orphan may.
    let long = |orphan| TokenRequest { ttl: Some(Duration::from_secs(600)), orphan, ..Default::default() };
    let (grandchild, info) = child(&f, &token, long(false)).await;
    assert_eq!(info.ttl, Duration::from_secs(15));
    let (orphan, info) = child(&f, &token, long(true)).await;
    assert_eq!(info.ttl, Duration::from_secs(600));
    f.pass(Duration::from_secs(15));
    assert_eq!(
        [is_good(&f, &token).await, is_good(&f, &grandchild).await, is_good(&f, &orphan).await],
        [false, false, true]
    );
    assert!(is_good(&f, &f.root).await);
}

#[tokio::test]
async fn revoking_a_token_takes_its_family() {
    let f = Fixture::open().await;
    let (parent, info) = child(&f, &f.root, TokenRequest::default()).await;
    let (one, _) = child(&f, &parent, TokenRequest::default()).await;
    let (two, _) = child(&f, &one, TokenRequest::default()).await;
    let (orphan, _) = child(&f, &one, TokenRequest { orphan: true, ..Default::default() }).await;
    f.vault.token_revoke_accessor(&info.accessor).await.unwrap();
    for gone in [&parent, &one, &two] {
        assert!(!is_good(&f, gone).await);
    }
    assert!(is_good(&f, &orphan).await && is_good(&f, &f.root).await);
    assert_eq!(f.vault.token_accessors().await.unwrap().len(), 2);
    let unknown = f.vault.token_revoke_accessor(&info.accessor).await.unwrap_err();
    assert_eq!(unknown.to_string(), "invalid accessor");
    f.vault.token_revoke(&parent).await.unwrap();

    let caller = f.vault.authenticate(&orphan).await.unwrap();
    f.vault.token_revoke_self(&caller).await.unwrap();
    assert!(!is_good(&f, &orphan).await);
    let late = f.vault.token_create(&caller, TokenRequest::default()).await.unwrap_err();
    assert!(matches!(late, Error::PermissionDenied), "the parent went after it was authenticated");
}

#[tokio::test]
async fn a_family_larger_than_a_batch_goes_whole() {
    let f = Fixture::open().await;
    let before = f.consensus.state().path().entries;
    let (parent, _) = child(&f, &f.root, TokenRequest::default()).await;
    let mut last = parent.clone();
    for at in 0..700 {
        let of = if at % 2 == 0 { &parent } else { &last };
        let (token, _) = child(&f, of, TokenRequest::default()).await;
        last = token;
    }
    f.vault.token_revoke(&parent).await.unwrap();
    assert_eq!(f.consensus.state().path().entries, before, "nothing of them is left");
}

#[tokio::test]
async fn only_the_root_policy_exists() {
    let f = Fixture::open().await;
    let request = TokenRequest { policies: vec!["reader".into()], ..Default::default() };
    let error = f.vault.token_create(&f.caller().await, request).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)));
}

#[tokio::test]
async fn a_revoked_root_token_stays_revoked() {
    let f = Fixture::open().await;
    f.vault.token_revoke(&f.root).await.unwrap();
    f.vault.seal();
    f.unseal();
    assert!(!is_good(&f, &f.root).await);
}
