//! A wire between regions that a test can cut: TCP connections to a node, carried as they are.

use super::free_port;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub address: String,
    cut: watch::Sender<bool>,
}

impl Proxy {
    /// Carries connections to the port of a node on loopback.
    pub async fn to(node: u16) -> Proxy {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut is_cut = is_cut.clone();
                tokio::spawn(async move {
                    let carried = carry(near, SocketAddr::from((Ipv4Addr::LOCALHOST, node)));
                    // Whoever is connected when the wire is cut is disconnected.
                    tokio::select! {
                        () = carried => {}
                        _ = is_cut.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Proxy { address: format!("http://127.0.0.1:{port}"), cut }
    }

    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn carry(mut near: TcpStream, node: SocketAddr) {
    if let Ok(mut far) = TcpStream::connect(node).await {
        // Either side may end it at any time.
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
