//! The protocol as a table, the worker's part: what each of the coordinator's messages does at each moment of an
//! attempt's life. The coordinator's part is in `server/tests/coordinator/conformance.rs`, the game's in
//! `shared/offload/src/tests/conformance.rs`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

use p2c2r_protocol::identity::samples_of_server_to_worker;
use p2c2r_worker::attempts::Attempts;
use p2c2r_worker::earnings::SessionEarnings;

use super::*;

/// Where an attempt stands when a message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was not assigned.
    Unknown,
    /// It was assigned without its blob, for which the worker has asked.
    BlobsMissing,
    /// It waits for a slot.
    Waiting,
    /// A slot computes it.
    Running,
    /// It was answered.
    Answered,
    /// It was revoked while it waited.
    TakenBack,
    /// It was revoked while a slot computed it, and its kernel has not ended.
    Revoked,
    /// The connection under which it was assigned is over, another has begun, and its kernel has not ended.
    Lost,
    /// The worker is leaving and has handed it back.
    HandedBack,
}

const STATES: [State; 9] = [
    State::Unknown,
    State::BlobsMissing,
    State::Waiting,
    State::Running,
    State::Answered,
    State::TakenBack,
    State::Revoked,
    State::Lost,
    State::HandedBack,
];

/// What a coordinator may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// The attempt, with its blob.
    Assign,
    /// Under its number, a spec that refers to a blob which the worker lacks.
    AssignLacking,
    /// Under its number, a spec that does not decode.
    AssignMalformed,
    /// Under its number, a kind that the worker does not have.
    AssignUnknownKind,
    /// The next attempt of its task.
    AssignNext,
    Revoke,
    /// Takes back the next attempt of its task.
    RevokeNext,
    Welcome,
    Statement,
    Closing,
    Spare,
}

const SAYS: [Says; 11] = [
    Says::Assign,
    Says::AssignLacking,
    Says::AssignMalformed,
    Says::AssignUnknownKind,
    Says::AssignNext,
    Says::Revoke,
    Says::RevokeNext,
    Says::Welcome,
    Says::Statement,
    Says::Closing,
    Says::Spare,
];

/// What must happen from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing is said of the task.
    Nothing,
    /// Nothing is said of the task, and its kernel is stopped, or never begun.
    Dropped,
    /// The attempt is answered once, with its outcome.
    Answered,
    /// The next attempt is, and this one is not.
    NextAnswered,
    /// Both are.
    BothAnswered,
    /// What was assigned is refused.
    Refused(AttemptFailure),
    /// The worker asks for the blob.
    AsksForBlobs,
}

fn row(says: Says) -> fn(State) -> Effect {
    match says {
        Says::Assign => |state| if_it_is_not_held(state, Effect::Answered),
        Says::AssignLacking => |state| if_it_is_not_held(state, Effect::AsksForBlobs),
        Says::AssignMalformed => |state| if_it_is_not_held(state, Effect::Refused(AttemptFailure::BadSpec)),
        Says::AssignUnknownKind => {
            |state| if_it_is_not_held(state, Effect::Refused(AttemptFailure::UnknownKind))
        }
        Says::AssignNext => |state| match if_it_is_not_held(state, Effect::NextAnswered) {
            Effect::Answered => Effect::BothAnswered,
            effect => effect,
        },
        Says::Revoke => |state| match nothing_new(state) {
            Effect::Answered => Effect::Dropped,
            effect => effect,
        },
        Says::RevokeNext | Says::Welcome | Says::Statement | Says::Closing | Says::Spare => nothing_new,
    }
}

/// An assignment under a number that is held is the same one sent twice.
fn if_it_is_not_held(state: State, effect: Effect) -> Effect {
    match state {
        State::Waiting | State::Running => Effect::Answered,
        State::HandedBack => Effect::Refused(AttemptFailure::Overloaded),
        State::Unknown
        | State::BlobsMissing
        | State::Answered
        | State::TakenBack
        | State::Revoked
        | State::Lost => effect,
    }
}

fn nothing_new(state: State) -> Effect {
    match state {
        State::Waiting | State::Running => Effect::Answered,
        State::Unknown
        | State::BlobsMissing
        | State::Answered
        | State::TakenBack
        | State::Revoked
        | State::Lost
        | State::HandedBack => Effect::Nothing,
    }
}

