//! Floods over TCP: silent connections, handshakes that never end, idle connections, and strangers that ask
//! for tokens. Each comes from another address of 127.0.0.0/8. Over TCP addresses cannot be spoofed: a real
//! attacker has as many as it controls machines.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use p2c2r_join::api::{CHALLENGE_PATH, Challenge, Instance, TOKEN_PATH};
use p2c2r_join::{AccountSecret, JoinLink, TokenRequest, pin};
use p2c2r_protocol::Role;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

use super::super::echo;

/// Connections a second that an attack aims at.
const CONNECTIONS_PER_SECOND: f64 = 1_000.0;
/// Threads of an attack: a TLS handshake keeps one busy.
const THREADS: u64 = 4;
/// Connections that one thread holds open; above it the oldest is closed.
const HELD_MAX: usize = 1_000;
/// How long the coordinator may take to answer an attacker.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an attacker's connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Sends nothing.
    Silent,
    /// Begins a TLS handshake, a byte at a time.
    Slow,
    /// Completes the handshake and sends nothing more.
    Idle,
    /// Asks for a token with a key that has no account, and closes.
    Token,
}

/// A flood under way.
pub(super) struct ConnectionFlood {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
    start: Instant,
}

impl ConnectionFlood {
    pub(super) fn start(link: &JoinLink, server: SocketAddr, visit: Visit) -> io::Result<Self> {
        let tls = Arc::new(pin::client_config(link.fingerprint).map_err(io::Error::other)?);
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..THREADS)
            .map(|number| {
                let (is_over, tls) = (Arc::clone(&is_over), Arc::clone(&tls));
                std::thread::spawn(move || attack(server, visit, &tls, number, &is_over))
            })
            .collect();
        Ok(Self { is_over, threads, start: Instant::now() })
    }

    /// Ends it; returns connections a second.
    pub(super) fn stop(self) -> f64 {
        let elapsed = self.start.elapsed().as_secs_f64();
        self.is_over.store(true, Ordering::Relaxed);
        let made: u64 = self.threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum();
        made as f64 / elapsed
    }
}

/// An open connection of the attacker.
enum Held {
    Plain(TcpStream),
    Secured { _stream: Box<StreamOwned<ClientConnection, TcpStream>> },
}

fn attack(
    server: SocketAddr,
    visit: Visit,
    tls: &Arc<ClientConfig>,
    number: u64,
    is_over: &AtomicBool,
) -> u64 {
    let mut random = Pcg32::seed_from_u64(number);
    let mut held = VecDeque::new();
    let (start, mut made) = (Instant::now(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * CONNECTIONS_PER_SECOND / THREADS as f64) as u64;
        if made >= due {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            // It does not catch up when it falls behind.
            if let Ok(connection) = visit_from(random.random(), server, visit, tls) {
                held.extend(connection);
            }
            made += 1;
        }
        if visit == Visit::Slow {
            for connection in &mut held {
                if let Held::Plain(stream) = connection {
                    let _ = stream.write(&[0]);
                }
            }
        }
        while held.len() > HELD_MAX {
            held.pop_front();
        }
    }
    made
}

/// One visit from the address of these bits; returns what it leaves open.
fn visit_from(
    bits: u32,
    server: SocketAddr,
    visit: Visit,
    tls: &Arc<ClientConfig>,
) -> io::Result<Option<Held>> {
    let [_, b, c, d] = bits.to_be_bytes();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, b, c, d), 0)).into())?;
    socket.connect_timeout(&server.into(), PATIENCE)?;
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match visit {
        Visit::Silent => Ok(Some(Held::Plain(stream))),
        Visit::Slow => {
            // The header of a record of 512 bytes.
            stream.write_all(&[0x16, 3, 1, 2, 0])?;
            stream.set_nonblocking(true)?;
            Ok(Some(Held::Plain(stream)))
        }
        Visit::Idle | Visit::Token => {
            let name = ServerName::try_from("p2c2r").map_err(io::Error::other)?;
            let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
            let mut stream = Box::new(StreamOwned::new(connection, stream));
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
            if visit == Visit::Idle {
                return Ok(Some(Held::Secured { _stream: stream }));
            }
            ask_for_a_token(&mut stream).map(|()| None)
        }
    }
}

fn ask_for_a_token(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let challenge: Challenge = serde_json::from_slice(&post(stream, CHALLENGE_PATH, "{}")?)?;
    let secret = AccountSecret::generate().map_err(io::Error::other)?;
    let identity = echo::kinds().identity();
    let who = (Role::Gamer, "stranger", Instance(1));
    let request =
        TokenRequest::signed(&secret, who, (identity.id, &identity.text), &challenge.challenge, None);
    post(stream, TOKEN_PATH, &serde_json::to_string(&request)?).map(drop)
}

/// Posts, and returns the body of the answer.
fn post(stream: &mut (impl Read + Write), path: &str, body: &str) -> io::Result<Vec<u8>> {
    let length = body.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: p2c2r\r\nContent-Length: {length}\r\n\r\n{body}")?;
    stream.flush()?;
    let mut answer = Vec::new();
    loop {
        let mut some = [0; 1_024];
        let read = stream.read(&mut some)?;
        answer.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let body = head.len() + 4;
        if read == 0 || answer.len() >= body + length.unwrap_or_default() {
            return Ok(answer.split_off(body));
        }
    }
}
