//! What stands on each page.

use bevy::prelude::*;
use p2c2r_arena::Difficulty;
use p2c2r_link::ClientLink;
use p2c2r_offload::{OffloadMode, OffloadState};
use p2c2r_protocol::Nanos;

use super::loading::Warming;
use super::menu::{Item, Menu, MenuAction, item};
use super::obey::Capture;
use super::rounds::LastRound;
use super::scores::{Round, Scores, TableShown};
use super::{Page, Trail};
use crate::alone;
use crate::figures;
use crate::harm;
use crate::input::{Action, PadInHand, input_label};
use crate::joining::JoinDialog;
use crate::presets::Chosen;
use crate::settings::{Row, Settings, UserFiles};
use crate::sound::Silence;

/// The resources that the contents of pages are made from.
#[derive(bevy::ecs::system::SystemParam)]
pub(super) struct Told<'w> {
    settings: Res<'w, Settings>,
    scores: Res<'w, Scores>,
    shown: Res<'w, TableShown>,
    last: Res<'w, LastRound>,
    files: Res<'w, UserFiles>,
    capture: Res<'w, Capture>,
    warming: Res<'w, Warming>,
    offload: Res<'w, OffloadState>,
    in_hand: Res<'w, PadInHand>,
    chosen: Res<'w, Chosen>,
    joining: Res<'w, JoinDialog>,
    link: Option<Res<'w, ClientLink>>,
    silence: Option<Res<'w, Silence>>,
}

/// Fills the menu of the present page. The chosen item stays chosen while the page stays.
pub(super) fn fill(page: Res<State<Page>>, told: Told, mut trail: ResMut<Trail>, mut menu: ResMut<Menu>) {
    let page = *page.get();
    let stays = menu.page == page;
    let during_round = trail.pages.iter().any(|(page, _)| *page == Page::Paused);
    let mut filled = told.menu(page, during_round);
    if stays {
        filled.chosen = menu.chosen.min(filled.items.len().saturating_sub(1));
        // Only the page of keys has notes that another place writes.
        if filled.note.is_empty() && page == Page::Keys {
            filled.note.clone_from(&menu.note);
        }
    } else if let Some(chosen) = trail.chosen.take() {
        filled.chosen = chosen.min(filled.items.len().saturating_sub(1));
    }
    menu.set_if_neq(filled);
}

