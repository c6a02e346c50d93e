//! What happened on the path: a bounded ring that readers resume by id, and a broadcast for those who wait.

use crate::api::replication::{Event, EventLevel};
use crate::clock;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::broadcast;

/// Events that are kept.
const RING: usize = 1024;
/// Events that a slow subscriber may be behind before it must read the ring again.
const BROADCAST: usize = 256;

pub struct Events {
    ring: Mutex<Ring>,
    sender: broadcast::Sender<Event>,
}

struct Ring {
    next_id: u64,
    events: VecDeque<Event>,
}

impl Default for Events {
    fn default() -> Events {
        Events::new()
    }
}

impl Events {
    /// Ids begin at the time in milliseconds, so that they rise over a restart as well, which forgets the events.
    pub fn new() -> Events {
        let ring = Ring { next_id: clock::now().0, events: VecDeque::with_capacity(RING) };
        Events { ring: Mutex::new(ring), sender: broadcast::Sender::new(BROADCAST) }
    }

    /// Records an event, logs it and tells the subscribers.
    pub fn record(&self, level: EventLevel, subject: &str, text: impl Into<String>) {
        let text = text.into();
        match level {
            EventLevel::Info => tracing::info!(subject, "{text}"),
            EventLevel::Warn => tracing::warn!(subject, "{text}"),
            EventLevel::Alarm => tracing::error!(subject, "{text}"),
        }
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event { id: ring.next_id, at: clock::now(), level, subject: subject.to_owned(), text };
        ring.next_id += 1;
        if ring.events.len() == RING {
            ring.events.pop_front();
        }
        ring.events.push_back(event.clone());
        // Nobody may be listening; sent under the lock, so that subscribers see the order of the ids.
        let _ = self.sender.send(event);
    }

    /// The kept events with a higher id, oldest first.
    pub fn after(&self, id: u64) -> Vec<Event> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.events.iter().filter(|event| event.id > id).cloned().collect()
    }

    /// Events from now on. Subscribe first, then read `after`, and drop what comes twice.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_resume_by_id_and_the_ring_is_bounded() {
        let events = Events::new();
        let mut listener = events.subscribe();
        for number in 0..RING + 10 {
            events.record(EventLevel::Info, "link", number.to_string());
        }
        let all = events.after(0);
        assert_eq!((all.len(), all[0].text.as_str()), (RING, "10"));
        let rest = events.after(all[RING - 3].id);
        assert_eq!(rest, all[RING - 2..]);
        assert!(matches!(listener.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}
