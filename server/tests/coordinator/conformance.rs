//! The protocol as a table: what each message does at each moment of a task's life.
//!
//! No match here has a wildcard: a new message, failure or state does not compile until its row is written, and the
//! samples of the protocol itself are the check that none was left out.

mod scene;

use std::collections::HashSet;

use p2c2r_protocol::identity::{samples_of_game_to_server, samples_of_worker_to_server};
use p2c2r_protocol::{
    Answer, AttemptFailure, Digest, GameToServer, Micros, PeerId, Submit, WorkerOffer, WorkerToServer,
};
use p2c2r_server::Fallback;

use crate::stage::Stage;
use crate::toy;
use scene::Scene;

/// Where a task stands when a message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has asked for it.
    Unknown,
    /// It waits for a worker and never had one.
    Queued,
    /// A worker has it.
    Leased,
    /// Its worker's answer is being checked.
    Judged,
    /// Its worker's lease is over, and it waits for another.
    Revoked,
    /// It was finished and charged while its gamer was away, who is back now.
    Settled,
    /// Its gamer has the outcome.
    Delivered,
    /// It was cancelled.
    Cancelled,
}

const STATES: [State; 8] = [
    State::Unknown,
    State::Queued,
    State::Leased,
    State::Judged,
    State::Revoked,
    State::Settled,
    State::Delivered,
    State::Cancelled,
];

/// What a game may say of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum GameSays {
    Submit,
    /// The same id for something else.
    SubmitOther,
    Cancel,
    Leaving,
}

/// What a worker may say of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum WorkerSays {
    Ready,
    RightAnswer,
    WrongAnswer,
    Failure(AttemptFailureName),
    BlobsMissing,
    Draining,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum AttemptFailureName {
    KernelPanicked,
    BadSpec,
    Overloaded,
    UnknownKind,
}

/// What must happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing, and nothing is counted.
    Nothing,
    /// Nothing, and it is counted as an answer to an attempt its sender does not hold.
    Stray,
    /// The task is let in.
    Admitted,
    /// The outcome is sent again, for no money.
    AnsweredAgain,
    /// The id is refused.
    IdReused,
    /// The task ends, and at most what was begun of it is charged.
    Ends,
    /// The task ends with this outcome, and is charged.
    Done,
    /// The attempt is over, and the task goes on.
    TriedAgain,
    /// The assignment is sent again under the same number.
    SentAgain,
    /// The task is handed out.
    HandedOut,
}

fn row_of_game(says: GameSays) -> fn(State) -> Effect {
    match says {
        GameSays::Submit => |state| match state {
            State::Unknown => Effect::Admitted,
            State::Queued | State::Leased | State::Judged | State::Revoked => Effect::Nothing,
            State::Settled | State::Delivered => Effect::AnsweredAgain,
            State::Cancelled => Effect::IdReused,
        },
        GameSays::SubmitOther => |state| match state {
            State::Unknown => Effect::Admitted,
            State::Queued
            | State::Leased
            | State::Judged
            | State::Revoked
            | State::Settled
            | State::Delivered
            | State::Cancelled => Effect::IdReused,
        },
        GameSays::Cancel | GameSays::Leaving => |state| match state {
            State::Queued | State::Leased | State::Revoked => Effect::Ends,
            // A judged task has an answer, which is charged like any other.
            State::Unknown | State::Judged | State::Settled | State::Delivered | State::Cancelled => {
                Effect::Nothing
            }
        },
    }
}

fn row_of_worker(says: WorkerSays) -> fn(State) -> Effect {
    match says {
        // Its worker has said that it takes nothing more.
        WorkerSays::Ready => |state| match state {
            State::Queued => Effect::HandedOut,
            State::Unknown
            | State::Leased
            | State::Judged
            | State::Revoked
            | State::Settled
            | State::Delivered
            | State::Cancelled => Effect::Nothing,
        },
        WorkerSays::Draining => |state| match state {
            State::Unknown
            | State::Queued
            | State::Leased
            | State::Judged
            | State::Revoked
            | State::Settled
            | State::Delivered
            | State::Cancelled => Effect::Nothing,
        },
        WorkerSays::RightAnswer => |state| only_under_a_lease(state, Effect::Done),
        WorkerSays::BlobsMissing => |state| only_under_a_lease(state, Effect::SentAgain),
        WorkerSays::WrongAnswer
        | WorkerSays::Failure(
            AttemptFailureName::KernelPanicked
            | AttemptFailureName::BadSpec
            | AttemptFailureName::Overloaded
            | AttemptFailureName::UnknownKind,
        ) => |state| only_under_a_lease(state, Effect::TriedAgain),
    }
}

fn only_under_a_lease(state: State, effect: Effect) -> Effect {
    match state {
        State::Leased => effect,
        State::Unknown
        | State::Queued
        | State::Judged
        | State::Revoked
        | State::Settled
        | State::Delivered
        | State::Cancelled => Effect::Stray,
    }
}

