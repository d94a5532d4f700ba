//! Outcomes are the same everywhere: golden digests, on repeat, over threads, erased.

use p2c2r_protocol::Digest;
use p2c2r_tasks::tactics::{Tactics, TacticsSpec};
use p2c2r_tasks::{Blobs, KindRegistry, Stop, TaskKind};

use crate::situations::{fight, run};

pub fn cases() -> Vec<(&'static str, TacticsSpec)> {
    vec![
        ("few", fight(3, 1, 1)),
        ("many", TacticsSpec { candidates: 40, futures: 8, ..fight(14, 9, 2) }),
        ("boss", fight(4, 3, 3)),
        ("at once", TacticsSpec { lead_steps: 0, ..fight(5, 4, 6) }),
        ("late", TacticsSpec { lead_steps: 30, ..fight(5, 4, 4) }),
        ("alone", TacticsSpec { rocks: vec![], bolts: vec![], ..fight(0, 0, 5) }),
    ]
}

fn digest(spec: &TacticsSpec) -> Digest {
    Digest::of(&Tactics::encode_outcome(&run(spec)))
}

/// Gamers, workers and the cache rely on these: if one changes, raise `Tactics::KERNEL_VERSION`, then put the new
/// values here.
const GOLDEN: [(&str, &str); 6] = [
    ("few", "f15e9031aec321cb"),
    ("many", "23a997be39d4e115"),
    ("boss", "13c3335d41fba09c"),
    ("at once", "15075997c7267363"),
    ("late", "6ee108bfb72ef41f"),
    ("alone", "2f192218a402b09c"),
];

#[test]
fn golden_digests_hold() {
    let found: Vec<_> =
        cases().iter().map(|(name, spec)| (*name, digest(spec).to_string()[..16].to_owned())).collect();
    assert_eq!(found, GOLDEN.map(|(name, digest)| (name, digest.to_owned())));
}

#[test]
fn digests_are_equal_on_repeat_and_over_threads() {
    let cases = cases();
    let expected: Vec<Digest> = cases.iter().map(|(_, spec)| digest(spec)).collect();
    std::thread::scope(|scope| {
        for offset in 0..3 {
            let (cases, expected) = (&cases, &expected);
            scope.spawn(move || {
                for round in 0..cases.len() {
                    let at = (round + offset) % cases.len();
                    assert_eq!(digest(&cases[at].1), expected[at], "{}", cases[at].0);
                }
            });
        }
    });
}

#[test]
fn the_erased_kind_gives_the_same_bytes_of_the_size_that_is_said() {
    for (name, spec) in cases() {
        let kinds = KindRegistry::builtin();
        let encoded = Tactics::encode_spec(&spec);
        let job = kinds.by_name("tactics").unwrap().decode(&encoded).unwrap();
        let bytes = job.run(&Blobs::default(), &Stop::never()).unwrap();
        println!("{name}: {} bytes up, {} down", encoded.len(), bytes.len());
        assert_eq!(bytes, Tactics::encode_outcome(&run(&spec)));
        job.deep_check(&Blobs::default(), &bytes, 7).unwrap();
        assert!(encoded.len() <= 1_000 && bytes.len() <= 200, "{name}");
    }
}
