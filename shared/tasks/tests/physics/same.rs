//! Outcomes are the same everywhere: golden digests, on repeat, over threads, segment by segment.

use p2c2r_protocol::Digest;
use p2c2r_tasks::physics::{Body, Physics, PhysicsOutcome, PhysicsSpec, Trajectory};
use p2c2r_tasks::{Blobs, KindRegistry, Stop, TaskKind};

use crate::scenes;

pub fn cases() -> Vec<(&'static str, PhysicsSpec)> {
    vec![
        ("arena", scenes::arena(150, 1)),
        ("crowd", scenes::arena(60, 2)),
        ("cloud", scenes::cloud(120, 3)),
        ("fast", scenes::fast(60, 4)),
        ("planar pull", scenes::pulled(50, 5, true)),
        ("pull", scenes::pulled(60, 6, false)),
        ("single", scenes::cloud(1, 7)),
        ("long", PhysicsSpec { segments: 16, steps: 30, ..scenes::fast(20, 8) }),
    ]
}

pub fn run(spec: &PhysicsSpec) -> PhysicsOutcome {
    Physics::run(spec, &Blobs::default(), &Stop::never()).unwrap()
}

fn digest(spec: &PhysicsSpec) -> Digest {
    Digest::of(&Physics::encode_outcome(&run(spec)))
}

/// Gamers, workers and the cache rely on these: if one changes, raise `Physics::KERNEL_VERSION`, then put the
/// new values here. They hold in debug and release builds alike.
const GOLDEN: [&str; 8] = [
    "15c5f9df070e7e83",
    "345b19fdb242e0a1",
    "63f27db699643c86",
    "992d93bb05df4436",
    "773d7a4cbccfe3b7",
    "9c339742a4c50c1d",
    "0bfebee5e4992c99",
    "d09c04c42b4c8696",
];

#[test]
fn golden_digests_hold() {
    let digests: Vec<String> =
        cases().iter().map(|(_, spec)| digest(spec).to_string()[..16].to_owned()).collect();
    assert_eq!(digests, GOLDEN, "the outcomes of the kernel changed");
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
                    let at = (round * (offset + 1) + offset) % cases.len();
                    assert_eq!(digest(&cases[at].1), expected[at], "{}", cases[at].0);
                }
            });
        }
    });
}

/// What makes a task of many segments checkable by one: asking for the rest from where a segment ended gives
/// the same rest.
#[test]
fn a_segment_depends_on_the_state_at_its_start_alone() {
    for (name, spec) in cases() {
        let outcome = run(&spec);
        let trajectory = Trajectory::new(&spec, &outcome).unwrap();
        for number in 1..usize::from(spec.segments) {
            let states = trajectory.boundary(number).unwrap();
            let bodies = spec.bodies.iter().zip(states).map(|(body, state)| Body { state: *state, ..*body });
            let rest = PhysicsSpec {
                segments: spec.segments - number as u8,
                bodies: bodies.collect(),
                ..spec.clone()
            };
            // Long flights end outside of what a spec may start from.
            let Ok(rest) = Physics::run(&rest, &Blobs::default(), &Stop::never()) else {
                assert_eq!(name, "long");
                continue;
            };
            assert_eq!(rest.segments, outcome.segments[number..], "{name} from segment {number}");
        }
    }
}

#[test]
fn ids_are_names_and_change_nothing_else() {
    let spec = scenes::arena(80, 11);
    let mut renamed = spec.clone();
    renamed.bodies.iter_mut().for_each(|body| body.id = body.id * 7 + 1_000_000);
    assert_eq!(run(&spec), run(&renamed));
}

#[test]
fn the_erased_kind_gives_the_same_bytes() {
    let spec = scenes::arena(60, 2);
    let kinds = KindRegistry::empty().with::<Physics>();
    let job = kinds.by_name("physics").unwrap().decode(&Physics::encode_spec(&spec)).unwrap();
    let blobs = Blobs::default();
    assert!(job.blob_refs().is_empty());
    assert_eq!(job.admit(&blobs), Physics::admit(&spec, &blobs));
    let bytes = job.run(&blobs, &Stop::never()).unwrap();
    assert_eq!(Physics::decode_outcome(&bytes).unwrap(), run(&spec));
    job.deep_check(&blobs, &bytes, 7).unwrap();
}

#[test]
fn the_catalogue_is_part_of_the_protocol_identity() {
    let with = KindRegistry::empty().with::<Physics>();
    let kernels = [(Physics::ID, Physics::NAME, Physics::KERNEL_VERSION)];
    let without = p2c2r_protocol::ProtocolIdentity::new(&kernels, Digest::of(b""));
    assert_ne!(with.identity().id, without.id);
}
