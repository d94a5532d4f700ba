//! Plans: where to fly, leg by leg; and which ones are tried.

use super::chance;

/// Steps of a leg, [`STEP_TICKS`](super::STEP_TICKS) each.
pub const LEG_STEPS: usize = 8;
/// Legs of a plan.
pub const LEGS: usize = 4;
/// Steps of a plan: about two seconds.
pub const PLAN_STEPS: usize = LEGS * LEG_STEPS;
/// Legs that are flown before a plan begins, at most.
pub const LEAD_LEGS: usize = 4;

/// Where an agent wants to fly for [`LEG_STEPS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Stay in place.
    Rest,
    /// At top speed in one of the [`COMPASS`] directions.
    Fly(u8),
    /// At top speed at one of the [`BEARINGS`] from the direction of the nearest opponent, which is followed;
    /// without an opponent, as its class behaves. Unlike a compass direction, such a leg stays useful if it
    /// begins late.
    Bear(u8),
    /// As its class behaves.
    #[default]
    Rule,
}

/// Directions of legs, counter-clockwise from x: unit vectors, every 16th of a turn.
pub const COMPASS: [[f32; 2]; 16] = {
    const C1: f32 = 0.923_879_5;
    const C2: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const C3: f32 = 0.382_683_43;
    [
        [1.0, 0.0],
        [C1, C3],
        [C2, C2],
        [C3, C1],
        [0.0, 1.0],
        [-C3, C1],
        [-C2, C2],
        [-C1, C3],
        [-1.0, 0.0],
        [-C1, -C3],
        [-C2, -C2],
        [-C3, -C1],
        [0.0, -1.0],
        [C3, -C1],
        [C2, -C2],
        [C1, -C3],
    ]
};

/// Angles between an opponent and a leg that bears on it, counter-clockwise: unit vectors, every eighth of a turn from straight
/// at it.
pub const BEARINGS: [[f32; 2]; 8] =
    [COMPASS[0], COMPASS[2], COMPASS[4], COMPASS[6], COMPASS[8], COMPASS[10], COMPASS[12], COMPASS[14]];

impl Leg {
    /// Bits of a leg's number.
    pub(super) const BITS: u32 = 5;
    /// Numbers from this one on are legs that bear on an opponent.
    const BEARS_FROM: u8 = 18;

    /// The leg with this number, if there is one.
    pub(super) fn of(number: u8) -> Option<Self> {
        match usize::from(number) {
            0 => Some(Self::Rest),
            1..=16 => Some(Self::Fly(number - 1)),
            17 => Some(Self::Rule),
            18..=25 => Some(Self::Bear(number - Self::BEARS_FROM)),
            _ => None,
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Rest => 0,
            Self::Fly(direction) => 1 + direction % COMPASS.len() as u8,
            Self::Rule => 17,
            Self::Bear(bearing) => Self::BEARS_FROM + bearing % BEARINGS.len() as u8,
        }
    }

    /// Its direction if the nearest opponent lies in the direction `ahead`, a unit vector: a vector of length
    /// 1 or 0; `None` if the rule decides.
    #[inline]
    pub fn direction(self, ahead: impl FnOnce() -> Option<[f32; 2]>) -> Option<[f32; 2]> {
        match self {
            Self::Rest => Some([0.0; 2]),
            Self::Fly(direction) => Some(COMPASS[usize::from(direction) % COMPASS.len()]),
            Self::Bear(bearing) => {
                let [x, y] = BEARINGS[usize::from(bearing) % BEARINGS.len()];
                ahead().map(|[ahead, side]| [ahead * x - side * y, ahead * y + side * x])
            }
            Self::Rule => None,
        }
    }
}

/// Where to fly for the next [`PLAN_STEPS`].
pub type Plan = [Leg; LEGS];

/// Candidates that are tried before the best of them is varied.
const BATCH: usize = 8;

