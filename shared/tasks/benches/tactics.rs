//! The kind `tactics` at the depths of the game's presets: `cargo bench -p p2c2r_tasks --bench tactics`.
//!
//! "us" is the least that a task takes with its encoding, "units/ms" the work units of its spec for each millisecond of that,
//! and the digest is the outcome's, so that two builds can be compared.

#[path = "../tests/seeded/mod.rs"]
mod seeded;
#[path = "../tests/tactics/situations.rs"]
mod situations;

use std::hint::black_box;
use std::time::{Duration, Instant};

use p2c2r_protocol::Digest;
use p2c2r_tasks::tactics::{Tactics, TacticsSpec};
use p2c2r_tasks::{Blobs, TaskKind};

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not and runs the short version.
    let repeats = if std::env::args().any(|word| word == "--bench") { 40 } else { 1 };
    let fights = [("calm", 1, 1, 10), ("wave", 4, 3, 20), ("crowd", 9, 9, 31)];
    println!("{:<8}{:>12}{:>8}{:>10}{:>10}  digest", "fight", "plans", "units", "us", "units/ms");
    for (name, rammers, gunners, seed) in fights {
        for (candidates, futures) in [(8, 2), (8, 8), (16, 8), (32, 16)] {
            let spec = TacticsSpec { candidates, futures, ..situations::fight(rammers, gunners, seed) };
            let units = Tactics::admit(&spec, &Blobs::default()).expect("an admissible fight").0;
            let mut least = Duration::MAX;
            let mut digest = None;
            for _ in 0..repeats {
                let began = Instant::now();
                let outcome = Tactics::encode_outcome(&situations::run(black_box(&spec)));
                least = least.min(began.elapsed());
                digest = Some(Digest::of(&outcome));
            }
            let us = least.as_secs_f64() * 1e6;
            let digest = digest.map(|digest| digest.to_string()[..8].to_owned()).unwrap_or_default();
            let plans = format!("{candidates} x {futures}");
            println!("{name:<8}{plans:>12}{units:>8}{us:>10.1}{:>10.0}  {digest}", units as f64 / us * 1e3);
        }
    }
}
