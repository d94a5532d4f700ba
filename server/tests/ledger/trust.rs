//! Trust in workers outlasts the coordinator, and a conviction is one transaction.

use std::time::Duration;

use p2c2r_protocol::{KindId, Role, TaskNo};
use p2c2r_server::ledger::{self, Entry, KindTrust, Ledger, LedgerError, WorkerTrust};
use rusqlite::Connection;

use super::lab::{Lab, account_of, append, gamer, whole, worker};

fn of(kind: u8, answers: u64) -> KindTrust {
    let known_for = Duration::from_secs(answers);
    KindTrust { kind: KindId(kind), kernel_version: 2, answers, checked: answers / 2, known_for }
}

#[test]
fn the_newest_word_on_each_kind_is_known_again_and_grows_older() {
    let lab = Lab::new();
    let ledger = lab.open();
    let bob = worker(&ledger);
    assert_eq!(account_of(&ledger, Role::Worker, "bob").trust, WorkerTrust::default());
    let learned = |kinds: Vec<KindTrust>, failures| {
        let trust = WorkerTrust { kinds, failures, clean_checks: 7, quarantined: false };
        Entry::TrustChanged { worker: bob, trust: Box::new(trust) }
    };
    append(&ledger, [learned(vec![of(1, 10), of(2, 20)], 0), learned(vec![of(1, 30)], 1)]);
    ledger.flush().unwrap();
    lab.pass(100);
    ledger.close().unwrap();
    lab.check();
    let ledger = lab.open();
    let known = account_of(&ledger, Role::Worker, "bob").trust;
    assert_eq!((known.failures, known.clean_checks, known.quarantined), (1, 7, false));
    let kinds: Vec<_> =
        known.kinds.iter().map(|of| (of.kind.0, of.answers, of.checked, of.known_for.as_secs())).collect();
    assert_eq!(kinds, [(1, 30, 15, 130), (2, 20, 10, 120)]);
    let gamer = gamer(&ledger);
    append(&ledger, [Entry::TrustChanged { worker: gamer, trust: Box::default() }]);
    ledger.flush().unwrap();
    assert_eq!(ledger.drain_committed().anomalies.wrong_account, 1);
}

#[test]
fn a_conviction_is_written_whole_whether_by_checks_or_by_the_operator_and_can_be_forgiven() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (ada, bob) = (gamer(&ledger), worker(&ledger));
    let key = account_of(&ledger, Role::Worker, "bob").key.unwrap();
    append(&ledger, whole(TaskNo(1), ada, bob, 100, 10));
    append(
        &ledger,
        [Entry::TrustChanged {
            worker: bob,
            trust: Box::new(WorkerTrust { kinds: vec![of(1, 500)], ..WorkerTrust::default() }),
        }],
    );
    ledger.flush().unwrap();
    let convicted = ledger.judge(key, true).unwrap();
    assert_eq!(convicted.id, bob);
    // One group has all of it.
    let connection = Connection::open(&lab.path).unwrap();
    let number = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(number("SELECT count(*) FROM standings WHERE quarantined_ms IS NOT NULL"), 1);
    assert_eq!(number("SELECT count(*) FROM revocations") + number("SELECT 1 - count(*) FROM outcomes"), 1);
    assert_eq!(number("SELECT count(*) FROM earnings"), 0, "nothing pending falls due");
    let lines = ledger::workers(&lab.path, |_| Some("path".to_owned())).unwrap();
    assert!(lines.workers[0].quarantined && lines.to_string().contains("quarantine"), "{lines}");
    assert_eq!(lines.workers[0].answers["path"], 500);
    ledger.close().unwrap();

    let ledger = lab.open();
    assert!(account_of(&ledger, Role::Worker, "bob").trust.quarantined);
    ledger.judge(key, false).unwrap();
    let forgiven = account_of(&ledger, Role::Worker, "bob").trust;
    assert!(!forgiven.quarantined);
    assert_eq!(
        (forgiven.kinds[0].answers, forgiven.kinds[0].known_for),
        (0, Duration::ZERO),
        "a newcomer again"
    );
    let nobody = p2c2r_protocol::AccountKey([9; 32]);
    assert!(matches!(ledger.judge(nobody, true), Err(LedgerError::NoAccount { .. })));
    append(&ledger, [Entry::WorkerConvicted { worker: bob }]);
    ledger.close().unwrap();
    lab.check();
    assert!(account_of(&lab.open(), Role::Worker, "bob").trust.quarantined);
}

#[test]
fn no_record_of_what_a_worker_did_lifts_its_quarantine_or_restores_it() {
    let lab = Lab::new();
    let ledger = lab.open();
    let bob = worker(&ledger);
    let key = account_of(&ledger, Role::Worker, "bob").key.unwrap();
    let learned = |failures, quarantined| {
        let trust = WorkerTrust { kinds: vec![of(1, 10)], failures, clean_checks: 0, quarantined };
        Entry::TrustChanged { worker: bob, trust: Box::new(trust) }
    };
    let known = |ledger: &Ledger| account_of(ledger, Role::Worker, "bob").trust;
    // The coordinator's scheduler has not heard of the order yet, and is killed before it does.
    for failures in [0, 1] {
        ledger.judge(key, true).unwrap();
        append(&ledger, [learned(failures, false)]);
        ledger.flush().unwrap();
        assert!(known(&ledger).quarantined, "{failures} failures");
        ledger.judge(key, false).unwrap();
        append(&ledger, [learned(failures, true)]);
        ledger.flush().unwrap();
        assert!(!known(&ledger).quarantined, "{failures} failures");
    }
    ledger.judge(key, true).unwrap();
    append(&ledger, [learned(0, false)]);
    ledger.close().unwrap();
    assert!(known(&lab.open()).quarantined);
    lab.check();
}

#[test]
fn convictions_and_forgiving_of_one_group_count_in_their_order() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (ada, bob) = (gamer(&ledger), worker(&ledger));
    let learned = |failures| {
        let trust = WorkerTrust { kinds: vec![of(1, 10)], failures, ..WorkerTrust::default() };
        Entry::TrustChanged { worker: bob, trust: Box::new(trust) }
    };
    let (convicted, forgiven) =
        (|| Entry::WorkerConvicted { worker: bob }, || Entry::WorkerForgiven { worker: bob });
    let known = |ledger: &Ledger| {
        ledger.flush().unwrap();
        let trust = account_of(ledger, Role::Worker, "bob").trust;
        (trust.quarantined, trust.failures, trust.kinds[0].answers)
    };
    append(&ledger, [learned(2), convicted()]);
    assert_eq!(known(&ledger), (true, 2, 10));
    append(&ledger, [learned(2), forgiven()]);
    assert_eq!(known(&ledger), (false, 0, 0), "what was learned before is forgotten");
    append(&ledger, [forgiven(), learned(1)]);
    assert_eq!(known(&ledger), (false, 1, 10), "and what is learned after it is not");
    append(&ledger, [forgiven(), convicted()]);
    assert_eq!(known(&ledger), (true, 0, 0));
    append(&ledger, [convicted(), forgiven()]);
    assert_eq!(known(&ledger), (false, 0, 0));
    append(&ledger, [Entry::WorkerForgiven { worker: ada }]);
    ledger.flush().unwrap();
    assert_eq!(ledger.drain_committed().anomalies.wrong_account, 1);
}
