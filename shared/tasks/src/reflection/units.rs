//! Work units of the kind `reflection`, computed from a spec alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). Paths are counted; the boxes that a ray enters and the objects it meets are estimated from how
//! large the objects look: from the probe for the first ray of a path, and from a few of the objects for all
//! later ones. `cargo bench -p p2c2r_tasks --bench reflection` prints units and times side by side.
//!
//! Crowds of overlapping rocks are charged more than they take. Specs made to be underpaid, with many thin
//! things in one place, run out of fuel.

use p2c2r_protocol::WorkUnits;

use super::LIGHTS_MAX;
use super::scene::is_light;
use super::spec::{Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec};
use crate::admission::limited;
use crate::kind::SpecError;

/// Nanoseconds of a task, and of an object in it: records, boxes and their tree.
const TASK_NS: f64 = 20_000.0;
const OBJECT_NS: f64 = 900.0;
/// Nanoseconds of packing a texel into the outcome.
const TEXEL_NS: f64 = 85.0;
/// Nanoseconds of a texel if there are filtered levels.
const FILTER_NS: f64 = 90.0;
/// Nanoseconds of a path that meets nothing: its randomness, its ray among few boxes, its sky.
const PATH_NS: f64 = 85.0;
/// Nanoseconds of a ray in the BVH, per doubling of the objects, and of each box of an object: a rock or ball
/// that is met, or anything that is passed.
const DESCENT_NS: f64 = 6.0;
const STOUT_NS: f64 = 24.0;
const THIN_NS: f64 = 13.0;
/// Nanoseconds of a surface that is met, without its rays, and of each light it may sample.
const SURFACE_NS: f64 = 100.0;
const LIGHT_NS: f64 = 4.0;
/// Mean number of rays that leave a surface: one to the sun, one to a light and the path's own may each be left out.
const RAYS: f64 = 2.0;
/// Objects from which the looks of all others are estimated.
const VIEWPOINTS: usize = 8;

/// Steps of the parts of a kernel's work without its paths, the most nanoseconds that each takes: a task; an
/// object in it; a texel packed once, and filtered.
const TASK_STEPS: u64 = 20_000;
const OBJECT_STEPS: u64 = 1_500;
pub(super) const PACK_STEPS: u64 = 110;
pub(super) const FILTER_STEPS: u64 = 120;

/// Steps before the first path: records, boxes and their tree.
pub(crate) fn scene_steps(spec: &ReflectionSpec) -> u64 {
    TASK_STEPS + OBJECT_STEPS * spec.objects.len() as u64
}

/// An object as a ball that looks as large as the object's box, metres.
struct Ball {
    centre: [f64; 3],
    radius: f64,
    /// Whether the object fills its box so well that most rays into the box end there.
    is_stout: bool,
    /// Of a sphere or capsule: both ends of its axis, metres, and its radius.
    round: Option<([[f64; 3]; 2], f64)>,
}

/// Boxes that a ray runs into.
#[derive(Clone, Copy, Default)]
struct Boxes {
    stout: f64,
    /// Boxes of thin objects, and those the ray starts in: rays pass through.
    thin: f64,
}

impl Ball {
    fn of(object: &Object) -> Self {
        let metres = |steps: i16| f64::from(steps) / f64::from(POSITION_STEPS_PER_M);
        let round = |steps: u16| f64::from(steps) / f64::from(RADIUS_STEPS_PER_M);
        let from = object.position.map(metres);
        let (mut centre, mut line) = (from, None);
        let (radius, is_stout) = match object.form {
            Form::Sphere { radius } => {
                line = Some(([from, from], round(radius)));
                (round(radius), true)
            }
            Form::Capsule { to, radius } => {
                let to = to.map(metres);
                line = Some(([from, std::array::from_fn(|axis| from[axis] + to[axis])], round(radius)));
                centre.iter_mut().zip(to).for_each(|(part, to)| *part += to / 2.0);
                let [x, y, z] = to.map(|part| part.abs() + 2.0 * round(radius));
                // A convex body's projected area is on average a quarter of its surface area.
                (((x * y + y * z + z * x) / std::f64::consts::TAU).sqrt(), false)
            }
            Form::Rock { shape, .. } => (shape.outer_radius_m(), true),
        };
        Self { centre, radius, is_stout, round: line }
    }

    /// Whether `place` is inside. Shapes are met from outside only: no ray that begins there meets it.
    fn holds(&self, place: [f64; 3]) -> bool {
        let Some(([from, to], radius)) = self.round else { return false };
        let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let away = |a: [f64; 3], b: [f64; 3]| std::array::from_fn(|axis| b[axis] - a[axis]);
        let (along, out): ([f64; 3], [f64; 3]) = (away(from, to), away(from, place));
        let share = (dot(out, along) / dot(along, along).max(1e-9)).clamp(0.0, 1.0);
        let nearest = std::array::from_fn(|axis| from[axis] + share * along[axis]);
        let apart: [f64; 3] = away(nearest, place);
        dot(apart, apart) < radius * radius
    }

