//! Files with the certificates of authorities that an operator trusts.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

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
