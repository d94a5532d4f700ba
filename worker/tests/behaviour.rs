//! A worker's behaviour as its coordinator sees it: the app that `main.rs` runs, on a network in memory and on
//! manual time, so that every run of these tests is the same.

use std::time::Duration;

use bevy_app::{App, AppExit};
use bevy_ecs::message::Messages;
use bevy_time::{TimePlugin, TimeUpdateStrategy};
use p2c2r_link::{
    ClientLink, ClientTransport, FromPeer, LinkStatus, MemoryHub, Mint, PeerJoined, PeerLeft,
    ServerLinkConfig, ServerLinkPlugin, ServerTransport, ToPeer, on_one_thread,
};
use p2c2r_protocol::{
    Answer, Assign, Attempt, AttemptFailure, Digest, KindId, Nanos, PeerId, PriceList, Role, ServerToWorker,
    TaskNo, WorkUnits, WorkerOffer, WorkerSession, WorkerStatement, WorkerToServer, WorkerWelcome,
};
use p2c2r_tasks::{Blobs, CheckError, KernelError, KindRegistry, SpecError, Stop, TaskKind};
use p2c2r_worker::{Drain, Execution, WorkerConfig, build_app};

#[path = "behaviour/conformance.rs"]
mod conformance;
#[path = "behaviour/devices.rs"]
mod devices;
#[cfg(all(target_os = "linux", feature = "gpu"))]
#[path = "behaviour/graphics.rs"]
mod graphics;
#[cfg(target_os = "linux")]
#[path = "behaviour/kernel_processes.rs"]
mod kernel_processes;
#[path = "behaviour/mirrors.rs"]
mod mirrors;
#[cfg(unix)]
#[path = "behaviour/owner.rs"]
mod owner;
#[path = "behaviour/shares.rs"]
mod shares;

/// A kind whose spec says what its kernel does.
struct Scripted;

/// What to do, with which number, on which blobs. A tuple, because only the protocol names the encoding.
type Script = (u8, u32, Vec<Digest>);

const DOUBLE: u8 = 0;
const SUM_OF_BLOB: u8 = 1;
const GROW: u8 = 2;
const PANIC: u8 = 3;
const PANIC_IN_ADMISSION: u8 = 4;
const REFUSE: u8 = 5;
const UNTIL_STOPPED: u8 = 6;
const OUT_OF_FUEL: u8 = 7;
const ON_A_SLOT: u8 = 8;
const REACH_NETWORK: u8 = 9;
const REACH_FILE: u8 = 10;
const REACH_PROGRAM: u8 = 11;
const REACH_THREAD: u8 = 12;
const ABORT: u8 = 13;
const EAT_MEMORY: u8 = 14;
const NEVER_ENDS: u8 = 15;
const ABORT_TINY: u8 = 16;
const WHEN_LET_GO: u8 = 17;
/// Like [`WHEN_LET_GO`], but goes on when it is told to stop.
const WHEN_LET_GO_ALONE: u8 = 18;

/// Outcomes of a kernel that reaches for something.
const DENIED: u32 = 0;
const WITHIN_REACH: u32 = 1;

fn reach(what: u8) -> std::io::Result<()> {
    match what {
        REACH_NETWORK => std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
        REACH_FILE => std::fs::File::open("/proc/self/status").map(drop),
        REACH_PROGRAM => std::process::Command::new("/bin/true").status().map(drop),
        _ => std::thread::Builder::new().spawn(|| ()).map(drop),
    }
}

fn script(what: u8, number: u32) -> Script {
    (what, number, Vec::new())
}

fn sum_of_blob(digest: Digest) -> Script {
    (SUM_OF_BLOB, 0, vec![digest])
}

impl TaskKind for Scripted {
    const ID: KindId = KindId(200);
    const NAME: &'static str = "scripted";
    const KERNEL_VERSION: u16 = 7;
    type Spec = Script;
    type Outcome = Vec<u32>;

