//! A node of the demo with threads of its own, so that it can be killed without a goodbye and its clock can be wrong
//! without anybody else's being so.

use crate::clock::{self, Skew};
use crate::config;
use crate::error::{Error, Result};
use crate::server::{self, Running};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Threads of each node: a demo may have ten nodes.
const THREADS: usize = 2;
/// A killed node's directory is locked until its last thread has noticed.
const UNLOCK_WITHIN: Duration = Duration::from_secs(20);
const UNLOCK_POLL: Duration = Duration::from_millis(50);

pub struct Node {
    config: PathBuf,
    pub listen: SocketAddr,
    pub skew: Skew,
    life: Option<Life>,
}

struct Life {
    runtime: Runtime,
    running: Running,
}

impl Node {
    pub fn new(config: PathBuf, listen: SocketAddr) -> Node {
        Node { config, listen, skew: Skew::default(), life: None }
    }

    pub fn is_alive(&self) -> bool {
        self.life.is_some()
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Starts it, or starts it again: from its file and its directory, as an operator would.
    pub async fn start(&mut self) -> Result<()> {
        if self.is_alive() {
            return Ok(());
        }
        let skew = self.skew.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .on_thread_start(move || skew.apply_to_this_thread())
            .enable_all()
            .build()?;
        let began = clock::steady();
        let running = loop {
            let config = config::load(&self.config)?;
            let started = runtime.spawn(async move { server::start(config).await }).await;
            match started.map_err(|error| Error::internal(error.to_string())).and_then(|started| started) {
                Ok(running) => break running,
                Err(error) if began.elapsed() > UNLOCK_WITHIN => {
                    runtime.shutdown_background();
                    return Err(error);
                }
                Err(_) => tokio::time::sleep(UNLOCK_POLL).await,
            }
        };
        self.life = Some(Life { runtime, running });
        Ok(())
    }

    /// As a power cut would: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        if let Some(Life { runtime, running }) = self.life.take() {
            runtime.shutdown_background();
            drop(running);
        }
    }

    pub async fn stop(&mut self) {
        if let Some(Life { runtime, running }) = self.life.take() {
            // It can only fail if the stop itself panicked, and then there is nothing left to stop.
            let _ = runtime.spawn(running.shutdown()).await;
            // Whoever removes its folder next must find nobody at work in it.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(UNLOCK_WITHIN)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
