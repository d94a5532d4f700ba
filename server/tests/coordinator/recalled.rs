//! Outcomes that memory has no room for: they are read from the ledger, and nobody waits long for the disk.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use p2c2r_protocol::{ComputedBy, GameToServer, Micros, PeerId, Role, Submit, TaskFailure, TaskNo};
use p2c2r_server::ServerConfig;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::{Core, Effects, Event, task_key};
use p2c2r_server::ledger::{AccountId, AdmissionRoom, CachedOutcome, Entry, Ledger, SettledTask};
use p2c2r_server::peers::{RecallCounts, Recalls};
use p2c2r_tasks::kind::TaskKind;

use crate::scheduler::account;
use crate::stage::{STEP, Stage};
use crate::toy::{self, Toy};

const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 1_000, patient: 1_000, bytes: 1 << 20, tasks_per_account: u64::MAX };

/// A coordinator with room for one outcome in memory, whose ledger has those of 1, 2 and 3, and a gamer.
fn with_three_on_disk() -> (Stage, PeerId) {
    let mut stage = Stage::with(|config| config.cache_entries_max = 1);
    let gamer = stage.gamer("g");
    for number in 1..=3 {
        assert_eq!(made_by(&mut stage, gamer, number), ComputedBy::Coordinator);
    }
    stage.books();
    (stage, gamer)
}

/// Asks for a square, and says who computed it.
fn made_by(stage: &mut Stage, gamer: PeerId, number: u64) -> ComputedBy {
    let task = stage.ask(gamer, number);
    // It is looked for, and then computed.
    stage.pass(Duration::from_millis(2));
    let done = stage.done(task);
    assert_eq!(done.outcome, toy::answer(number));
    done.receipt.computed_by.clone()
}

fn counts(stage: &mut Stage) -> RecallCounts {
    stage.app().world().resource::<Recalls>().counts()
}

fn submit_of(stage: &mut Stage, number: u64) -> (Submit, p2c2r_protocol::Digest) {
    let submit = stage.submit_of(&toy::spec(number));
    let key = task_key(Toy::ID, Toy::KERNEL_VERSION, &submit.spec);
    (submit, key)
}

#[test]
fn what_memory_has_no_room_for_is_reused_for_the_fee_also_after_a_restart() {
    let (mut stage, mut gamer) = with_three_on_disk();
    for restart in [false, true] {
        if restart {
            stage.books();
            stage.stop();
            stage.start();
            gamer = stage.gamer("g");
        }
        for number in 1..=3 {
            let task = stage.ask(gamer, number);
            stage.step();
            let receipt = &stage.done(task).receipt;
            assert_eq!(receipt.computed_by, ComputedBy::Cache(None), "{number}, restart: {restart}");
            assert_eq!(receipt.price, stage.reuse_price(1_000));
        }
        // After a restart the newest is in memory at first, and goes to make room for the first.
        assert_eq!(counts(&mut stage), RecallCounts { found: 3, gone: 0, late: 0 });
        assert_eq!(stage.tally().from_cache, 3);
    }
    let books = stage.books();
    assert_eq!((books.kinds[0].by_coordinator, books.kinds[0].by_cache), (3, 6));
}

#[test]
fn what_is_in_memory_or_was_never_done_is_not_looked_for() {
    let (mut stage, gamer) = with_three_on_disk();
    assert_eq!(made_by(&mut stage, gamer, 3), ComputedBy::Cache(None));
    assert_eq!(made_by(&mut stage, gamer, 4), ComputedBy::Coordinator);
    assert_eq!(counts(&mut stage), RecallCounts::default());
}

#[test]
fn what_is_damaged_on_disk_is_computed_again() {
    let (mut stage, gamer) = with_three_on_disk();
    let connection = rusqlite::Connection::open(stage.folder.path().join("results.db")).unwrap();
    connection.execute("UPDATE outcomes SET bytes = x'00' WHERE id = 1", []).unwrap();
    assert_eq!(made_by(&mut stage, gamer, 1), ComputedBy::Coordinator);
    assert_eq!(counts(&mut stage), RecallCounts { found: 0, gone: 1, late: 0 });
}

