//! Checks for which there is no time: the scheduler alone, whose pool takes as much processor time as a test says.

use std::time::Duration;

use p2c2r_protocol::{
    Answer, Assign, Device, KernelOffer, KindId, Micros, Nanos, PeerId, Role, ServerToWorker, Submit, TaskId,
    TaskNo, WorkerOffer, WorkerToServer, wire,
};
use p2c2r_server::config::{TrustRules, default_prices};
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::work::{Check, Checked, Depth};
use p2c2r_server::core::{Core, Effect, Effects, Event};
use p2c2r_server::ledger::{Account, AccountId, AdmissionRoom, ComputedFrom, Entry, KindTrust, WorkerTrust};
use p2c2r_server::{Fallback, ServerConfig};
use p2c2r_tasks::fuel::OUT_OF_FUEL;
use p2c2r_tasks::kind::TaskKind;

use crate::scheduler::account;
use crate::toy::{self, ENDLESS, Rough, SLY, Toy, ToySpec};

const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 1_000, patient: 1_000, bytes: 1 << 20, tasks_per_account: u64::MAX };
const GAMER: PeerId = PeerId(1);
/// The budget of every task.
const BUDGET_US: u32 = 100_000;

/// A coordinator, a gamer, and workers whose answers a test gives.
struct Played {
    core: Core,
    effects: Effects,
    now: Micros,
    asked: u64,
    assigned: Vec<(PeerId, Assign)>,
    checks: Vec<Check>,
    entries: Vec<Entry>,
}

impl Played {
    fn new(fallback: Fallback) -> Self {
        let config = ServerConfig {
            fallback,
            kinds: toy::kinds(),
            prices: default_prices(&toy::kinds()),
            ..ServerConfig::default()
        };
        let mut played = Self {
            core: Core::new(config.policy(), TaskNo(1), [0; 32]),
            effects: Effects::default(),
            now: Micros(1),
            asked: 0,
            assigned: Vec::new(),
            checks: Vec::new(),
            entries: Vec::new(),
        };
        let account = Account { available: Nanos::DOLLAR, ..account(Role::Gamer, GAMER.0) };
        played.handle(Event::GamerJoined {
            peer: GAMER,
            name: "g".into(),
            account: Box::new(account),
            session_min: 1,
            hour_cap: HourCap::AsEverybody,
        });
        played
    }

    /// A worker of one kind joins, whose account has given `answers` answers, all of them right.
    fn worker(&mut self, number: u64, (kind, kernel_version): (KindId, u16), answers: u64) -> AccountId {
        let known_for = TrustRules::default().settling;
        let of = KindTrust { kind, kernel_version, answers, checked: answers, known_for };
        let trust = WorkerTrust { kinds: vec![of], ..WorkerTrust::default() };
        let account = Account { trust, ..account(Role::Worker, number) };
        let id = account.id;
        let kernels = vec![KernelOffer { kind, version: kernel_version, device: Device::Cores }];
        let offer = Some(WorkerOffer { slots: 1, kernels, region: None });
        let (peer, account) = (PeerId(number), Box::new(account));
        self.handle(Event::WorkerJoined { peer, name: "w".into(), account, offer });
        id
    }

    fn handle(&mut self, event: Event) {
        self.core.handle(self.now, event, &mut self.effects);
        let effects = std::mem::take(&mut self.effects);
        for (peer, message) in effects.to_workers {
            if let ServerToWorker::Assign(assign) = message {
                self.assigned.push((peer, assign));
            }
        }
        self.entries.extend(effects.entries);
        for effect in effects.others {
            if let Effect::Check(check) = effect {
                self.checks.push(check);
            }
        }
    }

    fn ask(&mut self, (kind, kernel_version): (KindId, u16), spec: Vec<u8>) {
        self.asked += 1;
        let submit = Submit {
            task: TaskId(1 << 32 | self.asked),
            kind,
            kernel_version,
            budget_us: Some(BUDGET_US),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: self.now,
            spec: spec.into(),
            blobs: Vec::new(),
        };
        self.handle(Event::UpdateBegins { room: Some(ROOM) });
        self.handle(Event::submitted(GAMER, self.now, submit));
        self.handle(Event::TimePassed);
    }

    /// Answers everything that was handed out.
    fn answer(&mut self, outcome: impl Fn(&Assign) -> Vec<u8>) {
        for (peer, assign) in std::mem::take(&mut self.assigned) {
            let at = self.now;
            let answer = Answer {
                task: assign.task,
                attempt: assign.attempt,
                result: Ok(outcome(&assign).into()),
                received_at: at,
                started_at: at,
                finished_at: at,
            };
            let message = WorkerToServer::Answer(answer);
            self.handle(Event::FromWorker { peer, received_at: self.now, message });
        }
    }