    fn blob_refs((_, _, blobs): &Script) -> Vec<Digest> {
        blobs.clone()
    }
    fn admit((what, ..): &Script, _: &Blobs) -> Result<WorkUnits, SpecError> {
        match *what {
            REFUSE => Err(SpecError::OutOfRange("scripted".into())),
            PANIC_IN_ADMISSION => panic!("scripted panic in admission"),
            ABORT_TINY => Ok(WorkUnits(10)),
            // Too much for the app's thread.
            UNTIL_STOPPED | ON_A_SLOT | ABORT.. => Ok(WorkUnits(1_000_000)),
            _ => Ok(WorkUnits(10)),
        }
    }
    fn run((what, number, digests): &Script, blobs: &Blobs, stop: &Stop) -> Result<Vec<u32>, KernelError> {
        match *what {
            UNTIL_STOPPED => {
                while !stop.is_stopped() {
                    std::thread::yield_now();
                }
                Err(KernelError::Stopped)
            }
            WHEN_LET_GO => conformance::wait_until_let_go(*number, Some(stop)),
            WHEN_LET_GO_ALONE => conformance::wait_until_let_go(*number, None),
            OUT_OF_FUEL => Err(KernelError::OutOfFuel),
            ON_A_SLOT => Ok(vec![*number]),
            REACH_NETWORK..=REACH_THREAD => match reach(*what) {
                Ok(()) => Ok(vec![WITHIN_REACH]),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(vec![DENIED]),
                Err(error) => Err(KernelError::Failed(error.to_string())),
            },
            ABORT | ABORT_TINY => std::process::abort(),
            EAT_MEMORY => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(vec![1_u8; 1_000_000]);
                    std::hint::black_box(&eaten);
                }
            }
            NEVER_ENDS => loop {
                std::hint::spin_loop();
            },
            DOUBLE => Ok(vec![number * 2]),
            SUM_OF_BLOB => Ok(vec![blobs.get(digests[0])?.bytes().iter().map(|byte| u32::from(*byte)).sum()]),
            GROW => Ok(vec![u32::MAX; *number as usize]),
            _ => panic!("scripted panic"),
        }
    }
    fn check(_: &Script, _: &Blobs, _: &Vec<u32>) -> Result<(), CheckError> {
        Ok(())
    }
    fn deep_check(_: &Script, _: &Blobs, _: &Vec<u32>, _: u64) -> Result<(), CheckError> {
        Ok(())
    }
}

const STEP: Duration = Duration::from_millis(1);
/// Steps within which everything that will happen has happened. Time is simulated, so a generous number costs little.
const STEPS_MAX: usize = 10_000;

fn kinds() -> KindRegistry {
    KindRegistry::empty().with::<Scripted>()
}

/// A coordinator that does only what the test says, and one worker.
struct Pair {
    hub: MemoryHub,
    coordinator: App,
    worker: App,
    peer: Option<PeerId>,
    heard: Vec<WorkerToServer>,
    left: usize,
    /// Lease of every assignment, measured by the machine's clock.
    lease_us: u32,
}

/// Longer than any task of these tests takes, even on an overloaded machine.
const LEASE_US: u32 = 60_000_000;