#[test]
fn a_patient_task_settled_before_a_restart_costs_nothing_more_also_where_memory_has_no_room_for_it() {
    let mut stage = Stage::with(|config| {
        config.cache_entries_max = 1;
        config.trust = p2c2r_server::config::TrustRules::default().always();
    });
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let patient = |number| {
        let submit = stage.submit_of(&toy::spec(number));
        Submit { budget_us: None, task: stage.id_of(gamer, submit.task), ..submit }
    };
    let submits: Vec<Submit> = (1..=3).map(patient).collect();
    for submit in &submits {
        stage.submit(gamer, submit.clone());
        let (_, assign) = stage.assignment();
        stage.answer_rightly(worker, &assign);
    }
    stage.books();
    stage.stop();
    stage.start();
    let gamer = stage.gamer("g");
    let charged = stage.gamer_statement(gamer).charged;
    for submit in &submits {
        stage.submit(gamer, submit.clone());
        stage.step();
    }
    assert_eq!(stage.gamer_statement(gamer).charged, charged, "nothing more");
    assert_eq!(stage.books().kinds[0].tasks, 3);
    for submit in &submits {
        assert_eq!(stage.heard(submit.task).len(), 2, "once in each life of the coordinator");
    }
}

/// Has the coordinator read from a disk that gives nothing until the returned gate is opened.
fn stall(stage: &mut Stage) -> SyncSender<()> {
    let (gate, closed) = sync_channel::<()>(1);
    let ledger = stage.app().world().resource::<Ledger>().clone();
    let wait = move || {
        let _ = closed.recv();
    };
    let reader = ledger.read_outcomes(wait).unwrap();
    // After its first answer the reader's thread waits at the gate.
    let (_, key) = submit_of(stage, 1);
    assert!(reader.ask(key, reader.find(key).unwrap()));
    assert!(reader.wait().unwrap().outcome.is_some());
    stage.app().insert_resource(Recalls::new(reader, false));
    gate
}

#[test]
fn a_disk_that_stalls_delays_one_task_a_little_and_the_next_not_at_all() {
    let (mut stage, gamer) = with_three_on_disk();
    let gate = stall(&mut stage);
    let first = stage.ask(gamer, 1);
    let equal = stage.ask(gamer, 1);
    stage.pass(Duration::from_millis(48));
    assert!(stage.heard(first).is_empty() && stage.heard(equal).is_empty());
    stage.pass(Duration::from_millis(3));
    assert_eq!(stage.done(first).receipt.computed_by, ComputedBy::Coordinator);
    assert_eq!(stage.done(equal).receipt.computed_by, ComputedBy::Cache(None), "of the first of them");
    assert_eq!(made_by(&mut stage, gamer, 2), ComputedBy::Coordinator, "nobody else waits for such a disk");
    assert_eq!(counts(&mut stage), RecallCounts { found: 0, gone: 0, late: 2 });
    // An outcome that comes late is used for the next task.
    drop(gate);
    stage.until("the late outcome has come", STEP, |stage| counts(stage).found > 0);
    assert_eq!(made_by(&mut stage, gamer, 1), ComputedBy::Cache(None));
}

#[test]
fn a_task_in_a_hurry_waits_for_a_quarter_of_its_time_at_most() {
    let (mut stage, gamer) = with_three_on_disk();
    let _gate = stall(&mut stage);
    let (submit, _) = submit_of(&mut stage, 1);
    let task = stage.submit(gamer, Submit { budget_us: Some(40_000), ..submit });
    stage.pass(Duration::from_millis(11));
    assert_eq!(stage.done(task).receipt.computed_by, ComputedBy::Coordinator);
}

/// Otherwise a gamer who often asks for outcomes on disk would have everybody else's tasks computed again.
#[test]
fn one_gamers_tasks_do_not_take_the_places_of_another() {
    let (mut stage, greedy) = with_three_on_disk();
    let other = stage.gamer("other");
    let _gate = stall(&mut stage);
    let submits: Vec<Submit> = (0..64).map(|_| submit_of(&mut stage, 1).0).collect();
    for submit in &submits {
        stage.game_says(greedy, GameToServer::Submit(submit.clone()));
    }
    stage.pass(Duration::from_millis(2));
    let waits = |stage: &Stage, submit: &&Submit| stage.heard(stage.id_of(greedy, submit.task)).is_empty();
    assert_eq!(submits.iter().filter(|submit| waits(&stage, submit)).count(), 8, "all others go on");
    let task = stage.ask(other, 2);
    stage.pass(Duration::from_millis(5));
    assert!(stage.heard(task).is_empty(), "it waits for the disk: {:?}", stage.heard(task));
}

