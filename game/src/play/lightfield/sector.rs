//! The light of a whole sector: baked once, from the sector's seed alone, by all available workers. It is the
//! same for every gamer in the sector, and the coordinator caches it for them.
//!
//! It is asked for when the ship enters the sector (in a round's first: when the first wave starts), in
//! [`PARTS`] tasks that wait for workers as long as it takes (the patient class), and each part is shown as
//! soon as it comes. Pending parts of a sector that the ship has left are cancelled. It covers the sky, the
//! star, the walls and the rocks as they lie at the start; moving and glowing things are in the live field,
//! which replaces it around the ship.

use std::sync::Arc;

use bevy::prelude::*;
use p2c2r_arena::{Arena, ArenaEvent, Rock, Vec2};
use p2c2r_offload::prelude::*;
use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec};

use super::LightAround;
use super::grid::{ProbeGrid, TracedField};
use crate::play::reflecting::{self, CONNECTING_MAX, Reflecting, scene, surfaces};
use crate::play::{Battlefield, Happened, Scenery, nobody_plays};

/// Probes along an edge of a part, and parts along an edge of the sector: 4,096 probes in 16 tasks. A part
/// has the fewest probes that a spec may have, so that many workers share one sector.
const PART_EDGE: u8 = 16;
const PARTS_EDGE: u8 = 4;
/// Tasks of a sector.
pub(crate) const PARTS: usize = PARTS_EDGE as usize * PARTS_EDGE as usize;
/// Paths of a probe and surfaces that a path may meet: a sixth of a second of one core for the whole sector.
const PATHS: u16 = 96;
const BOUNCES: u8 = 3;
/// Most rocks of a part: the nearest to its middle. More would cost more upload than they change the light.
const ROCKS_MAX: usize = 64;

const _: () = assert!(PART_EDGE as usize * PART_EDGE as usize >= p2c2r_tasks::lightfield::PROBES_MIN);

/// Sectors an hour that the presets' prices assume: the autopilot clears two waves, which is a sector, in 65 s.
const PER_HOUR: u32 = 60;

/// How a sector's light is traced, and how often the presets' prices assume that.
pub(crate) fn bought() -> String {
    format!("{PATHS} rays, {BOUNCES} bounces and {ROCKS_MAX} rocks, {PER_HOUR} times an hour")
}

/// The state of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// It is to be asked for.
    Wanted,
    /// It is pending.
    Asked,
    /// It has come.
    Baked,
    /// It failed; it is asked for again with the next wave.
    #[default]
    Lacking,
}

/// The sector's light as far as it is baked.
#[derive(Default)]
pub(crate) struct SectorLight {
    /// The sector it belongs to.
    scenery: Option<Scenery>,
    rocks: Vec<Rock>,
    parts: [Part; PARTS],
    field: Option<TracedField>,
}

/// A pending part: its number, and the spec.
#[derive(Component)]
pub(super) struct PartAsked {
    number: usize,
    spec: Arc<LightfieldSpec>,
}

impl SectorLight {
    /// The baked light.
    pub(super) fn field(&self) -> Option<&TracedField> {
        self.field.as_ref()
    }

    /// Baked parts, of [`PARTS`]; `None` before the sector was asked for.
    pub(crate) fn baked(&self) -> Option<usize> {
        self.scenery?;
        Some(self.parts.iter().filter(|part| **part == Part::Baked).count())
    }

    /// Whether this light belongs to another sector than the present one.
    fn is_elsewhere(&self, arena: &Arena) -> bool {
        self.scenery.is_some_and(|scenery| scenery != Scenery::of(arena.sector(), arena))
    }

    /// Marks all missing parts of the sector as wanted.
    fn want(&mut self, arena: &Arena) {
        let scenery = Scenery::of(arena.sector(), arena);
        if self.scenery != Some(scenery) {
            // The rocks at the entrance, not the present ones: the baked light must follow from the seed
            // alone.
            let rocks = arena.rocks_at_entrance();
            let field = TracedField::new(whole(scenery.size), std::iter::empty());
            *self = Self { scenery: Some(scenery), rocks, field: Some(field), ..Self::default() };
        }
        self.parts.iter_mut().filter(|part| **part == Part::Lacking).for_each(|part| *part = Part::Wanted);
    }

