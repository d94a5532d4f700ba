//! The snapshot of the coordinator's state that the app makes for HTTPS requests.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{LinkClock, LinkTotals, PeerStats, Peers};
use p2c2r_protocol::{Micros, Nanos, PeerId, Region};

use super::Board;
use super::figures::{Gauges, set};
use super::history::History;
use crate::config::ServerSettings;
use crate::core::Core;
use crate::core::state::tally::Tally;
use crate::drain::DrainPhase;
use crate::join::{AccountNews, WallSeconds};
use crate::ledger::{AccountId, Progress};
use crate::peers::{RecallCounts, Recalls, Scheduler};

/// The coordinator's state at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: Instant,
    /// Time since the start.
    pub up_for: Duration,
    /// Whether the coordinator is about to end.
    pub closing: bool,
    /// Why the ledger records nothing, if it does not.
    pub ledger_trouble: Option<String>,
    /// The ledger's progress.
    pub ledger: Progress,
    /// Held for tasks in flight.
    pub held: Nanos,
    /// Counts since the start.
    pub tally: Tally,
    /// Reads of kept outcomes from the ledger, counted by result.
    pub recalls: RecallCounts,
    /// Kinds, in the order of the registry and of the history.
    pub kinds: Vec<KindNow>,
    /// Connected workers, by name.
    pub workers: Vec<WorkerNow>,
    /// The accounts of connected workers, by name.
    pub pay: Vec<PayNow>,
    /// Connected gamers, by name.
    pub gamers: Vec<GamerNow>,
    /// What the link has refused.
    pub link: LinkTotals,
    /// The port, if HTTPS arrives there and UDP does not.
    pub udp_blocked: Option<u16>,
    /// When the operator's certificate ends, seconds since 1970; `None` where the coordinator uses its own.
    pub certificate_ends: Option<WallSeconds>,
    /// The last hour.
    pub history: History,
}

#[cfg(test)]
impl Snapshot {
    /// Of a coordinator that has just started and to which nobody has come.
    pub fn of_nothing() -> Self {
        Self {
            taken: Instant::now(),
            up_for: Duration::ZERO,
            closing: false,
            ledger_trouble: None,
            ledger: Progress::default(),
            held: Nanos::ZERO,
            tally: Tally::default(),
            recalls: RecallCounts::default(),
            kinds: Vec::new(),
            workers: Vec::new(),
            pay: Vec::new(),
            gamers: Vec::new(),
            link: LinkTotals::default(),
            udp_blocked: None,
            certificate_ends: None,
            history: History::new(1),
        }
    }
}

/// One kind at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindNow {
    /// Its name.
    pub name: &'static str,
    /// Tasks nobody works on.
    pub waiting: u64,
    /// Tasks a worker has.
    pub leased: u64,
    /// Tasks whose answer is checked.
    pub judging: u64,
    /// Tasks the coordinator computes itself.
    pub computing: u64,
    /// How long the oldest waiting task has waited; patient ones are not counted, because they may wait.
    pub oldest: Duration,
}

/// What was measured of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkNow {
    /// Round trip, once it is known.
    pub round_trip: Option<Duration>,
    /// Share of packets lost, 0 to 1.
    pub loss: f32,
}

/// One connected worker.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerNow {
    /// Its public name.
    pub name: String,
    /// The first digits of its account's key, as the console shows them: names need not be unique. Empty while it leaves.
    pub key: String,
    /// Its connection.
    pub link: LinkNow,
    /// Where its owner says that it is.
    pub region: Option<Region>,
    /// Attempts it runs at once.
    pub slots: u32,
    /// Attempts it has.
    pub in_hand: usize,
    /// Kinds it offers that the coordinator can use.
    pub kinds: Vec<&'static str>,
    /// What it may do.
    pub state: WorkerState,
    /// Share of its answers that get the deep check at least, 0 to 1, in the kind where it is largest: a measure of trust.
    pub checked: f64,
    /// Its attempts accepted since it connected.
    pub accepted: u64,
    /// Its attempts rejected since it connected.
    pub rejected: u64,
    /// Earned since it connected.
    pub earned: Nanos,
}

/// The account of connected workers, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayNow {
    /// The first, by the alphabet, of the names of its workers.
    pub name: String,
    /// The first digits of its key.
    pub key: String,
    /// How many further connected workers earn for it.
    pub others: usize,
    /// Earned since it was opened.
    pub earned: Nanos,
    /// Of it, pending until the fraud window has passed.
    pub pending: Nanos,
    /// Of it, what can be paid.
    pub available: Nanos,
    /// Of it, paid outside.
    pub paid_out: Nanos,
}

/// What a worker may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It gets work.
    Working,
    /// It offers nothing that is of use here.
    Useless,
    /// It finishes what it has.
    Draining,
    /// It was convicted, and gets nothing more.
    Quarantined,
}

impl WorkerState {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Useless => "useless",
            Self::Draining => "draining",
            Self::Quarantined => "quarantined",
        }
    }
}

