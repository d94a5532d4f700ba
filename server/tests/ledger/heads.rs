//! Books that were rewritten: accounts under the chain, and signed heads that are kept elsewhere.

use std::fs;
use std::path::Path;

use p2c2r_join::AccountSecret;
use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, BadHead, HEAD_KEY_FILE, SignedHead};
use rusqlite::Connection;

use super::damage::used;
use super::lab::{Lab, account_of, append, gamer, key_of, program, rechain, refused, said, whole, worker};

/// Long enough for everything to be folded.
const FOLDED_AFTER: u64 = 3 * 24 * 3_600;

fn secret() -> AccountSecret {
    AccountSecret::from_seed([7; 32]).unwrap()
}

fn head(lab: &Lab) -> SignedHead {
    ledger::head(&lab.path, &secret()).unwrap()
}

/// The report of `check` on the book, compared with these heads.
fn compare(path: &Path, heads: &[SignedHead]) -> ledger::CheckReport {
    ledger::check_with_heads(path, heads).unwrap()
}

#[test]
fn accounts_whose_rows_were_changed_are_found() {
    let lab = used();
    let ledger = lab.open();
    ledger.grant(Role::Worker, key_of("bob"), Nanos(11), [7; 16]).unwrap();
    account_of(&ledger, Role::Gamer, "eve");
    ledger.open_account(Role::Gamer, key_of("ada"), "Ada", Nanos::ZERO).unwrap();
    ledger.close().unwrap();
    lab.check();
    let whole = fs::read(&lab.path).unwrap();
    for sql in [
        // Two gamers trade names, or keys, and with them their money.
        "UPDATE accounts SET name = CASE name WHEN 'Ada' THEN 'eve' WHEN 'eve' THEN 'Ada' ELSE name END",
        "UPDATE accounts SET key = NULL WHERE id = 3; UPDATE accounts SET key = randomblob(32) WHERE id = 3",
        "UPDATE accounts SET name = 'mallory' WHERE id = 4",
        "UPDATE accounts SET key = NULL WHERE id = 5",
        "UPDATE accounts SET opened_ms = opened_ms - 1 WHERE id = 3",
        "UPDATE account_log SET text = 'mallory' WHERE what = 3",
        "UPDATE account_log SET text = 'mallory' WHERE what = 3; UPDATE accounts SET name = 'mallory' WHERE id IN (3, 4)",
        "DELETE FROM account_log WHERE what = 3; UPDATE accounts SET name = 'ada' WHERE id IN (3, 4)",
        "DELETE FROM account_log",
        "INSERT INTO account_log (grp, account, what, number, text) VALUES (2, 3, 3, 0, 'Ada')",
        "INSERT INTO account_log (grp, account, what, number, text) VALUES (99, 3, 3, 0, 'Ada')",
        "UPDATE grants SET reference = randomblob(16)",
        "INSERT INTO folded_accounts VALUES (3, 3, NULL, 'Ada', 1)",
        "INSERT INTO landmarks VALUES (1, 1, randomblob(32))",
        "INSERT INTO accounts (id, kind, key, name, opened_ms) VALUES (90, 3, randomblob(32), 'x', 1), (91, 4, NULL, 'x', 1)",
    ] {
        fs::write(&lab.path, &whole).unwrap();
        lab.tamper(sql);
        assert!(!ledger::check(&lab.path).unwrap().ok, "not found: {sql}");
    }
}

#[test]
fn a_book_that_was_rewritten_chain_and_all_is_found_out_by_a_head_kept_elsewhere() {
    let lab = used();
    let before = head(&lab);
    assert!(compare(&lab.path, std::slice::from_ref(&before)).ok);
    let whole = fs::read(&lab.path).unwrap();
    for sql in [
        "UPDATE account_log SET text = 'mallory' WHERE account = 3; UPDATE accounts SET name = 'mallory' WHERE id IN (3, 4)",
        "UPDATE account_log SET bytes = x'0000000000000000000000000000000000000000000000000000000000000001' WHERE account = 5;
         UPDATE accounts SET key = x'0000000000000000000000000000000000000000000000000000000000000001' WHERE id = 5",
        "UPDATE transfers SET amount = amount * 1000 WHERE reason = 1;
         UPDATE accounts SET balance = balance + 999 * 1000000000 WHERE id = 3;
         UPDATE accounts SET balance = balance - 999 * 1000000000 WHERE id = 1",
    ] {
        fs::write(&lab.path, &whole).unwrap();
        lab.tamper(sql);
        rechain(&Connection::open(&lab.path).unwrap(), true);
        lab.check();
        let found = compare(&lab.path, std::slice::from_ref(&before));
        assert!(!found.ok && found.to_string().contains("rewritten"), "{sql}: {found}");
    }
}