    /// Adds the share of all directions in which it is seen from `place`; all of them if `place` is inside.
    fn seen(&self, place: [f64; 3], boxes: &mut Boxes) {
        let square: f64 = self.centre.iter().zip(place).map(|(a, b)| (a - b) * (a - b)).sum();
        let share = self.radius * self.radius / square.max(1e-9);
        if share >= 1.0 {
            boxes.thin += 1.0;
        } else {
            let looks = (1.0 - (1.0 - share).sqrt()) / 2.0;
            *(if self.is_stout { &mut boxes.stout } else { &mut boxes.thin }) += looks;
        }
    }
}

impl Boxes {
    /// Share of rays that meet an object: with `n` stout boxes over all directions about n / (n + 1).
    fn met(self) -> f64 {
        let all = self.stout + self.thin.min(1.0) / 2.0;
        all / (1.0 + all)
    }

    /// Nanoseconds of a ray; a box that it meets is not also passed.
    fn ray_ns(self, doublings: f64) -> f64 {
        DESCENT_NS * doublings + STOUT_NS * self.stout / (1.0 + self.stout / 3.0) + THIN_NS * self.thin
    }
}

/// An estimate of what paths meet among the objects of a scene.
pub(crate) struct Crowd {
    balls: Vec<Ball>,
    /// Boxes that a ray from an object runs into, on average.
    among: Boxes,
    lights: usize,
    bounces: u8,
}

impl Crowd {
    /// The objects of an admissible spec.
    pub fn of(spec: &ReflectionSpec) -> Self {
        let mut crowd = Self {
            balls: spec.objects.iter().map(Ball::of).collect(),
            among: Boxes::default(),
            lights: spec.objects.iter().filter(|object| is_light(spec, object)).count().min(LIGHTS_MAX),
            bounces: spec.bounces,
        };
        let count = crowd.balls.len();
        let views: Vec<Boxes> = (0..count)
            .step_by(count.div_ceil(VIEWPOINTS).max(1))
            .map(|number| crowd.seen_from(crowd.balls[number].centre, |other, _| other == number))
            .collect();
        let mean = |part: fn(&Boxes) -> f64| views.iter().map(part).sum::<f64>() / views.len().max(1) as f64;
        crowd.among = Boxes { stout: mean(|boxes| boxes.stout), thin: mean(|boxes| boxes.thin) };
        crowd
    }

    /// Boxes that a ray from `place` runs into, without those of objects for which `but` holds.
    fn seen_from(&self, place: [f64; 3], but: impl Fn(usize, &Ball) -> bool) -> Boxes {
        let (mut boxes, others) = (Boxes::default(), self.balls.iter().enumerate());
        others
            .filter(|(number, ball)| !but(*number, ball))
            .for_each(|(_, ball)| ball.seen(place, &mut boxes));
        boxes
    }

    /// Nanoseconds of a path from a place, in [`POSITION_STEPS_PER_M`].
    pub fn path_ns(&self, place: [i16; 3]) -> f64 {
        let place = place.map(|steps| f64::from(steps) / f64::from(POSITION_STEPS_PER_M));
        let first = self.seen_from(place, |_, ball| ball.holds(place));
        // A ship's probe is inside its hull: rays go through the hull's box and meet nothing there.
        let within = self.balls.iter().filter(|ball| ball.holds(place)).count() as f64;
        // The larger estimate counts, so that a crowd near the probe is paid for even if the sampled objects
        // do not see it.
        let (stout, thin) = (self.among.stout.max(first.stout), self.among.thin.max(first.thin + within));
        let later = Boxes { stout, thin };
        let doublings = f64::from((self.balls.len() as u32 + 1).ilog2());
        let surface = SURFACE_NS + LIGHT_NS * self.lights as f64 + RAYS * later.ray_ns(doublings);
        let (mut path, mut reached) = (PATH_NS + first.ray_ns(doublings) + THIN_NS * within, first.met());
        for _ in 0..self.bounces {
            path += reached * surface;
            reached *= later.met();
        }
        path
    }

    /// Nanoseconds before the first path.
    pub fn scene_ns(&self) -> f64 {
        TASK_NS + OBJECT_NS * self.balls.len() as f64
    }
}

/// Work units of an admissible spec.
pub(super) fn reckon(spec: &ReflectionSpec) -> Result<WorkUnits, SpecError> {
    let crowd = Crowd::of(spec);
    let cubes = spec.viewpoints().map(|viewpoint| {
        let filtered = if viewpoint.levels > 1 { FILTER_NS } else { 0.0 };
        let paths = f64::from(viewpoint.samples) * crowd.path_ns(viewpoint.probe);
        viewpoint.texels() as f64 * (TEXEL_NS + paths + filtered)
    });
    let ns = crowd.scene_ns() + cubes.sum::<f64>();
    limited((ns / 1_000.0).ceil() as u64)
}
