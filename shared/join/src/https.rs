//! HTTPS to one address of a coordinator, over rustls with a pinned key.
//!
//! `ureq` does HTTP; its own TLS allows no custom certificate check, so the connection below it is made here.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_protocol::printable;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, StreamOwned};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, http};

use crate::api::ANSWER_BYTES_MAX;
use crate::join_link::Host;

/// Time-out for a TCP connection: two round trips of half a second, and one lost packet.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Time-out for a TCP connection to an address that has answered before: a system resends its first packet only after a
/// second, so after an outage a new attempt connects sooner.
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// How long one read or write of a TLS handshake may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long one request may take, handshake included.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(12);
/// Bytes of ureq's buffers in each direction: a whole answer and its headers fit.
const BUFFER_BYTES: usize = 2 * ANSWER_BYTES_MAX;
/// Characters shown of a foreign program's answer.
const SAID_CHARS_MAX: usize = 120;

/// Why an address gave no answer.
#[derive(Debug, Error)]
pub enum QuestionError {
    /// No connection, or it broke off.
    #[error("{0}")]
    Unreachable(io::Error),
    /// The certificate is not that of the key in the join link.
    #[error("it shows another key than the join link names")]
    OtherKey,
    /// No public authority vouches for the certificate.
    #[error("its certificate is not valid for this name ({0})")]
    Certificate(String),
    /// Something answers, but not HTTPS, or not with what was asked for.
    #[error("something else answers there ({0})")]
    NotOurs(String),
}

/// A connection to one address; requests go over it one after the other.
pub(crate) struct Https {
    agent: Agent,
    base: String,
    /// When all requests must have ended.
    until: Instant,
}

impl Https {
    /// For requests to `host` at this address of it, to which a TCP connection may take `connect_max`; whatever they do,
    /// they fail at `until`.
    pub(crate) fn new(
        host: &Host,
        address: SocketAddr,
        config: Arc<ClientConfig>,
        (connect_max, until): (Duration, Instant),
    ) -> Self {
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("p2c2r/", env!("CARGO_PKG_VERSION")))
            .build();
        let name = host.name.clone();
        let agent = Agent::with_parts(settings, Tls { address, name, config, connect_max }, At(address));
        Self { agent, base: format!("https://{host}"), until }
    }

    /// How long a request that begins now may take, its answer included. Never zero, which `ureq` refuses.
    fn request_max(&self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        left.clamp(Duration::from_millis(1), REQUEST_MAX)
    }

    /// Posts `body` and reads the answer: `Ok(Ok)` with a status of 200, `Ok(Err)` with any other.
    pub(crate) fn post<B: Serialize, T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<Result<T, E>, QuestionError> {
        let not_ours = |what: &dyn fmt::Display| QuestionError::NotOurs(shorten(&what.to_string()));
        let body = serde_json::to_vec(body).map_err(|error| QuestionError::Unreachable(error.into()))?;
        let request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        let request = request.config().timeout_global(Some(self.request_max())).build();
        let mut answer = request.send(&body).map_err(explain)?;
        let status = answer.status();
        let body =
            answer.body_mut().with_config().limit(ANSWER_BYTES_MAX as u64).read_to_vec().map_err(explain)?;
        if status == http::StatusCode::OK {
            serde_json::from_slice(&body).map(Ok).map_err(|error| not_ours(&error))
        } else {
            serde_json::from_slice(&body).map(Err).map_err(|_| not_ours(&format!("HTTP status {status}")))
        }
    }
}

