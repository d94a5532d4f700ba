//! The checks, in an order in which each needs those before it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use p2c2r_join::api::{SPEED_BYTES, SPEED_PATH};
use p2c2r_join::probe::{self, QuestionError};
use p2c2r_join::{Host, JoinClient, JoinLink, RefusalCode};
use p2c2r_protocol::{ProtocolIdentity, Role};
use p2c2r_tasks::KindRegistry;

use crate::account::{self, NoWayIn};
use crate::report::{DoctorReport, Finding};
use crate::udp::{self, HeldPort};

/// The rate at which the coordinator sends to a program by default, in bits per second: enough for all kinds together.
const BANDWIDTH_ENOUGH: f64 = 1e6;
/// A quarter of that: enough for paths alone.
const BANDWIDTH_LEAST: f64 = 0.25e6;
/// The advice where there is less.
const TOO_NARROW: &str = "It is too little for play or help: try another network.";
/// Round trips up to this are what games are made for. Longer ones work, but games have to ask further ahead.
const ROUND_TRIP_GOOD: Duration = Duration::from_millis(200);
/// The longest round trip with which answers are of use: games ask at most two seconds ahead, and two links lie between a
/// game and a worker.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(800);
/// The share of lost packets up to which losses are repaired without being noticed.
const LOSS_GOOD: f32 = 0.02;
/// The share of lost packets from which most answers come late.
const LOSS_MAX: f32 = 0.2;
/// Clocks that differ more than this make invites and certificates look expired. Play and payment do not depend on them.
const CLOCK_MAX: Duration = Duration::from_mins(5);

/// What the examination is told.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The roles to join in, tried in this order.
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
    let speed = reached.as_ref().map(|reached| Speed::of(link, reached));
    let client = reached.as_ref().and_then(|_| join(link, examination, &identity, &mut doctor));
    let held = if let Some((role, client)) = client {
        over_udp(&client, role, &identity, examination.measure, &mut doctor)
    } else {
        for what in ["udp", "rebinding", "round trip", "loss"] {
            doctor.note(Finding::skipped(what));
        }
        HeldPort::default()
    };
    if let (Some(speed), Some(reached)) = (speed, reached) {
        bandwidth(speed.as_ref(), held.stats.rtt.unwrap_or(reached.round_trip), held.stats.loss, &mut doctor);
    }
    doctor.report
}

/// Where the coordinator was reached.
struct Reached {
    host: Host,
    address: SocketAddr,
    /// How long a TCP connection took.
    round_trip: Duration,
}

/// Name, TCP and TLS, at the first place of the link that answers as it should. As a game and a worker do, it tries the next
/// place where one does not answer, and none after one that shows another key.
fn reach(link: &JoinLink, doctor: &mut Doctor<impl FnMut(&Finding)>) -> Option<Reached> {
    let mut silent = Vec::new();
    let mut wrong = None;
    for (host, address) in places(link, doctor) {
        let round_trip = match probe::connect(address) {
            Ok(took) => took,
            Err(error) => {
                silent.push(format!("{address}: {error}"));
                continue;
            }
        };
        match probe::get(&host, address, link.fingerprint, "/healthz", &[]) {
            Ok(answer) => {
                doctor.note(answers(address, round_trip));
                let vouched = if link.fingerprint.is_some() {
                    "the key of the join link"
                } else {
                    "a public authority's"
                };
                doctor.note(Finding::good("tls", format!("encrypted, {vouched}")));
                clock(&answer, doctor);
                return Some(Reached { host, address, round_trip });
            }
            Err(QuestionError::OtherKey) => {
                wrong = Some((address, round_trip, QuestionError::OtherKey));
                break;
            }
            Err(error) => {
                wrong.get_or_insert((address, round_trip, error));
            }
        }
    }
    if let Some((address, round_trip, error)) = wrong {
        doctor.note(answers(address, round_trip));
        doctor.note(Finding::bad("tls", error.to_string(), advice_on_tls(&error)));
        return None;
    }
    doctor.note(if silent.is_empty() {
        Finding::skipped("tcp")
    } else {
        Finding::bad(
            "tcp",
            format!("nobody answers ({})", silent.join("; ")),
            "Does the coordinator run, is this its port, and do its firewall and router let TCP through to it? \
             On its machine: p2c2r-server ready",
        )
    });
    doctor.note(Finding::skipped("tls"));
    None
}

