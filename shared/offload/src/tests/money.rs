//! Caps and the account.

use p2c2r_protocol::TaskFailure;

use super::*;

fn capped(session_cap: Option<Nanos>, hour_cap: Option<Nanos>) -> Game {
    Game::with(settings(), OffloadConfig { session_cap, hour_cap, ..config() })
}

#[test]
fn a_task_above_its_price_cap_stays_here() {
    let mut game = Game::new();
    game.ask(Offloading::new(spec(1), Blobs::default()).price_cap(PRICE - Nanos(1)));
    assert!(game.sent.is_empty());
    game.ask(Offloading::new(spec(1), Blobs::default()).price_cap(PRICE));
    assert_eq!(game.submit().price_cap, PRICE);
}

#[test]
fn a_session_never_spends_a_nano_over_its_cap() {
    let mut game = capped(Some(Nanos(500)), None);
    // Two fit; a task that is out counts before its receipt arrives.
    game.ask_for(1);
    let first = game.submit();
    assert_eq!(first.price_cap, PRICE, "not more than what was put aside");
    game.ask_for(2);
    let second = game.submit();
    game.ask_for(3);
    assert!(game.sent.is_empty());
    let reason = LocalReason::SessionCap { cap: Nanos(500) };
    assert_eq!(game.mode(), OffloadMode::Local(reason));
    // One is refused, so its money is free again.
    game.refuse(first.task, Refusal::TooLate { predicted_us: 1 });
    game.say(done(second.task, 4));
    game.frame();
    game.ask_for(4);
    let task = game.submit().task;
    assert_eq!(game.mode(), OffloadMode::Remote);
    game.say(done(task, 8));
    game.frame();
    for number in 5..20 {
        game.ask_for(number);
        assert!(game.sent.is_empty());
    }
    game.frames(60);
    let totals = game.totals();
    assert_eq!((totals.cost_nanos, totals.remote, totals.open), (Nanos(400), 2, 0));
}

#[test]
fn what_a_session_has_cost_stays_when_another_coordinator_takes_over() {
    let mut account = OffloadAccount::default();
    let charged = |charged| GamerStatement { charged: Nanos(charged), ..statement() };
    account.record(charged(5_000));
    account.record(charged(5_400));
    account.leave_coordinator();
    assert_eq!((account.session_charged, account.available(), account.charged()), (Nanos(400), None, None));
    account.record(charged(90));
    account.record(charged(100));
    assert_eq!((account.session_charged, account.charged()), (Nanos(410), Some(Nanos(100))));
}

#[test]
fn an_hours_cap_lifts_when_the_hour_has_moved_on() {
    let mut game = capped(None, Some(PRICE));
    game.ask_for(1);
    let task = game.submit().task;
    game.say(done(task, 2));
    game.frame();
    game.ask_for(2);
    assert!(game.sent.is_empty());
    assert!(matches!(game.mode(), OffloadMode::Local(LocalReason::HourCap { .. })));
    game.app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_mins(62)));
    game.frame();
    game.app.insert_resource(TimeUpdateStrategy::ManualDuration(FRAME));
    game.frame();
    game.ask_for(3);
    assert_eq!(game.submits().len(), 1);
}

#[test]
fn what_other_sessions_have_spent_counts_for_the_hours_cap_as_long_as_the_game_says_so() {
    let mut game = capped(Some(PRICE), Some(PRICE));
    game.app.world_mut().resource_mut::<OffloadElsewhere>().0 = Nanos(1);
    game.ask_for(1);
    assert!(game.sent.is_empty());
    assert_eq!(game.mode(), OffloadMode::Local(LocalReason::HourCap { cap: PRICE }));
    game.app.world_mut().resource_mut::<OffloadElsewhere>().0 = Nanos::ZERO;
    game.ask_for(2);
    assert_eq!(game.submits().len(), 1);
    let account = *game.app.world().resource::<OffloadAccount>();
    assert_eq!((account.hour_at_most, account.session_total), (PRICE, Nanos::ZERO));
}

#[test]
fn charges_whose_receipts_were_lost_count_against_both_caps() {
    let cap = Nanos(500);
    for (session, hour, reason) in
        [(Some(cap), None, LocalReason::SessionCap { cap }), (None, Some(cap), LocalReason::HourCap { cap })]
    {
        let mut game = capped(session, hour);
        game.ask_for(1);
        game.lose_link();
        game.frame();
        game.say(welcome());
        game.say(ServerToGame::Statement(GamerStatement { charged: Nanos(5_400), ..statement() }));
        game.frame();
        game.ask_for(2);
        assert!(game.sent.is_empty());
        assert_eq!(game.mode(), OffloadMode::Local(reason));
        let account = *game.app.world().resource::<OffloadAccount>();
        assert_eq!((account.session_charged, account.session_estimate), (Nanos(400), Nanos::ZERO));
        assert_eq!(account.session_total, Nanos(400));
    }
}

