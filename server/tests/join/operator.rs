//! The operator's commands, which are processes of their own beside the running coordinator.

use std::process::Output;

use p2c2r_join::{JoinLink, RefusalCode};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::join::{OperatorChange, WallSeconds, commands};
use p2c2r_server::ledger::AccountId;

use super::lab::{Folder, PATIENCE, key, secret};

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_invite_is_a_link_and_nothing_else_and_lets_in() {
    let folder = Folder::new();
    assert!(refused(&folder.program(&["invite", "gamer"])).contains("start it once"));
    assert!(!folder.path().exists(), "a mistyped folder is not made");
    let lab = folder.start();
    let printed =
        said(&folder.program(&["invite", "gamer", "--name", "Ann", "--uses", "2", "--credit", "0.25"]));
    assert_eq!(printed.lines().count(), 1);
    let link: JoinLink = printed.parse().unwrap();
    assert_eq!(link.without_invite(), lab.service.link().clone());
    let grant = lab.ask_as(&secret(1), Role::Gamer, "x", link.invite.as_deref()).unwrap();
    assert_eq!(grant.name, "Ann");
    assert_eq!(folder.store().account(key(1)).unwrap().unwrap().credit, Nanos(250_000_000));
    let link: JoinLink = said(&folder.program(&["invite", "gamer"])).parse().unwrap();
    lab.ask(&secret(2), Role::Gamer, link.invite.as_deref()).unwrap();
    assert_eq!(folder.store().account(key(2)).unwrap().unwrap().credit, Nanos::DOLLAR);
    assert_eq!(lab.ask(&secret(3), Role::Gamer, link.invite.as_deref()), Err(RefusalCode::InviteUsedUp));
}

#[test]
fn what_an_hour_may_cost_a_gamer_reaches_the_running_coordinator_and_the_next_one() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Gamer, 9);
    lab.ask_as(&secret(1), Role::Gamer, "Ann", Some(&invite)).unwrap();
    let helpers = folder.invite(Role::Worker, 9);
    lab.ask_as(&secret(2), Role::Worker, "Bob", Some(&helpers)).unwrap();
    for to_a_worker in ["cap", "credit"] {
        // Money that a worker was given would be told as pay.
        let refused = refused(&folder.program(&["accounts", to_a_worker, "Bob", "1"]));
        assert!(refused.contains("spends nothing"), "{refused}");
    }
    assert!(refused(&folder.program(&["accounts", "cap", "Ann", "little"])).contains("0.50"));
    for (said_so, cap) in [
        ("0.05", HourCap::At(Nanos(50_000_000))),
        ("none", HourCap::Unlimited),
        ("default", HourCap::AsEverybody),
        ("0", HourCap::At(Nanos::ZERO)),
    ] {
        said(&folder.program(&["accounts", "cap", "Ann", said_so]));
        assert_eq!(lab.next_change(), OperatorChange::Capped(key(1), cap));
    }
    drop(lab);
    assert_eq!(folder.start().next_change(), OperatorChange::Capped(key(1), HourCap::At(Nanos::ZERO)));
}

#[test]
fn slips_of_the_hand_are_named() {
    let folder = Folder::new();
    let _lab = folder.start();
    for (arguments, expected) in [
        (&["invite", "gamer", "--uses", "0"][..], "--uses"),
        (&["invite", "gamer", "--expires", "soon"], "30m, 24h or 7d"),
        (&["invite", "gamer", "--credit", "a lot"], "0.50"),
        (&["invite", "worker", "--credit", "1"], "spends nothing"),
        (&["invite", "boss"], "gamer"),
        (&["accounts", "revoke", "nobody"], "nobody"),
        (&["accounts", "credit", "nobody", "0"], "more than zero"),
    ] {
        let said = refused(&folder.program(arguments));
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn the_running_coordinator_hears_of_revoked_and_renamed_accounts() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 9);
    for seed in 1..=3 {
        lab.ask_as(&secret(seed), Role::Worker, "twin", Some(&invite)).unwrap();
    }
    let digits = |seed| key(seed).to_string()[..10].to_owned();
    let refusal = refused(&folder.program(&["accounts", "revoke", "twin"]));
    assert!(refusal.contains("fits 3 accounts"), "{refusal}");
    assert!((1..=3).all(|seed| refusal.contains(&key(seed).to_string()[..16])), "{refusal}");
    said(&folder.program(&["accounts", "rename", &digits(2), "Attic"]));
    assert_eq!(lab.next_change(), OperatorChange::Renamed(key(2), "Attic".to_owned()));
    said(&folder.program(&["accounts", "revoke", &digits(1)]));
    assert_eq!(lab.next_change(), OperatorChange::Revoked(key(1)));
    assert_eq!(lab.ask(&secret(1), Role::Worker, Some(&invite)), Err(RefusalCode::Revoked));
    let name = lab.ask_as(&secret(2), Role::Worker, "mine", None).unwrap().name;
    assert_eq!(name, "Attic", "the operator's name stays");
    let list = said(&folder.program(&["accounts", "list"]));
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(
        list.contains("closed") && list.contains("Attic") && list.contains(&key(3).to_string()[..16]),
        "{list}"
    );
    let list = said(&folder.program(&["accounts", "list", "--format", "json"]));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
}

