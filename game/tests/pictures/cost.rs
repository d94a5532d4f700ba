//! Measures how much of a frame the display takes: the same fight with the display off and on in turn, in many short
//! blocks of one process, as the processor time of the one thread that runs all systems. Each block with the display is
//! compared with the blocks without it on either side, so that growth of the fight and load of other programs cancel
//! out. Nothing is drawn, so that only the systems count.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_game::settings::BorrowingDetail;

use super::stage::Stage;

/// Frames of a block: two seconds, in which the display's figures change eight times.
const FRAMES: u32 = 120;
/// Blocks with the display at a level, each between two without it.
const BLOCKS: usize = 9;

/// Processor time of the frames of this block.
#[derive(Resource, Default)]
struct Spent {
    began: Option<Duration>,
    sum: Duration,
    frames: u32,
}

/// Processor time of this thread so far.
fn used() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn begin(mut spent: ResMut<'_, Spent>) {
    spent.began = Some(used());
}

fn end(mut spent: ResMut<'_, Spent>) {
    if let Some(began) = spent.began.take() {
        spent.sum += used().saturating_sub(began);
        spent.frames += 1;
    }
}

/// Milliseconds a frame at a level, over one block. The cost of changing the level is not part of it.
fn block(stage: &mut Stage, level: BorrowingDetail) -> f64 {
    stage.choose(|settings| settings.display.level = level);
    *stage.app().world_mut().resource_mut::<Spent>() = Spent::default();
    stage.play(FRAMES);
    let spent = stage.app().world().resource::<Spent>();
    spent.sum.as_secs_f64() * 1e3 / f64::from(spent.frames.max(1))
}

/// Measures and prints a line for each level; `Err` says why nothing can be drawn here.
pub fn measure() -> Result<(), String> {
    let mut stage = Stage::open(1_280, 720, &["--difficulty=pilot"])?;
    let app = stage.app();
    app.init_resource::<Spent>().add_systems(First, begin).add_systems(Last, end);
    stage.play(300);
    let mut off = block(&mut stage, BorrowingDetail::Off);
    for level in BorrowingDetail::ALL.into_iter().filter(|level| *level != BorrowingDetail::Off) {
        let mut more = Vec::new();
        for _ in 0..BLOCKS {
            let on = block(&mut stage, level);
            let after = block(&mut stage, BorrowingDetail::Off);
            more.push(on - 0.5 * (off + after));
            off = after;
        }
        more.sort_by(f64::total_cmp);
        let quarter = |of_four: usize| more[(BLOCKS - 1) * of_four / 4];
        println!(
            "{:<10} the display takes {:.3} ms of a frame (quartiles {:.3} and {:.3}), of {:.3} ms without it",
            format!("{level:?}"),
            quarter(2),
            quarter(1),
            quarter(3),
            off
        );
    }
    Ok(())
}
