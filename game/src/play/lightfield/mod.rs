//! Asks, about five times a second, for the light of the field around the ship: the light of bolts, explosions, engines
//! and the star on rocks, ships and debris. It is only drawn; the rules of the game do not depend on it.
//!
//! As with reflections, several tasks may be under way, the scene is traced as it will be when the answer usually
//! arrives, and an answer that does not come leaves the last light in use. While the grid stays, answers are changes of
//! an earlier field: see [`Base`].
//!
//! | file | owns |
//! |---|---|
//! | `fineness` | how well the field is traced, by what is bought |
//! | `grid` | where the probes stand, and the light between them |
//! | `scene` | the spec: what lights and shades |
//! | `sector` | the light of the whole sector, baked once by many workers |

mod fineness;
mod grid;
#[cfg(test)]
mod late;
mod scene;
mod sector;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bevy::prelude::*;
use bevy::tasks::{AsyncComputeTaskPool, Task, block_on};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_tasks::lightfield::{LightField, LightProbe, Lightfield, LightfieldOutcome, LightfieldSpec};

use super::reflecting::embers::{self, Embers};
use super::reflecting::{self, CONNECTING_MAX, DEADLINE_MIN, LEAD_MAX, Reflecting, UNDER_WAY_MAX};
use super::{Battlefield, nobody_plays};
pub(crate) use fineness::FieldFineness;
use grid::ProbeGrid;
pub(crate) use grid::TracedField;
pub(crate) use sector::{PARTS, bought as sector_bought};
use sector::{PartAsked, SectorLight};

/// Specs whose outcome may still come; an outcome of an older one is not shown.
const REMEMBERED: usize = 64;
/// The most that one task may cost: several times what the finest field costs.
const PRICE_CAP: Nanos = Nanos(100_000);
/// Time after which half of a new outcome is blended in.
const BLENDING: Duration = Duration::from_millis(70);
/// Answers that are sent as changes of one base. A base travels to the coordinator once, whole; the older it
/// is, the more has changed since. At this number both take about as many bytes.
const BASE_USES: u32 = 8;
/// How long light without a successor is shown, in seconds of play.
const STALE_AFTER: f32 = 3.0;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<LightAround>()
        .add_offload_kind::<Lightfield>(KindSettings {
            deadline: DEADLINE_MIN,
            price_cap: PRICE_CAP,
            // Light of a moment ago still looks right; local compute would cost the frames that offloading is
            // to save.
            late: OnLate::Reuse,
        })
        .add_systems(
            Update,
            (take_field, ask_for_field.after(embers::kindle), sector::bake_sector, count_age).chain(),
        )
        .add_observer(sector::take_part)
        .add_observer(sector::lack_part)
        .add_observer(clear_up)
        .add_observer(clear_up_failure);
}

/// One request.
struct Asked {
    at: Duration,
    grid: ProbeGrid,
    spec: Arc<LightfieldSpec>,
    blobs: Blobs,
}

/// The field that answers are sent as changes of.
struct Base {
    grid: ProbeGrid,
    blob: Arc<Blob>,
    uses: u32,
}

/// A field unfolded, and the blob that names it as a base.
struct Unfolded {
    traced: TracedField,
    blob: Option<Arc<Blob>>,
}

/// The light around the ship, and the pending requests.
#[derive(Resource, Default)]
pub(crate) struct LightAround {
    /// How well it is traced; `None`: not at all.
    fineness: Option<FieldFineness>,
    asked: VecDeque<Asked>,
    grid: Option<ProbeGrid>,
    base: Option<Base>,
    unfolding: Option<Task<Option<Unfolded>>>,
    newest: Option<TracedField>,
    /// Seconds of play since the newest outcome.
    age: f32,
    /// The baked light of the sector, used where the live field does not reach and before it exists.
    sector: SectorLight,
}

impl LightAround {
    /// Changes the fineness from the next task on.
    pub(crate) fn refine(&mut self, fineness: Option<FieldFineness>) {
        self.fineness = fineness;
    }

    /// The newest light at a place and its weight, 0 to 1: the field around the ship, and the sector's beyond
    /// it. `None` where it is unknown, and while light is off.
    pub(crate) fn at(&self, place: Vec3) -> Option<(LightProbe, f32)> {
        self.fineness?;
        let near = self.newest.as_ref().filter(|_| self.age < STALE_AFTER).and_then(|field| field.at(place));
        let far = self.sector.field().and_then(|field| field.at(place));
        match (near, far) {
            (Some((near, share)), Some((far, far_share))) => {
                Some((near.mixed(&far, share), share.max(far_share)))
            }
            (near, far) => near.or(far),
        }
    }

