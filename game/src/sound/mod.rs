//! What is heard: every sound and the music are made by this code, so they need no files and no other licence.
//!
//! | file | owns |
//! |---|---|
//! | `synth` | the sounds, as samples |
//! | `music` | the music, as one loop of samples |
//! | `mixer` | adding up what plays, at the volumes of the settings |
//! | `output` | giving the sum to the system |
//! | `cues` | which sound goes with what happens |

mod cues;
mod mixer;
mod music;
mod output;
mod synth;

use std::sync::mpsc::{Sender, channel};

use bevy::prelude::*;

use crate::settings::Settings;
use mixer::Volumes;
use synth::Cue;

/// Samples a second.
const RATE: u32 = 44_100;

pub(super) fn plugin(app: &mut App) {
    let (sender, orders) = channel();
    // A machine without sound plays without; the log says why.
    let output = std::thread::Builder::new().name("sound".into()).spawn(move || output::run(&orders));
    if let Err(error) = output {
        tracing::warn!(%error, "no sound");
    }
    app.insert_resource(Speaker(sender))
        .add_plugins(cues::plugin)
        .add_systems(PostUpdate, follow_settings.run_if(resource_changed::<Settings>));
}

/// What the mixer is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Plays a sound.
    Play {
        cue: Cue,
        /// 0 silent, 1 as loud as it was made.
        gain: f32,
        /// -1 left, 1 right.
        pan: f32,
    },
    /// Goes over to these volumes.
    Volumes(Volumes),
    /// Plays the music louder (1) or as if through a wall (0).
    Presence(f32),
    /// Lets the ship's engine be heard, from not at all (0) to all it has (1).
    Engine(f32),
}

/// The way to the mixer.
#[derive(Resource)]
struct Speaker(Sender<Order>);

impl Speaker {
    fn say(&self, order: Order) {
        // Without sound nobody listens.
        let _ = self.0.send(order);
    }
}

fn follow_settings(settings: Res<Settings>, speaker: Res<Speaker>) {
    speaker.say(Order::Volumes(Volumes::of(&settings.sound)));
}
