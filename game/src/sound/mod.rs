//! Sound: all sounds and the music are made by this code, so they need no files and no other licence.
//!
//! | file | owns |
//! |---|---|
//! | `synth` | the sounds, as samples |
//! | `music` | the music, as one loop of samples |
//! | `mixer` | mixing everything that plays, at the volumes of the settings |
//! | `output` | passing the mix to the system |
//! | `cues` | which sound goes with which event |

mod cues;
mod mixer;
mod music;
mod output;
mod synth;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bevy::prelude::*;

use crate::settings::Settings;
use mixer::Volumes;
use synth::Cue;

/// Samples a second.
const RATE: u32 = 44_100;
/// Orders that may wait for the mixer: some seconds of a fight, while the player program takes no samples.
const ORDERS_MAX: usize = 1_024;

pub(super) fn plugin(app: &mut App) {
    let (sender, orders) = sync_channel(ORDERS_MAX);
    let silence = Silence::default();
    let noted = silence.clone();
    // A machine without sound plays silently; the page of volumes says so.
    let output = std::thread::Builder::new()
        .name("sound".into())
        .spawn(move || output::run(&output::PLAYERS, &orders, &noted, output::WAITS));
    if let Err(error) = output {
        tracing::warn!(%error, "no sound");
        silence.note();
    }
    app.insert_resource(Speaker(sender))
        .insert_resource(silence)
        .add_plugins(cues::plugin)
        .add_systems(PostUpdate, follow_settings);
}

/// Orders to the mixer.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Plays a sound.
    Play {
        cue: Cue,
        /// 0 silent, 1 full volume.
        gain: f32,
        /// -1 left, 1 right.
        pan: f32,
    },
    /// Changes to these volumes.
    Volumes(Volumes),
    /// Sets the music's volume: 1 for play, 0 for behind menus.
    Presence(f32),
    /// Sets the engine's volume, 0 to 1.
    Engine(f32),
}

/// Whether nothing can be heard. The thread that plays notes it while none of the system's programs plays.
#[derive(Resource, Clone, Debug, Default)]
pub struct Silence(Arc<AtomicBool>);

impl Silence {
    /// What the page of volumes says then.
    pub const WORDS: &str =
        "Nothing can be heard: there is no sound device, or none of pw-cat, pacat and aplay plays on it.";

    /// Notes that nothing can be heard.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Takes the note back, when something can be heard again.
    pub fn lift(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether that is noted.
    pub fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends orders to the mixer.
#[derive(Resource)]
struct Speaker(SyncSender<Order>);

impl Speaker {
    /// Whether the order was taken. One that finds the queue full is dropped, because all waiting sounds would be played
    /// at once; the caller gives an order that sets a state again. Without a thread that plays, every order counts as taken.
    fn say(&self, order: Order) -> bool {
        !matches!(self.0.try_send(order), Err(TrySendError::Full(_)))
    }
}

fn follow_settings(settings: Res<Settings>, speaker: Res<Speaker>, mut is_late: Local<bool>) {
    if settings.is_changed() || *is_late {
        *is_late = !speaker.say(Order::Volumes(Volumes::of(&settings.sound)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_that_hangs_keeps_a_bounded_number_of_orders_waiting() {
        let (sender, orders) = sync_channel(ORDERS_MAX);
        let speaker = Speaker(sender);
        for _ in 0..=ORDERS_MAX {
            speaker.say(Order::Engine(0.5));
        }
        assert!(!speaker.say(Order::Engine(0.0)), "it is to be said again");
        assert_eq!(orders.try_iter().count(), ORDERS_MAX);
    }
}
