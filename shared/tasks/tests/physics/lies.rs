//! Every lie about a flight is caught: by the always-on check that is named for it, or by running a segment
//! again, with the chance that is promised.

use p2c2r_tasks::physics::{
    Body, BodyMaterial, Contact, Impulse, Motion, POSITION_STEPS_PER_M, Physics, PhysicsSpec, Rotation,
    STEPS_DEFAULT, Segment, ShapeId, State, Touched, VELOCITY_STEPS_PER_M_S, WALL,
};
use p2c2r_tasks::{Blobs, TaskKind};

use crate::same::Told;
use crate::scenes;

const SEGMENTS: u8 = 4;

fn scene() -> (PhysicsSpec, Told) {
    let spec = PhysicsSpec { segments: SEGMENTS, ..scenes::arena(150, 21) };
    let outcome = Told::truth(&spec);
    (spec, outcome)
}

/// The always-on check's verdict.
fn verdict(spec: &PhysicsSpec, outcome: &Told) -> Result<(), &'static str> {
    Physics::check(spec, &Blobs::default(), &outcome.outcome(spec)).map_err(|error| error.check)
}

/// Number of `tries` deep checks that fail; all must fail with the same name.
fn caught(spec: &PhysicsSpec, outcome: &Told, tries: u64) -> usize {
    let outcome = outcome.outcome(spec);
    let errors: Vec<_> = (0..tries)
        .filter_map(|seed| Physics::deep_check(spec, &Blobs::default(), &outcome, seed).err())
        .collect();
    assert!(errors.iter().all(|error| error.check == "physics.rerun"), "{errors:?}");
    errors.len()
}

/// Two bodies of segment `number` that touched each other and nothing else, as indices into `touched`.
fn couple(segment: &Segment) -> [usize; 2] {
    let times =
        |body: u16| segment.contacts.iter().filter(|contact| contact.a == body || contact.b == body).count();
    let pair =
        segment.contacts.iter().find(|contact| contact.b != WALL && times(contact.a) + times(contact.b) == 2);
    let pair = pair.expect("no two bodies met alone; take another seed");
    [pair.a, pair.b].map(|body| place(segment, body))
}

fn place(segment: &Segment, body: u16) -> usize {
    segment.touched.iter().position(|touched| touched.body == body).unwrap()
}

fn remove(segment: &mut Segment, bodies: &[u16]) {
    segment.touched.retain(|touched| !bodies.contains(&touched.body));
    segment.contacts.retain(|contact| !bodies.contains(&contact.a) && !bodies.contains(&contact.b));
}

#[test]
fn the_truth_passes() {
    let (spec, outcome) = scene();
    assert_eq!(verdict(&spec, &outcome), Ok(()));
    assert_eq!(caught(&spec, &outcome, 20), 0);
    assert!(outcome.segments.iter().all(|segment| segment.contacts.len() > 10));
}

#[test]
fn a_body_pushed() {
    let (spec, mut outcome) = scene();
    let segment = &mut outcome.segments[2];
    let [first, _] = couple(segment);
    let velocity = &mut segment.touched[first].state.velocity;
    let axis = if velocity[0].abs() > velocity[2].abs() { 0 } else { 2 };
    // Slower, so that the energy check does not catch it first.
    velocity[axis] -= velocity[axis].signum() * (0.125 * VELOCITY_STEPS_PER_M_S) as i16;
    assert_eq!(verdict(&spec, &outcome), Err("physics.momentum"));
}

#[test]
fn energy_added_without_momentum() {
    let (spec, outcome) = scene();
    let places = couple(&outcome.segments[1]);
    let mass = |place: usize| {
        let body = &spec.bodies[usize::from(outcome.segments[1].touched[place].body)];
        f64::from(spec.materials[usize::from(body.material)].density) * body.shape.volume_m3()
    };
    let masses = places.map(mass);
    // Whole steps for the heavier, so that rounding the lighter adds less than the check allows.
    let heavy = usize::from(masses[1] > masses[0]);
    let steps = (12.0 * VELOCITY_STEPS_PER_M_S * masses[1 - heavy] / masses[heavy]).round();
    let back = (steps * masses[heavy] / masses[1 - heavy]).round();
    let mut lie = outcome.clone();
    let touched = &mut lie.segments[1].touched;
    touched[places[heavy]].state.velocity[2] += steps as i16;
    touched[places[1 - heavy]].state.velocity[2] -= back as i16;
    assert_eq!(verdict(&spec, &lie), Err("physics.energy"));
    let mut lie = outcome.clone();
    lie.segments[1].touched[places[0]].state.spin = [4_000, 0, 0];
    assert_eq!(verdict(&spec, &lie), Err("physics.energy"));
}

