//! The toast after a switch is thrown, and the banner while nobody can be borrowed from.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_offload::{LocalReason, OffloadMode, OffloadState, OffloadSwitch};
use p2c2r_tasks::TaskKind as _;
use p2c2r_tasks::reflection::Reflection;

use super::middle::Middle;
use super::palette::{BRIGHT, EDGE, Ground, ORANGE, PANEL, Rim};
use super::{show, wrapped, write_inside};
use crate::alone;
use crate::figures_file::FiguresFile;
use crate::input::{Action, PadInHand};
use crate::play::{Pilot, Reflecting};
use crate::presets::Chosen;
use crate::screens::Page;
use crate::settings::Settings;

/// How long a toast stays.
const TOAST: Duration = Duration::from_millis(2_600);
/// A connection may take this long before the banner says that there is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the banner says the same while the game is played. The chip goes on saying that nobody is borrowed from, and
/// the settings why.
const BANNER: Duration = Duration::from_secs(15);

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (show_toast, show_banner));
}

/// Says what a thrown switch has done.
#[derive(Component)]
struct Toast {
    left: Duration,
    about: Thrown,
}

/// Which switch was thrown last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thrown {
    #[default]
    Offload,
    Reflections,
    Preset,
    Figures,
    Autopilot,
}

/// Says why the game plays alone.
#[derive(Component)]
struct Banner;

pub(super) fn spawn_messages(mut commands: Commands, middle: Single<Entity, With<Middle>>) {
    let bar = || {
        (
            Node {
                padding: UiRect::axes(px(16), px(7)),
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(px(6)),
                max_width: percent(100),
                display: Display::None,
                ..default()
            },
            Ground(PANEL),
            Rim(EDGE),
        )
    };
    commands.entity(*middle).with_children(|middle| {
        let toast = Toast { left: Duration::ZERO, about: Thrown::Offload };
        middle.spawn((toast, bar(), children![wrapped("", 17.0, BRIGHT)]));
        middle.spawn((Banner, bar(), children![wrapped("", 15.0, ORANGE)]));
    });
}

fn show_toast(
    time: Res<Time<Real>>,
    switch: Res<OffloadSwitch>,
    state: Res<OffloadState>,
    reflecting: Res<Reflecting>,
    (chosen, pilot): (Res<Chosen>, Res<Pilot>),
    (settings, in_hand): (Res<Settings>, Res<PadInHand>),
    file: Res<FiguresFile>,
    (mut switched, mut reflected, mut flown): (Local<Option<bool>>, Local<Option<bool>>, Local<Option<bool>>),
    toast: Single<(&mut Toast, &mut Node, &Children)>,
    mut texts: Query<&mut Text>,
) {
    let (mut toast, mut node, children) = toast.into_inner();
    // The resource changes with the switch of a kind, too, so the switch for everything is compared.
    if switched.replace(switch.enabled).is_some_and(|before| before != switch.enabled) {
        (toast.left, toast.about) = (TOAST, Thrown::Offload);
    }
    // The resource changes with every task it asks for, so the switch itself is compared.
    if reflected.replace(reflecting.enabled).is_some_and(|before| before != reflecting.enabled) {
        (toast.left, toast.about) = (TOAST, Thrown::Reflections);
    }
    if chosen.is_changed() && !chosen.is_added() {
        (toast.left, toast.about) = (TOAST, Thrown::Preset);
    }
    // The autopilot changes its own memory in every frame, so only whether it flies is compared.
    let flies = matches!(*pilot, Pilot::Itself(_));
    if flown.replace(flies).is_some_and(|before| before != flies) {
        (toast.left, toast.about) = (TOAST, Thrown::Autopilot);
    }
    if file.is_changed() && !file.said.is_empty() {
        (toast.left, toast.about) = (TOAST, Thrown::Figures);
    }
    // The mode follows the switch at the end of a frame; only then is it known who helps.
    let settled = switch.enabled != matches!(state.mode, OffloadMode::Local(LocalReason::SwitchedOff));
    if settled && !toast.left.is_zero() {
        let words = match toast.about {
            Thrown::Offload => toast_text(&state.mode).to_owned(),
            Thrown::Reflections => {
                let borrowed = state.is_remote() && switch.allows(Reflection::ID);
                reflections_text(reflecting.enabled, borrowed).to_owned()
            }
            Thrown::Figures => file.said.clone(),
            Thrown::Autopilot => {
                autopilot_text(flies, settings.keys.in_hand(Action::Autopilot, in_hand.0.is_some()))
            }
            Thrown::Preset => format!("Preset {}", chosen.preset.sentence(chosen.quality)),
        };
        write_inside(children, &mut texts, &words);
    }
    toast.left = toast.left.saturating_sub(time.delta());
    show(&mut node, settled && !toast.left.is_zero());
}

