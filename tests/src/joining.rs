//! How programs of the harness and of the bench get connect tokens.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use p2c2r_join::{AccountSecret, JoinClient};
use p2c2r_link::{ClientTransport, Grant, Mint, NoToken, TokenAnswer, TokenSource, problem};
use p2c2r_protocol::{ProtocolIdentity, Role};

/// The token source of a new account that joins by a link, as a real program does; its key is not kept.
pub fn by_link(
    link: &str,
    role: Role,
    name: &str,
    identity: ProtocolIdentity,
) -> io::Result<ClientTransport> {
    let link = link.parse().map_err(io::Error::other)?;
    let secret = AccountSecret::generate().map_err(io::Error::other)?;
    let client = JoinClient::new(link, secret, (role, name), identity);
    Ok(ClientTransport::Udp(Arc::new(client)))
}

/// The same, for connections that leave from `address` of this machine.
pub fn by_link_from(
    address: IpAddr,
    link: &str,
    role: Role,
    name: &str,
    identity: ProtocolIdentity,
) -> io::Result<ClientTransport> {
    let ClientTransport::Udp(source) = by_link(link, role, name, identity)? else {
        unreachable!("join links lead to UDP")
    };
    Ok(ClientTransport::Udp(Arc::new(From { address, source })))
}

/// A source whose tokens are used from another address.
#[derive(Debug)]
struct From {
    address: IpAddr,
    source: Arc<dyn TokenSource>,
}

impl TokenSource for From {
    fn ask(&self, answer: TokenAnswer) {
        self.source.ask(answer);
    }

    fn not_over_udp(&self, server: SocketAddr) {
        self.source.not_over_udp(server);
    }

    fn leaves_from(&self) -> Option<IpAddr> {
        Some(self.address)
    }
}

/// The mint and the address of a coordinator in the same process, which change when it is restarted.
#[derive(Clone, Debug, Default)]
pub struct CurrentMint(Arc<Mutex<Option<(Mint, SocketAddr)>>>);

impl CurrentMint {
    /// Records a new coordinator.
    pub fn set(&self, mint: Mint, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((mint, address));
    }

    /// The transport of a client whose tokens come straight from it.
    pub fn transport(&self, grant: Grant, identity: ProtocolIdentity) -> ClientTransport {
        ClientTransport::Udp(Arc::new(Straight { mint: self.clone(), grant, identity }))
    }
}

#[derive(Debug)]
struct Straight {
    mint: CurrentMint,
    grant: Grant,
    identity: ProtocolIdentity,
}

impl TokenSource for Straight {
    fn ask(&self, answer: TokenAnswer) {
        let current = self.mint.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((mint, address)) = current else {
            let reason = problem::no_answer("no coordinator was started yet");
            return answer.give(Err(NoToken::Unreachable { reason }));
        };
        mint.source(self.grant.clone(), &self.identity, address).ask(answer);
    }
}
