//! A client that speaks TLS and HTTP by hand, so that it can also speak them wrongly.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::lab::PATIENCE;

/// A TLS connection that trusts one certificate.
pub struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Connects and shakes hands.
    pub fn connect(address: SocketAddr, certificate: &Path) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("p2c2r").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, plain(address)?);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self(stream))
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Posts and reads the answer: status and body.
    pub fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: p2c2r\r\nContent-Length: {length}\r\n\r\n");
        self.send(format!("{head}{body}").as_bytes()).unwrap();
        self.answer().unwrap()
    }

    /// Gets and reads the answer: status and body.
    pub fn get(&mut self, path: &str) -> (u16, String) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: p2c2r\r\n\r\n").as_bytes()).unwrap();
        self.answer().unwrap()
    }

    /// Reads one answer: status and body.
    pub fn answer(&mut self) -> io::Result<(u16, String)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body).unwrap()))
    }

    /// Waits until the other side hangs up, whatever it says before.
    pub fn wait_for_the_end(&mut self) {
        wait_for_the_end(&mut self.0);
    }
}

/// A connection without TLS.
pub fn plain(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Waits until the other side hangs up; a timeout is a failure.
pub fn wait_for_the_end(stream: &mut impl Read) {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let kind = error.kind();
                assert!(
                    !matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                    "the connection stays open"
                );
                return;
            }
        }
    }
}