impl Pair {
    fn new(change: impl FnOnce(&mut WorkerConfig)) -> Self {
        let hub = MemoryHub::new();
        let mut coordinator = App::new();
        coordinator.add_plugins(TimePlugin).add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
            transport: ServerTransport::Memory(hub.clone()),
            identity: kinds().identity(),
            mint: Mint::new(&kinds().identity()),
            peers_max: 8,
            rate_limit: None,
            impair: None,
        }));
        let mut config = WorkerConfig::named("w");
        (config.slots, config.execution, config.kinds) = (1, Execution::Inline, kinds());
        change(&mut config);
        let worker = build_app(config, ClientTransport::Memory(hub.clone())).unwrap();
        let mut pair =
            Self { hub, coordinator, worker, peer: None, heard: Vec::new(), left: 0, lease_us: LEASE_US };
        for app in [&mut pair.coordinator, &mut pair.worker] {
            app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
            on_one_thread(app);
            app.finish();
            app.cleanup();
        }
        pair
    }

    /// A pair whose worker has joined and announced itself.
    fn joined(change: impl FnOnce(&mut WorkerConfig)) -> Self {
        let mut pair = Self::new(change);
        pair.until("the worker announces itself", |pair| !pair.heard.is_empty());
        let ready = pair.heard.remove(0);
        assert!(matches!(ready, WorkerToServer::Ready(_)), "{ready:?}");
        pair
    }

    fn step(&mut self) {
        self.coordinator.update();
        let world = self.coordinator.world_mut();
        for joined in world.resource_mut::<Messages<PeerJoined>>().drain() {
            assert_eq!((joined.role, joined.name.as_str()), (Role::Worker, "w"));
            self.peer = Some(joined.peer);
        }
        self.left += world.resource_mut::<Messages<PeerLeft>>().drain().count();
        let mut messages = world.resource_mut::<Messages<FromPeer<WorkerToServer>>>();
        self.heard.extend(messages.drain().map(|from| from.message));
        self.worker.update();
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..STEPS_MAX {
            self.step();
            if holds(self) {
                return;
            }
        }
        panic!("never: {what}; heard {:?}", self.heard);
    }

    /// Steps on for so long that every message still to come has come.
    fn settle(&mut self) {
        (0..300).for_each(|_| self.step());
    }

    fn say(&mut self, message: ServerToWorker) {
        let peer = self.peer.unwrap();
        self.coordinator.world_mut().write_message(ToPeer { peer, message });
    }

    fn assign_to(&mut self, task: u64, kind: KindId, spec: Vec<u8>, blobs: Vec<Vec<u8>>) {
        self.say(ServerToWorker::Assign(Assign {
            task: TaskNo(task),
            attempt: Attempt(1),
            kind,
            lease_us: self.lease_us,
            spec: spec.into(),
            blobs,
        }));
    }

    fn assign(&mut self, task: u64, script: &Script) {
        self.assign_to(task, Scripted::ID, Scripted::encode_spec(script), Vec::new());
    }

    /// Waits for `count` messages, which must all be answers, and gives them by task.
    fn answers(&mut self, count: usize) -> Vec<Answer> {
        self.until("enough answers", |pair| pair.heard.len() >= count);
        let answers = answers_of(&self.heard);
        assert_eq!((answers.len(), self.heard.len()), (count, count), "{:?}", self.heard);
        self.heard.clear();
        answers
    }
}

fn answers_of(heard: &[WorkerToServer]) -> Vec<Answer> {
    let mut answers: Vec<Answer> = heard
        .iter()
        .filter_map(|message| match message {
            WorkerToServer::Answer(answer) => Some(answer.clone()),
            _ => None,
        })
        .collect();
    answers.sort_by_key(|answer| answer.task);
    answers
}

fn outcome(answer: &Answer) -> Result<Vec<u32>, AttemptFailure> {
    answer.result.clone().map(|bytes| Scripted::decode_outcome(&bytes).unwrap())
}

#[test]
fn announces_slots_and_kernels() {
    let mut pair = Pair::new(|config| config.slots = 3);
    pair.until("the worker announces itself", |pair| !pair.heard.is_empty());
    let kernels = kinds().offers();
    assert_eq!(kernels[0].version, 7);
    assert_eq!(pair.heard, vec![WorkerToServer::Ready(WorkerOffer { slots: 3, kernels, region: None })]);
}