#[test]
fn receipts_after_a_charge_without_one_do_not_hide_it_from_the_caps() {
    let cap = Nanos(3 * PRICE.0);
    for (session, hour) in [(Some(cap), None), (None, Some(cap))] {
        let mut game = capped(session, hour);
        // Work was charged that brought no receipt; nothing is asked for until receipts have made up the difference.
        game.ask_for(1);
        let first = game.submit().task;
        game.say(ServerToGame::Statement(GamerStatement { charged: Nanos(5_000) + PRICE, ..statement() }));
        game.frame();
        game.say(done(first, 2));
        game.frame();
        game.ask_for(2);
        let second = game.submit().task;
        game.say(done(second, 4));
        game.frame();
        game.ask_for(3);
        assert!(game.sent.is_empty(), "all three prices are spent");
        let account = *game.app.world().resource::<OffloadAccount>();
        assert_eq!(account.session_total, Nanos(3 * PRICE.0));
    }
}

#[test]
fn a_task_without_an_outcome_counts_in_full_until_the_ledger_has_told_what_it_cost() {
    let cap = Nanos(2 * PRICE.0);
    for (session, hour) in [(Some(cap), None), (None, Some(cap))] {
        for failure in [TaskFailure::Cancelled, TaskFailure::Late] {
            for (charged, may_go) in [(Nanos(0), true), (Nanos(1), false)] {
                let mut game = capped(session, hour);
                game.ask_for(1);
                let first = game.submit().task;
                game.say(ServerToGame::Failed { task: first, failure });
                game.ask_for(2);
                let second = game.submit().task;
                game.say(done(second, 4));
                game.ask_for(3);
                assert!(game.sent.is_empty(), "the first may have cost its price");
                let charged = Nanos(5_000) + PRICE + charged;
                game.say(ServerToGame::Statement(GamerStatement { charged, ..statement() }));
                game.frames(300);
                game.ask_for(4);
                assert_eq!(game.submits().len(), usize::from(may_go));
            }
        }
    }
}

#[test]
fn a_task_that_nobody_could_do_costs_nothing() {
    let mut game = capped(Some(PRICE), None);
    for failure in [TaskFailure::NoWorker, TaskFailure::KernelFailed] {
        game.ask_for(1);
        let task = game.submit().task;
        game.say(ServerToGame::Failed { task, failure });
        game.frame();
    }
    game.ask_for(2);
    assert_eq!(game.submits().len(), 1);
}

#[test]
fn an_empty_account_means_local_until_there_is_money() {
    let mut game = Game::new();
    game.ask_for(1);
    let task = game.submit().task;
    game.refuse(task, Refusal::BalanceTooLow { available: Nanos(3) });
    game.ask_for(2);
    assert!(game.sent.is_empty());
    assert_eq!(game.mode(), OffloadMode::Local(LocalReason::BalanceTooLow { available: Nanos(3) }));
    game.say(ServerToGame::Statement(statement()));
    game.frame();
    assert_eq!(game.mode(), OffloadMode::Remote);
    game.ask_for(3);
    assert_eq!(game.submits().len(), 1);
}

#[test]
fn charged_held_and_estimated_are_told_apart() {
    let mut game = Game::new();
    game.ask_for(1);
    let account = *game.app.world().resource::<OffloadAccount>();
    assert_eq!((account.reserved, account.session_estimate), (PRICE, Nanos::ZERO));
    let task = game.submit().task;
    game.say(done(task, 2));
    game.frame();
    let account = *game.app.world().resource::<OffloadAccount>();
    assert_eq!(
        (account.reserved, account.session_estimate, account.session_charged),
        (Nanos::ZERO, PRICE, Nanos::ZERO)
    );
    assert_eq!((account.charged(), account.held()), (Some(Nanos(5_000)), Some(Nanos(7))));
    assert_eq!(account.price_list, Some(1), "what it was priced by");
    game.say(ServerToGame::Statement(GamerStatement {
        charged: Nanos(5_200),
        held: Nanos(0),
        ..statement()
    }));
    game.frame();
    let account = *game.app.world().resource::<OffloadAccount>();
    assert_eq!((account.session_charged, account.session_estimate), (PRICE, PRICE));
}