#[test]
fn a_body_moved_farther_than_it_can_have_come() {
    let (spec, mut outcome) = scene();
    outcome.segments[0].touched[3].state.position[0] += (12.0 * POSITION_STEPS_PER_M) as i32;
    assert_eq!(verdict(&spec, &outcome), Err("physics.displacement"));
}

#[test]
fn all_contacts_of_a_segment_dropped() {
    let (spec, mut outcome) = scene();
    outcome.segments[1] = Segment::default();
    assert_eq!(verdict(&spec, &outcome), Err("physics.contact_missing"));
}

#[test]
fn a_pair_that_flies_through_one_another() {
    // Two balls head on: a segment in which they would pass through each other.
    let (spec, outcome) = head_on();
    assert_eq!(outcome.segments[1].contacts.len(), 1);
    let mut lie = outcome.clone();
    remove(&mut lie.segments[1], &[0, 1]);
    assert_eq!(verdict(&spec, &lie), Err("physics.contact_missing"));
    let mut late = outcome.clone();
    late.segments[1].contacts[0].tick = STEPS_DEFAULT - 1;
    assert_eq!(verdict(&spec, &late), Err("physics.contact_missing"));
    let mut early = outcome;
    early.segments[1].contacts[0].tick = 0;
    assert_eq!(verdict(&spec, &early), Err("physics.contact_apart"));
}

#[test]
fn a_body_that_flies_through_a_wall() {
    let mut spec = head_on().0;
    spec.bodies.truncate(1);
    spec.bodies[0].state.position[0] = (28.0 * POSITION_STEPS_PER_M) as i32;
    let mut outcome = Told::truth(&spec);
    let walled = outcome.segments.iter().position(|segment| !segment.contacts.is_empty()).unwrap();
    assert_eq!(outcome.segments[walled].contacts[0].b, WALL);
    remove(&mut outcome.segments[walled], &[0]);
    assert_eq!(verdict(&spec, &outcome), Err("physics.contact_missing"));
}

/// Parts that no outcome can express are left out.
#[test]
fn what_no_outcome_can_say_is_left_out() {
    let (spec, outcome) = scene();
    let said = |change: &dyn Fn(&mut Segment)| {
        let mut lie = outcome.clone();
        change(&mut lie.segments[1]);
        lie.outcome(&spec)
    };
    let truth = outcome.outcome(&spec);
    assert_eq!(said(&|segment| segment.touched.swap(0, 1)), truth, "bodies have their order");
    assert_eq!(said(&|segment| segment.contacts.swap(0, 1)), truth, "contacts have theirs");
    assert_eq!(said(&|segment| segment.contacts.insert(0, segment.contacts[0])), truth, "a pair has one");
    let state = spec.bodies[0].state;
    let free = untouched(&outcome.segments[1]);
    assert_eq!(
        said(&|segment| segment.touched.push(Touched { body: free, state })),
        truth,
        "nothing touched it"
    );
    assert_eq!(said(&|segment| segment.touched.push(Touched { body: 150, state })), truth, "there are 150");
    let contact = Contact { tick: 0, a: 3, b: 150, impulse: Impulse(9) };
    assert_eq!(said(&|segment| segment.contacts.push(contact)), truth, "there are 150");
    let contact = Contact { tick: 0, a: 4, b: 4, impulse: Impulse(9) };
    assert_eq!(said(&|segment| segment.contacts.push(contact)), truth, "with itself");
    let (spec, truth) = head_on();
    let spec = PhysicsSpec { walls: None, ..spec };
    let contact = Contact { tick: 0, a: 0, b: WALL, impulse: Impulse(9) };
    let mut lie = truth.clone();
    lie.segments[1].contacts.push(contact);
    assert_eq!(lie.outcome(&spec), truth.outcome(&spec), "there are no walls");
    lie.segments.push(Segment::default());
    assert_eq!(lie.outcome(&spec), truth.outcome(&spec), "a segment too many");
}

