//! TLS whose other end is known by the fingerprint of its certificate, so that no authority needs to be set up; and the
//! one place where a client's TLS is put together.
//!
//! A fingerprint is the SHA-256 of the certificate's DER bytes: what `openssl x509 -fingerprint -sha256` prints. Who
//! pins one trusts that certificate and nothing else: neither names nor validity times are looked at, since the
//! fingerprint came by a trusted way (an activation token, an operator).

mod given;

use crate::error::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, DistinguishedName, RootCertStore,
    SignatureScheme, WantsVerifier,
};
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

/// A certificate with the authorities behind it, and its key: what a node shows of itself to other nodes.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.chain.first().map(|certificate| Fingerprint::of(certificate))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Identity {
        Identity { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// A client's TLS that accepts only the certificate with this fingerprint.
pub fn pinned_client_config(fingerprint: Fingerprint) -> Result<ClientConfig> {
    pinned_to_any(vec![fingerprint])
}

/// A client's TLS that accepts the certificates with these fingerprints and no other: for a region whose nodes
/// have one each.
pub fn pinned_to_any(fingerprints: Vec<Fingerprint>) -> Result<ClientConfig> {
    client_config(Trusted::Pinned(fingerprints), None)
}

/// The TLS of a node towards another one: it shows its own certificate. `None` accepts any certificate, under the same
/// conditions as `unverified_client_config`.
pub fn node_client_config(peer: Option<Fingerprint>, me: Option<Identity>) -> Result<ClientConfig> {
    client_config(peer.map_or(Trusted::Any, |peer| Trusted::Pinned(vec![peer])), me)
}

/// A client's TLS that accepts what these authorities signed.
pub fn rooted_client_config(roots: RootCertStore) -> Result<ClientConfig> {
    Ok(client_builder()?.with_root_certificates(roots).with_no_client_auth())
}

/// A client's TLS that accepts these certificates, and what they signed.
pub fn given_client_config(certificates: Vec<CertificateDer<'static>>) -> Result<ClientConfig> {
    let verifier = Arc::new(given::Given::new(certificates)?);
    Ok(client_builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// A client's TLS that accepts any certificate. Only for bodies that prove by themselves where they come from, and
/// that hold nothing secret in the clear, or where an operator asked for it in so many words (`-tls-skip-verify`).
pub fn unverified_client_config() -> Result<ClientConfig> {
    client_config(Trusted::Any, None)
}

/// A server's side of `Identity`: whoever connects may show a certificate, and then has its key. Whose it is, and what
/// that allows, is for the messages to prove.
pub fn shown_certificates() -> Arc<dyn ClientCertVerifier> {
    Arc::new(Verifier { trusted: Trusted::Any, provider: provider() })
}

/// The cryptography of all TLS here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn client_config(trusted: Trusted, me: Option<Identity>) -> Result<ClientConfig> {
    let verifier = Arc::new(Verifier { trusted, provider: provider() });
    let builder = client_builder()?.dangerous().with_custom_certificate_verifier(verifier);
    match me {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(unusable),
    }
}

fn client_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(unusable)
}

fn unusable(error: rustls::Error) -> Error {
    Error::internal(format!("TLS can't be set up: {error}"))
}

/// Which certificates are accepted.
#[derive(Debug)]
enum Trusted {
    Pinned(Vec<Fingerprint>),
    Any,
}

/// Compares the certificate with what is trusted; the handshake's signature is checked as always. The same for both
/// ends of a connection.
#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let accepted = match &self.trusted {
            Trusted::Pinned(fingerprints) => fingerprints.contains(&Fingerprint::of(certificate)),
            Trusted::Any => true,
        };
        let refused = rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        if accepted { Ok(()) } else { Err(refused) }
    }

    fn check_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn check_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
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
        let pinned = Verifier { trusted: Trusted::Pinned(vec![Fingerprint::of(&right)]), provider: provider() };
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
