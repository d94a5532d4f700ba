//! Single questions to a coordinator, for programs that find out what works: addresses of a name, TCP, TLS and its key, one
//! request over HTTPS.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::https::QuestionError;

use crate::https::{CONNECT_MAX, Https, REQUEST_MAX};
use crate::join_link::Host;
use crate::pin::{Fingerprint, client_config};

/// Bytes of an answer that are read: a page of figures of all kinds is some 100 KB.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// An answer over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsReply {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
    /// From the request to the end of the answer.
    pub took: Duration,
}

impl HttpsReply {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All addresses that the name has now; the error is the system's message.
pub fn look_up(host: &Host) -> Result<Vec<SocketAddr>, String> {
    let found = (host.name.as_str(), host.port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// Makes a TCP connection and says how long it took: one round trip.
pub fn connect(address: SocketAddr) -> Result<Duration, String> {
    let began = Instant::now();
    TcpStream::connect_timeout(&address, CONNECT_MAX).map_err(|error| error.to_string())?;
    Ok(began.elapsed())
}

/// Asks for `path` at this address of `host`. The coordinator must show the pinned key or, without a pin, a certificate
/// that a public authority has signed for the name.
pub fn get(
    host: &Host,
    address: SocketAddr,
    pinned: Option<Fingerprint>,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<HttpsReply, QuestionError> {
    let config =
        client_config(pinned).map_err(|error| QuestionError::Unreachable(io::Error::other(error)))?;
    let began = Instant::now();
    let https = Https::new(host, address, Arc::new(config), (CONNECT_MAX, began + REQUEST_MAX));
    let (status, headers, body) = https.get(path, headers, ANSWER_BYTES_MAX)?;
    Ok(HttpsReply { status, headers, body, took: began.elapsed() })
}
