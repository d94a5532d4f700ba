//! Mixes all playing sounds. It knows no system and no thread: it receives orders and produces samples.

use std::sync::Arc;

use super::synth::Cue;
use super::{Order, RATE, music, synth};
use crate::settings::Sound;

/// Most sounds at once; above it the oldest ends.
const VOICES_MAX: usize = 32;
/// Seconds of a full fade of the music.
const FADE_SECONDS: f32 = 1.5;
/// Volume of the music behind a menu, relative to play.
const BEHIND_MENUS: f32 = 0.45;
/// Seconds in which a bus goes from silent to full, or back: a volume that jumps clicks.
const VOLUME_SECONDS: f32 = 0.04;
/// Seconds in which the engine goes from silent to full, or back.
const ENGINE_SECONDS: f32 = 0.25;
/// Seconds in which a sound fades out that is replaced.
const ROOM_SECONDS: f32 = 0.005;

/// Volume of each bus, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Volumes {
    effects: f32,
    interface: f32,
    music: f32,
}

impl Volumes {
    /// The volumes of the settings. The square, since loudness is perceived by ratios: half gives a quarter
    /// of the strength.
    pub(super) fn of(sound: &Sound) -> Self {
        let share = |percent: u8| (f32::from(percent.min(100)) / 100.0).powi(2);
        let master = share(sound.master);
        Self {
            effects: master * share(sound.effects),
            interface: master * share(sound.interface),
            music: master * share(sound.music),
        }
    }
}

/// A value that approaches its target gradually, because a jump would be heard as a click.
#[derive(Clone, Copy, Debug, Default)]
struct Glide {
    now: f32,
    wanted: f32,
}

impl Glide {
    /// Advances by one sample; the full range takes `seconds` seconds.
    fn advance(&mut self, seconds: f32) -> f32 {
        let step = 1.0 / (seconds * RATE as f32);
        self.now += (self.wanted - self.now).clamp(-step, step);
        self.now
    }
}

/// The buses, approaching the volumes of the settings.
#[derive(Default)]
struct Buses {
    effects: Glide,
    interface: Glide,
    music: Glide,
}

impl Buses {
    fn go_to(&mut self, volumes: Volumes) {
        self.effects.wanted = volumes.effects;
        self.interface.wanted = volumes.interface;
        self.music.wanted = volumes.music;
    }

    fn advance(&mut self) -> Volumes {
        Volumes {
            effects: self.effects.advance(VOLUME_SECONDS),
            interface: self.interface.advance(VOLUME_SECONDS),
            music: self.music.advance(VOLUME_SECONDS),
        }
    }
}

/// A sound that is playing.
struct Voice {
    cue: Cue,
    at: usize,
    left: f32,
    right: f32,
    /// 1, until the sound is replaced.
    presence: Glide,
}

impl Voice {
    /// Whether it is still audible.
    fn is_there(&self, sounds: &[Arc<[f32]>]) -> bool {
        self.at < sounds[self.cue as usize].len() && (self.presence.now > 0.0 || self.presence.wanted > 0.0)
    }
}

/// Everything that plays.
pub(super) struct Mixer {
    sounds: Vec<Arc<[f32]>>,
    music: Loop,
    /// Volume of the music.
    presence: Glide,
    engine: Loop,
    /// Volume of the engine.
    thrust: Glide,
    voices: Vec<Voice>,
    buses: Buses,
}

/// Samples that repeat.
struct Loop {
    samples: Arc<[f32]>,
    at: usize,
}

impl Loop {
    fn of(samples: Vec<f32>) -> Self {
        Self { samples: samples.into(), at: 0 }
    }

    fn next(&mut self) -> f32 {
        let sample = self.samples[self.at];
        self.at = (self.at + 1) % self.samples.len();
        sample
    }
}

impl Mixer {
    /// Makes all sounds, which takes a moment. Silent until it gets volumes.
    pub(super) fn new() -> Self {
        Self {
            sounds: Cue::ALL.iter().map(|cue| cue.samples().into()).collect(),
            music: Loop::of(music::samples()),
            presence: Glide::default(),
            engine: Loop::of(synth::engine()),
            thrust: Glide::default(),
            voices: Vec::new(),
            buses: Buses::default(),
        }
    }