    /// The spec of a part.
    fn spec(&self, number: usize) -> Option<LightfieldSpec> {
        let scenery = self.scenery?;
        let grid = part(scenery.size, number);
        let body = |rock: &Rock| (rock.position, rock.radius);
        let near = scene::nearest(&self.rocks, grid.middle_of_plane(), ROCKS_MAX, body);
        let mut objects: Vec<_> = near.into_iter().filter_map(|rock| scene::rock_object(rock, 0.0)).collect();
        objects.extend(scene::walls(scenery.size * 0.5));
        let spec = LightfieldSpec {
            base: None,
            probes: grid.probes(),
            paths: PATHS,
            bounces: BOUNCES,
            seed: scene::SEED,
            sky: scene::sky(scenery.seed),
            sun: Some(surfaces::sun(scenery.star)),
            surfaces: surfaces::glowing_palette(),
            objects,
        };
        Some(spec.without_place())
    }

    fn take(
        &mut self,
        number: usize,
        spec: &LightfieldSpec,
        outcome: &p2c2r_tasks::lightfield::LightfieldOutcome,
    ) {
        let edge = usize::from(PART_EDGE);
        let first = (number / usize::from(PARTS_EDGE) * edge, number % usize::from(PARTS_EDGE) * edge);
        match (outcome.unfold(spec, &Blobs::default()), &mut self.field) {
            (Ok(light), Some(field)) => {
                for probe in 0..light.count() {
                    let place =
                        (first.0 + probe / edge) * edge * usize::from(PARTS_EDGE) + first.1 + probe % edge;
                    field.put(place, light.probe(probe));
                }
                self.parts[number] = Part::Baked;
            }
            (Ok(_), None) => self.parts[number] = Part::Lacking,
            (Err(error), _) => {
                tracing::error!(%error, "a part of the sector's light is not shown");
                self.parts[number] = Part::Lacking;
            }
        }
    }
}

/// The grid of a whole sector: its first and last probes are half a spacing from the walls.
fn whole(size: f32) -> ProbeGrid {
    let edge = PART_EDGE * PARTS_EDGE;
    let spacing = size / f32::from(edge);
    let first = Vec2::new((spacing - size) * 0.5, (size - spacing) * 0.5);
    ProbeGrid::new(first, spacing, [edge, edge])
}

/// The grid of a part; parts are numbered in rows from the whole grid's first probe on.
fn part(size: f32, number: usize) -> ProbeGrid {
    let edge = usize::from(PARTS_EDGE);
    whole(size).part([number % edge, number / edge], PART_EDGE)
}

pub(super) fn bake_sector(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    mut happened: MessageReader<Happened>,
    reflecting: Res<Reflecting>,
    real: Res<Time<Real>>,
    clock: Res<Time<Virtual>>,
    state: Res<OffloadState>,
    open: Query<(Entity, &PartAsked)>,
    mut light: ResMut<LightAround>,
) {
    let light = &mut *light;
    let is_start = |Happened(event): &Happened| {
        matches!(event, ArenaEvent::WaveStarted { .. } | ArenaEvent::SectorEntered { .. })
    };
    let starts = happened.read().filter(|event| is_start(event)).count() > 0;
    if light.sector.is_elsewhere(&battlefield.arena) {
        open.iter().for_each(|(entity, _)| commands.entity(entity).try_despawn());
        light.sector = SectorLight::default();
        light.leave_sector();
    }
    if light.fineness.is_none() || !reflecting.enabled || nobody_plays(&battlefield, &clock) {
        // Cancelled like all light; missing parts are asked for when play goes on.
        for (entity, asked) in &open {
            if light.sector.parts[asked.number] == Part::Asked {
                light.sector.parts[asked.number] = Part::Wanted;
            }
            commands.entity(entity).try_despawn();
        }
        return;
    }
    if starts {
        light.sector.want(&battlefield.arena);
    }
    // Outcomes of the live field are identified by the time of their request, so no part is asked for in the
    // same frame.
    let beside_live = light.asked.back().is_some_and(|asked| asked.at == real.elapsed());
    let may_soon_borrow = real.elapsed() < CONNECTING_MAX && reflecting::is_connecting(&state);
    if beside_live || may_soon_borrow {
        return;
    }
    // One per frame: making a spec and its work units takes a fraction of a millisecond.
    if let Some(number) = light.sector.parts.iter().position(|part| *part == Part::Wanted)
        && let Some(spec) = light.sector.spec(number)
    {
        light.sector.parts[number] = Part::Asked;
        let task = Offloading::<Lightfield>::new(spec.clone(), Blobs::default()).patient();
        commands.spawn((PartAsked { number, spec: Arc::new(spec) }, task));
    }
}

