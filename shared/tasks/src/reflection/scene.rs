//! A spec in metres and radiance, as arrays of plain records that a GPU can be given as they are.

use glam::{Quat, Vec3};

use super::bvh::{self, Bounds, Node, Ray, traverse};
use super::shapes::{RockFaces, enter_capsule, enter_sphere};
use super::sky::{SKY_RADIANCE_MAX, Sky};
use super::spec::{
    Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec, Surface, Viewpoint,
};
use super::{LIGHT_RADIANCE_MAX, LIGHTS_MAX};
use crate::physics::ShapeKind;

/// [`Primitive::shape`] of a sphere.
pub const SPHERE: u32 = 0;
/// [`Primitive::shape`] of a capsule.
pub const CAPSULE: u32 = 1;
/// [`Primitive::shape`] of a rock of form 0; the other forms follow.
pub const ROCK: u32 = 2;
/// Stands for no object or light where an index is expected.
pub const NONE: u32 = u32::MAX;
/// Longest ray, metres.
pub const FAR: f32 = 1e6;

/// Fuel steps of an object whose box a ray enters, the most nanoseconds that each takes: one that is skipped, a
/// sphere, a capsule, a rock.
const SKIP_STEPS: u64 = 10;
const SPHERE_STEPS: u64 = 27;
const CAPSULE_STEPS: u64 = 40;
const ROCK_STEPS: u64 = 95;

/// One object. 96 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Primitive {
    /// Centre of a sphere or rock, first end of a capsule, metres.
    pub position: [f32; 3],
    /// Metres; of a rock, of the ball around it.
    pub radius: f32,
    /// From a capsule's first end to the other, metres.
    pub axis: [f32; 3],
    /// [`SPHERE`], [`CAPSULE`] or [`ROCK`] plus the form.
    pub shape: u32,
    /// Of a rock: rows of the matrix from world directions to the frame in which the rock's outer radius is 1
    /// (the inverse rotation divided by the radius). The fourth of each is 0.
    pub rows: [[f32; 4]; 3],
    /// Index into [`Scene::materials`].
    pub material: u32,
    /// Index into [`Scene::lights`] if surfaces sample this object as a light, or [`NONE`].
    pub light: u32,
    /// Padding to 16 bytes.
    pub pad: [u32; 2],
}

/// A surface, decoded. 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Material {
    /// Share of light that leaves diffusely.
    pub diffuse: [f32; 3],
    /// GGX width of the mirror's lobe, the roughness squared; below [`MIRROR_ALPHA`] it is a perfect mirror.
    pub alpha: f32,
    /// Share that is mirrored at normal incidence.
    pub mirror: [f32; 3],
    /// Padding to 16 bytes.
    pub pad: u32,
    /// Radiance it gives off.
    pub glow: [f32; 3],
    /// Padding to 16 bytes.
    pub pad2: u32,
}

/// Lobes narrower than this count as perfect mirrors.
pub const MIRROR_ALPHA: f32 = 1e-3;
/// Share of light that stone mirrors at normal incidence.
pub const STONE_MIRROR: f32 = 0.04;

/// A glowing object that surfaces sample. 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Light {
    /// Index into [`Scene::primitives`]: a sphere or capsule.
    pub primitive: u32,
    /// Area, square metres.
    pub area: f32,
    /// Luminance of its radiance times area: its sampling weight.
    pub weight: f32,
    /// Padding to 16 bytes.
    pub pad: u32,
}

/// The sun, decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct SunLight {
    /// Towards the sun, length 1.
    pub direction: [f32; 3],
    /// Padding to 16 bytes.
    pub pad: u32,
    /// Irradiance on a surface that faces it; black where there is no sun.
    pub irradiance: [f32; 3],
    /// Padding to 16 bytes.
    pub pad2: u32,
}

