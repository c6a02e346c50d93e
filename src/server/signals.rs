//! A server as a process: its log, its signals.

use super::{loggers, monitor, process, start};
use crate::config::{self, LogFormat, ServerConfig};
use crate::error::{Error, Result};
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Runs a server from its configuration file until SIGTERM or SIGINT. SIGHUP reads the file again.
pub async fn run(file: &Path) -> Result<()> {
    let config = config::load(file)?;
    log_to_stderr(&config);
    process::forbid_dumps();
    if config.lock_memory
        && let Err(error) = process::lock_memory()
    {
        warn!("{error}");
    }
    if config.listener.tls == config::Tls::Disabled {
        warn!("`tls_disable` is set: whoever is on the way reads the tokens and secrets of clients");
    }
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let listen = |kind| signal(kind).map_err(|error| Error::internal(format!("signals can't be handled: {error}")));
    // Before the start, so that no signal finds the process without its handler.
    let mut reload = listen(SignalKind::hangup())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let running = start(config).await?;
    loop {
        tokio::select! {
            _ = reload.recv() => {
                let reloaded = match config::load(file) {
                    Ok(config) => running.reload(&config).await,
                    Err(error) => Err(error),
                };
                match reloaded {
                    Ok(()) => info!("configuration reloaded"),
                    Err(error) => error!("the configuration was not reloaded, the old one stays: {error}"),
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    info!("stopping");
    running.shutdown().await;
    Ok(())
}

/// What is logged, in the words of tracing's `EnvFilter`; it goes before `log_level`.
const LOG_VARIABLE: &str = "TWINKEEP_LOG";

/// The log goes to standard error: of Twinkeep as configured, of the crates below it only what is
/// wrong. openraft repeats itself ten times a second about a node that is gone: the supervisor says that once.
fn log_to_stderr(config: &ServerConfig) {
    let configured = format!("warn,openraft=off,twinkeep={}", config.log_level.name());
    let filter = loggers::filter(std::env::var(LOG_VARIABLE).unwrap_or(configured));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Standard => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let done = tracing_subscriber::registry().with(lines.with_filter(filter)).with(monitor::layer()).try_init();
    if done.is_err() {
        warn!("the log was set up before; its settings stay");
    }
}
