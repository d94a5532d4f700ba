//! Hangs, crashes, departures and cut networks, as a scenario orders them.

use bevy_app::AppExit;
use bevy_ecs::message::Messages;

use super::Cluster;

impl Cluster {
    /// Stops updating worker `index` without ending it, as if its machine hung.
    pub fn freeze_worker(&mut self, index: usize) {
        self.workers[index].frozen = true;
    }

    /// Goes on updating worker `index`.
    pub fn thaw_worker(&mut self, index: usize) {
        self.workers[index].frozen = false;
    }

    /// Ends worker `index` without a farewell, as pulling its plug would.
    pub fn kill_worker(&mut self, index: usize) {
        self.workers[index].app = None;
    }

    /// Asks worker `index` to leave, and steps until it has.
    #[track_caller]
    pub fn stop_worker(&mut self, index: usize) {
        if let Some(app) = &mut self.workers[index].app {
            app.world_mut().resource_mut::<Messages<AppExit>>().write(AppExit::Success);
        }
        self.steps(2);
        self.workers[index].app = None;
    }

    /// Ends game `index`, which says goodbye.
    pub fn stop_game(&mut self, index: usize) {
        if let Some(app) = &mut self.games[index].app {
            app.world_mut().resource_mut::<Messages<AppExit>>().write(AppExit::Success);
        }
        self.steps(2);
        self.games[index].app = None;
    }

    /// Ends game `index` without a farewell, as `kill -9` would.
    pub fn kill_game(&mut self, index: usize) {
        self.games[index].app = None;
    }

    /// Cuts the network of worker `index`; in memory only.
    pub fn cut_worker(&mut self, index: usize) {
        self.hub.cut(&self.workers[index].name);
    }

    /// Cuts the network of game `index`; in memory only.
    pub fn cut_game(&mut self, index: usize) {
        self.hub.cut(&self.games[index].name);
    }

    /// Mends the network of game `index`; in memory only.
    pub fn heal_game(&mut self, index: usize) {
        self.hub.heal(&self.games[index].name);
    }
}
