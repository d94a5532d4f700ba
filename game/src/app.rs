//! Puts the app together: the same game with a window, off-screen, or without any drawing.

use std::time::Duration;

use bevy::app::{AppExit, PluginGroupBuilder, ScheduleRunnerPlugin, TerminalCtrlCHandlerPlugin};
use bevy::diagnostic::{DiagnosticsPlugin, FrameTimeDiagnosticsPlugin};
use bevy::input::InputPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::window::{ExitCondition, WindowResolution};
use bevy::winit::WinitPlugin;
use p2c2r_arena::{Arena, ArenaConfig, Difficulty, TICKS_PER_SECOND};
use p2c2r_join::{JoinChoice, Memberships};
use p2c2r_link::{ClientTransport, Impairment, on_one_thread};
use p2c2r_offload::{LocalCompute, OffloadConfig, OffloadPlugin};
use p2c2r_program::log::Story;
use p2c2r_program::{Log, Output, say, signals};
use p2c2r_protocol::Role;

use crate::cli::{GameCli, GameVerb, NAME_DEFAULT, PreferencesVerb, QualityChoice, Screen};
use crate::graphics::{self, GraphicsPlugin, Quality};
use crate::joining::JoinDialog;
use crate::play::{Battlefield, Ending, Pilot, Reflecting};
use crate::presets::{Chosen, Preset};
use crate::screens::{Page, Scores};
use crate::settings::{Settings, SettingsAtStart, UserFiles};
use crate::view::Picture;
use crate::{
    GameError, console, figures, figures_file, frame_budget, frames, hud, input, joining, last_hour, play,
    presets, report, screens, settings, sound, view, vitals,
};

/// Plays as the command line says and reports how it ended.
pub fn run(cli: &GameCli) -> Result<(), GameError> {
    if cli.presets {
        say(presets::table());
        return Ok(());
    }
    if let Some(GameVerb::Config(verb)) = &cli.verb {
        return look_at_settings(verb);
    }
    cli.check()?;
    let mut files = user_files(cli);
    let settings = settings_at_start(cli, &mut files)?;
    let offload = offload_config(cli)?;
    for path in [&cli.start.report, &cli.start.frames].into_iter().flatten() {
        report::check_writable(path)?;
    }
    let display = (cli.screen() == Screen::Window)
        .then(|| graphics::display().ok_or(GameError::NoDisplay))
        .transpose()?;
    start_logging(cli)?;
    // The engine's own handler does not install itself where a launcher's shell ignores SIGINT; SIGTERM would then
    // kill the game before it has written its report.
    if let Err(error) = signals::on_stop(TerminalCtrlCHandlerPlugin::gracefully_exit) {
        tracing::warn!(%error, "signals will end the game without a report");
    }
    let mut app = build_with(cli, offload, settings, files)?;
    drop(display);
    if let Some(path) = &cli.start.log_csv {
        let file = figures_file::FiguresFile::at(path).map_err(|error| report::write_error(path, error))?;
        app.insert_resource(file);
    }
    if let Some(folder) = &cli.start.film {
        std::fs::create_dir_all(folder).map_err(|error| report::write_error(folder, error))?;
    }
    if let Some(path) = &cli.start.screenshot {
        // Removed first, so that a picture found at the end is this run's.
        let _ = std::fs::remove_file(path);
    }
    if cli.start.headless || cli.start.hud_log {
        app.add_plugins(console::plugin);
    }
    if let Some(path) = &cli.start.vitals {
        vitals::keep(&mut app, path)?;
    }
    let results = report::Results::keep(&mut app);
    let frames = cli.start.frames.as_ref().map(|path| (path, frames::Frames::keep(&mut app)));
    let exit = app.run();
    if let Some((path, frames)) = frames {
        frames.write(path)?;
    }
    finish(cli, &results, &exit)
}

/// Writes the files that are written after the app has ended, and judges the run.
fn finish(cli: &GameCli, results: &report::Results, exit: &AppExit) -> Result<(), GameError> {
    let report = results.report(cli);
    if let Some(path) = &cli.start.report {
        report.write(path)?;
    }
    if cli.start.headless || cli.start.hud_log {
        console::print_summary(&report);
    }
    if let Some(path) = cli.start.screenshot.as_ref().filter(|path| !path.exists()) {
        return Err(GameError::NoPicture(path.display().to_string()));
    }
    // The exit code is only logged: a signal gives the engine's own code, and a requested end is a success.
    tracing::debug!(?exit, "the app has ended");
    report.judge()
}

