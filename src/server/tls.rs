//! The listener's TLS: certificate and key from files, or a self-signed pair that is made once and kept.

use crate::config;
use crate::error::{Error, Result};
use crate::tls::{Fingerprint, Identity, provider, shown_certificates};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CERTIFICATE_FILE: &str = "tls-certificate.pem";
const KEY_FILE: &str = "tls-key.pem";
/// For the owner only.
const KEY_MODE: u32 = 0o600;

/// What a listener needs, and what others know it by.
pub struct Certificate {
    pub config: Arc<rustls::ServerConfig>,
    pub fingerprint: Fingerprint,
    /// What this node shows to the other nodes of its region.
    pub identity: Identity,
}

/// Reads what the configuration names. `None` with `tls_disable`. Blocks on the file system.
pub fn load(tls: &config::Tls, data: &Path, api_addr: &str) -> Result<Option<Certificate>> {
    match tls {
        config::Tls::Disabled => Ok(None),
        config::Tls::Files { certificate, key, min_version } => read(certificate, key, *min_version).map(Some),
        config::Tls::SelfSigned { min_version } => {
            let (certificate, key) = self_signed(data, api_addr)?;
            read(&certificate, &key, *min_version).map(Some)
        }
    }
}

/// Which versions are spoken, the newest first.
fn versions(min: config::TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match min {
        config::TlsVersion::Tls12 => &FROM_12,
        config::TlsVersion::Tls13 => &FROM_12[..1],
    }
}

fn read(certificate: &Path, key: &Path, min_version: config::TlsVersion) -> Result<Certificate> {
    let wrong = |file: &Path, why: String| Error::invalid(format!("TLS: {}: {why}", file.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, format!("no certificate can be read: {error}")))?;
    let first = chain.first().ok_or_else(|| wrong(certificate, "holds no certificate in PEM".into()))?;
    let fingerprint = Fingerprint::of(first);
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| wrong(key, format!("no private key can be read: {error}")))?;
    let identity = Identity { chain: chain.clone(), key: private.clone_key() };
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(min_version))
        .map_err(|error| Error::internal(format!("TLS can't be set up: {error}")))?
        .with_client_cert_verifier(shown_certificates())
        .with_single_cert(chain, private)
        .map_err(|error| wrong(certificate, format!("does not go with {}: {error}", key.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate { config: Arc::new(config), fingerprint, identity })
}

/// The pair in the data directory, made now if it is not there.
fn self_signed(data: &Path, api_addr: &str) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (data.join(CERTIFICATE_FILE), data.join(KEY_FILE));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = url::Url::parse(api_addr).ok().and_then(|url| url.host_str().map(str::to_owned));
    names.extend(host.filter(|host| !names.contains(host)));
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| Error::internal(format!("no self-signed certificate can be made: {error}")))?;
    fs::create_dir_all(data)?;
    // The key first: a certificate without its key would be taken for a whole pair at the next start.
    write(&key, &zeroize::Zeroizing::new(made.signing_key.serialize_pem()))?;
    write(&certificate, &made.cert.pem())?;
    Ok((certificate, key))
}

fn write(file: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| Error::Storage(format!("{} can't be written: {error}", file.display()));
    let mut open = fs::OpenOptions::new();
    let mut opened = open.create(true).truncate(true).write(true).mode(KEY_MODE).open(file).map_err(failed)?;
    opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_pair_is_made_once_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let tls = config::Tls::SelfSigned { min_version: config::TlsVersion::Tls13 };
        let load = || load(&tls, &data, "https://10.1.1.1:8200").expect("a pair").expect("TLS");
        let first = load();
        assert_eq!(load().fingerprint, first.fingerprint);
        let mode = fs::metadata(data.join(KEY_FILE)).expect("the key");
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, KEY_MODE);
    }

    #[test]
    fn an_unreadable_certificate_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let certificate = folder.path().join("cert.pem");
        let files = config::Tls::Files {
            certificate: certificate.clone(),
            key: folder.path().join("key.pem"),
            min_version: config::TlsVersion::Tls13,
        };
        let error = load(&files, folder.path(), "https://a:1").err().expect("there is no such file");
        assert!(error.to_string().contains("cert.pem"), "{error}");
        fs::write(&certificate, "no PEM").expect("a file");
        let error = load(&files, folder.path(), "https://a:1").err().expect("no certificate");
        assert!(error.to_string().contains("holds no certificate"), "{error}");
    }
}
