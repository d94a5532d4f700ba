//! The Bevy plugin with which a game offloads heavy work through P2C2R.
//!
//! A game hands a typed task to the plugin and gets the outcome back, within its deadline: from a worker on
//! someone else's computer, from the coordinator, or, if neither is there in time, from this computer. The
//! same kernel computes it in all three places, so for deterministic kinds the outcome is the same bit for bit.
//!
//! Of Bevy it takes only `bevy_app`, `bevy_ecs`, `bevy_time` and `bevy_diagnostic`. It needs no window and no
//! other plugin, and never blocks a frame: kernels run on their own threads, and packets are polled once per
//! frame.
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
//! - Despawn the entity or remove the component to cancel the task; insert again to replace it.
//! - Observe [`OffloadDone<K>`](OffloadDone) on the entity or globally, or read the message
//!   [`Offloaded<K>`](Offloaded). Every task ends in exactly one of these or one
//!   [`OffloadFailed<K>`](OffloadFailed), whatever comes twice, late or out of order.
//! - In which frame an outcome arrives differs from run to run. A deterministic simulation therefore takes
//!   each outcome as an input, recorded with the tick at which it was used.
//!
//! # The deadline ladder
//!
//! A task goes to the coordinator first. It is computed here instead
//!
//! 1. at once, if offloading is off, the link is down, the coordinator refuses or fails it, or money has
//!    run out;
//! 2. otherwise at the last moment at which this computer would still meet the deadline, estimated from the
//!    compute times of earlier tasks and from everything else that may have to be computed here by then;
//! 3. at the deadline, if this computer could not compute it within its deadline at all; the outcome is then
//!    delivered [late](Offloaded::late).
//!
//! The first outcome ends the task. If that is the local one, the coordinator is told to stop; an outcome that
//! comes second is counted and ignored. An outcome that comes after its deadline is still delivered, marked
//! late. [`OnLate`], set per kind or per task, changes this for work that is not worth computing here:
//!
//! | [`OnLate`] | coordinator silent | refused, lost, switched off or offline | no outcome by the deadline |
//! |---|---|---|---|
//! | `ComputeLocally` | local compute in time for the deadline | local compute at once | it is delivered late |
//! | `Drop` | nothing | refused or lost: it fails; else local compute | it fails |
//! | `Reuse` | nothing | local compute, one task at a time | the last outcome is used |
//!
//! [Patient](Offloading::patient) tasks have no deadline, so only rule 1 applies to them.
//!
//! A task at the coordinator is computed here as well only while frames keep to [their budget](OffloadFrameBudget), and
//! only about one task in 25: a computer that is behind with its frames must not fall further behind by computing
//! everything twice. Any other late task is awaited for up to a second after its deadline, and then computed here.
//!
//! # Patient tasks across restarts
//!
//! A patient task may outlive the game: while the game is not running, the coordinator keeps the task, and its outcome
//! for 24 hours. With [`OffloadConfig::patient_folder`], which [`join`](OffloadConfig::join) sets, every patient task is
//! stored on disk from the frame that asks for it until it ends. A game that was closed or killed finds it at its next
//! start:
//!
//! - The plugin spawns an entity with [`Resumed<K>`](Resumed) and [`Offloading<K>`](Offloading) for each such task, and
//!   asks the coordinator again under the task's old id, so that it is computed and paid for once.
//! - It ends once, like any other task. Observe [`OffloadDone<K>`](OffloadDone); [`Resumed::spec`] says what was asked
//!   for. Despawn the entity to cancel it.
//! - If the game asks for the same spec again, the new task replaces the resumed one, whose entity is despawned. So a
//!   game that asks again for whatever it lacks can ignore [`Resumed`].
//! - A task that the coordinator does not know any more is sent as a new one. A task of a kind or kernel version that
//!   the game does not have is dropped.
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
//! A worker may be 400 ms away, before any kernel runs. So a game asks ahead for what it knows it will need:
//! [`OffloadHorizon`] says how far, from the times that the answers of the last ten seconds took; it grows for a kind
//! whose answers come late. Several tasks of a kind may be under way at once. A game that gives the horizon to a
//! deterministic simulation records it as an input.
//!
//! # The last outcome
//!
//! [`LastOutcome<K>`](LastOutcome) holds the newest outcome of each kind with its place and age, so that a
//! game that only shows the latest needs no bookkeeping and never shows an older outcome after a newer one. With
//! [`OnLate::Reuse`] this is the last rung of the ladder: a task that gets no outcome ends with
//! [`OffloadFailed::reused`] and is counted in [`KindTotals::reused`]; the diagnostic
//! [`age_ms`](diagnostics::KindPaths::age_ms) tells the player how old the outcome on show is.
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
//! [`OffloadSwitch`] turns offloading off and on, for everything or for one kind; switching off recalls the tasks at
//! the coordinator and computes them here, without stalling a frame. [`OffloadState`] says where tasks go and why, in
//! words for the player. [`OffloadAccount`] tells charged, held and estimated money apart. [`OffloadCaps`], set at first
//! from [`OffloadConfig`], bounds what a session and an hour may cost; a task is sent only if its price fits under both,
//! together with the prices of all tasks that are out. The hour's cap holds over several sessions if the game stores what
//! each spends ([`RollingHour`]) and writes what the others have spent into [`OffloadElsewhere`].
//! [`BorrowFrom`] moves to another coordinator while the game runs.
//!
//! # Numbers
//!
//! Everything a HUD shows is a Bevy diagnostic, see [`diagnostics`]; an unknown number has no value, rather
//! than zero. [`OffloadTotals`] counts the whole session and serialises to the demo's report.
//!
//! # Order
//!
//! [`OffloadSystems`] has the system sets. A task asked for in `Update` leaves in the same frame. Outcomes are
//! delivered in `PreUpdate`, so that `FixedUpdate` and `Update` of the same frame see them.
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
//! netcode encrypts packets with the crate `chacha20poly1305`. This repository replaces that crate by `shared/aead`,
//! which does the same with `ring` in less time. Cargo applies a patch only to the workspace that names it; without it
//! your game sends the same bytes and works with the same coordinator. To have it, add to the `Cargo.toml` of your
//! workspace:
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
mod rolling_hour;
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
pub use rolling_hour::RollingHour;
pub use switch::{
    LocalReason, OffloadCaps, OffloadElsewhere, OffloadFrameBudget, OffloadMode, OffloadState, OffloadSwitch,
};
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
        LocalReason, OffloadCaps, OffloadElsewhere, OffloadFrameBudget, OffloadMode, OffloadState,
        OffloadSwitch,
    };
    pub use crate::totals::OffloadTotals;
    pub use p2c2r_tasks::{Blob, Blobs, TaskKind};
}

#[cfg(test)]
mod tests;
