//! `kill -9` of the coordinator at random moments, while games ask and workers answer over UDP, and started again on the same
//! folder each time: the ledger opens and balances, nothing is charged twice, nothing is missing that a game was shown as
//! charged, and patient tasks are delivered.

use std::collections::{BTreeMap, HashMap};
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, Update};
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::prelude::{Res, ResMut, Resource};
use p2c2r_link::{
    ClientLinkConfig, ClientLinkPlugin, EventDrivenPlugin, FromServer, GameSide, LinkClock, NextWake,
    Reconnect, ToServer,
};
use p2c2r_protocol::{GameToServer, Nanos, Refusal, Role, ServerToGame, Submit, TaskId};
use p2c2r_server::ledger;
use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
use p2c2r_tasks::{Blob, KindRegistry, TaskKind};
use p2c2r_tests::joining;
use p2c2r_tests::programs::{PATIENCE, Program, coordinator, invite, ledger_balances, worker};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use rusqlite::Connection;

/// How often `./p2c2r test --long` kills it.
const KILLS_VARIABLE: &str = "P2C2R_KILLS";
const SEED_VARIABLE: &str = "P2C2R_KILLS_SEED";
const KILLS: u32 = 200;
const GAMERS: usize = 2;
/// Timely tasks that each gamer keeps under way, and its patient ones that are not delivered yet, at most.
const TIMELY: usize = 12;
const PATIENT: usize = 6;
/// The deadline of a timely task.
const BUDGET: Duration = Duration::from_secs(5);
/// From the first answer after a start to the kill, milliseconds.
const KILL_AFTER_MS: std::ops::Range<u64> = 0..1_200;
/// Time between two looks at whether the gamer's work is over.
const LOOK: Duration = Duration::from_millis(20);
/// Jobs of a gamer are numbered from a multiple of this, so that no two gamers ask for the same. There are different specs
/// enough for three gamers.
const JOBS_EACH: u64 = 100_000;
const SIDE: u16 = 48;

/// Work that a gamer wants done once, under as many task ids as that takes.
#[derive(Clone, Copy, Debug)]
struct Job {
    number: u64,
    is_patient: bool,
}

/// What a gamer's thread and the test share.
#[derive(Default)]
struct Known {
    /// Its latest session's number.
    session: u32,
    next_id: u32,
    next_job: u64,
    open: BTreeMap<u64, Job>,
    /// The prices of its receipts, by task id.
    receipts: HashMap<u64, Nanos>,
    /// The numbers of its jobs, by the task ids under which they were submitted.
    jobs: HashMap<u64, u64>,
    patient_done: u64,
    /// The most that it was ever shown as charged.
    charged: Nanos,
    /// Answers since the coordinator was started last.
    answers: u64,
    /// Nothing new is asked for; patient tasks are still waited for.
    is_ending: bool,
    is_over: bool,
    wrong: Vec<String>,
    /// Why tasks ended without an outcome, and how often.
    without_outcome: BTreeMap<String, u32>,
}

#[derive(Resource, Clone, Default)]
struct Gamer(Arc<Mutex<Known>>);

