//! The kind `path` beside the `pathfinding` crate's A*: `cargo bench -p p2c2r_tasks --bench path`.
//!
//! A ratio is the median over a map's queries of rival time by kernel time, one query per task, both with
//! their grid prepared beforehand. Tasks are of 20 queries. Every cost is asserted equal to the rival's.

#[path = "../tests/path/contest.rs"]
mod contest;
#[path = "../tests/path/maps.rs"]
mod maps;

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
    println!(
        "{:20} {:>5} {:>10} {:>10} {:>6} | {:>8} {:>8} {:>8} {:>8} | {:>5} {:>6} {:>7}",
        "map",
        "n",
        "rival us",
        "kernel us",
        "ratio",
        "grid us",
        "task us",
        "check us",
        "units",
        "spec",
        "blob",
        "outcome",
    );
    let rows: Vec<_> = cases.iter().map(|case| contest::contest(case, 15)).collect();
    for row in &rows {
        println!(
            "{:20} {:5} {:10.2} {:10.2} {:5.1}x | {:8.1} {:8.1} {:8.2} {:8.1} | {:5} {:6} {:7}",
            row.name,
            row.queries,
            row.rival_us,
            row.kernel_us,
            row.ratio,
            row.prepare_us,
            row.batch_us,
            row.check_us,
            row.units,
            row.spec_bytes,
            row.blob_bytes,
            row.outcome_bytes,
        );
    }
    let mut published: Vec<f64> = rows[..2].iter().map(|row| row.ratio).collect();
    let mut all: Vec<f64> = rows.iter().map(|row| row.ratio).collect();
    published.sort_by(f64::total_cmp);
    all.sort_by(f64::total_cmp);
    println!(
        "least ratio of the published maps {:.1}x, median of all {:.1}x",
        published[0],
        all[all.len() / 2]
    );
}
