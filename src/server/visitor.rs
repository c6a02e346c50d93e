//! Who is at the other end of a connection: the address, and over TLS the certificate that was shown.
//!
//! Clients show none. The nodes of a region show each other the one that they serve with: a connection proves that its
//! other end has the key to it, and the messages prove by the region's key whose certificate it is (`node_auth`).

use super::connections::Admitted;
use crate::tls::Fingerprint;
use axum::extract::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use futures::future::BoxFuture;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio_rustls::server::TlsStream;
use tower_layer::Layer;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visitor {
    pub from: SocketAddr,
    /// `None` without TLS, and of clients.
    pub certificate: Option<Fingerprint>,
}

/// A connection that knows its other end.
pub trait Visited {
    fn visitor(&self) -> Visitor;
}

impl Visitor {
    pub fn address(self) -> IpAddr {
        self.from.ip()
    }
}

impl Visited for Admitted {
    fn visitor(&self) -> Visitor {
        Visitor { from: self.from(), certificate: None }
    }
}

impl Visited for TlsStream<Admitted> {
    fn visitor(&self) -> Visitor {
        let (admitted, tls) = self.get_ref();
        let shown = tls.peer_certificates().and_then(|chain| chain.first());
        Visitor { certificate: shown.map(Fingerprint::of), ..admitted.visitor() }
    }
}

/// Tells every request on a connection who sent it.
#[derive(Clone, Debug)]
pub struct Introducing<A>(pub A);

impl<A, I, S> Accept<I, S> for Introducing<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: Visited,
{
    type Stream = A::Stream;
    type Service = AddExtension<A::Service, Visitor>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted = self.0.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let service = Extension(stream.visitor()).layer(service);
            Ok((stream, service))
        })
    }
}