fn untouched(segment: &Segment) -> u16 {
    (0..150).find(|body| segment.touched.iter().all(|touched| touched.body != *body)).unwrap()
}

#[test]
fn states_of_two_bodies_exchanged() {
    let (spec, mut outcome) = scene();
    let segment = &mut outcome.segments[3];
    let last = segment.touched.len() - 1;
    let states = [0, last].map(|place| segment.touched[place].state);
    (segment.touched[0].state, segment.touched[last].state) = (states[1], states[0]);
    assert_eq!(verdict(&spec, &outcome), Err("physics.displacement"));
}

#[test]
fn a_contact_made_up() {
    let (spec, mut outcome) = scene();
    let trajectory = p2c2r_tasks::physics::Trajectory::new(&spec, &outcome.outcome(&spec)).unwrap();
    let ends = trajectory.boundary(1).unwrap().to_vec();
    let segment = &mut outcome.segments[0];
    let mut free = (0..150u16).filter(|body| segment.touched.iter().all(|touched| touched.body != *body));
    let (a, b) = (free.next().unwrap(), free.next_back().unwrap());
    // Both end where the formula says, so nothing but the contact is wrong.
    segment.touched.extend([a, b].map(|body| Touched { body, state: ends[usize::from(body)] }));
    segment.touched.sort_by_key(|touched| touched.body);
    segment.contacts.push(Contact { tick: STEPS_DEFAULT - 1, a, b, impulse: Impulse(255) });
    segment.contacts.sort_by_key(|contact| (contact.tick, contact.a, contact.b));
    assert_eq!(verdict(&spec, &outcome), Err("physics.contact_apart"));
}

#[test]
fn states_that_no_kernel_gives() {
    let (spec, outcome) = scene();
    let said = |change: &dyn Fn(&mut State)| {
        let mut lie = outcome.clone();
        change(&mut lie.segments[2].touched[5].state);
        verdict(&spec, &lie)
    };
    assert_eq!(said(&|state| state.rotation.rest = [16_384, 0, 0]), Err("physics.rotation"));
    assert_eq!(said(&|state| state.rotation.rest = [i16::MIN; 3]), Err("physics.rotation"));
    assert_eq!(
        said(&|state| state.rotation = Rotation { dropped: 1, rest: [16_383, 12_000, 0] }),
        Err("physics.rotation")
    );
    assert_eq!(said(&|state| state.position[1] = 1), Err("physics.plane"));
    assert_eq!(said(&|state| state.velocity[1] = -1), Err("physics.plane"));
    assert_eq!(said(&|state| state.position[2] = 1_100_000), Err("physics.range"));
    assert_eq!(said(&|state| state.velocity[0] = i16::MAX), Err("physics.caps"));
    assert_eq!(said(&|state| state.spin[1] = i16::MIN), Err("physics.caps"));
}

#[test]
fn segments_left_out_are_segments_in_which_nothing_happens() {
    let (spec, mut outcome) = scene();
    outcome.segments.truncate(3);
    assert_eq!(verdict(&spec, &outcome), Err("physics.contact_missing"));
}

#[test]
fn a_segment_copied() {
    let (spec, mut outcome) = scene();
    outcome.segments[2] = outcome.segments[1].clone();
    assert!(verdict(&spec, &outcome).is_err());
    // Bodies at rest in contact look alike in every segment; here the copy fails deeply too.
    let tries = 40;
    let times = caught(&spec, &outcome, tries);
    assert!(times as u64 >= tries / u64::from(SEGMENTS) / 2, "caught {times} times in {tries}");
}