    /// Ends every check that has begun, and says that it took this long.
    fn check(&mut self, takes: impl Fn(&Check) -> Duration) {
        while let Some(check) = self.checks.pop() {
            let took = if check.depth == Depth::Always { Duration::ZERO } else { takes(&check) };
            self.handle(Event::Checked(Box::new(Checked { took, ..check.judge() })));
            self.handle(Event::TimePassed);
        }
    }

    /// Lets time pass, and wakes the scheduler whenever it wants to be woken; returns early when a check has begun.
    fn pass(&mut self, time: Duration) {
        let until = Micros(self.now.0 + time.as_micros() as u64);
        while let Some(due) = self.core.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.handle(Event::TimePassed);
            if !self.checks.is_empty() {
                return;
            }
        }
        self.now = until;
        self.handle(Event::TimePassed);
    }

    /// Checks that this worker's account has failed, as far as the ledger was told.
    fn failures(&self, of: AccountId) -> u32 {
        let told = self.entries.iter().rev().find_map(|entry| match entry {
            Entry::TrustChanged { worker, trust } if *worker == of => Some(trust.failures),
            _ => None,
        });
        told.unwrap_or(0)
    }

    /// Answers of this worker that were accepted and paid.
    fn accepted(&self, of: AccountId) -> usize {
        let is_its = |entry: &&Entry| match entry {
            Entry::TaskSettled(settlement) => {
                matches!(settlement.source, ComputedFrom::Worker { worker, .. } if worker == of)
            }
            _ => false,
        };
        self.entries.iter().filter(is_its).count()
    }
}

const TOY: (KindId, u16) = (Toy::ID, Toy::KERNEL_VERSION);
const ROUGH: (KindId, u16) = (Rough::ID, Rough::KERNEL_VERSION);

/// Answers after which five per cent of a worker's answers are checked.
const PROVEN: u64 = 500;

/// Otherwise a peer that causes more checks than there is time for would hide all lies of proven workers.
#[test]
fn a_drawn_answer_that_there_was_no_time_to_check_is_evidence_all_the_same() {
    for fallback in [Fallback::Compute, Fallback::Queue] {
        let mut played = Played::new(fallback);
        let liar = played.worker(10, TOY, PROVEN);
        played.worker(20, ROUGH, 0);
        played.ask(ROUGH, Rough::encode_spec(&3));
        played.answer(|_| wire::encode(&9_u64));
        // A newcomer's answer takes so long to check that nothing is left for ten minutes.
        played.check(|_| Duration::from_mins(1));
        let mut lies = 0;
        while played.core.checking().waiting() == 0 {
            played.ask(TOY, toy::spec(SLY + lies).encode());
            played.answer(|_| toy::answer(1));
            lies += 1;
            assert!(lies < 80, "one in two rounds is drawn");
        }
        played.pass(Duration::from_secs(1));
        assert!(played.core.tasks().is_empty(), "{fallback:?}: the task has ended");
        assert_eq!(played.failures(liar), 0, "there is no time yet");
        played.pass(Duration::from_mins(10));
        played.check(|_| Duration::from_millis(1));
        assert_eq!(played.failures(liar), 1, "{fallback:?}: not found after {lies} lies");
    }
}

/// Checking an answer "out of fuel" takes several times the work that its gamer pays for. A gamer who asks for such tasks
/// must not keep newcomers from ever being believed, nor proven workers' answers from being checked.
#[test]
fn answers_out_of_fuel_keep_nobody_else_from_being_checked() {
    let mut played = Played::new(Fallback::Queue);
    let proven = played.worker(10, TOY, PROVEN);
    let newcomer = played.worker(20, ROUGH, 0);
    // Uses up the time for checks that was saved up.
    played.ask(ROUGH, Rough::encode_spec(&3));
    played.answer(|_| wire::encode(&9_u64));
    played.check(|_| Duration::from_secs(3));
    assert_eq!(played.accepted(newcomer), 1);
    let takes = |check: &Check| Duration::from_millis(if check.outcome.is_empty() { 12 } else { 1 });
    for n in 0..600_u64 {
        // 12 % of a core would be needed for the first, 1 % for the second.
        played.ask(TOY, ToySpec { number: ENDLESS, units: 4_000 + n, blob: None }.encode());
        played.ask(ROUGH, Rough::encode_spec(&(10 + n)));
        played.answer(|assign| {
            if assign.kind == Toy::ID {
                return OUT_OF_FUEL.to_vec();
            }
            let number = Rough::decode_spec(&assign.spec).expect("a spec of this test");
            wire::encode(&(number * number))
        });
        let next = Micros(played.now.0 + 100_000);
        while played.now < next {
            played.check(takes);
            played.pass(Duration::from_micros(next.0 - played.now.0));
        }
    }
    let (others, out_of_fuel) = (played.accepted(newcomer), played.accepted(proven));
    println!("of 600 answers each {others} of a newcomer and {out_of_fuel} \"out of fuel\" were accepted");
    assert!(others > 550, "{others} of 600");
    assert!((100..300).contains(&out_of_fuel), "a fortieth of a core, and what was saved up: {out_of_fuel}");
}