#[test]
fn executes_and_answers_with_times_in_order() {
    let mut pair = Pair::joined(|_| ());
    pair.assign(1, &script(DOUBLE, 21));
    let answers = pair.answers(1);
    assert_eq!(outcome(&answers[0]), Ok(vec![42]));
    assert_eq!((answers[0].task, answers[0].attempt), (TaskNo(1), Attempt(1)));
    assert!(
        answers[0].received_at <= answers[0].started_at && answers[0].started_at <= answers[0].finished_at
    );
}

#[test]
fn a_panic_fails_only_its_attempt() {
    let mut pair = Pair::joined(|config| config.slots = 4);
    pair.assign(1, &script(PANIC, 0));
    pair.assign(2, &script(PANIC_IN_ADMISSION, 0));
    pair.assign(3, &script(DOUBLE, 4));
    let outcomes: Vec<_> = pair.answers(3).iter().map(outcome).collect();
    let panicked = Err(AttemptFailure::KernelPanicked);
    assert_eq!(outcomes, vec![panicked.clone(), panicked, Ok(vec![8])]);
    pair.assign(4, &script(DOUBLE, 5));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![10]));
}

#[test]
fn a_panic_on_a_slot_leaves_the_slot_working() {
    let mut pair = Pair::joined(|config| config.execution = Execution::Threads);
    // One slot's thread runs whatever the app's thread does not, so the last answer shows that it still works.
    (1..=40).for_each(|task| pair.assign(task, &script(PANIC, 0)));
    pair.assign(41, &script(PANIC_IN_ADMISSION, 0));
    pair.assign(42, &script(DOUBLE, 4));
    // Threads are not on simulated time; they end all the same.
    while pair.heard.len() < 42 {
        pair.step();
        std::thread::yield_now();
    }
    let outcomes: Vec<_> = pair.answers(42).iter().map(outcome).collect();
    assert!(
        outcomes[..41].iter().all(|outcome| *outcome == Err(AttemptFailure::KernelPanicked)),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[41], Ok(vec![8]));
}

#[test]
fn refuses_what_it_cannot_compute_and_says_why() {
    let mut pair = Pair::joined(|_| ());
    pair.assign_to(1, KindId(99), Vec::new(), Vec::new());
    pair.assign_to(2, Scripted::ID, vec![255; 40], Vec::new());
    pair.assign(3, &script(REFUSE, 0));
    // Five bytes each on the wire: three times what an outcome may have.
    pair.assign(4, &script(GROW, 40_000));
    let failures: Vec<_> = pair.answers(4).iter().map(|answer| outcome(answer).unwrap_err()).collect();
    let bad_spec = AttemptFailure::BadSpec;
    assert_eq!(failures, vec![AttemptFailure::UnknownKind, bad_spec, bad_spec, bad_spec]);
}

#[test]
fn a_revoked_attempt_that_waits_is_not_begun() {
    let mut pair = Pair::joined(|_| ());
    // One slot runs one attempt an update: the last of these has not begun when it is taken back.
    (1..=3).for_each(|task| pair.assign(task, &script(DOUBLE, 1)));
    pair.say(ServerToWorker::Revoke { task: TaskNo(3), attempt: Attempt(1) });
    let tasks: Vec<_> = pair.answers(2).iter().map(|answer| answer.task.0).collect();
    assert_eq!(tasks, vec![1, 2]);
    pair.settle();
    assert_eq!(pair.heard, vec![]);
}

#[test]
fn a_revoked_attempt_that_runs_is_stopped_and_its_slot_free() {
    let mut pair = Pair::joined(|config| config.execution = Execution::Threads);
    // Its kernel runs until it is stopped; if it were not, the only slot would never get to the second task.
    pair.assign(1, &script(UNTIL_STOPPED, 0));
    pair.settle();
    pair.say(ServerToWorker::Revoke { task: TaskNo(1), attempt: Attempt(1) });
    pair.assign(2, &script(ON_A_SLOT, 5));
    // Threads are not on simulated time; they end all the same.
    while pair.heard.is_empty() {
        pair.step();
        std::thread::yield_now();
    }
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![5]));
}

