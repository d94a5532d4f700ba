//! Adds up what plays. Knows no system and no thread: it is told things and asked for samples.

use std::sync::Arc;

use super::synth::Cue;
use super::{Order, RATE, music};
use crate::settings::Sound;

/// Sounds that are heard at once; the one that has played longest makes room for one more.
const VOICES_MAX: usize = 32;
/// Seconds in which the music becomes louder or softer by all of it.
const FADE_SECONDS: f32 = 1.5;
/// How loud the music is behind a menu, beside how loud it is in play.
const BEHIND_MENUS: f32 = 0.45;

/// How loud each bus is, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Volumes {
    effects: f32,
    interface: f32,
    music: f32,
}

impl Volumes {
    /// What the settings mean. Loudness is heard by ratios, so half way is a quarter of the strength.
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

/// A sound that is playing.
struct Voice {
    cue: Cue,
    at: usize,
    left: f32,
    right: f32,
}

/// What plays.
pub(super) struct Mixer {
    sounds: Vec<Arc<[f32]>>,
    music: Arc<[f32]>,
    music_at: usize,
    /// How present the music is, and how present it is to be.
    presence: (f32, f32),
    voices: Vec<Voice>,
    volumes: Volumes,
}

impl Mixer {
    /// Makes all sounds; that takes a moment. Silent until it is told volumes.
    pub(super) fn new() -> Self {
        Self {
            sounds: Cue::ALL.iter().map(|cue| cue.samples().into()).collect(),
            music: music::samples().into(),
            music_at: 0,
            presence: (0.0, 0.0),
            voices: Vec::new(),
            volumes: Volumes::default(),
        }
    }

    /// Does what it is told.
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Play { cue, gain, pan } => {
                if self.voices.len() >= VOICES_MAX {
                    self.voices.remove(0);
                }
                let (pan, gain) = (pan.clamp(-1.0, 1.0), gain.clamp(0.0, 1.0));
                self.voices.push(Voice {
                    cue,
                    at: 0,
                    left: gain * (1.0 - pan.max(0.0)),
                    right: gain * (1.0 + pan.min(0.0)),
                });
            }
            Order::Volumes(volumes) => self.volumes = volumes,
            Order::Presence(presence) => self.presence.1 = presence.clamp(0.0, 1.0),
        }
    }

    /// Fills `out` with pairs of left and right samples, between -1 and 1.
    pub(super) fn mix(&mut self, out: &mut [f32]) {
        let step = 1.0 / (FADE_SECONDS * RATE as f32);
        for pair in out.chunks_exact_mut(2) {
            let (now, wanted) = self.presence;
            self.presence.0 = now + (wanted - now).clamp(-step, step);
            let louder = BEHIND_MENUS + (1.0 - BEHIND_MENUS) * self.presence.0;
            let music = self.music[self.music_at] * self.volumes.music * louder;
            self.music_at = (self.music_at + 1) % self.music.len();
            let (mut left, mut right) = (music, music);
            for voice in &mut self.voices {
                let Some(sample) = self.sounds[voice.cue as usize].get(voice.at) else { continue };
                let volume =
                    if voice.cue.is_interface() { self.volumes.interface } else { self.volumes.effects };
                left += sample * volume * voice.left;
                right += sample * volume * voice.right;
                voice.at += 1;
            }
            pair.copy_from_slice(&[soft(left), soft(right)]);
        }
        let sounds = &self.sounds;
        self.voices.retain(|voice| voice.at < sounds[voice.cue as usize].len());
    }
}

/// Bends what is too loud instead of cutting it off.
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
        assert_eq!(mixer.voices.len(), VOICES_MAX);
        power(&mut mixer, 2.0);
        assert!(mixer.voices.is_empty());
    }
}
