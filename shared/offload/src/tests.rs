//! The plugin against a scripted coordinator, on manual time: every frame is ten milliseconds, and the test
//! writes each of the coordinator's messages. The same over a real link is in `tests/`.

mod cancelling;
mod conformance;
mod hostile;
mod ladder;
mod limits;
mod link;
mod local;
mod local_hedge;
mod money;
mod numbers;
mod over_link;
mod patience;
mod reuse;
mod switching;

use std::time::Duration;

use bevy_app::{App, Update};
use bevy_ecs::prelude::*;
use bevy_time::TimeUpdateStrategy;
use bincode::{Decode, Encode};
use p2c2r_link::{
    ClientTransport, FromServer, LinkDown, LinkProblem, MemoryHub, ToServer, TokenAnswer, TokenSource,
};
use p2c2r_protocol::{
    ComputedBy, Digest, Done, GameToServer, GamerStatement, GamerWelcome, KindId, Micros, Nanos, PassedCheck,
    PriceList, Receipt, Refusal, ServerToGame, Stages, Submit, TaskId, WorkUnits,
};
use p2c2r_tasks::{Blob, Blobs, CheckError, KernelError, SpecError, Stop, TaskKind};

use crate::KindTotals;
use crate::ladder::Ladder;
use crate::prelude::*;

/// Doubles a number.
struct Twice;

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct TwiceSpec {
    number: u64,
    /// Work units, and so microseconds of local compute by the ladder's first estimate.
    units: u64,
    blob: Option<[u8; 32]>,
    panics: bool,
}

/// The number with which the kernel runs out of fuel.
const OUT_OF_FUEL_NUMBER: u64 = 99;

fn spec(number: u64) -> TwiceSpec {
    TwiceSpec { number, units: 20_000, blob: None, panics: false }
}

impl TaskKind for Twice {
    const ID: KindId = KindId(201);
    const NAME: &'static str = "twice";
    const KERNEL_VERSION: u16 = 3;
    type Spec = TwiceSpec;
    type Outcome = u64;

    fn blob_refs(spec: &TwiceSpec) -> Vec<Digest> {
        spec.blob.map(Digest).into_iter().collect()
    }
    fn admit(spec: &TwiceSpec, _: &Blobs) -> Result<WorkUnits, SpecError> {
        if spec.number == u64::MAX {
            return Err(SpecError::OutOfRange("number".into()));
        }
        Ok(WorkUnits(spec.units))
    }
    fn run(spec: &TwiceSpec, _: &Blobs, _: &Stop) -> Result<u64, KernelError> {
        assert!(!spec.panics, "as told");
        if spec.number == OUT_OF_FUEL_NUMBER {
            return Err(KernelError::OutOfFuel);
        }
        Ok(2 * spec.number)
    }
    fn check(_: &TwiceSpec, _: &Blobs, _: &u64) -> Result<(), CheckError> {
        Ok(())
    }
    fn deep_check(_: &TwiceSpec, _: &Blobs, _: &u64, _: u64) -> Result<(), CheckError> {
        Ok(())
    }
}

/// The session number of the scripted coordinator's welcome.
const SESSION: u32 = 9;
const FRAME: Duration = Duration::from_millis(10);
/// Time that local compute takes.
const TAKES: Duration = Duration::from_millis(20);
/// What a task of [`spec`] costs.
const PRICE: Nanos = Nanos(200);

type Errand = Box<dyn FnOnce(&mut World) + Send + Sync>;

/// What the game does in its next `Update`.
#[derive(Resource, Default)]
struct Errands(Vec<Errand>);

/// What the game has received so far.
#[derive(Resource, Default)]
struct Got {
    done: Vec<Offloaded<Twice>>,
    failed: Vec<OffloadFailed<Twice>>,
    done_events: usize,
    failed_events: usize,
}

struct Game {
    app: App,
    /// What the last frame sent to the coordinator.
    sent: Vec<GameToServer>,
}

fn settings() -> KindSettings {
    KindSettings {
        deadline: Duration::from_millis(200),
        price_cap: Nanos(1_000),
        late: OnLate::ComputeLocally,
    }
}

