//! How the programs find their coordinator: names, addresses, the pinned key, and what they say when they do not.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use p2c2r_join::{Fingerprint, JoinClient, JoinLink};
use p2c2r_link::{Access, NoToken, fetch};
use p2c2r_protocol::{ProtocolIdentity, Role};

use crate::lab::{Folder, PROTOCOL, secret};

/// Longer than a client takes to try every address there is here.
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

fn unreachable(link: &JoinLink) -> String {
    match get(link) {
        Err(NoToken::Unreachable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn refused(link: &JoinLink) -> String {
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

#[test]
fn a_name_that_nobody_knows_is_named_and_so_is_a_port_where_nobody_listens() {
    let print = Some(Fingerprint([7; 32]));
    let reason = unreachable(&link(&["nobody.invalid:8765".to_owned()], print, None));
    assert!(reason.contains("nobody.invalid") && reason.contains("looked up"), "{reason}");
    let dead = dead_port().to_string();
    let reason = unreachable(&link(std::slice::from_ref(&dead), print, None));
    assert!(reason.contains("nobody answers") && reason.contains(&dead), "{reason}");
    assert!(reason.contains("firewall"), "it says what to look at: {reason}");
}

#[test]
fn whoever_answers_with_another_key_gets_nothing_and_is_told_of() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Gamer, 1);
    let place = [lab.address.to_string()];
    let reason = refused(&link(&place, Some(Fingerprint([7; 32])), Some(&invite)));
    assert!(reason.contains("another key"), "{reason}");
    // Its own certificate is no public authority's either.
    let reason = unreachable(&link(&place, None, Some(&invite)));
    assert!(reason.contains("certificate"), "{reason}");
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
    assert!(reason.contains(&place[0]), "{reason}");
    answers.join().unwrap();
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
    assert!(reason.contains("p2c2r/older") && reason.contains("p2c2r/lab"), "{reason}");
}