    /// Parts of the sector whose light is computed, of [`PARTS`]; `None` before the sector was asked for.
    pub(crate) fn sector_parts_done(&self) -> Option<usize> {
        self.sector.baked()
    }

    /// Forgets the light of the sector that the ship has left.
    fn leave_sector(&mut self) {
        (self.newest, self.unfolding, self.base, self.grid) = (None, None, None, None);
        self.asked.clear();
    }

    fn is_due(&self, now: Duration, interval: Duration, under_way: usize) -> bool {
        let is_time = |asked: &Asked| now.saturating_sub(asked.at) >= interval;
        under_way < UNDER_WAY_MAX && self.asked.back().is_none_or(is_time)
    }

    /// The base for a spec on `grid`, if there is one.
    fn base_on(&mut self, grid: ProbeGrid) -> Option<Arc<Blob>> {
        let base = self.base.as_mut().filter(|base| base.grid == grid)?;
        base.uses += 1;
        Some(Arc::clone(&base.blob))
    }

    fn take(&mut self, unfolded: Unfolded) {
        let Unfolded { traced, blob } = unfolded;
        let is_of_use = |base: &Base| base.grid == traced.grid && base.uses < BASE_USES;
        if !self.base.as_ref().is_some_and(is_of_use) {
            self.base = blob.map(|blob| Base { grid: traced.grid, blob, uses: 0 });
        }
        self.newest = Some(traced);
        self.age = 0.0;
    }
}

fn ask_for_field(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    embers: Res<Embers>,
    reflecting: Res<Reflecting>,
    real: Res<Time<Real>>,
    clock: Res<Time<Virtual>>,
    horizon: Res<OffloadHorizon>,
    state: Res<OffloadState>,
    open: Query<Entity, (With<Offloading<Lightfield>>, Without<PartAsked>)>,
    mut light: ResMut<LightAround>,
) {
    let now = real.elapsed();
    let fineness = light.fineness.filter(|_| reflecting.enabled);
    let (Some(fineness), false) = (fineness, nobody_plays(&battlefield, &clock)) else {
        // Pending tasks are no longer useful; cancelling is free if no worker has begun.
        open.iter().for_each(|entity| commands.entity(entity).despawn());
        return;
    };
    let may_soon_borrow = now < CONNECTING_MAX && reflecting::is_connecting(&state);
    if may_soon_borrow || !light.is_due(now, fineness.interval, open.iter().count()) {
        return;
    }
    let lead = (horizon.typical::<Lightfield>() + BLENDING).min(LEAD_MAX).as_secs_f32();
    let grid = ProbeGrid::around(&battlefield.arena, light.grid);
    light.grid = Some(grid);
    let base = light.base_on(grid);
    let name = base.as_ref().map(|blob| blob.digest());
    let spec = scene::spec(&battlefield.arena, &embers, &fineness, grid, lead, name);
    let blobs = Blobs::new(base.into_iter().collect());
    let deadline = DEADLINE_MIN.max(horizon.of::<Lightfield>());
    commands.spawn(Offloading::<Lightfield>::new(spec.clone(), blobs.clone()).deadline(deadline));
    if light.asked.len() == REMEMBERED {
        light.asked.pop_front();
    }
    light.asked.push_back(Asked { at: now, grid, spec: Arc::new(spec), blobs });
}

/// Unfolds each newest outcome on another thread, and shows it from the frame in which that is done.
fn take_field(last: Res<LastOutcome<Lightfield>>, mut light: ResMut<LightAround>) {
    let light = &mut *light;
    if last.is_changed()
        && let (Some(outcome), Some(at)) = (last.outcome().cloned(), last.asked_at())
        // The plugin rounds to microseconds.
        && let Some(asked) = light.asked.iter().rev().find(|asked| asked.at.abs_diff(at) < Duration::from_micros(2))
    {
        let (grid, spec, blobs) = (asked.grid, Arc::clone(&asked.spec), asked.blobs.clone());
        // An outcome that is still being unfolded is older, so it is dropped.
        light.unfolding =
            Some(AsyncComputeTaskPool::get().spawn(async move { unfold(grid, &spec, &blobs, &outcome) }));
    }
    if let Some(unfolded) = light.unfolding.take_if(|task| task.is_finished()).and_then(block_on) {
        light.take(unfolded);
    }
}