#[test]
fn what_may_be_charged_without_a_receipt_is_told_without_tasks_that_the_next_run_takes_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = OffloadConfig { patient_folder: Some(folder.path().to_owned()), ..config() };
    let mut game = Game::with(settings(), config);
    let account = |game: &Game| *game.app.world().resource::<OffloadAccount>();
    game.ask(Offloading::new(spec(1), Blobs::default()).patient());
    assert_eq!((account(&game).reserved, account(&game).at_risk), (PRICE, Nanos::ZERO), "it is kept on disk");
    game.ask_for(2);
    let second = game.submit().task;
    assert_eq!((account(&game).reserved, account(&game).at_risk), (PRICE + PRICE, PRICE));
    game.say(ServerToGame::Failed { task: second, failure: TaskFailure::Cancelled });
    game.frame();
    assert_eq!((account(&game).reserved, account(&game).at_risk), (PRICE, PRICE), "it may have been charged");
    game.frames(400);
    assert_eq!(account(&game).at_risk, Nanos::ZERO, "the ledger has told");
    game.ask_for(3);
    let third = game.submit().task;
    game.say(done(third, 6));
    game.frame();
    assert_eq!((account(&game).at_risk, account(&game).session_total), (Nanos::ZERO, PRICE));
}

#[test]
fn what_was_out_when_the_connection_was_lost_may_be_charged_however_long_ago_that_was() {
    let mut game = Game::new();
    game.ask_for(1);
    game.submit();
    game.lose_link();
    game.frames(400);
    assert_eq!(game.app.world().resource::<OffloadAccount>().at_risk, PRICE);
}

#[test]
fn without_a_folder_for_them_patient_tasks_may_be_charged_without_a_receipt_too() {
    let mut game = Game::new();
    game.ask(Offloading::new(spec(1), Blobs::default()).patient());
    assert_eq!(game.app.world().resource::<OffloadAccount>().at_risk, PRICE);
}

#[test]
fn a_cap_that_is_changed_holds_from_the_next_frame_on() {
    let mut game = capped(None, Some(PRICE));
    game.ask_for(1);
    game.submit();
    game.ask_for(2);
    assert!(game.sent.is_empty(), "the first one has taken what there is");
    assert_eq!(game.mode(), OffloadMode::Local(LocalReason::HourCap { cap: PRICE }));
    game.app.world_mut().resource_mut::<OffloadCaps>().hour = None;
    game.ask_for(3);
    game.submit();
    assert_eq!(game.mode(), OffloadMode::Remote);
    game.app.world_mut().resource_mut::<OffloadCaps>().hour = Some(Nanos(1));
    game.ask_for(4);
    assert!(game.sent.is_empty());
}

#[test]
fn a_cheap_task_that_still_fits_under_a_cap_does_not_hide_that_a_dear_one_does_not() {
    let cap = Nanos(500);
    let mut game = capped(Some(cap), None);
    let ask_dearly = |game: &mut Game| {
        game.ask(Offloading::new(TwiceSpec { units: 60_000, ..spec(1) }, Blobs::default()));
        assert!(game.sent.is_empty(), "it costs 600");
    };
    let reason = OffloadMode::Local(LocalReason::SessionCap { cap });
    for _ in 0..2 {
        ask_dearly(&mut game);
        assert_eq!(game.mode(), reason);
        game.ask_for(2);
        let task = game.submit().task;
        assert_eq!(game.mode(), reason);
        game.refuse(task, Refusal::TooLate { predicted_us: 1 });
        game.frames(20);
    }
    game.frames(100);
    game.ask_for(3);
    assert_eq!((game.submits().len(), game.mode()), (1, OffloadMode::Remote), "no dear one is asked for");
}

#[test]
fn an_hour_that_the_coordinator_says_is_spent_is_shown_and_tried_again_later() {
    let mut game = Game::new();
    game.ask_for(1);
    let task = game.submit().task;
    game.refuse(task, Refusal::HourCapReached { cap: Nanos(77) });
    game.ask_for(2);
    assert!(game.sent.is_empty());
    assert_eq!(game.mode(), OffloadMode::Local(LocalReason::HourCap { cap: Nanos(77) }));
    game.frames((Duration::from_secs(11).as_micros() / FRAME.as_micros()) as usize);
    game.ask_for(3);
    game.submit();
    assert_eq!(game.mode(), OffloadMode::Remote);
}
