//! No stored byte tells a secret: neither values, nor names, nor tokens, nor keys.

use super::*;
use crate::secrets::kv::{CustomMetadataChange, KvMetadataChange, Plain};
use crate::storage::{KeyRange, ScanLimit, Tree};
use std::collections::BTreeMap;

const CANARY: &str = "CanaryThatMustNotSing";

#[tokio::test]
async fn nothing_of_a_client_is_stored_in_the_clear() {
    let f = Fixture::open().await;
    let data = format!("{{\"{CANARY}\":\"{CANARY}\"}}");
    let paths = [CANARY.to_owned(), format!("a/{CANARY}/b"), format!("{CANARY}/{CANARY}")];
    for path in &paths {
        for _ in 0..12 {
            f.put(path, &data).await;
        }
        let custom = BTreeMap::from([(CANARY.to_owned(), CANARY.to_owned())]);
        let change =
            KvMetadataChange { custom_metadata: Some(CustomMetadataChange::Replace(custom)), ..Default::default() };
        f.vault.kv_put_metadata(f.kv, path, change).await.unwrap();
        f.vault.kv_patch(f.kv, path, SensitiveString::new(data.clone()), None).await.unwrap();
        f.vault.kv_delete(f.kv, path, vec![11]).await.unwrap();
        f.vault.kv_undelete(f.kv, path, vec![11]).await.unwrap();
        f.vault.kv_destroy(f.kv, path, vec![9]).await.unwrap();
    }
    f.vault.kv_delete_metadata(f.kv, &paths[2]).await.unwrap();
    let request = TokenRequest {
        display_name: CANARY.into(),
        meta: BTreeMap::from([(CANARY.to_owned(), CANARY.to_owned())]),
        ..Default::default()
    };
    let TokenMade { token, info, .. } = f.vault.token_create(&f.caller().await, request).await.unwrap().value;
    f.vault.policy_put(CANARY, &format!("path \"{CANARY}\" {{ capabilities = [\"read\"] }}")).await.unwrap();
    f.vault.token_role_put(CANARY, |_| Ok(())).await.unwrap();

    let own = Plain::cubbyhole(&f.caller().await).unwrap();
    f.vault.plain_put(own, CANARY, SensitiveString::new(data.clone())).await.unwrap();
    let wrapped = f.vault.wrap(CANARY, Duration::from_secs(60), SensitiveString::new(data)).await.unwrap().value;
    let mount = MountRequest { kind: "kv".into(), description: CANARY.into(), ..MountRequest::default() };
    f.vault.mount_enable(CANARY, mount).await.unwrap();

    let mut forbidden: Vec<Vec<u8>> =
        [CANARY, "secret/", f.root.expose(), token.expose(), &info.accessor, wrapped.token.expose()]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
    // The keys themselves, as text and as bytes; a share's first byte is only its number.
    for key in &f.keys {
        forbidden.push(key.expose().as_bytes().to_vec());
        forbidden.push(hex::decode(key.expose()).unwrap()[1..].to_vec());
    }
    forbidden.push(f.vault.core.root().unwrap().to_vec());
    let barrier = f.vault.core.barrier().unwrap();
    let keyring = barrier.keyring();
    forbidden.push(keyring.path_key().expose()[..32].to_vec());
    forbidden.push(keyring.path_key().expose()[32..].to_vec());
    forbidden.push(keyring.token_key().to_vec());
    forbidden.push(keyring.active().1.to_vec());

    let store = f.consensus.state().store();
    let mut looked_at = 0;
    for tree in Tree::ALL {
        for (key, value) in store.scan(tree, &KeyRange::all(), ScanLimit::NONE).unwrap() {
            for secret in &forbidden {
                assert!(!holds(&key, secret) && !holds(&value, secret), "in the tree `{}`", tree.name());
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 60, "{looked_at}");
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[tokio::test]
async fn errors_and_debug_output_tell_nothing() {
    let f = Fixture::open().await;
    let mut said = Vec::new();
    for path in [CANARY.to_owned(), format!("{CANARY}//"), format!("/{CANARY}")] {
        for data in [format!("{{\"{CANARY}\""), format!("\"{CANARY}\""), format!("{{\"x\":\"{CANARY}\"}}")] {
            let data = SensitiveString::new(data);
            said.push(format!("{:?}", f.vault.kv_put(f.kv, &path, data.clone(), Some(9)).await));
            said.push(format!("{:?}", f.vault.kv_patch(f.kv, &path, data, None).await));
        }
    }
    f.put(CANARY, &format!("{{\"x\":\"{CANARY}\"}}")).await;
    said.push(format!("{:?}", f.vault.kv_get(f.kv, CANARY, None).await));
    said.push(format!("{:?}", f.vault.authenticate(&SensitiveString::new(CANARY), None, Use::ToCount).await));
    said.push(format!("{:?}", f.vault.unseal(&SensitiveString::new(CANARY))));
    for text in said {
        assert!(!text.contains(CANARY), "{text}");
    }
}
