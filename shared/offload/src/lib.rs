//! The Bevy plugin with which a game offloads heavy work through P2C2R.
//!
//! A game hands a typed task to the plugin and gets the outcome back, within its deadline: from a worker on
//! someone else's computer, from the coordinator, or, if neither is there in time, from this computer. The
//! same kernel computes it in all places, so for deterministic kinds the outcome is the same bit for bit.
//!
//! It depends on `bevy_app`, `bevy_ecs`, `bevy_time` and `bevy_diagnostic` alone, needs neither a window nor
//! more plugins than itself, and never blocks a frame: kernels run on threads of their own, packets are
//! polled once per frame.
//!
//! | `p2c2r_offload` | Bevy |
//! |---|---|
//! | 0.1 | 0.19 |
//!
//! # Quick start
//!
//! ```
//! use std::time::Duration;
//!
//! use bevy_app::{App, AppExit, ScheduleRunnerPlugin, Startup};
//! use bevy_ecs::prelude::*;
//! use p2c2r_offload::prelude::*;
//! use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
//!
//! fn ask(mut commands: Commands) {
//!     let grid = Blob::new(Grid::new(32, 32).to_blob());
//!     let queries = vec![Query { from: Cell::new(0, 0), to: Cell::new(31, 20) }];
//!     commands.offload::<Path>(PathSpec { grid: grid.digest(), queries }, Blobs::new(vec![grid]));
//! }
//!
//! fn use_it(done: On<OffloadDone<Path>>, mut exit: MessageWriter<AppExit>) {
//!     println!("{:?} from {} after {:?}", done.outcome.answers, done.place, done.latency);
//!     exit.write(AppExit::Success);
//! }
//!
//! let exit = App::new()
//!     .add_plugins(ScheduleRunnerPlugin::run_loop(Duration::from_millis(5)))
//!     // Local compute only; OffloadConfig::default().join(link, name)? goes to a coordinator.
//!     .add_plugins(OffloadPlugin { config: OffloadConfig::default() })
//!     .add_offload_kind::<Path>(KindSettings { deadline: Duration::from_millis(100), ..Default::default() })
//!     .add_systems(Startup, ask)
//!     .add_observer(use_it)
//!     .run();
//! assert_eq!(exit, AppExit::Success);
//! ```
//!
//! The example `minimal` does the same with a coordinator's join link on its command line.
//!
//! # Asking and receiving
//!
//! - [`commands.offload::<K>(spec, blobs)`](OffloadCommandsExt::offload) spawns an entity for the task; or
//!   insert [`Offloading<K>`](Offloading) on an entity of your own, with its own deadline or price cap.
//! - Despawn the entity or remove the component to take the task back; insert again to replace it.
//! - Observe [`OffloadDone<K>`](OffloadDone) on the entity or globally, or read the message
//!   [`Offloaded<K>`](Offloaded). Every task ends in exactly one of these or one
//!   [`OffloadFailed<K>`](OffloadFailed), whatever comes twice, late or out of order.
//! - Outcomes apply at a frame. A deterministic simulation takes them as inputs with the tick at which it
//!   used them; their frame differs from run to run.
//!
//! # The deadline ladder
//!
//! A task goes to the coordinator first. It is computed here instead
//!
//! 1. at once, if offloading is off, the link is down, the coordinator refuses or fails it, or money has
//!    run out;
//! 2. else at the last moment at which this computer would still meet the deadline, reckoned from what its
//!    earlier tasks took, and from everything else that might have to be computed here by then;
//! 3. for a task that this computer could not compute within its deadline at all, at the deadline, and
//!    delivered [late](Offloaded::late).
//!
//! The first outcome wins; the coordinator is told, and the other outcome is counted and ignored.
//! An outcome that comes after its deadline is delivered all the same, marked late. A kind, or a task, whose
//! spares would cost more than they are worth says so:
//!
//! | [`OnLate`] | a silent coordinator | a refusal, a loss, off, offline | when nothing comes |
//! |---|---|---|---|
//! | `ComputeLocally` | local compute in time for the deadline | local compute at once | it comes, late |
//! | `Drop` | nothing | refused or lost: it fails; else local compute | it fails |
//! | `Reuse` | nothing | local compute, one task at a time | the last outcome steps in |
//!
//! [Patient](Offloading::patient) tasks have no deadline and so only the first rung.
//!
//! What is out is computed here too only while frames keep to [their budget](OffloadFrameBudget), and for about one task
//! in 25: a computer that is behind with its frames must not fall further behind by doing everything twice. A task beyond
//! that is awaited past its deadline and delivered late.
//!
//! # Patient tasks of a former life
//!
//! A patient task may outlive the game: the coordinator keeps it, and its outcome for 24 hours, while the game is away.
//! With [`OffloadConfig::patient_folder`], which [`join`](OffloadConfig::join) sets, every patient task is on disk from
//! the frame that asks until it ends. A game that was closed or killed meanwhile finds it again when it is started:
//!
//! - The plugin spawns an entity with [`Resumed<K>`](Resumed) and [`Offloading<K>`](Offloading) for each, and asks the
//!   coordinator by the id that the task had. So it is computed and paid for once.
//! - It ends like any other, once. Observe [`OffloadDone<K>`](OffloadDone) and look at [`Resumed::spec`] to know what it
//!   was; despawn the entity to take it back.
//! - If the game asks for the same spec again, the new task takes the place of the former one, whose entity is
//!   despawned. A game that asks anyhow for what it lacks need not look at [`Resumed`] at all.
//! - What the coordinator no longer knows is asked for anew. What the game's kinds no longer have is dropped.
//!
//! ```
//! # use bevy_ecs::prelude::*;
//! # use p2c2r_offload::prelude::*;
//! # use p2c2r_tasks::path::Path;
//! fn take_in(done: On<OffloadDone<Path>>, resumed: Query<&Resumed<Path>>) {
//!     let Ok(resumed) = resumed.get(done.entity) else { return };
//!     println!("{} ways, asked for before", resumed.spec().queries.len());
//! }
//! ```
//!
//! # The horizon
//!
//! Someone else may be 400 ms away before any kernel runs. A game that knows what it will need asks that far ahead:
//! [`OffloadHorizon`] says how far, by what answers took in the last ten seconds, and widens where they come late.
//! Several tasks of a kind may be under way at once. A game that gives the horizon to a deterministic simulation
//! records it as an input.
//!
//! # The last outcome
//!
//! [`LastOutcome<K>`](LastOutcome) holds the newest outcome of each kind with its place and age, so that a
//! game which only wants to show the latest needs no books of its own and never goes back in time. With
//! [`OnLate::Reuse`] this is the last rung of the ladder: a task for which nothing comes ends with
//! [`OffloadFailed::reused`], is counted in [`KindTotals::reused`], and the diagnostic
//! [`age_ms`](diagnostics::KindPaths::age_ms) tells the player how old is what is shown.
//!
//! ```
//! # use bevy_app::{App, Update};
//! # use bevy_ecs::prelude::*;
//! # use bevy_time::{Real, Time};
//! # use p2c2r_offload::prelude::*;
//! # use p2c2r_tasks::path::Path;
//! fn show(last: Res<LastOutcome<Path>>, time: Res<Time<Real>>) {
//!     let (Some(outcome), Some(age)) = (last.outcome(), last.age(time.elapsed())) else { return };
//!     println!("{} paths, asked for {} ms ago", outcome.answers.len(), age.as_millis());
//! }
//!
//! App::new()
//!     .add_plugins(OffloadPlugin::default())
//!     .add_offload_kind::<Path>(KindSettings { late: OnLate::Reuse, ..Default::default() })
//!     .add_systems(Update, show);
//! ```
//!
//! # Switch, state and money
//!
//! [`OffloadSwitch`] turns offloading off and on, for all or for one kind; what is out is called home and
//! computed here without a hitch. [`OffloadState`] says where tasks go and why, in words for the player.
//! [`OffloadAccount`] tells charged, held and estimated money apart. [`OffloadCaps`], set at first from
//! [`OffloadConfig`], bounds what a session and an hour may cost; a task is sent only if its price fits under both
//! beside everything that is out. An hour does not end with the program: a game that keeps what it spends and says so at the
//! next start, in [`OffloadConfig::spent_before`], keeps to its cap.
//! [`BorrowFrom`] has the player move to another coordinator without a new start.
//!
//! # Numbers
//!
//! Everything a HUD shows is a Bevy diagnostic, see [`diagnostics`]; what is not known has no value, rather
//! than zero. [`OffloadTotals`] counts the whole session and serialises to the demo's report.
//!
//! # Order
//!
//! Sets are in [`OffloadSystems`]. A task asked for in `Update` leaves in the same frame; what arrives is
//! there before `Update`, and before `FixedUpdate` of the same frame.
//!
//! # Your own kind
//!
//! Implement [`TaskKind`](p2c2r_tasks::TaskKind) in `p2c2r_tasks`, and add it to
//! [`KindRegistry::builtin`](p2c2r_tasks::KindRegistry::builtin): coordinator, workers and game are built with that list,
//! and the coordinator has a price for everything in it. Then register it here with
//! [`add_offload_kind`](OffloadAppExt::add_offload_kind). `docs/developer.md` goes through it step by step.
//!
//! # In a workspace of your own
//!
//! netcode's packets are sealed by `chacha20poly1305`. This repository builds it from its `shared/aead`, which has
//! `ring` do the work in less than half the time; a patch reaches only the workspace that names it. Without it your
//! game speaks the same bytes with the same coordinator. To have it, add to the `Cargo.toml` of your workspace:
//!
//! ```toml
//! [patch.crates-io]
//! chacha20poly1305 = { path = "path/to/p2c2r/shared/aead" }
//! ```
//!
//! # In tests
//!
//! Set `TimeUpdateStrategy::ManualDuration` and [`LocalCompute::Simulated`]: then every run is the same.

