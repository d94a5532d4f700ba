//! What ships, enemies and rocks look like: their meshes and materials, made once at start-up.

use bevy::prelude::*;
use p2c2r_arena::EnemyRole;

use super::camera::DrawQuality;
use super::lighting::{Lit, MakeLight};
use super::rocks::{self, RockMeshes};
use super::shapes::{self, HullPart};
use super::solid::{Matter, Solid};
use crate::graphics::Quality;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreStartup, make_hulls.after(MakeLight));
}

/// The material of ships' and enemies' hulls.
pub(super) const METAL: Matter = Matter { shine: 0.5, metal: 0.9, roughness: 0.06, emission: Vec3::ZERO };

/// A hull and its glowing parts.
#[derive(Clone)]
pub(super) struct Hull {
    pub(super) body: Handle<Mesh>,
    pub(super) lamps: Handle<Mesh>,
    pub(super) lamp_material: Handle<Solid>,
}

/// The meshes and materials of everything that is lit.
#[derive(Resource)]
pub(super) struct Hulls {
    pub(super) ship: Hull,
    pub(super) rammer: Hull,
    pub(super) gunner: Hull,
    pub(super) carrier: Hull,
    pub(super) boss: Hull,
    pub(super) rocks: RockMeshes,
    /// Of ships and enemies.
    pub(super) metal: Handle<Solid>,
    pub(super) stone: Handle<Solid>,
    /// Of rocks that mirror.
    pub(super) ore: Handle<Solid>,
}

impl Hulls {
    /// The hull of an enemy.
    pub(super) fn enemy(&self, role: EnemyRole) -> &Hull {
        match role {
            EnemyRole::Rammer => &self.rammer,
            EnemyRole::Gunner => &self.gunner,
            EnemyRole::Carrier => &self.carrier,
            EnemyRole::Boss => &self.boss,
        }
    }
}

fn make_hulls(
    mut commands: Commands,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<Solid>>,
    quality: Res<DrawQuality>,
    lit: Res<Lit>,
) {
    let mut solid = |matter: Matter| materials.add(Solid::new(matter, &lit));
    let metal = solid(METAL);
    let stone = solid(Matter::default());
    let ore = solid(Matter { shine: 0.5, metal: 1.0, roughness: 0.06, ..default() });
    // Brighter than 1 only gives whiter colours, unless the picture has a higher range.
    let strength = if quality.0 == Quality::High { 1.0 } else { 0.36 };
    let mut lamp = |red: f32, green: f32, blue: f32| {
        solid(Matter { emission: Vec3::new(red, green, blue) * strength, ..default() })
    };
    let mut hull = |body: &[HullPart], lamps: &[HullPart], lamp_material| Hull {
        body: meshes.add(shapes::hull(body)),
        lamps: meshes.add(shapes::hull(lamps)),
        lamp_material,
    };
    let ship = hull(&SHIP, &SHIP_LAMPS, lamp(0.5, 2.2, 3.2));
    let rammer = hull(&RAMMER, &RAMMER_LAMPS, lamp(3.4, 0.75, 0.12));
    let gunner = hull(&GUNNER, &GUNNER_LAMPS, lamp(2.6, 0.5, 2.9));
    let carrier = hull(&CARRIER, &CARRIER_LAMPS, lamp(3.0, 1.6, 0.2));
    let boss = hull(&BOSS, &BOSS_LAMPS, lamp(3.4, 0.25, 0.35));
    let rocks = rocks::make(&mut meshes, quality.0);
    commands.insert_resource(Hulls { ship, rammer, gunner, carrier, boss, rocks, metal, stone, ore });
}

const fn part(
    outline: &'static [(f32, f32)],
    (top, bottom, inset, lift): (f32, f32, f32, f32),
    colour: (f32, f32, f32),
    mirrored: bool,
) -> HullPart {
    HullPart { outline, top, bottom, inset, lift, colour, mirrored }
}

