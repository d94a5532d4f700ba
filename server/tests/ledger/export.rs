//! The transfers as comma-separated values: all of them, exactly, and what was folded as sums.

use std::collections::BTreeMap;
use std::fs;

use p2c2r_protocol::{Nanos, Role};

use super::damage::used;
use super::lab::{Lab, account_of, program, refused, said};

const FOLDED_AFTER: u64 = 3 * 24 * 3_600;

/// Fields of a line in which no name has a comma.
fn fields(line: &str) -> Vec<&str> {
    line.split(',').collect()
}

/// Nano-dollars of an exact decimal.
fn nanos(dollars: &str) -> i64 {
    let (whole, part) = dollars.split_once('.').unwrap();
    assert_eq!(part.len(), 9, "{dollars}");
    format!("{whole}{part}").parse().unwrap()
}

/// Each account's balance by the exported rows.
fn balances(text: &str) -> BTreeMap<i64, i64> {
    let mut balances = BTreeMap::new();
    for row in text.lines().skip(1).map(fields) {
        assert_eq!(row.len(), 13, "{row:?}");
        let (amount, to) = (nanos(row[9]), row[7].parse().unwrap());
        if row[0] == "transfer" {
            *balances.entry(row[5].parse().unwrap()).or_default() -= amount;
            assert!(row[2].ends_with('Z') && row[2].starts_with("2027-01-1"), "{row:?}");
        }
        *balances.entry(to).or_default() += amount;
    }
    balances.retain(|_, sum| *sum != 0);
    balances
}

/// Each account's balance in the books themselves.
fn booked(lab: &Lab) -> BTreeMap<i64, i64> {
    let connection = rusqlite::Connection::open(&lab.path).unwrap();
    let mut select = connection.prepare("SELECT id, balance FROM accounts WHERE balance <> 0").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_is_exported_adds_up_to_the_balances_before_and_after_folding() {
    let lab = used();
    let text = said(&program(&lab, &["ledger", "export", "--csv"]));
    assert!(text.starts_with("row,group,time,"), "{text}");
    assert_eq!(text.lines().count() as u64 - 1, lab.check().transfers);
    assert_eq!(balances(&text), booked(&lab));
    let pay = text.lines().map(fields).find(|row| row[4] == "pay").unwrap();
    assert_eq!(
        (pay[6], pay[8], pay[9], pay[10], pay[11]),
        ("ada", "bob", "0.000000090", "1", "1"),
        "{pay:?}"
    );

    let ledger = lab.open();
    lab.pass(FOLDED_AFTER);
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
    ledger.close().unwrap();
    let text = said(&program(&lab, &["ledger", "export", "--csv"]));
    assert!(text.lines().any(|line| line.starts_with("folded,")), "{text}");
    assert_eq!(balances(&text), booked(&lab));
}

#[test]
fn an_export_goes_to_a_file_that_was_not_there_and_names_keep_to_their_field() {
    let lab = used();
    let ledger = lab.open();
    account_of(&ledger, Role::Gamer, "=HYPERLINK(\"x\", 1)");
    ledger.grant(Role::Gamer, super::lab::key_of("ada"), Nanos(3), [1; 16]).unwrap();
    let file = lab.folder.path().join("books.csv");
    let words = ["ledger", "export", "--csv", "--to", file.to_str().unwrap()];
    let told = said(&program(&lab, &words));
    assert!(told.contains("books.csv") && told.contains("rows"), "beside a running coordinator: {told}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(",\"'=HYPERLINK(\"\"x\"\", 1)\","), "{text}");
    assert!(refused(&program(&lab, &words)).contains("exists"), "nothing is replaced");
    ledger.close().unwrap();
}
