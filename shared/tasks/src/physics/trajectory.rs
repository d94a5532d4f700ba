//! The motion of every body at any time of an outcome, for drawing.

use super::STEP_S;
use super::base::BodySnapshot;
use super::flight::{fly, glide};
use super::meet::ContactRecord;
use super::outcome::{Contact, PhysicsOutcome};
use super::quanta::{Motion, State};
use super::scene::PhysicsScene;
use super::spec::PhysicsSpec;
use super::vector::{add, compose, inverse, normalised, scale, sub};
use super::{check, judged};
use crate::blobs::Blobs;
use crate::kind::CheckError;

struct Leg {
    /// The states at the segment's start.
    states: Vec<State>,
    /// Tick of each body's first contact in it; the number of steps where it has none.
    first: Vec<u32>,
}

/// The motions of all bodies that a spec and its outcome describe. Borrows neither.
pub struct Trajectory {
    scene: PhysicsScene<'static>,
    legs: Vec<Leg>,
    ends: Vec<State>,
    contacts: Vec<(u32, Contact)>,
}

impl Trajectory {
    /// Unfolds the `outcome` of `spec`, which is [whole](PhysicsSpec::whole). An outcome that fails the
    /// always-on check is refused and never shown.
    pub fn new(spec: &PhysicsSpec, outcome: &PhysicsOutcome) -> Result<Self, CheckError> {
        let scene = judged(spec, &Blobs::default())?.into_owned();
        let judged = check::check(&scene, outcome)?;
        let (mut legs, mut contacts) = (Vec::new(), Vec::new());
        for (number, (segment, states)) in judged.segments.iter().zip(judged.starts).enumerate() {
            let base = number as u32 * scene.steps;
            contacts
                .extend(segment.contacts.iter().map(|contact| (base + u32::from(contact.tick), *contact)));
            legs.push(Leg { states, first: ContactRecord::of(&scene, &segment.contacts).first });
        }
        Ok(Self { scene, legs, ends: judged.ends, contacts })
    }

    /// The bodies as they are at its end, for a later spec to name as its [`PhysicsBase`](super::PhysicsBase).
    pub fn snapshot(&self) -> BodySnapshot {
        BodySnapshot::new(&self.scene.spec, &self.ends)
    }

    /// The spec it answers.
    pub fn spec(&self) -> &PhysicsSpec {
        &self.scene.spec
    }

    /// Sixtieths of a second it lasts.
    pub fn ticks(&self) -> u32 {
        self.scene.spec.ticks()
    }

    /// Index of the body with this id.
    pub fn index_of(&self, id: u32) -> Option<usize> {
        self.scene.spec.bodies.binary_search_by_key(&id, |body| body.id).ok()
    }

    /// All contacts, with their ticks counted from the trajectory's start.
    pub fn contacts(&self) -> &[(u32, Contact)] {
        &self.contacts
    }

    /// The lattice states at the start of segment `number`; at the very end for the number after the last.
    pub fn boundary(&self, number: usize) -> Option<&[State]> {
        if number == self.legs.len() {
            return Some(&self.ends);
        }
        self.legs.get(number).map(|leg| leg.states.as_slice())
    }

    /// The motion of body `index` at `tick` sixtieths of a second, clamped to the first and the last; `None`
    /// for an unknown body.
    ///
    /// At the start of a segment it is the lattice state. Up to its first contact in a segment a body flies
    /// by the formula; from there it moves evenly to its state at the segment's end, turning with the spin it
    /// ends with. This is exact for a single bounce, and smooth for more.
    pub fn at(&self, index: usize, tick: f64) -> Option<Motion> {
        let steps = f64::from(self.scene.steps);
        let tick = tick.clamp(0.0, f64::from(self.ticks()));
        let number = (tick / steps).floor() as usize;
        let into = tick - number as f64 * steps;
        let Some(leg) = self.legs.get(number) else { return self.ends.get(index).map(State::motion) };
        let start = leg.states.get(index)?;
        let first = f64::from(leg.first[index]);
        if into <= first {
            return Some(fly(&self.scene, index, start, into));
        }
        let end = self.boundary(number + 1)?[index].motion();
        let touched = fly(&self.scene, index, start, first);
        let left = (steps - into) / (steps - first);
        let seconds = (steps - first) * STEP_S;
        // The end's spin run backwards misses the rotation at the contact by a little; that error is spread
        // evenly.
        let missed = compose(touched.rotation, inverse(glide(&end, -seconds).rotation));
        let sign = if missed[3] < 0.0 { -1.0 } else { 1.0 };
        let share = [0, 1, 2, 3].map(|part| {
            let whole = if part == 3 { 1.0 } else { 0.0 };
            whole + (missed[part] * sign - whole) * left
        });
        Some(Motion {
            position: add(end.position, scale(sub(touched.position, end.position), left)),
            rotation: normalised(compose(normalised(share), glide(&end, -seconds * left).rotation)),
            velocity: end.velocity,
            spin: end.spin,
        })
    }
}
