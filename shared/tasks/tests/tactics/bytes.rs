//! Specs and outcomes from strangers: whatever the bytes hold, decoding neither panics nor reserves much, every value has
//! one encoding, and only specs in range are admitted.

use p2c2r_tasks::tactics::{
    Agent, BOLTS_MAX, Bolt, CANDIDATES_MAX, Class, FUTURES_MAX, LEAD_STEPS_MAX, Planner, RoundRock, Tactics,
    TacticsOutcome, TacticsSpec,
};
use p2c2r_tasks::{Blobs, SpecError, TaskKind};

use crate::same::cases;
use crate::seeded::Seeded;
use crate::situations::{fight, planner, run};

#[test]
fn specs_and_outcomes_survive_and_no_prefix_or_extension_of_one_decodes() {
    for (_, spec) in cases() {
        let bytes = Tactics::encode_spec(&spec);
        assert_eq!(Tactics::decode_spec(&bytes).unwrap(), spec);
        assert!((0..bytes.len()).all(|cut| Tactics::decode_spec(&bytes[..cut]).is_err()));
        assert!(Tactics::decode_spec(&[&bytes[..], &[0]].concat()).is_err());
        let outcome = run(&spec);
        let bytes = Tactics::encode_outcome(&outcome);
        assert_eq!(Tactics::decode_outcome(&bytes).unwrap(), outcome);
        assert!((0..bytes.len()).all(|cut| Tactics::decode_outcome(&bytes[..cut]).is_err()));
        assert!(Tactics::decode_outcome(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn mutated_specs_are_refused_or_have_just_this_encoding() {
    let mut seeded = Seeded(3);
    for spec in [fight(3, 2, 3), fight(9, 5, 1)] {
        let bytes = Tactics::encode_spec(&spec);
        for _ in 0..4_000 {
            let mut mutated = bytes.clone();
            for _ in 0..=seeded.below(3) {
                let at = seeded.below(mutated.len() as u64) as usize;
                mutated[at] = seeded.bits() as u8;
            }
            if let Ok(decoded) = Tactics::decode_spec(&mutated) {
                assert_eq!(Tactics::encode_spec(&decoded), mutated);
                let _ = Tactics::admit(&decoded, &Blobs::default());
            }
        }
    }
}

#[test]
fn mutated_outcomes_get_a_verdict() {
    let (spec, mut seeded) = (fight(3, 2, 3), Seeded(4));
    let bytes = Tactics::encode_outcome(&run(&spec));
    let mut caught = 0;
    for round in 0..2_000 {
        let mut mutated = bytes.clone();
        let at = seeded.below(mutated.len() as u64) as usize;
        mutated[at] ^= 1 << seeded.below(8);
        let Ok(outcome) = Tactics::decode_outcome(&mutated) else { continue };
        assert_eq!(Tactics::encode_outcome(&outcome), mutated);
        if Tactics::check(&spec, &Blobs::default(), &outcome).is_err() {
            caught += 1;
        } else if round % 50 == 0 {
            let _ = Tactics::deep_check(&spec, &Blobs::default(), &outcome, round);
        }
    }
    assert!(caught > 0, "no mutation leaves the range of scores");
    let empty = TacticsOutcome { scores: vec![vec![]; 2] };
    assert_eq!(Tactics::decode_outcome(&Tactics::encode_outcome(&empty)).unwrap(), empty);
    assert_eq!(empty.plan(spec.seed, 0, spec.present(0)), None);
}

#[test]
fn what_is_out_of_range_is_refused_and_no_outcome_of_it_passes() {
    let spec = fight(3, 2, 3);
    let outcome = run(&spec);
    let class = |change: fn(&mut Class)| {
        let mut classes = spec.classes.clone();
        change(&mut classes[3]);
        TacticsSpec { classes, ..spec.clone() }
    };
    let agent = |change: fn(&mut Agent)| {
        let mut agents = spec.agents.clone();
        change(&mut agents[2]);
        TacticsSpec { agents, ..spec.clone() }
    };
    let bolt = |change: fn(&mut Bolt)| {
        let mut bolts = spec.bolts.clone();
        change(&mut bolts[0]);
        TacticsSpec { bolts, ..spec.clone() }
    };
    let rock = |change: fn(&mut RoundRock)| {
        let mut rocks = spec.rocks.clone();
        change(&mut rocks[0]);
        TacticsSpec { rocks, ..spec.clone() }
    };
    let planners = |planners: Vec<Planner>| TacticsSpec { planners, ..spec.clone() };
    let refused = [
        ("no candidates", TacticsSpec { candidates: 0, ..spec.clone() }),
        ("candidates", TacticsSpec { candidates: CANDIDATES_MAX as u16 + 1, ..spec.clone() }),
        ("no futures", TacticsSpec { futures: 0, ..spec.clone() }),
        ("lead", TacticsSpec { lead_steps: LEAD_STEPS_MAX + 1, ..spec.clone() }),
        ("small", TacticsSpec { half: 8 * 64 - 1, ..spec.clone() }),
        ("large", TacticsSpec { half: 256 * 64 + 1, ..spec.clone() }),
        ("no classes", TacticsSpec { classes: vec![], ..spec.clone() }),
        ("no agents", TacticsSpec { agents: vec![], ..spec.clone() }),
        ("crowd", TacticsSpec { agents: vec![spec.agents[0]; 33], ..spec.clone() }),
        ("no size", class(|class| class.radius = 0)),
        ("salvo", class(|class| class.salvo = 6)),
        ("no cooldown", class(|class| class.cooldown = 0)),
        ("worth", class(|class| class.hull_worth = 16)),
        ("plates", class(|class| class.plates = i8::MIN)),
        ("class", agent(|agent| agent.class = 5)),
        ("no hull", agent(|agent| agent.hull = 0)),
        ("no heading", agent(|agent| agent.heading = [0; 2])),
        ("outside", agent(|agent| agent.position[0] = i16::MIN)),
        ("fast", agent(|agent| agent.velocity[1] = i16::MAX)),
        ("bolt outside", bolt(|bolt| bolt.position[0] = 3_000)),
        ("bolt ended", bolt(|bolt| bolt.steps_left = 0)),
        ("rock", rock(|rock| rock.radius = 0)),
        ("rock outside", rock(|rock| rock.position[1] = i16::MIN)),
        ("nobody plans", planners(vec![])),
        ("planner", planners(vec![planner(200)])),
        ("order", planners(vec![planner(2), planner(2)])),
    ];
    for (what, spec) in refused {
        let verdict = Tactics::admit(&spec, &Blobs::default());
        assert!(matches!(verdict, Err(SpecError::OutOfRange(_))), "{what}: {verdict:?}");
        let verdict = Tactics::check(&spec, &Blobs::default(), &outcome);
        assert_eq!(verdict.unwrap_err().check, "tactics.spec", "{what}");
    }
}

#[test]
fn a_task_in_range_can_still_be_too_much_work() {
    let dear = TacticsSpec { candidates: CANDIDATES_MAX as u16, futures: FUTURES_MAX, ..fight(20, 9, 3) };
    let units = Tactics::admit(&dear, &Blobs::default()).unwrap().0;
    assert!((2_000_000..6_000_000).contains(&units), "{units}");
    let dearer = TacticsSpec {
        planners: (0..4).map(planner).collect(),
        bolts: vec![Bolt { steps_left: u8::MAX, ..dear.bolts[0] }; BOLTS_MAX],
        ..dear
    };
    let verdict = Tactics::admit(&dearer, &Blobs::default());
    assert!(matches!(verdict, Err(SpecError::TooMuchWork { .. })), "{verdict:?}");
}
