//! Outcomes are the same everywhere: golden digests, on repeat, over threads, segment by segment.

use p2c2r_protocol::Digest;
use p2c2r_tasks::physics::{
    BodyMaterial, Motion, Physics, PhysicsOutcome, PhysicsSpec, Segment, ShapeId, State,
};
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
        ("heap", heap(120, 9)),
        ("long", PhysicsSpec { segments: 16, steps: 30, ..scenes::fast(20, 8) }),
    ]
}

/// Small rocks that rest beside one another, with drag, and a few large ones that fly into them.
pub fn heap(bodies: usize, seed: u64) -> PhysicsSpec {
    let mut spec = scenes::arena(bodies, seed);
    let mut seeded = crate::seeded::Seeded(seed ^ 0x55);
    spec.materials[1] = BodyMaterial { drag: 24, restitution: 60, ..BodyMaterial::ROCK };
    let across = (bodies as f64).sqrt().ceil() as usize;
    for (number, body) in spec.bodies.iter_mut().enumerate() {
        let place = [number % across, number / across].map(|part| (part as f64 - across as f64 / 2.0) * 0.98);
        let is_large = number % 20 == 7;
        let motion = Motion {
            position: [place[0], 0.0, place[1]],
            rotation: [0; 4].map(|_| seeded.between(-1.0, 1.0)),
            velocity: if is_large {
                [seeded.between(-6.0, 6.0), 0.0, seeded.between(-6.0, 6.0)]
            } else {
                [0.0; 3]
            },
            ..Motion::default()
        };
        body.shape = ShapeId::rock(number as u16 % 8, 0.5);
        (body.material, body.state) = (u8::from(!is_large), State::of(&motion));
    }
    spec
}

pub fn run(spec: &PhysicsSpec) -> PhysicsOutcome {
    Physics::run(spec, &Blobs::default(), &Stop::never()).unwrap()
}

/// An outcome and its segments, which a test can change.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub segments: Vec<Segment>,
}

impl Told {
    /// The kernel's outcome.
    pub fn truth(spec: &PhysicsSpec) -> Self {
        Self::by(spec, &run(spec))
    }

    pub fn by(spec: &PhysicsSpec, outcome: &PhysicsOutcome) -> Self {
        Self { segments: outcome.unfold(spec, &Blobs::default()).unwrap() }
    }

    /// The outcome that claims these segments.
    pub fn outcome(&self, spec: &PhysicsSpec) -> PhysicsOutcome {
        PhysicsOutcome::of(spec, &Blobs::default(), &self.segments).unwrap()
    }
}

fn digest(spec: &PhysicsSpec) -> Digest {
    Digest::of(&Physics::encode_outcome(&run(spec)))
}

/// Gamers, workers and the cache rely on these: if one changes, raise `Physics::KERNEL_VERSION`, then put the
/// new values here. They hold in debug and release builds alike.
const GOLDEN: [&str; 9] = [
    "8086661febaea8af",
    "b8e3b717f289af97",
    "477771b26b5d0f78",
    "254030a51f3e2a86",
    "07072f28f3b4f3e8",
    "3865b7a04ffed2a6",
    "1ad48f49627079d8",
    "1efc8c1f680159b9",
    "b080a9dd4a718244",
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

/// This makes a task of many segments checkable by one: asking for the rest from where a segment ended gives
/// the same rest.
#[test]
fn a_segment_depends_on_the_state_at_its_start_alone() {
    for (name, spec) in cases() {
        let (outcome, blobs) = (run(&spec), Blobs::default());
        let told = Told::by(&spec, &outcome).segments;
        for number in 1..usize::from(spec.segments) {
            let first = PhysicsSpec { segments: number as u8, ..spec.clone() };
            let until = PhysicsOutcome::of(&first, &blobs, &told[..number]).unwrap();
            let left = until.snapshot(&first, &blobs).unwrap();
            let rest = PhysicsSpec {
                segments: spec.segments - number as u8,
                bodies: left.bodies().to_vec(),
                ..spec.clone()
            };
            // Long flights end outside the range that a spec may start from, and what is left of a stirred-up
            // heap may cost more than it pays for by itself.
            let Ok(later) = Physics::run(&rest, &blobs, &Stop::never()) else {
                assert!(name == "long" || name == "heap" && number > 1, "{name} from segment {number}");
                continue;
            };
            let later = Told::by(&rest, &later).segments;
            assert_eq!(later, told[number..], "{name} from segment {number}");
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
