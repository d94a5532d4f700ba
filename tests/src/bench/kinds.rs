//! Every kind end to end: tasks of play through the offload plugin, the real coordinator with admission,
//! checks and ledger, and a worker, in processes of their own. Every answer gets the deep check after its
//! round.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, Update};
use bevy_ecs::entity::Entity;
use bevy_ecs::message::{MessageReader, MessageWriter};
use bevy_ecs::prelude::{Commands, Res, ResMut, Resource};
use p2c2r_link::{EventDrivenPlugin, NextWake};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::{Nanos, Role};

use super::condition::Condition;
use super::network::Network;
use super::play::{Play, Played, Varied};
use super::{BenchRound, BenchRow, Load, echo, summarise};
use crate::joining;

/// Time-out of one kind.
const PATIENCE: Duration = Duration::from_mins(10);

/// Different tasks of play that are measured, each in many variants. Every path has a grid of its own, and at
/// the bench's pace a game sends more new grids than the coordinator accepts from one: 16 at once, then eight
/// a second.
const TASKS_MAX: usize = 12;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct KindsPlan {
    /// Requests kept under way at a time, each a row.
    pub in_flight: &'static [usize],
    /// Requests per round.
    pub requests: usize,
    /// Rounds per row, after one that is not recorded.
    pub rounds: usize,
}

/// One row per kind and number of requests under way.
pub fn rows(play: &Play, plan: KindsPlan) -> io::Result<Vec<BenchRow>> {
    let network = Network::start()?;
    let mut rows = measure::<p2c2r_tasks::path::Path>(&play.path, plan, network.game_link())?;
    rows.extend(measure::<p2c2r_tasks::physics::Physics>(&play.physics, plan, network.game_link())?);
    rows.extend(measure::<p2c2r_tasks::reflection::Reflection>(&play.reflection, plan, network.game_link())?);
    rows.extend(measure::<p2c2r_tasks::lightfield::Lightfield>(&play.lightfield, plan, network.game_link())?);
    rows.extend(measure::<p2c2r_tasks::tactics::Tactics>(&play.tactics, plan, network.game_link())?);
    Ok(rows)
}

fn measure<K: Varied>(played: &Played<K>, plan: KindsPlan, link: &str) -> io::Result<Vec<BenchRow>> {
    let rounds = plan.in_flight.iter().flat_map(|in_flight| {
        let load = Load { size_bytes: 0, in_flight: *in_flight, requests: plan.requests, per_s: None };
        std::iter::repeat_n(load, plan.rounds + 1)
    });
    let requests = plan.requests * (plan.rounds + 1) * plan.in_flight.len();
    let (report, results) = channel();
    let transport = joining::by_link(link, Role::Gamer, "bench", echo::kinds().identity())?;
    let mut app = App::new();
    app.add_plugins((
        OffloadPlugin {
            config: OffloadConfig { kinds: echo::kinds(), link: Some(transport), ..OffloadConfig::default() },
        },
        EventDrivenPlugin::default(),
    ))
    .add_offload_kind::<K>(KindSettings {
        deadline: Duration::from_secs(30),
        price_cap: Nanos::DOLLAR,
        late: OnLate::Drop,
    })
    .insert_resource(Client::<K> {
        tasks: some_of::<K>(&played.tasks, requests),
        rounds: rounds.collect(),
        round: 0,
        asked: 0,
        asked_before: 0,
        under_way: HashMap::new(),
        answers: Vec::new(),
        measured: BenchRound::default(),
        start: Instant::now(),
        report,
        give_up: Instant::now() + PATIENCE,
    })
    .add_systems(Update, keep_under_way::<K>);
    app.run();
    let measured: Vec<(BenchRound, Vec<Answer<K>>)> = results.into_iter().collect::<io::Result<_>>()?;
    let mut rows = Vec::new();
    for (of_load, in_flight) in measured.chunks(plan.rounds + 1).zip(plan.in_flight) {
        let mut bytes = 0;
        for (spec, blobs, outcome) in of_load.iter().flat_map(|(_, answers)| answers) {
            bytes += K::encode_outcome(outcome).len();
            K::check(spec, blobs, outcome)
                .and_then(|()| K::deep_check(spec, blobs, outcome, bytes as u64))
                .map_err(|error| io::Error::other(format!("a wrong {} outcome: {error}", K::NAME)))?;
        }
        let size_bytes = bytes / (plan.requests * (plan.rounds + 1)).max(1);
        let load = Load { size_bytes, in_flight: *in_flight, requests: plan.requests, per_s: None };
        let mut recorded: Vec<BenchRound> = of_load[1..].iter().map(|(round, _)| round.clone()).collect();
        rows.push(summarise(K::NAME, Condition::Quiet, load, &mut recorded));
    }
    Ok(rows)
}