#[test]
fn every_message_of_a_game_does_what_the_table_says() {
    let mut said = HashSet::new();
    for says in [GameSays::Submit, GameSays::SubmitOther, GameSays::Cancel, GameSays::Leaving] {
        for state in STATES {
            let mut scene = Scene::new(state);
            let message = message_of_game(says, &scene);
            said.insert(std::mem::discriminant(&message));
            let effect = scene.effect_of(|scene| scene.stage.game_says(scene.gamer, message));
            assert_eq!(effect, row_of_game(says)(state), "{says:?} at {state:?}");
            scene.conclude();
        }
    }
    assert!(samples_of_game_to_server().iter().all(|sample| said.contains(&std::mem::discriminant(sample))));
}

#[test]
fn every_message_of_a_worker_does_what_the_table_says() {
    let failures = [
        AttemptFailureName::KernelPanicked,
        AttemptFailureName::BadSpec,
        AttemptFailureName::Overloaded,
        AttemptFailureName::UnknownKind,
    ];
    let mut all = vec![
        WorkerSays::Ready,
        WorkerSays::RightAnswer,
        WorkerSays::WrongAnswer,
        WorkerSays::BlobsMissing,
        WorkerSays::Draining,
    ];
    all.extend(failures.map(WorkerSays::Failure));
    let mut said = HashSet::new();
    for says in all {
        for state in STATES {
            let mut scene = Scene::new(state);
            let message = message_of_worker(says, &scene);
            said.insert(std::mem::discriminant(&message));
            let effect = scene.effect_of(|scene| scene.stage.worker_says(scene.worker, message));
            assert_eq!(effect, row_of_worker(says)(state), "{says:?} at {state:?}");
            scene.conclude();
        }
    }
    let samples = samples_of_worker_to_server();
    assert!(samples.iter().all(|sample| said.contains(&std::mem::discriminant(sample))));
    for sample in samples {
        if let WorkerToServer::Answer(Answer { result: Err(failure), .. }) = sample {
            assert!(failures.contains(&name_of(failure)));
        }
    }
}

fn message_of_game(says: GameSays, scene: &Scene) -> GameToServer {
    match says {
        GameSays::Submit => GameToServer::Submit(scene.submit.clone()),
        GameSays::SubmitOther => {
            GameToServer::Submit(Submit { spec: toy::spec(77).encode().into(), ..scene.submit.clone() })
        }
        GameSays::Cancel => GameToServer::Cancel { task: scene.task },
        GameSays::Leaving => GameToServer::Leaving,
    }
}

fn message_of_worker(says: WorkerSays, scene: &Scene) -> WorkerToServer {
    let answer = |result: Result<Vec<u8>, AttemptFailure>| {
        WorkerToServer::Answer(Answer {
            task: scene.assign.task,
            attempt: scene.assign.attempt,
            result: result.map(Into::into),
            received_at: Micros(1),
            started_at: Micros(2),
            finished_at: Micros(3),
        })
    };
    let right = toy::answer(toy::number_in(&scene.submit.spec));
    match says {
        WorkerSays::Ready => {
            WorkerToServer::Ready(WorkerOffer { slots: 1, kernels: toy::kinds().offers(), region: None })
        }
        WorkerSays::RightAnswer => answer(Ok(right)),
        WorkerSays::WrongAnswer => answer(Ok(toy::answer(1_000))),
        WorkerSays::Failure(name) => answer(Err(failure_of(name))),
        WorkerSays::BlobsMissing => WorkerToServer::BlobsMissing {
            task: scene.assign.task,
            attempt: scene.assign.attempt,
            missing: vec![Digest([1; 32])],
        },
        WorkerSays::Draining => WorkerToServer::Draining,
    }
}

fn failure_of(name: AttemptFailureName) -> AttemptFailure {
    match name {
        AttemptFailureName::KernelPanicked => AttemptFailure::KernelPanicked,
        AttemptFailureName::BadSpec => AttemptFailure::BadSpec,
        AttemptFailureName::Overloaded => AttemptFailure::Overloaded,
        AttemptFailureName::UnknownKind => AttemptFailure::UnknownKind,
    }
}

fn name_of(failure: AttemptFailure) -> AttemptFailureName {
    match failure {
        AttemptFailure::KernelPanicked => AttemptFailureName::KernelPanicked,
        AttemptFailure::BadSpec => AttemptFailureName::BadSpec,
        AttemptFailure::Overloaded => AttemptFailureName::Overloaded,
        AttemptFailure::UnknownKind => AttemptFailureName::UnknownKind,
    }
}

/// Before the welcome only a worker's offer is handled; after the farewell nothing is.
#[test]
fn messages_before_the_welcome_and_after_the_farewell_do_nothing() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let stranger = PeerId(1);
    for message in samples_of_game_to_server() {
        stage.game_says(stranger, message);
    }
    for message in samples_of_worker_to_server() {
        stage.worker_says(stranger, message);
    }
    stage.step();
    assert_eq!((stage.tally().stray, stage.tally().refused, stage.in_flight()), (0, 0, 0));
    let gamer = stage.gamer("g");
    let offer = WorkerOffer { slots: 1, kernels: toy::kinds().offers(), region: None };
    let worker = stage.early_worker("w", WorkerToServer::Ready(offer));
    let task = stage.ask(gamer, 5);
    let (to, assign) = stage.assignment();
    assert_eq!(to, worker, "what it said before its account was open counts");
    stage.leave(worker);
    stage.answer_rightly(worker, &assign);
    assert!(stage.heard(task).is_empty() && stage.in_flight() == 1);
}
