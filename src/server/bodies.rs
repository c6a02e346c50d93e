//! Reading a request's body: bounded for each request by who may send it, for all together by what they hold in memory,
//! and in time.
//!
//! Nothing is believed before it is here: room is taken as bytes arrive, not as they are announced. Nodes, regions and
//! clients have room of their own, so that a flood of one keeps out none of the others. Whose it is, the route says, which
//! anybody may ask for: so one address gets a part of a room only, and all that are not known to be nodes of this region
//! leave half of the nodes' room to those that are.

use super::routes::{Route, Who};
use crate::error::{Error, Result};
use crate::replication::envelope;
use axum::body::{Body, BodyDataStream};
use axum::http::{header, request::Parts};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The largest body that is taken from a client, as in Vault, and from a node.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// The largest body that is taken from whoever shows nothing.
const STRANGER_BYTES_MAX: usize = 1 << 20;
/// What the bodies of all requests under way may hold together, by who sends them.
const CLIENTS: Bounds = Bounds { all: 192 << 20, others: 192 << 20, address: 96 << 20 };
const REGIONS: Bounds = Bounds { all: 128 << 20, others: 128 << 20, address: 64 << 20 };
const NODES: Bounds = Bounds { all: 128 << 20, others: 64 << 20, address: 32 << 20 };
/// A body whose next bytes take longer is given up. Its whole has the request's deadline.
const STALL_MAX: Duration = Duration::from_secs(20);
/// Of a body that is refused for its length, so much is still taken in and thrown away, as long as this: a client that
/// only looks for an answer when it has sent everything would otherwise see a broken connection instead of the reason.
const REFUSED_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
const REFUSED_TIME_MAX: Duration = Duration::from_secs(10);

/// Who sends a body.
#[derive(Clone, Copy)]
pub struct Giver {
    pub address: Option<IpAddr>,
    /// Known to be a node of this region.
    pub is_peer: bool,
    /// Shows a token that is good, or one that this node can't judge yet.
    pub is_client: bool,
}

/// The room for the bodies of one node.
pub struct Bodies {
    clients: Arc<Room>,
    regions: Arc<Room>,
    nodes: Arc<Room>,
}

/// A body, and the room that it takes until this is dropped.
pub struct Held {
    pub bytes: Bytes,
    _room: Share,
}

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies { clients: Room::new(CLIENTS), regions: Room::new(REGIONS), nodes: Room::new(NODES) }
    }
}

impl Bodies {
    /// `giver.is_client` need be known only where the body `may_be_long`.
    pub async fn read(&self, route: &Route, giver: Giver, parts: &Parts, body: Body) -> Result<Held> {
        let room = match route.who {
            Who::Anyone | Who::Guest | Who::Client | Who::Operator => &self.clients,
            Who::Link => &self.regions,
            Who::Node => &self.nodes,
        };
        let max = match route.who {
            Who::Client | Who::Operator if giver.is_client => BODY_BYTES_MAX,
            Who::Anyone | Who::Guest | Who::Client | Who::Operator => STRANGER_BYTES_MAX,
            Who::Link => envelope::BODY_BYTES_MAX,
            Who::Node => BODY_BYTES_MAX,
        };
        read(room.share(giver), max, STALL_MAX, parts, body).await
    }
}

/// Whether a body may be longer than what is taken from whoever shows nothing.
pub fn may_be_long(parts: &Parts) -> bool {
    announced(parts).is_none_or(|length| length > STRANGER_BYTES_MAX as u64)
}

fn announced(parts: &Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// In bytes.
#[derive(Clone, Copy)]
struct Bounds {
    all: usize,
    /// Of those that are not known to be nodes of this region, together, and of each address of theirs.
    others: usize,
    address: usize,
}

/// What the bodies of one kind of sender may hold together.
struct Room {
    max: Bounds,
    held: Mutex<Occupied>,
}

#[derive(Default)]
struct Occupied {
    all: usize,
    /// By those that are not known to be nodes of this region.
    others: usize,
    /// By the address of each of these.
    by_address: HashMap<IpAddr, usize>,
}

/// What one body holds of a room; given back when it is dropped.
struct Share {
    room: Arc<Room>,
    giver: Giver,
    bytes: usize,
}

impl Room {
    fn new(max: Bounds) -> Arc<Room> {
        Arc::new(Room { max, held: Mutex::default() })
    }

    fn share(self: &Arc<Room>, giver: Giver) -> Share {
        Share { room: self.clone(), giver, bytes: 0 }
    }

    fn held(&self) -> MutexGuard<'_, Occupied> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<()> {
        let max = self.room.max;
        let mut held = self.room.held();
        let of_address = self.giver.address.and_then(|address| held.by_address.get(&address)).copied().unwrap_or(0);
        let fits_all = held.all + bytes <= max.all;
        let fits_others = held.others + bytes <= max.others && of_address + bytes <= max.address;
        if !fits_all || !(self.giver.is_peer || fits_others) {
            return Err(Error::unavailable("this node holds as many request bodies as it can; try again"));
        }
        held.all += bytes;
        if !self.giver.is_peer {
            held.others += bytes;
            if let Some(address) = self.giver.address {
                *held.by_address.entry(address).or_default() += bytes;
            }
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.room.held();
        held.all -= self.bytes;
        if self.giver.is_peer {
            return;
        }
        held.others -= self.bytes;
        if let Some(address) = self.giver.address
            && let Some(of_address) = held.by_address.get_mut(&address)
        {
            *of_address -= self.bytes;
            if *of_address == 0 {
                held.by_address.remove(&address);
            }
        }
    }
}

async fn read(mut room: Share, max: usize, stall: Duration, parts: &Parts, body: Body) -> Result<Held> {
    let too_large = |got: u64| Error::TooLarge { got, max: max as u64 };
    let mut chunks = body.into_data_stream();
    if let Some(got) = announced(parts).filter(|length| *length > max as u64) {
        refuse(parts, Body::from_stream(chunks)).await;
        return Err(too_large(got));
    }
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    loop {
        let next = tokio::time::timeout(stall, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| Error::invalid("the request's body did not come in time"))? else { break };
        let chunk = chunk.map_err(|_| Error::invalid("the request's body broke off"))?;
        if chunk.is_empty() {
            continue;
        }
        let got = first.len() + rest.len() + chunk.len();
        if got > max {
            drop((first, rest, room));
            throw_away(chunks).await;
            return Err(too_large(got as u64));
        }
        room.grow(chunk.len())?;
        if first.is_empty() && rest.is_empty() {
            first = chunk;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&chunk);
        }
    }
    let bytes = if first.is_empty() { rest.freeze() } else { first };
    Ok(Held { bytes, _room: room })
}

