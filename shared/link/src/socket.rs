//! The packets' way in and out: a UDP socket or a memory port, behind the impairment layer.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::impair::{Impairment, Line};
use crate::limits::PACKETS_PER_UPDATE_MAX;
use crate::memory::MemoryPort;
use crate::runner::Sockets;

/// What packets travel over.
#[derive(Debug)]
pub(crate) enum Medium {
    /// UDP; connected to the one peer on a client, so that the system reports a port where nobody listens.
    Udp { socket: mio::net::UdpSocket, connected: Option<SocketAddr> },
    /// A port of a memory hub.
    Memory(MemoryPort),
}

/// A medium with an optional impairment in both directions.
#[derive(Debug)]
pub(crate) struct Wire {
    medium: Medium,
    is_registered: bool,
    /// Whether the runner says when something has come.
    is_watched: bool,
    /// What the runner's count of news was when the medium was last looked at.
    news_seen: usize,
    /// Whether the medium may hold packets.
    has_unread: bool,
    /// Packets that may still be taken from the medium in this update.
    intake_left: usize,
    lines: Option<Box<(Line, Line)>>,
    /// The other end's machine said that nobody listens there.
    pub(crate) was_refused: bool,
}

impl Wire {
    pub(crate) fn new(medium: Medium, impair: Option<Impairment>) -> Self {
        let lines = impair.map(|fate| Box::new((Line::new(fate, 0), Line::new(fate, 1))));
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
        let socket = mio::net::UdpSocket::from_std(socket);
        Ok(Self::new(Medium::Udp { socket, connected: None }, impair))
    }

    /// A client's socket, on a port of its own: netcode keeps an unfinished handshake under its address, so a
    /// second try from the same port would be refused until the first one expires.
    pub(crate) fn connect(server: SocketAddr, impair: Option<Impairment>) -> io::Result<Self> {
        let any: SocketAddr =
            if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = mio::net::UdpSocket::bind(any)?;
        socket.connect(server)?;
        Ok(Self::new(Medium::Udp { socket, connected: Some(server) }, impair))
    }

    /// Begins an update's receiving. Under the event-driven runner, which watches the wire from the first time
    /// on, a socket in which nothing has come since it was read empty is not asked again.
    pub(crate) fn begin(&mut self, sockets: Option<&Sockets>) {
        self.intake_left = PACKETS_PER_UPDATE_MAX;
        let Some(sockets) = sockets else {
            self.has_unread = true;
            return;
        };
        if !std::mem::replace(&mut self.is_registered, true) {
            self.has_unread = true;
            match &mut self.medium {
                Medium::Udp { socket, .. } => self.is_watched = sockets.watch(socket),
                Medium::Memory(port) => port.set_waker(sockets.waker()),
            }
        }
        let news = sockets.news();
        self.has_unread |= !self.is_watched || std::mem::replace(&mut self.news_seen, news) != news;
    }

    /// Sends a packet, through the impairment if there is one.
    pub(crate) fn send(&mut self, now: Duration, to: SocketAddr, packet: &[u8]) {
        match &mut self.lines {
            Some(lines) => lines.0.enter(now, to, packet),
            None => self.medium.send(to, packet, &mut self.was_refused),
        }
    }

    /// Sends what the impairment has held long enough; on `everything`, what it still holds too.
    pub(crate) fn flush(&mut self, now: Duration, everything: bool) {
        let Some(lines) = &mut self.lines else { return };
        let until = if everything { Duration::MAX } else { now };
        while let Some((to, packet)) = lines.0.leave(until) {
            self.medium.send(to, &packet, &mut self.was_refused);
        }
    }

    /// The next packet that has arrived.
    pub(crate) fn receive(&mut self, now: Duration, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
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
    fn take_in(&mut self, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
        if !self.has_unread || self.intake_left == 0 {
            return None;
        }
        let received = self.medium.receive(buffer, &mut self.was_refused);
        self.has_unread = received.is_some();
        self.intake_left -= usize::from(received.is_some());
        received
    }

    /// Whether this update has left packets to the next.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_unread
    }

    /// When the impairment next lets a packet through, in either direction.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let lines = self.lines.as_ref()?;
        lines.0.next_due().into_iter().chain(lines.1.next_due()).min()
    }

    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }
}

impl Medium {
    /// Errors are losses: UDP promises nothing, and a full socket buffer or an unreachable network is for the
    /// layers above to notice by silence.
    fn send(&self, to: SocketAddr, packet: &[u8], was_refused: &mut bool) {
        let sent = match self {
            Self::Udp { socket, connected: Some(_) } => socket.send(packet),
            Self::Udp { socket, connected: None } => socket.send_to(packet, to),
            Self::Memory(port) => {
                port.send_to(packet, to);
                return;
            }
        };
        if let Err(error) = sent {
            *was_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
            tracing::trace!(%error, "packet not sent");
        }
    }

    fn receive(&self, buffer: &mut [u8], was_refused: &mut bool) -> Option<(SocketAddr, usize)> {
        match self {
            Self::Memory(port) => {
                let (from, packet) = port.receive()?;
                let length = packet.len().min(buffer.len());
                buffer[..length].copy_from_slice(&packet[..length]);
                Some((from, length))
            }
            // An error report (nobody listens there, say) takes the place of a packet: look behind it, but
            // not for ever.
            Self::Udp { socket, connected } => (0..16).find_map(|_| {
                let received = match connected {
                    Some(server) => socket.recv(buffer).map(|length| (*server, length)),
                    None => socket.recv_from(buffer).map(|(length, from)| (from, length)),
                };
                match received {
                    Ok(packet) => Some(Some(packet)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(None),
                    Err(error) => {
                        *was_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
                        None
                    }
                }
            })?,
        }
    }
}
