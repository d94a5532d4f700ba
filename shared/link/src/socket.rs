//! Sending and receiving packets: a UDP socket or a memory port, behind the impairment layer.

mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::impair::{DelayLine, Impairment};
use crate::limits::{PACKETS_PER_UPDATE_MAX, SOCKET_BUFFER_BYTES};
use crate::memory::MemoryPort;
use crate::runner::Sockets;

use udp::Udp;

/// The two ends of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The other program's address.
    pub(crate) theirs: SocketAddr,
    /// The address of this machine that the other program sends to; it accepts packets from no other. `None` lets the
    /// system choose.
    pub(crate) ours: Option<IpAddr>,
}

impl Ends {
    /// The ends for a whole connection: our address is left out if the system chooses it by itself, because a packet with
    /// an explicit address costs more to send. If the system's choice changes later, the other program no longer hears
    /// this one, and reconnects.
    pub(crate) fn settled(self) -> Self {
        let chosen = || -> io::Result<IpAddr> {
            let any = any_like(self.theirs);
            let probe = UdpSocket::bind(SocketAddr::new(any, 0))?;
            probe.connect(self.theirs)?;
            Ok(probe.local_addr()?.ip().to_canonical())
        };
        let is_chosen = |ours: &IpAddr| chosen().is_ok_and(|chosen| chosen == ours.to_canonical());
        Self { ours: self.ours.filter(|ours| !is_chosen(ours)), ..self }
    }
}

/// The unspecified address of the IP version of this one.
fn any_like(address: SocketAddr) -> IpAddr {
    if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

impl From<SocketAddr> for Ends {
    fn from(theirs: SocketAddr) -> Self {
        Self { theirs, ours: None }
    }
}

/// What packets travel over.
#[derive(Debug)]
pub(crate) enum Medium {
    /// UDP.
    Udp(Box<Udp>),
    /// A port of a memory hub.
    Memory(MemoryPort),
}

/// A medium with an optional impairment in both directions.
#[derive(Debug)]
pub(crate) struct Wire {
    medium: Medium,
    is_registered: bool,
    /// Whether the runner reports when something has arrived.
    is_watched: bool,
    /// The runner's count of news when the medium was last read.
    news_seen: usize,
    /// Whether the medium may hold packets.
    has_unread: bool,
    /// Packets that may still be taken from the medium in this update.
    intake_left: usize,
    lines: Option<Box<(DelayLine, DelayLine)>>,
    /// Whether the other end's system reported that no program listens there.
    pub(crate) was_refused: bool,
}

impl Wire {
    pub(crate) fn new(medium: Medium, impair: Option<Impairment>) -> Self {
        let lines = impair.map(|fate| Box::new((DelayLine::new(fate, 0), DelayLine::new(fate, 1))));
        Self {
            medium,
            is_registered: false,
            is_watched: false,
            news_seen: 0,
            has_unread: true,
            intake_left: PACKETS_PER_UPDATE_MAX,
            lines,
            was_refused: false,
        }
    }

    /// The coordinator's socket.
    pub(crate) fn listen(socket: UdpSocket, impair: Option<Impairment>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = Udp::new(mio::net::UdpSocket::from_std(socket), None)?;
        let (receives, _) = socket.widen(SOCKET_BUFFER_BYTES);
        if let Some(advice) = narrow_buffer(SOCKET_BUFFER_BYTES, receives) {
            tracing::info!("{advice}");
        }
        Ok(Self::new(Medium::Udp(Box::new(socket)), impair))
    }

    /// A client's socket, on a new port for every try: from the address of a connection that the coordinator still
    /// holds, it accepts no handshake.
    pub(crate) fn connect(
        server: SocketAddr,
        from: Option<IpAddr>,
        impair: Option<Impairment>,
    ) -> io::Result<Self> {
        let from = from.unwrap_or_else(|| any_like(server));
        let socket = mio::net::UdpSocket::bind(SocketAddr::new(from, 0))?;
        socket.connect(server)?;
        Ok(Self::new(Medium::Udp(Box::new(Udp::new(socket, Some(server))?)), impair))
    }

    /// Begins an update's receiving. Under the event-driven runner, which watches the socket from its first
    /// use, a socket that was read empty and has no news is not read again.
    pub(crate) fn begin(&mut self, sockets: Option<&Sockets>) {
        self.intake_left = PACKETS_PER_UPDATE_MAX;
        let Some(sockets) = sockets else {
            self.has_unread = true;
            return;
        };
        if !std::mem::replace(&mut self.is_registered, true) {
            self.has_unread = true;
            match &mut self.medium {
                Medium::Udp(udp) => self.is_watched = sockets.watch(udp.socket()),
                Medium::Memory(port) => port.set_waker(sockets.waker()),
            }
        }
        let news = sockets.news();
        self.has_unread |= !self.is_watched || std::mem::replace(&mut self.news_seen, news) != news;
    }

    /// Sends a packet, through the impairment if there is one: at the latest when [`flush`](Self::flush) is
    /// called, as at the end of every update.
    pub(crate) fn send(&mut self, now: Duration, to: impl Into<Ends>, packet: &[u8]) {
        let to = to.into();
        match &mut self.lines {
            Some(lines) => lines.0.enter(now, to, packet),
            None => self.medium.send(to, packet, &mut self.was_refused),
        }
    }

    /// Sends gathered packets, and those that the impairment has delayed long enough; with `everything`, all
    /// that it holds.
    pub(crate) fn flush(&mut self, now: Duration, everything: bool) {
        if let Some(lines) = &mut self.lines {
            let until = if everything { Duration::MAX } else { now };
            while let Some((to, packet)) = lines.0.leave(until) {
                self.medium.send(to, &packet, &mut self.was_refused);
            }
        }
        if let Medium::Udp(udp) = &mut self.medium {
            udp.flush(&mut self.was_refused);
        }
    }

    /// The next packet that has arrived.
    pub(crate) fn receive(&mut self, now: Duration, buffer: &mut [u8]) -> Option<(Ends, usize)> {
        if self.lines.is_none() {
            return self.take_in(buffer);
        }
        while let Some((from, length)) = self.take_in(buffer) {
            if let Some(lines) = &mut self.lines {
                lines.1.enter(now, from, &buffer[..length]);
            }
        }
        let (from, packet) = self.lines.as_mut()?.1.leave(now)?;
        buffer[..packet.len()].copy_from_slice(&packet);
        Some((from, packet.len()))
    }

    /// The next packet in the medium, if this update may take another.
    fn take_in(&mut self, buffer: &mut [u8]) -> Option<(Ends, usize)> {
        if !self.has_unread || self.intake_left == 0 {
            return None;
        }
        let received = self.medium.receive(buffer, &mut self.was_refused);
        self.has_unread = received.is_some() && !self.medium.is_drained();
        self.intake_left -= usize::from(received.is_some());
        received
    }

    /// Whether this update has left packets unread.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_unread
    }

    /// When the impairment next releases a packet, in either direction.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let lines = self.lines.as_ref()?;
        lines.0.next_due().into_iter().chain(lines.1.next_due()).min()
    }

    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }
}