impl Told<'_> {
    fn menu(&self, page: Page, during_round: bool) -> Menu {
        let (title, lines, items) = match page {
            Page::Play => ("", Vec::new(), Vec::new()),
            Page::Loading => ("BORROWED LIGHT", vec![self.warming.sentence()], Vec::new()),
            Page::Title => self.title(),
            Page::HowToPlay => ("HOW TO PLAY", self.how_to_play(), back()),
            Page::Scores => ("THE BEST ROUNDS", self.table(), self.table_items()),
            Page::Settings => ("SETTINGS", Vec::new(), settings_items()),
            Page::Video => ("PICTURE", Vec::new(), back_after(&Row::VIDEO, &self.settings)),
            Page::Sound => ("SOUND", Vec::new(), back_after(&Row::SOUND, &self.settings)),
            Page::Display => ("DISPLAY", Vec::new(), back_after(&Row::DISPLAY, &self.settings)),
            Page::Borrowing => ("BORROWING", self.borrowing(), self.borrowing_items()),
            Page::Join => ("COORDINATOR", self.join(), self.join_items()),
            Page::Comparison => {
                ("A CARD OF YOUR OWN", self.comparison(), back_after(&Row::COMPARISON, &self.settings))
            }
            Page::Keys => ("KEYS AND PAD", Vec::new(), self.keys()),
            Page::Credits => ("CREDITS AND LICENCES", credits(), back()),
            Page::Paused => (
                "PAUSED",
                vec!["Nothing moves, nothing is asked for, nothing is paid.".into()],
                vec![
                    item("Go on", MenuAction::Resume),
                    item("How to play", MenuAction::Go(Page::HowToPlay)),
                    item("Settings", MenuAction::Go(Page::Settings)),
                    item("End this round (it does not count)", MenuAction::GiveUp),
                    item("Leave the game", MenuAction::Go(Page::Leave)),
                ],
            ),
            Page::RoundOver => (
                "GAME OVER",
                self.round_over(),
                vec![
                    item("Play again", MenuAction::Begin),
                    item("The best rounds", MenuAction::Go(Page::Scores)),
                    item("To the title", MenuAction::GiveUp),
                ],
            ),
            Page::Leave => (
                "LEAVE THE GAME?",
                if during_round { vec!["The round that is going on is lost.".into()] } else { Vec::new() },
                vec![item("No, stay", MenuAction::Back), item("Yes, leave", MenuAction::Exit)],
            ),
        };
        Menu { page, title: title.into(), lines, items, chosen: 0, note: self.note(page) }
    }

    fn title(&self) -> (&'static str, Vec<String>, Vec<Item>) {
        let mut lines = vec!["A space shooter that borrows other people's computers.".to_owned()];
        lines.push(borrows_from(&self.offload.mode));
        lines.push(promise(self.settings.difficulty).to_owned());
        let items = vec![
            item("Play", MenuAction::Begin),
            row(Row::Difficulty, &self.settings),
            item("How to play", MenuAction::Go(Page::HowToPlay)),
            item("Settings", MenuAction::Go(Page::Settings)),
            item("The best rounds", MenuAction::Go(Page::Scores)),
            item("Credits and licences", MenuAction::Go(Page::Credits)),
            item("Leave", MenuAction::Go(Page::Leave)),
        ];
        ("BORROWED LIGHT", lines, items)
    }

    /// The text below the items.
    fn note(&self, page: Page) -> String {
        match page {
            Page::Title => self.files.said.join("\n"),
            Page::Join => self.joining.note(),
            Page::Sound if self.silence.as_ref().is_some_and(|silence| silence.is_noted()) => {
                Silence::WORDS.into()
            }
            _ => String::new(),
        }
    }

    /// A table of keys in letters that are all equally wide.
    fn how_to_play(&self) -> Vec<String> {
        let bindings = &self.settings.keys;
        let row = |action: Action| {
            let pad = bindings.button_of(action).map_or_else(String::new, input_label);
            let mouse = bindings.click_of(action).map_or_else(String::new, input_label);
            format!("{:<18} {:<28} {pad:<18} {mouse:<8}", action.label(), bindings.keys_label(action))
        };
        let mut lines = vec![
            "Shoot what hunts you. Rocks stand in everybody's way, and break.".into(),
            "The shield comes back when nothing has hit you for a while; the hull does not.".into(),
            "Arrows around your ship point to enemies out of sight; a red arc shows where a hit came from."
                .into(),
            String::new(),
            format!("{:<18} {:<28} {:<18} {:<8}", "", "keys", "pad", "mouse"),
        ];
        let actions = [
            Action::Left,
            Action::Right,
            Action::Thrust,
            Action::Brake,
            Action::Fire,
            Action::Missile,
            Action::Boost,
            Action::Pause,
        ];
        lines.extend(actions.map(row));
        lines.push(String::new());
        lines.push(
            "While one of these mouse buttons is held, the ship turns to where the mouse points.".into(),
        );
        lines.push(
            "Other computers find the enemies' paths, move the rocks and compute light and mirrors.".into(),
        );
        if let Some(switch) = bindings.in_hand(Action::Offload, self.in_hand.0.is_some()) {
            lines.push(format!("{switch} switches that off and on: see what it costs and what it saves."));
        }
        lines
    }

    fn borrowing(&self) -> Vec<String> {
        let mut lines = vec![borrows_from(&self.offload.mode)];
        if let OffloadMode::Local(reason) = &self.offload.mode {
            lines.extend(alone::detail(reason).map(|detail| format!("In full: {detail}")));
        }
        let Chosen { preset, quality } = *self.chosen;
        lines.push(preset.sentence(quality));
        lines
    }

    fn coordinator(&self) -> String {
        self.joining.coordinator(self.link.as_ref().is_some_and(|link| link.is_connected()))
    }

    fn join(&self) -> Vec<String> {
        vec![
            format!("You borrow from: {}", self.coordinator()),
            borrows_from(&self.offload.mode),
            String::new(),
            "To borrow from another, paste (Control+V) or type the join link that its operator gave you,"
                .into(),
            "or @ and the name of a file that holds it. A keyboard is needed for that.".into(),
        ]
    }

    fn join_items(&self) -> Vec<Item> {
        let link =
            Item { label: "Join link".into(), value: Some(self.joining.shown()), verb: MenuAction::Join };
        std::iter::once(link).chain(back()).collect()
    }

    fn borrowing_items(&self) -> Vec<Item> {
        let mut items = back_after(&Row::BORROWING, &self.settings);
        let coordinator = Item {
            label: "Coordinator".into(),
            value: Some(self.coordinator()),
            verb: MenuAction::Go(Page::Join),
        };
        items.insert(1, coordinator);
        items.insert(items.len() - 1, item("A card of your own", MenuAction::Go(Page::Comparison)));
        items
    }

    fn comparison(&self) -> Vec<String> {
        vec![
            "The end of a round compares the cost of borrowing with this card. Change the numbers to yours:"
                .into(),
            self.settings.comparison.formula(),
        ]
    }

    fn keys(&self) -> Vec<Item> {
        let waits = self.capture.action();
        let bound = |action: &Action| Item {
            label: action.label().into(),
            value: Some(if waits == Some(*action) {
                "press it now (Escape or waiting leaves it)".into()
            } else {
                self.settings.keys.label(*action)
            }),
            verb: MenuAction::Bind(*action),
        };
        let mut items: Vec<Item> = Action::ALL.iter().map(bound).collect();
        items.push(item("Reset all keys and buttons", MenuAction::ResetKeys));
        items.extend(back());
        items
    }

    fn table_items(&self) -> Vec<Item> {
        let value = Some(self.shown.difficulty(&self.settings).label().into());
        let table = Item { label: Row::Difficulty.label().into(), value, verb: MenuAction::TurnTable };
        std::iter::once(table).chain(back()).collect()
    }

    /// The best rounds of the difficulty that is looked at, in columns of letters that are all equally wide.
    fn table(&self) -> Vec<String> {
        let shown = self.shown.difficulty(&self.settings);
        let (difficulty, table) = (shown.label(), self.scores.table(shown));
        if table.is_empty() {
            return vec![format!("Nobody has finished a round as {difficulty} yet.")];
        }
        let head = ["", "points", "wave", "time", "date", "borrowed", "cost", "seed"];
        let head = columns(head.map(str::to_owned));
        let rows = table.iter().enumerate().map(|(place, round)| {
            columns([
                format!("{}.", place + 1),
                round.score.to_string(),
                round.wave.to_string(),
                minutes(round),
                known(round.date.as_deref()),
                round.borrowed(),
                cost(round),
                known(round.seed),
            ])
        });
        [format!("As {difficulty}"), head].into_iter().chain(rows).collect()
    }

    fn round_over(&self) -> Vec<String> {
        let LastRound { round, difficulty, card, place, by, flew_itself } = &*self.last;
        let Round { score, wave, .. } = round;
        let (time, cost, difficulty) = (minutes(round), cost(round), difficulty.label());
        let mut lines = vec![format!("{score} points as {difficulty}   wave {wave}   {time}   {cost}")];
        if let Some(place) = place {
            lines.push(format!("Place {place} among the best."));
        }
        if *flew_itself {
            lines.push("You did not fly all of it, so it is not kept among the best.".into());
        }
        lines.extend(by.map(|by| format!("The last ship: {}", harm::lesson(by))));
        lines.push(String::new());
        lines.extend(card.lines());
        let (dollars, seconds) = (Nanos(round.cost_nanos).as_dollars(), round.seconds as f64);
        if let Some(against) = self.settings.comparison.against(dollars, seconds) {
            lines.push(String::new());
            lines.extend([against, format!("The card: {}", self.settings.comparison.formula())]);
        }
        lines
    }
}