mod account;
mod config;
pub mod diagnostics;
mod estimate;
mod histogram;
mod horizon;
mod inbox;
mod kind;
mod ladder;
mod ladder_context;
mod last;
mod offloading;
mod outcome;
mod patient_store;
mod plugin;
mod pool;
mod publish;
mod receipt;
mod resumed;
mod spending;
mod switch;
mod totals;
mod window;
mod work;

pub use account::OffloadAccount;
pub use config::{LocalCompute, OffloadConfig};
pub use histogram::{Histogram, Percentiles};
pub use horizon::{HORIZON_MAX, OffloadHorizon};
pub use kind::{KindSettings, OffloadAppExt, OnLate};
pub use last::LastOutcome;
pub use offloading::{OffloadCommandsExt, Offloading};
pub use outcome::{FailReason, OffloadDone, OffloadFailed, Offloaded, Place};
pub use p2c2r_link::LinkProblem;
pub use plugin::{BorrowFrom, OffloadPlugin, OffloadSystems};
pub use resumed::Resumed;
pub use switch::{LocalReason, OffloadCaps, OffloadFrameBudget, OffloadMode, OffloadState, OffloadSwitch};
pub use totals::{KindTotals, OffloadTotals, StageTimes};

/// Everything a game usually needs.
pub mod prelude {
    pub use crate::account::OffloadAccount;
    pub use crate::config::{LocalCompute, OffloadConfig};
    pub use crate::horizon::OffloadHorizon;
    pub use crate::kind::{KindSettings, OffloadAppExt, OnLate};
    pub use crate::last::LastOutcome;
    pub use crate::offloading::{OffloadCommandsExt, Offloading};
    pub use crate::outcome::{FailReason, OffloadDone, OffloadFailed, Offloaded, Place};
    pub use crate::plugin::{BorrowFrom, OffloadPlugin, OffloadSystems};
    pub use crate::resumed::Resumed;
    pub use crate::switch::{
        LocalReason, OffloadCaps, OffloadFrameBudget, OffloadMode, OffloadState, OffloadSwitch,
    };
    pub use crate::totals::OffloadTotals;
    pub use p2c2r_tasks::{Blob, Blobs, TaskKind};
}

#[cfg(test)]
mod tests;