/// One connected gamer.
#[derive(Clone, Debug, PartialEq)]
pub struct GamerNow {
    /// Its public name.
    pub name: String,
    /// The first digits of its account's key, as the console shows them: names need not be unique. Empty while it leaves.
    pub key: String,
    /// Its connection.
    pub link: LinkNow,
    /// Tasks its account has in flight.
    pub in_flight: usize,
    /// Left to spend.
    pub available: Nanos,
    /// Held for what is in flight.
    pub held: Nanos,
}

/// Publishes a snapshot on the board and sets the gauges. Visits every task in flight, which the board limits to twice
/// a second.
pub fn publish(
    board: Res<'_, Board>,
    mut scheduler: ResMut<'_, Scheduler>,
    recalls: Res<'_, Recalls>,
    peers: Res<'_, Peers>,
    drain: Res<'_, DrainPhase>,
    settings: Res<'_, ServerSettings>,
    clock: Res<'_, LinkClock>,
    news: Option<Res<'_, AccountNews>>,
) {
    board.begin();
    let now = clock.now();
    let history = scheduler.meter.history(now).clone();
    let (core, ledger, meter) = (scheduler.core(), &scheduler.ledger, &scheduler.meter);
    let names: Vec<_> = settings.0.kinds.iter().map(|kind| (kind.id(), kind.name())).collect();
    let snapshot = Snapshot {
        taken: Instant::now(),
        up_for: now.into(),
        closing: drain.is_closing(),
        ledger_trouble: ledger.trouble(),
        ledger: ledger.progress(),
        held: meter.held(),
        tally: *core.tally(),
        recalls: recalls.counts(),
        kinds: kinds_now(core, &names, now),
        workers: workers_now(core, &peers, &names, now),
        pay: pay_now(core, &peers),
        gamers: gamers_now(core, &peers),
        link: peers.totals(),
        udp_blocked: news.as_ref().and_then(|news| news.blocked_udp_port()),
        certificate_ends: news.and_then(|news| news.certificate_ends()),
        history,
    };
    fill(&meter.sums().gauges, &snapshot);
    board.publish(snapshot);
}