impl Https {
    /// Asks for `path`: status, headers with names in lower case, and at most `bytes_max` of body as text.
    pub(crate) fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        bytes_max: u64,
    ) -> Result<(u16, Vec<(String, String)>, String), QuestionError> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let mut request = request.config().timeout_global(Some(self.request_max())).build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call().map_err(explain)?;
        let status = answer.status().as_u16();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        let headers = headers.collect();
        let body = answer.body_mut().with_config().limit(bytes_max).read_to_vec().map_err(explain)?;
        Ok((status, headers, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// The beginning of a foreign program's answer, without control characters.
fn shorten(text: &str) -> String {
    printable(text, SAID_CHARS_MAX)
}

fn explain(error: ureq::Error) -> QuestionError {
    match error {
        ureq::Error::Io(error) => {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
                    QuestionError::OtherKey
                }
                Some(rustls::Error::InvalidCertificate(error)) => {
                    QuestionError::Certificate(shorten(&format!("{error:?}")))
                }
                Some(error) => QuestionError::NotOurs(shorten(&error.to_string())),
                None => QuestionError::Unreachable(error),
            }
        }
        ureq::Error::Timeout(_) => QuestionError::Unreachable(io::ErrorKind::TimedOut.into()),
        other => QuestionError::NotOurs(shorten(&other.to_string())),
    }
}

/// Resolves every name to the one address that is meant.
#[derive(Debug)]
struct At(SocketAddr);

impl Resolver for At {
    fn resolve(
        &self,
        _: &http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// Connects to one address and wraps the connection in TLS.
struct Tls {
    address: SocketAddr,
    name: String,
    config: Arc<ClientConfig>,
    connect_max: Duration,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({} at {})", self.name, self.address)
    }
}

impl Connector for Tls {
    type Out = Secured;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Secured>, ureq::Error> {
        let until = Instant::now() + left(details.timeout);
        let name = ServerName::try_from(self.name.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a name that TLS takes"))?;
        let socket = TcpStream::connect_timeout(&self.address, self.connect_max.min(left(details.timeout)))?;
        socket.set_nodelay(true)?;
        let mut connection =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        shake_hands(&mut connection, &socket, until)?;
        let stream = StreamOwned::new(connection, socket);
        Ok(Some(Secured { stream, buffers: LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES), is_open: true }))
    }
}

/// Completes the TLS handshake, or gives it up at `until`, however slowly the other side sends.
fn shake_hands(connection: &mut ClientConnection, socket: &TcpStream, until: Instant) -> io::Result<()> {
    let mut socket = Timed { socket, until };
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(())
}

/// A socket that can be used until a point in time.
struct Timed<'a> {
    socket: &'a TcpStream,
    until: Instant,
}

impl Timed<'_> {
    /// Time-out of the next read or write.
    fn step(&self) -> io::Result<Option<Duration>> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left.min(ANSWER_MAX))),
        }
    }
}

impl io::Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.step()?)?;
        self.socket.read(buffer).map_err(in_words)
    }
}

impl io::Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.step()?)?;
        self.socket.write(bytes).map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Calls a time-out by that name: Unix reports one as "resource temporarily unavailable".
fn in_words(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

/// A TLS connection, as ureq uses one.
struct Secured {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffers: LazyBuffers,
    is_open: bool,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secured")
    }
}

/// The rest of a time limit as a socket accepts it: never zero, which is an error.
fn left(timeout: NextTimeout) -> Duration {
    let step = if timeout.after.is_not_happening() { REQUEST_MAX } else { *timeout.after };
    step.clamp(Duration::from_millis(1), REQUEST_MAX)
}

impl Transport for Secured {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_write_timeout(Some(left(timeout)))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output)?;
        self.stream.flush()?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_read_timeout(Some(left(timeout)))?;
        let input = self.buffers.input_append_buf();
        let amount = match self.stream.read(input) {
            Ok(amount) => amount,
            // The other side closed without TLS's close message; ureq detects whether an answer was cut short.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(in_words(error).into()),
        };
        self.buffers.input_appended(amount);
        self.is_open = amount > 0;
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.is_open
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::pin::{Fingerprint, client_config};

    #[test]
    fn a_handshake_of_which_a_little_more_comes_all_the_time_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            // A record of 16 KiB, byte by byte; after 200 the connection ends.
            for byte in [0x16, 3, 3, 0x40, 0].into_iter().chain([0; 195]) {
                if socket.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let socket = TcpStream::connect(address).unwrap();
        let config = client_config(Some(Fingerprint([7; 32]))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let until = Instant::now() + Duration::from_millis(100);
        let error = shake_hands(&mut connection, &socket, until).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        drop(socket);
        server.join().unwrap();
    }
}
