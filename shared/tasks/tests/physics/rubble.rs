//! Traffic of a field of rubble: window after window, each spec as changes of the bodies that the previous outcome
//! left.

use std::fmt::Write as _;

use p2c2r_protocol::WorkUnits;
use p2c2r_tasks::fuel::STEPS_PER_UNIT;
use p2c2r_tasks::physics::{
    Body, BodyMaterial, BodySnapshot, Motion, POSITION_STEPS_PER_M, Physics, PhysicsSpec, ShapeId, State,
    Walls,
};
use p2c2r_tasks::{Blob, Blobs, Fueled, KernelError, Stop, TaskKind};

use crate::contest::timed;
use crate::seeded::Seeded;

/// Windows a second.
const WINDOWS_PER_S: usize = 2;
/// Most bytes of a message's part that one packet carries, and the bytes of a packet beside it: headers of UDP and IP,
/// netcode's tag and number, and the header of the part.
const PART_BYTES: usize = 1_100;
const PACKET_BYTES: usize = 76;

/// How a field begins.
#[derive(Clone, Copy, Debug)]
pub enum Beginning {
    /// All at rest, each in contact with those beside it.
    AtRest,
    /// The same bodies, flying about among one another.
    InMotion,
}

/// Disturbances in every window.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Bodies that shatter into [`PIECES`] each.
    pub shattered: usize,
    /// Bodies that are pushed.
    pub pushed: usize,
}

/// Pieces of a shattered body.
const PIECES: usize = 6;

/// The figures of one window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub bodies: usize,
    /// Bodies in contact in its last segment: touched, or resting beside another.
    pub in_contact: usize,
    /// States that travelled.
    pub touched: usize,
    /// Bytes of the spec, of the whole spec that it stands for, and of the outcome.
    pub up: usize,
    pub up_whole: usize,
    pub down: usize,
    /// Work units, and the ratio of its steps to those that the units stand for.
    pub units: u64,
    pub of_units: f64,
    /// Microseconds of the kernel per unit.
    pub us_per_unit: f64,
}

fn on_the_wire(bytes: usize) -> usize {
    bytes + bytes.div_ceil(PART_BYTES).max(1) * PACKET_BYTES
}

impl Window {
    /// Kilobits a second both ways, packets included, if all windows are like this one.
    pub fn kbit_s(&self) -> f64 {
        ((on_the_wire(self.up) + on_the_wire(self.down)) * 8 * WINDOWS_PER_S) as f64 / 1_000.0
    }
}

fn body(id: u32, at: [f64; 2], radius: f64, velocity: [f64; 2], seeded: &mut Seeded) -> Body {
    let motion = Motion {
        position: [at[0], 0.0, at[1]],
        rotation: [0; 4].map(|_| seeded.between(-1.0, 1.0)),
        velocity: [velocity[0], 0.0, velocity[1]],
        ..Motion::default()
    };
    Body { id, shape: ShapeId::rock(id as u16 % 8, radius), material: 0, state: State::of(&motion) }
}

/// A field of rocks half a metre in radius, so near one another that each touches four.
fn field(bodies: usize, beginning: Beginning, seeded: &mut Seeded) -> PhysicsSpec {
    let across = (bodies as f64).sqrt().ceil() as usize;
    let spacing = 0.95;
    let half = ((across as f64 * spacing / 2.0 + 4.0) * POSITION_STEPS_PER_M) as i32;
    let mut place = |number: usize| {
        let at = [number % across, number / across].map(|part| (part as f64 - across as f64 / 2.0) * spacing);
        let velocity = match beginning {
            Beginning::AtRest => [0.0; 2],
            Beginning::InMotion => [0; 2].map(|_| seeded.between(-3.0, 3.0)),
        };
        body(1 + number as u32, at, 0.5, velocity, seeded)
    };
    PhysicsSpec {
        base: None,
        // As in the game.
        segments: 2,
        steps: 15,
        planar: true,
        walls: Some(Walls { half_x: half, half_z: half }),
        attractors: Vec::new(),
        materials: vec![BodyMaterial { drag: 24, restitution: 120, speed_cap: 64, ..BodyMaterial::ROCK }],
        bodies: (0..bodies).map(&mut place).collect(),
    }
}