#[test]
fn a_head_is_contained_in_whatever_the_book_becomes_and_in_no_book_before() {
    let lab = used();
    let copy = lab.folder.path().join("older.db");
    ledger::backup(&lab.path, &copy).unwrap();
    let mut heads = vec![head(&lab)];
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for no in 43..46 {
        append(&ledger, whole(TaskNo(no), payer, helper, 100, 10));
        ledger.flush().unwrap();
        heads.push(head(&lab));
    }
    let found = compare(&lab.path, &heads);
    assert!(found.ok && found.heads.len() == heads.len(), "{found}");
    let found = compare(&copy, &heads);
    assert!(found.to_string().contains("older copy"), "{found}");
    assert_eq!(found.problems_total, 3, "the first is in the copy: {found}");
}

#[test]
fn a_head_outlives_the_folding_of_its_group_and_still_finds_a_rewritten_book_out() {
    let lab = used();
    let mut heads = vec![head(&lab)];
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for no in 43..49 {
        lab.pass(1_700);
        append(&ledger, whole(TaskNo(no), payer, helper, 100, 10));
        ledger.open_account(Role::Gamer, key_of("ada"), &format!("ada {no}"), Nanos::ZERO).unwrap();
        heads.push(head(&lab));
    }
    lab.pass(FOLDED_AFTER);
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
    ledger.close().unwrap();
    let report = lab.check();
    assert!(report.folded_groups > heads.len() as u64, "{report}");
    let found = compare(&lab.path, &heads);
    assert!(found.ok && found.heads.len() == heads.len(), "{found}");
    assert!(found.heads.iter().any(|line| line.contains("folded since")), "{found}");

    let whole = fs::read(&lab.path).unwrap();
    for sql in [
        "UPDATE folded_accounts SET name = 'mallory'",
        "UPDATE folded_accounts SET name = 'mallory'; UPDATE accounts SET name = 'mallory' WHERE id IN (3, 4)",
        "DELETE FROM landmarks",
        "UPDATE landmarks SET hash = randomblob(32)",
    ] {
        fs::write(&lab.path, &whole).unwrap();
        lab.tamper(sql);
        assert!(!ledger::check(&lab.path).unwrap().ok, "not found: {sql}");
    }
    // A book of the same form with another history, which is sound by itself.
    let other = used();
    let ledger = other.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for no in 43..60 {
        other.pass(1_700);
        append(&ledger, super::lab::whole(TaskNo(no), payer, helper, 99, 9));
        ledger.flush().unwrap();
    }
    other.pass(FOLDED_AFTER);
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
    ledger.close().unwrap();
    other.check();
    // In the first hour, of which only the first group's hash is left, both books began alike.
    let found = compare(&other.path, &heads[3..]);
    assert_eq!((found.problems_total, found.heads.len()), (4, 0), "{found}");
}

#[test]
fn a_head_is_text_that_survives_pasting_and_no_change() {
    let lab = used();
    let head = head(&lab);
    let text = head.to_string();
    assert_eq!(text.parse(), Ok(head.clone()));
    let pasted = format!("\r\n  {}\r\n\r\n", text.replace('\n', "  \r\n > ").replace("> ", ""));
    assert_eq!(pasted.parse(), Ok(head.clone()));
    let posted = [pasted.as_str(), &text, &text].join("\n\n");
    assert_eq!(ledger::read_heads(&posted).unwrap().heads, vec![head.clone(); 3]);

    for line in text.lines().filter(|line| !line.starts_with("p2c2r")) {
        for (at, old) in line.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
            // The date is there for people alone.
            if line.starts_with("at ") && at > line.find('-').map_or(usize::MAX, |dash| dash - 5) {
                continue;
            }
            let mut changed = line.to_owned();
            changed.replace_range(at..=at, if old == '1' { "2" } else { "1" });
            let changed = text.replace(line, &changed);
            assert!(changed.parse::<SignedHead>().is_err(), "{changed}");
        }
    }
    for end in 0..text.len() {
        assert!(text[..end].parse::<SignedHead>().is_err(), "cut after {end}");
    }
    for garbage in
        ["", "\n", "p2c2r ledger head 1", "p2c2r ledger head 2", "hello\np2c2r ledger head 1", "\u{fffd}"]
    {
        assert_eq!(ledger::read_heads(garbage).unwrap_err().why, BadHead::Form, "{garbage:?}");
    }
}

