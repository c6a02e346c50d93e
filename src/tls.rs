//! TLS to a server whose certificate is known by its fingerprint, so that no authority needs to be set up.
//!
//! A fingerprint is the SHA-256 of the certificate's DER bytes: what `openssl x509 -fingerprint -sha256` prints. Who
//! pins one trusts that certificate and nothing else: neither names nor validity times are looked at, since the
//! fingerprint came by a trusted way (an activation token, an operator).

use crate::error::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The SHA-256 of a certificate. Written as 64 hexadecimal digits, read with or without colons between them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate.as_ref()).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Fingerprint> {
        let digits: String = text.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
        let mut bytes = [0; 32];
        hex::decode_to_slice(&digits, &mut bytes).map_err(|_| {
            Error::invalid(format!(
                "`{text}` is no certificate fingerprint: expected the 64 hexadecimal digits of its SHA-256"
            ))
        })?;
        Ok(Fingerprint(bytes))
    }
}

/// A client's TLS that accepts only the certificate with this fingerprint.
pub fn pinned_client_config(fingerprint: Fingerprint) -> Result<ClientConfig> {
    pinned_to_any(vec![fingerprint])
}

/// A client's TLS that accepts the certificates with these fingerprints and no other: for a region whose nodes
/// have one each.
pub fn pinned_to_any(fingerprints: Vec<Fingerprint>) -> Result<ClientConfig> {
    client_config(Trusted::Pinned(fingerprints))
}

/// A client's TLS that accepts any certificate. Only for bodies that prove by themselves where they come from, and
/// that hold nothing secret in the clear, or where an operator asked for it in so many words (`-tls-skip-verify`).
pub fn unverified_client_config() -> Result<ClientConfig> {
    client_config(Trusted::Any)
}

fn client_config(trusted: Trusted) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier { trusted, provider: provider.clone() };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(format!("TLS can't be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Which certificates are accepted.
#[derive(Debug)]
enum Trusted {
    Pinned(Vec<Fingerprint>),
    Any,
}

/// Compares the certificate with what is trusted; the handshake's signature is checked as always.
#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let accepted = match &self.trusted {
            Trusted::Pinned(fingerprints) => fingerprints.contains(&Fingerprint::of(end_entity)),
            Trusted::Any => true,
        };
        if accepted {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let fingerprint = Fingerprint([0xab; 32]);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(colons.parse::<Fingerprint>().ok(), Some(fingerprint));
        assert_eq!(fingerprint.to_string().parse::<Fingerprint>().ok(), Some(fingerprint));
        assert!("abc".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn only_the_pinned_certificate_is_accepted() {
        let certificate = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a self-signed certificate");
            made.cert.der().clone()
        };
        let (right, wrong) = (certificate("a.example"), certificate("a.example"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = Verifier { trusted: Trusted::Pinned(vec![Fingerprint::of(&right)]), provider };
        let name = ServerName::try_from("elsewhere.example").expect("a name");
        let verify = |certificate| {
            pinned.verify_server_cert(
                certificate,
                &[],
                &name,
                &[],
                UnixTime::since_unix_epoch(std::time::Duration::ZERO),
            )
        };
        assert!(verify(&right).is_ok());
        assert!(verify(&wrong).is_err());
    }
}
