//! The music: eight bars of slow chords, a bass and a sparse arpeggio, made once and repeated without a seam.

use super::RATE;
use super::synth::{fall, wave};

/// Seconds of a beat: 72 a minute.
const BEAT_SECONDS: f32 = 60.0 / 72.0;
/// Beats of a bar, and bars of the loop.
const BEATS: usize = 4;
const BARS: usize = 8;
/// Concert pitch, hertz.
const A4: f32 = 440.0;

/// A bar's chord, in semitones from A4: A minor 9, F major 7, C with its second, E minor 7, and the same
/// again with D minor instead of C.
const CHORDS: [[i32; 4]; BARS] = [
    [-12, -9, -5, 2],
    [-16, -12, -9, -5],
    [-21, -14, -9, -5],
    [-17, -10, -5, -2],
    [-12, -9, -5, 2],
    [-16, -12, -9, -5],
    [-19, -12, -7, -4],
    [-17, -13, -10, -5],
];

/// Which note of the chord each half beat plucks; `None` for a rest.
const PLUCKS: [Option<usize>; BEATS * 2] = [Some(0), None, Some(2), Some(1), None, Some(3), Some(2), None];

fn pitch(semitones: i32) -> f32 {
    A4 * 2.0_f32.powf(semitones as f32 / 12.0)
}

/// The loop, between -1 and 1.
pub(super) fn samples() -> Vec<f32> {
    let bar = BEAT_SECONDS * BEATS as f32;
    let count = (bar * BARS as f32 * RATE as f32) as usize;
    let mut mixed = vec![0.0; count];
    for (number, chord) in CHORDS.iter().enumerate() {
        let begins = bar * number as f32;
        for (voice, semitones) in chord.iter().enumerate() {
            // Slightly detuned, so that the voices of a chord beat slowly against each other.
            let tone = pitch(*semitones) * (1.0 + 0.0012 * (voice as f32 - 1.5));
            add(&mut mixed, begins, bar * 1.35, |t| {
                let swell = (t / 1.4).min(1.0) * ((bar * 1.35 - t) / 1.2).clamp(0.0, 1.0);
                (wave(tone, t) + 0.22 * wave(tone * 2.0, t)) * 0.055 * swell
            });
        }
        let root = pitch(chord[0] - 12);
        add(&mut mixed, begins, bar, |t| {
            wave(root, t) * 0.16 * (t / 0.08).min(1.0) * ((bar - t) / 0.5).min(1.0)
        });
        for (half, note) in PLUCKS.iter().enumerate() {
            let Some(note) = note else { continue };
            let tone = pitch(chord[*note] + 12);
            let at = begins + BEAT_SECONDS * 0.5 * half as f32;
            add(&mut mixed, at, 1.6, |t| {
                (wave(tone, t) + 0.3 * wave(tone * 3.0, t)) * 0.05 * fall(t, 0.006, 3.2)
            });
        }
    }
    mixed
}

/// Adds a sound to the loop; what exceeds its end wraps to its beginning.
fn add(mixed: &mut [f32], begins: f32, seconds: f32, sample: impl Fn(f32) -> f32) {
    let first = (begins * RATE as f32) as usize;
    let length = (seconds * RATE as f32) as usize;
    let count = mixed.len();
    for index in 0..length {
        mixed[(first + index) % count] += sample(index as f32 / RATE as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_does_not_clip_is_never_silent_and_has_no_seam() {
        let samples = samples();
        let seconds = samples.len() as f32 / RATE as f32;
        assert!((20.0..40.0).contains(&seconds), "{seconds}");
        assert!(samples.iter().all(|sample| sample.abs() < 0.95));
        for second in samples.chunks(RATE as usize) {
            let power = second.iter().map(|sample| sample * sample).sum::<f32>() / second.len() as f32;
            assert!(power > 1e-4, "{power}");
        }
        let steepest = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        let seam = (samples[0] - samples[samples.len() - 1]).abs();
        assert!(seam <= steepest.max(0.05), "{seam} beside {steepest}");
    }
}
