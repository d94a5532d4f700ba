//! Asking for tasks in a game of the cluster, and reading how they ended.

use std::sync::Arc;

use super::endings::{Endings, Wanted};
use super::{Cluster, OffloadEnding};
use crate::puzzles::{Puzzle, PuzzleKind, PuzzleTag};

impl Cluster {
    /// Has game `index` ask for the puzzle with this seed; returns the task's number in this game.
    pub fn ask(&mut self, index: usize, seed: u64) -> usize {
        self.ask_for(index, self.config.kind, seed, false)
    }

    /// The same for a patient task.
    pub fn ask_patiently(&mut self, index: usize, seed: u64) -> usize {
        self.ask_for(index, self.config.kind, seed, true)
    }

    /// The same for a task of this kind.
    pub fn ask_for(&mut self, index: usize, kind: PuzzleKind, seed: u64, patient: bool) -> usize {
        self.ask_puzzle(index, kind.puzzle(seed), patient)
    }

    /// The same for any puzzle.
    pub fn ask_puzzle(&mut self, index: usize, puzzle: Arc<dyn Puzzle>, patient: bool) -> usize {
        let number = self.asked[index].len();
        self.asked[index].push(Arc::clone(&puzzle));
        self.game(index).world_mut().resource_mut::<Wanted>().0.push((PuzzleTag(number), puzzle, patient));
        number
    }

    /// Endings of game `index` so far, each checked: an outcome must be a right one, and a task must not end
    /// twice.
    #[track_caller]
    pub fn endings(&mut self, index: usize) -> Vec<(usize, OffloadEnding)> {
        let endings = self.game(index).world().resource::<Endings>().0.clone();
        for (place, (number, ending)) in endings.iter().enumerate() {
            if let OffloadEnding::Done { outcome, place, .. } = ending {
                let fault = self.asked[index][*number].fault(&outcome.0);
                assert_eq!(fault, None, "task {number} has a wrong outcome from {place}");
            }
            assert!(endings[..place].iter().all(|(other, _)| other != number), "task {number} ended twice");
        }
        endings
    }

    /// How many of the outcomes of game `index` are wrong.
    pub fn wrong_outcomes(&mut self, index: usize) -> usize {
        let endings = self.game(index).world().resource::<Endings>().0.clone();
        let is_wrong = |(number, ending): &&(usize, OffloadEnding)| match ending {
            OffloadEnding::Done { outcome, .. } => self.asked[index][*number].fault(&outcome.0).is_some(),
            OffloadEnding::Failed { .. } => false,
        };
        endings.iter().filter(is_wrong).count()
    }

    /// Steps until game `index` has `count` endings, and returns them; none may be wrong.
    #[track_caller]
    pub fn until_endings(&mut self, index: usize, count: usize) -> Vec<(usize, OffloadEnding)> {
        self.until_ended(index, count);
        self.endings(index)
    }

    /// Steps until game `index` has `count` endings, and returns them, right or wrong.
    #[track_caller]
    pub fn until_ended(&mut self, index: usize, count: usize) -> Vec<(usize, OffloadEnding)> {
        self.until(&format!("game {index} has {count} endings"), |cluster| {
            cluster.games[index]
                .app
                .as_ref()
                .is_some_and(|app| app.world().resource::<Endings>().0.len() >= count)
        });
        self.game(index).world().resource::<Endings>().0.clone()
    }
}
