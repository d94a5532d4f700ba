//! The coordinator's certificate: made once, kept, never overwritten.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use p2c2r_server::join::certificate::make_data_folder;
use p2c2r_server::join::{Certificate, CertificateChoice, WallSeconds};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::client::Client;
use super::lab::{Folder, PATIENCE};

fn load(folder: &Path) -> Result<Certificate, String> {
    make_data_folder(folder).unwrap();
    Certificate::load(&CertificateChoice::Own, folder).map_err(|error| error.to_string())
}

#[test]
fn it_is_made_once_and_clients_go_on_knowing_it() {
    let folder = Folder::new();
    let first = load(&folder.path()).unwrap().fingerprint.unwrap();
    assert_eq!(load(&folder.path()).unwrap().fingerprint, Some(first));
    fs::remove_file(folder.path().join("certificate.pem")).unwrap();
    assert_eq!(load(&folder.path()).unwrap().fingerprint, Some(first), "the key is what is pinned");
    let other = Folder::new();
    assert_ne!(load(&other.path()).unwrap().fingerprint, Some(first));
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_in_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let lab = folder.start();
    folder.invite(p2c2r_protocol::Role::Gamer, 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path()), 0o700);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(lab);
}

#[test]
fn damaged_files_are_named_and_left_alone() {
    for (file, damage) in [
        ("key.pem", "not a key"),
        ("certificate.pem", "not a certificate"),
        ("certificate.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let folder = Folder::new();
        load(&folder.path()).unwrap();
        let path = folder.path().join(file);
        fs::write(&path, damage).unwrap();
        let said = load(&folder.path()).err().unwrap();
        assert!(said.contains(file) && said.contains("untouched"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damage);
    }
}

#[test]
fn a_key_that_is_gone_or_anothers_is_not_replaced() {
    let (folder, other) = (Folder::new(), Folder::new());
    load(&folder.path()).unwrap();
    load(&other.path()).unwrap();
    let key = folder.path().join("key.pem");
    fs::copy(other.path().join("key.pem"), &key).unwrap();
    assert!(load(&folder.path()).err().unwrap().contains("untouched"));
    fs::remove_file(&key).unwrap();
    assert!(load(&folder.path()).err().unwrap().contains("missing"));
    assert!(!key.exists());
}

#[test]
fn links_of_the_operators_own_certificate_carry_no_fingerprint() {
    let (folder, other) = (Folder::new(), Folder::new());
    load(&other.path()).unwrap();
    let (chain, key) = (other.path().join("certificate.pem"), other.path().join("key.pem"));
    let lab = folder.start_with(|options| options.certificate = CertificateChoice::Files { chain, key });
    assert_eq!(lab.service.fingerprint(), None);
    assert!(!folder.path().join("key.pem").exists());
    let client = Client::connect(lab.address, &other.path().join("certificate.pem"));
    assert_eq!(client.unwrap().get("/healthz").0, 200);
    let missing = CertificateChoice::Files { chain: "no.pem".into(), key: "no.pem".into() };
    assert!(Certificate::load(&missing, &folder.path()).err().unwrap().to_string().contains("no.pem"));
}

#[test]
fn of_a_half_renewed_certificate_nothing_is_used_until_the_rest_is_there() {
    let (used, new) = (Folder::new(), Folder::new());
    for folder in [&used, &new] {
        load(&folder.path()).unwrap();
    }
    let [chain, key] = ["certificate.pem", "key.pem"].map(|name| used.path().join(name));
    let choice = CertificateChoice::Files { chain: chain.clone(), key: key.clone() };
    let certificate = Certificate::load(&choice, &used.path()).unwrap().renewed.unwrap();
    assert!(!certificate.look().unwrap());
    fs::copy(new.path().join("certificate.pem"), &chain).unwrap();
    for _ in 0..2 {
        assert!(certificate.look().unwrap_err().to_string().contains("certificate.pem"));
    }
    fs::copy(new.path().join("key.pem"), &key).unwrap();
    assert!(certificate.look().unwrap(), "it is read as soon as it is whole");
    assert!(!certificate.look().unwrap(), "and once");
}

#[test]
fn when_the_operators_certificate_ends_is_known_and_follows_its_renewal() {
    let folder = Folder::new();
    make_data_folder(&folder.path()).unwrap();
    let [chain, key] = ["chain.pem", "chain.key"].map(|name| folder.path().join(name));
    let ends_in = |year| {
        let made = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["play.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 3, 1);
        fs::write(&chain, params.self_signed(&made).unwrap().pem()).unwrap();
        fs::write(&key, made.serialize_pem()).unwrap();
        // Two writes in quick succession may have the same time.
        let written = UNIX_EPOCH + Duration::from_secs(u64::from(year.unsigned_abs()));
        fs::File::options().write(true).open(&chain).unwrap().set_modified(written).unwrap();
    };
    ends_in(2031_i32);
    let choice = CertificateChoice::Files { chain: chain.clone(), key: key.clone() };
    let certificate = Certificate::load(&choice, &folder.path()).unwrap().renewed.unwrap();
    assert_eq!(certificate.ends(), Some(WallSeconds(1_930_089_600)), "2031-03-01");
    ends_in(2032);
    certificate.look().unwrap();
    assert_eq!(certificate.ends(), Some(WallSeconds(1_961_712_000)), "2032-03-01");
}

#[test]
fn the_operators_renewed_certificate_is_used_without_a_restart() {
    let (folder, first, second) = (Folder::new(), Folder::new(), Folder::new());
    for made in [&first, &second] {
        load(&made.path()).unwrap();
    }
    let file = |of: &Folder, name: &str| of.path().join(name);
    let (chain, key) = (folder.root.path().join("chain.pem"), folder.root.path().join("chain.key"));
    fs::copy(file(&first, "certificate.pem"), &chain).unwrap();
    fs::copy(file(&first, "key.pem"), &key).unwrap();
    let choice = CertificateChoice::Files { chain: chain.clone(), key: key.clone() };
    let lab = folder.start_with(|options| {
        options.certificate = choice;
        options.limits.connects_per_minute = 1_000_000;
    });
    let is_of = |of: &Folder| Client::connect(lab.address, &file(of, "certificate.pem")).is_ok();
    assert!(is_of(&first) && !is_of(&second));
    fs::copy(file(&second, "certificate.pem"), &chain).unwrap();
    fs::copy(file(&second, "key.pem"), &key).unwrap();
    let give_up = Instant::now() + PATIENCE;
    while !is_of(&second) {
        assert!(Instant::now() < give_up, "the renewed certificate is used");
        std::thread::yield_now();
    }
    assert!(!is_of(&first));
}

#[test]
fn both_ports_are_bound_or_the_reason_is_said() {
    use p2c2r_server::join::bind_both;
    let (udp, tcp) = bind_both("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = tcp.local_addr().unwrap();
    drop(udp);
    let said = bind_both(address).unwrap_err().to_string();
    assert!(said.contains("TCP") && said.contains(&address.to_string()), "{said}");
    drop(tcp);
    let _udp = std::net::UdpSocket::bind(address).unwrap();
    let said = bind_both(address).unwrap_err().to_string();
    assert!(said.contains("UDP"), "{said}");
}
