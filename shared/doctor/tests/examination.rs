//! Examinations of real coordinators on this machine: one that works, and ones with something in the way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use p2c2r_doctor::checks::Examination;
use p2c2r_doctor::{DoctorReport, Grade, examine};
use p2c2r_join::{Fingerprint, JoinLink, Memberships, machine_name};
use p2c2r_link::{EventDrivenPlugin, ServerTransport};
use p2c2r_protocol::Role;
use p2c2r_server::config::{LEDGER_FILE, default_prices};
use p2c2r_server::join::{AccountStore, NewInvite, WallSeconds, bind_both, let_people_in, make_data_folder};
use p2c2r_server::{ServerConfig, Shutdown, build_app};
use p2c2r_tasks::KindRegistry;
use p2c2r_tasks::physics::Physics;
use tempfile::TempDir;

/// A coordinator that runs on a thread of its own until it is dropped.
struct Coordinator {
    folder: TempDir,
    link: JoinLink,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Coordinator {
    fn start() -> Self {
        Self::start_with(KindRegistry::builtin())
    }

    fn start_with(kinds: KindRegistry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let (prices, db) = (default_prices(&kinds), data_dir.join(LEDGER_FILE));
        let config = ServerConfig { db, data_dir, prices, kinds, ..ServerConfig::default() };
        make_data_folder(&config.data_dir).unwrap();
        let (udp, tcp) = bind_both("127.0.0.1:0".parse().unwrap()).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut app = build_app(config.clone(), ServerTransport::Udp(udp)).unwrap();
            app.add_plugins(EventDrivenPlugin::default());
            let way_in = let_people_in(&mut app, &config, tcp).unwrap();
            tell.send((way_in.link().clone(), app.world().resource::<Shutdown>().clone())).unwrap();
            app.run();
            drop(way_in);
        });
        let (link, shutdown) = told.recv().unwrap();
        Self { folder, link, shutdown, thread: Some(thread) }
    }

    /// A join link for one account.
    fn invite(&self, role: Role) -> JoinLink {
        let mut store = AccountStore::open(&self.folder.path().join("data")).unwrap();
        let expires_in = Duration::from_hours(1);
        let invite =
            NewInvite { role, label: None, uses: 1, expires_in, credit: p2c2r_protocol::Nanos::ZERO };
        JoinLink { invite: Some(store.invite(&invite, WallSeconds::now()).unwrap()), ..self.link.clone() }
    }

    fn keys(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.shutdown.request();
        self.shutdown.request();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

fn examination(keys: &Path) -> Examination {
    Examination {
        roles: vec![Role::Gamer, Role::Worker],
        name: Some("ada".to_owned()),
        keys: Some(keys.to_owned()),
        measure: Duration::from_secs(1),
    }
}

#[track_caller]
fn grade(report: &DoctorReport, what: &str) -> Grade {
    report.about(what).unwrap_or_else(|| panic!("{what} in {report:#?}")).grade
}

#[track_caller]
fn is_bad(report: &DoctorReport, what: &str, advice: &str) {
    let finding = report.about(what).unwrap_or_else(|| panic!("{what} in {report:#?}"));
    assert_eq!(finding.grade, Grade::Bad, "{finding}");
    assert!(finding.to_string().contains(advice), "{advice} in {finding}");
    assert!(!report.is_good() && report.verdict().contains("does not work"), "{}", report.verdict());
}

#[test]
fn a_coordinator_that_can_be_reached_is_found_good_in_every_respect_and_the_account_is_kept() {
    let coordinator = Coordinator::start();
    let link = coordinator.invite(Role::Worker);
    let mut told = 0;
    let report = examine(&link, &examination(&coordinator.keys()), |_| told += 1);
    for what in [
        "name",
        "tcp",
        "tls",
        "clock",
        "bandwidth",
        "versions",
        "account",
        "udp",
        "rebinding",
        "round trip",
        "loss",
    ] {
        assert_eq!(grade(&report, what), Grade::Good, "{report:#?}");
    }
    assert!(report.is_good() && told == report.findings.len());
    let kept = Memberships::in_folder(coordinator.keys());
    assert!(kept.latest(Role::Gamer, None).unwrap().is_none(), "the other role leaves nothing behind");
    assert_eq!(kept.latest(Role::Worker, None).unwrap().map(|kept| kept.name), Some("ada".to_owned()));
    // The invite is used up, and the account it made is still good.
    let again = examine(&link, &examination(&coordinator.keys()), |_| ());
    assert!(again.is_good(), "{again:#?}");
}

#[test]
fn without_a_name_the_account_is_the_one_that_game_or_worker_have_or_will_have() {
    let coordinator = Coordinator::start();
    let keys = Memberships::in_folder(coordinator.keys());
    let unnamed = Examination { name: None, ..examination(&coordinator.keys()) };
    // The doctor comes before the worker, which then starts with the same link, whose invite is used up.
    let link = coordinator.invite(Role::Worker);
    assert!(examine(&link, &unnamed, |_| ()).is_good());
    let of_doctor = keys.latest(Role::Worker, None).unwrap().unwrap();
    let of_worker = keys.join(link.clone(), Role::Worker, &machine_name()).unwrap();
    assert_eq!(of_worker.secret.public(), of_doctor.secret.public());
    // The doctor comes after the worker, which was given a name.
    let coordinator = Coordinator::start();
    let link = coordinator.invite(Role::Worker);
    let keys = Memberships::in_folder(coordinator.keys());
    let named = Examination { name: Some("ada".to_owned()), ..unnamed.clone() };
    let [unnamed, named] = [unnamed, named].map(|it| Examination { keys: Some(coordinator.keys()), ..it });
    assert!(examine(&link, &named, |_| ()).is_good());
    let report = examine(&link, &unnamed, |_| ());
    assert!(report.is_good(), "{report:#?}");
    assert_eq!(keys.latest(Role::Worker, None).unwrap().unwrap().name, "ada");
    assert!(
        keys.latest(Role::Worker, Some(&machine_name())).unwrap().is_none(),
        "no second account was made"
    );
}

#[test]
fn a_link_without_an_invite_is_named() {
    let coordinator = Coordinator::start();
    let report = examine(&coordinator.link, &examination(&coordinator.keys()), |_| ());
    is_bad(&report, "account", "ask its operator for a join link");
    assert_eq!(grade(&report, "udp"), Grade::Skipped);
}

/// For either role, although the coordinator refuses the link in the other role too, and for another reason.
#[test]
fn an_invite_that_was_used_up_is_named() {
    let coordinator = Coordinator::start();
    for role in [Role::Gamer, Role::Worker] {
        let link = coordinator.invite(role);
        let keys = |whose: &str| coordinator.keys().join(format!("{role} {whose}"));
        assert!(examine(&link, &examination(&keys("first")), |_| ()).is_good());
        let report = examine(&link, &examination(&keys("second")), |_| ());
        is_bad(&report, "account", "used as often as it may be");
    }
}

#[test]
fn one_place_of_a_link_where_the_coordinator_answers_is_enough() {
    let coordinator = Coordinator::start();
    let link = coordinator.invite(Role::Worker);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_host = other.local_addr().unwrap().to_string().parse().unwrap();
    // The program that listens there closes every connection.
    std::thread::spawn(move || other.incoming().for_each(drop));
    let unknown = "no-such-name.invalid:9".parse().unwrap();
    let link = JoinLink { hosts: vec![unknown, other_host, link.hosts[0].clone()], ..link };
    let report = examine(&link, &examination(&coordinator.keys()), |_| ());
    assert_eq!(grade(&report, "name"), Grade::Fair);
    for what in ["tcp", "tls", "account", "udp"] {
        assert_eq!(grade(&report, what), Grade::Good, "{report:#?}");
    }
    assert!(report.is_good());
}

#[test]
fn another_key_than_the_links_is_named() {
    let coordinator = Coordinator::start();
    let link = JoinLink { fingerprint: Some(Fingerprint([7; 32])), ..coordinator.link.clone() };
    let report = examine(&link, &examination(&coordinator.keys()), |_| ());
    is_bad(&report, "tls", "Somebody stands between");
}

#[test]
fn another_version_than_this_one_is_named_with_both() {
    let coordinator = Coordinator::start_with(KindRegistry::empty().with::<Physics>());
    let link = coordinator.invite(Role::Worker);
    let report = examine(&link, &examination(&coordinator.keys()), |_| ());
    is_bad(&report, "versions", "Install the coordinator's version");
    let found = &report.about("versions").unwrap().found;
    for identity in [KindRegistry::builtin().identity(), KindRegistry::empty().with::<Physics>().identity()] {
        assert!(found.contains(&identity.text), "{} in {found}", identity.text);
    }
    assert_eq!(grade(&report, "udp"), Grade::Skipped);
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let link = format!("p2c2r://{free}/x#{}", Fingerprint([7; 32])).parse().unwrap();
    let report = examine(&link, &examination(folder.path()), |_| ());
    is_bad(&report, "tcp", "let TCP through");
    assert_eq!(grade(&report, "tls"), Grade::Skipped);
}

#[test]
fn a_name_that_nobody_knows_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let link = format!("p2c2r://no-such-name.invalid:9/x#{}", Fingerprint([7; 32])).parse().unwrap();
    let report = examine(&link, &examination(folder.path()), |_| ());
    is_bad(&report, "name", "spelled");
}

