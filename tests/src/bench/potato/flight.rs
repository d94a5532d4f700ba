//! The inputs of every run: the autopilot's controls with outcomes after a fixed delay.
//!
//! The autopilot reacts to enemies and rocks, which depend on when outcomes come. So it flies once, here,
//! with every outcome a fifth of a second after its request, and all compared runs replay its controls.

use std::time::Duration;

use p2c2r_arena::{Arena, ArenaConfig, Autopilot, Flight, TICKS_PER_SECOND};
use p2c2r_tasks::KernelError;

use crate::bench::answers::ArenaAnswers;

/// The arena that the game plays in with this preset and seed.
fn arena(preset: &str, seed: u64) -> ArenaConfig {
    let arena =
        if preset == "stress" { ArenaConfig::stress() } else { ArenaConfig::default().with_allies(1) };
    ArenaConfig { seed, ..arena }
}

/// The autopilot's flight of this length.
pub fn record(preset: &str, seed: u64, length: Duration) -> Result<Flight, KernelError> {
    let (mut arena, mut autopilot) = (Arena::new(arena(preset, seed)), Autopilot::default());
    let mut flight = Flight::default();
    let mut answers = ArenaAnswers::default();
    while arena.tick() < length.as_secs() * u64::from(TICKS_PER_SECOND) {
        let due = answers.due(arena.tick());
        let controls = autopilot.controls(&arena);
        flight.push(controls);
        for wanted in arena.step(controls, &due).wanted {
            answers.compute(arena.tick(), &wanted)?;
        }
    }
    Ok(flight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_as_long_as_asked_and_always_the_same() {
        let length = Duration::from_secs(4);
        let flight = record("default", 1, length).expect("the kernels take it");
        assert_eq!(flight.ticks(), 4 * TICKS_PER_SECOND);
        assert_eq!(flight, record("default", 1, length).expect("and again"));
        let does = |what: fn(&p2c2r_arena::Controls) -> bool| {
            (0..u64::from(flight.ticks())).any(|tick| what(&flight.controls(tick)))
        };
        assert!(does(|controls| controls.turn != 0) && does(|controls| controls.thrust != 0));
    }
}
