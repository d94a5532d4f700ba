//! Payouts to workers, made outside the ledger: once per reference, never more than is available, undone only by another
//! entry.

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, Account, Ledger, LedgerError};

use super::lab::{Lab, account_of, append, gamer, key_of, program, refused, said, whole, worker};

/// A fraud window and more.
const PAID_AFTER: u64 = 7_200;
/// Long enough for everything to be folded.
const FOLDED_AFTER: u64 = 3 * 24 * 3_600;

/// A worker with 90 nano-dollars that can be paid, and 90 that are pending.
fn earned(lab: &Lab) -> Ledger {
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), payer, helper, 100, 10));
    ledger.flush().unwrap();
    lab.pass(PAID_AFTER);
    ledger.flush().unwrap();
    append(&ledger, whole(TaskNo(2), payer, helper, 100, 10));
    ledger.flush().unwrap();
    ledger
}

fn bob(ledger: &Ledger) -> Account {
    account_of(ledger, Role::Worker, "bob")
}

fn paid_out(lab: &Lab) -> Nanos {
    ledger::report(&lab.path).unwrap().totals.paid_out
}

#[test]
fn a_payout_is_booked_once_for_each_reference_and_never_above_what_is_available() {
    let lab = Lab::new();
    let ledger = earned(&lab);
    let bob = bob(&ledger);
    assert_eq!((bob.available, bob.set_aside), (Nanos(90), Nanos(90)));
    let long = "x".repeat(65);
    let refused = |amount, reference| ledger.pay_out(bob.id, Nanos(amount), reference).unwrap_err();
    assert!(matches!(refused(91, "a"), LedgerError::NotAvailable { available: Nanos(90), .. }));
    assert!(matches!(refused(0, "a"), LedgerError::BadPayout(_)));
    assert!(matches!(refused(-5, "a"), LedgerError::BadPayout(_)));
    for reference in ["", "two\nlines", &long] {
        assert!(matches!(refused(1, reference), LedgerError::BadReference), "{reference:?}");
    }
    for _ in 0..3 {
        assert_eq!(ledger.pay_out(bob.id, Nanos(60), "transfer 1").unwrap().available, Nanos(30));
    }
    assert!(matches!(refused(30, "transfer 1"), LedgerError::PayoutReferenceUsed { .. }));
    assert!(matches!(refused(31, "transfer 2"), LedgerError::NotAvailable { available: Nanos(30), .. }));
    assert_eq!(ledger.pay_out(bob.id, Nanos(30), &"é".repeat(64)).unwrap().available, Nanos::ZERO);
    let ada = gamer(&ledger);
    assert!(matches!(ledger.pay_out(ada, Nanos(1), "x"), Err(LedgerError::NoAccount { .. })));
    let paid = ledger.account(bob.id).unwrap();
    assert_eq!((paid.set_aside, paid.paid_out()), (Nanos(90), Nanos(90)), "what is pending stays");
    assert_eq!(bob.paid_out(), Nanos::ZERO);
    assert_eq!((paid_out(&lab), bob.turnover), (Nanos(90), Nanos(180)));
    let totals = ledger.totals();
    let sums = (totals.earned, totals.pending, totals.available(), totals.paid_out);
    assert_eq!(
        sums,
        (Nanos(180), Nanos(90), Nanos::ZERO, Nanos(90)),
        "the sums are those of the only worker"
    );
    ledger.close().unwrap();
    assert_eq!(ledger::report(&lab.path).unwrap().totals, totals);
    assert_eq!(lab.open().totals(), totals, "they are read again");
    lab.check();
}

#[test]
fn a_payout_that_came_back_is_an_entry_of_its_own_also_after_folding() {
    let lab = Lab::new();
    let ledger = earned(&lab);
    let bob = bob(&ledger).id;
    ledger.pay_out(bob, Nanos(50), "first").unwrap();
    ledger.pay_out(bob, Nanos(40), "second").unwrap();
    for _ in 0..2 {
        assert_eq!(ledger.take_back_payout("first").unwrap().available, Nanos(50));
    }
    assert!(matches!(ledger.take_back_payout("third"), Err(LedgerError::NoPayout { .. })));
    let again = ledger.pay_out(bob, Nanos(50), "first").unwrap_err();
    assert!(matches!(again, LedgerError::PayoutReferenceUsed { .. }), "{again}");
    lab.pass(FOLDED_AFTER);
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
    ledger.close().unwrap();
    assert!(lab.check().folded_groups > 0);

    let ledger = lab.open();
    assert_eq!(ledger.take_back_payout("second").unwrap().available, Nanos(180));
    assert_eq!(ledger.pay_out(bob, Nanos(180), "all").unwrap().available, Nanos::ZERO);
    ledger.close().unwrap();
    lab.check();
    assert_eq!(paid_out(&lab), Nanos(180));
    let whole = std::fs::read(&lab.path).unwrap();
    for sql in [
        "UPDATE payouts SET reference = 'elsewhere' WHERE reference = 'all'",
        "UPDATE payouts SET amount = amount - 1 WHERE reference = 'all'",
        "UPDATE payouts SET reference = 'elsewhere' WHERE reference = 'first' AND undoes IS NULL",
        "DELETE FROM payouts WHERE undoes IS NOT NULL",
        "DELETE FROM payouts",
        "INSERT INTO payouts VALUES (1, 1, 'more', 5, 1, NULL)",
        "INSERT INTO payouts VALUES (1, 9999, 'more', 5, 1, NULL)",
        "UPDATE transfers SET amount = amount - 1 WHERE reason = 9",
        "DELETE FROM transfers WHERE reason = 9",
        "UPDATE accounts SET balance = balance - 1 WHERE id = 0; UPDATE accounts SET balance = balance + 1 WHERE id = 5",
    ] {
        std::fs::write(&lab.path, &whole).unwrap();
        lab.tamper(sql);
        assert!(!ledger::check(&lab.path).unwrap().ok, "not found: {sql}");
    }
}

