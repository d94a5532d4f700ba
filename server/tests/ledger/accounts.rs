//! An account belongs to a key, whatever name its peer uses.

use p2c2r_protocol::{AccountKey, Nanos, Role};
use p2c2r_server::ledger::{self, CREDIT_MAX, Ledger, LedgerError, MONEY_MAX};

use super::damage::{older, used};
use super::lab::{Lab, account_of, key_of};

const DOLLAR: Nanos = Nanos::DOLLAR;

fn available(ledger: &Ledger, role: Role, name: &str) -> Nanos {
    account_of(ledger, role, name).available
}

#[test]
fn two_peers_of_one_name_have_two_accounts_that_are_told_apart() {
    let lab = Lab::new();
    let ledger = lab.open();
    let keys = [AccountKey([0xA1; 32]), AccountKey([0xB2; 32])];
    for role in [Role::Gamer, Role::Worker] {
        let [first, second] = keys.map(|key| ledger.open_account(role, key, "ada", DOLLAR).unwrap());
        assert_ne!(first.id, second.id);
        assert_eq!((first.key, second.key), (Some(keys[0]), Some(keys[1])));
    }
    ledger.grant(Role::Gamer, keys[1], Nanos(5), [1; 16]).unwrap();
    let [first, second] = keys.map(|key| ledger.open_account(Role::Gamer, key, "ada", DOLLAR).unwrap());
    assert_eq!((first.available, second.available), (DOLLAR, DOLLAR + Nanos(5)));
    ledger.close().unwrap();
    lab.check();
    let report = ledger::report(&lab.path).unwrap();
    assert_eq!((report.gamers.len(), report.workers.len()), (2, 2));
    let (text, json) = (report.to_string(), serde_json::to_string(&report).unwrap());
    for key in keys {
        assert_eq!(text.matches(&key.short()).count(), 2, "{text}");
        assert!(json.contains(&key.to_string()), "{json}");
    }
}

#[test]
fn a_key_keeps_its_account_under_another_name() {
    let lab = Lab::new();
    let ledger = lab.open();
    let key = key_of("ada");
    let opened = |name: &str| ledger.open_account(Role::Gamer, key, name, DOLLAR).unwrap();
    let (before, after) = (opened("ada"), opened("grace"));
    assert_eq!((before.id, before.available), (after.id, after.available));
    assert_eq!(&*after.name, "grace");
    ledger.close().unwrap();
    let report = ledger::report(&lab.path).unwrap();
    assert_eq!(report.gamers.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["grace"]);
    assert_eq!(lab.check().transfers, 1, "credited once");
    let ledger = lab.open();
    assert_eq!(ledger.account(before.id).unwrap().available, DOLLAR);
}

#[test]
fn a_grant_is_booked_once_for_each_reference() {
    let lab = Lab::new();
    let mut granted = DOLLAR;
    for again in 0..2 {
        let ledger = lab.open();
        account_of(&ledger, Role::Gamer, "ada");
        account_of(&ledger, Role::Worker, "bob");
        let (ada, bob) = (key_of("ada"), key_of("bob"));
        for reference in [1, 2, 1] {
            let account = ledger.grant(Role::Gamer, ada, Nanos(7), [reference; 16]).unwrap();
            granted = granted.max(account.available);
        }
        assert_eq!(available(&ledger, Role::Gamer, "ada"), DOLLAR + Nanos(14), "{again}");
        for refused in [
            ledger.grant(Role::Gamer, ada, Nanos(8), [1; 16]),
            ledger.grant(Role::Worker, bob, Nanos(7), [1; 16]),
        ] {
            assert!(matches!(refused, Err(LedgerError::ReferenceUsed)), "{refused:?}");
        }
        ledger.grant(Role::Worker, bob, Nanos(3), [9; 16]).unwrap();
        assert_eq!(available(&ledger, Role::Worker, "bob"), Nanos(3));
        let stranger = ledger.grant(Role::Worker, ada, Nanos(7), [3; 16]);
        assert!(matches!(stranger, Err(LedgerError::NoAccount { role: Role::Worker, .. })), "{stranger:?}");
        ledger.close().unwrap();
        lab.check();
    }
    assert_eq!(granted, DOLLAR + Nanos(14));
    assert_eq!(ledger::report(&lab.path).unwrap().bank, Nanos(-DOLLAR.0 - 17));
}

