//! The kind `physics` beside plain stepping of the same scenes: `cargo bench -p p2c2r_tasks --bench physics`.
//!
//! "task us" is one task of one second with its encoding, "plain us" the engine's bare steps in one world that
//! was built before. The first "+%" is how much longer than that the task takes, the second how much longer task
//! and always-on check take together. "deep us" is the check of one segment. All times are the least of the repeats.
//!
//! A second table has the traffic of fields of rubble, in bytes of a window of half a second and in kilobits a second
//! both ways, headers of packets included.

#[path = "../tests/physics/contest.rs"]
mod contest;
#[path = "../tests/physics/rubble.rs"]
mod rubble;
#[path = "../tests/physics/scenes.rs"]
mod scenes;
#[path = "../tests/seeded/mod.rs"]
mod seeded;

use p2c2r_tasks::physics::{BODIES_MAX, PhysicsSpec};

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not and runs the short version.
    let whole = std::env::args().any(|word| word == "--bench");
    let (share, repeats) = if whole { (1, 25) } else { (10, 1) };
    let cut = |segments, steps, spec| PhysicsSpec { segments, steps, ..spec };
    let mut cases: Vec<(&'static str, PhysicsSpec)> = vec![
        ("arena", scenes::arena(150 / share, 1)),
        ("arena", scenes::arena(200 / share, 2)),
        ("arena", scenes::arena(300 / share, 3)),
        ("arena", scenes::arena(600 / share, 4)),
        ("arena", scenes::arena(1_200 / share, 5)),
        ("cloud", scenes::cloud(200 / share, 6)),
        ("cloud", scenes::cloud(600 / share, 7)),
        ("fast", scenes::fast(100 / share, 8)),
        ("pulled", scenes::pulled(100 / share, 9, true)),
        ("pulled", scenes::pulled(200 / share, 10, false)),
    ];
    for (segments, steps) in [(12, 5), (6, 10), (4, 15), (2, 30)] {
        cases.push(("arena", cut(segments, steps, scenes::arena(300 / share, 3))));
    }
    let rows: Vec<_> = cases.iter().map(|(name, spec)| contest::contest(name, spec, repeats)).collect();
    println!("{}", contest::table(&rows));
    println!("{}", rubble::table(BODIES_MAX / share, if whole { 40 } else { 3 }));
}
