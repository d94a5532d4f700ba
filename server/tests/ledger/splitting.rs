//! A price that is shared between worker and coordinator keeps every nano-dollar, whatever the prices and the fee.

use p2c2r_protocol::{FeeCarry, KindId, Nanos, PriceList, Role, TaskNo};
use p2c2r_server::ledger::{CREDIT_MAX, Entry};
use proptest::prelude::*;

use super::lab::{Lab, admission, append, gamer, key_of, settled, started, worker};

fn prices(fee_basis_points: u32) -> PriceList {
    PriceList {
        version: 1,
        nanos_per_mega_unit: vec![(KindId(1), 1)],
        graphics_nanos_per_mega_unit: Vec::new(),
        fee_basis_points,
    }
}

proptest! {
    #[test]
    fn parts_add_up_and_the_fee_is_right_to_a_nano_over_any_number_of_tasks(
        fee_basis_points in 0_u32..=10_000,
        paid in prop::collection::vec(prop_oneof![0_i64..20, 0_i64..1_000_000, 0..=CREDIT_MAX.0], 1..200),
    ) {
        let list = prices(fee_basis_points);
        let mut carry = FeeCarry::default();
        let (mut price, mut worker, mut fee) = (0_i128, 0_i128, 0_i128);
        for amount in paid {
            let split = list.split(Nanos(amount), &mut carry);
            prop_assert!(split.worker >= Nanos::ZERO && split.fee >= Nanos::ZERO, "{split:?} of {amount}");
            prop_assert_eq!(split.worker.0 + split.fee.0, amount);
            price += i128::from(amount);
            worker += i128::from(split.worker.0);
            fee += i128::from(split.fee.0);
        }
        prop_assert_eq!(worker + fee, price);
        let exact = price * i128::from(fee_basis_points);
        prop_assert!((fee * 10_000 - exact).abs() <= 10_000, "{} of {}", fee, price);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// The same through the books: what the gamer is charged is what worker and coordinator get, and the rest comes back.
    #[test]
    fn what_is_charged_arrives_and_nothing_else(
        fee_basis_points in 0_u32..=10_000,
        tasks in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 1..60),
    ) {
        let lab = Lab::new();
        let ledger = lab.open();
        let (payer, helper) = (gamer(&ledger), worker(&ledger));
        let list = prices(fee_basis_points);
        let mut carry = FeeCarry::default();
        let mut charged = Nanos::ZERO;
        for (no, (price, left)) in (1..).map(TaskNo).zip(tasks) {
            let split = list.split(Nanos(price), &mut carry);
            let held = price + left;
            append(&ledger, [Entry::TaskAdmitted(admission(no, payer, no.0, held)), started(no, 1, helper)]);
            append(&ledger, [settled(no, 1, helper, split.worker.0, split.fee.0)]);
            charged += Nanos(price);
        }
        ledger.flush().unwrap();
        let account = |role, name| ledger.open_account(role, key_of(name), name, Nanos::ZERO).unwrap();
        let (ada, bob) = (account(Role::Gamer, "ada"), account(Role::Worker, "bob"));
        let totals = ledger.totals();
        prop_assert_eq!(ledger.drain_committed().anomalies.total(), 0);
        prop_assert_eq!((ada.turnover, ada.set_aside, ada.available), (charged, Nanos::ZERO, Nanos::DOLLAR - charged));
        prop_assert_eq!(bob.set_aside + totals.fee, charged);
        ledger.close().unwrap();
        lab.check();
    }
}
