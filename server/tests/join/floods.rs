//! Limits on unauthenticated clients: slow ones, many, and those that do not speak the protocol.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use p2c2r_join::RefusalCode;
use p2c2r_join::api::{CHALLENGE_PATH, TOKEN_PATH};
use p2c2r_protocol::Role;

use super::client::{Client, plain, wait_for_the_end};
use super::lab::{Folder, PATIENCE, certificate_file, read_answer, secret};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.handshake = SHORT);
    wait_for_the_end(&mut plain(lab.address).unwrap());
}

#[test]
fn a_handshake_that_stops_is_closed() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.handshake = SHORT);
    let mut stream = plain(lab.address).unwrap();
    stream.write_all(&[0x16, 3, 1, 1, 0, 1]).unwrap();
    wait_for_the_end(&mut stream);
}

#[test]
fn headers_that_never_end_are_closed() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.headers = SHORT);
    let mut client = lab.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: p2c2r\r\nX-Slow: ").unwrap();
    client.wait_for_the_end();
    let mut idle = lab.connect();
    assert_eq!(idle.get("/healthz").0, 200);
    idle.wait_for_the_end();
}

#[test]
fn a_body_that_never_ends_is_refused() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.body = SHORT);
    let mut client = lab.connect();
    let head = format!("POST {TOKEN_PATH} HTTP/1.1\r\nHost: p2c2r\r\nContent-Length: 90\r\n\r\n{{\"acc");
    client.send(head.as_bytes()).unwrap();
    let (status, answer) = client.answer().unwrap();
    assert_eq!((status, read_answer(status, &answer)), (408, Err(RefusalCode::Malformed)));
}

#[test]
fn a_connection_ends_however_busy_it_is() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.connection = SHORT);
    let mut client = lab.connect();
    let until = Instant::now() + PATIENCE;
    let request = b"GET /healthz HTTP/1.1\r\nHost: p2c2r\r\n\r\n";
    while client.send(request).is_ok() && client.answer().is_ok() {
        assert!(Instant::now() < until, "the connection stays open");
    }
}

#[test]
fn a_connection_has_so_many_requests() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.requests_per_connection_max = 2);
    let mut client = lab.connect();
    assert_eq!((client.get("/healthz").0, client.get("/healthz").0), (200, 200));
    client.wait_for_the_end();
}

#[test]
fn headers_are_bounded() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut client = lab.connect();
    let line = format!("X-Long: {}\r\n", "x".repeat(1_000));
    // The answer may come, and the connection end, before everything is sent.
    let _ = client.send(format!("GET / HTTP/1.1\r\nHost: p2c2r\r\n{}\r\n", line.repeat(20)).as_bytes());
    if let Ok((status, _)) = client.answer() {
        assert_eq!(status, 431);
    }
    client.wait_for_the_end();
    assert_eq!(lab.connect().get("/healthz").0, 200);
}

#[test]
fn http_without_tls_is_told_to_use_https() {
    let folder = Folder::new();
    let lab = folder.start();
    let mut stream = plain(lab.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: p2c2r\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    let mut noise = plain(lab.address).unwrap();
    noise.write_all(&[0xFF, 0, 1, 2]).unwrap();
    wait_for_the_end(&mut noise);
}

#[test]
fn one_address_has_so_many_connections_and_gets_them_back() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.connections_per_prefix_max = 3);
    let mut held: Vec<Client> = (0..3).map(|_| lab.connect()).collect();
    assert!(Client::connect(lab.address, &certificate_file(&folder.path())).is_err());
    assert_eq!(held[2].get("/healthz").0, 200, "those that are there go on");
    held.pop();
    let until = Instant::now() + PATIENCE;
    while Client::connect(lab.address, &certificate_file(&folder.path())).is_err() {
        assert!(Instant::now() < until, "the place is given back");
    }
}

#[test]
fn one_address_has_so_many_connections_a_minute() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.connects_per_minute = 3);
    let come_in =
        (0..6).filter(|_| Client::connect(lab.address, &certificate_file(&folder.path())).is_ok()).count();
    assert!((3..6).contains(&come_in), "{come_in}");
}

#[test]
fn one_address_has_so_many_requests_a_minute() {
    let folder = Folder::new();
    let lab = folder.start_with(|options| options.limits.requests_per_minute = 2);
    let mut client = lab.connect();
    let answers: Vec<_> = (0..4).map(|_| client.post(CHALLENGE_PATH, "{}")).collect();
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 429).collect();
    assert!(!refused.is_empty() && answers[0].0 == 200 && answers[1].0 == 200, "{answers:?}");
    assert_eq!(read_answer(429, &refused[0].1), Err(RefusalCode::TooMany));
    let invite = folder.invite(Role::Worker, 1);
    let _ = client.post(TOKEN_PATH, "{}");
    let _ = client.post(TOKEN_PATH, "{}");
    let (status, _) = client.post(TOKEN_PATH, &invite);
    assert_eq!(status, 429);
    assert!(folder.store().account(secret(1).public()).unwrap().is_none());
}

#[test]
fn who_takes_all_connections_and_says_nothing_loses_the_oldest_to_whoever_comes() {
    let folder = Folder::new();
    let long = Duration::from_mins(1);
    let lab = folder.start_with(|options| {
        options.limits.connections_max = 3;
        (options.limits.handshake, options.limits.headers) = (long, long);
    });
    let mut silent: Vec<_> = (0..3).map(|_| plain(lab.address).unwrap()).collect();
    for number in 0..3 {
        assert_eq!(lab.connect().get("/healthz").0, 200, "newcomer {number}");
    }
    wait_for_the_end(&mut silent[0]);
}
