//! What a nudge does on the present page.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_arena::Difficulty;

use super::menu::{Menu, MenuAction};
use super::rounds::Rounds;
use super::scores::TableShown;
use super::{Nudge, Page, Trail};
use crate::input::{Action, BindingRefusal, Bindings, Input};
use crate::joining::JoinDialog;
use crate::play::Ending;
use crate::settings::{Settings, next};

/// A round ends while its player still fires: inputs sooner than this were not meant for the page that
/// follows.
const UNTIL_HANDS_ARE_CALM: Duration = Duration::from_millis(800);

/// How long an action waits for its input. Waiting is the only way for a player without keys to leave it as it is, since
/// every button of a pad can be bound.
const CAPTURE_WAITS: Duration = Duration::from_secs(5);

/// The action that waits for its input, and a pressed input that another action has.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(crate) struct Capture {
    action: Option<Action>,
    /// Pressed once although another action has it; pressed again, it is moved.
    asked: Option<Input>,
    /// How long it goes on waiting.
    left: Duration,
}

impl Capture {
    fn of(action: Action) -> Self {
        Self { action: Some(action), asked: None, left: CAPTURE_WAITS }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.action.is_some()
    }

    pub(super) fn action(&self) -> Option<Action> {
        self.action
    }
}

/// The resources that a nudge may change.
#[derive(bevy::ecs::system::SystemParam)]
pub(super) struct MenuParams<'w> {
    next: ResMut<'w, NextState<Page>>,
    trail: ResMut<'w, Trail>,
    capture: ResMut<'w, Capture>,
    settings: ResMut<'w, Settings>,
    ending: ResMut<'w, Ending>,
    joining: ResMut<'w, JoinDialog>,
    rounds: Rounds<'w>,
    table: ResMut<'w, TableShown>,
}

pub(super) fn obey(
    page: Res<State<Page>>,
    time: Res<Time<Real>>,
    mut arrived: Local<Duration>,
    mut nudges: MessageReader<Nudge>,
    mut menu: ResMut<Menu>,
    mut reach: MenuParams,
) {
    if page.is_changed() {
        *arrived = time.elapsed();
    }
    let still_fights =
        *page.get() == Page::RoundOver && time.elapsed().saturating_sub(*arrived) < UNTIL_HANDS_ARE_CALM;
    for nudge in nudges.read() {
        // An earlier nudge of this frame already leads to another page; this one could put the present page on the trail a
        // second time.
        if !matches!(*reach.next, NextState::Unchanged) {
            continue;
        }
        if still_fights && *nudge == Nudge::Accept {
            continue;
        }
        if *page.get() == Page::Play {
            if *nudge == Nudge::Back {
                reach.next.set(Page::Paused);
            }
            continue;
        }
        // The menu is still that of another page: the nudge was meant for that one.
        if menu.page != *page.get() {
            continue;
        }
        if matches!(nudge, Nudge::Up | Nudge::Down | Nudge::Point(_)) && *page.get() == Page::Keys {
            // A note about one row is not valid for another.
            menu.note.clear();
        }
        match *nudge {
            Nudge::Up => menu.step(-1),
            Nudge::Down => menu.step(1),
            Nudge::Point(place) if place < menu.items.len() => menu.chosen = place,
            Nudge::Left => reach.turn(&menu, -1),
            Nudge::Right => reach.turn(&menu, 1),
            Nudge::Accept => reach.accept(*page.get(), &menu),
            Nudge::Back => reach.back(*page.get(), menu.chosen),
            // Of several inputs in one frame the first is bound; its note must not be lost by the others.
            Nudge::Bind(input) if reach.capture.is_waiting() => menu.note = reach.bind(input),
            Nudge::Point(_) | Nudge::Bind(_) => {}
        }
    }
}

/// Leaves an action as it is when nothing has been pressed for it.
pub(super) fn give_up_waiting(time: Res<Time<Real>>, mut capture: ResMut<Capture>, mut menu: ResMut<Menu>) {
    if capture.is_waiting() {
        capture.left = capture.left.saturating_sub(time.delta());
        if capture.left.is_zero() {
            *capture = Capture::default();
            menu.note = "Nothing was pressed, so nothing was changed.".into();
        }
    }
}

