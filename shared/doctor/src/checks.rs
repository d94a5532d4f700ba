//! What is looked at, in the order in which one thing needs the one before it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use p2c2r_join::api::{SPEED_BYTES, SPEED_PATH};
use p2c2r_join::probe::{self, QuestionError};
use p2c2r_join::{Host, JoinClient, JoinLink};
use p2c2r_protocol::{ProtocolIdentity, Role};
use p2c2r_tasks::KindRegistry;

use crate::account::{self, NoWayIn};
use crate::report::{DoctorReport, Finding};
use crate::udp::{self, HeldPort};

/// What the coordinator sends a program at the most by default, in bits a second; all kinds together fit.
const BANDWIDTH_ENOUGH: f64 = 1e6;
/// A quarter of that: paths alone.
const BANDWIDTH_LEAST: f64 = 0.25e6;
/// What to do where there is less.
const TOO_NARROW: &str = "It is too little for play or help: try another network.";
/// Round trips up to this are what games are made for; longer ones work, with more asked ahead.
const ROUND_TRIP_GOOD: Duration = Duration::from_millis(200);
/// Games ask at most two seconds ahead, and two links lie between a game and a worker.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(800);
/// Losses that are repaired without being noticed.
const LOSS_GOOD: f32 = 0.02;
/// Losses with which most answers come late.
const LOSS_MAX: f32 = 0.2;
/// Clocks that differ more than this make invites and certificates look expired. Play and payment do not depend on them.
const CLOCK_MAX: Duration = Duration::from_mins(5);

/// What the examination is told.
#[derive(Clone, Debug)]
pub struct Examination {
    /// As what to join, in this order.
    pub roles: Vec<Role>,
    /// The account's name.
    pub name: Option<String>,
    /// Folder of the account keys; the user's own if there is none.
    pub keys: Option<PathBuf>,
    /// How long the connection is measured.
    pub measure: Duration,
}

struct Doctor<F: FnMut(&Finding)> {
    report: DoctorReport,
    tell: F,
}

impl<F: FnMut(&Finding)> Doctor<F> {
    fn note(&mut self, finding: Finding) {
        (self.tell)(&finding);
        self.report.findings.push(finding);
    }
}

/// Examines the way to the coordinator of `link`. Every finding is told at once, and all come back together.
pub fn examine(link: &JoinLink, examination: &Examination, tell: impl FnMut(&Finding)) -> DoctorReport {
    let mut doctor = Doctor { report: DoctorReport::default(), tell };
    let identity = KindRegistry::builtin().identity();
    let reached = reach(link, &mut doctor);
    let client = reached.as_ref().and_then(|(host, address)| {
        over_https(link, (host, *address), &mut doctor);
        join(link, examination, &identity, &mut doctor)
    });
    match client {
        Some((role, client)) => over_udp(&client, role, &identity, examination.measure, &mut doctor),
        None => {
            for what in ["udp", "rebinding", "round trip", "loss"] {
                doctor.note(Finding::skipped(what));
            }
        }
    }
    doctor.report
}

