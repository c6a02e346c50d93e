//! Loopback ports for servers that are started later, and again after they were killed: the demo's and the tests'.
//!
//! A port that the system picks (port 0) is from the range of which it also gives to outgoing connections, and to the
//! next one who asks; what listened there a moment ago may find it taken. These are from below that range, no one twice,
//! and two processes count from different places.

use crate::error::{Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below 32768, where Linux begins to pick; macOS begins at 49152.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_016;
/// More than a demo needs. Processes that run at once have ids near each other, and so blocks beside each other.
const BLOCK: u32 = 128;

/// An address of 127.0.0.1 that nobody listens on, and that no other call in this process has returned or will.
pub fn free_address() -> Result<SocketAddr> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id() % (COUNT / BLOCK) * BLOCK;
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        if taken >= COUNT {
            return Err(Error::unavailable("no loopback port between 10000 and 32015 is free"));
        }
        let port = FIRST + (begin + taken) % COUNT;
        let Ok(port) = u16::try_from(port) else { continue };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::free_address;
    use std::collections::BTreeSet;

    #[test]
    fn no_address_is_given_twice_and_none_that_is_taken() {
        let first = free_address().expect("a port");
        let taken = std::net::TcpListener::bind(("127.0.0.1", first.port() + 1));
        let others: BTreeSet<_> = (0..200).map(|_| free_address().expect("a port")).collect();
        assert_eq!(others.len(), 200);
        assert!(!others.contains(&first));
        // Where another process has that port already, nobody gets it either.
        let neighbour = (first.ip(), first.port() + 1).into();
        assert!(!others.contains(&neighbour) || taken.is_err(), "{neighbour} is listened on");
    }
}
