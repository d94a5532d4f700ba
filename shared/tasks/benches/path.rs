//! The kind `path` beside the `pathfinding` crate's A*: `cargo bench -p p2c2r_tasks --bench path`.
//!
//! A ratio is the median over a map's queries of rival time by kernel time, one query per task, both with
//! their grid prepared beforehand; "task us" is the kernel on 20 queries, "grid us" preparing their grid once,
//! "units" the work units of both by admission. Bytes are per task of 20 queries. Every cost is asserted equal
//! to the rival's, and to the published one.

#[path = "../tests/path/contest.rs"]
mod contest;
#[path = "../tests/path/maps.rs"]
mod maps;
#[path = "../tests/seeded/mod.rs"]
mod seeded;

fn main() {
    let cases = [
        maps::moving_ai("arena"),
        maps::moving_ai("rmtst01"),
        maps::rocks(64, 25, 4, 20, 1),
        maps::rocks(64, 60, 2, 20, 2),
        maps::rocks(128, 80, 5, 30, 3),
        maps::rocks(512, 400, 12, 40, 4),
        maps::noise(64, 20, 40, 5),
        maps::noise(128, 35, 40, 6),
        maps::maze(63, 40, 7),
        maps::maze(255, 40, 8),
    ];
    // `cargo bench` passes `--bench`; `cargo test --benches` does not and runs the short version.
    let (queries, repeats) =
        if std::env::args().any(|word| word == "--bench") { (usize::MAX, 15) } else { (3, 1) };
    let rows: Vec<_> =
        cases.into_iter().map(|case| contest::contest(&case.shortened(queries), repeats)).collect();
    println!("{}", contest::table(&rows));
}
