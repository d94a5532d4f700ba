//! Floods over UDP: packets with made-up addresses, and with those of connected peers.
//!
//! The addresses are of 127.0.0.0/8 (the system lets a socket choose among its own): 16 million in 65,536
//! prefixes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quinn_udp::{Transmit, UdpSocketState};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::super::echo;
use super::forged::Forger;

/// Packets per second that an attack aims at.
const PACKETS_PER_SECOND: u64 = 100_000;

/// The content of the packets.
#[derive(Clone, Copy)]
pub(super) enum Packets {
    /// `write` makes each packet from a random generator, a number and a protocol; with `is_spread` every
    /// packet has another address.
    Strangers { is_spread: bool, write: Writer },
    /// Forged ones with peers' addresses.
    Peers,
}

/// Writes packet number `n` for a coordinator of a protocol.
pub(super) type Writer = fn(&mut Pcg32, u64, u64, &mut Vec<u8>);

/// Sends packet number `n`; returns its bytes.
type Sender = Box<dyn FnMut(&mut Pcg32, u64) -> io::Result<u64> + Send>;

/// A running attack, on a thread of its own.
pub(super) struct PacketFlood {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<(u64, u64)>,
    start: Instant,
}

impl PacketFlood {
    pub(super) fn start(server: SocketAddr, packets: Packets) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        let mut send: Sender = match packets {
            Packets::Strangers { is_spread, write } => {
                as_strangers(socket.try_clone()?, server, is_spread, write)?
            }
            Packets::Peers => {
                let mut forger = Forger::new(server)?;
                Box::new(move |random, _| forger.send(random))
            }
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let thread = std::thread::spawn({
            let (is_over, sent) = (Arc::clone(&is_over), Arc::clone(&sent));
            move || {
                let mut random = Pcg32::seed_from_u64(3);
                let (mut bytes_out, mut bytes_back) = (0, 0);
                let (start, mut count) = (Instant::now(), 0);
                while !is_over.load(Ordering::Relaxed) {
                    let due = (start.elapsed().as_secs_f64() * PACKETS_PER_SECOND as f64) as u64;
                    // It does not catch up when it falls behind: the pace is a bound.
                    for number in 0..due.saturating_sub(count).min(PACKETS_PER_SECOND / 100) {
                        if let Ok(bytes) = send(&mut random, count + number) {
                            bytes_out += bytes;
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    count = due;
                    bytes_back += read_all(&socket);
                    std::thread::sleep(Duration::from_micros(500));
                }
                (bytes_out, bytes_back)
            }
        });
        Ok(Self { is_over, sent, thread, start: Instant::now() })
    }

    /// Ends it; returns packets per second, and bytes that came back per byte sent.
    pub(super) fn stop(self) -> (f64, f64) {
        let elapsed = self.start.elapsed().as_secs_f64();
        let sent = self.sent.load(Ordering::Relaxed) as f64;
        self.is_over.store(true, Ordering::Relaxed);
        let (bytes_out, bytes_back) = self.thread.join().unwrap_or((1, u64::MAX));
        (sent / elapsed, bytes_back as f64 / bytes_out.max(1) as f64)
    }
}

/// Sends packets by `write` from addresses of this machine's choice.
fn as_strangers(socket: UdpSocket, server: SocketAddr, is_spread: bool, write: Writer) -> io::Result<Sender> {
    let system = UdpSocketState::new((&socket).into())?;
    let (protocol_id, mut contents) = (echo::kinds().identity().id, Vec::new());
    Ok(Box::new(move |random, number| {
        write(random, number, protocol_id, &mut contents);
        let [_, b, c, d] = if is_spread { random.random::<u32>() } else { 0x0001_0203 }.to_be_bytes();
        let transmit = Transmit {
            destination: server,
            ecn: None,
            contents: &contents,
            segment_size: None,
            src_ip: Some(IpAddr::from([127, b, c, d])),
        };
        system.try_send((&socket).into(), &transmit)?;
        Ok(contents.len() as u64)
    }))
}

fn read_all(socket: &UdpSocket) -> u64 {
    let mut buffer = [0; 2_048];
    let mut bytes = 0;
    while let Ok(count) = socket.recv(&mut buffer) {
        bytes += count as u64;
    }
    bytes
}

/// A connection request that is valid except for its seal.
pub(super) fn forged_request(random: &mut Pcg32, number: u64, protocol_id: u64, packet: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    packet.clear();
    packet.push(0);
    packet.extend_from_slice(b"NETCODE 1.02\0");
    packet.extend_from_slice(&protocol_id.to_le_bytes());
    packet.extend_from_slice(&(now + 50).to_le_bytes());
    packet.resize(1_078 - 16, number as u8);
    // No two have the same tag.
    packet.extend_from_slice(&random.random::<[u8; 16]>());
}

pub(super) fn foreign_request(random: &mut Pcg32, number: u64, protocol_id: u64, packet: &mut Vec<u8>) {
    forged_request(random, number, !protocol_id, packet);
}

pub(super) fn forged_response(_: &mut Pcg32, number: u64, _: u64, packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend_from_slice(&[0x13, 1]);
    packet.resize(2 + 308 + 16, number as u8);
}

pub(super) fn junk(random: &mut Pcg32, number: u64, _: u64, packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend_from_slice(&random.random::<[u8; 8]>());
    packet.resize(random.random_range(1..1_200), number as u8);
}