impl Medium {
    fn send(&mut self, to: Ends, packet: &[u8], was_refused: &mut bool) {
        match self {
            Self::Udp(udp) => udp.send(to, packet, was_refused),
            Self::Memory(port) => port.send_to(packet, to.theirs),
        }
    }

    /// Whether it is known that nothing was left when the packet received last was read.
    fn is_drained(&self) -> bool {
        matches!(self, Self::Udp(udp) if udp.is_drained())
    }

    fn receive(&mut self, buffer: &mut [u8], was_refused: &mut bool) -> Option<(Ends, usize)> {
        match self {
            Self::Udp(udp) => udp.receive(buffer, was_refused),
            Self::Memory(port) => {
                let (from, packet) = port.receive()?;
                let length = packet.len().min(buffer.len());
                buffer[..length].copy_from_slice(&packet[..length]);
                Some((from.into(), length))
            }
        }
    }
}

/// What to tell the operator where the system has granted less than was asked for, in bytes.
fn narrow_buffer(asked: usize, granted: usize) -> Option<String> {
    let (asked_kib, granted_kib) = (asked / 1_024, granted / 1_024);
    let mend = if cfg!(target_os = "linux") {
        format!(
            "; to get all of it, run `sudo sysctl -w net.core.rmem_max={asked}` and start the coordinator again; a file in \
             /etc/sysctl.d keeps the setting"
        )
    } else {
        String::new()
    };
    let said = format!(
        "the system grants {granted_kib} KiB of the {asked_kib} KiB asked for as the buffer for UDP packets, so packets may \
         be lost when many programs are connected or somebody floods the port{mend}"
    );
    (granted < asked).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::narrow_buffer;

    #[test]
    fn a_buffer_that_is_narrower_than_asked_for_is_told_of_with_what_mends_it() {
        assert_eq!(narrow_buffer(1 << 20, 1 << 20), None);
        let said = narrow_buffer(1 << 20, 425_984).unwrap();
        assert!(said.contains("416 KiB of the 1024 KiB"), "{said}");
        assert_eq!(said.contains("sysctl -w net.core.rmem_max=1048576"), cfg!(target_os = "linux"), "{said}");
    }
}
