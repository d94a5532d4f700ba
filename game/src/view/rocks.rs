//! Meshes of rocks: the catalogue's hulls, which physics uses, with worn edges.

use std::collections::HashMap;

use bevy::prelude::*;
use p2c2r_tasks::physics::{ROCK_FORMS, ShapeId, ShapeKind};

use super::shapes::{Facets, noise};
use crate::graphics::Quality;
use crate::play::{ORES, ore_of};

/// One mesh per form, each of outer radius 1.
pub(super) struct RockMeshes {
    stone: Vec<Handle<Mesh>>,
    ore: Vec<Handle<Mesh>>,
}

impl RockMeshes {
    /// The mesh of a rock of stone.
    pub(super) fn stone(&self, shape: ShapeId) -> Handle<Mesh> {
        self.stone[form_of(shape)].clone()
    }

    /// The mesh of a rock that mirrors.
    pub(super) fn ore(&self, shape: ShapeId) -> Handle<Mesh> {
        self.ore[form_of(shape)].clone()
    }

    /// A mesh for a splinter.
    pub(super) fn splinter(&self, number: usize) -> Handle<Mesh> {
        self.stone[number % self.stone.len()].clone()
    }
}

fn form_of(shape: ShapeId) -> usize {
    match shape.kind() {
        ShapeKind::Rock(form) => usize::from(form),
        // The arena has no balls; one would be drawn as a rock.
        ShapeKind::Ball => 0,
    }
}

/// Makes the meshes of all forms.
pub(super) fn make(meshes: &mut Assets<Mesh>, quality: Quality) -> RockMeshes {
    let subdivisions = if quality == Quality::High { 3 } else { 2 };
    let mut rocks = RockMeshes { stone: Vec::new(), ore: Vec::new() };
    for form in 0..ROCK_FORMS {
        let worn = Solid::of_form(form, subdivisions).worn();
        rocks.stone.push(meshes.add(worn.clone().rough(form).into_stone()));
        rocks.ore.push(meshes.add(worn.into_ore(Vec3::from_array(ORES[ore_of(form)]))));
    }
    rocks
}

/// Corners and triangles, with their front outwards.
#[derive(Clone, Debug)]
struct Solid {
    corners: Vec<Vec3>,
    triangles: Vec<[u32; 3]>,
}

impl Solid {
    /// The catalogue's hull, each triangle cut into four `subdivisions` times.
    fn of_form(form: u16, subdivisions: u32) -> Self {
        let (corners, triangles) = ShapeId::rock(form, 1.0).unit_mesh().unwrap_or_default();
        let corners = corners.iter().copied().map(Vec3::from_array).collect();
        let mut solid = Self { corners, triangles: triangles.to_vec() };
        for _ in 0..subdivisions {
            solid = solid.subdivided();
        }
        solid
    }

    fn subdivided(mut self) -> Self {
        let mut middles = HashMap::new();
        let mut triangles = Vec::with_capacity(self.triangles.len() * 4);
        for [a, b, c] in self.triangles {
            let mut middle = |from: u32, to: u32| {
                *middles.entry((from.min(to), from.max(to))).or_insert_with(|| {
                    let at = (self.corners[from as usize] + self.corners[to as usize]) * 0.5;
                    self.corners.push(at);
                    self.corners.len() as u32 - 1
                })
            };
            let (ab, bc, ca) = (middle(a, b), middle(b, c), middle(c, a));
            triangles.extend([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]);
        }
        Self { corners: self.corners, triangles }
    }

    /// Moves each corner halfway to the mean of its neighbours: flat parts stay flat, edges become round.
    fn worn(mut self) -> Self {
        let mut sums = vec![(Vec3::ZERO, 0.0); self.corners.len()];
        for &[a, b, c] in &self.triangles {
            for (corner, others) in [(a, [b, c]), (b, [c, a]), (c, [a, b])] {
                let (sum, count) = &mut sums[corner as usize];
                *sum += self.corners[others[0] as usize] + self.corners[others[1] as usize];
                *count += 2.0;
            }
        }
        for (corner, (sum, count)) in self.corners.iter_mut().zip(sums) {
            *corner = (*corner + sum / count) * 0.5;
        }
        self
    }

