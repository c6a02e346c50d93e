//! Reading a request's body: bounded for each request by who may send it, for all together by what they hold in memory,
//! and in time.
//!
//! Nothing is believed before it is here: room is taken as bytes arrive, not as they are announced. Nodes, regions and
//! clients have room of their own, so that a flood of one keeps out none of the others.

use super::call::has_token;
use super::routes::{Route, Who};
use crate::error::{Error, Result};
use crate::replication::envelope;
use axum::body::{Body, BodyDataStream};
use axum::http::{header, request::Parts};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body that is taken from a client, as in Vault, and from a node.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// The largest body that is taken from whoever shows nothing.
const STRANGER_BYTES_MAX: usize = 1 << 20;
/// What the bodies of all requests under way may hold together, by who sends them.
const CLIENTS_BYTES_MAX: usize = 192 << 20;
const REGIONS_BYTES_MAX: usize = 128 << 20;
const NODES_BYTES_MAX: usize = 128 << 20;
/// A body whose next bytes take longer is given up. Its whole has the request's deadline.
const STALL_MAX: Duration = Duration::from_secs(20);
/// Of a body that is refused for its length, so much is still taken in and thrown away, as long as this: a client that
/// only looks for an answer when it has sent everything would otherwise see a broken connection instead of the reason.
const REFUSED_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
const REFUSED_TIME_MAX: Duration = Duration::from_secs(10);

/// The room for the bodies of one node.
pub struct Bodies {
    clients: Arc<Semaphore>,
    regions: Arc<Semaphore>,
    nodes: Arc<Semaphore>,
}

/// A body, and the room that it takes until this is dropped.
pub struct Held {
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies {
            clients: Arc::new(Semaphore::new(CLIENTS_BYTES_MAX)),
            regions: Arc::new(Semaphore::new(REGIONS_BYTES_MAX)),
            nodes: Arc::new(Semaphore::new(NODES_BYTES_MAX)),
        }
    }
}

impl Bodies {
    pub async fn read(&self, route: &Route, parts: &Parts, body: Body) -> Result<Held> {
        let room = match route.who {
            Who::Anyone | Who::Guest | Who::Client | Who::Operator => &self.clients,
            Who::Link => &self.regions,
            Who::Node => &self.nodes,
        };
        read(room, max(route.who, parts), STALL_MAX, parts, body).await
    }
}

fn max(who: Who, parts: &Parts) -> usize {
    match who {
        Who::Client | Who::Operator if has_token(&parts.headers) => BODY_BYTES_MAX,
        Who::Anyone | Who::Guest | Who::Client | Who::Operator => STRANGER_BYTES_MAX,
        Who::Link => envelope::BODY_BYTES_MAX,
        Who::Node => BODY_BYTES_MAX,
    }
}

async fn read(room: &Arc<Semaphore>, max: usize, stall: Duration, parts: &Parts, body: Body) -> Result<Held> {
    let too_large = |got: u64| Error::TooLarge { got, max: max as u64 };
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut chunks = body.into_data_stream();
    if let Some(got) = announced.filter(|length| *length > max as u64) {
        refuse(parts, Body::from_stream(chunks)).await;
        return Err(too_large(got));
    }
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let mut held: Option<OwnedSemaphorePermit> = None;
    loop {
        let next = tokio::time::timeout(stall, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| Error::invalid("the request's body did not come in time"))? else { break };
        let chunk = chunk.map_err(|_| Error::invalid("the request's body broke off"))?;
        if chunk.is_empty() {
            continue;
        }
        let got = first.len() + rest.len() + chunk.len();
        if got > max {
            drop((first, rest, held));
            throw_away(chunks).await;
            return Err(too_large(got as u64));
        }
        let full = |_| Error::unavailable("this node holds as many request bodies as it can; try again");
        let taken = room.clone().try_acquire_many_owned(chunk.len() as u32).map_err(full)?;
        match &mut held {
            Some(held) => held.merge(taken),
            None => held = Some(taken),
        }
        if first.is_empty() && rest.is_empty() {
            first = chunk;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&chunk);
        }
    }
    let bytes = if first.is_empty() { rest.freeze() } else { first };
    Ok(Held { bytes, _room: held })
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

    #[tokio::test]
    async fn a_body_holds_its_room_until_it_is_dropped() {
        let room = Arc::new(Semaphore::new(10));
        let held =
            read(&room, 8, STALL_MAX, &parts(None), chunks(vec![b"abc", b"", b"de", b"fg"])).await.expect("it fits");
        assert_eq!((held.bytes.as_ref(), room.available_permits()), (&b"abcdefg"[..], 3));
        let refused = read(&room, 8, STALL_MAX, &parts(None), chunks(vec![b"ab", b"cd"])).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "no room for it");
        assert_eq!(room.available_permits(), 3, "what was refused holds nothing");
        drop(held);
        assert_eq!(room.available_permits(), 10);
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_refused_as_announced_and_as_it_comes() {
        let room = Arc::new(Semaphore::new(10));
        for announced in [Some(u64::MAX), Some(9), None] {
            let refused = read(&room, 8, STALL_MAX, &parts(announced), chunks(vec![b"abcd", b"efghi"])).await;
            assert!(matches!(refused, Err(Error::TooLarge { got, max: 8 }) if got > 8), "{announced:?}");
        }
        let broken = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]));
        assert!(matches!(read(&room, 8, STALL_MAX, &parts(None), broken).await, Err(Error::Invalid(_))));
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = read(&Arc::new(Semaphore::new(10)), 8, Duration::from_millis(5), &parts(Some(4)), never).await;
        assert!(matches!(refused, Err(Error::Invalid(text)) if text.contains("in time")));
    }
}
