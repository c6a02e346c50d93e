//! Mounts: enable, disable, tune, move; KV v1, its upgrade, the cubbyhole, wrapped answers.

use super::*;
use crate::error::Error;
use crate::secrets::kv::Plain;
use crate::secrets::wrapping::Wrapping;
use crate::storage::{KeyRange, ScanLimit};
use std::collections::BTreeMap;

async fn enable(f: &Fixture, path: &str, version: &str) -> MountId {
    let options = BTreeMap::from([("version".to_owned(), version.to_owned())]);
    let request = MountRequest { kind: "kv".into(), options, ..MountRequest::default() };
    f.vault.mount_enable(path, request).await.unwrap();
    f.vault.mount_of(path).unwrap().unwrap().0.id
}

fn text(text: &str) -> SensitiveString {
    SensitiveString::new(text)
}

#[tokio::test]
async fn mounts_come_and_go_with_what_lies_in_them() {
    let f = Fixture::open().await;
    let before = f.consensus.state().path().entries;
    let (one, two) = (enable(&f, "team/one", "1").await, enable(&f, "team/two/", "2").await);
    for at in 0..600 {
        f.vault.plain_put(Plain::of_mount(one), &format!("a/{at}"), text("{\"x\":1}")).await.unwrap();
    }
    for _ in 0..3 {
        f.vault.kv_put(two, "a", text("{}"), None).await.unwrap();
    }
    for taken in ["team/one", "team", "team/one/below", "sys/x", "cubbyhole", "secret/below"] {
        let request = MountRequest { kind: "kv".into(), ..MountRequest::default() };
        assert!(f.vault.mount_enable(taken, request).await.is_err(), "{taken}");
    }
    assert!(f.vault.mount_disable("sys").await.is_err());

    f.vault.mount_move("team/two", "moved").await.unwrap();
    assert_eq!(f.vault.mount_of("moved/data/a").unwrap().unwrap().0.id, two);
    assert!(f.vault.mount_of("team/two/data/a").unwrap().is_none());
    assert!(f.vault.mount_move("none", "other").await.is_err());

    f.vault.mount_disable("team/one").await.unwrap();
    let gone = f.vault.plain_put(Plain::of_mount(one), "late", text("{}")).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound(_)), "{gone}");
    assert!(f.vault.tidy_mounts().await.unwrap(), "one step is not enough");
    f.vault.mount_disable("moved").await.unwrap();
    while f.vault.tidy_mounts().await.unwrap() {}
    assert_eq!(f.consensus.state().path().entries, before, "nothing of them is left");
    f.vault.mount_disable("moved").await.unwrap();
}

/// In Vault nothing is at `secret/`, and who moves here mounts it.
#[tokio::test]
async fn what_a_new_region_has_mounted_makes_room_while_nothing_was_done_with_it() {
    let f = Fixture::open().await;
    let request = || MountRequest { kind: "kv-v1".into(), ..MountRequest::default() };
    let first = f.vault.mount_of("secret").unwrap().unwrap().0.id;
    let second = enable(&f, "secret", "2").await;
    assert_ne!(first, second);
    assert!(f.vault.mount_enable("secret", request()).await.is_err(), "it was asked for");

    let f = Fixture::open().await;
    let first = f.vault.mount_of("secret").unwrap().unwrap().0.id;
    f.vault.kv_put(first, "a", text("{}"), None).await.unwrap();
    assert!(f.vault.mount_enable("secret", request()).await.is_err(), "secrets are in it");

    let f = Fixture::open().await;
    let tuning = MountTuning { description: Some("ours".into()), ..MountTuning::default() };
    f.vault.mount_tune("secret", tuning).await.unwrap();
    assert!(f.vault.mount_enable("secret", request()).await.is_err(), "somebody counts on it");
}