/// Name, TCP and TLS, at the first place of the link that answers as it should.
fn reach(link: &JoinLink, doctor: &mut Doctor<impl FnMut(&Finding)>) -> Option<(Host, SocketAddr)> {
    let mut found = Vec::new();
    for host in &link.hosts {
        match probe::look_up(host) {
            Ok(addresses) => found.extend(addresses.into_iter().map(|address| (host.clone(), address))),
            Err(error) if host.name.parse::<IpAddr>().is_err() => doctor.note(Finding::bad(
                "name",
                format!("{} cannot be looked up ({error})", host.name),
                "Is the name spelled as the operator gave it, and is this machine online?",
            )),
            Err(_) => {}
        }
    }
    if found.is_empty() {
        for what in ["tcp", "tls"] {
            doctor.note(Finding::skipped(what));
        }
        return None;
    }
    let shown: Vec<_> = found.iter().map(|(_, address)| address.to_string()).collect();
    doctor.note(Finding::good("name", shown.join(", ")));
    let mut failures = Vec::new();
    let mut open = None;
    for (host, address) in found {
        match probe::connect(address) {
            Ok(took) => {
                open = Some((host, address, took));
                break;
            }
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    let Some((host, address, took)) = open else {
        doctor.note(Finding::bad(
            "tcp",
            format!("nobody answers ({})", failures.join("; ")),
            "Does the coordinator run, is this its port, and do its firewall and router let TCP through to it? \
             On its machine: p2c2r-server ready",
        ));
        doctor.note(Finding::skipped("tls"));
        return None;
    };
    doctor.note(Finding::good("tcp", format!("{address} answers in {}", millis(took))));
    match probe::get(&host, address, link.fingerprint, "/healthz", &[]) {
        Ok(answer) => {
            let vouched =
                if link.fingerprint.is_some() { "the key of the join link" } else { "a public authority's" };
            doctor.note(Finding::good("tls", format!("encrypted, {vouched}")));
            clock(&answer, doctor);
            Some((host, address))
        }
        Err(error) => {
            let advice = match &error {
                QuestionError::OtherKey => {
                    "Somebody stands between, or the coordinator was set up anew: ask its operator for a new link, over \
                     another way."
                }
                QuestionError::Certificate(_) => {
                    "The operator's certificate is not for this name, or has expired, or this machine's clock is wrong."
                }
                QuestionError::NotOurs(_) => "Another program has this port, or a proxy stands between.",
                QuestionError::Unreachable(_) => {
                    "The connection broke off: a firewall may let TCP begin and not go on; try another network."
                }
            };
            doctor.note(Finding::bad("tls", error.to_string(), advice));
            None
        }
    }
}

fn clock(answer: &probe::HttpsReply, doctor: &mut Doctor<impl FnMut(&Finding)>) {
    let theirs = answer.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    let Some(theirs) = theirs else { return doctor.note(Finding::skipped("clock")) };
    let apart = match SystemTime::now().duration_since(theirs) {
        Ok(apart) => apart,
        Err(error) => error.duration(),
    };
    doctor.note(if apart <= CLOCK_MAX {
        Finding::good("clock", format!("within {} s of the coordinator's", apart.as_secs() + 1))
    } else {
        Finding::fair(
            "clock",
            format!("{} s apart from the coordinator's", apart.as_secs()),
            "Set this machine's clock, or ask the operator about theirs: links and certificates seem too old or too new.",
        )
    });
}

fn over_https(
    link: &JoinLink,
    (host, address): (&Host, SocketAddr),
    doctor: &mut Doctor<impl FnMut(&Finding)>,
) {
    match probe::get(host, address, link.fingerprint, SPEED_PATH, &[]) {
        Ok(answer) if answer.status == 200 => {
            let bits = answer.body.len() as f64 * 8.0 / answer.took.as_secs_f64().max(1e-6);
            let found = format!("at least {:.1} Mbit/s from the coordinator", bits / 1e6);
            doctor.note(if bits >= BANDWIDTH_ENOUGH {
                Finding::good("bandwidth", found)
            } else if bits >= BANDWIDTH_LEAST {
                Finding::fair("bandwidth", found, "Play with the preset `saver`, or end other downloads.")
            } else {
                Finding::bad("bandwidth", found, TOO_NARROW)
            });
        }
        Ok(_) => doctor.note(Finding::skipped("bandwidth")),
        // The encryption has just passed the same way: a line this slow does not bring the bytes in time.
        Err(error) => doctor.note(Finding::bad(
            "bandwidth",
            format!("{} KiB did not come in time ({error})", SPEED_BYTES / 1_024),
            TOO_NARROW,
        )),
    }
}

fn join(
    link: &JoinLink,
    examination: &Examination,
    identity: &ProtocolIdentity,
    doctor: &mut Doctor<impl FnMut(&Finding)>,
) -> Option<(Role, JoinClient)> {
    let (roles, name) = (&examination.roles, examination.name.as_deref());
    match account::join(link, roles, name, examination.keys.clone(), identity) {
        Ok((role, client)) => {
            doctor.note(Finding::good("versions", format!("both speak {}", identity.text)));
            doctor.note(Finding::good("account", format!("let in as a {role}")));
            return Some((role, client));
        }
        Err(NoWayIn::Refused(reason)) if reason.contains("speaks") => {
            doctor.note(Finding::bad(
                "versions",
                reason,
                "Install the coordinator's version of the programs.",
            ));
        }
        Err(NoWayIn::Refused(reason)) => doctor.note(Finding::bad(
            "account",
            reason,
            "Ask the operator for a new join link (p2c2r-server invite), or say --as gamer or --as worker.",
        )),
        Err(NoWayIn::Unreachable(reason)) => doctor.note(Finding::bad(
            "account",
            reason,
            "It answered a moment ago: run this again; if it stays so, the line is unstable.",
        )),
        Err(NoWayIn::Keys(error)) => {
            doctor.note(Finding::bad(
                "account",
                error.to_string(),
                "Name a folder that you may write to: --keys DIR",
            ));
        }
    }
    None
}

fn over_udp(
    client: &JoinClient,
    role: Role,
    identity: &ProtocolIdentity,
    measure: Duration,
    doctor: &mut Doctor<impl FnMut(&Finding)>,
) {
    let held = udp::hold(client, role, identity, measure);
    let Some(after) = held.connected_after else {
        let why = held.problem.map_or_else(String::new, |problem| format!(" ({problem})"));
        doctor.note(Finding::bad(
            "udp",
            format!("no answer over UDP on the same port{why}"),
            "TCP comes through and UDP does not. The operator: open the port for UDP too, in the cloud's firewall, the \
             machine's own and the router. You: a company's, school's or hotel's network may block UDP; try another, or a \
             telephone's.",
        ));
        for what in ["rebinding", "round trip", "loss"] {
            doctor.note(Finding::skipped(what));
        }
        return;
    };
    doctor.note(if held.losses == 0 {
        Finding::good("udp", format!("both ways, connected in {}", millis(after)))
    } else {
        Finding::fair(
            "udp",
            format!("both ways, but lost {} time(s) in {} s", held.losses, measure.as_secs()),
            "The line is unstable: a cable rather than radio, or nearer to the radio, helps.",
        )
    });
    let moved = udp::hold(client, role, identity, Duration::ZERO);
    doctor.note(match moved.connected_after {
        Some(after) => Finding::good("rebinding", format!("taken back from another port in {}", millis(after))),
        None => Finding::fair(
            "rebinding",
            "not taken back from another port",
            "When the router gives this machine another port, as it may when idle, play goes on only after a pause.",
        ),
    });
    round_trip(&held, doctor);
    loss(&held, doctor);
}

fn round_trip(held: &HeldPort, doctor: &mut Doctor<impl FnMut(&Finding)>) {
    let Some(trip) = held.stats.rtt else { return doctor.note(Finding::skipped("round trip")) };
    let found = format!("{}, varying by {}", millis(trip), millis(held.stats.jitter));
    doctor.note(if trip <= ROUND_TRIP_GOOD {
        Finding::good("round trip", found)
    } else if trip <= ROUND_TRIP_MAX {
        Finding::fair(
            "round trip",
            found,
            "It works, with more asked ahead: a coordinator nearer by answers sooner.",
        )
    } else {
        Finding::bad(
            "round trip",
            found,
            "Answers come too late to be of use: look for a coordinator nearer by.",
        )
    });
}

fn loss(held: &HeldPort, doctor: &mut Doctor<impl FnMut(&Finding)>) {
    let found = format!("{:.1} % of the packets on the way here", held.stats.loss * 100.0);
    doctor.note(if held.stats.loss <= LOSS_GOOD {
        Finding::good("loss", found)
    } else if held.stats.loss <= LOSS_MAX {
        Finding::fair("loss", found, "A cable rather than radio, or fewer uploads at the same time, helps.")
    } else {
        Finding::bad("loss", found, "Most answers come too late: try another network.")
    });
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use p2c2r_link::PeerStats;

    use super::*;
    use crate::report::Grade;

    /// What one look comes to, and its advice.
    fn found(look: impl FnOnce(&mut Doctor<fn(&Finding)>)) -> (Grade, String) {
        let mut doctor: Doctor<fn(&Finding)> = Doctor { report: DoctorReport::default(), tell: |_| () };
        look(&mut doctor);
        let finding = doctor.report.findings.pop().unwrap();
        (finding.grade, finding.advice.unwrap_or_default())
    }

    fn dated(seconds_ahead: i64) -> probe::HttpsReply {
        let apart = Duration::from_secs(seconds_ahead.unsigned_abs());
        let now = SystemTime::now();
        let date = if seconds_ahead < 0 { now - apart } else { now + apart };
        probe::HttpsReply {
            status: 200,
            headers: vec![("date".to_owned(), httpdate::fmt_http_date(date))],
            body: String::new(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn clocks_that_are_apart_either_way_are_named() {
        for (seconds, grade) in
            [(0, Grade::Good), (-200, Grade::Good), (900, Grade::Fair), (-900, Grade::Fair)]
        {
            let (found, advice) = found(|doctor| clock(&dated(seconds), doctor));
            assert_eq!(found, grade, "{seconds}");
            assert_eq!(advice.contains("Set this machine's clock"), grade != Grade::Good);
        }
        let silent = probe::HttpsReply { headers: Vec::new(), ..dated(0) };
        assert_eq!(found(|doctor| clock(&silent, doctor)).0, Grade::Skipped);
    }

    #[test]
    fn long_round_trips_and_losses_are_named() {
        let held = |millis, loss| HeldPort {
            stats: PeerStats { rtt: Some(Duration::from_millis(millis)), loss, ..PeerStats::default() },
            ..HeldPort::default()
        };
        for (millis, grade, advice) in [
            (20, Grade::Good, ""),
            (400, Grade::Fair, "a coordinator nearer by answers sooner"),
            (900, Grade::Bad, "look for a coordinator nearer by"),
        ] {
            let (found, said) = found(|doctor| round_trip(&held(millis, 0.0), doctor));
            assert!(found == grade && said.contains(advice), "{millis} ms: {found:?}, {said}");
        }
        for (share, grade, advice) in [
            (0.01, Grade::Good, ""),
            (0.1, Grade::Fair, "A cable rather than radio"),
            (0.3, Grade::Bad, "try another network"),
        ] {
            let (found, said) = found(|doctor| loss(&held(20, share), doctor));
            assert!(found == grade && said.contains(advice), "{share}: {found:?}, {said}");
        }
        assert_eq!(found(|doctor| round_trip(&HeldPort::default(), doctor)).0, Grade::Skipped);
    }
}