/// The scene that kernels trace.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where paths start, metres.
    pub probe: [f32; 3],
    /// Texels along the edge of a face.
    pub face: u32,
    /// Paths per texel.
    pub samples: u32,
    /// Surfaces a path may meet.
    pub bounces: u32,
    /// Seed of the paths' random numbers.
    pub seed: u32,
    /// No path gives more, in red, green or blue: see [`radiance_bound`].
    pub radiance_max: f32,
    /// The sky, seen by paths that meet nothing.
    pub sky: Sky,
    /// The directional light.
    pub sun: SunLight,
    /// What objects are made of.
    pub materials: Vec<Material>,
    /// The objects, in the spec's order.
    pub primitives: Vec<Primitive>,
    /// The BVH over the objects; node 0 is the root.
    pub nodes: Vec<Node>,
    /// The at most [`LIGHTS_MAX`] strongest glowing spheres and capsules, in the spec's order.
    pub lights: Vec<Light>,
}

/// The radiance or irradiance that a [`Surface::power`] or [`Sun::power`](super::Sun::power) stands for.
pub fn power(code: u8) -> f32 {
    if code == 0 {
        return 0.0;
    }
    let whole = f32::from_bits((127 - 8 + u32::from(code) / 2) << 23);
    if code.is_multiple_of(2) { whole } else { whole * std::f32::consts::SQRT_2 }
}

fn scaled(colour: [u8; 3], by: f32) -> [f32; 3] {
    colour.map(|part| f32::from(part) / 255.0 * by)
}

fn largest(colour: [f32; 3]) -> f32 {
    colour.into_iter().fold(0.0, f32::max)
}

/// How bright an RGB radiance is, Rec. 709.
pub(super) fn luminance(colour: Vec3) -> f32 {
    colour.dot(Vec3::new(0.2126, 0.7152, 0.0722))
}

/// The kernel's limit on every path's radiance: the brightest of the sky, the sun's irradiance and all glowing
/// surfaces, at most [`LIGHT_RADIANCE_MAX`]. No texel of an honest outcome is brighter.
pub fn radiance_bound(spec: &ReflectionSpec) -> f32 {
    let glows = spec.surfaces.iter().map(|surface| largest(scaled(surface.glow, power(surface.power))));
    let sun = spec.sun.map_or(0.0, |sun| largest(scaled(sun.colour, power(sun.power))));
    glows.fold(SKY_RADIANCE_MAX.max(sun), f32::max).min(LIGHT_RADIANCE_MAX)
}

impl Material {
    fn new(surface: &Surface) -> Self {
        let (metal, roughness) = (f32::from(surface.metal) / 255.0, f32::from(surface.roughness) / 255.0);
        let colour = scaled(surface.colour, 1.0);
        Self {
            diffuse: colour.map(|part| part * (1.0 - metal)),
            alpha: roughness * roughness,
            mirror: colour.map(|part| STONE_MIRROR + (part - STONE_MIRROR) * metal),
            pad: 0,
            glow: scaled(surface.glow, power(surface.power)),
            pad2: 0,
        }
    }
}

impl Primitive {
    fn new(object: &Object) -> Self {
        let mut primitive = Self {
            position: object.position.map(|part| f32::from(part) / POSITION_STEPS_PER_M),
            radius: 0.0,
            axis: [0.0; 3],
            shape: SPHERE,
            rows: [[0.0; 4]; 3],
            material: object.surface.into(),
            light: NONE,
            pad: [0; 2],
        };
        match object.form {
            Form::Sphere { radius } => primitive.radius = f32::from(radius) / RADIUS_STEPS_PER_M,
            Form::Capsule { to, radius } => {
                primitive.radius = f32::from(radius) / RADIUS_STEPS_PER_M;
                primitive.axis = to.map(|part| f32::from(part) / POSITION_STEPS_PER_M);
                primitive.shape = if to == [0; 3] { SPHERE } else { CAPSULE };
            }
            Form::Rock { shape, rotation } => {
                primitive.radius = shape.outer_radius_m() as f32;
                if let ShapeKind::Rock(form) = shape.kind() {
                    primitive.shape = ROCK + u32::from(form);
                }
                let turn = Quat::from_array(rotation.quaternion().map(|part| part as f32));
                let into = [Vec3::X, Vec3::Y, Vec3::Z].map(|axis| turn * axis / primitive.radius);
                primitive.rows = into.map(|row| row.extend(0.0).to_array());
            }
        }
        primitive
    }

