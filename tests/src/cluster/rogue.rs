//! Workers that break the rules: each plays one trick with every task it gets.

use std::collections::VecDeque;
use std::time::Duration;

use bevy_app::{App, Update};
use bevy_ecs::message::{MessageReader, MessageWriter, Messages};
use bevy_ecs::prelude::{Res, ResMut, Resource};
use bevy_time::{Real, Time, TimePlugin};
use p2c2r_link::{
    ClientLinkConfig, ClientLinkPlugin, ClientTransport, FromServer, LinkUp, Reconnect, ToServer, WorkerSide,
};
use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{Answer, Assign, Attempt, Micros, ServerToWorker, TaskNo, WorkerOffer, WorkerToServer};
use p2c2r_tasks::{Blob, BlobStore, KindRegistry, Stop};
use rand::{RngCore, SeedableRng};
use rand_pcg::Pcg32;

use crate::redteam::Trick;
use crate::redteam::cheat::Cheat;
use crate::redteam::samples::{number_of, sample_of};

/// Slots that a rogue announces.
const SLOTS: u16 = 4;
/// Bytes of blobs that a rogue keeps.
const BLOB_BYTES_MAX: usize = 1 << 20;
/// How long a late rogue delays an answer: longer than any lease of a small task.
const HELD: Duration = Duration::from_millis(1_500);

/// What a rogue does with its tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RogueTrick {
    /// Answers with bytes that are no outcome.
    Garbage,
    /// Answers with more bytes than an outcome may have.
    Oversized,
    /// Answers with the first half of the outcome.
    Truncated,
    /// Answers every task but the first with the outcome of the first.
    Copied,
    /// Answers attempts it was never given, then its own.
    Forged,
    /// Answers three times.
    Repeated,
    /// Answers two tasks at a time, the later one first.
    Reordered,
    /// Answers correctly, but long after its lease has expired.
    Late,
    /// Answers one task in `every` with an outcome whose last byte is changed.
    Lies {
        /// One in how many.
        every: usize,
    },
    /// Plays a trick of the red team with its samples.
    Cheats(Trick),
}

/// The state of a rogue.
#[derive(Resource)]
struct Rogue {
    trick: RogueTrick,
    /// Makes its answers if it plays a trick of the red team.
    cheat: Cheat,
    kinds: KindRegistry,
    blobs: BlobStore,
    random: Pcg32,
    /// The first outcome it computed.
    first: Option<Vec<u8>>,
    seen: usize,
    /// Delayed answers, each with its time.
    held: VecDeque<(Duration, Answer)>,
}

/// A rogue's app.
pub(super) fn build_app(name: &str, trick: RogueTrick, transport: ClientTransport) -> App {
    let kinds = KindRegistry::builtin();
    let mut app = App::new();
    app.add_plugins(TimePlugin)
        .add_plugins(ClientLinkPlugin::<WorkerSide>::new(ClientLinkConfig {
            transport,
            identity: kinds.identity(),
            name: name.into(),
            rate_limit: None,
            impair: None,
            reconnect: Reconnect::default(),
        }))
        .insert_resource(Rogue {
            trick,
            cheat: Cheat::new(if let RogueTrick::Cheats(trick) = trick { trick } else { Trick::Honest }),
            kinds,
            blobs: BlobStore::new(BLOB_BYTES_MAX),
            random: Pcg32::seed_from_u64(1),
            first: None,
            seen: 0,
            held: VecDeque::new(),
        })
        .add_systems(Update, play);
    app
}

/// Tasks it has been given.
pub(super) fn has_seen(app: &App) -> usize {
    app.world().resource::<Rogue>().seen
}

/// Whether it still delays answers.
pub(super) fn is_waiting(app: &App) -> bool {
    !app.world().resource::<Rogue>().held.is_empty()
}

