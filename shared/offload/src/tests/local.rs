//! Local compute: kernels that panic, real threads, and both outcomes of one task.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use super::*;

#[test]
fn a_kernel_that_panics_fails_its_task_and_nothing_else() {
    let mut game = Game::new();
    game.switch().enabled = false;
    game.ask(Offloading::new(TwiceSpec { panics: true, ..spec(1) }, Blobs::default()));
    game.frames(3);
    assert!(matches!(&game.failure().reason, FailReason::Kernel(reason) if reason.contains("as told")));
    game.ask_for(21);
    game.frames(3);
    assert_eq!(*game.outcome().outcome, 42);
}

#[test]
fn a_kernel_that_panics_here_leaves_the_task_to_the_coordinator_until_the_deadline() {
    let mut game = Game::new();
    let ask = |game: &mut Game| {
        game.ask(Offloading::new(TwiceSpec { panics: true, units: 100_000, ..spec(1) }, Blobs::default()));
        game.submit().task
    };
    // Local compute starts early for its size, and panics well before the deadline.
    let task = ask(&mut game);
    game.frames(15);
    game.say(done(task, 42));
    game.frame();
    assert_eq!(game.outcome().place, Place::Worker { name: "w1".into() });
    ask(&mut game);
    game.frames(20);
    assert!(game.got().failed.is_empty());
    game.frame();
    assert!(matches!(game.failure().reason, FailReason::Kernel(_)));
}

#[test]
fn a_task_that_is_out_of_fuel_here_fails() {
    let mut game = Game::new();
    game.switch().enabled = false;
    game.ask_for(OUT_OF_FUEL_NUMBER);
    game.frames(3);
    assert_eq!(game.failure().reason, FailReason::OutOfFuel);
}

#[test]
fn a_task_that_is_out_of_fuel_elsewhere_is_paid_for_and_ends_here_by_the_same_fuel() {
    let mut game = Game::new();
    game.ask_for(OUT_OF_FUEL_NUMBER);
    let task = game.submit().task;
    game.say(out_of_fuel(task));
    game.frames(3);
    assert_eq!(game.failure().reason, FailReason::OutOfFuel);
    let totals = game.app.world().resource::<OffloadTotals>();
    assert_eq!(
        (totals.cost_nanos, totals.kinds["twice"].malformed, totals.kinds["twice"].wasted),
        (PRICE, 0, 0)
    );
}

#[test]
fn a_task_to_be_dropped_that_is_out_of_fuel_elsewhere_is_not_computed_here() {
    let mut game = Game::with(KindSettings { late: OnLate::Drop, ..settings() }, config());
    game.ask_for(21);
    let task = game.submit().task;
    game.say(out_of_fuel(task));
    game.frame();
    assert_eq!(game.failure().reason, FailReason::OutOfFuel);
}

/// Records the thread it runs on, and runs until it is stopped.
struct Endless;

static RAN_ON: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

impl TaskKind for Endless {
    const ID: KindId = KindId(202);
    const NAME: &'static str = "endless";
    const KERNEL_VERSION: u16 = 1;
    type Spec = u8;
    type Outcome = u8;

    fn admit(_: &u8, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1))
    }
    fn run(_: &u8, _: &Blobs, stop: &Stop) -> Result<u8, KernelError> {
        RAN_ON.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current().id());
        while !stop.is_stopped() {
            thread::yield_now();
        }
        Err(KernelError::Stopped)
    }
    fn check(_: &u8, _: &Blobs, _: &u8) -> Result<(), CheckError> {
        Ok(())
    }
    fn deep_check(_: &u8, _: &Blobs, _: &u8, _: u64) -> Result<(), CheckError> {
        Ok(())
    }
}

/// Frames until the local outcome has been seen; the limit only keeps a broken build from hanging.
fn frames_until(game: &mut Game, what: impl Fn(&Game) -> bool) {
    let begun = Instant::now();
    while !what(game) {
        assert!(begun.elapsed() < Duration::from_mins(1), "local compute never finished");
        thread::yield_now();
        game.frame();
    }
}

#[test]
fn local_compute_never_runs_on_the_apps_thread_and_is_stopped_by_a_remote_outcome() {
    let one = LocalCompute::Threads(NonZeroUsize::MIN);
    let mut game = Game::unconnected(settings(), OffloadConfig { local: one, ..config() });
    game.app.add_offload_kind::<Endless>(settings());
    game.say(ServerToGame::Welcome(GamerWelcome {
        name: "g".into(),
        prices: PriceList {
            version: 1,
            nanos_per_mega_unit: vec![(Endless::ID, 1)],
            graphics_nanos_per_mega_unit: Vec::new(),
            fee_basis_points: 0,
        },
        statement: statement(),
        session: SESSION,
    }));
    game.frame();
    game.during_update(|world| {
        world.spawn(Offloading::<Endless>::new(7, Blobs::default()));
    });
    let task = game.submit().task;
    // The coordinator is silent until local compute has begun, which goes on without end while frames
    // continue.
    frames_until(&mut game, |_| !RAN_ON.lock().unwrap().is_empty());
    game.say(ServerToGame::Done(Done {
        task,
        outcome: vec![7].into(),
        receipt: receipt(ComputedBy::Coordinator),
    }));
    game.frame();
    let totals = |game: &Game| game.app.world().resource::<OffloadTotals>().kinds["endless"].clone();
    assert_eq!(totals(&game).coordinator, 1);
    // The one thread is free again only once the kernel has been stopped.
    game.switch().enabled = false;
    game.ask_for(21);
    frames_until(&mut game, |game| !game.got().done.is_empty());
    assert_eq!((totals(&game).delivered(), totals(&game).local), (1, 0));
    assert_eq!(totals(&game).wasted, 0, "what was stopped is no outcome");
    assert!(!RAN_ON.lock().unwrap().contains(&thread::current().id()));
}
