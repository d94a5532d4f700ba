//! The first page: it stays until the renderer has compiled its pipelines, so that the first shot does not
//! stutter.
//!
//! Ship, rocks, lights and glow are in the scene behind it already, and enemies are drawn with the same
//! pipelines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bevy::prelude::*;
use bevy::render::render_resource::PipelineCache;
use bevy::render::{Render, RenderApp};

use super::Page;

/// Consecutive frames without a pipeline being compiled after which all count as ready: some are only
/// requested when their texture is there.
const CALM_FRAMES: u32 = 12;
/// The longest that a player waits here. A slow renderer goes on compiling during play.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Warming>().add_systems(Update, go_on_when_warm.run_if(in_state(Page::Loading)));
}

/// Counts in the render world.
pub(super) fn drawn_plugin(app: &mut App) {
    let counts = app.world().resource::<Warming>().counts.clone();
    if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
        render_app.insert_resource(PipelineCounts(counts.clone())).add_systems(Render, count_pipelines);
        counts.drawn.store(1, Ordering::Relaxed);
    }
}

/// The renderer's progress.
#[derive(Resource, Default)]
pub(crate) struct Warming {
    counts: Arc<Counts>,
    calm: u32,
}

#[derive(Default)]
struct Counts {
    /// 1 if anything is drawn at all.
    drawn: AtomicU32,
    known: AtomicU32,
    waiting: AtomicU32,
}

#[derive(Resource)]
struct PipelineCounts(Arc<Counts>);

impl Warming {
    /// The progress as a sentence for the player.
    pub(super) fn sentence(&self) -> String {
        let known = self.counts.known.load(Ordering::Relaxed);
        let waiting = self.counts.waiting.load(Ordering::Relaxed).min(known);
        if known == 0 {
            "Getting ready ...".into()
        } else {
            format!("Getting ready: {} of {known}", known - waiting)
        }
    }

    fn is_done(&mut self) -> bool {
        if self.counts.drawn.load(Ordering::Relaxed) == 0 {
            return true;
        }
        let (known, waiting) =
            (self.counts.known.load(Ordering::Relaxed), self.counts.waiting.load(Ordering::Relaxed));
        self.calm = if known > 0 && waiting == 0 { self.calm + 1 } else { 0 };
        self.calm >= CALM_FRAMES
    }
}

fn count_pipelines(cache: Res<PipelineCache>, counts: Res<PipelineCounts>) {
    counts.0.known.store(cache.pipelines().count() as u32, Ordering::Relaxed);
    counts.0.waiting.store(cache.waiting_pipelines().count() as u32, Ordering::Relaxed);
}

fn go_on_when_warm(time: Res<Time<Real>>, mut warming: ResMut<Warming>, mut next: ResMut<NextState<Page>>) {
    if warming.is_done() || time.elapsed() >= PATIENCE {
        next.set(Page::Title);
    }
}
