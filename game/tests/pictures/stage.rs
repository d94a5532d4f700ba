//! The game drawn into an image, stepped by hand: the app that `--headless --screenshot` runs, with a clock that only
//! moves when the scene says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy::prelude::*;
use bevy::render::pipelined_rendering::RenderExtractApp;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use bevy::time::TimeUpdateStrategy;
use clap::Parser as _;
use image::RgbImage;
use image::imageops::{FilterType, resize};
use p2c2r_game::cli::GameCli;
use p2c2r_game::screens::Page;
use p2c2r_game::settings::Settings;
use p2c2r_game::{ViewTarget, app};
use p2c2r_link::{ClientTransport, LinkProblem};
use p2c2r_offload::LocalCompute;

use super::compare::{DRAWN_PER_STORED, HEIGHT, WIDTH};
use super::refusing::refusing;

/// A sixtieth of a second and a little, so that every update holds at least one step.
pub const FRAME: Duration = Duration::from_nanos(16_666_667);
/// A frame of four steps, for scenes whose layout does not depend on the number of frames.
const LONG_FRAME: Duration = FRAME.saturating_mul(4);
/// Frames without time that a picture may take to come back: the renderer is some frames behind.
const FRAMES_UNTIL_PICTURE: u32 = 200;
/// Frames without time before a picture, in which the renderer takes in everything that has come since it drew last.
const FRAMES_TO_SETTLE: u32 = 4;

/// A game and the image that it is drawn into.
pub struct Stage {
    app: App,
    taken: Arc<Mutex<Option<Image>>>,
}

impl Stage {
    /// Opens the game at a size, alone; `Err` says why nothing can be drawn here.
    pub fn open(width: u32, height: u32, arguments: &[&str]) -> Result<Self, String> {
        Self::open_linked(width, height, arguments, None)
    }

    /// Opens the game at a coordinator that does not let it in because of this problem.
    pub fn open_refused(
        width: u32,
        height: u32,
        arguments: &[&str],
        problem: LinkProblem,
    ) -> Result<Self, String> {
        Self::open_linked(width, height, arguments, Some(refusing(problem)))
    }

    /// Opens the game with this transport to a coordinator, if any.
    pub fn open_linked(
        width: u32,
        height: u32,
        arguments: &[&str],
        link: Option<ClientTransport>,
    ) -> Result<Self, String> {
        let size = format!("--window={width}x{height}");
        let always = [
            "p2c2r-game",
            "--headless",
            "--autopilot",
            "--local",
            "--screenshot=never.png",
            "--seconds=86400",
            "--quality=low",
            &size,
        ];
        let cli = GameCli::try_parse_from([&always, arguments].concat()).expect("arguments that exist");
        let mut offload = app::offload_config(&cli).expect("no coordinator is asked for");
        offload.local = LocalCompute::Simulated { takes: Duration::from_millis(3) };
        offload.link = link;
        let mut app = app::build(&cli, offload).map_err(|error| error.to_string())?;
        app.insert_resource(TimeUpdateStrategy::ManualDuration(FRAME));
        app.finish();
        app.cleanup();
        let mut stage = Self { app, taken: Arc::default() };
        // Systems that spawn what is drawn run in the first update.
        stage.app.update();
        Ok(stage)
    }

    /// Steps the game without drawing it, which takes most of a frame.
    pub fn play(&mut self, frames: u32) {
        self.draw(false);
        self.pass(FRAME, frames);
    }

    /// The same in frames that hold four steps each.
    pub fn skip(&mut self, frames: u32) {
        self.draw(false);
        self.pass(LONG_FRAME, frames);
    }

    /// Removes the renderer, which would work even in frames that are not drawn. Pictures cannot be taken after that.
    pub fn without_renderer(mut self) -> Self {
        self.app.remove_sub_app(RenderExtractApp).expect("a renderer on a thread of its own");
        self
    }

    /// Goes to a page and stays until everything on it has been laid out.
    pub fn go_to(&mut self, page: Page) {
        self.app.world_mut().resource_mut::<NextState<Page>>().set(page);
        self.play(4);
        assert_eq!(self.app.world().resource::<State<Page>>().get(), &page);
    }

    /// Changes the player's choices; half a second later everything follows them.
    pub fn choose(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.app.world_mut().resource_mut::<Settings>());
        self.play(32);
    }

    /// The app, for what the scene itself changes or looks at.
    pub fn app(&mut self) -> &mut App {
        &mut self.app
    }

    /// What is on the screen now, at the size of the stored pictures. No time passes.
    pub fn picture(&mut self) -> RgbImage {
        let picture = self.full_picture();
        assert_eq!(picture.dimensions(), (DRAWN_PER_STORED * WIDTH, DRAWN_PER_STORED * HEIGHT));
        let mut picture = resize(&picture, WIDTH, HEIGHT, FilterType::Triangle);
        // Five bits of each channel are enough to compare, and make a picture a quarter as large.
        picture.iter_mut().for_each(|channel| *channel = channel.saturating_add(4) & 0xF8);
        picture
    }

    /// What is on the screen now, as large as it is drawn.
    pub fn full_picture(&mut self) -> RgbImage {
        self.draw(true);
        self.pass(Duration::ZERO, FRAMES_TO_SETTLE);
        let target = self.app.world().resource::<ViewTarget>().0.clone().expect("an image to draw into");
        let taken = Arc::clone(&self.taken);
        self.app.world_mut().spawn(Screenshot::image(target)).observe(
            move |shot: On<'_, '_, ScreenshotCaptured>| {
                *taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(shot.image.clone());
            },
        );
        for _ in 0..FRAMES_UNTIL_PICTURE {
            self.app.update();
            if let Some(image) = self.taken.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return image.try_into_dynamic().expect("a picture in a usual format").into_rgb8();
            }
        }
        panic!("no picture came back in {FRAMES_UNTIL_PICTURE} frames");
    }

    fn draw(&mut self, drawn: bool) {
        let world = self.app.world_mut();
        let mut cameras = world.query::<&mut Camera>();
        for mut camera in cameras.iter_mut(world) {
            if camera.is_active != drawn {
                camera.is_active = drawn;
            }
        }
    }

    fn pass(&mut self, time: Duration, frames: u32) {
        self.app.insert_resource(TimeUpdateStrategy::ManualDuration(time));
        for _ in 0..frames {
            self.app.update();
        }
    }
}