/// Builds the app, ready to run or to be updated by hand, with this player's settings and scores.
pub fn build(cli: &GameCli, offload: OffloadConfig) -> Result<App, GameError> {
    let mut files = user_files(cli);
    let settings = settings_at_start(cli, &mut files)?;
    build_with(cli, offload, settings, files)
}

/// The player's files: none in runs that no player steers, unless a folder is named.
fn user_files(cli: &GameCli) -> UserFiles {
    match &cli.start.settings {
        Some(folder) => UserFiles::in_folder(folder.clone()),
        None if cli.is_steered_by_player() => UserFiles::of_this_user(),
        None => UserFiles::default(),
    }
}

/// Checks or prints the preferences.
fn look_at_settings(verb: &PreferencesVerb) -> Result<(), GameError> {
    let (PreferencesVerb::Check(preferred) | PreferencesVerb::Show(preferred)) = verb;
    let files = preferred.settings.clone().map_or_else(UserFiles::of_this_user, UserFiles::in_folder);
    let mut settings: Settings = files.look().map_err(GameError::Kept)?;
    preferred.preferences.apply(&mut settings)?;
    match verb {
        PreferencesVerb::Check(_) => say("the preferences are valid"),
        PreferencesVerb::Show(_) => say(settings::text_of(&settings).map_err(GameError::Kept)?.trim_end()),
    }
    Ok(())
}

/// The player's preferences, overridden by the command line and the environment.
fn settings_at_start(cli: &GameCli, files: &mut UserFiles) -> Result<SettingsAtStart, GameError> {
    let kept: Settings = files.load();
    let mut started = kept.clone();
    if !cli.is_steered_by_player() && cli.starts_in_play() {
        started.difficulty = Difficulty::Pilot;
    }
    cli.preferences.apply(&mut started)?;
    started.borrowing.enabled &= !cli.start.offload_off;
    Ok(SettingsAtStart { kept, started })
}

fn build_with(
    cli: &GameCli,
    offload: OffloadConfig,
    at_start: SettingsAtStart,
    mut files: UserFiles,
) -> Result<App, GameError> {
    let mut app = App::new();
    let settings = at_start.started.clone();
    let quality = add_engine(&mut app, cli, settings.video.quality)?;
    let first = if cli.starts_in_play() { Page::Play } else { Page::Loading };
    app.insert_resource(files.load::<Scores>()).insert_resource(files);
    app.insert_resource(Battlefield { arena: Arena::new(arena(cli, &settings)) })
        .insert_resource(settings.borrowing.switch())
        .insert_resource(pilot(cli)?)
        .insert_resource(Reflecting::new(settings.borrowing.mirrors, quality))
        .insert_resource(Chosen { preset: settings.borrowing.preset, quality })
        .insert_resource(JoinDialog::new(&cli.start, &offload))
        .insert_resource(settings)
        .insert_resource(at_start)
        .insert_resource(Ending::after(
            cli.start.seconds.map(|seconds| Duration::from_secs(u64::from(seconds))),
        ))
        .add_plugins((
            OffloadPlugin { config: offload },
            FrameTimeDiagnosticsPlugin { max_history_length: figures::FRAMES_KEPT, ..default() },
            screens::plugin(first),
            joining::plugin,
            settings::plugin,
            input::plugin,
            play::plugin,
            presets::plugin,
            figures::plugin,
            figures_file::plugin,
            frame_budget::plugin,
            last_hour::plugin,
        ));
    if cli.screen() != Screen::None {
        let offscreen = (cli.screen() == Screen::Offscreen).then(|| cli.size());
        let picture = Picture::new(cli.start.screenshot.clone(), offscreen).with_film(cli.start.film.clone());
        app.insert_resource(view::DrawQuality(quality)).insert_resource(picture).add_plugins((
            view::plugin,
            hud::plugin,
            screens::look_plugin,
        ));
    }
    if cli.screen() == Screen::Window {
        app.add_plugins((play::window_plugin, settings::window_plugin, input::window_plugin, sound::plugin));
    }
    if let Some(seconds) = cli.start.flip_every {
        app.add_plugins(play::flip_plugin(Duration::from_secs(u64::from(seconds))));
    }
    on_one_thread(&mut app);
    Ok(app)
}

