//! How trust grows and falls.

use std::time::Duration;

use p2c2r_protocol::{KindId, Micros};

use super::{ANSWERS_PER_RECORD, CheckConsequence, GONE_MAX, Misconduct, Trust, TrustRules};
use crate::ledger::{AccountId, WorkerTrust};

const KIND: KindId = KindId(1);
const ADA: AccountId = AccountId(3);

fn trust() -> Trust {
    let mut trust = Trust::new(TrustRules::default());
    trust.joined(ADA, &WorkerTrust::default(), Micros(0));
    trust
}

fn share(trust: &Trust, now: Micros) -> f64 {
    trust.scrutiny(ADA, KIND, 1, now).share
}

#[test]
fn the_share_of_checks_falls_with_answers_and_with_time_to_a_floor() {
    let rules = TrustRules::default();
    let (mins, hours) = (Duration::from_mins, Duration::from_hours);
    assert_eq!(rules.check_share(49, hours(1_000)).to_bits(), 1.0_f64.to_bits());
    assert_eq!(rules.check_share(50, hours(1_000)).to_bits(), 0.2_f64.to_bits());
    assert_eq!(rules.check_share(499, hours(1_000)).to_bits(), 0.2_f64.to_bits());
    assert_eq!(rules.check_share(1_000_000, mins(9)).to_bits(), 0.2_f64.to_bits(), "a count is soon reached");
    assert!((rules.check_share(500, mins(10)) - 0.05).abs() < 1e-9);
    assert!((rules.check_share(500, hours(1_000)) - 0.05).abs() < 1e-9, "and time alone proves nothing");
    let mut last = 1.0;
    for grown in 1..60 {
        let now = rules.check_share(500 * grown, mins(10 * grown));
        assert!(now <= last && now > 0.02, "{grown}: {now}");
        last = now;
    }
    assert!(rules.check_share(u64::MAX, hours(24 * 365)) >= 0.02);
    assert!(rules.check_share(u64::MAX, hours(24 * 365)) < 0.020_1);
    assert_eq!(rules.always().check_share(u64::MAX, hours(9_999)).to_bits(), 1.0_f64.to_bits());
    assert_eq!(rules.never().check_share(0, mins(0)).to_bits(), 0.0_f64.to_bits());
}

#[test]
fn trust_is_of_one_kind_and_version() {
    let mut trust = trust();
    for _ in 0..50 {
        trust.accepted(ADA, KIND, 1, true, Micros(5));
    }
    assert!(!trust.is_on_probation(ADA, KIND, 1, Micros(5)));
    assert!(trust.is_on_probation(ADA, KIND, 2, Micros(5)), "another kernel");
    assert!(trust.is_on_probation(ADA, KindId(2), 1, Micros(5)), "another kind");
    assert!(trust.is_on_probation(AccountId(5), KIND, 1, Micros(5)), "another account");
}

#[test]
fn a_failure_begins_again_a_second_convicts_and_the_first_is_forgotten_after_clean_checks() {
    let mut trust = trust();
    for _ in 0..600 {
        trust.accepted(ADA, KIND, 1, true, Micros(1));
    }
    assert!(share(&trust, Micros(2)) < 1.0);
    let (standing, record) = trust.failed(ADA, true, Micros(2));
    assert_eq!(standing, CheckConsequence::Working);
    assert_eq!(record.unwrap().failures, 1, "recorded at once");
    assert!(trust.is_on_probation(ADA, KIND, 1, Micros(2)));
    // Unchecked answers do not make a failure forgotten.
    for _ in 0..5_000 {
        trust.accepted(ADA, KIND, 1, false, Micros(3));
    }
    for _ in 0..999 {
        trust.accepted(ADA, KIND, 1, true, Micros(3));
    }
    let kept = trust.left(ADA, Micros(3)).unwrap();
    assert_eq!((kept.failures, kept.clean_checks), (1, 999));
    trust.accepted(ADA, KIND, 1, true, Micros(3));
    assert_eq!(trust.failed(ADA, true, Micros(4)).0, CheckConsequence::Working, "the first is forgotten");
    assert_eq!(trust.failed(ADA, true, Micros(5)).0, CheckConsequence::Convicted);
    assert!(trust.is_quarantined(ADA));
    assert_eq!(trust.failed(ADA, true, Micros(6)).0, CheckConsequence::Working, "once");
    let record = trust.order(ADA, false, Micros(7)).unwrap();
    assert!(!trust.is_quarantined(ADA) && !record.quarantined && record.failures == 0);
}

#[test]
fn what_the_check_of_every_answer_finds_is_forgotten_as_soon_as_the_worker_is_past_probation_again() {
    let mut trust = trust();
    let clean = |trust: &mut Trust, answers| {
        (0..answers).for_each(|_| drop(trust.accepted(ADA, KIND, 1, true, Micros(1))));
    };
    clean(&mut trust, 1);
    for _ in 0..100 {
        assert_eq!(trust.failed(ADA, false, Micros(2)).0, CheckConsequence::Working);
        clean(&mut trust, 50);
    }
    assert_eq!(trust.failed(ADA, true, Micros(3)).0, CheckConsequence::Working, "none is left");
    clean(&mut trust, 49);
    assert_eq!(
        trust.failed(ADA, false, Micros(4)).0,
        CheckConsequence::Convicted,
        "a lie is kept for longer"
    );
}

