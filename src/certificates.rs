//! The authorities that sign the certificates of servers we ask.

use std::io;
use std::path::{Path, PathBuf};

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Whom a server must be signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// No server is signed well enough: for those that are asked without TLS.
    None,
    /// Those the machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    Machine,
    /// Those in this file (PEM) and no others.
    File(PathBuf),
}

/// Why no server can be trusted.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file of trusted certificates gives nothing.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The machine trusts nobody.
    #[error("the certificates that this machine trusts cannot be read: {0}")]
    Machine(#[source] io::Error),
    /// The TLS library does not start.
    #[error("TLS does not start: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS towards servers that must be signed so.
pub fn tls_client(authorities: &Authorities) -> Result<ClientConfig, TrustError> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?;
    let builder = match authorities {
        Authorities::None => builder.with_root_certificates(RootCertStore::empty()),
        Authorities::Machine => builder.with_native_roots().map_err(TrustError::Machine)?,
        Authorities::File(path) => {
            let (_, certificates) = read_ca_file(path)?;
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}

/// Why a file gives nothing to trust.
#[derive(Debug, Error)]
pub enum CaFileError {
    /// It cannot be read.
    #[error("the CA file {path} cannot be read", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        #[source]
        cause: io::Error,
    },
    /// It holds no certificate, or something that should be one and is not.
    #[error("the CA file {path} holds no certificate in PEM form", path = path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// The text of a file in PEM form, and the certificates in it.
pub fn read_ca_file(path: &Path) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>), CaFileError> {
    let text = std::fs::read(path).map_err(|cause| CaFileError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok((text, certificates)),
        Ok(_) | Err(_) => Err(CaFileError::NoCertificate {
            path: path.to_owned(),
        }),
    }
}
