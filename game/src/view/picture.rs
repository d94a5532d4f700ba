//! Saves one picture near the end of the run, or many over all of it, from the window or from an off-screen
//! image.

use std::path::PathBuf;
use std::time::Duration;

use bevy::prelude::*;
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use bevy::render::view::screenshot::{Capturing, Screenshot, save_to_disk};
use bevy::time::common_conditions::on_real_timer;

use super::camera::ViewTarget;
use crate::cli::WindowSize;
use crate::play::Ending;

/// The picture is taken this long before the end, so that play is still on and there is time to write it.
const BEFORE_END: Duration = Duration::from_millis(1_500);
/// Time between two pictures of a film, as far as the renderer keeps up, and the most pictures.
const FILM_EVERY: Duration = Duration::from_millis(125);
const FILM_PICTURES_MAX: u32 = 2_000;
/// Most pictures of a film being saved at once: each is as large as the screen.
const FILM_UNDER_WAY_MAX: usize = 4;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Picture>().add_systems(PreStartup, make_target).add_systems(
        Update,
        (take_picture, film.run_if(on_real_timer(FILM_EVERY)), wait_for_pictures).chain(),
    );
}

/// Which pictures are wanted, and their state.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct Picture {
    /// The picture's file, if one is wanted.
    path: Option<PathBuf>,
    /// The size to draw at when there is no window.
    offscreen: Option<WindowSize>,
    asked: bool,
    /// The folder of a film, if one is wanted.
    film: Option<PathBuf>,
    filmed: u32,
}

impl Picture {
    /// A picture at `path`, drawn off-screen at this size or taken from the window.
    pub(crate) fn new(path: Option<PathBuf>, offscreen: Option<WindowSize>) -> Self {
        Self { path, offscreen, ..Self::default() }
    }

    /// The same, and a picture every eighth of a second into this folder.
    pub(crate) fn with_film(self, film: Option<PathBuf>) -> Self {
        Self { film, ..self }
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
    ending: Res<Ending>,
) {
    let near_end = ending.left(time.elapsed()).is_some_and(|left| left <= BEFORE_END);
    if picture.asked || !near_end {
        return;
    }
    let Some(path) = picture.path.clone() else { return };
    picture.asked = true;
    save_picture(&mut commands, &target, path);
}

/// Saves the next frame at `path`.
fn save_picture(commands: &mut Commands, target: &ViewTarget, path: PathBuf) {
    let screenshot = target.0.clone().map_or_else(Screenshot::primary_window, Screenshot::image);
    commands.spawn(screenshot).observe(save_to_disk(path));
}

fn film(
    mut commands: Commands,
    time: Res<Time<Real>>,
    target: Res<ViewTarget>,
    ending: Res<Ending>,
    under_way: Query<Has<Capturing>, With<Screenshot>>,
    mut picture: ResMut<Picture>,
) {
    let is_over = ending.left(time.elapsed()).is_some_and(|left| left.is_zero());
    // The renderer drops the second picture of one frame.
    let is_asked = under_way.iter().any(|begun| !begun);
    if is_over || is_asked || picture.filmed >= FILM_PICTURES_MAX || under_way.count() >= FILM_UNDER_WAY_MAX {
        return;
    }
    let Some(folder) = &picture.film else { return };
    let path = folder.join(format!("{:04}.png", picture.filmed + 1));
    picture.filmed += 1;
    save_picture(&mut commands, &target, path);
}

/// The run ends only when all pictures are saved: a driver that is unloaded while it copies one crashes the
/// program.
fn wait_for_pictures(under_way: Query<(), With<Screenshot>>, mut ending: ResMut<Ending>) {
    let count = under_way.count();
    if ending.waiting_for != count {
        ending.waiting_for = count;
    }
}
