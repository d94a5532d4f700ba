//! The kind `reflection`: `cargo bench -p p2c2r_tasks --bench reflection`.
//!
//! The first table has the kernel's times beside its work units. "trace us" is the cube alone, "run us" with its
//! encoding, "deep us" the mean of deep checks. Then come rays a second on one thread, from the probe in the default
//! arena of 150 rocks and from where those rays end, beside Embree on the same rays and the same rocks' triangles. For
//! that, `P2C2R_EMBREE_PYTHON` (or `python3`) must have the packages `embreex` and `numpy`: `python3 -m venv embree &&
//! embree/bin/pip install embreex numpy`. All times are the least of the repeats.

#[path = "../tests/reflection/contest.rs"]
mod contest;
#[path = "../tests/reflection/scenes.rs"]
mod scenes;
#[path = "../tests/seeded/mod.rs"]
mod seeded;

use std::process::Command;

use contest::Race;
use p2c2r_tasks::reflection::{ReflectionSpec, Viewpoint};

/// `count` other ships, each with a cube of face 16.
fn ships(count: i16, samples: u8) -> Vec<Viewpoint> {
    let ship = |number| Viewpoint {
        probe: [250 + 110 * number, 0, 90 * number - 300],
        face_log2: 4,
        levels: 1,
        samples,
    };
    (0..count).map(ship).collect()
}

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not and runs the short version.
    let whole = std::env::args().any(|word| word == "--bench");
    let repeats = if whole { 60 } else { 1 };
    let default = scenes::arena(150, 20, 1);
    let mut cases = vec![("tiny", ReflectionSpec { face_log2: 4, samples: 1, ..scenes::arena(20, 8, 2) })];
    if whole {
        cases.extend([
            ("default", default.clone()),
            ("levels", ReflectionSpec { levels: 6, ..default.clone() }),
            ("sky", scenes::arena(0, 0, 3)),
            ("few", scenes::arena(20, 8, 2)),
            ("bolts", scenes::arena(150, 120, 4)),
            ("crowd", scenes::arena(1_200, 100, 5)),
            ("full", scenes::arena(1_500, 500, 6)),
            ("deep", ReflectionSpec { bounces: 8, ..default.clone() }),
            ("once", ReflectionSpec { bounces: 1, ..default.clone() }),
            ("fine", ReflectionSpec { samples: 16, ..default.clone() }),
            ("large", ReflectionSpec { face_log2: 6, ..default.clone() }),
            ("small", ReflectionSpec { face_log2: 4, ..default.clone() }),
            ("2 ships", ReflectionSpec { others: ships(2, 2), ..default.clone() }),
            ("6 ships", ReflectionSpec { others: ships(6, 8), ..default.clone() }),
        ]);
    }
    let rows: Vec<_> = cases.iter().map(|(name, spec)| contest::contest(name, spec, repeats)).collect();
    println!("{}", contest::table(&rows));
    race(if whole { 64 } else { 8 }, repeats);
}

fn race(face: u32, repeats: u32) {
    let race = Race::new(150, face);
    println!("{} rocks, {} triangles, {} rays each", 150, race.triangles.len(), race.primary.len());
    let rates = [race.rate(&race.primary, repeats), race.rate(&race.secondary, repeats)];
    println!("ours    primary {:6.2} Mrays/s  secondary {:6.2} Mrays/s", rates[0], rates[1]);
    let file = std::env::temp_dir().join(format!("p2c2r-rays-{}.bin", std::process::id()));
    if let Err(error) = std::fs::write(&file, race.bytes()) {
        println!("embree  left out: {} cannot be written: {error}", file.display());
        return;
    }
    let python = std::env::var("P2C2R_EMBREE_PYTHON").unwrap_or_else(|_| "python3".into());
    match Command::new(&python).arg("benches/embree.py").arg(&file).arg(repeats.to_string()).output() {
        Ok(run) if run.status.success() => print!("{}", String::from_utf8_lossy(&run.stdout)),
        Ok(run) => {
            let why = String::from_utf8_lossy(&run.stderr);
            println!("embree  left out: {}", why.lines().last().unwrap_or("it failed without a word"));
        }
        Err(error) => println!("embree  left out: {python}: {error}"),
    }
    let _ = std::fs::remove_file(&file);
}