/// The plans tried for a planner, in order. Plans that vary another depend on the scores of earlier batches.
pub(super) struct Candidates {
    seed: u32,
    planner: usize,
    /// The plan that it flies already.
    present: Plan,
    tried: Vec<Plan>,
    /// The best plan of the earlier batches.
    best: Plan,
}

impl Candidates {
    pub(super) fn new(seed: u32, planner: usize, present: Plan) -> Self {
        Self { seed, planner, present, tried: Vec::new(), best: Plan::default() }
    }

    /// The next candidate; `scores` holds those of all before it.
    pub(super) fn next(&mut self, scores: &[i32]) -> Plan {
        let number = self.tried.len();
        if number > 0 && number.is_multiple_of(BATCH) {
            self.best = self.tried[best(&scores[..number])];
        }
        let place = self.planner as u32 * 4_096 + number as u32;
        let plan = match number {
            // What it would do without a plan, so that a plan worse than none never wins.
            0 => [Leg::Rule; LEGS],
            1 => [Leg::Rest; LEGS],
            // The present plan, so that its variations are tried too.
            2 => self.present,
            _ if number < BATCH || number.is_multiple_of(2) => self.any_plan(place),
            _ => self.varied(place | 1 << 20),
        };
        self.tried.push(plan);
        plan
    }

    fn any_plan(&self, place: u32) -> Plan {
        let mut legs = [Leg::Rule; LEGS];
        for at in 0..LEGS {
            let dice = chance(self.seed, place, at as u32);
            // Half of the legs repeat the one before.
            let same = at > 0 && dice & 1 == 0;
            legs[at] = if same { legs[at - 1] } else { any(dice >> 1) };
        }
        legs
    }

    fn varied(&self, place: u32) -> Plan {
        let mut legs = self.best;
        for round in 0..2 {
            let dice = chance(self.seed, place, round);
            legs[dice as usize % LEGS] = any(dice >> 8);
        }
        legs
    }
}

/// Candidate `number` of a planner whose scores these are.
pub(super) fn candidate(seed: u32, planner: usize, present: Plan, number: usize, scores: &[i32]) -> Plan {
    let mut candidates = Candidates::new(seed, planner, present);
    for _ in 0..number {
        candidates.next(scores);
    }
    candidates.next(scores)
}

fn any(dice: u32) -> Leg {
    // Half of the legs bear on an opponent.
    let (bears, dice) = (dice & 1 == 0, dice >> 1);
    let other = dice % u32::from(Leg::BEARS_FROM);
    if bears {
        Leg::Bear(dice as u8 % BEARINGS.len() as u8)
    } else {
        Leg::of(other as u8).unwrap_or_default()
    }
}

/// Index of the first of the highest scores.
pub(super) fn best(scores: &[i32]) -> usize {
    let mut best = 0;
    for (number, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = number;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_have_numbers_and_the_compass_has_unit_vectors() {
        for number in 0..=u8::MAX {
            assert!(Leg::of(number).is_none_or(|leg| leg.number() == number));
        }
        let count = (0..32).filter(|number| Leg::of(*number).is_some()).count();
        assert_eq!(count, COMPASS.len() + BEARINGS.len() + 2);
        for [x, y] in COMPASS {
            assert!((x * x + y * y - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn odd_candidates_vary_the_best_before_their_batch_and_no_later_score_matters() {
        let mut scores = vec![0; 64];
        scores[5] = 9;
        let five = candidate(1, 0, Plan::default(), 5, &scores);
        for number in (9..64).step_by(2) {
            let plan = candidate(1, 0, Plan::default(), number, &scores);
            assert!(plan.iter().zip(five).filter(|(a, b)| **a != *b).count() <= 2, "{number}");
            let mut later = scores.clone();
            later[number] = 1_000;
            assert_eq!(candidate(1, 0, Plan::default(), number, &later), plan);
        }
        assert_eq!(best(&[3, 7, 7]), 1);
    }
}