#[test]
fn running_out_of_fuel_is_an_answer_and_not_a_failure() {
    let mut pair = Pair::joined(|_| ());
    pair.assign(1, &script(OUT_OF_FUEL, 0));
    let answers = pair.answers(1);
    assert_eq!(answers[0].result, Ok(p2c2r_tasks::OUT_OF_FUEL.to_vec().into()));
}

#[test]
fn more_than_it_can_hold_is_turned_away_at_once() {
    let mut pair = Pair::joined(|config| config.queued_max = 2);
    (1..=5).for_each(|task| pair.assign(task, &script(DOUBLE, 1)));
    let answers = pair.answers(5);
    let overloaded = Err(AttemptFailure::Overloaded);
    assert_eq!(answers.iter().filter(|answer| outcome(answer) == overloaded).count(), 2, "{answers:?}");
    pair.assign(6, &script(DOUBLE, 3));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![6]));
}

#[test]
fn asks_for_blobs_it_lacks_and_keeps_those_it_gets() {
    let mut pair = Pair::joined(|_| ());
    let bytes = vec![1, 2, 3];
    let digest = Digest::of(&bytes);
    pair.assign(1, &sum_of_blob(digest));
    pair.until("it asks for the blob", |pair| !pair.heard.is_empty());
    let asked = WorkerToServer::BlobsMissing { task: TaskNo(1), attempt: Attempt(1), missing: vec![digest] };
    assert_eq!(pair.heard.drain(..).collect::<Vec<_>>(), vec![asked]);
    let spec = Scripted::encode_spec(&sum_of_blob(digest));
    pair.assign_to(1, Scripted::ID, spec, vec![bytes]);
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![6]));
    pair.assign(2, &sum_of_blob(digest));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![6]));
}

#[test]
fn a_blob_nobody_refers_to_is_not_kept() {
    let mut pair = Pair::joined(|_| ());
    let bytes = vec![9; 10];
    let spec = Scripted::encode_spec(&script(DOUBLE, 1));
    pair.assign_to(1, Scripted::ID, spec, vec![bytes.clone()]);
    pair.answers(1);
    pair.assign(2, &sum_of_blob(Digest::of(&bytes)));
    pair.until("it asks for the blob", |pair| !pair.heard.is_empty());
    assert!(matches!(pair.heard[0], WorkerToServer::BlobsMissing { .. }), "{:?}", pair.heard);
}

#[test]
fn drains_finishes_what_has_begun_hands_back_the_rest_and_leaves() {
    let mut pair = Pair::joined(|_| ());
    (1..=100).for_each(|task| pair.assign(task, &script(DOUBLE, 1)));
    pair.until("the first answer", |pair| !pair.heard.is_empty());
    pair.worker.world().resource::<Drain>().ask();
    pair.assign(101, &script(DOUBLE, 1));
    let mut exit = None;
    pair.until("the worker leaves", |pair| {
        exit = exit.take().or_else(|| pair.worker.should_exit());
        exit.is_some()
    });
    assert_eq!(exit, Some(AppExit::Success));
    pair.until("the coordinator sees it leave", |pair| pair.left == 1);
    assert_eq!(pair.heard.iter().filter(|message| **message == WorkerToServer::Draining).count(), 1);
    let answers = answers_of(&pair.heard);
    let tasks: Vec<_> = answers.iter().map(|answer| answer.task.0).collect();
    assert_eq!(tasks, (1..=101).collect::<Vec<_>>(), "every attempt is answered once");
    let overloaded = Err(AttemptFailure::Overloaded);
    let handed_back = answers.iter().filter(|answer| outcome(answer) == overloaded).count();
    assert!((1..101).contains(&handed_back), "{handed_back} handed back");
    assert_eq!(outcome(&answers[100]), overloaded, "what came after is turned away");
}

