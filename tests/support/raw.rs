//! Bytes on a socket, without a client that would keep them in order.

use super::Node;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

pub async fn dial(node: &Node) -> TcpStream {
    let at = node.address.strip_prefix("http://").expect("a plain address");
    TcpStream::connect(at).await.expect("the node takes connections")
}

/// Sends what it can, and returns the status of the answer, or `None` if the node hung up without one.
pub async fn say(node: &Node, parts: &[&[u8]]) -> Option<u16> {
    let mut stream = dial(node).await;
    for part in parts {
        // A node that has refused already does not read on.
        if stream.write_all(part).await.is_err() {
            break;
        }
    }
    status(&mut stream).await
}

/// The status of the next answer that is none of those on the way to it (100, when a node would read on); 0 if it is no
/// answer of HTTP/1.1, `None` if there is none.
pub async fn status(stream: &mut TcpStream) -> Option<u16> {
    const END: &[u8] = b"\r\n\r\n";
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = tokio::time::timeout(ANSWER_MAX, stream.read(&mut chunk)).await.expect("an answer in time");
        match read {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
        }
        while answer.starts_with(b"HTTP/1.1 1")
            && let Some(end) = answer.windows(END.len()).position(|end| end == END)
        {
            answer.drain(..end + END.len());
        }
        if answer.windows(END.len()).any(|end| end == END) {
            break;
        }
    }
    let line = |line: &[u8]| std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok();
    (!answer.is_empty()).then(|| answer.get(..12).and_then(line).unwrap_or(0))
}

/// The head of a request to the link.
pub fn link_head(kind: &str, more: &str) -> Vec<u8> {
    format!("POST /v1/sys/replication/path/default/link/{kind} HTTP/1.1\r\nHost: a\r\n{more}\r\n").into_bytes()
}
