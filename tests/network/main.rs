//! The real programs on machines of their own: network namespaces behind routers that translate addresses. Needs root
//! (or CAP_NET_ADMIN and CAP_SYS_ADMIN), `ip` and `nft`; without them every test says so and passes.

mod internet;
mod parties;

use parties::Parties;

#[test]
fn everybody_joins_by_links_from_behind_translated_addresses() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let mut workers = parties.start_workers();
    let mut game = parties.start_game();
    coordinator.line(&format!("Gamer connected: linus ({}:2", parties.gamer().public_address()));
    for name in ["ada", "grace"] {
        coordinator.line(&format!("Routing to {name}"));
    }
    game.line("path workers");
    let report = parties.stop_game(game);
    assert!(report.count("remote") > 0 && report.cost() > 0, "{report:#?}");
    for worker in &mut workers {
        let said = worker.stop();
        assert!(said.contains("Total earned by this worker: $"), "{said}");
    }
    let said = coordinator.stop();
    for (name, home) in [("ada", parties.ada()), ("grace", parties.grace())] {
        let expected = format!("Worker connected: {name} ({}:2", home.public_address());
        assert!(said.contains(&expected), "`{expected}` is missing in:\n{said}");
    }
    // A task that was settled while the game left is in the books, and its receipt is not in the report.
    let ledger = parties.ledger();
    assert!(ledger["totals"]["revenue"].as_i64() >= Some(report.cost()), "{ledger:#}");
    assert!(ledger["totals"]["earned"].as_i64() > Some(0), "{ledger:#}");
}

/// The run and the checks of `./p2c2r demo`, on separate machines.
#[test]
fn the_demo_passes_between_machines() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let mut workers = parties.start_workers();
    let mut game = parties.start_game_for("20");
    game.ended_well();
    for worker in &mut workers {
        worker.stop();
    }
    coordinator.stop();
    parties.ledger();
    let report = parties.report();
    let by_workers = report.by_workers();
    for kind in ["path", "physics", "reflection"] {
        assert!(by_workers.iter().any(|&(name, count)| name == kind && count > 0), "{by_workers:?}");
    }
    assert_eq!(report.failed(), 0, "{report:#?}");
}

#[test]
fn tasks_go_on_when_workers_drop_out_and_come_back() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let [mut ada, _grace] = parties.start_workers();
    let mut game = parties.start_game();
    coordinator.line("Routing to grace");
    coordinator.line("Routing to ada");
    game.line("path workers");

    parties.ada().cut();
    coordinator.line("Worker disconnected: ada");
    coordinator.line("Routing to grace");
    coordinator.line("Result ready: path");

    parties.grace().cut();
    coordinator.line("Worker disconnected: grace");
    game.line("path coord");

    parties.ada().restore();
    ada.line("Connected!");
    coordinator.line("Worker connected: ada");
    coordinator.line("Routing to ada");
    game.line("path workers");

    let report = parties.stop_game(game);
    assert!(report.count("remote") > 0 && report.count("coordinator") > 0, "{report:#?}");
    assert_eq!(report.failed(), 0, "{report:#?}");
    coordinator.stop();
    assert!(parties.ledger()["totals"]["tasks_done"].as_u64() > Some(0));
}

#[test]
fn a_game_whose_link_is_cut_plays_on_alone_and_comes_back() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let _workers = parties.start_workers();
    let mut game = parties.start_game();
    game.line("path workers");

    parties.gamer().cut();
    game.line("borrowing ON (alone)");
    game.line("path here");
    coordinator.line("Gamer disconnected: linus");

    parties.gamer().restore();
    coordinator.line("Gamer connected: linus");
    game.line("tasks go to the coordinator");
    game.line("path workers");

    let report = parties.stop_game(game);
    assert!(report.count("remote") > 0 && report.count("local") > 0, "{report:#?}");
    assert_eq!(report.failed(), 0, "{report:#?}");
    coordinator.stop();
    assert!(parties.ledger()["totals"]["revenue"].as_i64() >= Some(report.cost()));
}

#[test]
fn a_worker_whose_router_gives_it_another_port_comes_back_as_itself() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let mut workers = parties.start_workers();
    let game = parties.start_game();
    coordinator.line("Routing to ada");
    let accounts = parties.accounts();

    parties.ada().restart_router();
    workers[0].line("Connected!");
    coordinator.line(&format!("Worker connected: ada ({}:5", parties.ada().public_address()));
    coordinator.line("Routing to ada");

    assert_eq!(parties.accounts(), accounts);
    parties.stop_game(game);
    coordinator.stop();
    let ledger = parties.ledger();
    let names = ledger["workers"].as_array().expect("workers").iter().map(|worker| &worker["name"]);
    assert_eq!(names.filter(|name| *name == "ada").count(), 1, "{ledger:#}");
}

