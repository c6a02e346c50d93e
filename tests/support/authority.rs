//! A certificate authority of the tests' own, as a company has one: its file is what clients are told to trust.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate in PEM.
    pub file: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path) -> Authority {
        let mut params = CertificateParams::default();
        // A name of its own: OpenSSL takes a certificate whose issuer has the same name for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, "Tests' authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key pair");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority signs itself");
        let file = folder.join("ca.pem");
        fs::write(&file, issuer.pem()).expect("a file for the authority");
        Authority { issuer, file }
    }

    /// A certificate for loopback and its key, written beside each other as `NAME-cert.pem` and `NAME-key.pem`.
    pub fn issue(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(names).expect("names of loopback");
        params.distinguished_name.push(DnType::CommonName, name);
        let made = params.signed_by(&key, &self.issuer).expect("an authority signs");
        let (certificate, private) = (folder.join(format!("{name}-cert.pem")), folder.join(format!("{name}-key.pem")));
        fs::write(&certificate, made.pem()).expect("a file for the certificate");
        fs::write(&private, key.serialize_pem()).expect("a file for the key");
        (certificate, private)
    }
}
