//! The demo's wide-area link: a TCP proxy on loopback that delays and paces what passes, both ways.

use crate::clock;
use crate::error::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What is read at once, and thus the grain of the pacing.
const CHUNK_BYTES: usize = 16 << 10;
/// Chunks on their way in one direction of one connection: the link's buffer, 8 MiB.
const CHUNKS_MAX: usize = 512;

/// How the link treats what passes.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// From here to there and back.
    pub round_trip: Duration,
    /// Of each connection, each way.
    pub bytes_per_s: u64,
}

/// A running proxy; it ends when dropped.
pub struct Wan {
    address: SocketAddr,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

/// What may change while it runs.
struct Line {
    round_trip_ms: AtomicU64,
    bytes_per_s: u64,
    cut: watch::Sender<bool>,
}

impl Line {
    fn round_trip(&self) -> Duration {
        Duration::from_millis(self.round_trip_ms.load(Ordering::Relaxed))
    }
}

impl Wan {
    /// Listens on a free loopback port and passes each connection on to the first of `targets` that takes it.
    pub async fn start(targets: Vec<SocketAddr>, quality: Quality) -> Result<Wan> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let line = Arc::new(Line {
            round_trip_ms: AtomicU64::new(quality.round_trip.as_millis() as u64),
            bytes_per_s: quality.bytes_per_s,
            cut: watch::Sender::new(false),
        });
        let shared = Arc::clone(&line);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let line = Arc::clone(&shared);
                let targets = targets.clone();
                tokio::spawn(async move {
                    let mut cut = line.cut.subscribe();
                    if *cut.borrow() {
                        // Nothing comes back over a cut line, not even a refusal. The sender lives as long as the line.
                        let _ = cut.wait_for(|cut| !cut).await;
                        return;
                    }
                    tokio::select! {
                        _ = cut.wait_for(|cut| *cut) => {}
                        // A connection that breaks is its ends' business.
                        _ = pass(near, targets, &line) => {}
                    }
                });
            }
        });
        Ok(Wan { address, line, task })
    }

    /// Where the far side is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses all that is on its way, and whatever comes until it is healed.
    pub fn cut(&self) {
        self.line.cut.send_replace(true);
    }

    pub fn heal(&self) {
        self.line.cut.send_replace(false);
    }

    pub fn set_round_trip(&self, round_trip: Duration) {
        self.line.round_trip_ms.store(round_trip.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(near: TcpStream, targets: Vec<SocketAddr>, line: &Line) -> Result<()> {
    // The handshake of a connection takes a round trip.
    tokio::time::sleep(line.round_trip()).await;
    let far = TcpStream::connect(targets.as_slice()).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(one_way(near_read, far_write, line), one_way(far_read, near_write, line))?;
    Ok(())
}

async fn one_way(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, line: &Line) -> Result<()> {
    let (send, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let read = async move {
        let mut free_at = Instant::from_std(clock::steady());
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let bytes = from.read(&mut chunk).await?;
            if bytes == 0 {
                return Ok(());
            }
            chunk.truncate(bytes);
            let transmission = Duration::from_secs_f64(bytes as f64 / line.bytes_per_s as f64);
            free_at = free_at.max(Instant::from_std(clock::steady())) + transmission;
            if send.send((free_at + line.round_trip() / 2, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((at, chunk)) = arriving.recv().await {
            tokio::time::sleep_until(at).await;
            to.write_all(&chunk).await?;
        }
        // A half that ended may not close the other: an answer may still be on its way.
        let _ = to.shutdown().await;
        Ok::<_, Error>(())
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_in_comes_out_later_and_whole() {
        let echo = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = echo.local_addr().expect("bound");
        tokio::spawn(async move {
            let (stream, _) = echo.accept().await.expect("one connection");
            let (mut read, mut write) = stream.into_split();
            tokio::io::copy(&mut read, &mut write).await.expect("echo");
        });
        let round_trip = Duration::from_millis(40);
        let wan = Wan::start(vec![target], Quality { round_trip, bytes_per_s: 64 << 20 }).await.expect("a free port");
        let began = clock::steady();
        let mut stream = TcpStream::connect(wan.address()).await.expect("the proxy listens");
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let (mut read, mut write) = stream.split();
        let body = sent.clone();
        let (_, back) = tokio::join!(
            async move {
                write.write_all(&body).await.expect("write");
                write.shutdown().await.expect("half close");
            },
            async {
                let mut back = Vec::new();
                read.read_to_end(&mut back).await.expect("read");
                back
            }
        );
        assert_eq!(back, sent);
        assert!(began.elapsed() >= 2 * round_trip, "a connection and an echo take two round trips");
    }
}
