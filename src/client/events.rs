//! Server-sent events, read as they arrive.

use super::error::{ClientError, Phase, Result};
use super::request::unreachable;
use crate::api::replication::Event;
use reqwest::Response;
use std::time::Duration;

/// A server sends something, be it a comment, at least every 15 s: after twice as long the connection is dead.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The longest event that is read.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// What happens on a path. After an error or its end, ask for a new one behind the last event's id.
#[derive(Debug)]
pub struct EventStream {
    address: String,
    response: Response,
    /// What arrived and is not yet read.
    buffer: Vec<u8>,
}

impl EventStream {
    pub(super) fn new(address: &str, response: Response) -> EventStream {
        EventStream { address: address.to_owned(), response, buffer: Vec::new() }
    }

    /// The next event; `None` when the server ended the stream.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some(block) = take_block(&mut self.buffer) {
                if let Some(data) = data_of(&block) {
                    return serde_json::from_str(&data).map(Some).map_err(|error| self.undecodable(error.to_string()));
                }
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(self.undecodable(format!("an event is longer than {EVENT_BYTES_MAX} bytes")));
            }
            let chunk = tokio::time::timeout(IDLE_MAX, self.response.chunk()).await.map_err(|_| {
                let cause = format!("no sign of life for {} s", IDLE_MAX.as_secs());
                ClientError::Unreachable { address: self.address.clone(), phase: Phase::Body, cause }
            })?;
            match chunk.map_err(|error| unreachable(&self.address, Phase::Body, error))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    fn undecodable(&self, cause: String) -> ClientError {
        ClientError::Undecodable {
            method: "GET".into(),
            url: self.response.url().to_string(),
            status: self.response.status().as_u16(),
            cause,
        }
    }
}

/// Takes the lines up to the next empty one off the buffer's front.
fn take_block(buffer: &mut Vec<u8>) -> Option<String> {
    let end = |separator: &[u8]| {
        buffer.windows(separator.len()).position(|window| window == separator).map(|at| (at, at + separator.len()))
    };
    let (stop, next) = [end(b"\n\n"), end(b"\r\n\r\n")].into_iter().flatten().min()?;
    let block = String::from_utf8_lossy(&buffer[..stop]).into_owned();
    buffer.drain(..next);
    Some(block)
}

/// The `data:` lines of a block; `None` for a comment or a keep-alive.
fn data_of(block: &str) -> Option<String> {
    let lines: Vec<&str> = block
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    if lines.is_empty() { None } else { Some(lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_at_an_empty_line_and_comments_carry_nothing() {
        let mut buffer = b": hello\n\nid: 7\ndata: {\"a\":\ndata: 1}\n\nid: 8\nda".to_vec();
        assert_eq!(take_block(&mut buffer).and_then(|block| data_of(&block)), None);
        assert_eq!(take_block(&mut buffer).and_then(|block| data_of(&block)), Some("{\"a\":\n1}".to_owned()));
        assert_eq!(take_block(&mut buffer), None);
        assert_eq!(buffer, b"id: 8\nda");
    }
}