fn config() -> OffloadConfig {
    OffloadConfig { local: LocalCompute::Simulated { takes: TAKES }, ..OffloadConfig::default() }
}

impl Game {
    /// Connected and welcomed.
    fn new() -> Self {
        Self::with(settings(), config())
    }

    fn with(settings: KindSettings, config: OffloadConfig) -> Self {
        let mut game = Self::unconnected(settings, config);
        game.say(welcome());
        game.frame();
        game
    }

    /// With a coordinator that has not said anything yet.
    fn unconnected(settings: KindSettings, mut config: OffloadConfig) -> Self {
        let mut app = App::new();
        config.link = None;
        let patient_folder = config.patient_folder.take();
        app.add_plugins(OffloadPlugin { config: config.clone() }).add_offload_kind::<Twice>(settings);
        // The link itself is left out; this harness writes and reads its messages.
        config.link = Some(ClientTransport::Memory(MemoryHub::new()));
        config.patient_folder = patient_folder;
        app.insert_resource(Ladder::new(&config))
            .insert_resource(TimeUpdateStrategy::ManualDuration(FRAME))
            .init_resource::<Errands>()
            .init_resource::<Got>()
            .add_systems(
                Update,
                (
                    |mut messages: MessageReader<'_, '_, Offloaded<Twice>>, mut got: ResMut<'_, Got>| {
                        got.done.extend(messages.read().cloned());
                    },
                    |mut messages: MessageReader<'_, '_, OffloadFailed<Twice>>, mut got: ResMut<'_, Got>| {
                        got.failed.extend(messages.read().cloned());
                    },
                    |world: &mut World| {
                        for errand in std::mem::take(&mut world.resource_mut::<Errands>().0) {
                            errand(world);
                        }
                    },
                ),
            )
            .add_observer(|_: On<'_, '_, OffloadDone<Twice>>, mut got: ResMut<'_, Got>| got.done_events += 1)
            .add_observer(|_: On<'_, '_, OffloadFailed<Twice>>, mut got: ResMut<'_, Got>| {
                got.failed_events += 1;
            });
        app.finish();
        let mut game = Self { app, sent: Vec::new() };
        game.frame();
        game
    }

    /// Runs one frame, then checks everything that must hold after every frame.
    fn frame(&mut self) {
        self.app.update();
        let world = self.app.world_mut();
        self.sent = world.resource_mut::<Messages<ToServer<GameToServer>>>().drain().map(|to| to.0).collect();
        let got = world.resource::<Got>();
        assert_eq!(got.done.len(), got.done_events, "every outcome once as a message and once as an event");
        assert_eq!(got.failed.len(), got.failed_events);
        let totals = self.totals();
        assert_eq!(
            totals.submitted,
            totals.delivered() + totals.reused + totals.failed + totals.cancelled + totals.open,
            "{totals:?}"
        );
    }

    fn frames(&mut self, count: usize) {
        for _ in 0..count {
            self.frame();
        }
    }

    fn now(&self) -> Micros {
        self.app.world().resource::<bevy_time::Time<bevy_time::Real>>().elapsed().into()
    }

    /// Asks in the next frame's `Update` and runs that frame.
    fn ask(&mut self, task: Offloading<Twice>) -> Entity {
        let entity = self.app.world_mut().spawn_empty().id();
        self.during_update(move |world| {
            world.entity_mut(entity).insert(task);
        });
        entity
    }

    fn ask_for(&mut self, number: u64) -> Entity {
        self.ask(Offloading::new(spec(number), Blobs::default()))
    }

    fn during_update(&mut self, errand: impl FnOnce(&mut World) + Send + Sync + 'static) {
        self.app.world_mut().resource_mut::<Errands>().0.push(Box::new(errand));
        self.frame();
    }

    /// Delivers a message of the coordinator with the next frame.
    fn say(&mut self, message: ServerToGame) {
        self.app.world_mut().write_message(FromServer { received_at: Micros(0), message });
    }

    fn lose_link(&mut self) {
        self.app.world_mut().write_message(LinkDown { reason: LinkProblem::new("cut", "cut") });
    }

    /// The tasks that the last frame sent.
    fn submits(&self) -> Vec<&Submit> {
        self.sent
            .iter()
            .filter_map(|message| match message {
                GameToServer::Submit(submit) => Some(submit),
                _ => None,
            })
            .collect()
    }

    /// The one task that the last frame sent.
    fn submit(&self) -> Submit {
        let [submit] = self.submits()[..] else { panic!("sent {:?}", self.sent) };
        submit.clone()
    }

    fn cancels(&self) -> Vec<TaskId> {
        self.sent
            .iter()
            .filter_map(|message| match message {
                GameToServer::Cancel { task } => Some(*task),
                _ => None,
            })
            .collect()
    }

    fn refuse(&mut self, task: TaskId, refusal: Refusal) {
        self.say(ServerToGame::Refused { task, refusal });
    }

    fn totals(&self) -> KindTotals {
        self.app.world().resource::<OffloadTotals>().kinds["twice"].clone()
    }

    fn stray(&self) -> u64 {
        self.app.world().resource::<OffloadTotals>().stray
    }

    fn got(&self) -> &Got {
        self.app.world().resource::<Got>()
    }

    /// The one outcome so far.
    fn outcome(&self) -> &Offloaded<Twice> {
        let [done] = &self.got().done[..] else { panic!("got {:?}", self.got().done) };
        done
    }

    /// The one failure so far.
    fn failure(&self) -> &OffloadFailed<Twice> {
        let [failed] = &self.got().failed[..] else { panic!("got {:?}", self.got().failed) };
        failed
    }

    fn mode(&self) -> OffloadMode {
        self.app.world().resource::<OffloadState>().mode.clone()
    }

    fn switch(&mut self) -> Mut<'_, OffloadSwitch> {
        self.app.world_mut().resource_mut::<OffloadSwitch>()
    }
}