/// A row of the table of rounds: numbers stand right, words left.
fn columns([place, points, wave, time, date, borrowed, cost, seed]: [String; 8]) -> String {
    format!("{place:>3} {points:>8} {wave:>5} {time:>7}   {date:<11} {borrowed:<13} {cost:>13} {seed:>11}")
}

/// A value, or a dash where the file of an older game does not have it.
fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(|| figures::UNKNOWN.to_owned(), |value| value.to_string())
}

fn minutes(round: &Round) -> String {
    format!("{}:{:02}", round.seconds / 60, round.seconds % 60)
}

fn cost(round: &Round) -> String {
    figures::dollars_to_the_nano(Some(Nanos(round.cost_nanos).as_dollars()))
}

fn borrows_from(mode: &OffloadMode) -> String {
    match mode {
        OffloadMode::Remote => "Connected: other computers help.".into(),
        OffloadMode::Local(reason) => alone::brief(reason),
    }
}

fn row(row: Row, settings: &Settings) -> Item {
    Item { label: row.label().into(), value: Some(row.value(settings)), verb: MenuAction::Turn(row) }
}

fn back() -> Vec<Item> {
    vec![item("Back", MenuAction::Back)]
}

fn back_after(rows: &[Row], settings: &Settings) -> Vec<Item> {
    rows.iter().map(|setting| row(*setting, settings)).chain(back()).collect()
}

fn settings_items() -> Vec<Item> {
    vec![
        item("Picture", MenuAction::Go(Page::Video)),
        item("Sound", MenuAction::Go(Page::Sound)),
        item("Display", MenuAction::Go(Page::Display)),
        item("Borrowing", MenuAction::Go(Page::Borrowing)),
        item("Keys and pad", MenuAction::Go(Page::Keys)),
        item("Back", MenuAction::Back),
    ]
}

fn credits() -> Vec<String> {
    vec![
        format!("Borrowed Light {}, of the P2C2R project.", env!("CARGO_PKG_VERSION")),
        "Code, ships, rocks, sounds and music: the project's own, made by its code.".into(),
        "Licence: MIT or Apache-2.0, as you like; see LICENSE-MIT and LICENSE-APACHE.".into(),
        String::new(),
        "Made with Bevy (MIT or Apache-2.0), rapier (Apache-2.0), renet (MIT or Apache-2.0),".into(),
        "wgpu (MIT or Apache-2.0) and the other crates that Cargo.lock names.".into(),
        "Letters: Fira Mono (SIL Open Font License 1.1), which comes with Bevy.".into(),
        "Colours: the palette of Okabe and Ito, which the colour-blind can tell apart.".into(),
    ]
}

/// What to expect of a difficulty.
fn promise(difficulty: Difficulty) -> &'static str {
    match difficulty {
        Difficulty::Cadet => "Cadet: a strong shield, few enemies that fly and shoot slowly.",
        Difficulty::Pilot => "Pilot: enemies come quickly and in numbers.",
        Difficulty::Ace => "Ace: a thin shield, and whatever hunts you is as fast as you are.",
    }
}
