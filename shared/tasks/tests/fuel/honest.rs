//! The tasks of games stay far below their limits of fuel.

use p2c2r_protocol::WorkUnits;
use p2c2r_tasks::fuel::STEPS_PER_UNIT;
use p2c2r_tasks::path::{Path, Query, QueryAnswer, Reckoning};
use p2c2r_tasks::physics::{Physics, PhysicsSpec};
use p2c2r_tasks::{Blobs, Fueled, Stop, TaskKind};

use crate::{maps, scenes};

/// The share of its fuel that a task takes.
pub fn of_fuel<K: Fueled>(name: &str, spec: &K::Spec, blobs: &Blobs) -> f64 {
    let stop = Stop::never();
    let WorkUnits(units) = K::admit(spec, blobs).unwrap();
    let mut fuel = K::fuel(spec, blobs, &stop).unwrap();
    let ended = K::run_on(spec, blobs, &mut fuel);
    let by_units = fuel.spent() as f64 / (units * STEPS_PER_UNIT) as f64;
    let end = K::FUEL_PERCENT as f64 / 100.0;
    println!(
        "{name}: {units} units, {by_units:.2} of {end:.2} times them{}",
        if ended.is_err() { ", out of fuel" } else { "" }
    );
    by_units / end
}

#[test]
fn paths_on_the_grids_of_games_and_benchmarks() {
    let mut most = 0.0_f64;
    let mut cases = vec![
        maps::moving_ai("arena"),
        maps::moving_ai("rmtst01").shortened(400),
        maps::noise(64, 20, 40, 5),
        maps::noise(128, 35, 40, 6),
        maps::rocks(512, 400, 12, 40, 4),
        maps::maze(63, 40, 7),
        maps::maze(127, 40, 9),
        maps::maze(255, 40, 8),
        maps::maze(401, 60, 3),
        maps::maze(21, 40, 4),
    ];
    cases.extend((0..20).map(|seed| maps::rocks(64, 10 + 3 * seed, 4, 20, seed)));
    for case in &cases {
        for queries in [1, 20] {
            for some in case.queries.chunks(queries) {
                let (spec, blobs) = case.spec(some);
                most = most.max(of_fuel::<Path>(&format!("{} {queries}", case.name), &spec, &blobs));
            }
        }
    }
    assert!(most < 0.9, "{most} of the fuel");
}

/// As many queries from a cell to itself as the `Reckoning` asks for pay for any detour among rocks.
#[test]
fn paths_that_pay_for_their_detours() {
    let mut most = 0.0_f64;
    for seed in 0..60 {
        let case = maps::rocks(64 + 8 * (seed % 25) as u16, 60 + 20 * seed, 5, 24, seed);
        let reckoning = Reckoning::of(&case.grid);
        let mut queries = Vec::new();
        let (mut most_steps, mut paid) = (0, reckoning.reserve_steps());
        for query in &case.queries {
            let (spec, blobs) = case.spec(&[*query]);
            let Ok(outcome) = Path::run(&spec, &blobs, &Stop::never()) else { continue };
            let [QueryAnswer::Found { cost, .. }] = &outcome.answers[..] else { continue };
            most_steps += reckoning.search_steps_max(*query, cost.straight + 2 * cost.diagonal);
            paid += reckoning.paid_steps(*query);
            queries.push(*query);
        }
        let Some(first) = queries.first().copied() else { continue };
        let spare = most_steps.saturating_sub(paid).div_ceil(reckoning.relief_steps()) as usize;
        queries.extend(vec![Query { from: first.from, to: first.from }; spare]);
        let (spec, blobs) = case.spec(&queries);
        most = most.max(of_fuel::<Path>(&format!("rocks {seed}, {spare} to themselves"), &spec, &blobs));
    }
    assert!(most < 0.9, "{most} of the fuel");
}

#[test]
fn bodies_in_arenas_and_clouds() {
    let mut most = 0.0_f64;
    for seed in 0..12 {
        let specs = [
            ("arena 1 s", PhysicsSpec { segments: 3, steps: 20, ..scenes::arena(150, seed) }),
            ("arena 4 s", PhysicsSpec { segments: 12, steps: 20, ..scenes::arena(150, seed) }),
            ("sparse arena", PhysicsSpec { segments: 16, steps: 30, ..scenes::arena(3, seed) }),
            ("cloud", PhysicsSpec { segments: 4, steps: 20, ..scenes::cloud(100, seed) }),
            ("fast", PhysicsSpec { segments: 4, steps: 20, ..scenes::fast(60, seed) }),
            ("pulled", PhysicsSpec { segments: 8, steps: 20, ..scenes::pulled(60, seed, seed % 2 == 0) }),
        ];
        for (name, spec) in specs {
            most = most.max(of_fuel::<Physics>(name, &spec, &Blobs::default()));
        }
    }
    assert!(most < 0.9, "{most} of the fuel");
}
