//! A UDP socket that moves many datagrams with one call where the system can.
//!
//! On Linux a run of datagrams of one size for one destination leaves as one buffer (generic segmentation
//! offload), and arrives as one (generic receive offload): the path through the network stack, which costs
//! several times what sealing a datagram does, is then taken once for all of them. Elsewhere, and where the
//! system refuses, each goes by itself.
//!
//! A socket that listens at every address of the machine answers from the address that a client has sent to: the client
//! accepts packets from no other, and neither does a router on the way.
//!
//! The library underneath (quinn-udp) forbids the system to fragment datagrams. Ours take at most 1,277 bytes on an IPv4
//! path and 1,297 on an IPv6 path; the rare path with a smaller limit carries none of our full slices.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use super::Ends;
use crate::limits::{REPORTS_MAX, RUN_BYTES_MAX};

/// A non-blocking socket with its outgoing and incoming runs.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: mio::net::UdpSocket,
    /// The one peer of a client: a connected socket reports a port where no program listens.
    connected: Option<SocketAddr>,
    /// Whether it listens at every address of the machine.
    is_at_every_address: bool,
    offload: UdpSocketState,
    outbox: Outbox,
    inbox: Inbox,
}

/// Datagrams of one size, the last perhaps smaller, with the same two ends.
#[derive(Debug)]
struct Outbox {
    to: Ends,
    size: usize,
    bytes: Vec<u8>,
}

/// Runs read with one call. A call that has room for two and returns one shows that no other waits, which another call
/// would have to find out.
const RUNS_READ_MAX: usize = 2;

/// Where a run came from, the bytes of each of its datagrams except the last, and of all together.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: Ends,
    size: usize,
    length: usize,
}

/// The runs that were read last, and how much of them has been returned.
#[derive(Debug)]
struct Inbox {
    buffers: [Box<[u8]>; RUNS_READ_MAX],
    runs: [Run; RUNS_READ_MAX],
    /// How many were read.
    count: usize,
    /// The one being returned, and how many of its bytes have been.
    current: usize,
    taken: usize,
}

impl Inbox {
    /// The next packet, and who sent it.
    fn next(&mut self) -> Option<(Ends, &[u8])> {
        let current = self.current;
        let run = self.runs[..self.count].get(current)?;
        let start = self.taken;
        self.taken = (start + run.size).min(run.length);
        let packet = &self.buffers[current][start..self.taken];
        if self.taken == run.length {
            (self.current, self.taken) = (current + 1, 0);
        }
        Some((run.from, packet))
    }
}

impl Outbox {
    /// Whether this packet can be the next of the run; a shorter one must be the last.
    fn takes(&self, to: Ends, packet: &[u8], datagrams_max: usize) -> bool {
        self.bytes.is_empty()
            || (self.to == to
                && packet.len() <= self.size
                && self.bytes.len().is_multiple_of(self.size)
                && self.bytes.len() < self.size * datagrams_max
                && self.bytes.len() + packet.len() <= RUN_BYTES_MAX)
    }

    fn add(&mut self, to: Ends, packet: &[u8]) {
        if self.bytes.is_empty() {
            (self.to, self.size) = (to, packet.len());
        }
        self.bytes.extend_from_slice(packet);
    }
}

impl Udp {
    pub(super) fn new(socket: mio::net::UdpSocket, connected: Option<SocketAddr>) -> io::Result<Self> {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into();
        Ok(Self {
            offload: UdpSocketState::new((&socket).into())?,
            is_at_every_address: connected.is_none() && socket.local_addr()?.ip().is_unspecified(),
            socket,
            connected,
            outbox: Outbox { to: nobody, size: 0, bytes: Vec::new() },
            inbox: Inbox {
                buffers: std::array::from_fn(|_| vec![0; usize::from(u16::MAX)].into()),
                runs: [Run { from: nobody, size: 0, length: 0 }; RUNS_READ_MAX],
                count: 0,
                current: 0,
                taken: 0,
            },
        })
    }

    /// Asks the system for buffers of `bytes` in each direction, and returns the sizes it gave; some systems
    /// give less (Linux at most twice `net.core.rmem_max` and `net.core.wmem_max`).
    pub(super) fn widen(&self, bytes: usize) -> (usize, usize) {
        let receives = || self.offload.recv_buffer_size((&self.socket).into()).unwrap_or_default();
        let sends = || self.offload.send_buffer_size((&self.socket).into()).unwrap_or_default();
        if receives() < bytes {
            note_option(self.offload.set_recv_buffer_size((&self.socket).into(), bytes));
        }
        if sends() < bytes {
            note_option(self.offload.set_send_buffer_size((&self.socket).into(), bytes));
        }
        let granted = (receives(), sends());
        tracing::debug!(asked = bytes, receives = granted.0, sends = granted.1, "socket buffers, in bytes");
        granted
    }

