//! TLS, for TURN: the one place that knows rustls.
//!
//! Trusted are Mozilla's roots, as for the signalling, and those that Node is told to trust beside its own
//! (`NODE_EXTRA_CA_CERTS`), for a TURN server with a certificate of one's own making.

use std::io;
use std::sync::Arc;

use once_cell::sync::Lazy;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

static CONFIG: Lazy<Arc<ClientConfig>> = Lazy::new(|| {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("ring has TLS 1.2 and 1.3");
    Arc::new(config.with_root_certificates(roots()).with_no_client_auth())
});

/// Makes sure that `host` is who it says.
pub async fn connect(host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(CONFIG.clone()).connect(name, stream).await
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let Some(path) = std::env::var_os("NODE_EXTRA_CA_CERTS").filter(|path| !path.is_empty()) else { return roots };
    match CertificateDer::pem_file_iter(&path) {
        Ok(certificates) => drop(roots.add_parsable_certificates(certificates.flatten())),
        Err(error) => tracing::warn!(?path, %error, "NODE_EXTRA_CA_CERTS can't be read"),
    }
    roots
}
