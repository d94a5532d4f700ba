//! Specs as changes of the bodies that an outcome left: the same task, the same outcome, and bytes that grow with
//! the changes only.

use std::sync::Arc;

use p2c2r_tasks::physics::{Body, BodySnapshot, Physics, PhysicsBase, PhysicsSpec, State, Trajectory};
use p2c2r_tasks::{Blob, Blobs, KindRegistry, SpecError, Stop, TaskKind};

use crate::same::{cases, heap, run};
use crate::scenes;
use crate::seeded::Seeded;

fn left(spec: &PhysicsSpec) -> (BodySnapshot, Arc<Blob>) {
    let outcome = run(spec);
    let bytes = Physics::leaves(spec, &Blobs::default(), &outcome).unwrap();
    (BodySnapshot::from_blob(&bytes).unwrap(), Blob::new(bytes))
}

/// The bodies as the outcome leaves them, some gone, some pushed, some new.
fn next(spec: &PhysicsSpec, seed: u64, changed: usize) -> PhysicsSpec {
    let trajectory = Trajectory::new(spec, &run(spec)).unwrap();
    let ends = trajectory.boundary(spec.segments.into()).unwrap();
    let mut bodies: Vec<Body> =
        spec.bodies.iter().zip(ends).map(|(body, end)| Body { state: *end, ..*body }).collect();
    let mut seeded = Seeded(seed);
    for _ in 0..changed.min(bodies.len() - 1) {
        let place = seeded.scaled(bodies.len() as u64) as usize;
        match seeded.scaled(3) {
            0 => _ = bodies.remove(place),
            1 => bodies[place].state.velocity[0] /= 2,
            _ => {
                let id = bodies.last().unwrap().id + 1 + seeded.scaled(4) as u32;
                let far = State { position: [(id as i32 % 64 - 32) * 700, 0, 20_000], ..State::default() };
                bodies.push(Body { id, state: far, ..bodies[0] });
            }
        }
    }
    PhysicsSpec { bodies, ..spec.clone() }
}

#[test]
fn a_spec_with_a_base_is_the_whole_one_in_fewer_bytes() {
    for (name, spec) in cases() {
        let (snapshot, blob) = left(&spec);
        let blobs = Blobs::new(vec![blob.clone()]);
        for changed in [0, 5] {
            let whole = next(&spec, 1, changed);
            let changes = whole.changes_of(&snapshot, blob.digest());
            assert_eq!(changes.whole(&blobs).unwrap().into_owned(), whole, "{name}");
            assert_eq!(Physics::blob_refs(&changes), [blob.digest()]);
            let bytes = Physics::encode_spec(&changes);
            assert_eq!(Physics::decode_spec(&bytes).unwrap(), changes);
            if whole.bodies.len() > 20 {
                assert!(bytes.len() < 400, "{name}: {} bytes for {changed} changes", bytes.len());
            }
            let none = Blobs::default();
            assert_eq!(Physics::admit(&changes, &blobs), Physics::admit(&whole, &none), "{name}");
            // Long flights end outside the range that a spec may start from.
            let outcome = Physics::run(&whole, &none, &Stop::never());
            assert_eq!(Physics::run(&changes, &blobs, &Stop::never()), outcome, "{name}");
            let Ok(outcome) = outcome else { continue };
            Physics::check(&changes, &blobs, &outcome).unwrap();
            Physics::deep_check(&changes, &blobs, &outcome, 1).unwrap();
            assert_eq!(Physics::leaves(&changes, &blobs, &outcome), Physics::leaves(&whole, &none, &outcome));
        }
    }
}

/// The side that shows an outcome and the side that judges it make the same snapshot.
#[test]
fn everyone_who_has_an_outcome_makes_the_same_snapshot() {
    for (_, spec) in cases() {
        let outcome = run(&spec);
        let shown = Trajectory::new(&spec, &outcome).unwrap().snapshot().to_blob();
        assert_eq!(Physics::leaves(&spec, &Blobs::default(), &outcome), shown);
        let kinds = KindRegistry::empty().with::<Physics>();
        let job = kinds.by_name("physics").unwrap().decode(&Physics::encode_spec(&spec)).unwrap();
        assert_eq!(job.leaves(&Blobs::default(), &Physics::encode_outcome(&outcome)), shown);
        assert_eq!(job.leaves(&Blobs::default(), &[]), None, "out of fuel leaves nothing");
    }
}

