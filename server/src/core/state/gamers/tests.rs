//! The mirror of money, and that what is remembered of gamers is bounded.

use p2c2r_protocol::{ComputedBy, Nanos, PassedCheck, Stages, WorkUnits};

use super::*;
use crate::ledger::WorkerTrust;

fn in_ledger(id: AccountId) -> ledger::Account {
    ledger::Account {
        id,
        role: p2c2r_protocol::Role::Gamer,
        key: None,
        name: "g".into(),
        available: Nanos(1_000),
        set_aside: Nanos(0),
        turnover: Nanos(50),
        accepted: 0,
        rejected: 0,
        tasks_recorded: 0,
        largest_task: None,
        charged_lately: Vec::new(),
        trust: WorkerTrust::default(),
    }
}

#[test]
fn statements_show_a_charge_as_held_until_it_is_recorded() {
    let mut gamers = Gamers::default();
    let account = AccountId(7);
    gamers.open_account(&in_ledger(account), Micros(0)).hold(Nanos(30));
    let mirror = gamers.account_mut(account).unwrap();
    mirror.release(Nanos(30));
    mirror.charge(Nanos(30), 3, Micros(0));
    let around = WorkersAround { count: 2, nearest_ms: Some(3), nearest_region: "eu".parse().ok() };
    let told = gamers.statement(account, around);
    assert_eq!((told.workers, told.nearest_worker_ms), (2, Some(3)));
    assert_eq!(told.nearest_worker_region, around.nearest_region);
    assert_eq!((told.charged, told.held, told.available), (Nanos(50), Nanos(30), Nanos(970)));
    gamers.account_mut(account).unwrap().recorded(&in_ledger(account), 2);
    assert_eq!(gamers.statement(account, around), told, "two entries are recorded, and this is in the third");
    let recorded = ledger::Account { available: Nanos(970), turnover: Nanos(80), ..in_ledger(account) };
    gamers.account_mut(account).unwrap().recorded(&recorded, 3);
    let told = gamers.statement(account, around);
    assert_eq!((told.charged, told.held, told.available), (Nanos(80), Nanos(0), Nanos(970)));
}

#[test]
fn what_comes_to_an_account_is_there_while_charges_are_under_way() {
    let mut gamers = Gamers::default();
    let account = AccountId(7);
    let mirror = gamers.open_account(&in_ledger(account), Micros(0));
    mirror.hold(Nanos(100));
    mirror.charge(Nanos(30), 3, Micros(0));
    mirror.charge(Nanos(20), 9, Micros(0));
    // The operator has granted 500, and the hold of the task in flight is recorded.
    let recorded = ledger::Account {
        available: Nanos(1_000 - 30 + 500 - 100),
        set_aside: Nanos(100),
        turnover: Nanos(80),
        ..in_ledger(account)
    };
    mirror.recorded(&recorded, 5);
    let told = gamers.statement(account, WorkersAround::default());
    assert_eq!((told.charged, told.held, told.available), (Nanos(80), Nanos(120), Nanos(1_350)));
}

fn finished(bytes: usize, delivered: bool, at: Micros) -> Box<FinishedTask> {
    Box::new(FinishedTask {
        key: Digest([0; 32]),
        outcome: vec![0; bytes].into(),
        receipt: Receipt {
            price: Nanos(1),
            units: WorkUnits(1),
            price_list: 1,
            computed_by: ComputedBy::Worker("w".into()),
            check: PassedCheck::Always,
            attempts: 1,
            received_at: at,
            sent_at: at,
            stages: Stages::default(),
        },
        maker: None,
        delivered,
    })
}

/// Asserts that the sums over all accounts equal what the accounts add up to.
fn assert_sums(gamers: &Gamers) {
    let mut sums = (RememberedLoad::default(), RememberedLoad::default());
    for account in gamers.accounts.values() {
        for (sum, own) in
            [(&mut sums.0, account.remembered.load()), (&mut sums.1, account.remembered.undelivered())]
        {
            sum.count += own.count;
            sum.bytes += own.bytes;
        }
    }
    assert_eq!((gamers.remembered, gamers.undelivered), sums);
}

#[test]
fn accounts_are_bounded_and_those_away_longest_go_first() {
    let mut gamers = Gamers::default();
    let all = 3 * ACCOUNTS_MAX as i64;
    for number in 0..all {
        let account = AccountId(number);
        gamers.open_account(&in_ledger(account), Micros(0));
        gamers.join(PeerId(number as u64), "g".into(), account);
        // One stays, one has a task in flight, for one an outcome waits.
        match number {
            0 => continue,
            1 => {
                gamers.account_mut(account).unwrap().tasks.insert(p2c2r_protocol::TaskNo(1));
            }
            2 => gamers.remember(account, TaskId(1), finished(10, false, Micros(0))),
            _ => {}
        }
        gamers.begin_leaving(PeerId(number as u64));
        gamers.leave(PeerId(number as u64));
        assert!(gamers.accounts.len() <= ACCOUNTS_MAX + 1);
        assert!(gamers.away.len() <= 2 * gamers.accounts.len() + ORDER_SLACK + 1);
    }
    assert!((0..3).all(|number| gamers.account(AccountId(number)).is_some()));
    assert!(gamers.account(AccountId(3)).is_none() && gamers.account(AccountId(all - 1)).is_some());
    assert_sums(&gamers);
}

/// Random gamers connect, disconnect and finish tasks of any size, far more than fit the bounds.
#[test]
fn what_is_remembered_never_exceeds_its_bounds_and_the_sums_are_right() {
    let mut gamers = Gamers::default();
    let mut random = 1_u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let (mut undelivered_max, mut delivered_max) = (0, 0);
    for step in 0..30_000_u64 {
        let account = AccountId(draw(300) as i64);
        let peer = PeerId(account.0 as u64);
        match draw(20) {
            0 if gamers.session(peer).is_none() => {
                gamers.open_account(&in_ledger(account), Micros(0));
                gamers.join(peer, "g".into(), account);
                let taken = gamers.take_undelivered(account);
                assert!(taken.iter().all(|(_, finished)| finished.delivered));
            }
            1 => drop(gamers.leave(peer)),
            _ => {
                let delivered = gamers.session(peer).is_some();
                let finished = finished(draw(60_000) as usize, delivered, Micros(step));
                gamers.remember(account, TaskId(step), finished);
            }
        }
        assert!(gamers.delivered_bytes() <= DELIVERED_BYTES_IN_SUM_MAX);
        assert!(gamers.undelivered_bytes() <= UNDELIVERED_BYTES_IN_SUM_MAX);
        undelivered_max = undelivered_max.max(gamers.undelivered_bytes());
        delivered_max = delivered_max.max(gamers.delivered_bytes());
        if step % 1_000 == 0 {
            assert_sums(&gamers);
        }
    }
    assert!(undelivered_max > UNDELIVERED_BYTES_IN_SUM_MAX * 9 / 10, "{undelivered_max}");
    assert!(delivered_max > DELIVERED_BYTES_IN_SUM_MAX * 9 / 10, "{delivered_max}");
    gamers.expire_undelivered(Micros(Micros::from(UNDELIVERED_KEPT).0 + 30_000));
    assert_eq!(gamers.undelivered, RememberedLoad::default());
    assert_sums(&gamers);
}