    /// Executes an order.
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Play { cue, gain, pan } => {
                self.make_room();
                let (pan, gain) = (pan.clamp(-1.0, 1.0), gain.clamp(0.0, 1.0));
                self.voices.push(Voice {
                    cue,
                    at: 0,
                    left: gain * (1.0 - pan.max(0.0)),
                    right: gain * (1.0 + pan.min(0.0)),
                    presence: Glide { now: 1.0, wanted: 1.0 },
                });
            }
            Order::Volumes(volumes) => self.buses.go_to(volumes),
            Order::Presence(presence) => self.presence.wanted = presence.clamp(0.0, 1.0),
            Order::Engine(thrust) => self.thrust.wanted = thrust.clamp(0.0, 1.0),
        }
    }

    /// Ends all sounds at once; music and engine go on.
    pub(super) fn end_sounds(&mut self) {
        self.voices.clear();
    }

    /// If the limit of sounds is reached, fades out the oldest; if many are already fading, it ends at once.
    fn make_room(&mut self) {
        let mut staying = self.voices.iter_mut().filter(|voice| voice.presence.wanted > 0.0);
        let oldest = staying.next();
        if let Some(oldest) = oldest.filter(|_| staying.count() + 1 >= VOICES_MAX) {
            oldest.presence.wanted = 0.0;
        }
        if self.voices.len() >= 2 * VOICES_MAX {
            self.voices.remove(0);
        }
    }

    /// Fills `out` with pairs of left and right samples, between -1 and 1.
    pub(super) fn mix(&mut self, out: &mut [f32]) {
        for pair in out.chunks_exact_mut(2) {
            let volumes = self.buses.advance();
            let louder = BEHIND_MENUS + (1.0 - BEHIND_MENUS) * self.presence.advance(FADE_SECONDS);
            let music = self.music.next() * volumes.music * louder;
            let engine = self.engine.next() * volumes.effects * self.thrust.advance(ENGINE_SECONDS);
            let (mut left, mut right) = (music + engine, music + engine);
            for voice in &mut self.voices {
                let Some(sample) = self.sounds[voice.cue as usize].get(voice.at) else { continue };
                let volume = if voice.cue.is_interface() { volumes.interface } else { volumes.effects };
                let sample = sample * volume * voice.presence.advance(ROOM_SECONDS);
                left += sample * voice.left;
                right += sample * voice.right;
                voice.at += 1;
            }
            pair.copy_from_slice(&[soft(left), soft(right)]);
        }
        let sounds = &self.sounds;
        self.voices.retain(|voice| voice.is_there(sounds));
    }
}