impl Says {
    /// Every message of the protocol is in the table.
    fn of(message: &ServerToWorker) -> Self {
        match message {
            ServerToWorker::Welcome(_) => Self::Welcome,
            ServerToWorker::Assign(_) => Self::Assign,
            ServerToWorker::Revoke { .. } => Self::Revoke,
            ServerToWorker::Statement(_) => Self::Statement,
            ServerToWorker::Closing { .. } => Self::Closing,
            ServerToWorker::Spare(_) => Self::Spare,
        }
    }

    fn about(self, scene: &Scene) -> ServerToWorker {
        let (assign, next) = (scene.assign(), Attempt(2));
        let sample = |says| {
            let sample = samples_of_server_to_worker().into_iter().find(|message| Self::of(message) == says);
            sample.expect("a sample of every message")
        };
        match self {
            Self::Assign => ServerToWorker::Assign(assign),
            Self::AssignLacking => {
                let (what, number, _) = scene.script;
                let spec = Scripted::encode_spec(&(what, number, vec![Digest([9; 32])]));
                ServerToWorker::Assign(Assign { spec: spec.into(), ..assign })
            }
            Self::AssignMalformed => ServerToWorker::Assign(Assign { spec: vec![255; 40].into(), ..assign }),
            Self::AssignUnknownKind => ServerToWorker::Assign(Assign { kind: KindId(99), ..assign }),
            Self::AssignNext => ServerToWorker::Assign(Assign { attempt: next, ..assign }),
            Self::Revoke => ServerToWorker::Revoke { task: assign.task, attempt: assign.attempt },
            Self::RevokeNext => ServerToWorker::Revoke { task: assign.task, attempt: next },
            Self::Welcome | Self::Statement | Self::Closing | Self::Spare => sample(self),
        }
    }
}

/// Kernels that wait to be let go, by their numbers.
struct Kernels {
    begun: BTreeSet<u32>,
    let_go: BTreeSet<u32>,
    stopped: BTreeSet<u32>,
}

static KERNELS: Mutex<Kernels> =
    Mutex::new(Kernels { begun: BTreeSet::new(), let_go: BTreeSet::new(), stopped: BTreeSet::new() });

fn kernels() -> MutexGuard<'static, Kernels> {
    KERNELS.lock().unwrap()
}

/// Runs a kernel that waits until the test lets it go or, if it is given a flag, until it is stopped.
pub fn wait_until_let_go(number: u32, stop: Option<&Stop>) -> Result<Vec<u32>, KernelError> {
    kernels().begun.insert(number);
    loop {
        if stop.is_some_and(Stop::is_stopped) {
            kernels().stopped.insert(number);
            return Err(KernelError::Stopped);
        }
        if kernels().let_go.contains(&number) {
            return Ok(vec![number]);
        }
        std::thread::yield_now();
    }
}

/// A number for a new kernel.
fn new_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

const TASK: TaskNo = TaskNo(1);
/// Occupies the slot while the task waits.
const BLOCKER: TaskNo = TaskNo(2);
/// Is computed last.
const LAST: TaskNo = TaskNo(3);

/// A worker with one slot, and an attempt in some state.
struct Scene {
    pair: Pair,
    state: State,
    script: Script,
    blocker: u32,
}

impl Scene {
    fn new(state: State) -> Self {
        let pair = Pair::joined(|config| config.execution = Execution::Threads);
        let what = match state {
            State::Revoked | State::Lost => WHEN_LET_GO_ALONE,
            _ => WHEN_LET_GO,
        };
        let number = new_number();
        let script = (what, number, vec![Digest::of(&number.to_le_bytes())]);
        let mut scene = Self { pair, state, script, blocker: new_number() };
        scene.enter();
        scene.pair.heard.clear();
        scene
    }

    fn assign(&self) -> Assign {
        Assign {
            task: TASK,
            attempt: Attempt(1),
            kind: Scripted::ID,
            lease_us: LEASE_US,
            spec: Scripted::encode_spec(&self.script).into(),
            blobs: vec![self.number().to_le_bytes().to_vec()],
        }
    }

    fn number(&self) -> u32 {
        self.script.1
    }