/// Passes bytes on until the connection ends, at `bytes_per_second` on average if the line has such a limit.
fn carry(from: &mut TcpStream, to: &mut TcpStream, bytes_per_second: Option<u32>) {
    let (began, mut carried, mut chunk) = (Instant::now(), 0_u32, [0; 2_048]);
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..count]).is_err() {
            return;
        }
        carried += count as u32;
        if let Some(rate) = bytes_per_second {
            let due = Duration::from_secs_f64(f64::from(carried) / f64::from(rate));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
}

/// A relay for TCP alone, like a firewall that blocks UDP.
struct TcpOnly {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Holds the UDP port, so that packets arrive and nobody answers.
    _silent: UdpSocket,
}

impl TcpOnly {
    fn before(to: SocketAddr) -> Self {
        Self::narrow(to, None)
    }

    /// The same over a line that carries at most this much in each direction.
    fn narrow(to: SocketAddr, bytes_per_second: Option<u32>) -> Self {
        let (silent, listener) = bind_both("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            listener.set_nonblocking(false).unwrap();
            while let Ok((from, _)) = listener.accept() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(there) = TcpStream::connect(to) else { return };
                for (mut one, mut other) in [
                    (from.try_clone().unwrap(), there.try_clone().unwrap()),
                    (there.try_clone().unwrap(), from.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        carry(&mut one, &mut other, bytes_per_second);
                        let _ = other.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self { address, stop, _silent: silent }
    }
}

impl Drop for TcpOnly {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

#[test]
fn a_firewall_that_lets_tcp_through_and_not_udp_is_named() {
    let coordinator = Coordinator::start();
    let link = coordinator.invite(Role::Gamer);
    let there = link.hosts[0].to_string().parse().unwrap();
    let firewall = TcpOnly::before(there);
    let hosts = vec![p2c2r_join::Host { port: firewall.address.port(), ..link.hosts[0].clone() }];
    let report = examine(&JoinLink { hosts, ..link }, &examination(&coordinator.keys()), |_| ());
    assert_eq!(grade(&report, "account"), Grade::Good, "{report:#?}");
    is_bad(&report, "udp", "open the port for UDP too");
}

/// The doctor's report on a line that carries at most this much.
fn on_a_line_of(bytes_per_second: u32) -> DoctorReport {
    let coordinator = Coordinator::start();
    let link = coordinator.invite(Role::Gamer);
    let there = link.hosts[0].to_string().parse().unwrap();
    let line = TcpOnly::narrow(there, Some(bytes_per_second));
    let hosts = vec![p2c2r_join::Host { port: line.address.port(), ..link.hosts[0].clone() }];
    examine(&JoinLink { hosts, ..link }, &examination(&coordinator.keys()), |_| ())
}

#[test]
fn a_line_too_narrow_for_play_is_named_and_one_for_little_play_as_well() {
    let [narrow, report] = std::thread::scope(|scope| {
        [12_000, 80_000].map(|rate| scope.spawn(move || on_a_line_of(rate))).map(|line| line.join().unwrap())
    });
    is_bad(&narrow, "bandwidth", "try another network");
    let finding = report.about("bandwidth").unwrap();
    assert_eq!(finding.grade, Grade::Fair, "{finding}");
    assert!(finding.to_string().contains("preset `saver`"), "{finding}");
}
