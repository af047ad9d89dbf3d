//! TLS: the one place that knows rustls.
//!
//! It trusts Mozilla's roots, and those of `NODE_EXTRA_CA_CERTS`, as Node does, for servers with certificates of a private authority.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::on_disk;
use crate::environment;

static CONFIG: OnceCell<ClientConfig> = OnceCell::const_new();

/// Returns the client configuration that offers these protocols (ALPN). `NODE_EXTRA_CA_CERTS` is read once.
pub async fn config(protocols: &[&[u8]]) -> ClientConfig {
    let extra = environment::variable("NODE_EXTRA_CA_CERTS").filter(|path| !path.is_empty());
    let known = CONFIG.get_or_try_init(|| async {
        match &extra {
            None => Ok(trusting(Vec::new())),
            Some(path) => read(path).await.map(trusting),
        }
    });
    let mut config = match known.await {
        Ok(config) => config.clone(),
        // The next call tries again.
        Err(error) => {
            tracing::warn!(path = ?extra, %error, "NODE_EXTRA_CA_CERTS can't be read: only Mozilla's roots are trusted");
            trusting(Vec::new())
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// Connects, and verifies that the server is `host`.
pub async fn connect(host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config(&[]).await)).connect(name, stream).await
}

fn trusting(extra: Vec<CertificateDer<'static>>) -> ClientConfig {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let (_, ignored) = roots.add_parsable_certificates(extra);
    if ignored > 0 {
        tracing::warn!(ignored, "NODE_EXTRA_CA_CERTS holds what is no certificate of an authority");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("aws-lc has TLS 1.2 and 1.3");
    config.with_root_certificates(roots).with_no_client_auth()
}

async fn read(path: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let file = path.to_owned();
    let read = move || CertificateDer::pem_file_iter(&file)?.collect::<Result<Vec<_>, _>>();
    on_disk(Path::new(path), read).await?.map_err(io::Error::other)
}