const STEEL: (f32, f32, f32) = (0.52, 0.58, 0.68);
const WHITE: (f32, f32, f32) = (0.80, 0.84, 0.90);
const NAVY: (f32, f32, f32) = (0.07, 0.17, 0.42);
const DARK: (f32, f32, f32) = (0.06, 0.06, 0.08);
const RUST: (f32, f32, f32) = (0.42, 0.06, 0.035);
const PLUM: (f32, f32, f32) = (0.20, 0.055, 0.34);

static SHIP: [HullPart; 6] = [
    part(
        &[(0.0, 1.55), (0.2, 0.7), (0.3, -0.5), (0.2, -1.0), (-0.2, -1.0), (-0.3, -0.5), (-0.2, 0.7)],
        (0.26, 0.16, 0.45, 0.0),
        STEEL,
        false,
    ),
    part(
        &[(0.22, 0.45), (1.2, -0.5), (1.2, -0.9), (0.85, -0.72), (0.24, -0.8)],
        (0.08, 0.06, 0.7, -0.02),
        NAVY,
        true,
    ),
    part(&[(1.12, 0.05), (1.24, -0.5), (1.24, -1.15), (1.1, -0.9)], (0.1, 0.1, 0.5, 0.0), WHITE, true),
    part(&[(0.16, -0.55), (0.42, -0.6), (0.42, -1.12), (0.16, -1.12)], (0.16, 0.12, 0.7, 0.04), DARK, true),
    part(&[(0.3, 0.25), (0.5, 0.02), (0.5, -0.5), (0.3, -0.45)], (0.13, 0.02, 0.6, 0.04), WHITE, true),
    part(&[(0.0, -0.35), (0.05, -0.7), (0.0, -1.15), (-0.05, -0.7)], (0.5, 0.0, 0.15, 0.12), WHITE, false),
];

static SHIP_LAMPS: [HullPart; 2] = [
    part(
        &[(0.0, 0.8), (0.12, 0.45), (0.11, 0.05), (-0.11, 0.05), (-0.12, 0.45)],
        (0.14, 0.0, 0.4, 0.2),
        (1.0, 1.0, 1.0),
        false,
    ),
    part(
        &[(0.2, -1.1), (0.38, -1.1), (0.38, -1.16), (0.2, -1.16)],
        (0.1, 0.07, 0.8, 0.05),
        (1.0, 1.0, 1.0),
        true,
    ),
];

static RAMMER: [HullPart; 3] = [
    part(
        &[
            (0.0, 1.35),
            (0.34, 0.3),
            (0.5, -0.1),
            (1.05, -0.85),
            (0.4, -0.5),
            (0.0, -0.75),
            (-0.4, -0.5),
            (-1.05, -0.85),
            (-0.5, -0.1),
            (-0.34, 0.3),
        ],
        (0.3, 0.2, 0.35, 0.0),
        RUST,
        false,
    ),
    part(&[(0.28, 0.75), (0.44, 0.15), (0.3, 0.1)], (0.14, 0.1, 0.3, 0.05), DARK, true),
    part(&[(0.62, -0.1), (1.2, -0.95), (1.02, -0.95), (0.5, -0.3)], (0.1, 0.1, 0.4, 0.08), DARK, true),
];

static RAMMER_LAMPS: [HullPart; 2] = [
    part(
        &[(0.0, 0.95), (0.09, 0.2), (0.0, -0.55), (-0.09, 0.2)],
        (0.16, 0.0, 0.2, 0.24),
        (1.0, 1.0, 1.0),
        false,
    ),
    part(&[(0.1, -0.68), (0.3, -0.58), (0.28, -0.72)], (0.06, 0.06, 0.6, 0.06), (1.0, 1.0, 1.0), true),
];

static GUNNER: [HullPart; 3] = [
    part(
        &[(0.4, 0.62), (0.78, 0.1), (0.62, -0.6), (0.0, -0.85), (-0.62, -0.6), (-0.78, 0.1), (-0.4, 0.62)],
        (0.36, 0.24, 0.5, 0.0),
        PLUM,
        false,
    ),
    part(
        &[(0.62, 1.25), (0.74, 0.5), (0.78, -0.25), (0.5, -0.25), (0.52, 0.5)],
        (0.14, 0.12, 0.6, 0.0),
        DARK,
        true,
    ),
    part(&[(0.7, 0.2), (1.15, -0.35), (1.1, -0.8), (0.6, -0.5)], (0.1, 0.1, 0.5, -0.02), STEEL, true),
];

