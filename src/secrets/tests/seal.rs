//! Init, unseal, seal, the key file.

use super::*;
use crate::error::Error;
use crate::secrets::vault::InitOptions;
use proptest::prelude::*;

fn options(shares: u8, threshold: u8) -> InitOptions {
    InitOptions { shares, threshold, region_name: "here".into() }
}

#[tokio::test]
async fn a_region_is_initialised_once() {
    let (vault, consensus, _) = blank(SealKind::Shamir);
    assert!(!vault.is_initialised().unwrap());
    let status = vault.seal_status().unwrap();
    assert_eq!((status.initialised, status.sealed, status.kind.as_str()), (false, true, "shamir"));
    assert!(matches!(vault.unseal(&SensitiveString::new("00")), Err(Error::Uninitialised)));
    let done = vault.init(options(5, 3)).await.unwrap();
    assert!(done.keys.iter().all(|key| key.len() == 33));
    assert_eq!(consensus.state().identity().unwrap().unwrap().name, "here");
    assert!(vault.is_sealed());
    let again = vault.init(options(5, 3)).await.err().unwrap();
    assert_eq!(again.to_string(), "Vault is already initialized");
}

#[tokio::test]
async fn shares_and_threshold_are_checked() {
    let (vault, ..) = blank(SealKind::Shamir);
    for (shares, threshold) in [(0, 0), (1, 0), (0, 1), (2, 3), (3, 1)] {
        let error = vault.init(options(shares, threshold)).await.err().unwrap();
        assert!(error.to_string().starts_with("invalid seal configuration: "), "{error}");
    }
    assert!(!vault.is_initialised().unwrap());
}

#[tokio::test]
async fn every_subset_of_enough_shares_unseals_in_any_order() {
    for split in [(1, 1), (2, 2), (3, 2), THREE_OF_FIVE, (5, 5)] {
        let f = Fixture::sealed(split).await;
        let (shares, threshold) = split;
        for subset in 0u32..1 << shares {
            if subset.count_ones() != u32::from(threshold) {
                continue;
            }
            let mut chosen: Vec<_> = (0..shares).filter(|share| subset >> share & 1 == 1).collect();
            if subset % 2 == 1 {
                chosen.reverse();
            }
            for (given, share) in chosen.iter().enumerate() {
                let status = f.vault.seal_status().unwrap();
                assert_eq!((status.sealed, usize::from(status.progress)), (true, given));
                f.vault.unseal(&f.keys[usize::from(*share)]).unwrap();
            }
            assert!(!f.vault.is_sealed(), "shares {chosen:?} of {split:?}");
            f.vault.authenticate(&f.root, None, Use::ToCount).await.unwrap();
            f.vault.seal();
        }
    }
}

#[tokio::test]
async fn a_share_is_taken_in_base64_too() {
    use base64::Engine;
    let f = Fixture::sealed((1, 1)).await;
    let bytes = hex::decode(f.keys[0].expose()).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    assert!(!f.vault.unseal(&SensitiveString::new(format!(" {text}\n"))).unwrap().sealed);
}

#[tokio::test]
async fn wrong_shares_are_told_apart() {
    let f = Fixture::sealed(THREE_OF_FIVE).await;
    let stranger = Fixture::sealed(THREE_OF_FIVE).await;
    let error = |text: &str| f.vault.unseal(&SensitiveString::new(text)).unwrap_err().to_string();
    assert_eq!(error("not a key"), "'key' must be a valid hex or base64 string");
    assert_eq!(error("00ff"), "an unseal key of this region has 33 bytes, this one 2");

    let first = f.vault.unseal(&f.keys[0]).unwrap();
    assert_eq!((first.progress, first.nonce.len()), (1, 36));
    let again = f.vault.unseal(&f.keys[0]).unwrap();
    assert_eq!((again.progress, &again.nonce), (1, &first.nonce), "a share given twice counts once");
    assert!(error(stranger.keys[0].expose()).starts_with("another share with the same number was given already"));
    let second = f.vault.unseal(&f.keys[1]).unwrap();
    assert_eq!((second.progress, &second.nonce), (2, &first.nonce));
    assert!(error(stranger.keys[2].expose()).starts_with("unseal failed, invalid key"));
    let status = f.vault.seal_status().unwrap();
    assert_eq!((status.sealed, status.progress, status.nonce.as_str()), (true, 0, ""));

    f.vault.unseal(&f.keys[3]).unwrap();
    assert_eq!(f.vault.unseal_reset().unwrap().progress, 0);
    f.unseal();
    assert_eq!(error("zz"), "'key' must be a valid hex or base64 string");
    assert!(!f.vault.unseal(&SensitiveString::new("00ff")).unwrap().sealed, "an open node takes no notice of a share");
}

