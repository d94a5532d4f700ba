//! Offloads shortest paths without a window. Without arguments everything is computed on this computer; start
//! a coordinator and a worker (`./p2c2r server`, `./p2c2r worker`) and join the coordinator to use theirs:
//!
//! ```sh
//! cargo run -p p2c2r_offload --example minimal -- --join 'p2c2r://…'
//! ```

use std::time::Duration;

use bevy_app::{App, AppExit, ScheduleRunnerPlugin, Update};
use bevy_ecs::prelude::*;
use p2c2r_offload::prelude::*;
use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query, QueryAnswer};

const TASKS: u64 = 10;

fn main() -> AppExit {
    let link = std::env::args().skip_while(|argument| argument != "--join").nth(1);
    let config = link.map_or_else(OffloadConfig::default, |link| {
        OffloadConfig::default().join(&link, "minimal").expect("a join link, as the coordinator prints it")
    });
    App::new()
        .add_plugins(ScheduleRunnerPlugin::run_loop(Duration::from_millis(16)))
        .add_plugins(OffloadPlugin { config })
        .add_offload_kind::<Path>(KindSettings { deadline: Duration::from_millis(100), ..Default::default() })
        .add_systems(Update, (ask_now_and_then, stop_when_all_is_answered))
        .add_observer(print_answer)
        .run()
}

/// Asks for a path across a new maze every 250 ms.
fn ask_now_and_then(mut commands: Commands<'_, '_>, mut frame: Local<'_, u16>) {
    *frame += 1;
    let number = *frame / 16;
    if !(*frame).is_multiple_of(16) || u64::from(number) > TASKS {
        return;
    }
    let mut grid = Grid::new(64, 64);
    (0..60).for_each(|y| grid.set_blocked(Cell::new(5 * number, y), true));
    let grid = Blob::new(grid.to_blob());
    let queries = vec![Query { from: Cell::new(0, 0), to: Cell::new(63, 0) }];
    commands.offload::<Path>(PathSpec { grid: grid.digest(), queries }, Blobs::new(vec![grid]));
}

fn print_answer(done: On<'_, '_, OffloadDone<Path>>, state: Res<'_, OffloadState>) {
    let price = done.receipt.as_ref().map_or_else(|| "free".into(), |receipt| receipt.price.to_string());
    let Some(QueryAnswer::Found { cost, .. }) = done.outcome.answers.first() else { return };
    let (cost, place, latency) = (cost.value(), &done.place, done.latency);
    println!(
        "a path of length {cost:.1}, computed by {place} in {latency:.1?}, {price} (mode: {})",
        state.mode
    );
}

fn stop_when_all_is_answered(totals: Res<'_, OffloadTotals>, mut exit: MessageWriter<'_, AppExit>) {
    let paths = &totals.kinds["path"];
    if paths.submitted == TASKS && paths.open == 0 {
        exit.write(AppExit::Success);
    }
}
