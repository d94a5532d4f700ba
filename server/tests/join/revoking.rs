//! What closing an account does to its programs: the coordinator's app and the programs' links, over real HTTPS and UDP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bevy_app::App;
use bevy_ecs::message::Messages;
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    Access, ClientLink, FromServer, Impairment, LinkDown, LinkStatus, Mint, NoToken, Peers, TokenAnswer,
    TokenSource, WorkerSide, fetch,
};
use p2c2r_protocol::{Role, ServerToWorker};
use p2c2r_server::join::WallSeconds;
use p2c2r_server::join::store::ACCOUNTS_FILE;
use rusqlite::Connection;

use crate::lab::{Folder, PATIENCE, key, secret};
use crate::town::Town;

/// Part of the reason that a program hears whose account made place for another.
const MADE_PLACE: &str = "made place";
/// Part of the reason that the programs of a closed account hear.
const CLOSED: &str = "closed this account";

impl Town {
    /// Steps coordinator and worker until `is_so`.
    #[track_caller]
    fn until(&mut self, what: &str, worker: &mut App, mut is_so: impl FnMut(&mut App, &mut App) -> bool) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            worker.update();
            self.app.update();
            if is_so(&mut self.app, worker) {
                return;
            }
            assert!(Instant::now() < give_up, "{what}: {:?}", worker.world().resource::<ClientLink>());
            std::thread::yield_now();
        }
    }

    /// Steps both until the worker has shown a token that is void.
    #[track_caller]
    fn is_no_way_in(&mut self, worker: &mut App) {
        let shown = |app: &App| app.world().resource::<Peers>().totals().refused.unknown_token;
        let before = shown(&self.app);
        self.until("the token is shown", worker, |coordinator, _| shown(coordinator) > before);
        assert!(!worker.world().resource::<ClientLink>().is_connected());
        assert_eq!(peers(&self.app), 0);
    }
}

/// A token that was fetched before.
#[derive(Debug)]
struct Before(Access);

impl TokenSource for Before {
    fn ask(&self, answer: TokenAnswer) {
        answer.give(Ok(self.0.clone()));
    }
}

fn peers(app: &App) -> usize {
    app.world().resource::<Peers>().len()
}

/// Why the link has gone down, if it has.
fn loss(worker: &mut App) -> Option<String> {
    worker.world_mut().resource_mut::<Messages<LinkDown>>().drain().next().map(|down| down.reason.detail)
}

#[test]
fn a_closed_accounts_programs_are_disconnected_told_why_and_kept_out_also_with_a_token_from_before() {
    let folder = Folder::new();
    let mut town = Town::open(&folder);
    let client = town.client("ada", Some(folder.invite(Role::Worker, 1)));
    let mut worker = town.worker(Arc::new(client.clone()));
    town.until("it is welcomed", &mut worker, |_, worker| {
        let heard = worker.world().resource::<Messages<FromServer<ServerToWorker>>>();
        heard.iter_current_update_messages().any(|heard| matches!(heard.message, ServerToWorker::Welcome(_)))
    });
    let before = fetch(&client, PATIENCE).unwrap();

    folder.store().revoke(key(1), WallSeconds::now()).unwrap();
    let mut said = None;
    town.until("it is put out", &mut worker, |coordinator, worker| {
        said = said.take().or_else(|| loss(worker));
        said.is_some() && peers(coordinator) == 0
    });
    assert!(said.as_ref().is_some_and(|said| said.contains(CLOSED)), "{said:?}");
    town.until("it gets no token any more", &mut worker, |_, worker| {
        let status = worker.world().resource::<ClientLink>().status();
        matches!(status, LinkStatus::Refused { reason } if reason.detail.contains(CLOSED))
    });

    let mut late = town.worker(Arc::new(Before(before)));
    town.is_no_way_in(&mut late);
}

/// Puts a program out whose round trips take 400 ms and that is silent meanwhile: the coordinator does not wait for it.
#[test]
fn a_closed_accounts_program_is_out_without_being_asked_however_far_away_it_is() {
    let folder = Folder::new();
    let mut town = Town::open(&folder);
    let client = town.client("ada", Some(folder.invite(Role::Worker, 1)));
    let far = Impairment { latency: Duration::from_millis(200), ..Impairment::NONE };
    let mut worker = town.member_over::<WorkerSide>(Arc::new(client), Some(far));
    town.until("it joins", &mut worker, |coordinator, _| peers(coordinator) == 1);

    folder.store().revoke(key(1), WallSeconds::now()).unwrap();
    let (began, mut updates) = (Instant::now(), 0);
    while peers(&town.app) > 0 {
        town.app.update();
        updates += 1;
        assert!(began.elapsed() < PATIENCE, "it stays");
        std::thread::yield_now();
    }
    println!("out after {:?}, in {updates} updates", began.elapsed());
    let mut said = None;
    town.until("it is told", &mut worker, |_, worker| {
        said = said.take().or_else(|| loss(worker));
        said.is_some()
    });
    assert!(said.as_ref().is_some_and(|said| said.contains(CLOSED)), "not by its silence: {said:?}");
}