/// An assignment may cross the worker's notice on the way. It is answered in the very update in which the worker could
/// leave.
#[test]
fn leaves_only_when_its_last_answer_has_arrived() {
    let mut pair = Pair::joined(|_| ());
    pair.worker.world().resource::<Drain>().ask();
    pair.until("the coordinator knows", |pair| pair.heard == [WorkerToServer::Draining]);
    pair.assign(1, &script(DOUBLE, 1));
    pair.coordinator.update();
    // What the worker says now is lost.
    pair.hub.cut("w");
    pair.worker.update();
    assert_eq!(pair.worker.should_exit(), None);
    pair.hub.heal("w");
    pair.until("the answer is sent again", |pair| !answers_of(&pair.heard).is_empty());
    pair.until("the worker leaves", |pair| pair.worker.should_exit() == Some(AppExit::Success));
}

#[test]
fn an_idle_worker_leaves_at_once_and_one_without_a_coordinator_too() {
    let mut pair = Pair::joined(|_| ());
    pair.worker.world().resource::<Drain>().ask();
    pair.until("the worker leaves", |pair| pair.worker.should_exit() == Some(AppExit::Success));
    let mut alone = Pair::new(|_| ());
    alone.hub.cut("w");
    alone.settle();
    alone.worker.world().resource::<Drain>().ask();
    alone.until("the worker leaves", |pair| pair.worker.should_exit() == Some(AppExit::Success));
}

#[test]
fn announces_itself_again_after_a_lost_connection() {
    let mut pair = Pair::joined(|_| ());
    pair.hub.cut("w");
    pair.until("the coordinator gives the worker up", |pair| pair.left == 1);
    pair.hub.heal("w");
    pair.until("the worker announces itself again", |pair| !pair.heard.is_empty());
    assert!(matches!(pair.heard[0], WorkerToServer::Ready(_)), "{:?}", pair.heard);
    pair.heard.clear();
    pair.assign(1, &script(DOUBLE, 2));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![4]));
}

#[test]
fn a_coordinator_of_another_version_refuses_it_and_names_both() {
    let mut pair = Pair::new(|config| config.kinds = KindRegistry::builtin());
    let mut reason = String::new();
    pair.until("the worker is refused", |pair| {
        if let LinkStatus::Refused { reason: said } = pair.worker.world().resource::<ClientLink>().status() {
            reason.clone_from(&said.detail);
        }
        !reason.is_empty()
    });
    assert!(reason.contains(&kinds().identity().text), "{reason}");
    assert!(reason.contains(&KindRegistry::builtin().identity().text), "{reason}");
    assert_eq!(pair.heard, vec![]);
}

#[test]
fn statements_of_any_size_are_survived() {
    let mut pair = Pair::joined(|_| ());
    let smallest = WorkerStatement {
        earned: Nanos(i64::MIN),
        pending: Nanos(i64::MAX),
        paid: Nanos(i64::MAX),
        session: WorkerSession { earned: Nanos(i64::MIN), accepted: u64::MAX, rejected: u64::MAX },
        verdicts: Vec::new(),
    };
    let largest = WorkerStatement {
        earned: Nanos(i64::MAX),
        session: WorkerSession { earned: Nanos(i64::MAX), accepted: 0, rejected: 0 },
        ..smallest.clone()
    };
    let prices = PriceList {
        version: 1,
        nanos_per_mega_unit: vec![(Scripted::ID, u64::MAX)],
        graphics_nanos_per_mega_unit: vec![(Scripted::ID, u64::MAX)],
        fee_basis_points: 10_000,
    };
    pair.say(ServerToWorker::Welcome(WorkerWelcome { name: "w".into(), prices, statement: smallest }));
    pair.say(ServerToWorker::Statement(largest));
    pair.say(ServerToWorker::Closing { reason: "bye".into() });
    pair.settle();
    pair.assign(1, &script(DOUBLE, 2));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![4]));
}
