//! More candidates give better plans, judged in futures that the search has not seen.

use p2c2r_tasks::tactics::{
    CANDIDATES_MAX, FUTURES_MAX, LEAD_STEPS_MAX, LEGS, Leg, Plan, Planner, TacticsSpec,
};

use crate::situations::{fight, run};

/// Mean score of a plan in 64 other futures: the plan is flown before another one begins, which goes by rule.
fn done_by(spec: &TacticsSpec, plan: Plan) -> i32 {
    let mut played = spec.clone();
    (played.seed, played.futures, played.candidates) = (!spec.seed, FUTURES_MAX, 1);
    played.lead_steps = LEAD_STEPS_MAX;
    played.planners = vec![Planner { before: plan, ..spec.planners[0] }];
    run(&played).scores[0][0] / i32::from(FUTURES_MAX)
}

/// The gain of the plan found over flying by rule, summed over some fights.
fn gain(candidates: u16, futures: u8) -> i32 {
    let of_fight = |number: u64| {
        let spec = TacticsSpec { candidates, futures, lead_steps: 0, ..fight(5, 4, 3 * number + 1) };
        let (_, plan) = run(&spec).plan(spec.seed, 0, spec.present(0)).unwrap();
        done_by(&spec, plan) - done_by(&spec, [Leg::Rule; LEGS])
    };
    (0..24).map(of_fight).sum()
}

#[test]
fn more_candidates_in_more_futures_find_better_plans() {
    let found: Vec<i32> = [(2, 1), (8, 2), (8, 8), (32, 32)].map(|(c, f)| gain(c, f)).to_vec();
    println!("{found:?}");
    assert!(found[3] > found[1] && found[3] > 0, "{found:?}");
}

#[test]
fn the_plan_of_an_outcome_is_the_first_of_the_best_and_as_good_as_the_rule() {
    let spec = TacticsSpec { candidates: CANDIDATES_MAX as u16, futures: 1, ..fight(3, 2, 1) };
    let outcome = run(&spec);
    let (number, plan) = outcome.plan(spec.seed, 0, spec.present(0)).unwrap();
    let scores = &outcome.scores[0];
    assert!(scores.iter().all(|score| *score <= scores[number]));
    assert!(scores[..number].iter().all(|score| *score < scores[number]));
    assert!(scores[number] >= scores[0]);
    assert_ne!(plan, [Leg::Rule; LEGS], "there is something better to do");
    assert_eq!(outcome.plan(spec.seed, 1, Plan::default()), None);
}

#[test]
fn what_is_left_of_the_present_plan_is_tried_again() {
    let legs = [Leg::Fly(3), Leg::Bear(2), Leg::Rest, Leg::Bear(5)];
    for (lead_steps, left) in [(0, legs), (5, [Leg::Bear(2), Leg::Rest, Leg::Bear(5), Leg::Rule])] {
        let planners = vec![Planner { before: legs, ..fight(3, 2, 1).planners[0] }];
        let spec = TacticsSpec { lead_steps, planners, ..fight(3, 2, 1) };
        assert_eq!(spec.present(0), left, "{lead_steps}");
        let mut scores = run(&spec);
        scores.scores[0] = (0..24).map(|number| i32::from(number == 2)).collect();
        assert_eq!(scores.plan(spec.seed, 0, spec.present(0)), Some((2, left)));
    }
}