#[test]
fn a_program_whose_account_made_place_for_another_is_disconnected_and_told_what_is_full() {
    let folder = Folder::new();
    let mut town = Town::open_with(&folder, |config| {
        config.join.open.workers = true;
        config.join.open.accounts_max = 1;
    });
    let client = town.client("ada", None);
    let mut worker = town.worker(Arc::new(client.clone()));
    town.until("it joins", &mut worker, |coordinator, _| peers(coordinator) == 1);
    let before = fetch(&client, PATIENCE).unwrap();
    let store = Connection::open(folder.path().join(ACCOUNTS_FILE)).unwrap();
    assert_eq!(store.execute("UPDATE accounts SET seen_at = 1", []).unwrap(), 1);

    let other = town.client_of(secret(2), Role::Worker, "bob", None);
    fetch(&other, PATIENCE).unwrap();
    let mut said = None;
    town.until("it is put out", &mut worker, |coordinator, worker| {
        said = said.take().or_else(|| loss(worker));
        said.is_some() && peers(coordinator) == 0
    });
    assert!(said.as_ref().is_some_and(|said| said.contains(MADE_PLACE)), "{said:?}");
    town.until("it is told what is full", &mut worker, |_, worker| {
        let status = worker.world().resource::<ClientLink>().status();
        matches!(status, LinkStatus::Refused { reason } if reason.detail.contains("as many accounts"))
    });
    assert_eq!(tokens_out(&town.app), 1, "those of the account that made place are void");
    let mut late = town.worker(Arc::new(Before(before)));
    town.is_no_way_in(&mut late);
}

#[test]
fn a_connected_account_makes_no_place_however_long_it_has_fetched_no_token() {
    let folder = Folder::new();
    let mut town = Town::open_with(&folder, |config| {
        config.join.open.workers = true;
        config.join.open.accounts_max = 1;
    });
    let mut worker = town.worker(Arc::new(town.client("ada", None)));
    town.until("it joins", &mut worker, |coordinator, _| peers(coordinator) == 1);
    let store = Connection::open(folder.path().join(ACCOUNTS_FILE)).unwrap();
    assert_eq!(store.execute("UPDATE accounts SET seen_at = 1", []).unwrap(), 1);

    town.app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_hours(1)));
    town.app.update();
    town.app.insert_resource(TimeUpdateStrategy::Automatic);
    assert_eq!(peers(&town.app), 1);
    let seen_at = || store.query_row("SELECT seen_at FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap();
    town.until("it is noted that it is there", &mut worker, |_, _| seen_at() > 1);
    let other = town.client_of(secret(2), Role::Worker, "bob", None);
    let refused = fetch(&other, PATIENCE);
    assert!(
        matches!(&refused, Err(NoToken::Refused { reason }) if reason.detail.contains("as many accounts")),
        "{refused:?}"
    );
}

/// A worker that has joined and has its spare token.
fn with_spare_token(town: &mut Town, folder: &Folder) -> App {
    let mut worker = town.joined(folder, "ada");
    town.until("it is given its spare token", &mut worker, |coordinator, _| tokens_out(coordinator) == 1);
    for _ in 0..100 {
        town.app.update();
        worker.update();
    }
    worker
}

/// Connect tokens that are out: those that were fetched and not used, and the spare ones of connected programs.
fn tokens_out(app: &App) -> usize {
    app.world().resource::<Mint>().outstanding()
}

#[test]
fn closing_an_account_voids_the_spare_token_of_its_program() {
    let folder = Folder::new();
    let mut town = Town::open(&folder);
    let mut worker = with_spare_token(&mut town, &folder);
    folder.store().revoke(key(1), WallSeconds::now()).unwrap();
    town.until("it is put out", &mut worker, |coordinator, _| peers(coordinator) == 0);
    assert_eq!(tokens_out(&town.app), 0);
}

#[test]
fn a_program_that_was_cut_off_when_its_account_was_closed_does_not_come_back_by_its_spare_token() {
    let folder = Folder::new();
    let mut town = Town::open(&folder);
    let mut worker = with_spare_token(&mut town, &folder);
    folder.store().revoke(key(1), WallSeconds::now()).unwrap();
    // The coordinator stands still until the worker misses it, and so has not heard of the account either.
    let give_up = Instant::now() + PATIENCE;
    while worker.world().resource::<ClientLink>().is_connected() {
        worker.update();
        assert!(Instant::now() < give_up, "it misses nothing");
        std::thread::yield_now();
    }
    worker.world_mut().resource_mut::<Messages<FromServer<ServerToWorker>>>().clear();
    let mut is_welcome = false;
    town.until("it is turned away", &mut worker, |_, worker| {
        let heard = worker.world().resource::<Messages<FromServer<ServerToWorker>>>();
        is_welcome |= heard
            .iter_current_update_messages()
            .any(|heard| matches!(heard.message, ServerToWorker::Welcome(_)));
        let status = worker.world().resource::<ClientLink>().status();
        matches!(status, LinkStatus::Refused { reason } if reason.detail.contains(CLOSED))
    });
    assert!(!is_welcome);
    assert_eq!((peers(&town.app), tokens_out(&town.app)), (0, 0));
}
