//! NATS in its usual set-up for this: one server, request/reply through a queue group, and the worker in a
//! process of its own, as P2C2R's is.
//!
//! The client speaks the documented text protocol over a blocking `TcpStream` with Nagle's algorithm off. It
//! writes once per batch and parses in place, so it is leaner than a general client library: it measures the
//! server, to the rival's advantage.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::program::BenchProgram;
use super::{BenchRound, Load, Rival, number_of, payload};

/// A NATS server, a worker in its queue group and a client.
pub struct Nats {
    // Dropped in this order: a worker whose server ends first reports an error.
    worker: BenchProgram,
    server: BenchProgram,
    client: Connection,
}

/// Most bytes the parser buffers for one message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    start: usize,
    out: Vec<u8>,
}

struct Incoming {
    reply_to: Option<String>,
    payload: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut connection = Self { stream, unread: Vec::new(), start: 0, out: Vec::new() };
        connection.out.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n");
        connection.flush()?;
        loop {
            if connection.line()? == "PONG" {
                return Ok(connection);
            }
        }
    }

    /// Subscribes under `number`, and waits until the server knows. `what` is a subject, optionally with a
    /// queue group.
    fn subscribe(&mut self, what: &str, number: u32) -> io::Result<()> {
        write!(self.out, "SUB {what} {number}\r\nPING\r\n")?;
        self.flush()?;
        while self.line()? != "PONG" {}
        Ok(())
    }

    fn publish(&mut self, subject: &str, reply_to: Option<&str>, payload: &[u8]) -> io::Result<()> {
        let reply_to = reply_to.map_or(String::new(), |subject| format!("{subject} "));
        write!(self.out, "PUB {subject} {reply_to}{}\r\n", payload.len())?;
        self.out.extend_from_slice(payload);
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Whether a whole line is buffered: then reading does not block, and writing can wait.
    fn has_buffered(&self) -> bool {
        self.unread[self.start..].contains(&b'\n')
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.unread.drain(..self.start);
            self.start = 0;
        }
        if self.unread.len() > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("a message larger than the client takes"));
        }
        let mut chunk = [0; 16 * 1024];
        let len = self.stream.read(&mut chunk)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&chunk[..len]);
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread[self.start..].windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[self.start..self.start + end]).into_owned();
                self.start += end + 2;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// Blocks for the next message, answering the server's pings on the way.
    fn message(&mut self) -> io::Result<Incoming> {
        loop {
            let line = self.line()?;
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("MSG") => {
                    let words: Vec<&str> = words.collect();
                    let (reply_to, len) = match words[..] {
                        [_, _, len] => (None, len),
                        [_, _, reply_to, len] => (Some(reply_to.to_owned()), len),
                        _ => return Err(io::Error::other("a malformed MSG line")),
                    };
                    let len: usize = len.parse().map_err(io::Error::other)?;
                    while self.unread.len() - self.start < len + 2 {
                        self.fill()?;
                    }
                    let payload = self.unread[self.start..self.start + len].to_vec();
                    self.start += len + 2;
                    return Ok(Incoming { reply_to, payload });
                }
                Some("PING") => {
                    self.out.extend_from_slice(b"PONG\r\n");
                    self.flush()?;
                }
                Some("-ERR") => return Err(io::Error::other(line)),
                _ => {}
            }
        }
    }
}

/// Answers every request with its payload, until it is killed. Announces itself by a message on `ready`.
pub fn worker(server: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(server)?;
    connection.stream.set_read_timeout(None)?;
    connection.subscribe("work workers", 1)?;
    connection.publish("ready", None, b"")?;
    connection.flush()?;
    loop {
        let request = connection.message()?;
        if let Some(reply_to) = request.reply_to {
            connection.publish(&reply_to, None, &request.payload)?;
        }
        if !connection.has_buffered() {
            connection.flush()?;
        }
    }
}

impl Nats {
    /// Starts `nats-server` on a free loopback port; `None` if it is not installed.
    pub fn start() -> io::Result<Option<Self>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let program = ["nats-server", "/usr/sbin/nats-server", "/usr/bin/nats-server"]
            .into_iter()
            .find(|program| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok());
        let Some(program) = program else { return Ok(None) };
        let server = BenchProgram::start(
            Command::new(program)
                .args(["-a", "127.0.0.1", "-p", &port.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let give_up = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > give_up {
                return Err(io::Error::other("nats-server did not start within 10 seconds"));
            }
            std::thread::yield_now();
        }
        let mut client = Connection::open(address)?;
        client.subscribe("inbox.*", 1)?;
        client.subscribe("ready", 2)?;
        let worker =
            BenchProgram::in_role("nats-worker", &["--coordinator".as_ref(), address.to_string().as_ref()])?;
        client.message()?;
        Ok(Some(Self { worker, server, client }))
    }
}

impl Rival for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.server.id(), self.worker.id()]
    }

    fn round(&mut self, load: Load) -> io::Result<BenchRound> {
        let client = std::cell::RefCell::new(&mut self.client);
        super::drive(
            load,
            |number| client.borrow_mut().publish("work", Some("inbox.1"), &payload(number, load.size_bytes)),
            || {
                let mut client = client.borrow_mut();
                if !client.out.is_empty() {
                    client.flush()?;
                }
                number_of(&client.message()?.payload, load.size_bytes)
            },
        )
    }
}