impl MenuParams<'_> {
    fn turn(&mut self, menu: &Menu, step: i32) {
        match menu.verb() {
            Some(MenuAction::Turn(row)) => row.turn(&mut self.settings, step),
            Some(MenuAction::TurnTable) => {
                let shown = self.table.difficulty(&self.settings);
                self.table.0 = Some(next(&Difficulty::ALL, shown, step));
            }
            _ => {}
        }
    }

    fn accept(&mut self, page: Page, menu: &Menu) {
        match menu.verb() {
            Some(MenuAction::Go(to)) => {
                self.trail.leave(page, menu.chosen);
                self.next.set(to);
            }
            Some(MenuAction::Back) => self.back(page, menu.chosen),
            Some(MenuAction::Begin) => {
                self.trail.forget();
                self.rounds.begin(&self.settings);
                self.next.set(Page::Play);
            }
            Some(MenuAction::Resume) => self.next.set(Page::Play),
            Some(MenuAction::GiveUp) => {
                self.trail.forget();
                self.rounds.give_up();
                self.next.set(Page::Title);
            }
            Some(MenuAction::Exit) => self.ending.end_now(),
            Some(MenuAction::Turn(_) | MenuAction::TurnTable) => self.turn(menu, 1),
            Some(MenuAction::Bind(action)) => *self.capture = Capture::of(action),
            Some(MenuAction::Join) => self.joining.begin(),
            Some(MenuAction::ResetKeys) => self.settings.keys = Bindings::default(),
            None => {}
        }
    }

    fn back(&mut self, page: Page, chosen: usize) {
        match (page, self.trail.back()) {
            (_, Some(before)) => self.next.set(before),
            (Page::Paused, None) => self.next.set(Page::Play),
            (Page::Title | Page::RoundOver, None) => {
                self.trail.leave(page, chosen);
                self.next.set(Page::Leave);
            }
            (Page::Loading, None) => {}
            (_, None) => self.next.set(Page::Title),
        }
    }

    /// Binds the pressed input, or returns why not.
    fn bind(&mut self, input: Input) -> String {
        let Some(action) = self.capture.action else { return String::new() };
        if input == Input::Key(KeyCode::Escape) {
            *self.capture = Capture::default();
            return "Nothing was changed.".into();
        }
        self.capture.left = CAPTURE_WAITS;
        let label = input.label();
        match self.settings.keys.check(action, input) {
            Err(BindingRefusal::Reserved) => format!("{label} is needed in menus. Press another one."),
            Err(BindingRefusal::Nameless) => "This one cannot be bound. Press another one.".into(),
            Err(BindingRefusal::Taken(owner)) if self.capture.asked != Some(input) => {
                self.capture.asked = Some(input);
                format!(
                    "{label} already does `{}`. Press it again to move it; Escape, or waiting, leaves it.",
                    owner.label()
                )
            }
            taken => {
                self.settings.keys.bind(action, input);
                *self.capture = Capture::default();
                let lost = match taken {
                    Err(BindingRefusal::Taken(owner)) => self.lost(owner, input).map(|lost| (owner, lost)),
                    _ => None,
                };
                match lost {
                    Some((owner, lost)) => {
                        format!("{label}: {}. Now `{}` has no {lost}.", action.label(), owner.label())
                    }
                    None => format!("{label}: {}.", action.label()),
                }
            }
        }
    }

    /// What an action has lost after this input has been taken from it.
    fn lost(&self, owner: Action, taken: Input) -> Option<&'static str> {
        let keys = &self.settings.keys;
        let (what, has_one) = match taken {
            Input::Key(_) => ("key", keys.keys_of(owner).next().is_some()),
            Input::Button(_) => ("button", keys.button_of(owner).is_some()),
            Input::Click(_) => ("mouse button", keys.click_of(owner).is_some()),
        };
        (!has_one).then_some(what)
    }
}
