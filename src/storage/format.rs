//! Opening a data directory: whose it is, of which format, of which engine, and that nobody else has it open.
//!
//! ```text
//! DIRECTORY/lock       locked (flock) while a process has the directory open
//! DIRECTORY/FORMAT     format version and engine, as text, written before the engine's first byte
//! DIRECTORY/fjall/     or sled/: the engine's files
//! ```

use super::fjall::Fjall;
use super::memory::Memory;
use super::sled::Sled;
use super::{Engine, Key, SharedStore, Store, Tree, WriteBatch};
use crate::error::{Error, Result};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The version of everything that is stored: keys, values, files. Raised with each change of layout.
pub const VERSION: u32 = 3;

/// A lock outlives its holder by a moment if the holder was just starting another program, which inherits the lock
/// until it runs. So whoever finds it taken looks again for 0.3 s.
const LOCK_ATTEMPTS: u32 = 30;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

const LOCK_FILE: &str = "lock";
const FORMAT_FILE: &str = "FORMAT";

/// Opens the data directory `path`, and creates it if it isn't there. The directory stays locked until the store and
/// its snapshots are dropped. `Engine::Memory` leaves the file system alone.
pub fn open(path: &Path, engine: Engine) -> Result<SharedStore> {
    if engine == Engine::Memory {
        return Ok(Arc::new(Memory::new()));
    }
    let directory = DataDirectory::lock(path)?;
    directory.claim(engine)?;
    let files = path.join(engine.name());
    Ok(match engine {
        Engine::Fjall => Arc::new(Fjall::open(&files, directory)?),
        Engine::Sled => Arc::new(Sled::open(&files, directory)?),
        Engine::Memory => unreachable!("answered above"),
    })
}

/// Makes the data directory the node's own at its first start, and refuses another node's ever after: two nodes on
/// one directory's history would vote twice.
pub fn claim_node(store: &dyn Store, node_id: &str) -> Result<()> {
    let key = Key::NodeIdentity.to_bytes();
    if let Some(identity) = store.get(Tree::Node, &key)? {
        let owner: String = postcard::from_bytes(&identity)?;
        if owner == node_id {
            return Ok(());
        }
        return Err(Error::invalid(format!(
            "the data directory belongs to node `{owner}`, but `node_id` is `{node_id}`: \
             correct `node_id` or `path` in the storage stanza"
        )));
    }
    let mut batch = WriteBatch::new();
    batch.put(Tree::Node, key, postcard::to_stdvec(node_id)?);
    store.write(batch)?;
    store.flush()
}

/// A data directory that this process has locked.
pub(super) struct DataDirectory {
    path: PathBuf,
    /// Closing it gives up the lock.
    _lock: File,
}