/// Unfolds a part at once: with 256 probes that takes a tenth of a millisecond, and parts seldom come
/// together.
pub(super) fn take_part(
    done: On<OffloadDone<Lightfield>>,
    parts: Query<&PartAsked>,
    mut light: ResMut<LightAround>,
) {
    if let Ok(asked) = parts.get(done.entity) {
        light.sector.take(asked.number, &asked.spec, &done.outcome);
    }
}

pub(super) fn lack_part(
    failed: On<OffloadFailed<Lightfield>>,
    parts: Query<&PartAsked>,
    mut light: ResMut<LightAround>,
) {
    if let Ok(asked) = parts.get(failed.entity) {
        light.sector.parts[asked.number] = Part::Lacking;
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::ArenaConfig;
    use p2c2r_protocol::wire;
    use p2c2r_tasks::{Stop, TaskKind as _};

    use super::*;

    #[test]
    fn a_sector_follows_from_its_seed_and_its_parts_fill_it() {
        let config = ArenaConfig::default();
        let arena = Arena::new(config.clone());
        let mut sector = SectorLight::default();
        assert_eq!(sector.baked(), None);
        sector.want(&arena);
        let mut again = SectorLight::default();
        again.want(&arena);
        let mut other = SectorLight::default();
        other.want(&Arena::new(ArenaConfig { seed: 2, ..config.clone() }));
        for number in 0..PARTS {
            let spec = sector.spec(number).unwrap();
            assert_eq!(Some(&spec), again.spec(number).as_ref());
            assert_ne!(Some(&spec), other.spec(number).as_ref());
            let bytes = wire::encode(&spec).len();
            assert!(bytes < 2_000, "{bytes} bytes of part {number}");
            let units = Lightfield::admit(&spec, &Blobs::default()).unwrap();
            // So a sector of 16 parts costs less than $0.0001 at the default price list.
            assert!(units.0 < 60_000, "{units:?} for part {number}");
        }
        // Parts come in any order, and each lights its own place.
        for number in (0..PARTS).rev().filter(|number| number % 5 == 0) {
            let spec = sector.spec(number).unwrap();
            let middle = part(config.size, number).middle_of_plane();
            let place = Vec3::new(middle.x, 0.0, -middle.y);
            assert!(sector.field().unwrap().at(place).is_none(), "part {number} is not there yet");
            let outcome = Lightfield::run(&spec, &Blobs::default(), &Stop::never()).unwrap();
            sector.take(number, &spec, &outcome);
            let field = sector.field().unwrap();
            let lit = [(-6.0, -6.0), (6.0, 6.0), (-6.0, 6.0), (6.0, -6.0)]
                .iter()
                .filter(|(x, z)| field.at(place + Vec3::new(*x, 0.0, *z)).is_some())
                .count();
            assert!(lit >= 3, "part {number}: lit at {lit} of 4 places, the others may be inside rocks");
        }
        assert_eq!(sector.baked(), Some(4));
    }

    #[test]
    fn what_nobody_baked_is_wanted_again_with_the_next_wave_and_what_is_baked_is_not() {
        let mut sector = SectorLight::default();
        let arena = Arena::new(ArenaConfig::default());
        sector.want(&arena);
        assert!(sector.parts.iter().all(|part| *part == Part::Wanted));
        sector.parts = [Part::Baked; PARTS];
        sector.parts[3] = Part::Lacking;
        sector.want(&arena);
        assert_eq!(sector.parts[3], Part::Wanted);
        assert_eq!(sector.baked(), Some(PARTS - 1));
        let elsewhere = Arena::new(ArenaConfig { seed: 9, ..ArenaConfig::default() });
        assert!(sector.is_elsewhere(&elsewhere) && !sector.is_elsewhere(&arena));
        sector.want(&elsewhere);
        assert_eq!(sector.baked(), Some(0), "another sector");
    }
}
