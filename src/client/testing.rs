//! A server for tests, which says what it is told to say.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Answers everything with this.
pub async fn server<F, A>(answer: F) -> SocketAddr
where
    F: Fn(Request) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
    address
}

pub fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).expect("a response")
}