    /// The socket, for the runner's poll.
    pub(super) fn socket(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// Sends a packet with the run it fits into, at the latest when [`flush`](Self::flush) is called.
    pub(super) fn send(&mut self, to: Ends, packet: &[u8], was_refused: &mut bool) {
        // Other systems have other conditions for a connected socket.
        let datagrams_max = if cfg!(target_os = "linux") { self.offload.max_gso_segments() } else { 1 };
        if !self.outbox.takes(to, packet, datagrams_max) {
            self.flush(was_refused);
        }
        self.outbox.add(to, packet);
    }

    /// Sends the gathered run.
    pub(super) fn flush(&mut self, was_refused: &mut bool) {
        let Outbox { to, size, bytes } = &self.outbox;
        if bytes.is_empty() {
            return;
        }
        let segments_max = self.offload.max_gso_segments();
        let mut is_refused_address = false;
        if bytes.len() <= *size || !self.send_run(was_refused) {
            for packet in bytes.chunks(*size) {
                let sent = self.send_one(packet);
                is_refused_address |= to.ours.is_some()
                    && sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput);
                note(sent, was_refused);
            }
        }
        self.outbox.bytes.clear();
        if is_refused_address && self.offload.max_gso_segments() < segments_max {
            // Our address is a broadcast, or an IPv6 address that this machine has lost. quinn-udp mistakes the error for
            // that of a system that cannot segment runs, and would segment none for any peer from now on.
            match UdpSocketState::new((&self.socket).into()) {
                Ok(offload) => self.offload = offload,
                Err(error) => tracing::debug!(%error, "packets go one by one from now on"),
            }
        }
    }

    /// Sends the run as one buffer; false if its datagrams must go one by one, because the system cannot
    /// segment a run on that path.
    fn send_run(&self, was_refused: &mut bool) -> bool {
        let sent = self.transmit(&self.outbox.bytes, Some(self.outbox.size));
        let is_over = sent.as_ref().map_or_else(|error| is_loss(error.kind()), |()| true);
        match sent {
            Err(error) if !is_over => tracing::debug!(%error, "a run was refused; its packets go one by one"),
            sent => note(sent, was_refused),
        }
        is_over
    }

    /// Sends one datagram of the run.
    fn send_one(&self, packet: &[u8]) -> io::Result<()> {
        match (self.connected, self.outbox.to) {
            (Some(_), _) => self.socket.send(packet).map(drop),
            (None, Ends { theirs, ours: None }) => self.socket.send_to(packet, theirs).map(drop),
            (None, Ends { ours: Some(_), .. }) => self.transmit(packet, None),
        }
    }

    fn transmit(&self, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let Ends { theirs: destination, ours: src_ip } = self.outbox.to;
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip };
        self.offload.try_send((&self.socket).into(), &transmit)
    }

    /// The next packet, cut to `buffer`: with a buffer one byte longer than a packet may be, a packet that is
    /// too long still shows.
    pub(super) fn receive(&mut self, buffer: &mut [u8], was_refused: &mut bool) -> Option<(Ends, usize)> {
        if self.inbox.current == self.inbox.count {
            self.receive_runs(was_refused);
        }
        let (from, packet) = self.inbox.next()?;
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        Some((from, length))
    }

    /// Whether no packet was left when the one returned last was read.
    pub(super) fn is_drained(&self) -> bool {
        // Elsewhere a call may return one run although others wait.
        let read_all = cfg!(target_os = "linux") && self.inbox.count < RUNS_READ_MAX;
        read_all && self.inbox.current == self.inbox.count
    }

    /// Reads the runs that wait, as far as there is room; none if none waits.
    fn receive_runs(&mut self, was_refused: &mut bool) {
        let Inbox { buffers, runs, count, current, taken } = &mut self.inbox;
        (*count, *current, *taken) = (0, 0, 0);
        let mut metas = [RecvMeta::default(); RUNS_READ_MAX];
        for _ in 0..REPORTS_MAX {
            let mut slices = buffers.each_mut().map(|buffer| IoSliceMut::new(buffer));
            match self.offload.recv((&self.socket).into(), &mut slices, &mut metas) {
                Ok(read) => {
                    for (run, meta) in runs.iter_mut().zip(&metas[..read]) {
                        // A coordinator that is addressed as 0.0.0.0 answers as 127.0.0.1.
                        let theirs = self.connected.unwrap_or(meta.addr);
                        let ours = meta.dst_ip.filter(|_| self.is_at_every_address);
                        *run = Run { from: Ends { theirs, ours }, size: meta.stride, length: meta.len };
                    }
                    *count = read;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => *was_refused |= error.kind() == io::ErrorKind::ConnectionRefused,
            }
        }
    }
}

