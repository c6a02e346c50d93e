//! The keyring's way to another region.

use super::*;
use crate::state::{Command, RegionChange};
use crypto_box::SecretKey;

#[tokio::test]
async fn a_region_that_takes_over_the_keyring_reads_the_data() {
    let (here, there) = (Fixture::open().await, Fixture::open().await);
    let of_there = here.vault.authenticate(&there.root, None, Use::ToCount).await;
    assert!(of_there.is_err(), "each region has tokens of its own before");
    here.put("a/b", "{\"x\":1}").await;

    let secret = SecretKey::generate(&mut crate::clock::rng());
    let sealed = here.vault.export_keyring(secret.public_key().as_bytes()).unwrap();
    let puts = there.vault.import_keyring(&sealed, &secret.to_bytes()).unwrap();
    assert!(there.vault.import_keyring(&sealed, &[7; 32]).is_err());
    assert!(there.vault.import_keyring(&sealed[1..], &secret.to_bytes()).is_err());
    there.consensus.propose(Command::Region(RegionChange { puts, ..Default::default() })).await.unwrap();
    copy_data(&here, &there).await;

    // The keys in memory followed: the tokens and the data of the one are now those of the other.
    there.vault.authenticate(&here.root, None, Use::ToCount).await.unwrap();
    assert!(there.vault.authenticate(&there.root, None, Use::ToCount).await.is_err());
    let mount = there.vault.mount_of("secret/data/a/b").unwrap().unwrap();
    assert_eq!((mount.0.id, mount.1.as_str()), (here.kv, "data/a/b"));
    let there = Fixture { kv: here.kv, ..there };
    assert_eq!(there.get("a/b", 0).await, "{\"x\":1}");
    assert_eq!(there.vault.kv_list(there.kv, "a").await.unwrap(), ["b"]);

    // Its own shares still open it.
    there.vault.seal();
    there.unseal();
    there.vault.authenticate(&here.root, None, Use::ToCount).await.unwrap();
}

/// Writes all that `from` holds to `to` as well.
async fn copy_data(from: &Fixture, to: &Fixture) {
    use crate::state::{Batch, Class, Op};
    use crate::storage::{KeyRange, ScanLimit};
    let all = from.consensus.state().scan_data(&KeyRange::all(), ScanLimit::NONE).unwrap();
    let old = to.consensus.state().scan_data(&KeyRange::all(), ScanLimit::NONE).unwrap();
    let mut ops: Vec<_> = old.into_iter().map(|(key, _)| Op::Delete { key }).collect();
    ops.extend(all.into_iter().map(|(key, stored)| Op::Put { key, value: stored.value }));
    to.consensus.write(1, Batch { class: Class::System, at: Default::default(), ops }).await.unwrap();
}

#[tokio::test]
async fn default_mounts_are_found_by_the_longest_prefix() {
    let f = Fixture::open().await;
    let shown: Vec<_> = f.vault.mounts(Table::Secret).unwrap();
    let paths: Vec<_> = shown.iter().map(|mount| (mount.path.as_str(), mount.kind.as_str())).collect();
    assert_eq!(paths, [("cubbyhole/", "cubbyhole"), ("secret/", "kv"), ("sys/", "system")]);
    assert!(shown[1].kv() == Some(KvKind::Versioned) && shown[1].accessor.starts_with("kv_"));
    assert_eq!(shown[1].id.to_string().len(), 36);
    let auth = f.vault.mounts(Table::Auth).unwrap();
    assert_eq!((auth.len(), auth[0].path.as_str()), (1, "token/"));
    assert!(auth[0].accessor.starts_with("auth_token_"));
    let found = |path: &str| f.vault.mount_of(path).unwrap().map(|(mount, rest)| (mount.route(), rest));
    assert_eq!(found("secret/data/a"), Some(("secret/".into(), "data/a".into())));
    assert_eq!(found("secret"), Some(("secret/".into(), "".into())));
    assert_eq!(found("auth/token/create"), Some(("auth/token/".into(), "create".into())));
    assert_eq!(found("secrets/x"), None);
    assert_eq!(found(""), None);
}

#[tokio::test]
async fn a_rotated_key_encrypts_and_older_ones_still_open() {
    let here = Fixture::open().await;
    // The standby took the keyring over before any rotation.
    let secret = SecretKey::generate(&mut crate::clock::rng());
    let sealed = here.vault.export_keyring(secret.public_key().as_bytes()).unwrap();
    here.put("before", "{\"x\":1}").await;
    assert_eq!(here.vault.key_status().await.unwrap().term, 1);
    for term in 2..5 {
        here.vault.rotate().await.unwrap();
        let status = here.vault.key_status().await.unwrap();
        assert_eq!((status.term, status.since), (term, UnixNs(here.now.load(Ordering::Relaxed)).ms()));
        here.put("after", &format!("{{\"x\":{term}}}")).await;
    }
    assert_eq!(here.get("before", 0).await, "{\"x\":1}");
    assert_eq!(here.get("after", 1).await, "{\"x\":2}");
    here.vault.seal();
    here.unseal();
    assert_eq!(here.get("after", 3).await, "{\"x\":4}");
    assert_eq!(here.vault.key_status().await.unwrap().term, 4);

    // Whoever holds the data set and its keyring of any term reads everything.
    let there = Fixture::open().await;
    let old = there.vault.import_keyring(&sealed, &secret.to_bytes()).unwrap();
    let (_, keyring) = &old[0];
    let root = there.vault.core.root().unwrap();
    let keyring = crate::secrets::keyring::Keyring::decrypt(&root, keyring.as_ref().unwrap()).unwrap();
    let terms = here.consensus.state().data(crate::secrets::layout::TERMS).unwrap().unwrap();
    assert_eq!(keyring.active().0, 1);
    assert_eq!(keyring.with_terms(&terms.value).unwrap().active().0, 4);
}

#[tokio::test]
async fn the_key_is_rotated_by_itself_when_it_is_as_old_as_its_settings_allow() {
    let f = Fixture::open().await;
    let (day, before) = (Duration::from_secs(24 * 3600), f.vault.key_status().await.unwrap().term);
    f.pass(1000 * day);
    assert!(!f.vault.rotate_if_due().await.unwrap(), "by time only where that is set");
    let set = |enabled: bool| {
        f.vault.settings_change(move |settings| {
            settings.rotation.enabled = enabled;
            settings.rotation.interval = day;
            Ok(())
        })
    };
    set(false).await.unwrap();
    assert!(!f.vault.rotate_if_due().await.unwrap());
    set(true).await.unwrap();
    assert!(f.vault.rotate_if_due().await.unwrap());
    assert_eq!(f.vault.key_status().await.unwrap().term, before + 1);
    assert!(!f.vault.rotate_if_due().await.unwrap(), "it is new");
    f.pass(day);
    assert!(f.vault.rotate_if_due().await.unwrap());
}