#[test]
fn a_last_head_that_was_cut_short_is_skipped_and_other_damage_is_named() {
    let lab = used();
    let (head, file) = (head(&lab), lab.folder.path().join("heads.txt"));
    let text = head.to_string();
    for end in 1..text.len() {
        let read = ledger::read_heads(&format!("{text}\n\n{}", &text[..end])).unwrap();
        assert_eq!((read.heads, read.incomplete_line), (vec![head.clone()], Some(11)), "cut after {end}");
    }
    let whole = ledger::read_heads(&format!("{text}\n\n{text}\n\n")).unwrap();
    assert_eq!((whole.heads.len(), whole.incomplete_line), (2, None));

    let words = ["ledger", "check", "--head", file.to_str().unwrap()];
    fs::write(&file, format!("{text}\n\n{}", &text[..100])).unwrap();
    let checked = said(&program(&lab, &words));
    assert!(checked.contains("from line 11 on, was only written in part"), "{checked}");
    for damaged in [
        format!("{text}\n\n{}\n\n{text}\n\n", &text[..100]),
        format!("{text}\n\n{}\n\n", text.replace("tasks ", "tasks 1")),
        format!("{text}\n\n{}\n\n", text.replace("tasks ", "jobs ")),
    ] {
        fs::write(&file, damaged).unwrap();
        let refusal = refused(&program(&lab, &words));
        assert!(refusal.contains("head 2, which begins in line 11, cannot be read"), "{refusal}");
    }
}

#[test]
fn the_operator_prints_heads_and_checks_against_them() {
    let lab = used();
    let file = lab.folder.path().join("heads.txt");
    let words = ["ledger", "check", "--head", file.to_str().unwrap()];
    assert!(refused(&program(&lab, &words)).contains("heads.txt"), "no such file");
    fs::write(&file, said(&program(&lab, &["ledger", "head"]))).unwrap();
    let first = fs::read_to_string(&file).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = lab.folder.path().join(HEAD_KEY_FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(first, said(&program(&lab, &["ledger", "head"])), "the same key signs the same");
    let checked = said(&program(&lab, &words));
    assert!(checked.contains("the book still contains it") && checked.contains("balance"), "{checked}");

    let strangers = "ab".repeat(32);
    let failed = program(&lab, &[&words[..], &["--key", &strangers]].concat());
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("not this coordinator's"), "{failed:?}");

    lab.tamper("UPDATE account_log SET text = 'mallory' WHERE account = 3; UPDATE accounts SET name = 'mallory' WHERE id IN (3, 4)");
    rechain(&Connection::open(&lab.path).unwrap(), true);
    said(&program(&lab, &["ledger", "check"]));
    let failed = program(&lab, &words);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("was rewritten"), "{failed:?}");

    fs::write(&file, first.replace("group ", "group 1")).unwrap();
    assert!(refused(&program(&lab, &words)).contains("changed after it was signed"));
    fs::write(lab.folder.path().join(HEAD_KEY_FILE), "nonsense").unwrap();
    assert!(refused(&program(&lab, &["ledger", "head"])).contains(HEAD_KEY_FILE));
}

#[cfg(target_os = "linux")]
#[test]
fn a_running_coordinator_adds_heads_to_a_file_that_its_ledger_then_contains() {
    let lab = used();
    let file = lab.folder.path().join("heads.txt");
    for run in 1..=2 {
        let options = ["--head-hours", "1", "--head-file", file.to_str().unwrap()];
        let (mut child, lines) = lab.coordinator(lab.folder.path(), &options);
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        lines.for_each(|line| drop(line.unwrap()));
        assert!(child.wait().unwrap().success());
        let heads = ledger::read_heads(&fs::read_to_string(&file).unwrap()).unwrap().heads;
        assert!(heads.len() >= run, "one at each start at the least");
        said(&program(&lab, &["ledger", "check", "--head", file.to_str().unwrap()]));
    }
}
