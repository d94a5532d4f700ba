//! One port number for both: UDP for tasks, TCP for HTTPS. Both are bound, or neither.
//!
//! `[::]` stands for every address of both IP versions. Systems differ in whether such a socket takes IPv4 too (Linux
//! reads `net.ipv6.bindv6only`, Windows defaults to no), so the option is set on each socket.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use super::error::JoinError;

/// Attempts at finding a port that the system chooses for UDP and that is free for TCP too.
const TRIES: usize = 16;

/// Connections that may wait to be accepted; the system's own limit may be lower.
const BACKLOG: i32 = 1_024;

/// Binds UDP and TCP to `address`; port 0 lets the system choose one that is free for both. Where there is no IPv6,
/// `[::]` is 0.0.0.0.
pub fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), JoinError> {
    let address = reachable(address, has_ipv6());
    let mut tries = if address.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = bind_udp(address).map_err(|error| refused("UDP", address, &error))?;
        let real = udp.local_addr().map_err(|error| refused("UDP", address, &error))?;
        match bind_tcp(real) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(refused("TCP", real, &error)),
        }
    }
}

/// `address`, or every IPv4 address instead of every address of both versions if there is one version only.
fn reachable(address: SocketAddr, has_ipv6: bool) -> SocketAddr {
    if has_ipv6 || address.ip() != Ipv6Addr::UNSPECIFIED {
        return address;
    }
    let instead = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    warn!("this machine has no IPv6, so the coordinator listens on {instead} instead of {address}");
    instead
}

/// Whether this system opens sockets of IPv6 at all.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // A restarted coordinator need not wait for the previous one's connections to time out. On Windows the option would
    // let two programs share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn refused(protocol: &'static str, address: SocketAddr, error: &io::Error) -> JoinError {
    JoinError::Listen { protocol, address, error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_ipv6_every_address_is_every_ipv4_address_and_others_stay() {
        let reachable = |address: &str, has_ipv6| reachable(address.parse().unwrap(), has_ipv6).to_string();
        assert_eq!(reachable("[::]:9", true), "[::]:9");
        assert_eq!(reachable("[::]:9", false), "0.0.0.0:9");
        for asked in ["[::1]:9", "127.0.0.1:9", "0.0.0.0:9"] {
            assert_eq!(reachable(asked, false), asked, "a mistake of the operator's is not for us to mend");
        }
    }

    #[test]
    fn every_address_is_reached_over_both_ip_versions_by_udp_and_tcp() {
        let (udp, tcp) = bind_both("[::]:0".parse().unwrap()).unwrap();
        let port = udp.local_addr().unwrap().port();
        assert_eq!(tcp.local_addr().unwrap().port(), port);
        let mut own = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        // Without an IPv6 loopback the machine cannot be reached by IPv6.
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            own.push((Ipv6Addr::LOCALHOST, port).into());
        }
        udp.set_nonblocking(false).unwrap();
        for address in own {
            std::net::TcpStream::connect(address).unwrap();
            let from = UdpSocket::bind(SocketAddr::new(address.ip(), 0)).unwrap();
            from.send_to(&[7], address).unwrap();
            let (_, seen) = udp.recv_from(&mut [0; 8]).unwrap();
            assert_eq!(seen.port(), from.local_addr().unwrap().port());
        }
    }
}
