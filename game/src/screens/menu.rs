//! A menu: sentences, items, and which item is chosen.

use bevy::prelude::*;

use super::Page;
use crate::input::Action;
use crate::settings::Row;

/// The content of the present page.
#[derive(Resource, Clone, Debug, Default, PartialEq)]
pub struct Menu {
    /// Which page this is.
    pub page: Page,
    /// In large letters.
    pub title: String,
    /// Sentences below it.
    pub lines: Vec<String>,
    /// What can be chosen.
    pub items: Vec<Item>,
    /// Which item is chosen; 0 where there is none.
    pub chosen: usize,
    /// Text below the items, such as a warning; a line for each sentence.
    pub note: String,
}

/// A line of a menu that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name.
    pub label: String,
    /// The present value, if it is a setting.
    pub value: Option<String>,
    /// What it does.
    pub verb: MenuAction,
}

/// What an item does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuAction {
    /// Goes to a page, which leads back here.
    Go(Page),
    /// Goes back to the page before.
    Back,
    /// Begins a round.
    Begin,
    /// Goes on with the round.
    Resume,
    /// Ends the round and goes to the title.
    GiveUp,
    /// Ends the program.
    Exit,
    /// Changes a setting.
    Turn(Row),
    /// Shows the best rounds of another difficulty.
    TurnTable,
    /// Waits for a key or button to bind.
    Bind(Action),
    /// Binds everything as at first.
    ResetKeys,
    /// Asks the coordinator of the typed join link to let the player in.
    Join,
}

impl Menu {
    /// Chooses the next item, or the one before, around the ends.
    pub(super) fn step(&mut self, by: i32) {
        let count = self.items.len() as i32;
        if count > 0 {
            self.chosen = (self.chosen as i32 + by).rem_euclid(count) as usize;
        }
    }

    /// The chosen item's verb.
    pub fn verb(&self) -> Option<MenuAction> {
        self.items.get(self.chosen).map(|item| item.verb)
    }
}

/// An item that does something.
pub(super) fn item(label: &str, verb: MenuAction) -> Item {
    Item { label: label.into(), value: None, verb }
}