#[test]
fn a_closed_account_gets_nothing_and_leaves_its_name_to_others() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Gamer, 9);
    for seed in 1..=2 {
        lab.ask_as(&secret(seed), Role::Gamer, "ann", Some(&invite)).unwrap();
    }
    let closed = key(1).to_string()[..10].to_owned();
    said(&folder.program(&["accounts", "revoke", &closed]));
    for words in [["accounts", "credit", &closed, "0.50"], ["accounts", "cap", &closed, "0.50"]] {
        let refusal = refused(&folder.program(&words));
        assert!(refusal.contains("closed for good"), "{refusal}");
    }
    let answer = said(&folder.program(&["accounts", "credit", "ann", "0.50"]));
    assert!(answer.contains(&key(2).short()), "{answer}");
    assert_eq!(lab.wait_for_booked(1)[0].key, key(2));
}

#[test]
fn ready_asks_where_the_coordinator_listens_and_not_only_where_others_find_it() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        let folder = Folder::new();
        let ready = folder.root.path().join("ready");
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_p2c2r-server"))
            .args(["--listen", listen, "--public-address", "127.0.0.1:1", "--ready-file"])
            .arg(&ready)
            .env("P2C2R_DATA_DIR", folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let give_up = std::time::Instant::now() + PATIENCE;
        while !ready.exists() && std::time::Instant::now() < give_up {
            std::thread::yield_now();
        }
        let mut answer = folder.program(&["ready"]);
        while !answer.status.success() && std::time::Instant::now() < give_up {
            answer = folder.program(&["ready"]);
        }
        program.kill().unwrap();
        program.wait().unwrap();
        assert_eq!(said(&answer), "ready\n");
        let why = refused(&folder.program(&["ready"]));
        assert!(why.contains("not ready: no coordinator answers at 127.0.0.1:"), "{why}");
        assert!(!why.contains("127.0.0.1:1: "), "where it listens, not where others find it: {why}");
    }
}

#[test]
fn the_running_coordinator_hears_of_judged_workers_once_and_the_next_one_of_those_before_it() {
    let folder = Folder::new();
    let digits = |seed| key(seed).to_string()[..10].to_owned();
    let judged =
        |seed: u8, quarantined| OperatorChange::Judged(AccountId(i64::from(key(seed).0[0])), quarantined);
    {
        let lab = folder.start();
        let (workers, gamers) = (folder.invite(Role::Worker, 9), folder.invite(Role::Gamer, 2));
        for seed in 1..=2 {
            lab.ask(&secret(seed), Role::Worker, Some(&workers)).unwrap();
        }
        lab.ask_as(&secret(3), Role::Gamer, "player", Some(&gamers)).unwrap();
        lab.ask_as(&secret(4), Role::Gamer, "ann", Some(&gamers)).unwrap();
        let refusal = refused(&folder.program(&["workers", "quarantine", "player"]));
        assert!(refusal.contains("gamer's account"), "{refusal}");
        assert!(refused(&folder.program(&["workers", "forgive", "nobody"])).contains("nobody"));
        let refusal = refused(&folder.program(&["workers", "forgive", "Play"]));
        assert!(!refusal.contains("player"), "no gamer is forgiven: {refusal}");
        let refusal = refused(&folder.program(&["workers", "forgive", "AN"]));
        assert!(refusal.contains("did you mean `ann`?"), "{refusal}");
        let refusal = refused(&folder.program(&["workers", "forgive", "ann"]));
        assert!((1..=2).all(|seed| refusal.contains(&key(seed).to_string()[..16])), "{refusal}");
        let answer = said(&folder.program(&["workers", "quarantine", &digits(1)]));
        assert!(answer.contains("no more work"), "{answer}");
        assert_eq!(lab.next_change(), judged(1, true));
        said(&folder.program(&["workers", "forgive", &digits(1)]));
        assert_eq!(lab.next_change(), judged(1, false));
    }
    said(&folder.program(&["workers", "quarantine", &digits(2)]));
    let lab = folder.start();
    assert_eq!(lab.next_change(), judged(2, true), "what was done before is not done again");
    drop(lab);
    assert!(folder.store().judgements_to_do().unwrap().is_empty());
}