/// Takes nothing of a body whose request is refused.
pub async fn refuse(parts: &Parts, body: Body) {
    // Who asks before it sends is told at once.
    if !parts.headers.contains_key(header::EXPECT) {
        throw_away(body.into_data_stream()).await;
    }
}

/// The rest of a body that is refused, within bounds.
async fn throw_away(mut chunks: BodyDataStream) {
    let mut left = REFUSED_BYTES_MAX;
    let all = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Whoever is slower than this has to find out by the broken connection.
    let _late = tokio::time::timeout(REFUSED_TIME_MAX, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(announced: Option<u64>) -> Parts {
        let request = Request::builder();
        let request = match announced {
            Some(length) => request.header("content-length", length),
            None => request,
        };
        request.body(()).expect("a request").into_parts().0
    }

    fn chunks(chunks: Vec<&'static [u8]>) -> Body {
        let chunks = chunks.into_iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk)));
        Body::from_stream(futures::stream::iter(chunks))
    }

    fn stranger(number: u8) -> Giver {
        Giver { address: Some(IpAddr::from([10, 0, 0, number])), is_peer: false, is_client: false }
    }

    fn ten() -> Arc<Room> {
        Room::new(Bounds { all: 10, others: 10, address: 10 })
    }

    #[tokio::test]
    async fn a_body_holds_its_room_until_it_is_dropped() {
        let room = ten();
        let share = || room.share(stranger(1));
        let held = read(share(), 8, STALL_MAX, &parts(None), chunks(vec![b"abc", b"", b"de", b"fg"])).await;
        let held = held.expect("it fits");
        assert_eq!((held.bytes.as_ref(), room.held().all), (&b"abcdefg"[..], 7));
        let refused = read(share(), 8, STALL_MAX, &parts(None), chunks(vec![b"ab", b"cd"])).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "no room for it");
        assert_eq!(room.held().all, 7, "what was refused holds nothing");
        drop(held);
        let held = room.held();
        assert!(held.all == 0 && held.others == 0 && held.by_address.is_empty());
    }

    #[tokio::test]
    async fn an_address_gets_its_part_and_strangers_leave_room_for_the_nodes() {
        let room = Room::new(Bounds { all: 10, others: 6, address: 4 });
        let take = async |giver: Giver| read(room.share(giver), 8, STALL_MAX, &parts(None), chunks(vec![b"abc"])).await;
        let first = take(stranger(1)).await.expect("there is room");
        assert!(take(stranger(1)).await.is_err(), "not for the same one");
        let second = take(stranger(2)).await.expect("but for another");
        assert!(take(stranger(3)).await.is_err(), "all strangers have what they get");
        let peer = take(Giver { is_peer: true, ..stranger(1) }).await.expect("nodes have room of their own");
        drop((first, second, peer));
        assert_eq!(room.held().all, 0);
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_refused_as_announced_and_as_it_comes() {
        let room = ten();
        for announced in [Some(u64::MAX), Some(9), None] {
            let refused =
                read(room.share(stranger(1)), 8, STALL_MAX, &parts(announced), chunks(vec![b"abcd", b"efghi"])).await;
            assert!(matches!(refused, Err(Error::TooLarge { got, max: 8 }) if got > 8), "{announced:?}");
        }
        let broken = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]));
        assert!(matches!(
            read(room.share(stranger(1)), 8, STALL_MAX, &parts(None), broken).await,
            Err(Error::Invalid(_))
        ));
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = read(ten().share(stranger(1)), 8, Duration::from_millis(5), &parts(Some(4)), never).await;
        assert!(matches!(refused, Err(Error::Invalid(text)) if text.contains("in time")));
    }
}