/// At most [`TASKS_MAX`] of `tasks`, spread over the play, enough for `requests` different ones.
fn some_of<K: Varied>(tasks: &[(K::Spec, Blobs)], requests: usize) -> Vec<(K::Spec, Blobs)> {
    let each = requests.div_ceil(TASKS_MAX.min(tasks.len().max(1))) as u64;
    let varied: Vec<_> = tasks.iter().filter(|(spec, _)| K::variants(spec) >= each).collect();
    let stride = varied.len().div_ceil(TASKS_MAX).max(1);
    varied.into_iter().step_by(stride).cloned().collect()
}

type Answer<K> = (<K as TaskKind>::Spec, Blobs, Arc<<K as TaskKind>::Outcome>);

#[derive(Resource)]
struct Client<K: Varied> {
    tasks: Vec<(K::Spec, Blobs)>,
    rounds: Vec<Load>,
    round: usize,
    /// Tasks asked for in this round, and in all rounds before it.
    asked: usize,
    asked_before: usize,
    under_way: HashMap<Entity, (Instant, usize)>,
    answers: Vec<Answer<K>>,
    measured: BenchRound,
    start: Instant,
    report: Sender<io::Result<(BenchRound, Vec<Answer<K>>)>>,
    give_up: Instant,
}

impl<K: Varied> Client<K> {
    /// Task `number` of this run: no two are equal.
    fn task(&self, number: usize) -> (K::Spec, Blobs) {
        let (spec, blobs) = &self.tasks[number % self.tasks.len()];
        (K::vary(spec, (number / self.tasks.len()) as u32), blobs.clone())
    }

    fn take(&mut self, done: &Offloaded<K>) -> io::Result<()> {
        let Some((sent, number)) = self.under_way.remove(&done.entity) else {
            return Err(io::Error::other("an answer to a task that is not under way"));
        };
        self.measured.latencies_us.push(sent.elapsed().as_secs_f64() * 1e6);
        if !matches!(done.place, Place::Worker { .. }) {
            return Err(io::Error::other(format!("a task was answered by {}", done.place)));
        }
        let (spec, blobs) = self.task(number);
        self.answers.push((spec, blobs, Arc::clone(&done.outcome)));
        Ok(())
    }

    /// Reports the round if it is over; returns whether another follows.
    fn next_round(&mut self, load: Load) -> bool {
        if self.answers.len() == load.requests {
            self.measured.elapsed = self.start.elapsed();
            let round = (std::mem::take(&mut self.measured), std::mem::take(&mut self.answers));
            // The receiver is gone if the bench has ended.
            let _ = self.report.send(Ok(round));
            self.round += 1;
            self.asked_before += std::mem::take(&mut self.asked);
            self.start = Instant::now();
        }
        self.round < self.rounds.len()
    }
}

fn keep_under_way<K: Varied>(
    mut client: ResMut<'_, Client<K>>,
    mut done: MessageReader<'_, '_, Offloaded<K>>,
    mut failed: MessageReader<'_, '_, OffloadFailed<K>>,
    account: Res<'_, OffloadAccount>,
    mut next_wake: ResMut<'_, NextWake>,
    mut commands: Commands<'_, '_>,
    mut exit: MessageWriter<'_, AppExit>,
) {
    next_wake.within(Duration::from_secs(1));
    let mut trouble = done.read().find_map(|done| client.take(done).err());
    if let Some(failed) = failed.read().next() {
        trouble = Some(io::Error::other(format!("a {} task failed: {}", K::NAME, failed.reason)));
    }
    if Instant::now() > client.give_up {
        trouble = Some(io::Error::other(format!("{} did not end in time", K::NAME)));
    }
    if let Some(trouble) = trouble {
        let _ = client.report.send(Err(trouble));
        exit.write(AppExit::error());
        return;
    }
    if client.asked == 0 && client.round == 0 {
        if account.statement.is_none_or(|statement| statement.workers == 0) {
            return;
        }
        client.start = Instant::now();
    }
    let load = client.rounds[client.round];
    if !client.next_round(load) {
        exit.write(AppExit::Success);
        return;
    }
    let load = client.rounds[client.round];
    while client.asked < load.requests && client.under_way.len() < load.in_flight {
        let number = client.asked_before + client.asked;
        let (spec, blobs) = client.task(number);
        let sent = Instant::now();
        let entity = commands.offload::<K>(spec, blobs).id();
        client.under_way.insert(entity, (sent, number));
        client.asked += 1;
    }
}