    #[inline]
    /// A direction of the world in the rock's frame.
    fn inside(&self, direction: Vec3) -> Vec3 {
        let [x, y, z] = &self.rows;
        let along = |row: &[f32; 4]| row[0] * direction.x + row[1] * direction.y + row[2] * direction.z;
        Vec3::new(along(x), along(y), along(z))
    }

    /// A direction of the rock's frame in the world, in metres.
    fn outside(&self, direction: Vec3) -> Vec3 {
        let [x, y, z] = self.rows.map(|row| Vec3::new(row[0], row[1], row[2]));
        (direction.x * x + direction.y * y + direction.z * z) * (self.radius * self.radius)
    }

    fn bounds(&self) -> Bounds {
        let (position, axis) = (Vec3::from(self.position), Vec3::from(self.axis));
        let (low, high) = if self.shape < ROCK {
            let reach = Vec3::splat(self.radius);
            (axis.min(Vec3::ZERO) - reach, axis.max(Vec3::ZERO) + reach)
        } else {
            let corners = crate::physics::ShapeId::rock((self.shape - ROCK) as u16, 1.0).unit_mesh();
            let turned = corners.unwrap_or_default().0.iter().map(|corner| self.outside(Vec3::from(*corner)));
            turned.fold((Vec3::MAX, Vec3::MIN), |(low, high), corner| (low.min(corner), high.max(corner)))
        };
        // A little more than the shape, so that rounding never puts a hit outside its box.
        let slack = 1e-4 + 1e-6 * position.abs().max_element();
        (position + low - slack, position + high + slack)
    }

    /// Where a ray enters it, metres.
    #[inline]
    pub(super) fn enter(&self, origin: Vec3, direction: Vec3) -> Option<f32> {
        let from = origin - Vec3::from(self.position);
        match self.shape {
            SPHERE => enter_sphere(from, direction, self.radius),
            CAPSULE => enter_capsule(from, direction, Vec3::from(self.axis), self.radius),
            rock => RockFaces::of((rock - ROCK) as u16).enter(self.inside(from), self.inside(direction)),
        }
    }

    /// Steps of [`Primitive::enter`].
    #[inline]
    fn steps(&self) -> u64 {
        match self.shape {
            SPHERE => SPHERE_STEPS,
            CAPSULE => CAPSULE_STEPS,
            _ => ROCK_STEPS,
        }
    }

    /// Outward normal, length 1, at a point of its surface.
    pub(super) fn normal(&self, point: Vec3) -> Vec3 {
        let from = point - Vec3::from(self.position);
        let outwards = match self.shape {
            SPHERE => from,
            CAPSULE => {
                let axis = Vec3::from(self.axis);
                from - (from.dot(axis) / axis.length_squared()).clamp(0.0, 1.0) * axis
            }
            rock => {
                let normal = RockFaces::of((rock - ROCK) as u16).normal(self.inside(from));
                self.outside(normal)
            }
        };
        outwards.normalize_or(Vec3::Y)
    }

    /// Area of a sphere or capsule, square metres.
    fn area(&self) -> f32 {
        let axis = Vec3::from(self.axis).length();
        std::f32::consts::TAU * self.radius * (2.0 * self.radius + axis)
    }
}

/// Where a ray ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Metres along the ray.
    pub distance: f32,
    /// Index of the object into [`Scene::primitives`].
    pub primitive: u32,
}

impl Scene {
    /// The scene of a spec in range, from its first probe.
    pub fn new(spec: &ReflectionSpec) -> Self {
        let materials: Vec<_> = spec.surfaces.iter().map(Material::new).collect();
        let mut primitives: Vec<_> = spec.objects.iter().map(Primitive::new).collect();
        let boxes: Vec<_> = primitives.iter().map(Primitive::bounds).collect();
        let lights = lights(&mut primitives, &materials);
        let sun = spec.sun.unwrap_or_default();
        Self {
            probe: spec.probe.map(|part| f32::from(part) / POSITION_STEPS_PER_M),
            face: spec.face(),
            samples: spec.samples.into(),
            bounces: spec.bounces.into(),
            seed: spec.seed,
            radiance_max: radiance_bound(spec),
            sky: Sky::new(spec.sky),
            sun: SunLight {
                direction: Vec3::from(sun.direction.map(f32::from)).normalize_or(Vec3::Y).into(),
                pad: 0,
                irradiance: scaled(sun.colour, power(sun.power)),
                pad2: 0,
            },
            materials,
            primitives,
            nodes: bvh::build(&boxes),
            lights,
        }
    }

