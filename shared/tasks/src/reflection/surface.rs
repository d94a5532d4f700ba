//! Reflection by a surface: a Lambertian part and a mirrored one (GGX microfacets, Smith's shadowing,
//! Schlick's Fresnel at the viewer's angle, so that the energy at each angle is exactly divided between the
//! two).

use glam::Vec3;

use super::random::sin_cos_turns;
use super::scene::{MIRROR_ALPHA, Material, luminance};

/// Lobes narrower than this see lights by meeting them, wider ones by sampling them: see `trace.rs`.
pub const SHARP_ALPHA: f32 = 0.1;

/// A surface where a path meets it.
pub(super) struct HitSurface<'m> {
    material: &'m Material,
    pub normal: Vec3,
    /// Towards where the path came from.
    view: Vec3,
    cos_view: f32,
    /// Share that is mirrored at this angle.
    fresnel: Vec3,
    /// Share that leaves diffusely at this angle.
    diffuse: Vec3,
}

/// How a path goes on.
pub(super) struct Onward {
    pub direction: Vec3,
    /// Factor on the light that arrives from there.
    pub weight: Vec3,
    /// Whether lights are seen by meeting them.
    pub sharp: bool,
}

impl<'m> HitSurface<'m> {
    pub fn new(material: &'m Material, normal: Vec3, view: Vec3) -> Self {
        let cos_view = normal.dot(view).clamp(1e-4, 1.0);
        let off = 1.0 - cos_view;
        let mirror = Vec3::from(material.mirror);
        let grazing = off * off * (off * off) * off;
        let fresnel = mirror + (Vec3::ONE - mirror) * grazing;
        let diffuse = Vec3::from(material.diffuse) * (Vec3::ONE - fresnel);
        Self { material, normal, view, cos_view, fresnel, diffuse }
    }

    /// Whether lights must be sampled, because the path does not count them when it meets them.
    pub fn asks_lights(&self) -> bool {
        self.material.alpha >= SHARP_ALPHA || self.diffuse.max_element() > 0.0
    }

    /// Radiance reflected towards the viewer from a point-like source in `direction`, per irradiance on a
    /// surface facing it. Sharp lobes show the sun as wide as a lobe of [`SHARP_ALPHA`] would, and no other
    /// lights.
    pub fn reflect(&self, direction: Vec3, is_sun: bool) -> Vec3 {
        let cos_light = self.normal.dot(direction);
        if cos_light <= 0.0 {
            return Vec3::ZERO;
        }
        let diffuse = self.diffuse * (std::f32::consts::FRAC_1_PI * cos_light);
        if !is_sun && self.material.alpha < SHARP_ALPHA {
            return diffuse;
        }
        let alpha = if self.material.alpha > SHARP_ALPHA { self.material.alpha } else { SHARP_ALPHA };
        let square = alpha * alpha;
        let half = (self.view + direction).normalize_or(self.normal);
        let cos_half = self.normal.dot(half);
        let spread = cos_half * cos_half * (square - 1.0) + 1.0;
        let facets = square / (std::f32::consts::PI * spread * spread);
        let shadow = lit(self.cos_view, square) * lit(cos_light, square);
        diffuse + self.fresnel * (facets * shadow / (4.0 * self.cos_view))
    }

    /// Where the path goes on; `None` if it would carry too little. `choice` and `point` are its random
    /// numbers.
    pub fn onward(&self, choice: f32, point: [f32; 2]) -> Option<Onward> {
        let (mirrored, spread) = (luminance(self.fresnel), luminance(self.diffuse));
        let share = mirrored / (mirrored + spread);
        let basis = basis(self.normal);
        if choice >= share {
            let (sin, cos) = sin_cos_turns(point[0]);
            let (radius, height) = (point[1].sqrt(), (1.0 - point[1]).sqrt());
            let direction = out_of(basis, self.normal, Vec3::new(radius * cos, radius * sin, height));
            return Some(Onward { direction, weight: self.diffuse / (1.0 - share), sharp: false });
        }
        let alpha = self.material.alpha;
        let weight = self.fresnel / share;
        if alpha < MIRROR_ALPHA {
            let direction = mirror(self.view, self.normal);
            return Some(Onward { direction, weight, sharp: true });
        }
        let local = Vec3::new(self.view.dot(basis[0]), self.view.dot(basis[1]), self.cos_view);
        let facet = visible_facet(local, alpha, point);
        let onward = mirror(local, facet);
        if onward.z <= 0.0 {
            return None;
        }
        Some(Onward {
            direction: out_of(basis, self.normal, onward).normalize_or(self.normal),
            weight: weight * lit(onward.z, alpha * alpha),
            sharp: alpha < SHARP_ALPHA,
        })
    }
}

fn mirror(view: Vec3, normal: Vec3) -> Vec3 {
    2.0 * view.dot(normal) * normal - view
}

/// Share of facets that light at this angle reaches (Smith, GGX).
fn lit(cos: f32, alpha_square: f32) -> f32 {
    2.0 * cos / (cos + (alpha_square + (1.0 - alpha_square) * cos * cos).sqrt())
}

/// A facet's normal, distributed as facets are visible from `view`, z up (Dupuy and Benyoub 2023: the cap of
/// a sphere).
fn visible_facet(view: Vec3, alpha: f32, point: [f32; 2]) -> Vec3 {
    let stretched = Vec3::new(alpha * view.x, alpha * view.y, view.z).normalize_or(Vec3::Z);
    let (sin, cos) = sin_cos_turns(point[0]);
    let height = (1.0 - point[1]) * (1.0 + stretched.z) - stretched.z;
    let left = 1.0 - height * height;
    let radius = if left > 0.0 { left.sqrt() } else { 0.0 };
    let facet = Vec3::new(radius * cos, radius * sin, height) + stretched;
    Vec3::new(alpha * facet.x, alpha * facet.y, if facet.z > 0.0 { facet.z } else { 0.0 })
        .normalize_or(Vec3::Z)
}

/// Two directions across a normal (Duff et al. 2017).
pub(super) fn basis(normal: Vec3) -> [Vec3; 2] {
    let sign = if normal.z >= 0.0 { 1.0 } else { -1.0 };
    let a = -1.0 / (sign + normal.z);
    let b = normal.x * normal.y * a;
    [
        Vec3::new(1.0 + sign * normal.x * normal.x * a, sign * b, -sign * normal.x),
        Vec3::new(b, sign + normal.y * normal.y * a, -normal.y),
    ]
}

pub(super) fn out_of(basis: [Vec3; 2], up: Vec3, local: Vec3) -> Vec3 {
    local.x * basis[0] + local.y * basis[1] + local.z * up
}