/// A submit that is refused, or answered from memory, causes no read.
#[test]
fn nothing_is_read_for_what_would_not_be_admitted() {
    let (mut stage, gamer) = with_three_on_disk();
    let made_up = |number: u64, session: u64, submit: Submit| Submit {
        task: p2c2r_protocol::TaskId(session << 32 | number),
        ..submit
    };
    let (submit, _) = submit_of(&mut stage, 1);
    // A session number that was never given, and an id that was used before for something else.
    stage.submit(gamer, made_up(77, 900, submit.clone()));
    let used = stage.id_of(gamer, p2c2r_protocol::TaskId(2)).0;
    stage.submit(gamer, made_up(used & 0xffff_ffff, used >> 32, submit));
    stage.pass(Duration::from_millis(2));
    assert_eq!(counts(&mut stage), RecallCounts::default());
}

#[test]
fn who_takes_a_task_back_or_leaves_does_not_wait_for_the_disk() {
    let (mut stage, gamer) = with_three_on_disk();
    let _gate = stall(&mut stage);
    let (one, two) = (stage.ask(gamer, 1), stage.ask(gamer, 2));
    stage.game_says(gamer, GameToServer::Cancel { task: one });
    stage.step();
    assert_eq!(stage.failure(one), TaskFailure::Cancelled);
    assert!(stage.heard(two).is_empty(), "the other one waits");
    stage.game_says(gamer, GameToServer::Leaving);
    stage.step();
    assert_eq!(stage.failure(two), TaskFailure::Cancelled);
    // A patient task stays when its game is cut off, also when it had not been let in.
    let patient = Submit { budget_us: None, ..submit_of(&mut stage, 2).0 };
    stage.submit(gamer, patient);
    assert_eq!(stage.in_flight(), 0);
    stage.leave(gamer);
    assert_eq!(stage.in_flight(), 1);
}

/// An outcome of 7, as the ledger reads it.
fn of_seven(maker: AccountId) -> (Submit, CachedOutcome) {
    let spec = toy::spec(7).encode();
    let key = task_key(Toy::ID, Toy::KERNEL_VERSION, &spec);
    let submit = Submit {
        task: p2c2r_protocol::TaskId(1 << 32 | 1),
        kind: Toy::ID,
        kernel_version: Toy::KERNEL_VERSION,
        budget_us: Some(100_000),
        price_cap: p2c2r_protocol::Nanos::DOLLAR,
        client_queue_us: 0,
        sent_at: Micros(1),
        spec: spec.into(),
        blobs: Vec::new(),
    };
    let outcome = CachedOutcome {
        key,
        kind: Toy::ID,
        kernel_version: Toy::KERNEL_VERSION,
        worker: Some((maker, "w".into())),
        bytes: toy::answer(7).into(),
        patient: false,
        expires_in: Duration::from_hours(1),
        settled: SettledTask {
            gamer: AccountId(100),
            game_task: p2c2r_protocol::TaskId(1),
            charged: p2c2r_protocol::Nanos(1),
            units: p2c2r_protocol::WorkUnits(1),
            price_list: 1,
            check: p2c2r_protocol::PassedCheck::Deep,
        },
    };
    (submit, outcome)
}

#[test]
fn what_was_read_before_a_revocation_was_recorded_is_not_used() {
    let config = ServerConfig { kinds: toy::kinds(), ..ServerConfig::default() };
    let mut core = Core::new(config.policy(), TaskNo(1), [0; 32]);
    let mut effects = Effects::default();
    core.handle(
        Micros(1),
        Event::GamerJoined {
            peer: PeerId(1),
            name: "g".into(),
            account: Box::new(account(Role::Gamer, 1)),
            session_min: 1,
            hour_cap: HourCap::AsEverybody,
        },
        &mut effects,
    );
    core.handle(Micros(1), Event::UpdateBegins { room: Some(ROOM) }, &mut effects);
    let (submit, outcome) = of_seven(AccountId(8));
    let key = outcome.key;
    let recall = |core: &mut Core, effects: &mut Effects, recorded: u64| {
        core.handle(Micros(1), Event::Recalled { outcome: outcome.clone(), recorded }, effects);
        core.lacks(PeerId(1), &submit, key).is_some()
    };
    core.handle(Micros(1), Event::QuarantineSet { account: AccountId(10), quarantined: true }, &mut effects);
    let booked = effects.entries.len() as u64;
    assert!(matches!(effects.entries.last(), Some(Entry::WorkerConvicted { .. })));
    assert!(recall(&mut core, &mut effects, booked - 1), "it may be what the last entry revokes");
    assert!(!recall(&mut core, &mut effects, booked), "the ledger still gave it after that");
    assert_eq!(effects.entries.len() as u64, booked, "it changes nothing in the books");
}