fn play(
    mut rogue: ResMut<'_, Rogue>,
    mut ups: MessageReader<'_, '_, LinkUp>,
    mut heard: ResMut<'_, Messages<FromServer<ServerToWorker>>>,
    mut say: MessageWriter<'_, ToServer<WorkerToServer>>,
    time: Res<'_, Time<Real>>,
) {
    if ups.read().next().is_some() {
        let offer = WorkerOffer { slots: SLOTS, kernels: rogue.kinds.offers(), region: None };
        say.write(ToServer(WorkerToServer::Ready(offer)));
    }
    for FromServer { message, .. } in heard.drain() {
        if let ServerToWorker::Assign(assign) = message {
            let answers = rogue.answer(assign, time.elapsed());
            say.write_batch(answers.into_iter().map(|answer| ToServer(WorkerToServer::Answer(answer))));
        }
    }
    while rogue.held.front().is_some_and(|(at, _)| *at <= time.elapsed()) {
        let Some((_, answer)) = rogue.held.pop_front() else { break };
        say.write(ToServer(WorkerToServer::Answer(answer)));
    }
}

impl Rogue {
    /// The answers to send at once.
    fn answer(&mut self, assign: Assign, now: Duration) -> Vec<Answer> {
        self.seen += 1;
        if let RogueTrick::Cheats(_) = self.trick {
            let number = number_of(&assign.spec).expect("one of the samples");
            let outcome = self.cheat.answer(sample_of(number), number, &mut self.random);
            return outcome
                .map(|outcome| answer(assign.task, assign.attempt, &outcome))
                .into_iter()
                .collect();
        }
        let right = self.compute(&assign);
        let answer = |outcome: &[u8]| answer(assign.task, assign.attempt, outcome);
        match self.trick {
            RogueTrick::Garbage => {
                let mut bytes = vec![0; 200];
                self.random.fill_bytes(&mut bytes);
                vec![answer(&bytes)]
            }
            RogueTrick::Oversized => vec![answer(&vec![0; OUTCOME_BYTES_MAX + 1])],
            RogueTrick::Truncated => vec![answer(&right[..right.len() / 2])],
            RogueTrick::Copied => vec![answer(self.first.get_or_insert(right))],
            RogueTrick::Forged => vec![
                Answer { attempt: Attempt(assign.attempt.0 + 1), ..answer(&right) },
                Answer { attempt: Attempt(0), ..answer(&right) },
                Answer { task: TaskNo(assign.task.0 + 1_000), ..answer(&right) },
                answer(&right),
            ],
            RogueTrick::Repeated => vec![answer(&right); 3],
            RogueTrick::Reordered => {
                if let Some((_, earlier)) = self.held.pop_front() {
                    return vec![answer(&right), earlier];
                }
                // Delayed forever, unless another task comes.
                self.held.push_back((Duration::MAX, answer(&right)));
                Vec::new()
            }
            RogueTrick::Lies { every } => {
                let mut outcome = right;
                if self.seen.is_multiple_of(every)
                    && let Some(last) = outcome.last_mut()
                {
                    *last ^= 1;
                }
                vec![answer(&outcome)]
            }
            RogueTrick::Cheats(_) => unreachable!("it has answered"),
            RogueTrick::Late => {
                self.held.push_back((now + HELD, answer(&right)));
                Vec::new()
            }
        }
    }

    fn compute(&mut self, assign: &Assign) -> Vec<u8> {
        for bytes in &assign.blobs {
            self.blobs.insert_blob(Blob::new(bytes.clone()));
        }
        let kind = self.kinds.get(assign.kind).expect("a shipped kind");
        let job = kind.decode(&assign.spec).expect("the coordinator admits specs");
        let blobs = self.blobs.resolve(job.blob_refs()).expect("the coordinator sends blobs once");
        job.run(&blobs, &Stop::never()).expect("the kernel takes every puzzle")
    }
}

fn answer(task: TaskNo, attempt: Attempt, outcome: &[u8]) -> Answer {
    Answer {
        task,
        attempt,
        result: Ok(outcome.into()),
        received_at: Micros(1),
        started_at: Micros(2),
        finished_at: Micros(3),
    }
}
