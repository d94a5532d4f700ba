//! The potato bench, for a few seconds: it must run wherever a control group may be made, and say what it needs
//! elsewhere.

use std::time::Instant;

use p2c2r_tests::programs::{PATIENCE, Program, command, folder};

/// The bench's exit status where it may make no control group.
const UNAVAILABLE: i32 = 69;

#[test]
fn the_potato_bench_compares_off_with_on_or_says_what_it_needs() {
    let files = tempfile::tempdir().expect("a temporary folder");
    let (report, picture) = (files.path().join("potato.json"), files.path().join("potato.svg"));
    let mut bench = command("p2c2r-bench");
    bench.args(["potato", "--quick", "--report"]).arg(&report).arg("--picture").arg(&picture);
    bench.env("P2C2R_BIN_DIR", folder());
    let mut bench = Program::start("bench", bench);
    bench.hear_until(Instant::now() + 4 * PATIENCE);
    let status = bench.ended();
    let said = bench.seen();
    if status.code() == Some(UNAVAILABLE) {
        assert!(said.contains("needs Linux") && said.contains("systemd-run"), "{said}");
        eprintln!("skipped: {said}");
        return;
    }
    assert!(status.success(), "{said}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("the report is JSON");
    let number = |arm: &str, name: &str| {
        let rows = report["medians"].as_array().into_iter().flatten();
        let row = rows.clone().find(|row| row["arm"] == arm).unwrap_or_else(|| panic!("{arm} in {report:#}"));
        row[name].as_f64()
    };
    for arm in ["off", "on", "killed", "flipped"] {
        for figure in
            ["fps", "low_fps", "frame_ms_p99", "cpu_ms_per_frame", "light_per_s", "light_age_ms_p50"]
        {
            assert!(number(arm, figure).is_some_and(|value| value > 0.0), "{arm} {figure}: {report:#}");
        }
    }
    assert_eq!(number("off", "worker_percent"), Some(0.0), "{report:#}");
    assert_eq!((number("off", "dollars_per_hour"), number("off", "up_kbit_per_s")), (Some(0.0), None));
    for figure in
        ["worker_percent", "dollars_per_hour", "up_kbit_per_s", "worker_cpu_ms_per_s", "kernel_percent"]
    {
        assert!(number("on", figure).is_some_and(|value| value > 0.0), "{figure}: {report:#}");
    }
    for figure in ["borrowing_fps", "borrowing_low_fps", "borrowing_frame_ms_p99"] {
        assert!(number("flipped", figure).is_some_and(|value| value > 0.0), "{figure}: {report:#}");
        assert_eq!(number("on", figure), None, "T is not pressed: {report:#}");
    }
    assert!(number("flipped", "switch_seconds_max").is_some(), "T took effect: {report:#}");
    let picture = std::fs::read_to_string(picture).expect("a picture");
    assert!(picture.contains("borrowing off") && picture.contains("borrowing on"), "{picture}");
}
