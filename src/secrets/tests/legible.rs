//! What an operator is told of a key: where it belongs, and no more.

use super::*;
use crate::storage::{KeyRange, ScanLimit};
use std::collections::BTreeSet;

#[tokio::test]
async fn each_key_says_where_it_belongs_in_clear_and_nothing_on_a_sealed_node() {
    let f = Fixture::open().await;
    f.put("app/db/password", "{}").await;
    f.put("top", "{}").await;
    let all = f.consensus.state().scan_data(&KeyRange::all(), ScanLimit::NONE).unwrap();
    let place = |key: &[u8]| f.vault.place_of(key);
    let places: BTreeSet<String> = all.iter().filter_map(|(key, _)| place(key)).collect();
    for expected in ["secret/app/db/…", "secret/top", "sys/mounts", "auth/token"] {
        assert!(places.contains(expected), "{expected} is not in {places:?}");
    }
    assert!(!places.iter().any(|place| place.contains("password")), "{places:?}");
    // A key that changed itself is told as what can still be read of it.
    let (key, _) = all.iter().find(|(key, _)| place(key).as_deref() == Some("secret/top")).unwrap();
    let mut changed = key.to_vec();
    changed[20] ^= 1;
    assert_eq!(place(&changed).as_deref(), Some("secret/(illegible)"));
    assert!(place(b"").is_some() && place(&[3, 1]).is_some() && place(&[250]).is_some());
    f.vault.seal();
    assert_eq!(f.vault.place_of(key), None);
}
