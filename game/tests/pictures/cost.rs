//! What the display takes of a frame: the same fight with the display off and at each level in turn, in blocks, measured as
//! the processor time of all threads from the first system of a frame to the last. Nothing is drawn, so that only the
//! systems count, and who else computes on the machine does not.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_game::settings::BorrowingDetail;

use super::stage::Stage;

/// Frames of a block, and blocks of each level.
const FRAMES: u32 = 240;
const BLOCKS: usize = 6;
/// Frames at the start of a block that do not count: text is laid out anew.
const WARM_UP: usize = 40;

/// Processor time of each frame.
#[derive(Resource, Default)]
struct Lengths {
    began: Option<Duration>,
    all: Vec<Duration>,
}

/// Processor time of this program so far.
fn used() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn begin(mut lengths: ResMut<'_, Lengths>) {
    lengths.began = Some(used());
}

fn end(mut lengths: ResMut<'_, Lengths>) {
    if let Some(began) = lengths.began.take() {
        lengths.all.push(used().saturating_sub(began));
    }
}

fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let place = ((sorted.len() - 1) as f64 * share) as usize;
    sorted[place].as_secs_f64() * 1e3
}

/// Measures and prints a line for each level; `Err` says why nothing can be drawn here.
pub fn measure() -> Result<(), String> {
    let mut stage = Stage::open(1_280, 720, &["--difficulty=pilot"])?;
    stage.app().init_resource::<Lengths>().add_systems(First, begin).add_systems(Last, end);
    stage.play(300);
    let mut lengths = [const { Vec::new() }; 5];
    for _ in 0..BLOCKS {
        for (level, lengths) in BorrowingDetail::ALL.into_iter().zip(&mut lengths) {
            stage.choose(|settings| settings.display.level = level);
            stage.app().world_mut().resource_mut::<Lengths>().all.clear();
            stage.play(FRAMES);
            let block = std::mem::take(&mut stage.app().world_mut().resource_mut::<Lengths>().all);
            lengths.extend(block.into_iter().skip(WARM_UP));
        }
    }
    for lengths in &mut lengths {
        lengths.sort_unstable();
    }
    let [off, ..] = &lengths;
    let (off_p50, off_p99) = (percentile(off, 0.5), percentile(off, 0.99));
    for (level, lengths) in BorrowingDetail::ALL.into_iter().zip(&lengths) {
        let (p50, p99) = (percentile(lengths, 0.5), percentile(lengths, 0.99));
        println!(
            "{:<10} frame p50 {p50:.3} ms, p99 {p99:.3} ms; the display p50 {:.3} ms, p99 {:.3} ms",
            format!("{level:?}"),
            p50 - off_p50,
            p99 - off_p99
        );
    }
    Ok(())
}