/// Ignores the error: an unchanged buffer only loses more packets in a burst.
fn note_option(set: io::Result<()>) {
    if let Err(error) = set {
        tracing::debug!(%error, "the system keeps its own buffer size");
    }
}

/// Whether an error means that the datagram is lost, and another way of sending would not help.
fn is_loss(error: io::ErrorKind) -> bool {
    matches!(error, io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused)
}

/// Errors count as losses: UDP promises nothing, and the layers above detect a full socket buffer or an
/// unreachable network by silence.
fn note(sent: io::Result<()>, was_refused: &mut bool) {
    if let Err(error) = sent {
        *was_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
        tracing::trace!(%error, "packet not sent");
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const SIZE: usize = 100;

    fn pair() -> (Udp, Udp, SocketAddr) {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (near, far) = (bind(), bind());
        let there = far.local_addr().unwrap();
        let udp = |socket: UdpSocket| {
            socket.set_nonblocking(true).unwrap();
            Udp::new(mio::net::UdpSocket::from_std(socket), None).unwrap()
        };
        (udp(near), udp(far), there)
    }

    fn all_in(socket: &mut Udp) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2_048];
        let mut packets = Vec::new();
        while let Some((_, length)) = socket.receive(&mut buffer, &mut false) {
            packets.push(buffer[..length].to_vec());
        }
        packets
    }

    /// Sizes that make runs, break them, and end them: every packet arrives whole, by itself and in order.
    #[test]
    fn packets_of_any_sizes_come_out_as_they_went_in() {
        let (mut near, mut far, there) = pair();
        let sizes = [SIZE, SIZE, SIZE, SIZE - 1, SIZE, 1, SIZE + 1, SIZE + 1, 1_300, 1_300, 7];
        let packets: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(number, size)| vec![number as u8; *size]).collect();
        for packet in &packets {
            near.send(there.into(), packet, &mut false);
        }
        near.flush(&mut false);
        assert_eq!(all_in(&mut far), packets);
    }

    #[test]
    fn more_than_one_run_holds_arrives_whole() {
        let (mut near, mut far, there) = pair();
        let packets: Vec<Vec<u8>> = (0..150).map(|number| vec![number; 1_200]).collect();
        let mut arrived = Vec::new();
        for packet in &packets {
            near.send(there.into(), packet, &mut false);
            // A receive buffer need not hold them all.
            arrived.extend(all_in(&mut far));
        }
        near.flush(&mut false);
        arrived.extend(all_in(&mut far));
        assert_eq!(arrived, packets);
    }

    #[test]
    fn a_run_is_for_one_address() {
        let (mut near, mut far, there) = pair();
        let (_, mut other, elsewhere) = pair();
        for number in 0..6_u8 {
            let to = if number % 2 == 0 { there } else { elsewhere };
            near.send(to.into(), &[number; SIZE], &mut false);
        }
        near.flush(&mut false);
        assert_eq!(all_in(&mut far), [0, 2, 4].map(|number| vec![number; SIZE]));
        assert_eq!(all_in(&mut other), [1, 3, 5].map(|number| vec![number; SIZE]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_last_packet_of_any_number_of_runs_is_known_as_the_last() {
        for count in 1..=2 * RUNS_READ_MAX + 1 {
            let (_, mut far, there) = pair();
            let senders: Vec<UdpSocket> =
                (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
            for (number, sender) in senders.iter().enumerate() {
                sender.send_to(&[number as u8; 2], there).unwrap();
            }
            let mut buffer = [0; 8];
            for (number, sender) in senders.iter().enumerate() {
                let (from, length) = far.receive(&mut buffer, &mut false).unwrap();
                assert_eq!((from, length), (sender.local_addr().unwrap().into(), 2));
                assert_eq!(buffer[..2], [number as u8; 2]);
                // A call that filled all its room cannot know whether others wait.
                let is_last = number + 1 == count && !count.is_multiple_of(RUNS_READ_MAX);
                assert_eq!(far.is_drained(), is_last, "{number} of {count}");
            }
            // What comes after the last is found by the next call, which need not read an empty socket first.
            senders[0].send_to(&[9], there).unwrap();
            assert_eq!(far.receive(&mut buffer, &mut false).map(|(_, length)| length), Some(1));
            assert_eq!(far.receive(&mut buffer, &mut false), None);
        }
    }

    /// A heartbeat of each of 1,024 peers at one moment waits until it is read. The system's default buffer
    /// of 208 KiB holds 277 of them.
    #[test]
    fn a_heartbeat_of_every_peer_at_one_moment_fits() {
        const PEERS: usize = p2c2r_protocol::limits::PEERS_MAX;
        let (_, mut far, there) = pair();
        let (receives, _) = far.widen(crate::limits::SOCKET_BUFFER_BYTES);
        // A system counts a small datagram as 1,280 bytes at most, and says how much its buffer holds.
        let fits = (receives / 1_280).min(PEERS);
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for _ in 0..PEERS {
            near.send_to(&[1; 60], there).unwrap();
        }
        let came = all_in(&mut far).len();
        assert!(came >= fits, "{came} of {PEERS} came; the system holds {receives} bytes");
    }

    #[test]
    fn an_empty_datagram_is_a_packet_and_no_end() {
        let (near, mut far, there) = pair();
        near.socket.send_to(&[], there).unwrap();
        near.socket.send_to(&[1], there).unwrap();
        assert_eq!(all_in(&mut far), [vec![], vec![1]]);
    }

    /// A game told to connect to 0.0.0.0 reaches this machine, which answers as 127.0.0.1.
    #[test]
    fn a_connected_peer_answers_under_the_address_it_was_connected_by() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let asked = SocketAddr::from((Ipv4Addr::UNSPECIFIED, server.local_addr().unwrap().port()));
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(asked).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut client = Udp::new(mio::net::UdpSocket::from_std(socket), Some(asked)).unwrap();
        client.send(asked.into(), &[1], &mut false);
        client.flush(&mut false);
        let mut buffer = [0; 8];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&[2, 2], from).unwrap();
        assert_eq!(client.receive(&mut buffer, &mut false), Some((asked.into(), 2)));
    }

    /// A coordinator at every address of this machine, and where a client reaches it by an address that the system would not
    /// choose for an answer.
    #[cfg(target_os = "linux")]
    fn at_every_address(listen: &str) -> Option<(Udp, UdpSocket)> {
        let socket = UdpSocket::bind(listen).ok()?;
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let client = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        client.connect((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();
        client.set_nonblocking(true).unwrap();
        Some((Udp::new(mio::net::UdpSocket::from_std(socket), None).unwrap(), client))
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_answer_comes_from_the_address_that_was_asked_alone_and_in_a_run() {
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let Some((mut server, client)) = at_every_address(listen) else {
                assert_eq!(listen, "[::]:0", "this machine may have no IPv6");
                continue;
            };
            client.send(&[1]).unwrap();
            let (asked, _) = server.receive(&mut [0; 8], &mut false).unwrap();
            assert_eq!(asked.settled(), asked, "the system would choose another");
            for answers in [vec![vec![2; SIZE]], vec![vec![3; SIZE]; 3]] {
                for answer in &answers {
                    server.send(asked, answer, &mut false);
                }
                server.flush(&mut false);
                for answer in &answers {
                    let mut buffer = [0; 2 * SIZE];
                    assert_eq!(client.recv(&mut buffer).ok(), Some(SIZE), "{listen}");
                    assert_eq!(buffer[..SIZE], answer[..], "{listen}");
                }
            }
        }
    }

    #[test]
    fn an_address_that_the_system_chooses_by_itself_is_not_given() {
        let (near, ..) = pair();
        let theirs = near.socket.local_addr().unwrap();
        for ours in [theirs.ip(), Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()] {
            assert_eq!(Ends { theirs, ours: Some(ours) }.settled(), theirs.into());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_asks_by_a_broadcast_cannot_be_answered_and_costs_nobody_else_anything() {
        let (mut server, client) = at_every_address("0.0.0.0:0").unwrap();
        client.send(&[1]).unwrap();
        let (asked, _) = server.receive(&mut [0; 8], &mut false).unwrap();
        let segments_max = server.offload.max_gso_segments();
        let all = Ends { ours: Some(Ipv4Addr::BROADCAST.into()), ..asked };
        for count in [1, 3] {
            for _ in 0..count {
                server.send(all, &[2; SIZE], &mut false);
            }
            server.flush(&mut false);
        }
        assert_eq!(server.offload.max_gso_segments(), segments_max);
        server.send(asked, &[3; SIZE], &mut false);
        server.flush(&mut false);
        let mut buffer = [0; 2 * SIZE];
        assert_eq!((client.recv(&mut buffer).ok(), buffer[0]), (Some(SIZE), 3));
    }

    #[test]
    fn what_is_too_long_for_the_buffer_is_cut() {
        let (mut near, mut far, there) = pair();
        near.send(there.into(), &[1; 300], &mut false);
        near.send(there.into(), &[2; 300], &mut false);
        near.flush(&mut false);
        let mut buffer = [0; 200];
        for number in [1, 2] {
            assert_eq!(far.receive(&mut buffer, &mut false).map(|(_, length)| length), Some(200));
            assert_eq!(buffer, [number; 200]);
        }
        assert_eq!(far.receive(&mut buffer, &mut false), None);
    }
}
