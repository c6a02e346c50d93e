//! The demo's wide-area link: a TCP proxy on loopback that delays and paces what passes, both ways.

use crate::clock;
use crate::error::{Error, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
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
    task: JoinHandle<()>,
}

impl Wan {
    /// Listens on a free loopback port and passes each connection on to the first of `targets` that takes it.
    pub async fn start(targets: Vec<SocketAddr>, quality: Quality) -> Result<Wan> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, targets.clone(), quality));
            }
        });
        Ok(Wan { address, task })
    }

    /// Where the far side is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(near: TcpStream, targets: Vec<SocketAddr>, quality: Quality) -> Result<()> {
    // The handshake of a connection takes a round trip.
    tokio::time::sleep(quality.round_trip).await;
    let far = TcpStream::connect(targets.as_slice()).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(one_way(near_read, far_write, quality), one_way(far_read, near_write, quality))?;
    Ok(())
}

async fn one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    quality: Quality,
) -> Result<()> {
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
            let transmission = Duration::from_secs_f64(bytes as f64 / quality.bytes_per_s as f64);
            free_at = free_at.max(Instant::from_std(clock::steady())) + transmission;
            if send.send((free_at + quality.round_trip / 2, chunk)).await.is_err() {
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
