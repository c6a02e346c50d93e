//! How many connections a listener keeps: who opens more than its share is hung up on, the others are still served.
//!
//! Each connection takes a file descriptor that the storage engine may need, and memory for its headers. So there is a
//! bound for all of them, below what the process may open, and one for each address they come from.

use super::places::{Place, Places};
use axum_server::accept::Accept;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Connections of one listener, if the process may open files enough.
const CONNECTIONS_MAX: usize = 8192;
/// Files that are kept back for the storage engine and for this node's own connections to others.
const FILES_KEPT_BACK: u64 = 512;
/// The share of all connections that one address may hold: one in so many. A load balancer is one address.
const ADDRESS_SHARE: usize = 2;

/// Raises the process's bound on open files to what it is allowed, as servers do: the usual one of 1024 is for programs
/// that use `select`.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        // Without it there are fewer connections, and no more is lost.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Lets connections in, up to the bounds.
#[derive(Clone, Debug)]
pub struct Connections(Places);

impl Connections {
    /// As many as the process may open files for.
    pub fn new() -> Connections {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let free = files.saturating_sub(FILES_KEPT_BACK).max(files / 4);
        let all_max = CONNECTIONS_MAX.min(usize::try_from(free).unwrap_or(CONNECTIONS_MAX));
        Connections(Places::new(all_max, all_max.div_ceil(ADDRESS_SHARE)))
    }
}

impl<S> Accept<TcpStream, S> for Connections {
    type Stream = Admitted;
    type Service = S;
    type Future = Ready<io::Result<(Admitted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = || {
            let from = stream.peer_addr()?;
            let place = self.0.enter(from.ip());
            let place = place.ok_or_else(|| io::Error::other("too many connections"))?;
            stream.set_nodelay(true)?;
            Ok((Admitted { stream, from, _place: place }, service))
        };
        ready(admitted())
    }
}

/// A connection that was let in.
pub struct Admitted {
    stream: TcpStream,
    from: SocketAddr,
    _place: Place,
}

impl Admitted {
    /// Where it comes from.
    pub fn from(&self) -> SocketAddr {
        self.from
    }
}

impl AsyncRead for Admitted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