/// Shatters and pushes bodies, as a gamer does between two windows.
fn disturb(spec: &mut PhysicsSpec, rate: Rate, bodies_max: usize, seeded: &mut Seeded) {
    for _ in 0..rate.pushed {
        let place = seeded.scaled(spec.bodies.len() as u64) as usize;
        let velocity = [0; 2].map(|_| (seeded.between(-6.0, 6.0) * 256.0) as i16);
        let state = &mut spec.bodies[place].state;
        (state.velocity[0], state.velocity[2]) = (velocity[0], velocity[1]);
    }
    for _ in 0..rate.shattered {
        let place = seeded.scaled(spec.bodies.len() as u64) as usize;
        let gone = spec.bodies.remove(place);
        let at = [0, 2].map(|axis| f64::from(gone.state.position[axis]) / POSITION_STEPS_PER_M);
        for piece in 0..PIECES {
            // A honeycomb's ring, and its middle.
            let way =
                [[0.0, 0.0], [1.0, 0.0], [0.5, 0.866], [-0.5, 0.866], [-1.0, 0.0], [-0.5, -0.866]][piece];
            let id = spec.bodies.last().map_or(0, |body| body.id) + 1;
            let [place, velocity] = [0.27, 3.0].map(|by| way.map(|part| part * by));
            spec.bodies.push(body(id, [at[0] + place[0], at[1] + place[1]], 0.125, velocity, seeded));
        }
    }
    // At the limit the oldest are removed.
    let over = spec.bodies.len().saturating_sub(bodies_max);
    spec.bodies.drain(..over);
}

/// Plays `windows` windows of a field, or fewer if one runs out of fuel; every outcome passes both checks.
pub fn play(bodies: usize, beginning: Beginning, rate: Rate, windows: usize) -> Vec<Window> {
    let (mut seeded, mut taken) = (Seeded(8), Vec::new());
    let mut spec = field(bodies, beginning, &mut seeded);
    let mut left: Option<Vec<u8>> = None;
    for number in 0..windows {
        let mut blobs = Blobs::default();
        let mut asked = spec.clone();
        if let Some(left) = left.take() {
            let snapshot = BodySnapshot::from_blob(&left).unwrap();
            let blob = Blob::new(left);
            asked = spec.changes_of(&snapshot, blob.digest());
            blobs = Blobs::new(vec![blob]);
        }
        let WorkUnits(units) = Physics::admit(&asked, &blobs).unwrap();
        let stop = Stop::never();
        let mut fuel = Physics::fuel(&asked, &blobs, &stop).unwrap();
        let mut ended = Err(KernelError::Stopped);
        let took = timed(|| ended = Physics::run_on(&asked, &blobs, &mut fuel));
        // The game moves a field that runs out of fuel by its own rule, so the series ends here.
        let Ok(outcome) = ended else { break };
        Physics::check(&asked, &blobs, &outcome).unwrap();
        Physics::deep_check(&asked, &blobs, &outcome, number as u64).unwrap();
        let segments = outcome.unfold(&asked, &blobs).unwrap();
        let bytes = Physics::leaves(&asked, &blobs, &outcome).unwrap();
        let snapshot = BodySnapshot::from_blob(&bytes).unwrap();
        taken.push(Window {
            bodies: spec.bodies.len(),
            in_contact: in_contact(&snapshot),
            touched: segments.iter().map(|segment| segment.touched.len()).sum(),
            up: Physics::encode_spec(&asked).len(),
            up_whole: Physics::encode_spec(&spec).len(),
            down: Physics::encode_outcome(&outcome).len(),
            units,
            of_units: fuel.spent() as f64 / (units * STEPS_PER_UNIT) as f64,
            us_per_unit: took.as_secs_f64() * 1e6 / units as f64,
        });
        spec.bodies = snapshot.bodies().to_vec();
        disturb(&mut spec, rate, bodies, &mut seeded);
        left = Some(bytes);
    }
    taken
}

/// Bodies whose outer balls touch another's.
fn in_contact(snapshot: &BodySnapshot) -> usize {
    let mut order: Vec<_> = snapshot
        .bodies()
        .iter()
        .map(|body| (body.state.motion().position, body.shape.outer_radius_m() + 0.01))
        .collect();
    order.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
    let widest = order.iter().map(|(_, radius)| *radius).fold(0.0, f64::max);
    let mut touches = vec![false; order.len()];
    for (rank, (one, radius)) in order.iter().enumerate() {
        for (later, (other, other_radius)) in order.iter().enumerate().skip(rank + 1) {
            if other[0] > one[0] + radius + widest {
                break;
            }
            let apart = (0..3).map(|axis| (other[axis] - one[axis]).powi(2)).sum::<f64>().sqrt();
            if apart <= radius + other_radius {
                (touches[rank], touches[later]) = (true, true);
            }
        }
    }
    touches.into_iter().filter(|touches| *touches).count()
}

