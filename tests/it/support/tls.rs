//! TLS in front of what speaks none.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::redis::TestCertificates;

/// A server's side of TLS.
pub(crate) fn tls_acceptor(certificates: &TestCertificates) -> TlsAcceptor {
    let provider = rustls::crypto::ring::default_provider();
    let chain = CertificateDer::from_pem_slice(certificates.server.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Passes on to another address what comes over TLS.
#[derive(Debug)]
pub(crate) struct TlsFront {
    address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl TlsFront {
    pub(crate) async fn before(target: SocketAddr, certificates: &TestCertificates) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = accept(listener, target, tls_acceptor(certificates));
        Self {
            address,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, tls: TlsAcceptor) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        connections.spawn(async move {
            // Who does not trust the certificate goes.
            let Ok(mut outer) = tls.accept(stream).await else {
                return;
            };
            let mut inner = TcpStream::connect(target).await.unwrap();
            let _closed = copy_bidirectional(&mut outer, &mut inner).await;
        });
    }
}