#[tokio::test]
async fn a_sealed_node_does_nothing_for_clients() {
    let f = Fixture::open().await;
    f.put("a", "{}").await;
    let caller = f.caller().await;
    f.vault.seal();
    let sealed = |error: Error| assert!(matches!(error, Error::Sealed), "{error}");
    sealed(f.vault.authenticate(&f.root, None, Use::ToCount).await.unwrap_err());
    sealed(f.vault.kv_get(f.kv, "a", None).await.unwrap_err());
    sealed(f.vault.kv_put(f.kv, "a", SensitiveString::new("{}"), None).await.unwrap_err());
    sealed(f.vault.token_create(&caller, TokenRequest::default()).await.unwrap_err());
    sealed(f.vault.export_keyring(&[1; 32]).unwrap_err());
    sealed(f.vault.mounts(Table::Secret).unwrap_err());
    f.unseal();
    assert_eq!(f.get("a", 0).await, "{}");
}

#[tokio::test]
async fn a_key_file_unseals_without_a_person() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unseal.key");
    let (vault, consensus, _) = blank(SealKind::File(path.clone()));
    let done = vault.init(options(5, 3)).await.unwrap();
    assert!(done.keys.is_empty() && !vault.is_sealed());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // Another process on the same data.
    let consensus: Arc<dyn Consensus> = consensus;
    let again = vault_over(consensus.clone(), SealKind::File(path.clone()));
    assert_eq!(again.seal_status().unwrap().kind, "file");
    assert!(again.is_sealed() && !again.unseal_from_file().unwrap().sealed);
    again.authenticate(&done.root_token, None, Use::ToCount).await.unwrap();

    let refused = |vault: Vault| vault.unseal_from_file().unwrap_err().to_string();
    let other = folder.path().join("other.key");
    let missing = refused(vault_over(consensus.clone(), SealKind::File(other.clone())));
    assert!(missing.contains("is missing"), "{missing}");
    std::fs::write(&other, "short").unwrap();
    let readable = refused(vault_over(consensus.clone(), SealKind::File(other.clone())));
    assert!(readable.contains("others may read"), "{readable}");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let short = refused(vault_over(consensus.clone(), SealKind::File(other.clone())));
    assert!(short.contains("32 bytes in base64"), "{short}");
    std::fs::remove_file(&other).unwrap();
    let (stranger, ..) = blank(SealKind::File(other.clone()));
    stranger.init(options(1, 1)).await.unwrap();
    let wrong = refused(vault_over(consensus.clone(), SealKind::File(other)));
    assert!(wrong.contains("another region's key"), "{wrong}");
    let mismatch = vault_over(consensus, SealKind::Shamir).unseal(&SensitiveString::new("00")).unwrap_err();
    assert!(mismatch.to_string().contains("initialised with `file`"), "{mismatch}");
}

proptest! {
    /// No text that is given as a share breaks anything or unseals.
    #[test]
    fn any_text_is_refused_as_a_share(text in "[ -~]{0,80}", bytes in proptest::collection::vec(any::<u8>(), 33)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let f = runtime.block_on(Fixture::sealed((2, 2)));
        let _refused_or_taken = f.vault.unseal(&SensitiveString::new(text));
        let _refused_or_taken = f.vault.unseal(&SensitiveString::new(hex::encode(&bytes)));
        let _refused_or_taken = f.vault.unseal(&f.keys[0]);
        prop_assert!(f.vault.is_sealed());
    }
}

fn vault_over(consensus: Arc<dyn Consensus>, seal: SealKind) -> Vault {
    Vault::with(consensus, seal, Leases::default(), StandbyReads::Refused, crate::secrets::Clock::system())
}
