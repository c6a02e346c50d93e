//! Whom a client believes to be the server.

use super::error::{ClientError, Result};
use crate::error::Error;
use crate::tls::{Fingerprint, pinned_client_config, rooted_client_config, unverified_client_config};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};

/// Which certificates are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that an authority of the operating system signed.
    System,
    /// Those that an authority in this PEM file signed (`-ca-cert`, `VAULT_CACERT`).
    CaFile(PathBuf),
    /// This one and no other.
    Pinned(Fingerprint),
    /// Any at all (`-tls-skip-verify`, `VAULT_SKIP_VERIFY`): whoever sits between can read and change everything.
    Anything,
    /// None: for connections without TLS.
    Nothing,
}

impl Trust {
    pub(super) fn client_config(&self) -> Result<ClientConfig> {
        let config = match self {
            Trust::System => rooted_client_config(system_roots()),
            Trust::CaFile(path) => rooted_client_config(roots_in(path)?),
            Trust::Pinned(fingerprint) => pinned_client_config(*fingerprint),
            Trust::Anything => unverified_client_config(),
            Trust::Nothing => rooted_client_config(RootCertStore::empty()),
        };
        config.map_err(|error: Error| ClientError::Options(error.to_string()))
    }
}

/// Unreadable files of the system are passed over: a server that none of the rest vouches for is refused anyway.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn roots_in(path: &Path) -> Result<RootCertStore> {
    let wrong = |why: String| {
        ClientError::Options(format!("{}: {why}; expected a PEM file with the authority's certificate", path.display()))
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut pem.as_slice()) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it holds no certificate".into())) } else { Ok(roots) }
}