fn show_banner(
    time: Res<Time<Real>>,
    page: Res<State<Page>>,
    state: Res<OffloadState>,
    (mut said, mut waited): (Local<(String, Duration)>, Local<bool>),
    banner: Single<(&mut Node, &Children), With<Banner>>,
    mut texts: Query<&mut Text>,
) {
    let (mut node, children) = banner.into_inner();
    let waits = time.elapsed() < PATIENCE;
    if std::mem::replace(&mut *waited, waits) != waits || state.is_changed() {
        let words = if waits { None } else { banner_text(&state.mode) };
        let words = words.unwrap_or_default();
        if said.0 != words {
            write_inside(children, &mut texts, &words);
            *said = (words, BANNER);
        }
    }
    show(&mut node, !said.0.is_empty() && !said.1.is_zero());
    if page.get().shows_display() {
        said.1 = said.1.saturating_sub(time.delta());
    }
}

fn toast_text(mode: &OffloadMode) -> &'static str {
    match mode {
        OffloadMode::Remote => "Borrowing ON: other computers do the heavy work",
        OffloadMode::Local(LocalReason::SwitchedOff) => "Borrowing OFF: this computer does all of it itself",
        OffloadMode::Local(
            LocalReason::SessionCap { .. } | LocalReason::HourCap { .. } | LocalReason::BalanceTooLow { .. },
        ) => "Borrowing ON, at its limit: this computer does what costs more than is left",
        OffloadMode::Local(_) => "Borrowing ON, but alone: this computer does all of it itself",
    }
}

fn reflections_text(enabled: bool, borrowed: bool) -> &'static str {
    match (enabled, borrowed) {
        (false, _) => "Light and mirrors OFF",
        (true, true) => "Light and mirrors ON: other computers compute them",
        (true, false) => "Light and mirrors ON: this computer computes them",
    }
}

/// Names the key that gives the ship back, for a player who pressed the autopilot's by mistake.
fn autopilot_text(flies: bool, switch: Option<String>) -> String {
    match (flies, switch) {
        (false, _) => "Autopilot OFF: you fly".into(),
        (true, Some(switch)) => {
            format!("Autopilot ON: its score is not kept; {switch} gives you the ship back")
        }
        (true, None) => "Autopilot ON: its score is not kept".into(),
    }
}

/// The banner's words. There are none for a player who has switched borrowing off and so knows why the game is alone.
fn banner_text(mode: &OffloadMode) -> Option<String> {
    match mode {
        OffloadMode::Remote | OffloadMode::Local(LocalReason::SwitchedOff) => None,
        OffloadMode::Local(reason) => Some(alone::brief(reason)),
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_offload::LinkProblem;

    use super::*;

    #[test]
    fn the_toast_promises_no_help_that_is_not_there() {
        assert!(toast_text(&OffloadMode::Remote).contains("other computers"));
        for reason in [LocalReason::NoCoordinator, LocalReason::SwitchedOff] {
            let mode = OffloadMode::Local(reason);
            assert!(toast_text(&mode).contains("this computer"));
        }
        assert!(reflections_text(true, true).contains("other computers"));
        assert!(reflections_text(true, false).contains("this computer"));
        assert!(!reflections_text(false, true).contains("computer"));
    }

    #[test]
    fn the_banner_speaks_only_when_the_game_is_alone_against_its_will() {
        assert_eq!(banner_text(&OffloadMode::Remote), None);
        assert_eq!(banner_text(&OffloadMode::Local(LocalReason::SwitchedOff)), None);
        let problem = LinkProblem::new("What is wrong: what to do", "all that is known");
        let mode = OffloadMode::Local(LocalReason::NotConnected { reason: problem });
        assert_eq!(banner_text(&mode).as_deref(), Some("What is wrong: what to do"));
    }
}