#[test]
fn a_missing_or_invalid_base_is_a_typed_refusal() {
    let spec = scenes::arena(30, 2);
    let (snapshot, blob) = left(&spec);
    let whole = next(&spec, 1, 3);
    let changes = whole.changes_of(&snapshot, blob.digest());
    let missing = Physics::admit(&changes, &Blobs::default());
    assert_eq!(missing, Err(SpecError::BlobMissing(blob.digest())));
    let outcome = run(&whole);
    let unjudged = Physics::check(&changes, &Blobs::default(), &outcome).unwrap_err();
    assert_eq!(unjudged.check, "physics.spec");
    for bytes in [vec![], vec![0xff; 40], blob.bytes()[1..].to_vec(), [blob.bytes(), &[0]].concat()] {
        let none = Blob::new(bytes);
        let base = PhysicsBase { digest: none.digest(), gone: vec![] };
        let spec = PhysicsSpec { base: Some(base), ..changes.clone() };
        let refused = Physics::admit(&spec, &Blobs::new(vec![none]));
        assert!(matches!(refused, Err(SpecError::BadBlob { .. })), "{refused:?}");
    }
}

/// A change has exactly one encoding.
#[test]
fn changes_that_change_nothing_are_refused() {
    let spec = scenes::arena(30, 2);
    let (snapshot, blob) = left(&spec);
    let whole = next(&spec, 4, 6);
    let right = whole.changes_of(&snapshot, blob.digest());
    let blobs = Blobs::new(vec![blob.clone()]);
    assert!(Physics::admit(&right, &blobs).is_ok());
    let left = BodySnapshot::from_blob(blob.bytes()).unwrap();
    let as_left = PhysicsSpec { bodies: vec![], base: right.base.clone(), ..right.clone() };
    let still_there =
        PhysicsSpec { base: Some(PhysicsBase { gone: vec![], ..right.base.clone().unwrap() }), ..as_left };
    let first = still_there.whole(&blobs).unwrap().bodies[0];
    assert_eq!(still_there.whole(&blobs).unwrap().changes_of(&left, blob.digest()), still_there);
    let with = |bodies: Vec<Body>, gone: Vec<u32>| {
        let base = Some(PhysicsBase { digest: blob.digest(), gone });
        Physics::admit(&PhysicsSpec { base, bodies, ..right.clone() }, &blobs)
    };
    let moved = Body { state: State { velocity: [9, 0, 9], ..first.state }, ..first };
    let second = still_there.whole(&blobs).unwrap().bodies[1].id;
    let cases = [
        ("not changed", with(vec![first], vec![])),
        ("changed and gone", with(vec![moved], vec![first.id])),
        ("twice", with(vec![moved, moved], vec![])),
        ("gone and never there", with(vec![], vec![first.id + 1])),
        ("gone twice", with(vec![], vec![first.id, first.id])),
        ("gone out of order", with(vec![], vec![second, first.id])),
    ];
    for (name, refused) in cases {
        assert!(matches!(refused, Err(SpecError::OutOfRange(_))), "{name}: {refused:?}");
    }
    assert!(with(vec![moved], vec![second]).is_ok());
}

/// A heap at rest costs next to nothing, up and down.
#[test]
fn bodies_at_rest_cost_no_bytes() {
    let mut spec = heap(900, 3);
    spec.bodies.iter_mut().for_each(|body| body.state.velocity = [0; 3]);
    let (snapshot, blob) = left(&spec);
    let outcome = run(&spec);
    assert!(outcome.bytes() < 200, "{} bytes down", outcome.bytes());
    let changes = spec.changes_of(&snapshot, blob.digest());
    assert!(changes.bodies.is_empty());
    let bytes = Physics::encode_spec(&changes).len();
    assert!(bytes < 100, "{bytes} bytes up");
}