#[test]
fn checks_that_have_time_to_spare_may_take_more_until_a_worker_has_proven_itself() {
    let rules = TrustRules::default();
    let spare = |answers, known_for| rules.scrutiny(answers, known_for).spare;
    let (mins, proven) = (Duration::from_mins, rules.spare_percent / 100.0);
    assert!(proven < 0.05, "less than five per cent of paid work");
    for (answers, known_for) in [(0, mins(0)), (499, mins(60)), (1_000_000, mins(9))] {
        assert!(spare(answers, known_for) > 2.0 * proven);
    }
    assert!((spare(500, mins(10)) - proven).abs() < 1e-9);
    assert_eq!(rules.never().scrutiny(0, mins(0)).spare.to_bits(), 0.0_f64.to_bits());
    assert!(rules.scrutiny(49, mins(60)).is_new && !rules.scrutiny(50, mins(0)).is_new);
}

#[test]
fn what_was_recorded_is_known_again_and_its_age_has_grown() {
    let mut trust = trust();
    let minute = 60_000_000;
    for _ in 0..700 {
        trust.accepted(ADA, KIND, 1, true, Micros(minute));
    }
    let record = trust.left(ADA, Micros(12 * minute)).unwrap();
    let mut later = Trust::new(TrustRules::default());
    later.joined(ADA, &record, Micros(minute));
    assert_eq!(share(&later, Micros(minute)).to_bits(), share(&trust, Micros(12 * minute)).to_bits());
    assert!(later.take_records(Micros(minute)).is_empty(), "nothing is new");
}

#[test]
fn the_ledger_hears_seldom_and_misses_little() {
    let mut trust = trust();
    let (mut records, mut last) = (0, 0);
    for answers in 1..=20_000_u64 {
        if let Some(record) = trust.accepted(ADA, KIND, 1, false, Micros(1)) {
            (records, last) = (records + 1, record.kinds[0].answers);
        }
        assert!(answers - last <= ANSWERS_PER_RECORD.max(answers / 15), "{answers} {last}");
    }
    assert!(records < 150, "{records}");
}

#[test]
fn misconduct_takes_answers_back_as_far_as_the_end_of_probation_and_the_ledger_hears_of_it() {
    let mut trust = trust();
    let answers = |trust: &Trust| trust.accounts[&ADA].kinds[0].answers;
    for _ in 0..40 {
        trust.accepted(ADA, KIND, 1, true, Micros(1));
    }
    trust.misbehaved(ADA, KIND, 1, Misconduct::Silent, Micros(1));
    assert_eq!(answers(&trust), 30, "probation is longer for it");
    for _ in 0..5 {
        trust.misbehaved(ADA, KIND, 1, Misconduct::Silent, Micros(1));
    }
    assert_eq!(answers(&trust), 0);
    for _ in 0..90 {
        trust.accepted(ADA, KIND, 1, true, Micros(1));
    }
    let mut last = 90;
    for (misconduct, left) in
        [(Misconduct::Overloaded, 88), (Misconduct::Failed, 83), (Misconduct::Silent, 73)]
    {
        let record = trust.misbehaved(ADA, KIND, 1, misconduct, Micros(1));
        assert_eq!(answers(&trust), left);
        if let Some(record) = record {
            last = record.kinds[0].answers;
        }
        assert!(last.abs_diff(left) <= ANSWERS_PER_RECORD);
    }
    for _ in 0..100 {
        trust.misbehaved(ADA, KIND, 1, Misconduct::Silent, Micros(1));
    }
    assert_eq!(answers(&trust), 50);
    assert!(!trust.is_on_probation(ADA, KIND, 1, Micros(1)) && !trust.is_quarantined(ADA));
    let kept = trust.left(ADA, Micros(1)).unwrap();
    assert_eq!((kept.kinds[0].answers, kept.failures), (50, 0));
}

#[test]
fn accounts_that_left_are_let_go_of_in_turn() {
    let mut trust = Trust::new(TrustRules::default());
    for number in 0..GONE_MAX as i64 + 10 {
        trust.joined(AccountId(number), &WorkerTrust::default(), Micros(0));
        trust.left(AccountId(number), Micros(0));
    }
    assert_eq!((trust.accounts.len(), trust.gone.len()), (GONE_MAX, GONE_MAX));
    trust.joined(AccountId(GONE_MAX as i64), &WorkerTrust::default(), Micros(0));
    assert_eq!((trust.accounts.len(), trust.gone.len()), (GONE_MAX, GONE_MAX - 1));
}

#[test]
fn the_operators_word_holds_for_a_worker_that_was_asked_for_in_the_ledger_before_it() {
    let mut trust = Trust::new(TrustRules::default());
    assert_eq!(trust.order(ADA, true, Micros(1)), None, "the ledger has it");
    trust.joined(ADA, &WorkerTrust::default(), Micros(2));
    assert!(trust.is_quarantined(ADA));
    trust.order(ADA, false, Micros(3));
    assert!(!trust.is_quarantined(ADA));
}
