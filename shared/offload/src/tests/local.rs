//! The game's own compute: kernels that panic, real threads, and both outcomes of one task.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};
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

/// Says on which thread it ran, after the test has opened the gate.
struct Gated;

static GATE: Mutex<bool> = Mutex::new(false);
static OPENED: Condvar = Condvar::new();
static RAN_ON: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

impl TaskKind for Gated {
    const ID: KindId = KindId(202);
    const NAME: &'static str = "gated";
    const KERNEL_VERSION: u16 = 1;
    type Spec = u8;
    type Outcome = u8;

    fn admit(_: &u8, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1))
    }
    fn run(spec: &u8, _: &Blobs) -> Result<u8, KernelError> {
        RAN_ON.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current().id());
        let mut open = GATE.lock().unwrap();
        while !*open {
            open = OPENED.wait(open).unwrap();
        }
        Ok(*spec)
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
fn local_compute_never_runs_on_the_apps_thread_and_loses_to_a_remote_outcome_once() {
    let one = LocalCompute::Threads(NonZeroUsize::MIN);
    let mut game = Game::unconnected(settings(), OffloadConfig { local: one, ..config() });
    game.app.add_offload_kind::<Gated>(settings());
    game.say(ServerToGame::Welcome(GamerWelcome {
        name: "g".into(),
        prices: PriceList { version: 1, nanos_per_mega_unit: vec![(Gated::ID, 1)], fee_basis_points: 0 },
        statement: statement(),
        session: SESSION,
    }));
    game.frame();
    game.during_update(|world| {
        world.spawn(Offloading::<Gated>::new(7, Blobs::default()));
    });
    let task = game.submit().task;
    // Silence until local compute has begun; it hangs at the gate, and frames go on.
    frames_until(&mut game, |_| !RAN_ON.lock().unwrap().is_empty());
    game.say(ServerToGame::Done(Done {
        task,
        outcome: vec![7].into(),
        receipt: receipt(ComputedBy::Coordinator),
    }));
    game.frame();
    let totals = |game: &Game| game.app.world().resource::<OffloadTotals>().kinds["gated"].clone();
    assert_eq!((totals(&game).coordinator, totals(&game).wasted), (1, 0));
    *GATE.lock().unwrap() = true;
    OPENED.notify_all();
    frames_until(&mut game, |game| totals(game).wasted == 1);
    assert_eq!((totals(&game).delivered(), totals(&game).local), (1, 0));
    assert!(!RAN_ON.lock().unwrap().contains(&thread::current().id()));
}
