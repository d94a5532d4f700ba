//! The protocol as a table, the game's half: what each of the coordinator's messages does at each moment of a task's life.
//! The coordinator's half is in `server/tests/coordinator/conformance.rs`.

use p2c2r_protocol::identity::samples_of_server_to_game;
use p2c2r_protocol::{SpareToken, TaskFailure};

use super::*;

/// Where a task stands when a message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has asked for it.
    Unknown,
    /// It was sent.
    Sent,
    /// It was refused and is being computed here.
    Here,
    /// The coordinator's outcome was delivered.
    Delivered,
    /// The coordinator was late: the local outcome was delivered, and the coordinator told.
    DeliveredHere,
    /// The game has lost interest, and the coordinator was told.
    Cancelled,
    /// The connection under which it was sent is over, and another has begun.
    Lost,
}

const STATES: [State; 7] = [
    State::Unknown,
    State::Sent,
    State::Here,
    State::Delivered,
    State::DeliveredHere,
    State::Cancelled,
    State::Lost,
];

/// The messages that a coordinator may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Done,
    DoneMalformed,
    Refused,
    BlobsMissing,
    Failed,
    Welcome,
    Statement,
    Closing,
    Spare,
}

const SAYS: [Says; 9] = [
    Says::Done,
    Says::DoneMalformed,
    Says::Refused,
    Says::BlobsMissing,
    Says::Failed,
    Says::Welcome,
    Says::Statement,
    Says::Closing,
    Says::Spare,
];

/// What must happen to the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing, and nothing is counted.
    Nothing,
    /// Nothing, and it is counted as a message about an unknown task.
    Stray,
    /// Nothing, and it is counted as an outcome that came after the task's end.
    Second,
    /// The coordinator's outcome is delivered.
    Delivers,
    /// The task is computed here, and that outcome is delivered.
    ComputedHere,
}

fn row(says: Says) -> fn(State) -> Effect {
    match says {
        Says::Done => |state| match state {
            State::Unknown | State::Delivered | State::Lost => Effect::Stray,
            State::Sent => Effect::Delivers,
            State::Here => Effect::ComputedHere,
            State::DeliveredHere | State::Cancelled => Effect::Second,
        },
        // After the task's end it makes no difference that the outcome is malformed.
        Says::DoneMalformed => |state| match state {
            State::Unknown | State::Delivered | State::Lost => Effect::Stray,
            State::Sent | State::Here => Effect::ComputedHere,
            State::DeliveredHere | State::Cancelled => Effect::Second,
        },
        Says::Refused | Says::Failed | Says::BlobsMissing => |state| match state {
            State::Unknown | State::Delivered | State::Lost => Effect::Stray,
            State::Sent | State::Here => Effect::ComputedHere,
            State::DeliveredHere | State::Cancelled => Effect::Nothing,
        },
        Says::Welcome | Says::Statement | Says::Closing | Says::Spare => |state| match state {
            State::Here | State::Sent => Effect::ComputedHere,
            State::Unknown | State::Delivered | State::DeliveredHere | State::Cancelled | State::Lost => {
                Effect::Nothing
            }
        },
    }
}

impl Says {
    /// Every message of the protocol is in the table.
    fn of(message: &ServerToGame) -> Self {
        match message {
            ServerToGame::Welcome(_) => Self::Welcome,
            ServerToGame::Refused { refusal: Refusal::BlobsMissing { .. }, .. } => Self::BlobsMissing,
            ServerToGame::Refused { .. } => Self::Refused,
            ServerToGame::Failed { .. } => Self::Failed,
            ServerToGame::Done(_) => Self::Done,
            ServerToGame::Statement(_) => Self::Statement,
            ServerToGame::Closing { .. } => Self::Closing,
            ServerToGame::Spare(_) => Self::Spare,
        }
    }

    fn about(self, task: TaskId) -> ServerToGame {
        match self {
            Self::Done => done(task, 42),
            Self::DoneMalformed => ServerToGame::Done(Done {
                task,
                outcome: vec![255].into(),
                receipt: receipt(ComputedBy::Coordinator),
            }),
            Self::Refused => ServerToGame::Refused { task, refusal: Refusal::NoWorker },
            Self::BlobsMissing => ServerToGame::Refused {
                task,
                refusal: Refusal::BlobsMissing { missing: vec![Digest([1; 32])] },
            },
            Self::Failed => ServerToGame::Failed { task, failure: TaskFailure::Late },
            Self::Welcome => welcome_under(SESSION + 2),
            Self::Statement => ServerToGame::Statement(statement()),
            Self::Closing => ServerToGame::Closing { reason: "maintenance".into() },
            Self::Spare => ServerToGame::Spare(SpareToken(vec![7; 40])),
        }
    }
}

/// A game with a task in this state.
fn game_in(state: State) -> (Game, TaskId) {
    let mut game = Game::new();
    if state == State::Unknown {
        return (game, TaskId(u64::from(SESSION) << 32 | 0x4D));
    }
    let entity = game.ask_for(21);
    let task = game.submit().task;
    match state {
        State::Unknown | State::Sent => {}
        State::Here => {
            game.refuse(task, Refusal::NoWorker);
            game.frame();
            assert!(game.got().done.is_empty());
        }
        State::Delivered => {
            game.say(done(task, 42));
            game.frame();
            assert_ne!(game.outcome().place, Place::Local);
        }
        State::DeliveredHere => {
            game.frames(25);
            assert_eq!(game.outcome().place, Place::Local);
        }
        State::Cancelled => {
            game.during_update(move |world| {
                world.despawn(entity);
            });
            assert_eq!(game.cancels(), [task]);
        }
        State::Lost => {
            game.lose_link();
            game.frames(5);
            assert_eq!(game.outcome().place, Place::Local);
            game.say(welcome_under(SESSION + 1));
            game.frame();
        }
    }
    (game, task)
}

fn effect_of(says: Says, state: State) -> Effect {
    let (mut game, task) = game_in(state);
    let (before, stray, delivered) = (game.totals(), game.stray(), game.got().done.len());
    game.say(says.about(task));
    game.frames(30);
    let (after, new) = (game.totals(), game.got().done.len() - delivered);
    assert_eq!(after.open, 0, "{says:?}, {state:?}: it has ended");
    assert!(new <= 1 && after.failed == 0, "{says:?}, {state:?}: once, with an outcome");
    assert!(game.got().done.iter().all(|done| *done.outcome == 42));
    let counted = (game.stray() - stray, after.wasted - before.wasted);
    match (new, counted) {
        (0, (0, 0)) => Effect::Nothing,
        (0, (1, 0)) => Effect::Stray,
        (0, (0, 1)) => Effect::Second,
        (1, _) if game.got().done[delivered].place == Place::Local => Effect::ComputedHere,
        (1, (0, 0)) => Effect::Delivers,
        other => panic!("{says:?}, {state:?}: {other:?}"),
    }
}

#[test]
fn each_message_does_what_the_table_says_at_each_moment() {
    let mut wrong = Vec::new();
    for says in SAYS {
        for state in STATES {
            let (effect, must) = (effect_of(says, state), row(says)(state));
            if effect != must {
                wrong.push(format!("{says:?} to a task that is {state:?}: {effect:?} instead of {must:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_message_is_left_out() {
    for message in samples_of_server_to_game() {
        assert!(SAYS.contains(&Says::of(&message)), "{message:?}");
    }
}
