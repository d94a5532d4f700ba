//! How the programs find their coordinator: names, addresses, the pinned key, and what they say when they do not.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_join::{Fingerprint, JoinClient, JoinLink};
use p2c2r_link::{Access, ClientLink, LinkProblem, NoToken, TokenSource, fetch};
use p2c2r_protocol::{ProtocolIdentity, Role};
use p2c2r_server::join::{WallSeconds, bind_both};

use crate::lab::{Folder, PATIENCE, PROTOCOL, key, secret};
use crate::town::Town;

/// Longer than a client takes to try every address of these tests.
const LONG: Duration = Duration::from_mins(1);

fn identity() -> ProtocolIdentity {
    ProtocolIdentity { id: PROTOCOL, text: "p2c2r/lab".to_owned() }
}

fn client(link: &JoinLink) -> JoinClient {
    JoinClient::new(link.clone(), secret(1), (Role::Gamer, "ann"), identity())
}

fn get(link: &JoinLink) -> Result<Access, NoToken> {
    fetch(&client(link), LONG)
}

fn unreachable(link: &JoinLink) -> LinkProblem {
    match get(link) {
        Err(NoToken::Unreachable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn refused(link: &JoinLink) -> LinkProblem {
    match get(link) {
        Err(NoToken::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// A link with these places, the coordinator's key and an invite.
fn link(places: &[String], fingerprint: Option<Fingerprint>, invite: Option<&str>) -> JoinLink {
    JoinLink {
        hosts: places.iter().map(|place| place.parse().unwrap()).collect(),
        invite: invite.map(str::to_owned),
        fingerprint,
    }
}

/// A port of this machine where nobody listens.
fn dead_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn every_place_and_every_address_of_a_name_is_tried() {
    let folder = Folder::new();
    let lab = folder.start();
    let (port, print) = (lab.address.port(), lab.service.fingerprint());
    let invite = folder.invite(Role::Gamer, 1);
    // The first place is dead, and the name may stand for ::1 too, where nobody listens.
    let places = [dead_port().to_string(), format!("[::1]:{port}"), format!("localhost:{port}")];
    let access = get(&link(&places, print, Some(&invite))).unwrap();
    assert_eq!(access.server, lab.address, "the link goes to where it was answered");
    assert!(get(&link(&places[2..], print, None)).is_ok(), "it has an account now, and needs no invite");
}

/// HTTPS is answered at every address of this machine, and UDP at one, as where a firewall lets it through there alone.
#[test]
#[cfg(target_os = "linux")]
fn an_address_that_does_not_answer_over_udp_is_left_for_one_that_does() {
    let folder = Folder::new();
    let (udp, tcp) = bind_both("0.0.0.0:0".parse().unwrap()).unwrap();
    let port = tcp.local_addr().unwrap().port();
    drop(udp);
    let udp = UdpSocket::bind(("127.0.0.2", port)).unwrap();
    let mut town = Town::open_on(&folder, (udp, tcp), |_| ());
    let places = [format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}")];
    let link = link(&places, town.service.fingerprint(), Some(&folder.invite(Role::Worker, 1)));
    let client = JoinClient::new(link, secret(1), (Role::Worker, "ada"), town.identity.clone());
    let mut worker = town.worker(Arc::new(client));
    let give_up = Instant::now() + PATIENCE;
    while !worker.world().resource::<ClientLink>().is_connected() {
        worker.update();
        town.app.update();
        assert!(Instant::now() < give_up, "{:?}", worker.world().resource::<ClientLink>());
        std::thread::yield_now();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn of_addresses_that_all_fail_over_udp_each_has_its_turn() {
    let folder = Folder::new();
    let sockets = bind_both("0.0.0.0:0".parse().unwrap()).unwrap();
    let port = sockets.1.local_addr().unwrap().port();
    let town = Town::open_on(&folder, sockets, |_| ());
    let places = [1, 2, 3].map(|last| format!("127.0.0.{last}:{port}"));
    let link = link(&places, town.service.fingerprint(), Some(&folder.invite(Role::Gamer, 1)));
    let client = JoinClient::new(link, secret(1), (Role::Gamer, "ann"), town.identity.clone());
    for turn in 0..7 {
        let access = fetch(&client, LONG).unwrap();
        assert_eq!(access.server.to_string(), places[turn % 3]);
        client.not_over_udp(access.server);
    }
}

#[test]
fn a_name_that_nobody_knows_is_named_and_so_is_a_port_where_nobody_listens() {
    let print = Some(Fingerprint([7; 32]));
    let reason = unreachable(&link(&["nobody.invalid:8765".to_owned()], print, None));
    assert!(reason.detail.contains("nobody.invalid") && reason.detail.contains("looked up"), "{reason}");
    assert_eq!(reason.brief(), "Cannot find nobody.invalid: are you online?");
    let long = format!("{}.invalid", "nobody-".repeat(8));
    let brief = unreachable(&link(&[format!("{long}:8765")], print, None)).brief().to_owned();
    assert!(brief.starts_with("Cannot find nobody-") && brief.ends_with("..: are you online?"), "{brief}");
    let dead = dead_port().to_string();
    let reason = unreachable(&link(std::slice::from_ref(&dead), print, None));
    assert!(reason.detail.contains("nobody answers") && reason.detail.contains(&dead), "{reason}");
    assert!(reason.detail.contains("firewall"), "it says what to look at: {reason}");
    assert!(reason.brief().starts_with("No answer from the coordinator"), "{reason:?}");
}

#[test]
fn whoever_answers_with_another_key_gets_nothing_and_is_told_of() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Gamer, 1);
    let place = [lab.address.to_string()];
    let reason = refused(&link(&place, Some(Fingerprint([7; 32])), Some(&invite)));
    assert!(reason.detail.contains("another key"), "{reason}");
    assert_eq!(reason.brief(), "The coordinator's key is not your link's: ask for a new link");
    // Its own certificate is no public authority's either.
    let reason = unreachable(&link(&place, None, Some(&invite)));
    assert!(reason.detail.contains("certificate"), "{reason}");
    assert_eq!(reason.brief(), "The coordinator's certificate is not valid: ask its operator");
    let good = link(&place, lab.service.fingerprint(), Some(&invite));
    assert!(get(&good).is_ok(), "the invite did not reach whom it was not for");
}

#[test]
fn something_else_on_the_port_is_said_to_be_something_else() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = [other.local_addr().unwrap().to_string()];
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"220 mail.example.org ESMTP\r\n").unwrap();
    });
    let reason = unreachable(&link(&place, Some(Fingerprint([7; 32])), None));
    assert!(reason.detail.contains(&place[0]), "{reason}");
    assert_eq!(reason.brief(), "Something else answers there: ask the operator for a new link");
    answers.join().unwrap();
}

#[test]
fn whoever_is_not_let_in_reads_on_one_line_why_and_what_to_do() {
    let folder = Folder::new();
    let lab = folder.start();
    let said = |invite: Option<&str>| {
        refused(&link(&[lab.address.to_string()], lab.service.fingerprint(), invite)).brief().to_owned()
    };
    assert_eq!(said(None), "You have no account there: ask the operator for a join link");
    assert_eq!(said(Some("sesame")), "Your join link is unknown there: ask the operator for another");
    let workers = folder.invite(Role::Worker, 1);
    assert_eq!(said(Some(&workers)), "This link or account is no gamer's: ask for a gamer's link");
    let once = folder.invite(Role::Gamer, 1);
    let place = link(&[lab.address.to_string()], lab.service.fingerprint(), Some(&once));
    let other = JoinClient::new(place, secret(2), (Role::Gamer, "bob"), identity());
    assert!(fetch(&other, LONG).is_ok());
    assert_eq!(said(Some(&once)), "Your join link has been used up: ask the operator for another");
    let (own, now) = (folder.invite(Role::Gamer, 1), WallSeconds::now());
    assert!(get(&link(&[lab.address.to_string()], lab.service.fingerprint(), Some(&own))).is_ok());
    folder.store().revoke(key(1), now).unwrap();
    assert_eq!(said(None), "Your account there was closed: ask the operator why");
}

#[test]
fn a_program_of_another_version_is_told_both() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Gamer, 1);
    let link = link(&[lab.address.to_string()], lab.service.fingerprint(), Some(&invite));
    let older = ProtocolIdentity { id: PROTOCOL + 1, text: "p2c2r/older".to_owned() };
    let client = JoinClient::new(link, secret(1), (Role::Gamer, "ann"), older);
    let Err(NoToken::Refused { reason }) = fetch(&client, LONG) else { panic!("it was let in") };
    assert!(reason.detail.contains("p2c2r/older") && reason.detail.contains("p2c2r/lab"), "{reason}");
    assert_eq!(reason.brief(), "Coordinator has lab, you older: install its version");
}
