//! Score, lives, and how a round begins and ends. Nothing else changes them.

use crate::arena::Arena;
use crate::events::{ArenaEvent, Harm};
use crate::ship::Ship;
use crate::vec2::Vec2;

impl Arena {
    /// Starts score, lives, rocks and waves over. Numbers of rocks, enemies, bullets and requests go on, so
    /// nothing of the last round can be mistaken for something of this one.
    pub(crate) fn begin_round(&mut self) {
        self.ship = Ship::new(&self.config.ship, Vec2::ZERO);
        self.muster_wingmen();
        self.enemies.clear();
        self.warp_ticks = 0;
        self.calm_ticks = u16::MAX;
        self.enter_sector(1);
        self.planning.forget_newest();
        self.score = 0;
        self.lives = self.config.ship.lives;
        self.next_life_at = u64::from(self.config.ship.extra_life_points);
        self.over = false;
        self.wave = 0;
        self.wave_pause_ticks = self.config.waves.pause_ticks;
    }

    /// Adds points, and the lives they earn. After the end of a round nothing counts.
    pub(crate) fn earn(&mut self, points: u32, events: &mut Vec<ArenaEvent>) {
        if self.over {
            return;
        }
        self.score += u64::from(points);
        while self.score >= self.next_life_at {
            self.next_life_at += u64::from(self.config.ship.extra_life_points);
            if self.lives < self.config.ship.lives_max {
                self.lives += 1;
                events.push(ArenaEvent::LifeGained { lives: self.lives });
            }
        }
    }

    /// Takes one life; with the last one the round ends.
    pub(crate) fn lose_life(&mut self, at: Vec2, by: Harm, from: Vec2, events: &mut Vec<ArenaEvent>) {
        self.lives -= 1;
        events.push(ArenaEvent::ShipLost { at, lives: self.lives, by, from });
        if self.lives == 0 {
            self.over = true;
            events.push(ArenaEvent::GameOver { score: self.score, wave: self.wave });
        }
    }
}
