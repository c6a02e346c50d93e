//! How many of something are there at a time: all together, and of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    all_max: usize,
    address_max: usize,
}

/// One of them; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    from: IpAddr,
}

impl Places {
    pub fn new(all_max: usize, address_max: usize) -> Places {
        Places { taken: Arc::default(), all_max, address_max }
    }

    /// `None`: there is none left for this address.
    pub fn enter(&self, from: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let full = taken.values().sum::<usize>() >= self.all_max;
        let held = taken.entry(from).or_default();
        if full || *held >= self.address_max {
            if *held == 0 {
                taken.remove(&from);
            }
            return None;
        }
        *held += 1;
        Some(Place { places: self.clone(), from })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(held) = taken.get_mut(&self.from) {
            *held -= 1;
            if *held == 0 {
                taken.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_its_share_and_places_come_back() {
        let places = Places::new(4, 2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let held: Vec<Place> = (0..2).filter_map(|_| places.enter(one)).collect();
        assert_eq!(held.len(), 2);
        assert!(places.enter(one).is_none(), "it has its share");
        let others: Vec<Place> = (0..2).filter_map(|_| places.enter(other)).collect();
        assert_eq!(others.len(), 2);
        assert!(places.enter(IpAddr::from([10, 0, 0, 3])).is_none(), "all are taken");
        drop(held);
        assert!(places.enter(one).is_some());
        drop(others);
        assert!(places.taken().is_empty(), "nothing is kept of who left");
    }
}
