//! Outcomes are the same everywhere: golden digests, on repeat, over threads, in any batch.

use p2c2r_protocol::Digest;
use p2c2r_tasks::path::{Path, PathOutcome};
use p2c2r_tasks::{KindRegistry, Stop, TaskKind};

use crate::maps::{self, Case};

fn cases() -> Vec<Case> {
    vec![
        maps::moving_ai("arena").shortened(160),
        maps::moving_ai("rmtst01").shortened(256),
        maps::rocks(64, 30, 4, 30, 5),
        maps::rocks(130, 80, 5, 30, 6),
        maps::noise(64, 25, 60, 7),
        maps::maze(63, 30, 8),
    ]
}

fn digest(case: &Case) -> Digest {
    let (spec, blobs) = case.spec(&case.queries);
    Digest::of(&Path::encode_outcome(&Path::run(&spec, &blobs, &Stop::never()).unwrap()))
}

/// Gamers, workers and the cache rely on these: if one changes, raise `Path::KERNEL_VERSION`, then put the
/// new values here.
const GOLDEN: [&str; 6] = [
    "6a731b70c6c2bc4e",
    "182b55cca8512cb0",
    "0ad9c81c6ac26fa9",
    "dc7f03802b48df94",
    "11484cc1bf5c8eec",
    "c9be3fce6f9d6e85",
];

#[test]
fn golden_digests_hold() {
    let digests: Vec<String> = cases().iter().map(|case| digest(case).to_string()[..16].to_owned()).collect();
    assert_eq!(digests, GOLDEN, "the outcomes of the kernel changed");
}

#[test]
fn digests_are_equal_on_repeat_and_over_threads() {
    let cases = cases();
    let expected: Vec<Digest> = cases.iter().map(digest).collect();
    std::thread::scope(|scope| {
        for offset in 0..4 {
            let (cases, expected) = (&cases, &expected);
            // Each thread takes the cases in another order, so that their scratch memory differs.
            scope.spawn(move || {
                for round in 0..3 * cases.len() {
                    let at = (round * (offset + 1) + offset) % cases.len();
                    assert_eq!(digest(&cases[at]), expected[at], "{}", cases[at].name);
                }
            });
        }
    });
}

#[test]
fn an_answer_does_not_depend_on_the_batch_it_is_in() {
    for case in cases() {
        let (spec, blobs) = case.spec(&case.queries);
        let together = Path::run(&spec, &blobs, &Stop::never()).unwrap();
        for (query, answer) in case.queries.iter().zip(&together.answers) {
            let (spec, blobs) = case.spec(&[*query]);
            assert_eq!(
                &Path::run(&spec, &blobs, &Stop::never()).unwrap().answers,
                std::slice::from_ref(answer)
            );
        }
    }
}

#[test]
fn the_erased_kind_gives_the_same_bytes() {
    let case = maps::rocks(64, 30, 4, 30, 5);
    let (spec, blobs) = case.spec(&case.queries);
    let kinds = KindRegistry::builtin();
    let job = kinds.by_name("path").unwrap().decode(&Path::encode_spec(&spec)).unwrap();
    assert_eq!(job.blob_refs(), [spec.grid]);
    assert_eq!(job.admit(&blobs), Path::admit(&spec, &blobs));
    let bytes = job.run(&blobs, &Stop::never()).unwrap();
    let outcome: PathOutcome = Path::decode_outcome(&bytes).unwrap();
    assert_eq!(outcome, Path::run(&spec, &blobs, &Stop::never()).unwrap());
    job.deep_check(&blobs, &bytes, 7).unwrap();
}