#[test]
fn money_that_is_entered_is_bounded() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (ada, eve) = (key_of("ada"), key_of("eve"));
    for credit in [Nanos(-1), CREDIT_MAX + Nanos(1), Nanos(i64::MAX), Nanos(i64::MIN)] {
        let refused = ledger.open_account(Role::Gamer, ada, "ada", credit);
        assert!(matches!(refused, Err(LedgerError::BadCredit(_))), "{refused:?}");
    }
    ledger.open_account(Role::Gamer, ada, "ada", CREDIT_MAX).unwrap();
    for amount in [Nanos(0), Nanos(-1), CREDIT_MAX + Nanos(1)] {
        let refused = ledger.grant(Role::Gamer, ada, amount, [1; 16]);
        assert!(matches!(refused, Err(LedgerError::BadCredit(_))), "{refused:?}");
    }
    ledger.close().unwrap();

    // The coordinator is given so much that there is room for one credit more.
    let rest = MONEY_MAX.0 - 2 * CREDIT_MAX.0;
    lab.tamper(&format!(
        "UPDATE accounts SET balance = balance - {rest} WHERE id = 1;
         UPDATE accounts SET balance = balance + {rest} WHERE id = 2"
    ));
    let ledger = lab.open();
    ledger.grant(Role::Gamer, ada, CREDIT_MAX, [2; 16]).unwrap();
    let refused = ledger.grant(Role::Gamer, ada, Nanos(1), [3; 16]);
    assert!(matches!(refused, Err(LedgerError::TooMuchMoney)), "{refused:?}");
    let refused = ledger.open_account(Role::Gamer, eve, "eve", Nanos(1));
    assert!(matches!(refused, Err(LedgerError::TooMuchMoney)), "{refused:?}");
    assert_eq!(ledger.open_account(Role::Gamer, ada, "ada", Nanos(1)).unwrap().available.0, 2 * CREDIT_MAX.0);
    assert_eq!(ledger.open_account(Role::Gamer, eve, "eve", Nanos::ZERO).unwrap().available, Nanos::ZERO);
    ledger.close().unwrap();
    assert_eq!(ledger::report(&lab.path).unwrap().bank, Nanos(-MONEY_MAX.0), "nothing refused was booked");
}

#[test]
fn an_account_of_an_older_ledger_is_claimed_once_and_by_whoever_has_none() {
    let lab = used();
    let older = older(&lab, 3);
    let ledger = Ledger::open(&older, lab.options(), || {}).unwrap();
    let before = ledger::report(&older).unwrap();
    assert_eq!(
        before.gamers.iter().map(|line| (line.name.as_str(), line.key.as_deref())).collect::<Vec<_>>(),
        [("ada", None)]
    );
    assert!(before.to_string().contains("unclaimed"), "{before}");

    let (owner, other) = (key_of("owner"), key_of("other"));
    let joined = ledger.open_account(Role::Gamer, other, "ada", DOLLAR).unwrap();
    assert_eq!(joined.available, DOLLAR, "a name opens nobody's account");
    let refused = ledger.claim(Role::Gamer, "ada", other);
    assert!(matches!(refused, Err(LedgerError::KeyHasAccount { .. })), "{refused:?}");
    let refused = ledger.claim(Role::Worker, "ada", owner);
    assert!(matches!(refused, Err(LedgerError::NoAccount { .. })), "{refused:?}");

    let claimed = ledger.claim(Role::Gamer, "ada", owner).unwrap();
    assert_eq!((claimed.key, claimed.available), (Some(owner), before.gamers[0].available));
    let refused = ledger.claim(Role::Gamer, "ada", key_of("third"));
    assert!(matches!(refused, Err(LedgerError::AlreadyClaimed { .. })), "{refused:?}");
    let found = ledger.open_account(Role::Gamer, owner, "owner", DOLLAR).unwrap();
    assert_eq!((found.id, found.available), (claimed.id, claimed.available), "not credited again");
    ledger.close().unwrap();
    let report = ledger::check(&older).unwrap();
    assert!(report.ok, "{report}");
}
