//! Trust in the certificates of a file: in what they signed, and in themselves.
//!
//! Who makes a server's certificate with `openssl req -x509` gets one that says that it is an authority, and gives the
//! same file to the clients. Strictly an authority's certificate is not a server's (RFC 5280), and webpki refuses it;
//! Go's and OpenSSL's clients take a certificate that they were given, if its name and its time are right, and so does
//! this.

use super::{provider, unusable};
use crate::error::Result;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Given {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl Given {
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Given> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(unusable)?;
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let authorities = authorities.map_err(|error| unusable(Error::General(error.to_string())))?;
        Ok(Given { certificates, authorities })
    }

    /// Whether it was refused for nothing but that it says of itself that it is an authority. Its time was looked at
    /// before that.
    fn is_given(&self, certificate: &CertificateDer<'_>, error: &Error) -> bool {
        let Error::InvalidCertificate(CertificateError::Other(why)) = error else { return false };
        let refused = why.0.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity);
        refused && self.certificates.contains(certificate)
    }
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match checked {
            Err(error) if self.is_given(end_entity, &error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use std::time::Duration;

    fn self_signed(is_ca: IsCa) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        params.is_ca = is_ca;
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn a_certificate_that_was_given_is_believed_for_its_name_and_in_its_time() {
        let authority = || self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
        let (given, other) = (authority(), authority());
        let trust = Given::new(vec![given.clone(), self_signed(IsCa::NoCa)]).expect("good certificates");
        let verify = |certificate: &CertificateDer<'_>, name: &'static str, years: u64| {
            let name = ServerName::try_from(name).expect("a name");
            let now = UnixTime::since_unix_epoch(Duration::from_secs(years * 365 * 86_400));
            trust.verify_server_cert(certificate, &[], &name, &[], now).is_ok()
        };
        assert!(verify(&given, "a.example", 50));
        assert!(!verify(&given, "b.example", 50), "another's name");
        assert!(!verify(&given, "a.example", 1), "before its time");
        assert!(!verify(&other, "a.example", 50), "nobody gave it");
    }
}
