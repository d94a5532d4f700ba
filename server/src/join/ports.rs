//! One port number for both: UDP for tasks, TCP for HTTPS. Both are bound, or neither.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use p2c2r_link::{LinkError, bind_server};

use super::error::JoinError;

/// Tries at a port that the system chooses and that is free for both.
const TRIES: usize = 16;

/// Binds UDP and TCP to `address`; port 0 lets the system choose one that is free for both.
pub fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), JoinError> {
    let mut tries = if address.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = bind_server(address).map_err(|error| refused("UDP", address, &reason(&error)))?;
        let real = udp.local_addr().map_err(|error| refused("UDP", address, &error.to_string()))?;
        match TcpListener::bind(real).and_then(|tcp| tcp.set_nonblocking(true).map(|()| tcp)) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(refused("TCP", real, &error.to_string())),
        }
    }
}

fn refused(protocol: &'static str, address: SocketAddr, error: &str) -> JoinError {
    JoinError::Listen { protocol, address, error: error.to_owned() }
}

/// What the system said, without the link's sentence around it.
fn reason(error: &LinkError) -> String {
    match error {
        LinkError::Bind { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
