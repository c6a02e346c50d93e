//! `sys/monitor`: the log, line by line, until the client has seen enough.

use crate::error::{Error, Result};
use crate::server::answer::Answer;
use crate::server::call::Call;
use crate::server::monitor::{Format, Watcher, level};
use axum::body::Body;
use futures::stream;
use std::convert::Infallible;

pub async fn monitor(call: Call) -> Result<Answer> {
    let wanted = call.query.get("log_level").unwrap_or_default();
    let level = level(wanted).ok_or_else(|| Error::invalid("unknown log level"))?;
    let format = match call.query.get("log_format").unwrap_or_default() {
        "" | "standard" => Format::Standard,
        "json" => Format::Json,
        _ => return Err(Error::invalid("unknown log format")),
    };
    let watcher = Watcher::new(level, format)?;
    let lines = stream::unfold((watcher, call.node.stopping.clone()), |(mut watcher, stopping)| async {
        let line = tokio::select! {
            line = watcher.next() => line?,
            () = stopping.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(line), (watcher, stopping)))
    });
    Ok(Answer::stream("text/plain; charset=utf-8", Body::from_stream(lines)))
}
