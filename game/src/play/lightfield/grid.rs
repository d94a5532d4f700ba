//! Where probes are: a grid in the arena's plane that follows the ship in steps, so that one answer can be
//! sent as changes of the last.

use bevy::math::Vec3;
use p2c2r_arena::{Arena, Vec2};
use p2c2r_tasks::lightfield::{LightProbe, Probes};
use p2c2r_tasks::reflection::POSITION_STEPS_PER_M;

/// From one probe to the next, metres: about a rock's diameter. Twice as far, and the light of a bolt falls between them.
const SPACING_M: f32 = 3.0;
/// Probes along x and z. The picture is 42 m wide and 24 m deep at the plane; with the slack below, the grid
/// covers it. Admission needs at least 256 in all.
const COUNTS: [u8; 2] = [20, 13];
/// How far the ship may be from the middle of the grid before the grid moves, metres along each axis. With
/// less, most answers are sent whole.
const SLACK_M: f32 = 7.5;
/// Spacings from the edge over which the field fades into the light without it.
const FADE_CELLS: f32 = 1.5;
/// Weight of the probes around a place below which the place counts as enclosed.
const WEIGHT_MIN: f32 = 1e-3;

const _: () = assert!(COUNTS[0] as usize * COUNTS[1] as usize >= p2c2r_tasks::lightfield::PROBES_MIN);

/// A grid of probes in the arena's plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeGrid {
    /// The probe with the lowest x and z, in the spec's units.
    origin: [i16; 3],
    /// From one probe to the next, in the spec's units.
    spacing: u16,
    /// Probes along x and z.
    counts: [u8; 2],
}

impl ProbeGrid {
    /// The grid whose first probe is at `first`, with `spacing_m` metres between probes.
    pub(super) fn new(first: Vec2, spacing_m: f32, counts: [u8; 2]) -> Self {
        let steps = |metres: f32| (metres * POSITION_STEPS_PER_M).round() as i16;
        let spacing = (spacing_m * POSITION_STEPS_PER_M).round() as u16;
        Self { origin: [steps(first.x), 0, steps(-first.y)], spacing, counts }
    }

    /// The grid for the ship's place: `before`, as long as the ship is near its middle.
    pub(super) fn around(arena: &Arena, before: Option<Self>) -> Self {
        let ship = arena.ship().position;
        let half = arena.config().size * 0.5;
        let [x, z] = COUNTS.map(|count| f32::from(count - 1) * SPACING_M);
        // Beyond the wall there is nothing to light: near it the grid stays inside.
        let held = |at: f32, reach: f32| {
            let most = (half - reach * 0.5).max(0.0);
            at.clamp(-most, most)
        };
        let middle = Vec2::new(held(ship.x, x), held(ship.y, z));
        let is_near = |grid: &Self| {
            let off = grid.middle_of_plane() - middle;
            off.x.abs().max(off.y.abs()) <= SLACK_M
        };
        before.filter(is_near).unwrap_or_else(|| {
            // On whole metres, so that a grid that returns to a place is the same.
            let first = Vec2::new((middle.x - x * 0.5).round(), (middle.y + z * 0.5).round());
            Self::new(first, SPACING_M, COUNTS)
        })
    }

    /// The part of this grid that is `edge` probes wide and deep, in this column and row of such parts.
    pub(super) fn part(self, [column, row]: [usize; 2], edge: u8) -> Self {
        let along = |parts: usize| (parts * usize::from(edge) * usize::from(self.spacing)) as i16;
        let [x, y, z] = self.origin;
        Self { origin: [x + along(column), y, z + along(row)], counts: [edge, edge], ..self }
    }

    fn spacing_m(self) -> f32 {
        f32::from(self.spacing) / POSITION_STEPS_PER_M
    }

    /// Distances from the first probe to the last along x and z, metres.
    fn extents(self) -> [f32; 2] {
        self.counts.map(|count| f32::from(count - 1) * self.spacing_m())
    }

    /// Its middle, metres.
    fn middle(self) -> Vec3 {
        let [x, z] = self.extents();
        self.corner() + Vec3::new(x, 0.0, z) * 0.5
    }

    /// The point of the arena's plane in its middle.
    pub(super) fn middle_of_plane(self) -> Vec2 {
        let middle = self.middle();
        Vec2::new(middle.x, -middle.z)
    }

    fn corner(self) -> Vec3 {
        Vec3::from_array(self.origin.map(|steps| f32::from(steps) / POSITION_STEPS_PER_M))
    }

    fn count(self) -> usize {
        usize::from(self.counts[0]) * usize::from(self.counts[1])
    }

    /// In the spec's form.
    pub(super) fn probes(self) -> Probes {
        let [x, z] = self.counts;
        Probes::Grid { origin: self.origin, spacing: self.spacing, counts: [x, 1, z] }
    }
}

/// Light as it was traced.
#[derive(Clone, Debug)]
pub(crate) struct TracedField {
    pub(super) grid: ProbeGrid,
    /// In the spec's order; `None` where a probe is inside an object, and thus black, and where the light is
    /// unknown.
    probes: Vec<Option<LightProbe>>,
}

