//! Requests under way and requests that were answered, for who operates the node.

use crate::clock::{self, UnixMs};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Default)]
pub struct Requests {
    next: AtomicU64,
    under_way: Mutex<BTreeMap<u64, UnderWay>>,
    answered: AtomicU64,
    /// Answered with a status of 500 and above.
    failed: AtomicU64,
    micros: AtomicU64,
}

struct UnderWay {
    since: UnixMs,
    method: String,
    path: String,
    client: Option<SocketAddr>,
}

/// A request as it is shown.
pub struct Shown {
    pub id: String,
    pub since: UnixMs,
    pub method: String,
    pub path: String,
    /// Where it comes from.
    pub client: Option<SocketAddr>,
}

/// One request under way, until it is dropped.
pub struct Guard {
    requests: Arc<Requests>,
    id: u64,
    began: Instant,
    failed: bool,
}

/// What requests came to since the node started.
#[derive(Clone, Copy)]
pub struct Totals {
    pub answered: u64,
    pub failed: u64,
    pub micros: u64,
    pub under_way: usize,
}

impl Requests {
    pub fn begin(self: &Arc<Self>, method: &str, path: &str, client: Option<SocketAddr>) -> Guard {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay { since: clock::now(), method: method.to_owned(), path: path.to_owned(), client };
        self.table().insert(id, under_way);
        Guard { requests: self.clone(), id, began: clock::steady(), failed: false }
    }

    pub fn under_way(&self) -> Vec<Shown> {
        let shown = |(id, request): (&u64, &UnderWay)| Shown {
            id: id.to_string(),
            since: request.since,
            method: request.method.clone(),
            path: request.path.clone(),
            client: request.client,
        };
        self.table().iter().map(shown).collect()
    }

    pub fn totals(&self) -> Totals {
        Totals {
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            micros: self.micros.load(Ordering::Relaxed),
            under_way: self.table().len(),
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    pub fn answered(&mut self, status: u16) {
        self.failed = status >= 500;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let requests = &self.requests;
        requests.table().remove(&self.id);
        requests.answered.fetch_add(1, Ordering::Relaxed);
        requests.failed.fetch_add(u64::from(self.failed), Ordering::Relaxed);
        requests.micros.fetch_add(self.began.elapsed().as_micros() as u64, Ordering::Relaxed);
    }
}
