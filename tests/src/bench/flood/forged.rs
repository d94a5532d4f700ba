//! Packets with spoofed addresses of connected peers, as anyone who knows those addresses and ports can send
//! from anywhere. A spoofed port takes a raw socket, which needs root.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use rand::Rng;
use rand_pcg::Pcg32;
use socket2::{Domain, Protocol, Socket, Type};

/// Protocol number of a raw socket whose packets include their IP header.
const RAW: i32 = 255;
/// Bytes of the two headers.
const HEADER_BYTES: usize = 20 + 8;
/// Bytes of a payload: a heartbeat's.
const PAYLOAD_BYTES: usize = 60;
/// How far a forged sequence number may be ahead of the newest: the coordinator opens packets up to a million
/// ahead.
const AHEAD_MAX: u32 = 1 << 20;

/// Sends forged packets with peers' addresses.
pub(super) struct Forger {
    socket: Socket,
    server: SocketAddrV4,
    peers: Vec<SocketAddrV4>,
    packet: Vec<u8>,
}

impl Forger {
    /// A forger of packets from all peers connected to `server` from this machine; the error says what it
    /// lacks.
    pub(super) fn new(server: SocketAddr) -> io::Result<Self> {
        let SocketAddr::V4(server) = server else { return Err(io::Error::other("it is made for IPv4")) };
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)))?;
        socket.set_nonblocking(true)?;
        let peers = connected_to(server)?;
        if peers.is_empty() {
            return Err(io::Error::other("nobody is connected"));
        }
        Ok(Self { socket, server, peers, packet: Vec::new() })
    }

    /// Sends one; returns its bytes.
    pub(super) fn send(&mut self, random: &mut Pcg32) -> io::Result<u64> {
        let from = self.peers[random.random_range(0..self.peers.len())];
        let length = HEADER_BYTES + PAYLOAD_BYTES;
        self.packet.clear();
        // The system fills in the length, the number and the checksum of the IP header.
        self.packet.extend_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
        self.packet.extend_from_slice(&from.ip().octets());
        self.packet.extend_from_slice(&self.server.ip().octets());
        self.packet.extend_from_slice(&from.port().to_be_bytes());
        self.packet.extend_from_slice(&self.server.port().to_be_bytes());
        self.packet.extend_from_slice(&((length - 20) as u16).to_be_bytes());
        // No checksum.
        self.packet.extend_from_slice(&[0, 0]);
        // netcode's payload packet with a four-byte sequence number.
        self.packet.push(0x45);
        self.packet.extend_from_slice(&random.random_range(0..AHEAD_MAX).to_le_bytes());
        self.packet.resize(length, 7);
        self.socket.send_to(&self.packet, &SocketAddr::from(self.server).into())?;
        Ok(length as u64)
    }
}

/// The UDP sockets connected to `server`, from Linux's tables.
fn connected_to(server: SocketAddrV4) -> io::Result<Vec<SocketAddrV4>> {
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let address = |text: &str| {
        let (ip, port) = text.split_once(':')?;
        let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
        Some(SocketAddrV4::new(ip, u16::from_str_radix(port, 16).ok()?))
    };
    let of_line = |line: &str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (address(columns.next()?)?, address(columns.next()?)?);
        (remote == server).then_some(local)
    };
    Ok(table.lines().filter_map(of_line).collect())
}
