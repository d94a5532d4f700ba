//! The floor: the same four hops over plain blocking UDP sockets, without any protocol, between three
//! processes as for P2C2R and NATS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::program::BenchProgram;
use super::{BenchRound, Load, Rival, drive, number_of, payload};

/// The client, and hub and worker as child processes.
pub struct UdpFloor {
    client: UdpSocket,
    hub: SocketAddr,
    programs: Vec<BenchProgram>,
}

/// Time-out of the client for a packet.
const PATIENCE: Duration = Duration::from_secs(5);

fn bind() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

/// Forwards every packet from `client` to the worker and every other one to `client`, until it is killed.
/// Tells `client` its address by its first packet, and learns the worker's from the worker's first.
pub fn hub(client: SocketAddr) -> io::Result<()> {
    let socket = bind()?;
    socket.send_to(&[0], client)?;
    let mut buffer = [0; 2048];
    let worker = loop {
        let (_, from) = socket.recv_from(&mut buffer)?;
        if from != client {
            break from;
        }
    };
    socket.send_to(&[0], client)?;
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len], if from == client { worker } else { client })?;
    }
}

/// Sends every packet back to `hub`, until it is killed.
pub fn worker(hub: SocketAddr) -> io::Result<()> {
    let socket = bind()?;
    socket.connect(hub)?;
    socket.send(&[0])?;
    let mut buffer = [0; 2048];
    loop {
        let len = socket.recv(&mut buffer)?;
        socket.send(&buffer[..len])?;
    }
}

impl UdpFloor {
    /// Starts hub and worker from this executable and waits until they know each other.
    pub fn start() -> io::Result<Self> {
        let client = bind()?;
        client.set_read_timeout(Some(PATIENCE))?;
        let role = |role: &str, peer: SocketAddr| {
            BenchProgram::in_role(role, &["--coordinator".as_ref(), peer.to_string().as_ref()])
        };
        let mut this = Self {
            programs: vec![role("udp-hub", client.local_addr()?)?],
            hub: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client,
        };
        let mut buffer = [0; 1];
        (_, this.hub) = this.client.recv_from(&mut buffer)?;
        this.programs.push(role("udp-worker", this.hub)?);
        this.client.recv_from(&mut buffer)?;
        this.client.connect(this.hub)?;
        Ok(this)
    }
}

impl Rival for UdpFloor {
    fn name(&self) -> &'static str {
        "udp-floor"
    }

    fn processes(&self) -> Vec<u32> {
        self.programs.iter().map(BenchProgram::id).collect()
    }

    fn round(&mut self, load: Load) -> io::Result<BenchRound> {
        let mut buffer = [0; 2048];
        drive(
            load,
            |number| self.client.send(&payload(number, load.size_bytes)).map(drop),
            || {
                let len = self.client.recv(&mut buffer)?;
                number_of(&buffer[..len], load.size_bytes)
            },
        )
    }
}
