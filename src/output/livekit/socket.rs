//! The WebSocket under LiveKit's signalling, with names, roots and connections as in `net/`. Only this file and `room.rs` use livekit-net,
//! and only this one uses tokio-tungstenite.

use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use livekit_net::{
    Header, HttpClient, HttpMethod, HttpResponse, TransportError, WsClient, WsConnectResult, WsConnection,
    set_http_client, set_ws_client,
};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{RequestBuilder, Response, StatusCode, Upgraded, Url};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pings::{Liveness, PINGS, PingTarget, Pings};
use crate::net::http;

/// The buffer of each direction. Signalling is a few messages a minute, but tungstenite would keep 128 KiB, and more after a longer
/// message.
const BUFFER: usize = 1 << 10;

/// The largest message, far more than a server sends.
const MAX_MESSAGE: usize = 4 << 20;

/// The timeout for a server to close its side.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The most that is read of an HTTP response, which says what was wrong or where else to go.
const MAX_PAGE: usize = 64 << 10;

/// Installs this client in LiveKit's crates.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        set_ws_client(Arc::new(Net));
        set_http_client(Arc::new(Net));
    });
}

struct Net;

struct Socket<S> {
    writer: Mutex<SplitSink<WebSocketStream<S>, Message>>,
    reader: Mutex<SplitStream<WebSocketStream<S>>>,
    liveness: Liveness,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket<S> {
    /// Opens a socket over a connection, which `pings` pings from now on.
    async fn over(stream: S, pings: &'static Pings) -> Arc<Self> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let (writer, reader) = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await.split();
        let socket =
            Arc::new(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), liveness: Liveness::begin() });
        pings.add(&socket);
        socket
    }
}

#[async_trait]
impl WsClient for Net {
    async fn connect(
        &self,
        url: String,
        headers: Vec<Header>,
        timeout_ms: u64,
    ) -> Result<WsConnectResult, TransportError> {
        let connecting = timeout(Duration::from_millis(timeout_ms), open(&url, headers));
        Ok(WsConnectResult { connection: connecting.await.map_err(|_| TransportError::Timeout)?? })
    }
}