/// The arena's configuration. `stress` is for benches of other kinds, so nobody plans in it.
fn arena(cli: &GameCli, settings: &Settings) -> ArenaConfig {
    let config = match settings.borrowing.preset {
        Preset::Stress => ArenaConfig::stress(),
        _ => ArenaConfig::of(settings.difficulty).with_allies(settings.allies.count()),
    };
    ArenaConfig { seed: cli.start.seed, ..config }
}

fn pilot(cli: &GameCli) -> Result<Pilot, GameError> {
    Ok(match &cli.start.flight {
        Some(path) => Pilot::Recorded(play::read_flight(path)?),
        None if cli.steers_itself() => Pilot::Itself(default()),
        None => Pilot::Gamer,
    })
}

/// Adds the engine and returns the quality it draws with.
fn add_engine(app: &mut App, cli: &GameCli, quality: QualityChoice) -> Result<Quality, GameError> {
    let frame = Duration::from_secs(1) / TICKS_PER_SECOND;
    match cli.screen() {
        Screen::None => {
            app.add_plugins((
                MinimalPlugins.set(ScheduleRunnerPlugin::run_loop(frame)),
                DiagnosticsPlugin,
                InputPlugin,
                TerminalCtrlCHandlerPlugin,
            ));
            return Ok(Quality::Low);
        }
        Screen::Offscreen => {
            let no_window =
                WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
            let graphics = GraphicsPlugin { waits_for_pipelines: true };
            app.add_plugins(drawn_engine(no_window, graphics).disable::<WinitPlugin>())
                .add_plugins(ScheduleRunnerPlugin::run_loop(frame));
        }
        Screen::Window => {
            let size = cli.size();
            let window = Window {
                title: "Borrowed Light".into(),
                name: Some("p2c2r-game".into()),
                resolution: WindowResolution::new(size.width, size.height),
                ..default()
            };
            let window = WindowPlugin { primary_window: Some(window), ..default() };
            app.add_plugins(drawn_engine(window, GraphicsPlugin { waits_for_pipelines: false }));
        }
    }
    graphics::quality(app, quality)
}

/// The engine with everything that draws, on graphics that the game has opened itself.
fn drawn_engine(window: WindowPlugin, graphics: GraphicsPlugin) -> PluginGroupBuilder {
    DefaultPlugins.set(window).disable::<RenderPlugin>().add_before::<RenderPlugin>(graphics)
}

/// The offload plugin's configuration that the command line asks for. A player who has joined no coordinator plays on this
/// machine alone.
pub fn offload_config(cli: &GameCli) -> Result<OffloadConfig, GameError> {
    let impair = cli.start.impair.as_deref().map(impairment).transpose()?;
    let base = OffloadConfig { impair, local: LocalCompute::Auto, ..default() };
    if cli.start.local {
        return Ok(base);
    }
    let choice = JoinChoice {
        link: cli.start.join.clone(),
        name: cli.start.name.clone(),
        folder: cli.start.keys.clone(),
    };
    Ok(match choice.settle(Role::Gamer, NAME_DEFAULT)? {
        Some(membership) => OffloadConfig {
            patient_folder: Some(Memberships::in_folder(choice.folder()?).tasks_folder(&membership)),
            ..base.with_membership(&membership)
        },
        // The player may join one in the settings.
        None => OffloadConfig { link: Some(ClientTransport::Later), ..base },
    })
}

fn impairment(name: &str) -> Result<Impairment, GameError> {
    Impairment::preset(name)
        .ok_or_else(|| GameError::Impairment { name: name.into(), known: Impairment::PRESETS.join(", ") })
}

/// Logs go to standard error; standard output is for the HUD's lines.
fn start_logging(cli: &GameCli) -> Result<(), GameError> {
    // The link counts peers' garbage itself; the libraries below it would log all of it as errors. The
    // engine's remarks about software rendering and unused features do not help a player. Errors of its
    // drivers (`wgpu_hal`) reach the game as errors where they matter.
    let defaults = "warn,p2c2r_game=info,p2c2r_offload=info,renet=off,renetcode=off,\
                    bevy_render::extract_resource=off,bevy_core_pipeline=error,bevy_pbr=error,winit=error,\
                    wgpu=error,wgpu_hal=off,naga=error";
    let story = Story::messages_of(env!("CARGO_CRATE_NAME"));
    let filter = cli.start.log.as_deref().unwrap_or_default();
    Log { filter, defaults, format: cli.start.log_format, to: Output::Error, story }.start()?;
    Ok(())
}