#[tokio::test]
async fn a_v1_mount_becomes_a_v2_one_with_all_its_secrets() {
    let f = Fixture::open().await;
    let mount = enable(&f, "old", "1").await;
    let plain = Plain::of_mount(mount);
    let number = "{\"n\":12345678901234567890.50}";
    for path in ["a", "b/c", "b/ü/d"] {
        f.vault.plain_put(plain, path, text(number)).await.unwrap();
    }
    assert_eq!(f.vault.plain_list(plain, "b").await.unwrap(), ["c", "ü/"]);
    assert!(f.vault.kv_get(mount, "a", None).await.is_err(), "it is of another kind");
    let to_v2 = || MountTuning {
        options: Some(BTreeMap::from([("version".to_owned(), "2".to_owned())])),
        ..MountTuning::default()
    };
    assert!(f.vault.mount_tune("old", to_v2()).await.unwrap().value);
    for error in [
        f.vault.plain_put(plain, "late", text("{}")).await.unwrap_err(),
        f.vault.kv_put(mount, "late", text("{}"), None).await.unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("Upgrading from non-versioned"), "{error}");
    }
    while f.vault.tidy_mounts().await.unwrap() {}
    for path in ["a", "b/c", "b/ü/d"] {
        let KvFound::Live { data, version } = f.vault.kv_get(mount, path, None).await.unwrap() else {
            panic!("{path} is not there")
        };
        assert_eq!((data.expose(), version.version), (number, 1));
    }
    assert_eq!(f.vault.kv_list(mount, "b").await.unwrap(), ["c", "ü/"]);
    assert!(!f.vault.mount_tune("old", to_v2()).await.unwrap().value, "it is done");
    let back = MountTuning {
        options: Some(BTreeMap::from([("version".to_owned(), "1".to_owned())])),
        ..MountTuning::default()
    };
    let error = f.vault.mount_tune("old", back).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot downgrade mount from version 2");
}

#[tokio::test]
async fn a_cubbyhole_is_its_tokens_alone_and_goes_with_it() {
    let f = Fixture::open().await;
    let before = f.consensus.state().path().entries;
    let made = f.vault.token_create(&f.caller().await, TokenRequest::default()).await.unwrap().value;
    let caller = f.vault.authenticate(&made.token, None, Use::ToCount).await.unwrap();
    let own = Plain::cubbyhole(&caller).unwrap();
    f.vault.plain_put(own, "a/b", text("{\"x\":1}")).await.unwrap();
    assert_eq!(f.vault.plain_list(own, "").await.unwrap(), ["a/"]);
    let others = Plain::cubbyhole(&f.caller().await).unwrap();
    assert!(f.vault.plain_get(others, "a/b").await.unwrap().is_none());
    f.vault.token_revoke(&made.token).await.unwrap();
    assert!(f.vault.plain_put(own, "a/b", text("{}")).await.is_err(), "its token is gone");
    assert_eq!(f.consensus.state().path().entries, before, "nothing of it is left");
}

#[tokio::test]
async fn a_wrapped_answer_is_fetched_once() {
    let f = Fixture::open().await;
    let before = f.consensus.state().path().entries;
    let answer = "{\"data\":{\"x\":1}}";
    let minute = Duration::from_secs(60);
    let wrapped = f.vault.wrap("secret/data/a", minute, text(answer)).await.unwrap().value;
    let told = f.vault.wrapping_lookup(Wrapping::Named(&wrapped.token)).await.unwrap().unwrap();
    assert_eq!((told.path.as_str(), told.ttl), ("secret/data/a", minute));
    let again = f.vault.rewrap(Wrapping::Named(&wrapped.token)).await.unwrap().value.unwrap();
    let unwrap = |token: SensitiveString| {
        let f = &f;
        async move { f.vault.unwrap(Wrapping::Named(&token)).await.unwrap().value }
    };
    assert!(unwrap(wrapped.token).await.is_none(), "it moved");
    assert_eq!(unwrap(again.token.clone()).await.unwrap().expose(), answer);
    assert!(unwrap(again.token).await.is_none());
    assert!(unwrap(f.root.clone()).await.is_none(), "a token that wraps nothing");

    // With the wrapping token itself as the caller's.
    let own = f.vault.wrap("x", minute, text(answer)).await.unwrap().value.token;
    let caller = f.vault.authenticate(&own, None, Use::ToCount).await.unwrap();
    assert!(unwrap(own).await.is_none(), "its one use is taken");
    assert_eq!(f.vault.unwrap(Wrapping::Own(&caller)).await.unwrap().value.unwrap().expose(), answer);
    f.vault.finish(&caller).await.unwrap();

    let late = f.vault.wrap("x", minute, text(answer)).await.unwrap().value.token;
    f.pass(minute);
    assert!(unwrap(late).await.is_none());
    while f.vault.sweep_tokens().await.unwrap() {}
    let left = f.consensus.state().scan_data(&KeyRange::all(), ScanLimit::NONE).unwrap().len() as u64;
    assert_eq!((left, f.consensus.state().path().entries), (before, before), "nothing of them is left");
}