    fn enter(&mut self) {
        let assign = self.assign();
        match self.state {
            State::Unknown => {}
            State::BlobsMissing => {
                self.says(ServerToWorker::Assign(Assign { blobs: Vec::new(), ..assign }));
                assert!(matches!(self.pair.heard[..], [WorkerToServer::BlobsMissing { .. }]));
            }
            State::Waiting => self.wait(),
            State::Running => self.begin(),
            State::Answered => {
                self.begin();
                self.let_go();
                self.until(|scene| !scene.pair.heard.is_empty());
            }
            State::TakenBack => {
                self.wait();
                self.says(Says::Revoke.about(self));
            }
            State::Revoked => {
                self.begin();
                self.says(Says::Revoke.about(self));
            }
            State::Lost => {
                self.begin();
                self.pair.hub.cut("w");
                self.pair.until("the coordinator gives the worker up", |pair| pair.left == 1);
                self.pair.hub.heal("w");
                self.pair.until("the worker announces itself again", |pair| !pair.heard.is_empty());
            }
            State::HandedBack => {
                self.wait();
                self.pair.worker.world().resource::<Drain>().ask();
                self.pair.until("it is handed back", |pair| !answers_of(&pair.heard).is_empty());
            }
        }
    }

    fn wait(&mut self) {
        self.pair.assign(BLOCKER.0, &script(WHEN_LET_GO, self.blocker));
        self.until(|scene| kernels().begun.contains(&scene.blocker));
        self.says(ServerToWorker::Assign(self.assign()));
    }

    fn begin(&mut self) {
        self.says(ServerToWorker::Assign(self.assign()));
        self.until(|scene| kernels().begun.contains(&scene.number()));
    }

    fn let_go(&self) {
        kernels().let_go.extend([self.number(), self.blocker]);
    }

    /// Steps until a slot's thread, which is not on simulated time, has done something.
    fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            self.pair.step();
            std::thread::yield_now();
        }
    }

    /// Sends a message, and waits until it has arrived, and any immediate answer too.
    fn says(&mut self, message: ServerToWorker) {
        self.pair.say(message);
        (0..20).for_each(|_| self.pair.step());
    }

    /// The effect of a message, derived from everything that can be observed.
    fn effect_of(mut self, says: Says) -> Effect {
        self.says(says.about(&self));
        self.let_go();
        if self.state == State::HandedBack {
            self.until(|scene| scene.pair.worker.should_exit().is_some());
        } else {
            // One slot computes in order: this answer comes after all others.
            self.pair.assign(LAST.0, &script(ON_A_SLOT, 5));
            self.until(|scene| answers_of(&scene.pair.heard).iter().any(|answer| answer.task == LAST));
        }
        assert_eq!(self.pair.worker.world().resource::<Attempts>().held(), 0, "nothing is held");
        let is_begun_in_vain =
            kernels().begun.contains(&self.number()) && !kernels().stopped.contains(&self.number());
        let mut said = Vec::new();
        for message in &self.pair.heard {
            match message {
                WorkerToServer::BlobsMissing { task: TASK, attempt, .. } => said.push((attempt.0, None)),
                WorkerToServer::Answer(answer) if answer.task == TASK => {
                    said.push((answer.attempt.0, Some(outcome(answer))));
                }
                WorkerToServer::Answer(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let right = Some(Ok(vec![self.number()]));
        match &said[..] {
            [] if matches!(self.state, State::Waiting | State::Running) && !is_begun_in_vain => {
                Effect::Dropped
            }
            [] => Effect::Nothing,
            [(1, answer)] if *answer == right => Effect::Answered,
            [(2, answer)] if *answer == right => Effect::NextAnswered,
            [(1, first), (2, second)] if *first == right && *second == right => Effect::BothAnswered,
            [(_, Some(Err(failure)))] => Effect::Refused(*failure),
            [(1, None)] => Effect::AsksForBlobs,
            other => panic!("{says:?}, {:?}: {other:?}", self.state),
        }
    }
}

#[test]
fn each_message_does_what_the_table_says_at_each_moment() {
    let mut wrong = Vec::new();
    for says in SAYS {
        for state in STATES {
            let (effect, must) = (Scene::new(state).effect_of(says), row(says)(state));
            if effect != must {
                wrong.push(format!(
                    "{says:?} to an attempt that is {state:?}: {effect:?} instead of {must:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_time_of_a_revoked_attempt_is_counted_for_electricity_too() {
    let mut scene = Scene::new(State::Running);
    scene.says(Says::Revoke.about(&scene));
    scene.pair.assign(LAST.0, &script(ON_A_SLOT, 5));
    scene.until(|scene| !scene.pair.heard.is_empty());
    let last = &scene.pair.answers(1)[0];
    let own = Duration::from_micros(last.finished_at.0 - last.started_at.0);
    let all = scene.pair.worker.world().resource::<SessionEarnings>().computing();
    assert!(all > own, "{all:?}, of which {own:?} is of the task that was answered");
}

#[test]
fn no_message_is_left_out() {
    for message in samples_of_server_to_worker() {
        assert!(SAYS.contains(&Says::of(&message)), "{message:?}");
    }
}