#[test]
fn all_in_one_place() {
    // Sixty balls in a block, the first two in contact, the others a little apart.
    let shape = ShapeId::ball(0.125);
    let body = |id: u32| {
        let [x, y, z] = [id % 4, id / 4 % 4, id / 16].map(|part| 0.26 * f64::from(part));
        let position = [x + if id == 0 { 0.02 } else { 0.0 }, y, z];
        Body { id, shape, material: 0, state: State::of(&Motion { position, ..Motion::default() }) }
    };
    let spec = PhysicsSpec {
        base: None,
        segments: 2,
        steps: 30,
        planar: false,
        walls: None,
        attractors: vec![],
        materials: vec![BodyMaterial { speed_cap: 256, ..BodyMaterial::ROCK }],
        bodies: (0..60).map(body).collect(),
    };
    // All others are claimed to be touched by one that was touched before, so no gap proves it false.
    let contact = |b: u16| Contact { tick: u8::from(b > 1), a: 0, b, impulse: Impulse(0) };
    let contacts = (1..60).map(contact).collect();
    let touched = (0..60).map(|body| Touched { body, state: State::default() });
    let lie = Segment { touched: touched.collect(), contacts };
    // No honest outcome continues after such a segment; the check rejects it without testing.
    let short = PhysicsSpec { segments: 1, ..spec.clone() };
    let outcome = Told { segments: vec![lie] }.outcome(&short);
    let refused = Physics::check(&spec, &Blobs::default(), &outcome).unwrap_err();
    assert_eq!(refused.check, "physics.crowded");
}

/// Small lies that no cheap check can see are caught by the sampled one.
#[test]
fn small_lies_are_caught_by_the_deep_check_as_often_as_promised() {
    let (spec, outcome) = scene();
    let place_of_couple = couple(&outcome.segments[2])[0];
    let walled =
        outcome.segments[2].contacts.iter().find(|contact| contact.b == WALL).expect("take another seed");
    // If a wall takes up momentum, a change of one velocity step goes unseen.
    let walled = place(&outcome.segments[2], walled.a);
    let place = place_of_couple;
    let lies: [(&str, &dyn Fn(&mut Segment)); 7] = [
        ("a position one quantum off", &|segment| segment.touched[place].state.position[0] += 1),
        ("a velocity one quantum off", &|segment| {
            let velocity = &mut segment.touched[walled].state.velocity[2];
            *velocity -= velocity.signum();
        }),
        ("a spin one quantum off", &|segment| {
            segment.touched[place].state.spin[1] -= segment.touched[place].state.spin[1].signum();
        }),
        ("a rotation one quantum off", &|segment| segment.touched[place].state.rotation.rest[0] ^= 1),
        ("an impulse one class off", &|segment| segment.contacts[0].impulse.0 ^= 1),
        ("a body half a metre aside", &|segment| segment.touched[place].state.position[2] += 512),
        ("a spin stopped", &|segment| segment.touched[place].state.spin = [0; 3]),
    ];
    for (name, change) in lies {
        let mut lie = outcome.clone();
        change(&mut lie.segments[2]);
        assert_ne!(lie, outcome, "{name}: nothing changed; take another seed");
        assert_eq!(verdict(&spec, &lie), Ok(()), "{name}");
        // The changed segment is one of four. Where the change moves the start of the next segment, that one is not
        // what its start leads to either, and two of four are false.
        let tries = 40;
        let times = caught(&spec, &lie, tries);
        assert!((6..=26).contains(&times), "{name}: caught {times} times in {tries}");
    }
}

#[test]
fn a_lie_in_one_segment_of_four_is_caught_by_one_seed_in_four_and_in_all_by_every_seed() {
    let (spec, outcome) = scene();
    let mut lie = outcome.clone();
    let last = lie.segments.len() - 1;
    lie.segments[last].contacts[0].impulse.0 ^= 1;
    let times = caught(&spec, &lie, 400);
    assert!((80..120).contains(&times), "caught {times} times in 400");
    for (segment, right) in lie.segments.iter_mut().zip(&outcome.segments) {
        segment.contacts[0].impulse.0 = right.contacts[0].impulse.0 ^ 1;
    }
    assert_eq!(verdict(&spec, &lie), Ok(()));
    assert_eq!(caught(&spec, &lie, 40), 40);
}

/// Two balls that meet in the middle of the second segment.
fn head_on() -> (PhysicsSpec, Told) {
    let spec = scenes::arena(2, 1);
    let body = |id: u32, side: f64| {
        let motion = Motion {
            position: [-4.0 * side, 0.0, 0.0],
            velocity: [6.0 * side, 0.0, 0.0],
            ..Motion::default()
        };
        Body { id, shape: ShapeId::ball(1.0), material: 0, state: State::of(&motion) }
    };
    let spec = PhysicsSpec { bodies: vec![body(1, 1.0), body(2, -1.0)], ..spec };
    let outcome = Told::truth(&spec);
    (spec, outcome)
}