#[test]
fn whoever_takes_anothers_key_as_a_name_is_not_taken_for_it() {
    let lab = Lab::new();
    let ledger = earned(&lab);
    let bob = bob(&ledger);
    let key = bob.key.unwrap().to_string();
    for (number, name) in [(1, &key[..]), (2, &key[..16]), (3, "bob")] {
        ledger.open_account(Role::Worker, key_of(&format!("mallory {number}")), name, Nanos::ZERO).unwrap();
    }
    ledger.close().unwrap();
    let payables = ledger::payables(&lab.path).unwrap();
    for called in [&key, &key[..16], &key[..8], &key.to_uppercase()] {
        assert_eq!(payables.find(called).map(|found| found.account).ok(), Some(bob.id), "{called}");
    }
    assert!(matches!(payables.find("bob"), Err(LedgerError::SeveralAccounts { .. })));
    assert!(matches!(payables.find(&key[..7]), Err(LedgerError::NoAccount { .. })));
}

#[test]
fn the_digits_of_a_key_without_an_account_are_nobodys_name() {
    let lab = Lab::new();
    let ledger = earned(&lab);
    let gone = key_of("gone").to_string();
    for (number, name) in [(1, &gone[..]), (2, &gone[..16]), (3, &gone[..15])] {
        ledger.open_account(Role::Worker, key_of(&format!("mallory {number}")), name, Nanos::ZERO).unwrap();
    }
    ledger.close().unwrap();
    let payables = ledger::payables(&lab.path).unwrap();
    for called in [&gone, &gone.to_uppercase(), &gone[..16]] {
        let found = payables.find(called);
        assert!(matches!(found, Err(LedgerError::NoAccount { .. })), "{called}: {found:?}");
    }
    assert_eq!(payables.find(&gone[..15]).unwrap().name, gone[..15], "so few digits can be a name");
}

#[test]
fn the_operator_records_payouts_and_sees_what_can_be_paid() {
    let lab = Lab::new();
    let ledger = earned(&lab);
    let running = program(&lab, &["ledger", "payout", "record", "bob", "0.000000001", "x"]);
    assert!(refused(&running).contains("stop it first"));
    let (key, name) = (bob(&ledger).key.unwrap().to_string(), "ledger");
    ledger.close().unwrap();
    let payout = |words: &[&str]| program(&lab, &[&[name, "payout"], words].concat());

    let list = said(&payout(&["list"]));
    assert!(
        list.contains("can be paid") && list.contains("$0.00000009") && list.contains(&key[..8]),
        "{list}"
    );
    let said_of = said(&payout(&["record", "bob", "0.00000006", "transfer 1"]));
    assert!(said_of.contains("bob was paid $0.00000006"), "{said_of}");
    said(&payout(&["record", &key[..10], "0.00000001", "transfer 2"]));
    said(&payout(&["undo", "transfer 1"]));
    let list: serde_json::Value =
        serde_json::from_str(&said(&payout(&["list", "--format", "json"]))).unwrap();
    let line = &list["workers"][0];
    assert_eq!((line["available"].as_i64(), line["paid_out"].as_i64()), (Some(80), Some(10)), "{list}");
    for (words, expected) in [
        (&["record", "nobody", "1", "x"][..], "no worker account nobody"),
        (&["record", "bob", "1", "x"], "more than the worker has available"),
        (&["record", "bob", "0.00000001", "transfer 1"], "was used for another payout"),
        (&["undo", "transfer 3"], "no payout with the reference transfer 3"),
    ] {
        let said = refused(&payout(words));
        assert!(said.contains(expected), "{said}");
    }
    said(&program(&lab, &["ledger", "check"]));
    assert!(said(&program(&lab, &["ledger", "report"])).contains("paid out   $0.00000001"));
}
