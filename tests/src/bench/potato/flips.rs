//! A run in which T is pressed: the parts in which it borrows, and how long T takes to take effect.

use super::figures::FrameTime;

/// Seconds that T may take to take effect.
pub const EFFECT_SECONDS_MAX: f64 = 2.0;
/// Times in the lines of frames are rounded to this many seconds.
const ROUNDING: f64 = 1e-6;

/// The figures of a run in which T was pressed.
#[derive(Debug)]
pub struct Flips {
    /// Its frames while it borrows: from when T took effect, and at the latest [`EFFECT_SECONDS_MAX`] after it was pressed.
    pub borrowing: Vec<FrameTime>,
    /// The longest time from a press of T to the first light that was asked for afterwards and traced where the new mode
    /// traces it; where no such light came, to the end of that part. `None` if all parts are too short to tell.
    pub seconds_max: Option<f64>,
}

impl Flips {
    /// The figures of these frames; `None` where T was not pressed while they were shown.
    pub fn of(frames: &[FrameTime]) -> Option<Self> {
        let mut parts = frames.chunk_by(|before, after| before.borrows == after.borrows);
        let first = parts.next()?;
        let mut borrowing = if first[0].borrows { first.to_vec() } else { Vec::new() };
        let (mut seconds_max, mut flips) = (None, 0_u32);
        for part in parts {
            let [pressed, .., last] = part else { continue };
            flips += 1;
            let effect = part.iter().find(|frame| shows_effect(frame, pressed));
            let took = effect.map(|frame| frame.at - pressed.at);
            let waited = (last.at - pressed.at >= EFFECT_SECONDS_MAX).then_some(last.at - pressed.at);
            if let Some(seconds) = took.or(waited) {
                seconds_max = Some(seconds_max.map_or(seconds, |longest: f64| longest.max(seconds)));
            }
            if pressed.borrows {
                let from = pressed.at + took.unwrap_or(EFFECT_SECONDS_MAX).min(EFFECT_SECONDS_MAX);
                borrowing.extend(part.iter().filter(|frame| frame.at >= from));
            }
        }
        (flips > 0).then_some(Self { borrowing, seconds_max })
    }
}

/// Whether a frame shows light of the mode that began with the frame in which T was pressed.
fn shows_effect(frame: &FrameTime, pressed: &FrameTime) -> bool {
    frame.light_asked_at.is_some_and(|asked| asked >= pressed.at - ROUNDING)
        && frame.light_here == Some(!pressed.borrows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of ten frames, the last of them ending at the second's end; the light is `light`: when it was asked for, and
    /// whether here.
    fn second(
        number: u32,
        borrows: bool,
        took_ms: f64,
        light: (f64, bool),
    ) -> impl Iterator<Item = FrameTime> {
        (0..10).map(move |tenth| FrameTime {
            at: f64::from(number) + f64::from(tenth) * 0.1,
            took_ms,
            borrows,
            light_asked_at: Some(light.0),
            light_here: Some(light.1),
            ..FrameTime::default()
        })
    }

    #[test]
    fn a_run_without_t_has_no_flips() {
        let frames: Vec<FrameTime> = second(3, true, 16.0, (2.0, false)).collect();
        assert!(Flips::of(&frames).is_none() && Flips::of(&[]).is_none());
    }

    #[test]
    fn only_parts_that_borrow_count_from_when_t_took_effect() {
        let frames: Vec<FrameTime> = second(3, true, 10.0, (2.9, false))
            // Off: light of before, then light traced here.
            .chain(second(4, false, 50.0, (3.9, false)))
            .chain(second(5, false, 50.0, (4.3, true)))
            // On again: light that was asked for before, traced here, then light that others traced.
            .chain(second(6, true, 40.0, (5.9, true)))
            .chain(second(7, true, 11.0, (6.1, false)))
            .collect();
        let flips = Flips::of(&frames).expect("it was pressed twice");
        assert_eq!(flips.borrowing.len(), 20);
        assert!(flips.borrowing.iter().all(|frame| frame.took_ms < 12.0), "{flips:?}");
        assert!(flips.seconds_max.is_some_and(|seconds| (seconds - 1.0).abs() < 1e-9), "{flips:?}");
    }

    #[test]
    fn a_switch_that_does_nothing_is_as_late_as_its_part_is_long_and_its_frames_count() {
        let on = |number| second(number, true, 40.0, (2.0, true));
        let frames: Vec<FrameTime> =
            second(3, false, 50.0, (2.9, true)).chain(on(4)).chain(on(5)).chain(on(6)).chain(on(7)).collect();
        let flips = Flips::of(&frames).expect("it was pressed");
        assert!(flips.seconds_max.is_some_and(|seconds| (seconds - 3.9).abs() < 1e-9), "{flips:?}");
        assert_eq!(flips.borrowing.len(), 20, "two seconds are given to it");
        let short: Vec<FrameTime> = second(3, false, 50.0, (2.9, true)).chain(on(4)).collect();
        assert_eq!(Flips::of(&short).expect("it was pressed").seconds_max, None, "too short to tell");
    }
}