/// The mean of the windows, and the largest ratio of steps to units.
pub fn mean(windows: &[Window]) -> Window {
    let count = windows.len().max(1);
    let mean = |part: fn(&Window) -> usize| windows.iter().map(part).sum::<usize>() / count;
    Window {
        bodies: mean(|window| window.bodies),
        in_contact: mean(|window| window.in_contact),
        touched: mean(|window| window.touched),
        up: mean(|window| window.up),
        up_whole: mean(|window| window.up_whole),
        down: mean(|window| window.down),
        units: windows.iter().map(|window| window.units).sum::<u64>() / count as u64,
        of_units: windows.iter().map(|window| window.of_units).fold(0.0, f64::max),
        us_per_unit: windows.iter().map(|window| window.us_per_unit).fold(0.0, f64::max),
    }
}

/// One line a scene, and one for its first two seconds.
pub fn table(bodies: usize, windows: usize) -> String {
    let mut table = format!(
        "{:<34}{:>8}{:>7}{:>11}{:>9}{:>8}{:>10}{:>8}{:>8}{:>8}{:>10}{:>9}\n",
        "windows of half a second",
        "windows",
        "bodies",
        "in contact",
        "touched",
        "up B",
        "whole B",
        "down B",
        "kbit/s",
        "units",
        "steps/u.",
        "us/unit"
    );
    let calm = Rate { shattered: 0, pushed: 0 };
    let shot = Rate { shattered: 2, pushed: 4 };
    let heavy = Rate { shattered: 12, pushed: 12 };
    for (name, beginning, rate) in [
        ("at rest", Beginning::AtRest, calm),
        ("at rest, 4 shatter a second", Beginning::AtRest, shot),
        ("at rest, 24 shatter a second", Beginning::AtRest, heavy),
        ("in motion, coming to rest", Beginning::InMotion, calm),
        ("in motion, 4 shatter a second", Beginning::InMotion, shot),
    ] {
        let windows = play(bodies, beginning, rate, windows);
        // The first spec is whole.
        let later = windows.get(1..).unwrap_or_default();
        for (when, windows) in [("", later), (" (2 s)", &later[..later.len().min(4)])] {
            let mean = mean(windows);
            let _ = writeln!(
                table,
                "{:<34}{:>8}{:>7}{:>11}{:>9}{:>8}{:>10}{:>8}{:>8.0}{:>8}{:>10.2}{:>9.2}",
                format!("{name}{when}"),
                windows.len(),
                mean.bodies,
                mean.in_contact,
                mean.touched,
                mean.up,
                mean.up_whole,
                mean.down,
                mean.kbit_s(),
                mean.units,
                mean.of_units,
                mean.us_per_unit
            );
        }
    }
    table
}

/// The bench's code on small input, so that it cannot rot.
#[test]
fn the_table_has_two_lines_for_each_scene() {
    assert_eq!(table(40, 3).lines().count(), 11);
}

/// The budget in bytes, which are the same on every machine.
#[test]
fn twelve_hundred_bodies_in_contact_take_at_most_a_quarter_of_a_megabit() {
    let (bodies, rate) = (p2c2r_tasks::physics::BODIES_MAX, Rate { shattered: 2, pushed: 4 });
    let windows = play(bodies, Beginning::AtRest, rate, 6);
    let mean = mean(&windows[1..]);
    assert_eq!(windows.len(), 6, "it needs more than it pays for");
    assert!(mean.in_contact > 1_000 && mean.bodies == bodies, "{mean:?}");
    assert!(mean.kbit_s() <= 250.0, "{} kbit/s: {mean:?}", mean.kbit_s());
}

/// Bodies at rest cost nothing: twice as many bodies, the same bytes.
#[test]
fn bytes_follow_what_happens_and_not_how_many_bodies_there_are() {
    let taken =
        |bodies: usize| mean(&play(bodies, Beginning::AtRest, Rate { shattered: 0, pushed: 0 }, 3)[1..]);
    let (few, many) = (taken(300), taken(900));
    assert!(many.up <= few.up + 8 && many.down <= few.down + 64, "{few:?} {many:?}");
}

/// While a field comes to rest, nearly all bodies stay in contact, and moving ones push those at rest.
#[test]
fn fields_that_keep_moving_in_contact_pay_for_what_they_take() {
    let nothing = Rate { shattered: 0, pushed: 0 };
    let shaken = Rate { shattered: 0, pushed: 60 };
    for (beginning, rate) in
        [(Beginning::InMotion, nothing), (Beginning::InMotion, shaken), (Beginning::AtRest, shaken)]
    {
        let windows = play(100, beginning, rate, 26);
        assert_eq!(windows.len(), 26, "{beginning:?} needs more than its fuel");
        let most = mean(&windows).of_units;
        assert!(most <= 2.2, "{beginning:?}, {rate:?}: steps of {most} times its units");
    }
}