#[test]
fn a_credit_is_handed_to_the_books_once_even_over_a_restart() {
    let folder = Folder::new();
    {
        let lab = folder.start();
        let invite = folder.invite(Role::Gamer, 1);
        lab.ask(&secret(1), Role::Gamer, Some(&invite)).unwrap();
    }
    said(&folder.program(&["accounts", "credit", "ann", "0.50"]));
    let first = {
        let lab = folder.start();
        lab.wait_for_booked(1)
    };
    assert_eq!((first.len(), first[0].nanos, first[0].key), (1, Nanos(500_000_000), key(1)));
    let lab = folder.start();
    said(&folder.program(&["accounts", "credit", "ann", "2"]));
    let second = lab.wait_for_booked(1);
    assert_eq!((second.len(), second[0].nanos), (1, Nanos(2 * Nanos::DOLLAR.0)));
    drop(lab);
    assert!(folder.store().credits_to_book().unwrap().is_empty());
}

#[test]
fn many_processes_write_at_once_and_nothing_is_lost() {
    let folder = Folder::new();
    let lab = folder.start();
    let invite = folder.invite(Role::Worker, 64);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| said(&folder.program(&["invite", "worker"])));
        }
        for part in 0..4_u8 {
            let (folder, invite, lab) = (&folder, &invite, &lab);
            scope.spawn(move || {
                let mut store = folder.store();
                for seed in (part * 8)..(part * 8 + 8) {
                    lab.ask(&secret(seed), Role::Worker, Some(invite)).unwrap();
                    store.revoke(key(seed), WallSeconds::now()).unwrap();
                }
            });
        }
    });
    let accounts = folder.store().accounts().unwrap();
    assert_eq!(accounts.len(), 32);
    assert!(accounts.iter().all(|account| account.revoked_at.is_some()));
    let heard: std::collections::HashSet<_> = (0..32)
        .map(|_| match lab.next_change() {
            OperatorChange::Revoked(key) => key,
            other => panic!("nobody was renamed or judged: {other:?}"),
        })
        .collect();
    assert_eq!(heard.len(), 32);
}

#[test]
fn the_first_start_makes_a_link_for_each_role_and_the_second_none() {
    let folder = Folder::new();
    let lab = folder.start();
    let links = commands::first_links(&folder.path(), lab.service.link(), Nanos(3)).unwrap();
    assert_eq!(links.iter().map(|(role, _)| *role).collect::<Vec<_>>(), [Role::Gamer, Role::Worker]);
    for (seed, (role, link)) in links.iter().enumerate() {
        lab.ask(&secret(seed as u8), *role, link.invite.as_deref()).unwrap();
    }
    assert!(commands::first_links(&folder.path(), lab.service.link(), Nanos(3)).unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn no_link_that_lets_people_in_goes_to_a_journal_or_to_who_collects_lines_for_programs() {
    use std::os::unix::fs::MetadataExt as _;

    for (is_journal, format) in [(true, "text"), (false, "json"), (false, "text")] {
        let folder = Folder::new();
        let (log, ready) = (folder.root.path().join("log"), folder.root.path().join("ready"));
        let file = std::fs::File::create(&log).unwrap();
        let data = file.metadata().unwrap();
        let journal = if is_journal { format!("{}:{}", data.dev(), data.ino()) } else { String::new() };
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_p2c2r-server"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--log-format",
                format,
                "--command",
                "sudo ctl",
                "--ready-file",
            ])
            .arg(&ready)
            .env("P2C2R_DATA_DIR", folder.path())
            .env("JOURNAL_STREAM", journal)
            .stdout(file)
            .spawn()
            .unwrap();
        let give_up = std::time::Instant::now() + PATIENCE;
        while !ready.exists() && std::time::Instant::now() < give_up {
            std::thread::yield_now();
        }
        program.kill().unwrap();
        program.wait().unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        let is_shown = !is_journal && format == "text";
        assert_eq!(said.contains("p2c2r://"), is_shown, "{said}");
        assert_eq!(said.contains("sudo ctl invite gamer|worker"), !is_shown, "{said}");
        assert_eq!(folder.store().has_invites().unwrap(), is_shown, "none is made that nobody is shown");
    }
}
