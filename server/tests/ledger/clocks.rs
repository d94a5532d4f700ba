//! A wall clock that steps, either way, while the ledger is open or closed, or is wrong when it is opened.

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::Ledger;
use rusqlite::Connection;

use super::lab::{Lab, account_of, append, gamer, whole, worker};

const HOUR: u64 = 3_600;
const YEAR: i64 = 365 * 24 * 3_600;

/// The worker's available and pending pay, after the release of what is due.
fn pay(ledger: &Ledger) -> (Nanos, Nanos) {
    ledger.flush().unwrap();
    let bob = account_of(ledger, Role::Worker, "bob");
    (bob.available, bob.set_aside)
}

/// One task of 90 for the worker, pending.
fn earn(ledger: &Ledger, no: u64) {
    append(ledger, whole(TaskNo(no), gamer(ledger), worker(ledger), 100, 10));
    ledger.flush().unwrap();
}

fn assert_times_only_grow(lab: &Lab) {
    let connection = Connection::open(&lab.path).unwrap();
    let mut select = connection.prepare("SELECT at_ms FROM groups ORDER BY id").unwrap();
    let times: Vec<i64> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_wall_clock_that_steps_while_the_ledger_is_open_moves_no_pay() {
    for step in [YEAR, -YEAR] {
        let lab = Lab::new();
        let ledger = lab.open();
        earn(&ledger, 1);
        lab.step_wall_clock(step);
        assert_eq!(pay(&ledger), (Nanos(0), Nanos(90)), "{step}: not early");
        lab.pass(HOUR / 2);
        earn(&ledger, 2);
        lab.pass(HOUR / 2 + 61);
        assert_eq!(pay(&ledger), (Nanos(90), Nanos(90)), "{step}: in time");
        lab.step_wall_clock(-2 * step);
        lab.pass(HOUR / 2);
        assert_eq!(pay(&ledger), (Nanos(180), Nanos(0)), "{step}: in time");
        ledger.close().unwrap();
        lab.check();
        assert_times_only_grow(&lab);
    }
}

#[test]
fn a_wall_clock_that_was_ahead_at_one_start_keeps_no_pay_back_after_the_next() {
    let lab = Lab::new();
    lab.step_wall_clock(YEAR);
    let ledger = lab.open();
    earn(&ledger, 1);
    ledger.close().unwrap();
    lab.step_wall_clock(-YEAR);
    let ledger = lab.open();
    earn(&ledger, 2);
    assert_eq!(pay(&ledger), (Nanos(0), Nanos(180)));
    lab.pass(HOUR + 61);
    assert_eq!(pay(&ledger), (Nanos(180), Nanos(0)), "an hour later, whatever the clock said");
    ledger.close().unwrap();
    lab.check();
    assert_times_only_grow(&lab);
}

#[test]
fn a_wall_clock_that_is_wrong_at_a_start_counts_as_no_time_neither_before_nor_after_it_is_put_right() {
    for reboots in [false, true] {
        let lab = Lab::new();
        let ledger = lab.open();
        earn(&ledger, 1);
        let began = ledger.seconds();
        ledger.close().unwrap();
        for step in [YEAR, -YEAR, -YEAR] {
            lab.step_wall_clock(step);
            if reboots {
                lab.reboot();
            }
            let ledger = lab.open();
            assert_eq!(pay(&ledger), (Nanos(0), Nanos(90)), "{step}: not early");
            assert_eq!(ledger.seconds(), began, "{step}");
            ledger.close().unwrap();
        }
        let ledger = lab.open();
        lab.pass(HOUR + 61);
        assert_eq!(pay(&ledger), (Nanos(90), Nanos(0)), "in time, though the clock is a year behind");
        ledger.close().unwrap();
        lab.check();
        assert_times_only_grow(&lab);
    }
}

#[test]
fn time_in_which_only_the_ledger_was_closed_counts_and_time_in_which_the_machine_was_off_does_not() {
    for reboots in [false, true] {
        let lab = Lab::new();
        let ledger = lab.open();
        earn(&ledger, 1);
        lab.pass(HOUR / 2);
        ledger.close().unwrap();
        lab.pass(HOUR / 2 + 61);
        if reboots {
            lab.reboot();
        }
        let ledger = lab.open();
        let (available, _) = pay(&ledger);
        assert_eq!(available, if reboots { Nanos(0) } else { Nanos(90) });
        lab.pass(HOUR / 2 + 61);
        assert!(pay(&ledger).0 >= Nanos(90), "the half hour before the machine was off counts");
        ledger.close().unwrap();
        lab.check();
        assert_times_only_grow(&lab);
    }
}
