//! A worker learns specs, and nothing about the gamers who sent them.

use bevy_app::PreUpdate;
use bevy_ecs::message::MessageReader;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs as _;
use bevy_ecs::system::ResMut;
use p2c2r_link::{FromServer, LinkSystems, PeerJoined};
use p2c2r_protocol::{
    AccountKey, Assign, Attempt, Digest, KernelOffer, KindId, Nanos, PriceList, Role, ServerToWorker,
    SpareToken, TaskNo, VerdictNotice, WorkerSession, WorkerStatement, WorkerWelcome, wire,
};
use p2c2r_tasks::KindRegistry;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire};
use p2c2r_tests::puzzles::{KINDS, PATH};

const GAMERS: [&str; 2] = ["wilhelmina-of-nowhere", "bartholomew-the-third"];
const TASKS_EACH: u64 = 3;

/// Every message that a worker received.
#[derive(Resource, Default)]
struct Heard(Vec<ServerToWorker>);

fn hear(mut messages: MessageReader<'_, '_, FromServer<ServerToWorker>>, mut heard: ResMut<'_, Heard>) {
    heard.0.extend(messages.read().map(|from| from.message.clone()));
}

/// Accounts and addresses of the gamers, which no worker may learn.
#[derive(Resource, Default)]
struct Gamers(Vec<(AccountKey, String)>);

fn note_gamers(mut joined: MessageReader<'_, '_, PeerJoined>, mut gamers: ResMut<'_, Gamers>) {
    let new = joined.read().filter(|joined| joined.role == Role::Gamer);
    gamers.0.extend(new.map(|joined| (joined.account, joined.address.clone())));
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

/// The kind, spec and blobs in a message, if it has a spec. It names every field of every message that a worker can be
/// sent, so that a new one does not compile until somebody has judged what it reveals. Those here are the coordinator's
/// own numbers, the worker's own name and account, prices, and the spec, which the caller examines.
fn spec_in(message: &ServerToWorker) -> Option<(KindId, &[u8], &[Vec<u8>])> {
    match message {
        ServerToWorker::Welcome(WorkerWelcome { name, prices, statement }) => {
            assert_eq!(name, "worker-0", "its own name");
            let PriceList {
                version: _,
                nanos_per_mega_unit: _,
                graphics_nanos_per_mega_unit: _,
                fee_basis_points: _,
            } = prices;
            look_at(statement);
            None
        }
        ServerToWorker::Assign(Assign { task, attempt, kind, lease_us: _, spec, blobs }) => {
            let (TaskNo(_), Attempt(_)) = (task, attempt);
            Some((*kind, spec, blobs))
        }
        ServerToWorker::Revoke { task: TaskNo(_), attempt: Attempt(_) }
        | ServerToWorker::Closing { reason: _ }
        | ServerToWorker::Spare(SpareToken(_)) => None,
        ServerToWorker::Statement(statement) => {
            look_at(statement);
            None
        }
    }
}

fn look_at(statement: &WorkerStatement) {
    let WorkerStatement { earned: Nanos(_), pending: Nanos(_), paid: Nanos(_), session, verdicts } =
        statement;
    let WorkerSession { earned: Nanos(_), accepted: _, rejected: _ } = session;
    for VerdictNotice { task: TaskNo(_), attempt: Attempt(_), earned: Nanos(_), rejected: _ } in verdicts {}
}

fn a_worker_learns_specs_and_nothing_of_whose_they_are(wire: ClusterWire) {
    let mut cluster =
        Cluster::start(ClusterConfig { games: 0, workers: 0, ..ClusterConfig::new(wire, PATH) });
    cluster
        .coordinator()
        .init_resource::<Gamers>()
        .add_systems(PreUpdate, note_gamers.after(LinkSystems::Receive));
    let worker = cluster.add_worker();
    cluster.worker(worker).init_resource::<Heard>().add_systems(PreUpdate, hear.after(LinkSystems::Receive));
    let games = GAMERS.map(|name| cluster.add_game_of(name));
    cluster.until_connected(1);
    for game in games {
        for kind in KINDS {
            (0..TASKS_EACH).for_each(|seed| {
                cluster.ask_for(game, *kind, seed + 100 * game as u64, false);
            });
        }
    }
    for game in games {
        cluster.until_endings(game, KINDS.len() * TASKS_EACH as usize);
    }
    let gamers = cluster.coordinator().world().resource::<Gamers>().0.clone();
    assert_eq!(gamers.len(), GAMERS.len());
    let mut secrets: Vec<Vec<u8>> = GAMERS.iter().map(|name| name.as_bytes().to_vec()).collect();
    for (account, address) in gamers {
        secrets.extend([account.0.to_vec(), account.to_string().into_bytes(), account.short().into_bytes()]);
        secrets.push(address.into_bytes());
    }
    let heard = std::mem::take(&mut cluster.worker(worker).world_mut().resource_mut::<Heard>().0);
    let kinds = KindRegistry::builtin();
    let mut kinds_seen: Vec<KindId> = Vec::new();
    for message in &heard {
        let bytes = wire::encode(message);
        for secret in &secrets {
            assert!(!holds(&bytes, secret), "{} in {message:?}", String::from_utf8_lossy(secret));
        }
        let Some((id, spec, blobs)) = spec_in(message) else { continue };
        // The bytes are one spec of the kind with nothing behind it, and the spec names every blob.
        let kind = kinds.get(id).expect("a kind of ours");
        let job = kind.decode(spec).expect("a spec and nothing behind it");
        for blob in blobs {
            assert!(job.blob_refs().contains(&Digest::of(blob)), "a blob that the spec does not name");
        }
        kinds_seen.push(id);
    }
    let offered: Vec<KindId> = kinds.offers().iter().map(|KernelOffer { kind, .. }| *kind).collect();
    for kind in offered {
        assert!(kinds_seen.contains(&kind), "no task of kind {kind:?} among {} messages", heard.len());
    }
}

#[test]
fn a_worker_learns_specs_and_nothing_of_whose_they_are_in_memory() {
    a_worker_learns_specs_and_nothing_of_whose_they_are(ClusterWire::Memory);
}

#[test]
fn a_worker_learns_specs_and_nothing_of_whose_they_are_over_udp() {
    a_worker_learns_specs_and_nothing_of_whose_they_are(ClusterWire::Udp);
}