impl DataDirectory {
    fn lock(path: &Path) -> Result<DataDirectory> {
        let failed = |doing: &str, error: std::io::Error| {
            Error::Storage(format!("can't {doing} the data directory {}: {error}", path.display()))
        };
        create_durably(path).map_err(|error| failed("create", error))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(|error| failed("lock", error))?;
        for attempt in 1.. {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if attempt < LOCK_ATTEMPTS => std::thread::sleep(LOCK_PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::invalid(format!(
                        "the data directory {} is in use by another process: stop it, or give this node a `path` of \
                         its own",
                        path.display()
                    )));
                }
                Err(error) => return Err(failed("lock", error.into())),
            }
        }
        Ok(DataDirectory { path: path.to_owned(), _lock: lock })
    }

    /// Checks that the directory is of this version and `engine`, or makes it so if it is new.
    fn claim(&self, engine: Engine) -> Result<()> {
        match fs::read_to_string(self.path.join(FORMAT_FILE)) {
            Ok(text) => self.check(&text, engine),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let engines = [Engine::Fjall, Engine::Sled].map(|engine| self.path.join(engine.name()));
                if let Some(orphan) = engines.iter().find(|files| files.exists()) {
                    return Err(Error::corrupt(format!(
                        "{} exists, but {FORMAT_FILE} beside it is missing: restore it, or move the directory away",
                        orphan.display()
                    )));
                }
                self.write_format(engine)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn check(&self, text: &str, engine: Engine) -> Result<()> {
        let path = self.path.display();
        let field = |name: &str| {
            let value = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name);
            value.map(|(_, value)| value.trim())
        };
        let wrong = || Error::corrupt(format!("{path}/{FORMAT_FILE} is no format file of Twinkeep's"));
        let version: u32 = field("version").and_then(|version| version.parse().ok()).ok_or_else(wrong)?;
        if version != VERSION {
            return Err(Error::invalid(format!(
                "the data directory {path} has format {version}, and this twinkeep ({}) reads and writes format \
                 {VERSION}: run the version that wrote it, or start with an empty directory and rejoin",
                env!("CARGO_PKG_VERSION")
            )));
        }
        let stored = field("engine").and_then(Engine::from_name).ok_or_else(wrong)?;
        if stored != engine {
            return Err(Error::invalid(format!(
                "the data directory {path} was made with the storage engine `{}`, but `engine` is `{}`: correct \
                 `engine` in the storage stanza, or start with an empty directory and rejoin",
                stored.name(),
                engine.name()
            )));
        }
        Ok(())
    }

    /// Written aside and renamed, so that a crash leaves all of it or nothing.
    fn write_format(&self, engine: Engine) -> Result<()> {
        let aside = self.path.join("FORMAT.new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&aside)?;
        write!(file, "version = {VERSION}\nengine = {}\n", engine.name())?;
        file.sync_all()?;
        fs::rename(&aside, self.path.join(FORMAT_FILE))?;
        Ok(File::open(&self.path)?.sync_all()?)
    }

    /// Blocks that the directory's files occupy.
    pub(super) fn disk_bytes(&self) -> Result<u64> {
        Ok(occupied_bytes(&self.path)?)
    }
}

/// Creates `path` and its missing parents, readable by the owner alone, such that a power cut can't take it away again.
fn create_durably(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}

/// The engine may remove a file while this looks: what is gone counts nothing.
fn occupied_bytes(path: &Path) -> std::io::Result<u64> {
    const BLOCK_BYTES: u64 = 512;
    let gone = |error: std::io::Error| if error.kind() == ErrorKind::NotFound { Ok(0) } else { Err(error) };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return gone(error),
    };
    let mut bytes = metadata.blocks() * BLOCK_BYTES;
    if metadata.is_dir() {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return gone(error).map(|nothing| bytes + nothing),
        };
        for entry in entries {
            bytes += occupied_bytes(&entry?.path())?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn refusal_to_open(path: &Path, engine: Engine) -> String {
        match open(path, engine) {
            Ok(_) => panic!("the directory was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_directory_is_created_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        drop(open(&path, Engine::Fjall).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(parent.path().join("a")).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_second_opening_is_refused_and_names_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        let store = open(parent.path(), Engine::Fjall).unwrap();
        let refusal = refusal_to_open(parent.path(), Engine::Fjall);
        assert!(refusal.contains("in use") && refusal.contains(&parent.path().display().to_string()), "{refusal}");
        let snapshot = store.snapshot().unwrap();
        drop(store);
        refusal_to_open(parent.path(), Engine::Fjall);
        drop(snapshot);
        open(parent.path(), Engine::Fjall).unwrap();
    }

    #[test]
    fn another_engine_is_refused() {
        for (one, other) in [(Engine::Fjall, Engine::Sled), (Engine::Sled, Engine::Fjall)] {
            let parent = tempfile::tempdir().unwrap();
            drop(open(parent.path(), one).unwrap());
            let refusal = refusal_to_open(parent.path(), other);
            assert!(refusal.contains(&format!("`{}`", one.name())), "{refusal}");
            assert!(refusal.contains(&format!("`{}`", other.name())), "{refusal}");
            assert_eq!(open(parent.path(), one).unwrap().engine(), one);
        }
    }

    #[test]
    fn another_version_and_a_lost_format_file_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        drop(open(parent.path(), Engine::Fjall).unwrap());
        let format = parent.path().join(FORMAT_FILE);
        fs::write(&format, "version = 99\nengine = fjall\n").unwrap();
        let refusal = refusal_to_open(parent.path(), Engine::Fjall);
        assert!(refusal.contains("format 99") && refusal.contains(&format!("format {VERSION}")), "{refusal}");
        fs::write(&format, "nonsense").unwrap();
        assert!(refusal_to_open(parent.path(), Engine::Fjall).contains("no format file"));
        fs::remove_file(&format).unwrap();
        assert!(refusal_to_open(parent.path(), Engine::Fjall).contains("is missing"));
    }

    #[test]
    fn another_nodes_directory_is_refused_naming_both() {
        let parent = tempfile::tempdir().unwrap();
        let store = open(parent.path(), Engine::Fjall).unwrap();
        claim_node(store.as_ref(), "vault-01").unwrap();
        drop(store);
        let store = open(parent.path(), Engine::Fjall).unwrap();
        claim_node(store.as_ref(), "vault-01").unwrap();
        let refusal = claim_node(store.as_ref(), "vault-02").unwrap_err().to_string();
        assert!(refusal.contains("vault-01") && refusal.contains("vault-02"), "{refusal}");
    }
}
