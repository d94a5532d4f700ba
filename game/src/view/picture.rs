//! Saves one picture near the end of the run, from the window or from an image that nobody sees.

use std::path::PathBuf;
use std::time::Duration;

use bevy::prelude::*;
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured, save_to_disk};

use super::camera::ViewTarget;
use crate::cli::WindowSize;
use crate::play::Ending;

/// The picture is taken this long before the end, so that a fight is on and the writing has time.
const BEFORE_END: Duration = Duration::from_millis(1_500);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Picture>()
        .add_systems(PreStartup, make_target)
        .add_systems(Update, take_picture.run_if(resource_exists::<Ending>));
}

/// What picture is wanted and how far it is.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct Picture {
    /// Where it goes, if one is wanted.
    path: Option<PathBuf>,
    /// The size to draw at when there is no window.
    offscreen: Option<WindowSize>,
    asked: bool,
}

impl Picture {
    /// A picture at `path`, drawn off-screen at this size or taken from the window.
    pub(crate) fn new(path: Option<PathBuf>, offscreen: Option<WindowSize>) -> Self {
        Self { path, offscreen, asked: false }
    }
}

fn make_target(picture: Res<Picture>, mut target: ResMut<ViewTarget>, mut images: ResMut<Assets<Image>>) {
    if let Some(size) = picture.offscreen {
        let mut image =
            Image::new_target_texture(size.width, size.height, TextureFormat::Rgba8UnormSrgb, None);
        image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
        target.0 = Some(images.add(image));
    }
}

fn take_picture(
    mut commands: Commands,
    time: Res<Time<Real>>,
    target: Res<ViewTarget>,
    mut picture: ResMut<Picture>,
    mut ending: ResMut<Ending>,
) {
    let Some(path) = picture.path.clone() else { return };
    let near_end = ending.left(time.elapsed()).is_some_and(|left| left <= BEFORE_END);
    if picture.asked || !near_end {
        return;
    }
    picture.asked = true;
    ending.waiting_for += 1;
    let screenshot = target.0.clone().map_or_else(Screenshot::primary_window, Screenshot::image);
    commands.spawn(screenshot).observe(save_to_disk(path)).observe(
        |_: On<ScreenshotCaptured>, mut ending: ResMut<Ending>| {
            ending.waiting_for = ending.waiting_for.saturating_sub(1);
        },
    );
}