impl TracedField {
    /// The light at the probes of `grid`, from the first on; those not given are unknown.
    pub(super) fn new(grid: ProbeGrid, probes: impl Iterator<Item = LightProbe>) -> Self {
        let mut field = Self { grid, probes: vec![None; grid.count()] };
        probes.enumerate().for_each(|(number, probe)| field.put(number, probe));
        field
    }

    /// Sets the light at a probe.
    pub(super) fn put(&mut self, number: usize, probe: LightProbe) {
        if let Some(place) = self.probes.get_mut(number) {
            *place = (probe.mean != [0.0; 3]).then_some(probe);
        }
    }

    /// The light at a place, interpolated between its probes, and its weight, 0 to 1. `None` outside the grid
    /// and where all probes around are inside objects.
    pub(crate) fn at(&self, place: Vec3) -> Option<(LightProbe, f32)> {
        let cell = (place - self.grid.corner()) / self.grid.spacing_m();
        let last = self.grid.counts.map(|count| f32::from(count - 1));
        let edge = cell.x.min(last[0] - cell.x).min(cell.z).min(last[1] - cell.z);
        if edge.is_nan() || edge < 0.0 {
            return None;
        }
        let (x, z) = (cell.x.min(last[0] - 1.0).floor(), cell.z.min(last[1] - 1.0).floor());
        let (right, near) = (cell.x - x, cell.z - z);
        let (mut light, mut weights) = (LightProbe::default(), 0.0);
        for (step_x, step_z, weight) in [
            (0.0, 0.0, (1.0 - right) * (1.0 - near)),
            (1.0, 0.0, right * (1.0 - near)),
            (0.0, 1.0, (1.0 - right) * near),
            (1.0, 1.0, right * near),
        ] {
            let number = (z + step_z) as usize * usize::from(self.grid.counts[0]) + (x + step_x) as usize;
            if let Some(Some(probe)) = self.probes.get(number)
                && weight > WEIGHT_MIN
            {
                weights += weight;
                light = light.mixed(probe, 1.0 - weight / weights);
            }
        }
        (weights > WEIGHT_MIN).then(|| (light, (edge / FADE_CELLS).min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::ArenaConfig;

    use super::*;

    fn grid() -> ProbeGrid {
        ProbeGrid::around(&Arena::new(ArenaConfig::default()), None)
    }

    /// A field that is brighter by 1 with every metre along x, and black at one probe.
    fn slope(black: Option<usize>) -> TracedField {
        let (grid, count) = (grid(), usize::from(COUNTS[0]) * usize::from(COUNTS[1]));
        let probe = |number: usize| {
            let x = grid.corner().x + (number % usize::from(COUNTS[0])) as f32 * SPACING_M;
            let mean = if Some(number) == black { 0.0 } else { 100.0 + x };
            LightProbe { mean: [mean; 3], ..LightProbe::default() }
        };
        TracedField::new(grid, (0..count).map(probe))
    }

    #[test]
    fn between_probes_light_changes_evenly_and_at_the_edge_it_fades() {
        let field = slope(None);
        for (x, z) in [(0.0, 0.0), (1.3, 2.2), (-7.9, 4.6), (11.0, -9.0)] {
            let (light, share) = field.at(Vec3::new(x, 0.4, z)).unwrap();
            assert!((light.mean[0] - (100.0 + x)).abs() < 0.02, "{x}: {light:?}");
            assert_eq!(share, 1.0);
        }
        let middle = field.grid.middle();
        let edge = field.grid.extents()[0] * 0.5;
        let (_, share) = field.at(middle + Vec3::X * (edge - 0.3)).unwrap();
        assert!(share < 0.2 && share > 0.0, "{share}");
        assert!(field.at(middle + Vec3::X * (edge + 0.1)).is_none());
        assert!(field.at(Vec3::NAN).is_none());
    }

    #[test]
    fn a_probe_inside_a_rock_does_not_darken_what_is_around_it() {
        let black = 5 * usize::from(COUNTS[0]) + 7;
        let field = slope(Some(black));
        let at = field.grid.corner() + Vec3::new(7.0, 0.0, 5.0) * SPACING_M;
        let (light, _) = field.at(at + Vec3::new(0.4, 0.0, 0.4)).unwrap();
        assert!(light.mean[0] > 90.0, "{light:?}");
        assert!(field.at(at).is_none(), "the probe alone would count there");
    }

    #[test]
    fn the_grid_stays_while_the_ship_is_near_its_middle_and_never_leaves_the_arena_far() {
        let mut arena = Arena::new(ArenaConfig::default());
        let mut pilot = p2c2r_arena::Autopilot::default();
        let (mut grid, mut laid) = (grid(), 0);
        for _ in 0..1_200 {
            let controls = pilot.controls(&arena);
            arena.step(controls, &[]);
            let next = ProbeGrid::around(&arena, Some(grid));
            laid += u32::from(next != grid);
            grid = next;
            let ship = arena.ship().position;
            let off = grid.middle_of_plane() - ship;
            let [x, z] = grid.extents();
            assert!(off.x.abs() < x * 0.5 && off.y.abs() < z * 0.5, "the ship is in it: {off:?}");
        }
        assert!(laid < 30, "laid anew {laid} times in 20 s");
    }
}