    /// Bumps and dents of a few per cent.
    fn rough(mut self, form: u16) -> Self {
        let offset = Vec3::splat(f32::from(form) * 7.31);
        for corner in &mut self.corners {
            let height = noise(*corner * 2.3 + offset) * 0.07 + noise(*corner * 6.1 + offset) * 0.035;
            *corner *= 1.0 + height;
        }
        self
    }

    fn faces(&self) -> impl Iterator<Item = ([u32; 3], [Vec3; 3], Vec3)> {
        self.triangles.iter().map(|triangle| {
            let [a, b, c] = triangle.map(|corner| self.corners[corner as usize]);
            (*triangle, [a, b, c], (b - a).cross(c - a).normalize_or(a))
        })
    }

    /// Facets in greys and browns, darker in dents.
    fn into_stone(self) -> Mesh {
        let mut mesh = Facets::default();
        for (_, corners, normal) in self.faces() {
            for corner in corners {
                let light = ((corner.length() - 0.72) * 2.4 + noise(corner * 9.0) * 0.25).clamp(0.0, 1.0);
                let colour = Vec3::new(0.13, 0.11, 0.105).lerp(Vec3::new(0.44, 0.385, 0.34), light);
                mesh.add(corner, normal, colour);
            }
        }
        mesh.into_mesh()
    }

    /// Polished: the facets' normals lean towards the round shape, so that each reflects more than one spot.
    fn into_ore(self, colour: Vec3) -> Mesh {
        let mut round = vec![Vec3::ZERO; self.corners.len()];
        for (triangle, [a, b, c], _) in self.faces() {
            // Not normalised, so that larger faces have more weight.
            let normal = (b - a).cross(c - a);
            for corner in triangle {
                round[corner as usize] += normal;
            }
        }
        let mut mesh = Facets::default();
        for (triangle, corners, normal) in self.faces() {
            for (number, corner) in triangle.into_iter().zip(corners) {
                let round = (round[number as usize].normalize_or(normal) + corner.normalize_or(normal) * 0.5)
                    .normalize_or(normal);
                let tint = colour * (0.9 + 0.1 * noise(corner * 3.0));
                mesh.add(corner, normal.lerp(round, 0.75).normalize_or(normal), tint);
            }
        }
        mesh.into_mesh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worn_rock_is_closed_and_stays_within_its_hull_radius() {
        for form in 0..ROCK_FORMS {
            let hull = Solid::of_form(form, 0);
            let worn = Solid::of_form(form, 2).worn();
            assert_eq!(worn.triangles.len(), hull.triangles.len() * 16);
            // Euler's formula for a closed surface without holes, each edge shared by two triangles.
            assert_eq!(worn.corners.len(), worn.triangles.len() / 2 + 2, "form {form}");
            let farthest = worn.corners.iter().map(|corner| corner.length()).fold(0.0, f32::max);
            assert!((0.75..=1.0).contains(&farthest), "form {form}: {farthest}");
            assert!(worn.faces().all(|(_, corners, normal)| normal.dot(corners[0]) > 0.0), "form {form}");
        }
    }

    #[test]
    fn every_normal_of_ore_has_length_one_and_looks_outwards() {
        let rock = Solid::of_form(3, 2).worn();
        let corners: Vec<Vec3> = rock.faces().flat_map(|(_, corners, _)| corners).collect();
        let mesh = rock.into_ore(Vec3::ONE);
        let Some(bevy::mesh::VertexAttributeValues::Float32x3(normals)) =
            mesh.attribute(Mesh::ATTRIBUTE_NORMAL)
        else {
            panic!("no normals")
        };
        assert_eq!(normals.len(), corners.len());
        for (normal, corner) in normals.iter().zip(corners) {
            let normal = Vec3::from_array(*normal);
            assert!((normal.length() - 1.0).abs() < 1e-3 && normal.dot(corner) > 0.0);
        }
    }
}
