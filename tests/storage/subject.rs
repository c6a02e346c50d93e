//! An engine under test: a store that can be closed and opened again.

use std::sync::Arc;
use tempfile::TempDir;
use twinkeep::storage::memory::Memory;
use twinkeep::storage::{self, Engine, SharedStore, Store};

pub struct Subject {
    opened: Option<Opened>,
    engine: Engine,
    directory: TempDir,
}

enum Opened {
    OnDisk(SharedStore),
    InMemory(Arc<Memory>),
}

impl Subject {
    pub fn new(engine: Engine) -> Subject {
        let directory = tempfile::tempdir().unwrap();
        let mut subject = Subject { opened: None, engine, directory };
        subject.open();
        subject
    }

    pub fn store(&self) -> &dyn Store {
        match self.opened.as_ref().expect("open between any two calls") {
            Opened::OnDisk(store) => store.as_ref(),
            Opened::InMemory(memory) => memory.as_ref(),
        }
    }

    /// Flushes, closes and opens again. Memory crashes instead, which forgets what was not flushed. No snapshot may be
    /// open.
    pub fn reopen(&mut self) {
        self.store().flush().unwrap();
        if let Some(Opened::InMemory(memory)) = &self.opened {
            return memory.crash();
        }
        self.opened = None;
        self.open();
    }

    fn open(&mut self) {
        self.opened = Some(match self.engine {
            Engine::Memory => Opened::InMemory(Arc::new(Memory::new())),
            engine => Opened::OnDisk(storage::open(self.directory.path(), engine).unwrap()),
        });
    }
}
