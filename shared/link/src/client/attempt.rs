//! One netcode connection of a client and its socket, from the first request to the disconnect.

use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::catch_panic::catch_panic;
use renet::RenetClient;
use renetcode::{ClientAuthentication, ConnectToken, NetcodeClient};

use crate::LinkError;
use crate::envelope::{self, Envelope};
use crate::limits::{NETCODE_RESEND, TOKEN_BYTES_MAX};
use crate::peer::{Offence, PeerSession};
use crate::seal;
use crate::socket::Wire;

/// One netcode connection and its socket.
pub(super) struct Attempt {
    pub(super) wire: Wire,
    pub(super) netcode: NetcodeClient,
    pub(super) server: SocketAddr,
    token: ConnectToken,
    /// The update's time to which netcode's clock has been advanced.
    pub(super) ticked_at: Duration,
    /// When netcode's own packets last left.
    sent_at: Duration,
}

impl Attempt {
    /// Prepares to ask the coordinator behind `wire` to be let in by this token.
    pub(super) fn new(
        now: Duration,
        wire: Wire,
        server: SocketAddr,
        token: &[u8],
    ) -> Result<Self, LinkError> {
        let token = read_token(token)?;
        let netcode = new_netcode(&token).map_err(LinkError::Token)?;
        Ok(Self { wire, netcode, server, token, ticked_at: now, sent_at: now })
    }

    /// Advances netcode's clock to `now` and sends the packet that is due.
    pub(super) fn tick(&mut self, now: Duration) {
        let delta = now.saturating_sub(self.ticked_at);
        self.ticked_at = now;
        if let Some((packet, _)) = self.netcode.update(delta) {
            self.wire.send(now, self.server, packet);
            self.sent_at = now;
        }
    }

    /// When netcode repeats its packet of the handshake.
    pub(super) fn sends_at(&self) -> Duration {
        self.sent_at + NETCODE_RESEND
    }

    /// Starts the handshake over, so that the next tick sends a request at once, unless this update has sent one. Allowed
    /// only before a challenge was accepted: packets after that are sealed with the session's key, which must never seal
    /// two packets under one number.
    pub(super) fn ask_anew(&mut self, now: Duration) {
        if self.sent_at == now {
            return;
        }
        if let Ok(netcode) = new_netcode(&self.token) {
            self.netcode = netcode;
            self.ticked_at = now;
        }
    }

    /// Whether the coordinator has sealed this packet. Checked before netcode's state may depend on it.
    pub(super) fn is_genuine(&self, packet: &[u8]) -> bool {
        seal::is_sealed(packet, self.token.protocol_id, &self.token.server_to_client_key)
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
    let envelope = match envelope::open(packet) {
        // Late answers to the handshake.
        Ok(Envelope::Challenge | Envelope::Denied) => return Ok(()),
        // The seal is checked here because netcode does not report whether it has accepted a keep-alive.
        Ok(keep_alive @ Envelope::KeepAlive { .. }) if attempt.is_genuine(packet) => keep_alive,
        Ok(other @ (Envelope::Payload { .. } | Envelope::Disconnect)) => other,
        _ => {
            session.stats.garbage += 1;
            return Ok(());
        }
    };
    match (attempt.decrypt(packet), envelope) {
        (Some(payload), Envelope::Payload { sequence }) => {
            session.heard(now, sequence, bytes);
            return session.receive(now, payload, renet).map(drop);
        }
        (None, Envelope::KeepAlive { sequence }) => session.may_have_kept_alive(sequence, bytes),
        (_, Envelope::Disconnect) => {}
        _ => session.stats.garbage += 1,
    }
    Ok(())
}

fn new_netcode(token: &ConnectToken) -> Result<NetcodeClient, String> {
    // Any start will do: netcode's client measures time from here on only.
    NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token: token.clone() })
        .map_err(|error| error.to_string())
}

/// Decodes a connect token and checks what netcode assumes of one.
pub(crate) fn read_token(mut token: &[u8]) -> Result<ConnectToken, LinkError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(LinkError::Token("it is too long".to_owned()));
    }
    let token = ConnectToken::read(&mut token).map_err(|error| LinkError::Token(error.to_string()))?;
    // netcode assumes that there is a first address and that a token expires after its creation.
    if token.server_addresses[0].is_none() || token.create_timestamp >= token.expire_timestamp {
        return Err(LinkError::Token("it names no address, or has no lifetime".to_owned()));
    }
    Ok(token)
}
