//! KV v2, by Vault's rules.

use super::*;
use crate::error::Error;
use crate::secrets::core::View;
use crate::secrets::kv::{
    CustomMetadataChange, DeleteVersionAfter, KvConfigChange, KvMetadata, KvMetadataChange, KvPatched, KvVersion,
    VersionInfo,
};
use crate::secrets::layout::{Record, SecretPath};
use crate::secrets::lock::{Gate, Lock};
use crate::state::Class;
use std::collections::BTreeMap;

#[tokio::test]
async fn versions_count_up_and_each_is_read_back_byte_for_byte() {
    let f = Fixture::open().await;
    let odd = "{ \"n\":12345678901234567890.10, \"text\":\"\\u00e9/\\/\",\n\"again\":1,\"again\":2 }";
    assert_eq!(f.put("a", r#"{"x":1}"#).await, 1);
    assert_eq!(f.put("a", odd).await, 2);
    assert_eq!(f.get("a", 0).await, odd);
    assert_eq!(f.get("a", 1).await, r#"{"x":1}"#);
    assert_eq!(f.get("a", 3).await, "missing");
    assert_eq!(f.get("b", 0).await, "missing");
    let KvFound::Live { version, .. } = f.vault.kv_get(f.kv, "a", None).await.unwrap() else { panic!("live") };
    assert_eq!(version.created.rfc3339(), "2023-11-14T22:13:20.123456789Z");
    assert_eq!((version.version, version.deletion, version.destroyed), (2, None, false));
}

#[tokio::test]
async fn a_write_answers_with_the_position_that_made_it() {
    let f = Fixture::open().await;
    let before = f.consensus.state().path().applied;
    let written = f.vault.kv_put(f.kv, "a", SensitiveString::new("{}"), None).await.unwrap();
    assert_eq!(written.position.index, before.index + 1);
    // A delete of nothing writes nothing, and answers with the newest position.
    let written = f.vault.kv_delete_latest(f.kv, "nothing").await.unwrap();
    assert_eq!(written.position.index, before.index + 1);
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_without_quoting_it() {
    let f = Fixture::open().await;
    for (data, expected) in [
        ("null", "no data provided"),
        ("[1]", "data must be a JSON object"),
        ("\"hunter2\"", "data must be a JSON object"),
        ("{\"hunter2\":", "data is no valid JSON"),
    ] {
        let error = f.vault.kv_put(f.kv, "a", SensitiveString::new(data), None).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let huge = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let error = f.vault.kv_put(f.kv, "a", SensitiveString::new(huge), None).await.unwrap_err();
    assert!(matches!(error, Error::ValueTooLarge { .. }));
}

#[tokio::test]
async fn check_and_set() {
    let f = Fixture::open().await;
    let put = async |cas| {
        let written = f.vault.kv_put(f.kv, "a", SensitiveString::new("{}"), cas).await;
        written.map(|written| written.value.version).map_err(|error| error.to_string())
    };
    let mismatch = Err("check-and-set parameter did not match the current version".to_owned());
    let required = Err("check-and-set parameter required for this call".to_owned());
    assert_eq!(put(Some(1)).await, mismatch);
    assert_eq!(put(Some(0)).await, Ok(1));
    assert_eq!(put(Some(0)).await, mismatch);
    assert_eq!(put(Some(1)).await, Ok(2));
    f.vault.kv_delete_latest(f.kv, "a").await.unwrap();
    assert_eq!(put(Some(0)).await, mismatch, "a deleted version still counts");
    assert_eq!(put(Some(2)).await, Ok(3));

    let change = KvMetadataChange { cas_required: Some(true), ..Default::default() };
    f.vault.kv_put_metadata(f.kv, "a", change).await.unwrap();
    assert_eq!(put(None).await, required);
    let change = KvMetadataChange { cas_required: Some(false), ..Default::default() };
    f.vault.kv_put_metadata(f.kv, "a", change).await.unwrap();
    assert_eq!(put(None).await, Ok(4));
    f.vault.kv_configure(f.kv, KvConfigChange { cas_required: Some(true), ..Default::default() }).await.unwrap();
    assert_eq!(put(None).await, required);
    assert_eq!(put(Some(4)).await, Ok(5));
}

#[tokio::test]
async fn delete_undelete_and_destroy() {
    let f = Fixture::open().await;
    for version in 1..=3 {
        f.put("a", &format!("{{\"v\":{version}}}")).await;
    }
    f.vault.kv_delete_latest(f.kv, "a").await.unwrap();
    f.vault.kv_delete(f.kv, "a", vec![1, 77]).await.unwrap();
    assert_eq!([f.get("a", 1).await, f.get("a", 2).await, f.get("a", 0).await], ["deleted", "{\"v\":2}", "deleted"]);
    let KvFound::Gone(version) = f.vault.kv_get(f.kv, "a", Some(1)).await.unwrap() else { panic!("gone") };
    assert_eq!(version.deletion.unwrap().rfc3339(), "2023-11-14T22:13:20.123456789Z");

    f.pass(Duration::from_secs(60));
    f.vault.kv_delete(f.kv, "a", vec![1]).await.unwrap();
    let KvFound::Gone(again) = f.vault.kv_get(f.kv, "a", Some(1)).await.unwrap() else { panic!("gone") };
    assert_eq!(again.deletion, version.deletion, "what is deleted stays deleted since then");

    f.vault.kv_destroy(f.kv, "a", vec![3]).await.unwrap();
    f.vault.kv_undelete(f.kv, "a", vec![1, 3]).await.unwrap();
    assert_eq!([f.get("a", 1).await, f.get("a", 3).await], ["{\"v\":1}", "destroyed"]);
    let metadata = f.vault.kv_metadata(f.kv, "a").await.unwrap().unwrap();
    assert_eq!((metadata.current_version, metadata.oldest_version, metadata.versions.len()), (3, 0, 3));
    assert!(metadata.versions[&3].destroyed);

    let none = f.vault.kv_destroy(f.kv, "a", vec![]).await.unwrap_err();
    assert_eq!(none.to_string(), "No version number provided");
}

#[tokio::test]
async fn old_versions_are_pruned_with_their_data() {
    let f = Fixture::open().await;
    let count = || f.consensus.state().path().entries;
    f.put("a", "{}").await;
    let two = count();
    for _ in 0..30 {
        f.put("a", "{}").await;
    }
    assert_eq!(count(), two + 9, "ten versions are kept");
    let metadata = f.vault.kv_metadata(f.kv, "a").await.unwrap().unwrap();
    assert_eq!((metadata.oldest_version, metadata.current_version), (22, 31));
    assert_eq!(f.get("a", 21).await, "missing");
    assert_eq!(f.get("a", 22).await, "{}");

    // Where the secret and its mount differ, the larger number counts; lowered, the next write catches up.
    f.vault.kv_configure(f.kv, KvConfigChange { max_versions: Some(3), ..Default::default() }).await.unwrap();
    let with_config = count();
    f.put("a", "{}").await;
    assert_eq!(count(), with_config - 7);
    let change = KvMetadataChange { max_versions: Some(5), ..Default::default() };
    f.vault.kv_put_metadata(f.kv, "a", change).await.unwrap();
    for _ in 0..9 {
        f.put("a", "{}").await;
    }
    let metadata = f.vault.kv_metadata(f.kv, "a").await.unwrap().unwrap();
    assert_eq!(metadata.versions.keys().copied().collect::<Vec<_>>(), [37, 38, 39, 40, 41]);
    assert_eq!(metadata.oldest_version, 37);
}

#[tokio::test]
async fn versions_that_delete_themselves() {
    let f = Fixture::open().await;
    let hour = Duration::from_secs(3600);
    let configure = async |delete_version_after| {
        let change = KvConfigChange { delete_version_after: Some(delete_version_after), ..Default::default() };
        f.vault.kv_configure(f.kv, change).await.unwrap();
    };
    let own = |after| KvMetadataChange { delete_version_after: Some(after), ..Default::default() };
    let lifetime = async |path: &str| {
        let written = f.vault.kv_put(f.kv, path, SensitiveString::new("{}"), None).await.unwrap().value;
        written.deletion.map(|deletion| (deletion.0 - written.created.0) / 1_000_000_000)
    };
    assert_eq!(lifetime("a").await, None);
    f.vault.kv_put_metadata(f.kv, "b", own(2 * hour)).await.unwrap();
    assert_eq!(lifetime("b").await, Some(7200));
    configure(DeleteVersionAfter::After(hour)).await;
    assert_eq!((lifetime("a").await, lifetime("b").await), (Some(3600), Some(3600)));
    configure(DeleteVersionAfter::Disabled).await;
    assert_eq!((lifetime("a").await, lifetime("b").await), (None, None));

    configure(DeleteVersionAfter::After(hour)).await;
    f.put("c", "{\"live\":1}").await;
    f.pass(hour - Duration::from_nanos(1));
    assert_eq!(f.get("c", 0).await, "{\"live\":1}");
    f.pass(Duration::from_nanos(1));
    assert_eq!(f.get("c", 0).await, "deleted");
    f.vault.kv_undelete(f.kv, "c", vec![1]).await.unwrap();
    assert_eq!(f.get("c", 0).await, "{\"live\":1}");
}

#[tokio::test]
async fn metadata_and_its_removal() {
    let f = Fixture::open().await;
    let empty = f.consensus.state().path().entries;
    assert_eq!(f.vault.kv_metadata(f.kv, "a").await.unwrap(), None);
    let custom = BTreeMap::from([("owner".to_owned(), "jane".to_owned()), ("tier".to_owned(), "1".to_owned())]);
    let change = |change| KvMetadataChange { custom_metadata: Some(change), ..Default::default() };
    let patched = f.vault.kv_patch_metadata(f.kv, "a", change(CustomMetadataChange::Clear)).await.unwrap();
    assert!(!patched.value, "a patch makes nothing");
    f.vault.kv_put_metadata(f.kv, "a", change(CustomMetadataChange::Replace(custom))).await.unwrap();
    assert_eq!(f.get("a", 0).await, "missing");
    assert_eq!(f.put("a", "{}").await, 1);
    let merge = BTreeMap::from([("tier".to_owned(), None), ("zone".to_owned(), Some("b".to_owned()))]);
    assert!(f.vault.kv_patch_metadata(f.kv, "a", change(CustomMetadataChange::Merge(merge))).await.unwrap().value);
    let KvFound::Live { version, .. } = f.vault.kv_get(f.kv, "a", None).await.unwrap() else { panic!("live") };
    let custom = version.custom_metadata.unwrap();
    assert_eq!(
        custom.into_iter().collect::<Vec<_>>(),
        [("owner".to_owned(), "jane".to_owned()), ("zone".to_owned(), "b".to_owned())]
    );
    let bad = BTreeMap::from([("k".repeat(129), "v".to_owned())]);
    let error = f.vault.kv_put_metadata(f.kv, "a", change(CustomMetadataChange::Replace(bad))).await.unwrap_err();
    assert!(error.to_string().contains("* custom_metadata validation failed: "), "{error}");

    f.put("a", "{}").await;
    f.vault.kv_destroy(f.kv, "a", vec![1]).await.unwrap();
    f.vault.kv_delete_metadata(f.kv, "a").await.unwrap();
    assert_eq!(f.consensus.state().path().entries, empty, "nothing is left");
    assert_eq!(f.put("a", "{}").await, 1);
}

#[tokio::test]
async fn patch() {
    let f = Fixture::open().await;
    let patch = async |path: &str, patch: &str| {
        f.vault.kv_patch(f.kv, path, SensitiveString::new(patch), None).await.unwrap().value
    };
    assert_eq!(patch("a", "{}").await, KvPatched::Missing);
    f.put("a", r#"{"keep":1.50,"drop":2,"deep":{"x":1}}"#).await;
    let done = patch("a", r#"{"drop":null,"deep":{"y":2}}"#).await;
    assert!(matches!(done, KvPatched::Done(KvVersion { version: 2, .. })));
    assert_eq!(f.get("a", 0).await, r#"{"deep":{"x":1,"y":2},"keep":1.50}"#);
    f.vault.kv_delete_latest(f.kv, "a").await.unwrap();
    assert!(matches!(patch("a", "{}").await, KvPatched::Gone(KvVersion { version: 2, .. })));
}

#[tokio::test]
async fn listing_shows_secrets_and_folders_of_one_level() {
    let f = Fixture::open().await;
    for path in ["a", "a/b", "a/b/c", "b/x/y/z", "zoë/ключ", "zoë/鍵/1", "🦀"] {
        f.put(path, "{}").await;
    }
    // Folders deeper than one stretch of the scan, beside each other.
    for at in 0..300 {
        f.put(&format!("many/{at:03}"), "{}").await;
        f.put(&format!("more/x{}/{at:03}", at % 3), "{}").await;
    }
    let list = async |folder: &str| f.vault.kv_list(f.kv, folder).await.unwrap();
    assert_eq!(list("").await, ["a", "a/", "b/", "many/", "more/", "zoë/", "🦀"]);
    assert_eq!(list("a").await, ["b", "b/"]);
    assert_eq!(list("a/").await, ["b", "b/"]);
    assert_eq!(list("zoë/").await, ["ключ", "鍵/"]);
    assert_eq!(list("more").await, ["x0/", "x1/", "x2/"]);
    assert_eq!(list("many").await.len(), 300);
    assert_eq!(list("many").await[299], "299");
    assert!(list("nothing").await.is_empty());
    f.vault.kv_delete_latest(f.kv, "🦀").await.unwrap();
    assert!(list("").await.contains(&"🦀".to_owned()), "a deleted version leaves the secret listed");
    f.vault.kv_delete_metadata(f.kv, "🦀").await.unwrap();
    assert!(!list("").await.contains(&"🦀".to_owned()));
}

#[tokio::test]
async fn paths_have_bounds_and_forms() {
    let f = Fixture::open().await;
    let deep = vec!["d"; 400].join("/");
    let wide = "w".repeat(1024);
    for path in [deep.as_str(), wide.as_str(), "with space", ".", "a\u{301}", "%2f"] {
        assert_eq!(f.put(path, "{}").await, 1);
        assert_eq!(f.get(path, 0).await, "{}");
    }
    assert_eq!(f.vault.kv_list(f.kv, &deep[..deep.len() - 2]).await.unwrap(), ["d"]);
    let too_deep = vec!["d"; 450].join("/");
    let too_wide = "w".repeat(1025);
    let too_long = vec!["w".repeat(1000); 5].join("/");
    for path in ["", "/a", "a/", "a//b", too_deep.as_str(), too_wide.as_str(), too_long.as_str()] {
        let error = f.vault.kv_get(f.kv, path, None).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

#[tokio::test]
async fn large_values() {
    let f = Fixture::open().await;
    for size in [10, 1024, 512 * 1024] {
        let data = format!("{{\"x\":\"{}\"}}", "é".repeat(size / 2));
        f.put("large", &data).await;
        assert_eq!(f.get("large", 0).await, data);
    }
}

#[tokio::test]
async fn a_region_knows_whether_clients_keep_secrets_in_it() {
    let f = Fixture::open().await;
    assert!(!f.vault.holds_client_secrets().unwrap());
    f.put("a", "{}").await;
    assert!(f.vault.holds_client_secrets().unwrap());
}

#[tokio::test]
async fn a_region_that_is_no_primary_says_so() {
    use crate::ids::Epoch;
    use crate::state::{Command, PathChange, RegionChange};
    let f = Fixture::open().await;
    f.put("a", "{}").await;
    let fence = PathChange::Fence { by_epoch: Epoch(2), at: Default::default(), primary: None };
    let change = RegionChange { path: Some(fence), ..Default::default() };
    f.consensus.propose(Command::Region(change)).await.unwrap();
    let read = f.vault.kv_get(f.kv, "a", None).await.unwrap_err();
    let write = f.vault.kv_put(f.kv, "a", SensitiveString::new("{}"), None).await.unwrap_err();
    assert!(matches!((read, write), (Error::WrongRole(_), Error::WrongRole(_))));
    assert!(f.caller().await.is_root(), "tokens are still checked");
}

#[tokio::test]
async fn check_and_set_of_settings() {
    let f = Fixture::open().await;
    let set = async |metadata_cas, metadata_cas_required| {
        let change = KvMetadataChange { metadata_cas, metadata_cas_required, ..Default::default() };
        f.vault.kv_put_metadata(f.kv, "a", change).await.map(|_| ()).map_err(|error| error.to_string())
    };
    let count = async || f.vault.kv_metadata(f.kv, "a").await.unwrap().unwrap().metadata_version;
    let mismatch = Err("metadata check-and-set parameter does not match the current version".to_owned());
    let required = Err("metadata check-and-set parameter required for this call".to_owned());
    f.put("a", "{}").await;
    assert_eq!(count().await, 0, "a version is none of its settings");
    assert_eq!(set(Some(1), Some(true)).await, mismatch);
    assert_eq!(set(Some(0), Some(true)).await, Ok(()));
    assert_eq!([set(None, None).await, set(Some(0), None).await], [required.clone(), mismatch]);
    assert_eq!(set(Some(1), Some(false)).await, Ok(()));
    assert_eq!(set(None, None).await, Ok(()));
    let mandate = KvConfigChange { metadata_cas_required: Some(true), ..Default::default() };
    f.vault.kv_configure(f.kv, mandate).await.unwrap();
    assert_eq!(set(None, None).await, required);
    assert_eq!(set(Some(3), None).await, Ok(()));
    assert_eq!(count().await, 4);
}

/// All that one write drops was refused as too much, for ever.
#[tokio::test]
async fn a_secret_of_very_many_versions_is_pruned_destroyed_and_deleted_step_by_step() {
    const MANY: u64 = 10_000;
    let f = Fixture::open().await;
    // The longer its path, the fewer are many.
    let path = ["a".repeat(700).as_str(), "b".repeat(700).as_str()].join("/");
    let entries = || f.consensus.state().path().entries;
    let without = entries();
    let (kv, stored_at) = (f.kv, SecretPath::parse(&path).unwrap());
    let fill = move |view: &View| {
        let mut metadata = KvMetadata::new(view.now);
        let info = VersionInfo { created: view.now, deletion: None, destroyed: false };
        metadata.versions = (1..=MANY).map(|number| (number, info.clone())).collect();
        metadata.current_version = MANY;
        Ok(((), vec![view.put(Record::KvMetadata(kv, &stored_at).key(&view.barrier)?, &metadata)?]))
    };
    let write = || f.vault.core.write(Class::KvWrite, Lock::Within(Gate::Mounts, Vec::new()), fill.clone());
    let versions = async || f.vault.kv_metadata(f.kv, &path).await.unwrap().unwrap().versions;

    write().await.unwrap();
    let mut last = MANY as usize;
    while last > 10 {
        f.put(&path, "{}").await;
        let left = versions().await.len();
        assert!(left < last, "{left} of {last}");
        last = left;
    }
    assert_eq!(f.get(&path, MANY - 10).await, "missing");

    write().await.unwrap();
    f.vault.kv_destroy(f.kv, &path, (1..=MANY / 10).collect()).await.unwrap();
    let destroyed = versions().await.values().filter(|version| version.destroyed).count();
    assert_eq!(destroyed as u64, MANY / 10);
    f.vault.kv_delete_metadata(f.kv, &path).await.unwrap();
    assert!(f.vault.kv_metadata(f.kv, &path).await.unwrap().is_none());
    // Of the versions that were put above: they were not in what was written over them.
    assert!(entries() <= without + 10);
}
