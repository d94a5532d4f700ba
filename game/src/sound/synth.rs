//! The sounds: sums of waves and noise under envelopes, made once at the start.

use std::f32::consts::TAU;

use super::RATE;

/// Declares the sounds.
macro_rules! cues {
    ($($(#[$doc:meta])* $cue:ident),* $(,)?) => {
        /// A sound.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Cue {
            $($(#[$doc])* $cue,)*
        }

        impl Cue {
            /// All cues; a cue's index is `self as usize`.
            pub(super) const ALL: &'static [Self] = &[$(Self::$cue),*];
        }
    };
}

cues! {
    /// The ship fires a bolt.
    Shot,
    /// An enemy fires one.
    EnemyShot,
    /// The ship launches a missile.
    Missile,
    /// A bullet hits what survives it.
    Hit,
    /// A mirror reflects a bolt.
    Reflected,
    /// Something small blows up.
    Burst,
    /// Something large blows up.
    Explosion,
    /// The ship is hurt.
    Hurt,
    /// The ship is lost.
    Lost,
    /// The ship is back.
    Returned,
    /// Rocks meet.
    Rocks,
    /// The ship bumps against something.
    Bump,
    /// A pickup is taken.
    Pickup,
    /// A wave begins.
    Wave,
    /// A wave is cleared.
    Cleared,
    /// The ship begins to warp.
    Warp,
    /// It has jumped.
    Arrived,
    /// One more life.
    Life,
    /// The round is over.
    Over,
    /// Another item is chosen.
    Move,
    /// An item is activated.
    Accept,
    /// Back.
    Back,
    /// Borrowing is switched on.
    On,
    /// Borrowing is switched off.
    Off,
}

impl Cue {
    /// Whether it belongs to the menus.
    pub(super) fn is_interface(self) -> bool {
        matches!(self, Self::Move | Self::Accept | Self::Back | Self::On | Self::Off)
    }

    /// Its samples, between -1 and 1.
    pub(super) fn samples(self) -> Vec<f32> {
        let mut noise = Noise { state: 0x9e37_79b9, smoothed: 0.0 };
        match self {
            Self::Shot => made(0.16, |t| {
                let pitch = 1_400.0 * (-t * 16.0).exp() + 320.0;
                (wave(pitch, t) * 0.5 + square(pitch * 0.5, t) * 0.22) * fall(t, 0.002, 26.0)
            }),
            Self::EnemyShot => made(0.22, |t| {
                let pitch = 620.0 * (-t * 9.0).exp() + 140.0;
                (square(pitch, t) * 0.3 + wave(pitch * 1.51, t) * 0.3) * fall(t, 0.003, 18.0)
            }),
            Self::Missile => made(0.7, |t| {
                let hiss = noise.smooth(0.30 - 0.25 * (t / 0.7).min(1.0));
                (hiss * 0.9 + wave(90.0 + 160.0 * t, t) * 0.3) * fall(t, 0.03, 5.0)
            }),
            Self::Hit => made(0.14, |t| {
                (noise.smooth(0.5) * 0.6 + wave(900.0 - 2_600.0 * t, t) * 0.3) * fall(t, 0.001, 34.0)
            }),
            Self::Reflected => made(0.5, |t| {
                let ring = wave(2_093.0, t) + 0.6 * wave(3_136.0, t) + 0.4 * wave(5_274.0, t);
                ring * 0.32 * fall(t, 0.001, 9.0)
            }),
            Self::Burst => explosion(&mut noise, 0.7, 7.0, 95.0),
            Self::Explosion => explosion(&mut noise, 1.5, 3.2, 58.0),
            Self::Hurt => made(0.4, |t| {
                (square(110.0 - 90.0 * t, t) * 0.35 + noise.smooth(0.25) * 0.6) * fall(t, 0.002, 10.0)
            }),
            Self::Lost => {
                let blast = explosion(&mut noise, 2.2, 2.2, 44.0);
                let fall_away =
                    made(2.2, |t| wave(420.0 * (-t * 1.8).exp() + 40.0, t) * fall(t, 0.01, 2.2) * 0.4);
                blast.iter().zip(fall_away).map(|(a, b)| (a * 0.75 + b).clamp(-1.0, 1.0)).collect()
            }
            Self::Returned => notes(&[(392.0, 0.0), (587.3, 0.09), (784.0, 0.18)], 0.6, 7.0),
            Self::Rocks => made(0.35, |t| noise.smooth(0.07) * 1.6 * fall(t, 0.003, 13.0)),
            Self::Bump => made(0.22, |t| {
                (wave(130.0 - 200.0 * t, t) * 0.6 + noise.smooth(0.12) * 0.5) * fall(t, 0.002, 20.0)
            }),
            Self::Pickup => notes(&[(659.3, 0.0), (987.8, 0.06), (1_318.5, 0.12)], 0.4, 11.0),
            Self::Wave => notes(&[(220.0, 0.0), (329.6, 0.16), (440.0, 0.32), (659.3, 0.48)], 1.3, 4.0),
            Self::Cleared => notes(&[(523.3, 0.0), (659.3, 0.10), (784.0, 0.20), (1_046.5, 0.30)], 1.0, 5.0),
            Self::Warp => made(1.2, |t| {
                let rise = t / 1.2;
                let pitch = 70.0 + 260.0 * rise * rise;
                (wave(pitch, t) * 0.4 + noise.smooth(0.03 + 0.3 * rise) * 0.5 * rise)
                    * (t / 0.3).min(1.0)
                    * 0.8
            }),
            Self::Arrived => made(0.9, |t| {
                let boom = wave(52.0 + 60.0 * (-t * 9.0).exp(), t) * 0.7;
                (boom + noise.smooth(0.2 * (-t * 6.0).exp() + 0.02) * 0.7) * fall(t, 0.002, 5.5)
            }),
            Self::Life => notes(&[(784.0, 0.0), (1_046.5, 0.12), (1_568.0, 0.24)], 0.9, 5.0),
            Self::Over => notes(&[(440.0, 0.0), (392.0, 0.28), (329.6, 0.56), (220.0, 0.84)], 2.2, 2.6),
            Self::Move => made(0.05, |t| wave(880.0, t) * 0.35 * fall(t, 0.002, 70.0)),
            Self::Accept => notes(&[(660.0, 0.0), (990.0, 0.05)], 0.2, 22.0),
            Self::Back => notes(&[(660.0, 0.0), (440.0, 0.05)], 0.2, 22.0),
            Self::On => notes(&[(440.0, 0.0), (660.0, 0.07), (880.0, 0.14)], 0.4, 11.0),
            Self::Off => notes(&[(880.0, 0.0), (660.0, 0.07), (440.0, 0.14)], 0.4, 11.0),
        }
    }
}

/// The engine at full thrust, as a seamless loop: a rumble with a low hum in it.
pub(super) fn engine() -> Vec<f32> {
    const SECONDS: usize = 2;
    let mut noise = Noise { state: 0x5f35_6495, smoothed: 0.0 };
    let (count, seam) = (SECONDS * RATE as usize, RATE as usize / 4);
    // Whole numbers of hertz, so that the loop of whole seconds has no seam.
    let hum = |t: f32| wave(55.0, t) * 0.10 + wave(83.0, t) * 0.06;
    let rumble: Vec<f32> = (0..count + seam).map(|_| noise.smooth(0.025) * 0.22).collect();
    (0..count)
        .map(|index| {
            let share = (index as f32 / seam as f32).min(1.0);
            // Square-root weights, so that the sum of two noises keeps its strength.
            let mixed = match rumble.get(count + index) {
                Some(other) => rumble[index] * share.sqrt() + other * (1.0 - share).sqrt(),
                None => rumble[index],
            };
            mixed + hum(index as f32 / RATE as f32)
        })
        .collect()
}

/// Samples of a sound of `seconds` seconds; its end is faded so that it does not click.
pub(super) fn made(seconds: f32, mut sample: impl FnMut(f32) -> f32) -> Vec<f32> {
    let count = (seconds * RATE as f32) as usize;
    let fade = (RATE / 100) as usize;
    (0..count)
        .map(|index| {
            let end = ((count - index) as f32 / fade as f32).min(1.0);
            (sample(index as f32 / RATE as f32) * end).clamp(-1.0, 1.0)
        })
        .collect()
}

/// A sine.
pub(super) fn wave(pitch: f32, t: f32) -> f32 {
    (TAU * pitch * t).sin()
}

/// A square with its highest harmonics left out.
fn square(pitch: f32, t: f32) -> f32 {
    wave(pitch, t) + wave(pitch * 3.0, t) / 3.0 + wave(pitch * 5.0, t) / 5.0
}

/// Rises within `attack` seconds, then falls by `rate` per second.
pub(super) fn fall(t: f32, attack: f32, rate: f32) -> f32 {
    (t / attack).min(1.0) * (-t * rate).exp()
}

/// Bell-like notes: pitch in hertz, and when each begins.
fn notes(notes: &[(f32, f32)], seconds: f32, rate: f32) -> Vec<f32> {
    made(seconds, |t| {
        notes
            .iter()
            .filter(|(_, begins)| t >= *begins)
            .map(|(pitch, begins)| {
                let since = t - begins;
                let tone =
                    wave(*pitch, since) + 0.35 * wave(pitch * 2.0, since) + 0.12 * wave(pitch * 3.0, since);
                tone * 0.26 * fall(since, 0.005, rate)
            })
            .sum()
    })
}

/// A thump and noise that grows duller.
fn explosion(noise: &mut Noise, seconds: f32, rate: f32, pitch: f32) -> Vec<f32> {
    made(seconds, |t| {
        let dull = 0.35 * (-t * rate * 0.8).exp() + 0.02;
        let thump = wave(pitch * (1.0 + (-t * 14.0).exp()), t) * (-t * rate * 1.4).exp();
        (noise.smooth(dull) * 1.3 + thump * 0.7) * fall(t, 0.003, rate) * 0.9
    })
}

/// Noise from a fixed seed, so that every run sounds the same, and its low pass.
struct Noise {
    state: u32,
    smoothed: f32,
}

impl Noise {
    fn next(&mut self) -> f32 {
        // Marsaglia's xorshift with 32 bits.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state as f32 / u32::MAX as f32 * 2.0 - 1.0
    }

    /// Low-passed noise: `share` of each sample is new; less sounds duller. Scaled up, since smoothing
    /// reduces the strength.
    fn smooth(&mut self, share: f32) -> f32 {
        let share = share.clamp(0.01, 1.0);
        let new = self.next();
        self.smoothed += (new - self.smoothed) * share;
        // A one-pole low pass reduces white noise's deviation to this share.
        self.smoothed / (share / (2.0 - share)).sqrt() * 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sound_is_heard_ends_and_neither_clips_nor_clicks() {
        for cue in Cue::ALL {
            let samples = cue.samples();
            let seconds = samples.len() as f32 / RATE as f32;
            assert!((0.04..3.0).contains(&seconds), "{cue:?} lasts {seconds} s");
            assert!(samples.iter().all(|sample| sample.abs() <= 1.0), "{cue:?} clips");
            let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32;
            assert!(power > 1e-4, "{cue:?} is silent: {power}");
            assert!(samples.last().is_some_and(|last| last.abs() < 0.02), "{cue:?} clicks at its end");
            assert!(samples[0].abs() < 0.2, "{cue:?} clicks at its beginning");
        }
    }

    #[test]
    fn no_two_sounds_are_the_same_and_each_is_the_same_in_every_run() {
        let all: Vec<Vec<f32>> = Cue::ALL.iter().map(|cue| cue.samples()).collect();
        for (index, samples) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other != samples), "{:?}", Cue::ALL[index]);
            assert_eq!(*samples, Cue::ALL[index].samples());
        }
    }

    #[test]
    fn the_engine_does_not_clip_has_no_seam_and_is_as_loud_at_any_moment() {
        let samples = engine();
        assert!(samples.iter().all(|sample| sample.abs() < 0.9));
        let steepest = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        let seam = (samples[0] - samples[samples.len() - 1]).abs();
        assert!(seam <= steepest, "{seam} beside {steepest}");
        let loudness: Vec<f32> = samples
            .chunks_exact(RATE as usize / 4)
            .map(|part| (part.iter().map(|sample| sample * sample).sum::<f32>() / part.len() as f32).sqrt())
            .collect();
        let (least, most) =
            loudness.iter().fold((f32::MAX, 0.0_f32), |(least, most), one| (least.min(*one), most.max(*one)));
        assert!(least > 0.05 && most < 2.0 * least, "{loudness:?}");
    }
}