/// Every address of the link's places, in its order.
fn places(link: &JoinLink, doctor: &mut Doctor<impl FnMut(&Finding)>) -> Vec<(Host, SocketAddr)> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for host in &link.hosts {
        match probe::look_up(host) {
            Ok(addresses) => found.extend(addresses.into_iter().map(|address| (host.clone(), address))),
            Err(error) => unknown.push(format!("{} cannot be looked up ({error})", host.name)),
        }
    }
    let advice = "Is the name spelled as the operator gave it, and is this machine online?";
    let all: Vec<_> = found.iter().map(|(_, address)| address.to_string()).chain(unknown.clone()).collect();
    let all = all.join(", ");
    doctor.note(match (found.is_empty(), unknown.is_empty()) {
        (_, true) => Finding::good("name", all),
        (true, false) => Finding::bad("name", all, advice),
        (false, false) => Finding::fair("name", all, advice),
    });
    found
}

fn answers(address: SocketAddr, round_trip: Duration) -> Finding {
    Finding::good("tcp", format!("{address} answers in {}", millis(round_trip)))
}

fn advice_on_tls(error: &QuestionError) -> &'static str {
    match error {
        QuestionError::OtherKey => {
            "Somebody stands between, or the coordinator was set up anew: ask its operator for a new link, over another way."
        }
        QuestionError::Certificate(_) => {
            "The operator's certificate is not for this name, or has expired, or this machine's clock is wrong."
        }
        QuestionError::NotOurs(_) => "Another program has this port, or a proxy stands between.",
        QuestionError::Unreachable(_) => {
            "The connection broke off: a firewall may let TCP begin and not go on; try another network."
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

/// How long the coordinator's bytes took to come, and whether all of them did.
struct Speed {
    took: Duration,
    came: Result<usize, String>,
}

impl Speed {
    /// Asks for them; `None` if it does not give them, as to whoever asks too often.
    fn of(link: &JoinLink, reached: &Reached) -> Option<Self> {
        let began = Instant::now();
        match probe::get(&reached.host, reached.address, link.fingerprint, SPEED_PATH, &[]) {
            Ok(answer) if answer.status == 200 => {
                Some(Self { took: answer.took, came: Ok(answer.body.len()) })
            }
            Ok(_) => None,
            Err(error) => Some(Self { took: began.elapsed(), came: Err(error.to_string()) }),
        }
    }
}

/// How long TCP takes for those bytes over a line of unlimited bandwidth with such round trips and losses: three round trips
/// before the first byte, then a window that grows from ten segments to twice as many with each (RFC 6928) and is halved
/// by each loss (Mathis and others, "The macroscopic behavior of the TCP congestion avoidance algorithm", 1997).
fn taken_by_tcp(round_trip: Duration, loss: f32) -> Duration {
    const SEGMENT_BYTES: f64 = 1_448.0;
    let segments = SPEED_BYTES as f64 / SEGMENT_BYTES;
    let round_trips = 3.0 + (segments / 10.0 + 1.0).log2() + segments * (f64::from(loss) * 2.0 / 3.0).sqrt();
    round_trip.mul_f64(round_trips)
}

fn bandwidth(
    speed: Option<&Speed>,
    round_trip: Duration,
    loss: f32,
    doctor: &mut Doctor<impl FnMut(&Finding)>,
) {
    let Some(Speed { took, came }) = speed else { return doctor.note(Finding::skipped("bandwidth")) };
    // Play goes over UDP, which neither round trips nor losses slow down: if they explain the time that TCP took, it says
    // nothing about the line's bandwidth.
    let is_held_back = *took <= taken_by_tcp(round_trip, loss).mul_f64(1.5);
    let bits = came.as_ref().map(|bytes| *bytes as f64 * 8.0 / took.as_secs_f64().max(1e-6));
    let found = |bits: f64| format!("at least {:.1} Mbit/s from the coordinator", bits / 1e6);
    doctor.note(match bits {
        Ok(bits) if bits >= BANDWIDTH_ENOUGH => Finding::good("bandwidth", found(bits)),
        Ok(bits) if is_held_back => {
            let more = "TCP tells no more with such round trips and losses";
            Finding::good("bandwidth", format!("{}; {more}", found(bits)))
        }
        Ok(bits) if bits >= BANDWIDTH_LEAST => {
            Finding::fair("bandwidth", found(bits), "Play with the preset `saver`, or end other downloads.")
        }
        Ok(bits) => Finding::bad("bandwidth", found(bits), TOO_NARROW),
        Err(_) if is_held_back => Finding::skipped("bandwidth"),
        // The TLS handshake has just passed over the same line, so the line works and is only too slow.
        Err(error) => Finding::bad(
            "bandwidth",
            format!("{} KiB did not come in time ({error})", SPEED_BYTES / 1_024),
            TOO_NARROW,
        ),
    });
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
        Err(NoWayIn::Refused { code: Some(RefusalCode::Incompatible), reason }) => {
            doctor.note(Finding::bad(
                "versions",
                reason,
                "Install the coordinator's version of the programs.",
            ));
        }
        Err(NoWayIn::Refused { reason, .. }) => doctor.note(Finding::bad(
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
) -> HeldPort {
    let held = udp::hold(client, role, identity, measure);
    let Some(after) = held.connected_after else {
        let why = held.problem.as_ref().map_or_else(String::new, |problem| format!(" ({problem})"));
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
        return held;
    };
    stability(after, held.losses, measure, doctor);
    rebinding(&udp::hold(client, role, identity, Duration::ZERO), doctor);
    round_trip(&held, doctor);
    loss(&held, doctor);
    held
}

fn stability(after: Duration, losses: u32, measure: Duration, doctor: &mut Doctor<impl FnMut(&Finding)>) {
    doctor.note(if losses == 0 {
        Finding::good("udp", format!("both ways, connected in {}", millis(after)))
    } else {
        Finding::fair(
            "udp",
            format!("both ways, but lost {losses} time(s) in {} s", measure.as_secs()),
            "The line is unstable: a cable rather than radio, or nearer to the radio, helps.",
        )
    });
}

fn rebinding(moved: &HeldPort, doctor: &mut Doctor<impl FnMut(&Finding)>) {
    doctor.note(match moved.connected_after {
        Some(after) => Finding::good("rebinding", format!("taken back from another port in {}", millis(after))),
        None => Finding::fair(
            "rebinding",
            "not taken back from another port",
            "When the router gives this machine another port, as it may when idle, play goes on only after a pause: \
             switch the router's protection against UDP floods off, or try another network.",
        ),
    });
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
            "It works, but games have to ask further ahead; a coordinator nearer by answers sooner.",
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
    fn a_line_that_breaks_off_and_one_that_is_not_taken_back_from_another_port_are_named() {
        let second = Duration::from_secs(1);
        for (losses, grade, advice) in [(0, Grade::Good, ""), (2, Grade::Fair, "a cable rather than radio")] {
            let (found, said) = found(|doctor| stability(second, losses, second, doctor));
            assert!(found == grade && said.contains(advice), "{losses}: {found:?}, {said}");
        }
        let back = HeldPort { connected_after: Some(second), ..HeldPort::default() };
        assert_eq!(found(|doctor| rebinding(&back, doctor)).0, Grade::Good);
        let (grade, advice) = found(|doctor| rebinding(&HeldPort::default(), doctor));
        assert!(grade == Grade::Fair && advice.contains("another network"), "{grade:?}, {advice}");
    }

    #[test]
    fn a_narrow_line_is_named_and_a_long_or_lossy_one_is_not_taken_for_it() {
        let all = || Ok(SPEED_BYTES);
        let late = || Err("timed out".to_owned());
        for (came, seconds, millis, loss, grade) in [
            (all(), 0.1, 10, 0.0, Grade::Good),
            (all(), 4.0, 10, 0.0, Grade::Fair),
            (all(), 10.0, 10, 0.0, Grade::Bad),
            (late(), 12.0, 10, 0.0, Grade::Bad),
            (all(), 4.0, 400, 0.0, Grade::Good),
            (all(), 10.0, 400, 0.0, Grade::Bad),
            (all(), 10.0, 400, 0.03, Grade::Good),
            (late(), 12.0, 400, 0.03, Grade::Skipped),
        ] {
            let speed = Speed { took: Duration::from_secs_f64(seconds), came };
            let (found, advice) =
                found(|doctor| bandwidth(Some(&speed), Duration::from_millis(millis), loss, doctor));
            assert_eq!(found, grade, "{seconds} s at {millis} ms and {loss}");
            assert_eq!(advice.is_empty(), matches!(grade, Grade::Good | Grade::Skipped), "{advice}");
        }
        assert_eq!(found(|doctor| bandwidth(None, Duration::ZERO, 0.0, doctor)).0, Grade::Skipped);
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
