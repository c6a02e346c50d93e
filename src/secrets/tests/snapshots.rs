//! Snapshots: saved and restored, here and in another region.

use super::*;
use crate::consensus::Consensus;
use crate::error::Error;
use crate::secrets::snapshot::Restored;
use std::io::Write;
use tempfile::NamedTempFile;

impl Fixture {
    fn save(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        self.vault.snapshot_save(&mut file).unwrap();
        file.flush().unwrap();
        file
    }

    async fn restore(&self, file: &NamedTempFile, force: bool) -> Result<Restored, Error> {
        self.vault.snapshot_restore(file.path().to_owned(), force).await
    }
}

#[tokio::test]
async fn a_restored_region_is_what_it_was_and_its_log_says_how() {
    let fixture = Fixture::open().await;
    fixture.put("kept", r#"{"x":1}"#).await;
    fixture.put("changed", r#"{"x":1}"#).await;
    for number in 0..700 {
        fixture.put(&format!("many/{number}"), r#"{"x":1}"#).await;
    }
    let file = fixture.save();
    fixture.put("changed", r#"{"x":2}"#).await;
    fixture.put("added", r#"{"x":3}"#).await;
    for number in 0..700 {
        fixture.vault.kv_delete_metadata(fixture.kv, &format!("many/{number}")).await.unwrap();
    }
    fixture.vault.rotate().await.unwrap();
    fixture.vault.policy_put("late", "").await.unwrap();

    let before = fixture.consensus.state().path().applied;
    assert_eq!(fixture.restore(&file, false).await.unwrap(), Restored::Whole);
    assert!(fixture.consensus.state().path().applied > before, "it is made of writes");
    assert_eq!(fixture.get("kept", 0).await, r#"{"x":1}"#);
    assert_eq!(
        (fixture.get("changed", 0).await, fixture.get("changed", 2).await),
        (r#"{"x":1}"#.into(), "missing".into())
    );
    assert_eq!(fixture.get("added", 0).await, "missing");
    assert_eq!(fixture.get("many/699", 0).await, r#"{"x":1}"#);
    assert_eq!(fixture.vault.policy("late").await.unwrap(), None);
    assert_eq!(fixture.vault.key_status().await.unwrap().term, 1);
    assert!(fixture.caller().await.is_root());
    fixture.put("after", r#"{"x":4}"#).await;
}

#[tokio::test]
async fn a_restore_whose_leader_dies_is_whole_or_never_was() {
    let fixture = Fixture::open().await;
    for number in 0..600 {
        fixture.put(&format!("many/{number}"), r#"{"x":1}"#).await;
    }
    let file = fixture.save();
    let path = || file.path().to_owned();
    for number in 0..600 {
        fixture.vault.kv_delete_metadata(fixture.kv, &format!("many/{number}")).await.unwrap();
    }
    fixture.put("added", r#"{"x":2}"#).await;
    fixture.vault.policy_put("late", "").await.unwrap();
    let (consensus, vault) = (&fixture.consensus, &fixture.vault);
    let entries = consensus.state().path().entries;
    let term = consensus.lead_term().unwrap();

    // Staged only: nothing of it is seen, and the next leader clears it away.
    vault.stage(term, path()).await.unwrap();
    assert!(consensus.state().path().entries > entries);
    assert_eq!(
        (fixture.get("added", 0).await, fixture.get("many/0", 0).await),
        (r#"{"x":2}"#.into(), "missing".into())
    );
    let meanwhile = fixture.save();
    assert!(vault.finish_restore().await.unwrap());
    assert_eq!(consensus.state().path().entries, entries, "nothing is left of it");
    assert!(!vault.finish_restore().await.unwrap());

    // Committed: nothing is served, nothing is saved, and the next leader goes on to the end.
    vault.stage(term, path()).await.unwrap();
    vault.commit_staged(term).await.unwrap();
    let closed = vault.kv_get(fixture.kv, "added", None).await.unwrap_err();
    assert!(matches!(closed, Error::Unavailable(_)), "{closed}");
    let mixture = vault.expect_settled().unwrap_err();
    assert!(mixture.to_string().contains("being restored"), "{mixture}");
    assert!(vault.snapshot_save(&mut Vec::new()).is_err());
    assert!(vault.finish_restore().await.unwrap());
    vault.expect_settled().unwrap();
    assert_eq!(
        (fixture.get("added", 0).await, fixture.get("many/599", 0).await),
        ("missing".into(), r#"{"x":1}"#.into())
    );
    assert_eq!(vault.policy("late").await.unwrap(), None);
    assert!(!vault.finish_restore().await.unwrap());

    // What was saved while something was staged restores to what was seen then.
    assert_eq!(fixture.restore(&meanwhile, false).await.unwrap(), Restored::Whole);
    assert_eq!(
        (fixture.get("added", 0).await, fixture.get("many/0", 0).await),
        (r#"{"x":2}"#.into(), "missing".into())
    );
    assert_eq!(consensus.state().path().entries, entries);
}

#[tokio::test]
async fn another_regions_snapshot_brings_its_keys() {
    let (old, new) = (Fixture::open().await, Fixture::open().await);
    old.put("a", r#"{"x":"old"}"#).await;
    old.vault.rotate().await.unwrap();
    old.put("b", r#"{"x":"rotated"}"#).await;
    new.put("a", r#"{"x":"new"}"#).await;
    let file = old.save();

    let refused = new.restore(&file, false).await;
    assert!(matches!(refused, Err(Error::Invalid(text)) if text.contains("snapshot-force")));
    assert_eq!(new.get("a", 0).await, r#"{"x":"new"}"#, "nothing was done");
    // A leader that dies before the keys are switched leaves nothing of it, and what was written since stays.
    let path = new.consensus.state().path();
    let term = new.consensus.lead_term().unwrap();
    new.vault.put_foreign(term, path.applied.index + 1, file.path()).await.unwrap();
    assert!(new.consensus.state().path().entries > path.entries);
    new.put("a", r#"{"x":"newer"}"#).await;
    let entries = path.entries + 1;
    assert!(new.vault.finish_restore().await.unwrap());
    assert_eq!(new.consensus.state().path().entries, entries, "nothing is left of it");
    assert_eq!(new.get("a", 0).await, r#"{"x":"newer"}"#);
    assert!(!new.vault.finish_restore().await.unwrap());
    assert_eq!(new.restore(&file, true).await.unwrap(), Restored::Sealed { region: "here".into() });
    assert!(new.vault.is_sealed());
    // From here on it has the old region's shares, root token and secrets, and nothing of its own.
    let new = Fixture { keys: old.keys.clone(), root: old.root.clone(), kv: old.kv, ..new };
    new.unseal();
    assert!(new.caller().await.is_root());
    assert_eq!((new.get("a", 0).await, new.get("b", 0).await), (r#"{"x":"old"}"#.into(), r#"{"x":"rotated"}"#.into()));
    assert_eq!(new.consensus.state().path().entries, old.consensus.state().path().entries);
    assert!(!new.vault.finish_restore().await.unwrap(), "nothing is left to do");
    new.put("c", r#"{"x":5}"#).await;
}

/// A long name is a record of its own in a tar, as long as its header says: gigabytes in a file of kilobytes.
#[tokio::test]
async fn names_of_any_length_are_not_read() {
    let fixture = Fixture::open().await;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(64 << 30);
    header.set_cksum();
    let mut packed = flate2::write::GzEncoder::new(NamedTempFile::new().unwrap(), flate2::Compression::fast());
    packed.write_all(header.as_bytes()).unwrap();
    packed.write_all(&vec![b'a'; 1 << 20]).unwrap();
    let file = packed.finish().unwrap();
    let refused = fixture.restore(&file, true).await.unwrap_err();
    assert!(refused.to_string().contains("no file"), "{refused}");
}

#[tokio::test]
async fn a_file_that_was_changed_is_refused_before_anything_is_done() {
    let fixture = Fixture::open().await;
    fixture.put("a", r#"{"x":1}"#).await;
    let whole = std::fs::read(fixture.save().path()).unwrap();
    fixture.put("a", r#"{"x":2}"#).await;
    let applied = fixture.consensus.state().path().applied;
    let mut damaged = vec![Vec::new(), b"no snapshot".to_vec(), whole[..whole.len() / 2].to_vec()];
    for at in (40..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        damaged.push(changed);
    }
    for bytes in damaged {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        // What is not looked at (the padding of a tar, the header of a gzip) may be changed.
        if fixture.restore(&file, false).await.is_err() {
            assert_eq!(fixture.consensus.state().path().applied, applied);
        } else {
            assert_eq!(fixture.get("a", 0).await, r#"{"x":1}"#);
            return;
        }
    }
}