fn unfold(
    grid: ProbeGrid,
    spec: &LightfieldSpec,
    blobs: &Blobs,
    outcome: &LightfieldOutcome,
) -> Option<Unfolded> {
    let field = outcome
        .unfold(spec, blobs)
        .inspect_err(|error| tracing::error!(%error, "a field of light is not shown"))
        .ok()?;
    let traced = TracedField::new(grid, (0..field.count()).map(|number| field.probe(number)));
    Some(Unfolded { traced, blob: LightField::to_blob(&field).map(Blob::new) })
}

/// Light ages only during play: a paused game asks for no newer light.
fn count_age(battlefield: Res<Battlefield>, clock: Res<Time<Virtual>>, mut light: ResMut<LightAround>) {
    if !nobody_plays(&battlefield, &clock) {
        light.age += clock.delta_secs();
    }
}

fn clear_up(done: On<OffloadDone<Lightfield>>, mut commands: Commands) {
    commands.entity(done.entity).try_despawn();
}

fn clear_up_failure(failed: On<OffloadFailed<Lightfield>>, mut commands: Commands) {
    if failed.reused.is_none() {
        tracing::debug!(reason = %failed.reason, "no field of light");
    }
    commands.entity(failed.entity).try_despawn();
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::{Arena, ArenaConfig};
    use p2c2r_tasks::{Stop, TaskKind as _};

    use super::*;
    use crate::graphics::Quality;
    use crate::presets::Preset;

    /// One request in `arena` and its outcome; returns the bytes both ways.
    fn ask(light: &mut LightAround, arena: &Arena) -> (usize, usize) {
        let fineness = light.fineness.unwrap();
        let grid = ProbeGrid::around(arena, light.grid);
        light.grid = Some(grid);
        let base = light.base_on(grid);
        let name = base.as_ref().map(|blob| blob.digest());
        let spec = scene::spec(arena, &Embers::default(), &fineness, grid, 0.1, name);
        let blobs = Blobs::new(base.into_iter().collect());
        let outcome = Lightfield::run(&spec, &blobs, &Stop::never()).unwrap();
        light.take(unfold(grid, &spec, &blobs, &outcome).unwrap());
        (Lightfield::encode_spec(&spec).len(), outcome.bytes())
    }

    #[test]
    fn answers_are_changes_of_a_base_that_is_renewed_and_take_less_than_whole_ones() {
        let fineness = FieldFineness::bought(Preset::Default, Quality::Low);
        let (mut light, mut whole) = (LightAround::default(), LightAround::default());
        light.refine(fineness);
        whole.refine(fineness);
        let mut arena = Arena::new(ArenaConfig::default());
        let mut pilot = p2c2r_arena::Autopilot::default();
        let (mut changes_bytes, mut whole_bytes, mut up, mut blob_bytes) = (0, 0, 0, 0);
        let mut bases = std::collections::BTreeSet::new();
        let mut uses_max = 0;
        for _ in 0..40 {
            for _ in 0..12 {
                let controls = pilot.controls(&arena);
                arena.step(controls, &[]);
            }
            let (spec, changes) = ask(&mut light, &arena);
            whole.base = None;
            whole_bytes += ask(&mut whole, &arena).1;
            changes_bytes += changes;
            up += spec;
            let base = light.base.as_ref().unwrap();
            uses_max = uses_max.max(base.uses);
            if bases.insert(base.blob.digest()) {
                blob_bytes += base.blob.bytes().len();
            }
        }
        assert!(uses_max <= BASE_USES);
        assert!(bases.len() < 20, "{} bases for 40 answers", bases.len());
        assert!(changes_bytes + blob_bytes < whole_bytes, "{changes_bytes} + {blob_bytes}, {whole_bytes}");
        // At five a second, a seventh of the megabit that all kinds share.
        let bits_per_s = (changes_bytes + blob_bytes + up) * 8 * 5 / 40;
        assert!(bits_per_s < 140_000, "{bits_per_s} bit/s");
    }

    #[test]
    fn light_that_nothing_follows_and_light_that_is_not_wanted_is_not_shown() {
        let mut light = LightAround::default();
        light.refine(FieldFineness::bought(Preset::Default, Quality::Low));
        assert!(light.at(Vec3::ZERO).is_none());
        ask(&mut light, &Arena::new(ArenaConfig::default()));
        assert!(light.at(Vec3::ZERO).is_some());
        light.age = STALE_AFTER;
        assert!(light.at(Vec3::ZERO).is_none());
        light.age = 0.0;
        light.refine(FieldFineness::bought(Preset::Saver, Quality::Low));
        assert!(light.at(Vec3::ZERO).is_none());
    }
}
