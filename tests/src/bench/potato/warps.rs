//! How long after a warp the light of the new sector is complete.

use super::figures::FrameTime;

/// A warp whose light never became complete counts only if the sector lasted this many seconds: as long as a game without
/// borrowing may take.
const WAITED_SECONDS_MIN: f64 = 6.0;
/// Seconds within which it is complete where it is borrowed.
const BORROWED_SECONDS_MAX: f64 = 2.0;

/// The longest time from the frame that shows a new sector to the frame in which all its light is baked, in seconds; where
/// that does not come, to the end of the sector. `None` without a warp that was waited for long enough.
pub fn seconds_max(frames: &[FrameTime]) -> Option<f64> {
    let mut sectors = frames.chunk_by(|before, after| before.sector == after.sector);
    let mut before = sectors.next()?.first()?.sector;
    let mut longest: Option<f64> = None;
    for frames in sectors {
        let [entered, ..] = frames else { continue };
        // A new round begins in the first sector, and nobody warps there.
        let warped = entered.sector > std::mem::replace(&mut before, entered.sector);
        let complete =
            frames.iter().find(|frame| frame.baked == Some(1.0)).map(|frame| frame.at - entered.at);
        let waited =
            frames.last().map(|last| last.at - entered.at).filter(|waited| *waited >= WAITED_SECONDS_MIN);
        if let Some(took) = complete.or(waited).filter(|_| warped) {
            longest = Some(longest.map_or(took, |longest| longest.max(took)));
        }
    }
    longest
}

/// Whether a run that borrows has its light soon enough after a warp, and the goal in words; `off` is what it took without.
pub fn goal(seconds: f64, off: Option<f64>) -> (bool, String) {
    let without = off.map_or_else(String::new, |off| format!(", {off:.2} s without borrowing"));
    let goal = format!(
        "the light of a new sector is complete within {BORROWED_SECONDS_MAX:.0} s of the warp: {seconds:.2} s{without}"
    );
    (seconds <= BORROWED_SECONDS_MAX, goal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten frames a second in this sector, from `from` on, whose light is complete after `complete` frames.
    fn sector(number: u32, from: f64, frames: u32, complete: u32) -> impl Iterator<Item = FrameTime> {
        (0..frames).map(move |frame| FrameTime {
            at: from + f64::from(frame) * 0.1,
            sector: number,
            baked: Some(f64::from(frame.min(complete)) / f64::from(complete)),
            ..FrameTime::default()
        })
    }

    fn near(found: Option<f64>, wanted: f64) {
        assert!(found.is_some_and(|found| (found - wanted).abs() < 1e-9), "{found:?}, not {wanted}");
    }

    #[test]
    fn the_longest_warp_counts_from_the_first_frame_of_the_sector_to_the_last_part_of_its_light() {
        let frames: Vec<FrameTime> =
            sector(1, 3.0, 20, 19).chain(sector(2, 5.0, 30, 7)).chain(sector(3, 8.0, 30, 12)).collect();
        near(seconds_max(&frames), 1.2);
        assert_eq!(seconds_max(&frames[..20]), None, "no warp");
        assert_eq!(seconds_max(&[]), None);
    }

    #[test]
    fn a_warp_is_judged_where_it_is_borrowed_and_beside_one_without() {
        assert!(goal(2.0, None).0);
        let (reached, goal) = goal(2.004, Some(6.5));
        assert!(!reached && goal.ends_with("2.00 s, 6.50 s without borrowing"), "{goal}");
    }

    #[test]
    fn what_is_never_complete_counts_if_it_was_waited_for_and_a_new_round_is_no_warp() {
        let short: Vec<FrameTime> = sector(1, 3.0, 20, 5).chain(sector(2, 5.0, 30, 100)).collect();
        assert_eq!(seconds_max(&short), None, "too short to tell");
        let long: Vec<FrameTime> = sector(1, 3.0, 20, 5).chain(sector(2, 5.0, 71, 100)).collect();
        near(seconds_max(&long), 7.0);
        let round: Vec<FrameTime> = sector(4, 3.0, 20, 5).chain(sector(1, 5.0, 90, 80)).collect();
        assert_eq!(seconds_max(&round), None);
    }
}
