//! Certificates for a server at 127.0.0.1.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A new authority, and a server certificate it signed.
#[derive(Debug)]
pub struct TestCertificates {
    pub ca: String,
    pub server: String,
    pub key: String,
}

impl TestCertificates {
    pub fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes what has the name of its issuer for self-signed.
        let name = format!("authority {:x}", getrandom::u64().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let hosts = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let server = CertificateParams::new(hosts).unwrap();
        let server = server.signed_by(&key, &issuer).unwrap();
        Self {
            ca: ca.pem(),
            server: server.pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a server needs of it.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ca.pem", self.ca.clone()),
            ("server.pem", self.server.clone()),
            ("server.key", self.key.clone()),
        ]
    }
}