type Names = [(p2c2r_protocol::KindId, &'static str)];

fn kinds_now(core: &Core, names: &Names, now: Micros) -> Vec<KindNow> {
    let mut kinds: Vec<_> = names.iter().map(|(_, name)| KindNow { name, ..KindNow::default() }).collect();
    for (_, task) in core.tasks().iter() {
        let Some(place) = names.iter().position(|(id, _)| *id == task.kind) else { continue };
        let kind = &mut kinds[place];
        if task.is_waiting() {
            kind.waiting += 1;
            if task.deliver_by.is_some() {
                let here = Duration::from_micros(now.0.saturating_sub(task.received_at.0));
                kind.oldest = kind.oldest.max(here);
            }
        } else if task.is_judged() {
            kind.judging += 1;
        } else if task.computing_since().is_some() {
            kind.computing += 1;
        } else {
            kind.leased += 1;
        }
    }
    kinds
}

fn link_now(stats: Option<&PeerStats>) -> LinkNow {
    stats.map_or_else(LinkNow::default, |stats| LinkNow { round_trip: stats.rtt, loss: stats.loss })
}

fn key_now(peers: &Peers, peer: PeerId) -> String {
    peers.account_of(peer).map(|key| key.short()).unwrap_or_default()
}

fn workers_now(core: &Core, peers: &Peers, names: &Names, now: Micros) -> Vec<WorkerNow> {
    let mut workers: Vec<_> = core
        .workers()
        .iter()
        .map(|(peer, worker)| WorkerNow {
            name: worker.name.to_string(),
            key: key_now(peers, peer),
            link: link_now(peers.get(peer)),
            region: worker.region,
            slots: worker.slots,
            in_hand: worker.tasks.len(),
            kinds: worker
                .kernels
                .iter()
                .filter_map(|kernel| names.iter().find(|(id, _)| *id == kernel.kind).map(|(_, name)| *name))
                .collect(),
            state: match worker {
                worker if worker.quarantined => WorkerState::Quarantined,
                worker if worker.draining => WorkerState::Draining,
                worker if worker.kernels.is_empty() => WorkerState::Useless,
                _ => WorkerState::Working,
            },
            checked: worker
                .kernels
                .iter()
                .map(|kernel| core.trust().scrutiny(worker.account, kernel.kind, kernel.version, now).share)
                .fold(0.0, f64::max),
            accepted: worker.statements.session.accepted,
            rejected: worker.statements.session.rejected,
            earned: worker.statements.session.earned,
        })
        .collect();
    workers.sort_by(|one, other| (&one.name, &one.key).cmp(&(&other.name, &other.key)));
    workers
}

fn pay_now(core: &Core, peers: &Peers) -> Vec<PayNow> {
    let mut accounts: BTreeMap<AccountId, PayNow> = BTreeMap::new();
    for (peer, worker) in core.workers().iter() {
        match accounts.entry(worker.account) {
            Entry::Vacant(free) => {
                free.insert(PayNow {
                    name: worker.name.to_string(),
                    key: key_now(peers, peer),
                    others: 0,
                    earned: worker.statements.earned,
                    pending: worker.statements.pending,
                    available: worker.statements.available(),
                    paid_out: worker.statements.paid,
                });
            }
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.others += 1;
                // Workers are in no fixed order; the page must name the same one each time.
                if *worker.name < *known.name {
                    known.name = worker.name.to_string();
                }
            }
        }
    }
    let mut pay: Vec<_> = accounts.into_values().collect();
    pay.sort_by(|one, other| (&one.name, &one.key).cmp(&(&other.name, &other.key)));
    pay
}

fn gamers_now(core: &Core, peers: &Peers) -> Vec<GamerNow> {
    let mut gamers: Vec<_> = core
        .gamers()
        .iter()
        .map(|(peer, session)| {
            let account = core.gamers().account(session.account);
            let (available, held) =
                account.map_or_else(Default::default, |account| (account.available(), account.held()));
            GamerNow {
                name: session.name.clone(),
                key: key_now(peers, peer),
                link: link_now(peers.get(peer)),
                in_flight: account.map_or(0, |account| account.tasks.len()),
                available,
                held,
            }
        })
        .collect();
    gamers.sort_by(|one, other| (&one.name, &one.key).cmp(&(&other.name, &other.key)));
    gamers
}

fn fill(gauges: &Gauges, snapshot: &Snapshot) {
    let Snapshot { ledger, link, workers, gamers, recalls, .. } = snapshot;
    gauges.uptime.set(snapshot.up_for.as_secs_f64());
    gauges.ready.set(i64::from(!snapshot.closing && snapshot.ledger_trouble.is_none()));
    gauges.held.set(snapshot.held.0);
    for kind in &snapshot.kinds {
        for (phase, count) in [
            ("waiting", kind.waiting),
            ("leased", kind.leased),
            ("judging", kind.judging),
            ("computing", kind.computing),
        ] {
            gauges.tasks.get_or_create(&vec![("kind", kind.name), ("phase", phase)]).set(count as i64);
        }
        gauges.oldest.get_or_create(&vec![("kind", kind.name)]).set(kind.oldest.as_secs_f64());
    }
    for state in [WorkerState::Working, WorkerState::Useless, WorkerState::Draining, WorkerState::Quarantined]
    {
        let count = workers.iter().filter(|worker| worker.state == state).count();
        gauges.workers.get_or_create(&vec![("state", state.word())]).set(count as i64);
    }
    fill_links(gauges, "worker", workers.iter().map(|worker| worker.link).collect());
    fill_links(gauges, "gamer", gamers.iter().map(|gamer| gamer.link).collect());
    set(&gauges.packets, link.packets);
    set(&gauges.garbage, link.garbage);
    set(&gauges.offenders, link.offenders);
    gauges.handshakes.set(link.handshakes as i64);
    gauges.udp_blocked.set(i64::from(snapshot.udp_blocked.is_some()));
    gauges.certificate_ends.set(snapshot.certificate_ends.map_or(0, |ends| ends.0));
    for (cause, count) in refused_packets(link) {
        set(&gauges.refused_packets.get_or_create(&vec![("cause", cause)]), count);
    }
    for (result, count) in [("found", recalls.found), ("gone", recalls.gone), ("late", recalls.late)] {
        set(&gauges.recalls.get_or_create(&vec![("result", result)]), count);
    }
    gauges.recording.set(i64::from(snapshot.ledger_trouble.is_none()));
    set(&gauges.groups, ledger.groups);
    set(&gauges.entries, ledger.entries);
    gauges.entries_waiting.set(ledger.waiting as i64);
    for (cause, count) in ledger.anomalies.by_cause() {
        set(&gauges.anomalies.get_or_create(&vec![("cause", cause)]), count);
    }
}

fn fill_links(gauges: &Gauges, role: &'static str, links: Vec<LinkNow>) {
    gauges.peers.get_or_create(&vec![("role", role)]).set(links.len() as i64);
    let trips = links.iter().filter_map(|link| link.round_trip).map(|trip| trip.as_secs_f64()).collect();
    let losses = links.iter().map(|link| f64::from(link.loss)).collect();
    for (family, values) in [(&gauges.round_trip, trips), (&gauges.loss, losses)] {
        let (middle, worst) = middle_and_worst(values);
        family.get_or_create(&vec![("role", role), ("rank", "middle")]).set(middle);
        family.get_or_create(&vec![("role", role), ("rank", "worst")]).set(worst);
    }
}

fn middle_and_worst(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    (at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// Packets refused, by a word for each cause.
pub fn refused_packets(link: &LinkTotals) -> [(&'static str, u64); 12] {
    let refused = &link.refused;
    [
        ("shape", refused.shape),
        ("other_version", refused.other_version),
        ("unknown_token", refused.unknown_token),
        ("out_of_date", refused.out_of_date),
        ("misused_token", refused.misused_token),
        ("no_place", refused.no_place),
        ("forged_response", refused.forged_response),
        ("too_soon", refused.too_soon),
        ("evicted", refused.evicted),
        ("forged_packet", refused.forged_packet),
        ("unopened", refused.unopened),
        ("over_rate", refused.over_rate),
    ]
}
