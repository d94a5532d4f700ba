//! The codec and the filter of the kind `reflection`: `cargo bench -p p2c2r_tasks --bench probe`.
//!
//! "bytes" is a whole outcome with all levels, "sharp alone" one without filtered levels, "dB" the peak signal to noise
//! ratio on log-luminance over all levels against the filtered original. All times are the least of the repeats.

#[path = "../tests/reflection_codec/contest.rs"]
mod contest;
#[path = "../tests/reflection_codec/rivals.rs"]
mod rivals;
#[allow(dead_code, reason = "not all scenes of the kernel's tests are packed")]
#[path = "../tests/reflection/scenes.rs"]
mod scenes;
#[path = "../tests/seeded/mod.rs"]
mod seeded;
#[path = "../tests/reflection_codec/skies.rs"]
mod skies;

use p2c2r_tasks::reflection::{CubeMap, ReflectionSpec, Scene};

/// A cube as the kernel traces it.
fn traced(face_log2: u8, samples: u8, seed: u64) -> CubeMap {
    Scene::new(&ReflectionSpec { face_log2, samples, ..scenes::arena(150, 40, seed) }).trace()
}

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not and runs the short version.
    let whole = std::env::args().any(|word| word == "--bench");
    let (faces, repeats): (&[u8], _) = if whole { (&[4, 5, 6, 7], 15) } else { (&[4], 1) };
    let mut rows = Vec::new();
    for &face_log2 in faces {
        rows.push(contest::contest("traced", &traced(face_log2, 4, 1), repeats));
        rows.push(contest::contest("traced, 1 path", &traced(face_log2, 1, 2), repeats));
        for (name, cube) in skies::all(1 << face_log2) {
            rows.push(contest::contest(name, &cube, repeats));
        }
    }
    println!("{}", contest::table(&rows));
    let face_log2 = if whole { 5 } else { 4 };
    let mut cubes = skies::all(1 << face_log2);
    cubes.truncate(5);
    cubes.insert(0, ("traced", traced(face_log2, 4, 1)));
    println!("| cube | way | bytes, sharp level | dB | pack us | unpack us |\n|---|---|---|---|---|---|");
    for (name, cube) in &cubes {
        for way in rivals::ways(cube, repeats) {
            let (pack, unpack) = way.us.map_or(("-".into(), "-".into()), |(pack, unpack)| {
                (format!("{pack:.0}"), format!("{unpack:.0}"))
            });
            println!("| {name} | {} | {:.0} | {:.1} | {pack} | {unpack} |", way.name, way.bytes, way.psnr);
        }
    }
}
