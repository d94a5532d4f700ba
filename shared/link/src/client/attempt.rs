//! One netcode connection of a client and its socket, from the first request to the disconnect.

use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::catch_panic::catch_panic;
use renet::RenetClient;
use renetcode::NetcodeClient;

use crate::envelope::{self, Envelope};
use crate::peer::{Offence, PeerSession};
use crate::socket::Wire;

/// One netcode connection and its socket.
pub(super) struct Attempt {
    pub(super) wire: Wire,
    pub(super) netcode: NetcodeClient,
    pub(super) server: SocketAddr,
    /// The update's time to which netcode's clock has been advanced.
    pub(super) ticked_at: Duration,
}

impl Attempt {
    /// Advances netcode's clock to `now` and sends the packet that is due.
    pub(super) fn tick(&mut self, now: Duration) {
        let delta = now.saturating_sub(self.ticked_at);
        self.ticked_at = now;
        if let Some((packet, _)) = self.netcode.update(delta) {
            self.wire.send(now, self.server, packet);
        }
    }

    /// Lets netcode decrypt a packet; a panic there counts as an unreadable packet.
    pub(super) fn decrypt<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let netcode = &mut self.netcode;
        catch_panic(move || netcode.process_packet(packet)).ok().flatten()
    }

    /// Sends netcode's disconnect packet, three times because it is not acknowledged.
    pub(super) fn farewell(&mut self, now: Duration) {
        if let Ok((_, packet)) = self.netcode.disconnect() {
            for _ in 0..3 {
                self.wire.send(now, self.server, packet);
            }
        }
        self.wire.flush(now, true);
    }
}

/// Handles one packet of the coordinator, once connected. An error is the coordinator's offence.
pub(super) fn receive_connected(
    now: Duration,
    packet: &mut [u8],
    attempt: &mut Attempt,
    session: &mut PeerSession,
    renet: &mut RenetClient,
) -> Result<(), Offence> {
    let bytes = packet.len();
    if !session.admits(now) {
        session.stats.garbage += 1;
        return Ok(());
    }
    let sequence = match envelope::open(packet) {
        Ok(Envelope::Payload { sequence } | Envelope::KeepAlive { sequence }) => Some(sequence),
        Ok(Envelope::Disconnect) => None,
        // Late answers to the handshake.
        Ok(Envelope::Challenge | Envelope::Denied) => return Ok(()),
        _ => {
            session.stats.garbage += 1;
            return Ok(());
        }
    };
    match (attempt.decrypt(packet), sequence) {
        (Some(payload), Some(sequence)) => {
            session.heard(now, sequence, bytes);
            session.receive(now, payload, renet).map(drop)
        }
        (None, Some(sequence)) if attempt.netcode.time_since_last_received_packet().is_zero() => {
            session.may_have_kept_alive(sequence, bytes);
            Ok(())
        }
        (None, Some(_)) => {
            session.stats.garbage += 1;
            Ok(())
        }
        _ => Ok(()),
    }
}