/// Compresses samples that are too loud instead of clipping them.
fn soft(sample: f32) -> f32 {
    sample / (1.0 + sample.abs().powi(3)).cbrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power(mixer: &mut Mixer, seconds: f32) -> (f32, f32) {
        let mut out = vec![0.0; (seconds * RATE as f32) as usize * 2];
        mixer.mix(&mut out);
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
        let of = |side: usize| out.iter().skip(side).step_by(2).map(|sample| sample * sample).sum::<f32>();
        (of(0), of(1))
    }

    fn only(bus: fn(&mut Sound) -> &mut u8) -> Volumes {
        let mut sound = Sound { master: 100, music: 0, effects: 0, interface: 0 };
        *bus(&mut sound) = 100;
        Volumes::of(&sound)
    }

    fn play(mixer: &mut Mixer, cue: Cue, pan: f32) {
        mixer.obey(Order::Play { cue, gain: 1.0, pan });
    }

    #[test]
    fn each_bus_has_its_own_volume_and_all_have_the_masters() {
        let mut mixer = Mixer::new();
        for (volumes, cue, heard) in [
            (only(|sound| &mut sound.effects), Cue::Shot, true),
            (only(|sound| &mut sound.effects), Cue::Move, false),
            (only(|sound| &mut sound.interface), Cue::Move, true),
            (only(|sound| &mut sound.interface), Cue::Shot, false),
        ] {
            mixer.obey(Order::Volumes(volumes));
            play(&mut mixer, cue, 0.0);
            assert_eq!(power(&mut mixer, 0.3).0 > 0.0, heard, "{cue:?} at {volumes:?}");
        }
        mixer.obey(Order::Volumes(only(|sound| &mut sound.music)));
        assert!(power(&mut mixer, 1.0).0 > 0.0);
        mixer.obey(Order::Volumes(Volumes::of(&Sound { master: 0, ..Sound::default() })));
        power(&mut mixer, VOLUME_SECONDS * 1.1);
        play(&mut mixer, Cue::Explosion, 0.0);
        assert_eq!(power(&mut mixer, 0.5), (0.0, 0.0));
    }

    #[test]
    fn what_is_to_the_right_is_heard_there() {
        let mut mixer = Mixer::new();
        mixer.obey(Order::Volumes(only(|sound| &mut sound.effects)));
        play(&mut mixer, Cue::Shot, 1.0);
        let (left, right) = power(&mut mixer, 0.3);
        assert!(left == 0.0 && right > 0.0);
    }

    #[test]
    fn many_sounds_at_once_stay_bounded_and_end() {
        let mut mixer = Mixer::new();
        mixer.obey(Order::Volumes(only(|sound| &mut sound.effects)));
        for _ in 0..200 {
            play(&mut mixer, Cue::Explosion, 0.0);
        }
        assert!(mixer.voices.len() <= 2 * VOICES_MAX);
        power(&mut mixer, ROOM_SECONDS * 1.1);
        assert_eq!(mixer.voices.len(), VOICES_MAX);
        power(&mut mixer, 2.0);
        assert!(mixer.voices.is_empty());
    }

    /// The largest step from one sample of the left side to the next.
    fn steepest(mixer: &mut Mixer, seconds: f32) -> f32 {
        let mut out = vec![0.0; (seconds * RATE as f32) as usize * 2];
        mixer.mix(&mut out);
        let left: Vec<f32> = out.iter().step_by(2).copied().collect();
        left.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_changed_volume_and_a_pause_do_not_click() {
        let mut mixer = Mixer::new();
        let loud = Sound { master: 100, music: 100, effects: 100, interface: 100 };
        mixer.obey(Order::Volumes(Volumes::of(&loud)));
        mixer.obey(Order::Presence(1.0));
        mixer.obey(Order::Engine(1.0));
        power(&mut mixer, 2.0);
        let usual = steepest(&mut mixer, 1.0);
        for orders in [
            [Order::Engine(0.0), Order::Presence(0.0)],
            [Order::Engine(1.0), Order::Presence(1.0)],
            [Order::Volumes(Volumes::default()), Order::Engine(0.0)],
            [Order::Volumes(Volumes::of(&loud)), Order::Engine(1.0)],
        ] {
            // At many phases of the waves.
            for orders in [orders; 20] {
                for order in orders {
                    mixer.obey(order);
                }
                let step = steepest(&mut mixer, 0.3017);
                assert!(step <= usual * 1.5 + 0.01, "{orders:?}: a step of {step} beside {usual}");
            }
        }
    }

    #[test]
    fn the_sound_that_makes_room_does_not_click() {
        let mut mixer = Mixer::new();
        mixer.obey(Order::Volumes(only(|sound| &mut sound.effects)));
        power(&mut mixer, VOLUME_SECONDS * 1.1);
        // The oldest is loud in its middle, the others are nearly silent.
        play(&mut mixer, Cue::Lost, 0.0);
        let usual = steepest(&mut mixer, 0.5);
        for _ in 0..VOICES_MAX {
            mixer.obey(Order::Play { cue: Cue::Warp, gain: 0.0, pan: 0.0 });
        }
        let step = steepest(&mut mixer, 0.1);
        assert!(step <= usual, "a step of {step} beside {usual}");
        assert!(mixer.voices.iter().all(|voice| voice.cue != Cue::Lost), "and it has made room");
    }

    #[test]
    fn the_engine_is_heard_while_it_works_and_belongs_to_the_effects() {
        let mut mixer = Mixer::new();
        mixer.obey(Order::Volumes(only(|sound| &mut sound.effects)));
        assert_eq!(power(&mut mixer, 0.5).0, 0.0);
        mixer.obey(Order::Engine(0.5));
        power(&mut mixer, ENGINE_SECONDS);
        let half = power(&mut mixer, 1.0).0;
        mixer.obey(Order::Engine(1.0));
        power(&mut mixer, ENGINE_SECONDS);
        let full = power(&mut mixer, 1.0).0;
        assert!(half > 0.0 && full > 2.0 * half, "{half}, {full}");
        mixer.obey(Order::Engine(0.0));
        power(&mut mixer, ENGINE_SECONDS * 1.1);
        assert_eq!(power(&mut mixer, 0.5).0, 0.0);
    }
}
