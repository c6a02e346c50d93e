//! What lies between two regions: a TCP proxy that counts what passes, can be slow, and can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CHUNK_BYTES: usize = 16 << 10;
/// How long a connection to a node may take, before the next is tried.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A proxy on loopback, in front of a region. It ends when dropped.
pub struct Proxy {
    /// As a region is configured to be reached.
    pub address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    targets: watch::Sender<Vec<SocketAddr>>,
    /// Raised by each cut: connections of an older number end.
    cuts: watch::Sender<u64>,
    is_cut: watch::Sender<bool>,
    /// To the region, and back.
    inward: AtomicU64,
    outward: AtomicU64,
    /// Of each connection, towards the region.
    bytes_per_s: u64,
}

impl Proxy {
    /// Passes each connection on to the first of its targets that takes it; each no faster than this.
    pub async fn start(bytes_per_s: u64) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let shared = Arc::new(Shared {
            targets: watch::Sender::default(),
            cuts: watch::Sender::default(),
            is_cut: watch::Sender::default(),
            inward: AtomicU64::new(0),
            outward: AtomicU64::new(0),
            bytes_per_s,
        });
        let accepting = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if !*accepting.is_cut.borrow() {
                    tokio::spawn(pass(near, accepting.clone()));
                }
            }
        });
        Proxy { address, shared, task }
    }

    /// The nodes of the region behind it.
    pub fn lead_to(&self, targets: Vec<SocketAddr>) {
        self.shared.targets.send_replace(targets);
    }

    /// Ends every connection, and every new one at once, until it is mended.
    pub fn cut(&self) {
        self.shared.is_cut.send_replace(true);
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub fn mend(&self) {
        self.shared.is_cut.send_replace(false);
    }

    /// Bytes that went to the region so far.
    pub fn inward(&self) -> u64 {
        self.shared.inward.load(Ordering::Relaxed)
    }

    /// Bytes that came back so far.
    pub fn outward(&self) -> u64 {
        self.shared.outward.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn pass(mut near: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    cuts.borrow_and_update();
    let Some(mut far) = dial(&shared).await else { return };
    let quick = near.set_nodelay(true).and(far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
    let inward = one_way(near_read, far_write, &shared.inward, shared.bytes_per_s);
    let outward = one_way(far_read, near_write, &shared.outward, u64::MAX);
    tokio::select! {
        // Either end of it, or the cut, ends both.
        _ = async { tokio::join!(inward, outward) }, if quick.is_ok() => {}
        _ = cuts.changed() => {}
    }
}

async fn dial(shared: &Shared) -> Option<TcpStream> {
    let targets = shared.targets.borrow().clone();
    for target in targets {
        if let Ok(Ok(far)) = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(target)).await {
            return Some(far);
        }
    }
    None
}

async fn one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    count: &AtomicU64,
    bytes_per_s: u64,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk).await {
            Ok(bytes) if bytes > 0 => {
                count.fetch_add(bytes as u64, Ordering::Relaxed);
                if bytes_per_s < u64::MAX {
                    tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / bytes_per_s as f64)).await;
                }
                if to.write_all(&chunk[..bytes]).await.is_err() {
                    return;
                }
            }
            _ => {
                // The other way may still be needed.
                let _ = to.shutdown().await;
                return;
            }
        }
    }
}