/// Another coordinator's tokens, which never come.
#[derive(Debug)]
struct NoTokens;

impl TokenSource for NoTokens {
    fn ask(&self, _: TokenAnswer) {}
}

fn statement() -> GamerStatement {
    GamerStatement {
        charged: Nanos(5_000),
        held: Nanos(7),
        available: Nanos(1_000_000),
        workers: 3,
        nearest_worker_ms: Some(12),
        nearest_worker_region: None,
        gamers: 1,
    }
}

fn welcome() -> ServerToGame {
    welcome_under(SESSION)
}

fn welcome_under(session: u32) -> ServerToGame {
    // A task of 20,000 units costs 200.
    let prices = PriceList {
        version: 1,
        nanos_per_mega_unit: vec![(Twice::ID, 10_000)],
        graphics_nanos_per_mega_unit: Vec::new(),
        fee_basis_points: 0,
    };
    ServerToGame::Welcome(GamerWelcome { name: "g".into(), prices, statement: statement(), session })
}

/// A worker's answer to a task.
fn done(task: TaskId, outcome: u64) -> ServerToGame {
    done_by(task, outcome, ComputedBy::Worker("w1".into()))
}

fn done_by(task: TaskId, outcome: u64, computed_by: ComputedBy) -> ServerToGame {
    ServerToGame::Done(Done {
        task,
        outcome: Twice::encode_outcome(&outcome).into(),
        receipt: receipt(computed_by),
    })
}

/// A worker's answer that a task is out of fuel.
fn out_of_fuel(task: TaskId) -> ServerToGame {
    let receipt = receipt(ComputedBy::Worker("w1".into()));
    ServerToGame::Done(Done { task, outcome: p2c2r_tasks::OUT_OF_FUEL.to_vec().into(), receipt })
}

fn receipt(computed_by: ComputedBy) -> Receipt {
    Receipt {
        price: PRICE,
        units: WorkUnits(20_000),
        price_list: 1,
        computed_by,
        check: PassedCheck::Always,
        attempts: 1,
        received_at: Micros(1_000_000),
        sent_at: Micros(1_009_000),
        stages: Stages { kernel_us: 8_000, judge_us: 500, ..Stages::default() },
    }
}