impl Gamer {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn grid() -> Grid {
    let mut grid = Grid::new(SIDE, SIDE);
    for at in (4..SIDE).step_by(8) {
        (0..SIDE - 6).for_each(|y| grid.set_blocked(Cell::new(at, y), true));
    }
    grid
}

impl Known {
    /// A submit of the job under an id of this session. Every job is another task, so that none is answered from the cache.
    fn submit(&mut self, job: Job, id: u64, now: p2c2r_protocol::Micros) -> Submit {
        let blob = Blob::new(grid().to_blob());
        let place = |at: u64| Cell::new((at / 6 % 6) as u16 * 8, (at % u64::from(SIDE)) as u16);
        let n = job.number;
        let queries = vec![
            Query { from: place(n), to: place(n / 5 + 7) },
            Query { from: Cell::new(0, (n % u64::from(SIDE)) as u16), to: place(n / u64::from(SIDE)) },
            Query { from: place(n / 2_304), to: place(n / 11 + 3) },
        ];
        self.jobs.insert(id, n);
        Submit {
            task: TaskId(id),
            kind: Path::ID,
            kernel_version: Path::KERNEL_VERSION,
            budget_us: (!job.is_patient).then_some(BUDGET.as_micros() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: now,
            spec: Path::encode_spec(&PathSpec { grid: blob.digest(), queries }).into(),
            blobs: vec![blob.bytes().to_vec()],
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        u64::from(self.session) << 32 | u64::from(self.next_id)
    }

    fn done(&mut self, id: u64, price: Nanos) {
        self.answers += 1;
        if let Some(before) = self.receipts.insert(id, price)
            && before != price
        {
            self.wrong.push(format!("{id:x} cost {before} and then {price}"));
        }
        let Some(number) = self.jobs.get(&id) else {
            self.wrong.push(format!("{id:x} was never asked for"));
            return;
        };
        let job = self.open.remove(number);
        self.patient_done += u64::from(job.is_some_and(|job| job.is_patient));
    }

    /// A task ended without an outcome. Patient ones are asked for anew where the coordinator no longer knows them.
    fn came_to_nothing(&mut self, id: u64, why: String) -> Option<Job> {
        *self.without_outcome.entry(why).or_default() += 1;
        let number = self.jobs.get(&id)?;
        let job = *self.open.get(number)?;
        if job.is_patient {
            return Some(job);
        }
        self.open.remove(number);
        None
    }
}

fn ask(
    gamer: Res<'_, Gamer>,
    mut heard: ResMut<'_, Messages<FromServer<ServerToGame>>>,
    mut say: MessageWriter<'_, ToServer<GameToServer>>,
    mut exit: MessageWriter<'_, AppExit>,
    mut next: ResMut<'_, NextWake>,
    link: Res<'_, p2c2r_link::ClientLink>,
    clock: Res<'_, LinkClock>,
) {
    let (known, now) = (&mut *gamer.known(), clock.now());
    let mut submits = Vec::new();
    let mut is_new = false;
    for FromServer { message, .. } in heard.drain() {
        match message {
            ServerToGame::Welcome(welcome) => {
                // Task numbers continue: a coordinator that was killed may give the same session number again.
                (known.session, is_new) = (welcome.session, true);
                known.charged = known.charged.max(welcome.statement.charged);
            }
            ServerToGame::Statement(statement) => {
                if statement.charged < known.charged {
                    let wrong = format!("{} charged after {}", statement.charged, known.charged);
                    known.wrong.push(wrong);
                }
                known.charged = known.charged.max(statement.charged);
            }
            ServerToGame::Done(done) => known.done(done.task.0, done.receipt.price),
            ServerToGame::Failed { task, failure } => {
                if let Some(job) = known.came_to_nothing(task.0, failure.to_string()) {
                    let id = known.new_id();
                    submits.push(known.submit(job, id, now));
                }
            }
            ServerToGame::Refused { task, refusal } => {
                let job = known.came_to_nothing(task.0, refusal.to_string());
                if let Some(job) = job.filter(|_| refusal == Refusal::IdReused) {
                    let id = known.new_id();
                    submits.push(known.submit(job, id, now));
                }
            }
            ServerToGame::Closing { .. } | ServerToGame::Spare(_) => {}
        }
    }
    if is_new {
        // Open jobs are asked for again under their former ids, and so is a finished one, which must cost nothing more.
        let known_ids: Vec<(u64, u64)> = known.jobs.iter().map(|(id, job)| (*id, *job)).collect();
        for (id, number) in known_ids {
            if let Some(job) = known.open.get(&number).copied() {
                submits.push(known.submit(job, id, now));
            }
        }
        let again = known.receipts.keys().copied().max();
        if let Some(id) = again {
            let job = Job { number: known.jobs[&id], is_patient: false };
            submits.push(known.submit(job, id, now));
        }
    }
    while link.is_connected() && known.session > 0 && !known.is_ending {
        let count = |is_patient| known.open.values().filter(|job| job.is_patient == is_patient).count();
        let is_patient = count(true) < PATIENT && known.next_job.is_multiple_of(5);
        if !is_patient && count(false) >= TIMELY {
            break;
        }
        let job = Job { number: known.next_job, is_patient };
        known.next_job += 1;
        known.open.insert(job.number, job);
        let id = known.new_id();
        submits.push(known.submit(job, id, now));
    }
    for submit in submits {
        say.write(ToServer(GameToServer::Submit(submit)));
    }
    if known.is_over {
        exit.write(AppExit::Success);
    }
    next.within(LOOK);
}

/// Starts a gamer on a thread of its own.
fn start(link: &str, number: usize) -> (Gamer, JoinHandle<()>) {
    let identity = KindRegistry::builtin().identity();
    let name = format!("gamer-{number}");
    let transport = joining::by_link(link, Role::Gamer, &name, identity.clone()).expect("a join link");
    let gamer = Gamer::default();
    gamer.known().next_job = number as u64 * JOBS_EACH;
    let its = gamer.clone();
    let thread = std::thread::spawn(move || {
        let mut app = App::new();
        let reconnect = Reconnect { longest_pause: Duration::from_millis(300), ..Reconnect::default() };
        app.add_plugins((
            EventDrivenPlugin::default(),
            ClientLinkPlugin::<GameSide>::new(ClientLinkConfig {
                transport,
                identity,
                name,
                rate_limit: None,
                impair: None,
                reconnect,
            }),
        ))
        .insert_resource(its)
        .add_systems(Update, ask);
        p2c2r_link::headless(&mut app);
        app.run();
    });
    (gamer, thread)
}

#[track_caller]
fn until(what: &str, coordinator: &mut Program, gamers: &[Gamer], is_so: impl Fn(&Known) -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !gamers.iter().all(|gamer| is_so(&gamer.known())) {
        if Instant::now() > give_up {
            let known = |gamer: &Gamer| {
                let Known { open, without_outcome, .. } = &*gamer.known();
                format!("open: {open:?}; without an outcome: {without_outcome:?}\n")
            };
            let gamers: String = gamers.iter().map(known).collect();
            panic!("{what}: not in time\n{gamers}{}", coordinator.seen());
        }
        coordinator.hear_until(Instant::now() + LOOK);
    }
}

fn started(folder: &FilePath, listen: &str) -> (Program, String) {
    coordinator(folder, listen, |name, mut command| {
        command.env("P2C2R_LOG", "warn");
        Program::start(name, command)
    })
}

/// The charged tasks in the ledger: the gamer's name, the task's id, and the price.
fn charged_tasks(path: &FilePath) -> Vec<(String, u64, i64)> {
    let ledger = Connection::open(path).expect("the ledger opens");
    let mut rows = ledger
        .prepare(
            "SELECT name, game_task, pay + fee FROM tasks JOIN accounts ON accounts.id = gamer WHERE state = 2",
        )
        .expect("tasks have these columns");
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64, row.get(2)?));
    let rows = rows.query_map([], read).expect("tasks are read");
    rows.map(|row| row.expect("a row")).collect()
}

/// Checks that the ledger has everything that gamers were shown as charged, once, and at the price of its receipt.
fn compare(path: &FilePath, gamers: &[Gamer]) {
    let report = ledger::report(path).expect("the ledger is read");
    let tasks = charged_tasks(path);
    for (number, gamer) in gamers.iter().enumerate() {
        let known = gamer.known();
        assert!(known.wrong.is_empty(), "gamer {number}: {:?}", known.wrong);
        let name = format!("gamer-{number}");
        let line = report.gamers.iter().find(|line| line.name == name).expect("its account");
        let of_it: HashMap<u64, i64> =
            tasks.iter().filter(|(whose, ..)| *whose == name).map(|(_, id, cost)| (*id, *cost)).collect();
        let sum: i64 = of_it.values().sum();
        assert_eq!(line.turnover.0, sum, "every task was charged once");
        assert!(known.charged > Nanos::ZERO, "gamer {number} was shown no charge");
        assert!(sum >= known.charged.0, "gamer {number} was shown {} as charged: {sum} is", known.charged);
        for (id, cost) in &of_it {
            assert!(known.jobs.contains_key(id), "{id:x} was charged and never asked for");
            if let Some(price) = known.receipts.get(id) {
                assert_eq!(*cost, price.0, "{id:x} costs what its receipt says");
            }
        }
    }
}

fn kill_again_and_again(kills: u32) {
    let seed = std::env::var(SEED_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("{kills} kills, {SEED_VARIABLE}={seed}");
    let mut random = Pcg32::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("coordinator").join("results.db");
    let (mut program, address) = started(folder.path(), "127.0.0.1:0");
    let mut workers = ["ada", "grace"].map(|name| worker(folder.path(), name, Program::start));
    let (gamers, threads): (Vec<Gamer>, Vec<JoinHandle<()>>) =
        (0..GAMERS).map(|number| start(&invite(folder.path(), "gamer"), number)).unzip();
    let mut under_way = 0;
    for kill in 0..kills {
        until("everybody is answered", &mut program, &gamers, |known| known.answers > 0);
        let wait = random.random_range(KILL_AFTER_MS);
        program.hear_until(Instant::now() + Duration::from_millis(wait));
        program.signal("KILL");
        program.ended();
        under_way += gamers.iter().map(|gamer| gamer.known().open.len()).sum::<usize>();
        let check = ledger::check(&path).expect("the ledger opens after a kill");
        assert!(check.ok, "kill {kill}: {:?}", check.problems);
        for gamer in &gamers {
            gamer.known().answers = 0;
        }
        program = started(folder.path(), &address).0;
    }
    until("everybody is answered", &mut program, &gamers, |known| known.answers > 0);
    for gamer in &gamers {
        gamer.known().is_ending = true;
    }
    until("everything is delivered", &mut program, &gamers, |known| known.open.is_empty());
    let count = |gamer: &Gamer| {
        let known = gamer.known();
        (known.receipts.len(), known.patient_done)
    };
    let (done, patient): (Vec<usize>, Vec<u64>) = gamers.iter().map(count).unzip();
    for gamer in &gamers {
        gamer.known().is_over = true;
    }
    for thread in threads {
        thread.join().expect("a gamer ends");
    }
    for worker in &mut workers {
        worker.stop();
    }
    program.stop();
    ledger_balances(folder.path());
    compare(&path, &gamers);
    assert!(patient.iter().all(|count| *count > 0), "patient tasks were delivered: {patient:?}");
    assert!(under_way > 0, "it was killed with tasks under way");
    println!(
        "{kills} kills survived with {under_way} tasks under way; outcomes {done:?}, of them patient {patient:?}"
    );
}

#[test]
fn a_coordinator_killed_at_any_moment_loses_and_doubles_nothing() {
    kill_again_and_again(4);
}

/// Two hundred kills, or as many as `P2C2R_KILLS` says.
#[test]
#[ignore = "long"]
fn a_coordinator_killed_hundreds_of_times_loses_and_doubles_nothing() {
    let kills = std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    kill_again_and_again(kills);
}