#[async_trait]
impl HttpClient for Net {
    async fn request(
        &self,
        method: HttpMethod,
        url: String,
        headers: Vec<Header>,
        body: Option<Vec<u8>>,
    ) -> Result<HttpResponse, TransportError> {
        let method = match method {
            HttpMethod::Get => reqwest::Method::GET,
            HttpMethod::Post => reqwest::Method::POST,
        };
        let url = parse(&url)?;
        let request = request(method, &url, headers).await?;
        let mut response = send(&url, body.into_iter().fold(request, RequestBuilder::body)).await?;
        let headers = response.headers().iter().filter_map(|(name, value)| {
            Some(Header { name: name.to_string(), value: value.to_str().ok()?.to_owned() })
        });
        let (status, headers, mut body) = (response.status().as_u16(), headers.collect(), Vec::new());
        while let Some(piece) = response.chunk().await.map_err(|error| failed(&url, &error))?
            && body.len() < MAX_PAGE
        {
            body.extend_from_slice(&piece);
        }
        body.truncate(MAX_PAGE);
        Ok(HttpResponse { status, headers, body })
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsConnection for Socket<S> {
    async fn send(&self, frame: Vec<u8>) -> Result<(), TransportError> {
        let sent = self.writer.lock().await.send(Message::Binary(frame.into())).await;
        sent.map_err(|error| TransportError::Connection(error.to_string()))
    }

    async fn recv(&self) -> Result<Option<Vec<u8>>, TransportError> {
        let mut reader = self.reader.lock().await;
        loop {
            let next = tokio::select! {
                next = reader.next() => next,
                () = self.liveness.ended() => return Ok(None),
            };
            match next {
                Some(Ok(Message::Binary(data))) => {
                    if let Some(message) = self.liveness.receive(&data) {
                        return Ok(Some(message));
                    }
                }
                None | Some(Ok(Message::Close(_))) => return Ok(None),
                // A ping is answered when the socket is next read.
                Some(Ok(_)) => {}
                Some(Err(error)) if is_end(&error) => return Ok(None),
                Some(Err(error)) => return Err(TransportError::Connection(error.to_string())),
            }
        }
    }

    /// Closes the socket, and reads until the server has closed, too: a server that writes to a closed socket drops what it has not read
    /// yet, which may be our leave request.
    async fn close(&self) {
        let _ = self.writer.lock().await.close().await;
        let closing = async { while let Some(Ok(_)) = self.reader.lock().await.next().await {} };
        let _ = timeout(CLOSE_LIMIT, closing).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> PingTarget for Socket<S> {
    fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    fn send_at_once(&self, message: Vec<u8>) {
        // While another message is being sent the ping is skipped; the reader gets any error.
        if let Ok(mut writer) = self.writer.try_lock() {
            let _ = writer.send(Message::Binary(message.into())).now_or_never();
        }
    }
}

/// Returns true if the server ended the connection without a close frame, as servers do.
fn is_end(error: &Error) -> bool {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => true,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => true,
        Error::Io(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}

/// Opens a WebSocket (RFC 6455 §4.1).
async fn open(url: &str, headers: Vec<Header>) -> Result<Arc<Socket<Upgraded>>, TransportError> {
    let (url, key) = (parse(url)?, generate_key());
    let request = request(reqwest::Method::GET, &url, headers).await?;
    let request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
    let request = request.header(SEC_WEBSOCKET_VERSION, "13").header(SEC_WEBSOCKET_KEY, &key);
    let response = send(&url, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(TransportError::Http { status: response.status().as_u16() });
    }
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    if accepted.is_none_or(|accepted| accepted != derive_accept_key(key.as_bytes()).as_str()) {
        return Err(TransportError::Connection(format!("{} speaks no WebSocket", http::host(&url))));
    }
    let upgraded = response.upgrade().await.map_err(|error| failed(&url, &error))?;
    Ok(Socket::over(upgraded, &PINGS).await)
}

/// Parses a URL as HTTP, with which a WebSocket begins.
fn parse(url: &str) -> Result<Url, TransportError> {
    let url = match url.strip_prefix("ws") {
        Some(rest) => Url::parse(&format!("http{rest}")),
        None => Url::parse(url),
    };
    url.map_err(|error| TransportError::Connection(error.to_string()))
}

/// Creates a request on a connection of its own, which is not pooled.
async fn request(method: reqwest::Method, url: &Url, headers: Vec<Header>) -> Result<RequestBuilder, TransportError> {
    let builder = http::builder(&[b"http/1.1"]).await.http1_only().pool_max_idle_per_host(0);
    // Proxies tunnel encrypted connections only, and reqwest asks for a tunnel only there.
    let builder = if url.scheme() == "https" { builder } else { builder.no_proxy() };
    let request = builder.build().map_err(|error| failed(url, &error))?.request(method, url.clone());
    Ok(headers.iter().fold(request, |request, Header { name, value }| request.header(name, value)))
}

async fn send(url: &Url, request: RequestBuilder) -> Result<Response, TransportError> {
    http::send(request).await.map_err(|error| failed(url, &error))
}

fn failed(url: &Url, error: &reqwest::Error) -> TransportError {
    // As in `request`, unencrypted connections use no proxy.
    let way = if url.scheme() == "https" { http::route(url) } else { http::host(url) };
    TransportError::Connection(format!("{way}: {}", http::reason(error)))
}

#[cfg(test)]
mod tests {
    use super::super::pings::{HEARTBEAT, Heartbeat};
    use super::*;

    /// Returns a socket and its server. Each test has pings of its own, because the first socket's runtime sends them.
    async fn pair(
        heartbeat: Arc<Heartbeat>,
        pings: &'static Pings,
    ) -> (Arc<Socket<tokio::io::DuplexStream>>, WebSocketStream<tokio::io::DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        (HEARTBEAT.scope(heartbeat, Socket::over(ours, pings)).await, server)
    }

    #[tokio::test(start_paused = true)]
    async fn socket_without_room_ends() {
        static PINGS: Pings = Pings::new();
        let (socket, _server) = pair(Arc::default(), &PINGS).await;
        let read = timeout(Duration::from_secs(120), socket.recv()).await;
        assert!(matches!(read, Ok(Ok(None))));
    }

    #[tokio::test]
    async fn sends_at_once_or_not_at_all() {
        static PINGS: Pings = Pings::new();
        let heartbeat = Arc::<Heartbeat>::default();
        let (socket, mut server) = pair(heartbeat.clone(), &PINGS).await;
        socket.send_at_once(b"first".to_vec());
        let writing = socket.writer.lock().await;
        socket.send_at_once(b"while another sends".to_vec());
        drop(writing);
        socket.send(b"second".to_vec()).await.unwrap();
        for expected in [b"first".as_slice(), b"second"] {
            assert_eq!(server.next().await.unwrap().unwrap().into_data(), expected);
        }
        server.send(Message::Binary(b"answer".as_slice().into())).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(b"answer".to_vec()));
    }
}
