//! Whom a client believes to be the server.

use super::error::{ClientError, Result};
use crate::error::Error;
use crate::tls::{
    Fingerprint, given_client_config, pinned_client_config, rooted_client_config, unverified_client_config,
};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};

/// Which certificates are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that an authority of the operating system signed.
    System,
    /// Those in this PEM file, and what they signed (`-ca-cert`, `VAULT_CACERT`).
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
            Trust::CaFile(path) => given_client_config(certificates_in(path)?),
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

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: String| {
        ClientError::Options(format!("{}: {why}; expected a PEM file with the authority's certificate", path.display()))
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = rustls_pemfile::certs(&mut pem.as_slice()).collect::<std::io::Result<Vec<_>>>();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("it holds no certificate".into()));
    }
    // What is no certificate, or one that can't be read, is found out here, where the file's name is known.
    let mut roots = RootCertStore::empty();
    for certificate in &found {
        roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(found)
}