    /// The same scene from another of its probes.
    pub fn look_from(&mut self, viewpoint: &Viewpoint) {
        self.probe = viewpoint.at();
        self.face = viewpoint.face();
        self.samples = viewpoint.samples.into();
    }

    /// The first object that a ray (direction of length 1) enters, except object `skip`.
    pub fn closest(&self, origin: [f32; 3], direction: [f32; 3], skip: u32) -> Option<Hit> {
        self.first(Vec3::from(origin), Vec3::from(direction), skip, &mut 0)
    }

    /// [`Scene::closest`]; adds the steps it takes to `steps`.
    #[inline]
    pub(super) fn first(&self, origin: Vec3, direction: Vec3, skip: u32, steps: &mut u64) -> Option<Hit> {
        let (mut nearest, ray) = (Hit { distance: FAR, primitive: NONE }, Ray::new(origin, direction));
        *steps += traverse(&self.nodes, &ray, FAR, |primitive, end| {
            if primitive == skip {
                return (end, SKIP_STEPS);
            }
            let object = &self.primitives[primitive as usize];
            match object.enter(ray.origin, ray.direction) {
                Some(distance) if distance < end => {
                    nearest = Hit { distance, primitive };
                    (distance, object.steps())
                }
                _ => (end, object.steps()),
            }
        });
        (nearest.primitive != NONE).then_some(nearest)
    }

    /// Whether a ray (direction of length 1) enters any object but the two of `skip` before `end`. Adds its
    /// steps to `steps`.
    pub(super) fn is_blocked(
        &self,
        origin: Vec3,
        direction: Vec3,
        end: f32,
        skip: [u32; 2],
        steps: &mut u64,
    ) -> bool {
        let (mut blocked, ray) = (false, Ray::new(origin, direction));
        *steps += traverse(&self.nodes, &ray, end, |primitive, end| {
            if skip.contains(&primitive) {
                return (end, SKIP_STEPS);
            }
            let object = &self.primitives[primitive as usize];
            let entry = object.enter(ray.origin, ray.direction);
            blocked = entry.is_some_and(|distance| distance < end);
            (if blocked { -1.0 } else { end }, object.steps())
        });
        blocked
    }
}

/// Whether surfaces may sample an object as a light: see [`lights`].
pub(super) fn is_light(spec: &ReflectionSpec, object: &Object) -> bool {
    let glows = |surface: &Surface| surface.power > 0 && surface.glow != [0; 3];
    !matches!(object.form, Form::Rock { .. })
        && spec.surfaces.get(usize::from(object.surface)).is_some_and(glows)
}

/// The strongest glowing spheres and capsules; each primitive gets its index.
fn lights(primitives: &mut [Primitive], materials: &[Material]) -> Vec<Light> {
    let light = |(number, primitive): (usize, &Primitive)| {
        let glow = luminance(Vec3::from(materials[primitive.material as usize].glow));
        let area = primitive.area();
        Light { primitive: number as u32, area, weight: glow * area, pad: 0 }
    };
    let round = primitives.iter().enumerate().filter(|(_, primitive)| primitive.shape < ROCK);
    let mut lights: Vec<Light> = round.map(light).filter(|light| light.weight > 0.0).collect();
    lights.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.primitive.cmp(&b.primitive)));
    lights.truncate(LIGHTS_MAX);
    lights.sort_by_key(|light| light.primitive);
    for (number, light) in lights.iter().enumerate() {
        primitives[light.primitive as usize].light = number as u32;
    }
    lights
}