/// The coordinator takes five seconds to notice by itself that an idle worker is gone: this one is back before.
#[test]
fn an_idle_worker_whose_router_gives_it_another_port_is_back_before_it_is_missed() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let mut workers = parties.start_workers();
    parties.ada().restart_router();
    coordinator.line(&format!("Worker connected: ada ({}:5", parties.ada().public_address()));
    workers[0].line("Connected!");
    for worker in &mut workers {
        worker.stop();
    }
    coordinator.stop();
    let said = coordinator.seen();
    let gone = said.lines().find(|line| line.contains("Worker disconnected: ada"));
    assert!(gone.is_some_and(|gone| gone.contains("it came back over another connection")), "{said}");
}

#[test]
fn everybody_joins_over_ipv6() {
    let Some(parties) = Parties::over_v6() else { return };
    let mut coordinator = parties.start_coordinator();
    let mut workers = parties.start_workers();
    let mut game = parties.start_game();
    coordinator.line("Gamer connected: linus ([2001:db8:a:2::2]:");
    coordinator.line("Routing to");
    game.line("path workers");
    let report = parties.stop_game(game);
    assert!(report.count("remote") > 0 && report.cost() > 0, "{report:#?}");
    for worker in &mut workers {
        worker.stop();
    }
    let said = coordinator.stop();
    for (name, address) in [("ada", "[2001:db8:a::2]"), ("grace", "[2001:db8:a:1::2]")] {
        assert!(said.contains(&format!("Worker connected: {name} ({address}:")), "{said}");
    }
    parties.ledger();
}

#[test]
fn everybody_comes_back_to_a_coordinator_that_was_killed_and_pays_once() {
    let Some(parties) = Parties::new() else { return };
    let mut first = parties.start_coordinator();
    let mut workers = parties.start_workers();
    let mut game = parties.start_game();
    game.line("path workers");

    first.signal("KILL");
    first.ended();
    let before = parties.ledger();
    game.line("borrowing ON (alone)");

    let mut second = parties.start_coordinator();
    for worker in &mut workers {
        worker.line("Connected!");
    }
    game.line("tasks go to the coordinator");
    second.line("Routing to");
    second.line("Result ready");
    game.line("path workers");

    let report = parties.stop_game(game);
    assert_eq!(report.failed(), 0, "{report:#?}");
    second.stop();
    let after = parties.ledger();
    let revenue = |ledger: &serde_json::Value| ledger["totals"]["revenue"].as_i64().expect("revenue");
    assert!(revenue(&after) > revenue(&before), "{after:#}");
    // The books have all that the game was shown as charged; their last entries may not have been shown. Receipts come
    // before both.
    let charged = report.charged();
    assert!((1..=revenue(&after)).contains(&charged), "{report:#?} {after:#}");
    assert_eq!(parties.accounts(), 3);
}

#[test]
fn whoever_cannot_use_udp_says_so_and_joins_once_it_is_let_through() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    for home in [parties.ada(), parties.gamer()] {
        home.block_udp();
    }
    let mut ada = parties.start_worker(parties.ada(), "ada");
    let mut game = parties.start_game();
    let sentence = "answers over TCP at 203.0.113.10:8765, but not over UDP";
    ada.line(sentence);
    game.line(sentence);
    coordinator.line("HTTPS arrives and UDP port 8765 does not");

    for home in [parties.ada(), parties.gamer()] {
        home.let_udp_through();
    }
    ada.line("Connected!");
    coordinator.line("UDP arrives: a program has connected");
    game.line("tasks go to the coordinator");
    coordinator.line("Routing to ada");
    game.line("path workers");

    let report = parties.stop_game(game);
    assert!(report.count("local") > 0 && report.count("remote") > 0, "{report:#?}");
    coordinator.stop();
    parties.ledger();
}

#[test]
fn the_doctor_names_what_is_in_the_way_and_what_to_do() {
    let Some(parties) = Parties::new() else { return };
    let mut coordinator = parties.start_coordinator();
    let (home, link) = (parties.ada(), parties.invite("worker"));
    let (is_good, said) = parties.examine(home, &link);
    assert!(is_good && said.contains("taken back from another port"), "{said}");

    home.lose_udp();
    let (_, said) = parties.examine(home, &link);
    let loss = said.lines().find(|line| line.contains("% of the packets on the way here"));
    assert!(loss.is_some_and(|line| !line.starts_with("ok")), "a quarter is lost: {said}");
    assert!(said.contains("-> A cable") || said.contains("-> Most answers come too late"), "{said}");

    home.block_udp();
    let (is_good, said) = parties.examine(home, &link);
    assert!(!is_good && said.contains("BAD   udp"), "{said}");
    assert!(said.contains("-> TCP comes through and UDP does not."), "{said}");

    home.let_udp_through();
    home.cut();
    let (is_good, said) = parties.examine(home, &link);
    assert!(!is_good && said.contains("BAD   tcp"), "{said}");
    assert!(said.contains("-> Does the coordinator run"), "{said}");

    home.restore();
    let (is_good, said) = parties.examine(home, &link);
    assert!(is_good, "the account that the first one made is still good: {said}");
    coordinator.stop();
}