static GUNNER_LAMPS: [HullPart; 2] = [
    part(
        &[(0.0, 0.3), (0.2, 0.15), (0.2, -0.15), (0.0, -0.3), (-0.2, -0.15), (-0.2, 0.15)],
        (0.14, 0.0, 0.5, 0.36),
        (1.0, 1.0, 1.0),
        false,
    ),
    part(
        &[(0.59, 1.3), (0.67, 1.1), (0.63, 0.9), (0.55, 1.1)],
        (0.08, 0.06, 0.4, 0.02),
        (1.0, 1.0, 1.0),
        true,
    ),
];

/// A broad slab with a launching bay on each side.
static CARRIER: [HullPart; 4] = [
    part(
        &[
            (0.35, 1.0),
            (0.6, 0.5),
            (0.6, -0.7),
            (0.3, -1.05),
            (-0.3, -1.05),
            (-0.6, -0.7),
            (-0.6, 0.5),
            (-0.35, 1.0),
        ],
        (0.34, 0.26, 0.7, 0.0),
        RUST,
        false,
    ),
    part(&[(0.62, 0.62), (1.0, 0.45), (1.0, -0.75), (0.62, -0.62)], (0.2, 0.2, 0.75, 0.0), STEEL, true),
    part(&[(0.3, -0.2), (0.5, -0.3), (0.5, -0.9), (0.3, -0.9)], (0.3, 0.0, 0.6, 0.3), DARK, true),
    part(&[(0.0, 0.7), (0.14, 0.2), (0.0, -0.4), (-0.14, 0.2)], (0.3, 0.0, 0.4, 0.3), DARK, false),
];

static CARRIER_LAMPS: [HullPart; 2] = [
    part(&[(0.7, 0.4), (0.92, 0.3), (0.92, 0.1), (0.7, 0.2)], (0.08, 0.0, 0.7, 0.2), (1.0, 1.0, 1.0), true),
    part(
        &[(0.7, -0.2), (0.92, -0.3), (0.92, -0.5), (0.7, -0.4)],
        (0.08, 0.0, 0.7, 0.2),
        (1.0, 1.0, 1.0),
        true,
    ),
];

/// A core behind a bow of bright plates, which reflect bolts.
static BOSS: [HullPart; 4] = [
    part(
        &[(0.3, 0.5), (0.55, 0.0), (0.4, -0.7), (0.0, -1.0), (-0.4, -0.7), (-0.55, 0.0), (-0.3, 0.5)],
        (0.42, 0.3, 0.5, 0.0),
        PLUM,
        false,
    ),
    part(&[(0.05, 1.15), (0.6, 0.95), (0.55, 0.78), (0.05, 0.95)], (0.5, 0.42, 0.92, 0.0), WHITE, true),
    part(&[(0.66, 0.92), (1.08, 0.42), (0.94, 0.34), (0.58, 0.76)], (0.46, 0.4, 0.92, 0.0), WHITE, true),
    part(&[(0.5, -0.1), (1.0, 0.3), (1.02, 0.1), (0.55, -0.4)], (0.14, 0.1, 0.6, 0.0), DARK, true),
];

static BOSS_LAMPS: [HullPart; 2] = [
    part(
        &[(0.0, 0.3), (0.2, 0.1), (0.2, -0.2), (0.0, -0.45), (-0.2, -0.2), (-0.2, 0.1)],
        (0.18, 0.0, 0.5, 0.42),
        (1.0, 1.0, 1.0),
        false,
    ),
    part(&[(0.3, -0.72), (0.45, -0.66), (0.42, -0.8)], (0.1, 0.06, 0.6, 0.1), (1.0, 1.0, 1.0), true),
];
