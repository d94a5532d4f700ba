//! Specs that name the snapshot an earlier outcome left. Coordinator and worker have kept it, so it is not sent again; one
//! that they lack is sent.

use p2c2r_offload::prelude::*;
use p2c2r_protocol::limits::BLOB_BYTES_MAX;
use p2c2r_tasks::Stop;
use p2c2r_tasks::physics::{Body, BodySnapshot, Physics, PhysicsSpec};
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, totals};
use p2c2r_tests::puzzles::{PHYSICS, Puzzling as _};

/// Asks for a task and waits until a worker has done it; returns the bytes that the game sent for it.
fn lend(cluster: &mut Cluster, task: Offloading<Physics>) -> u64 {
    let before = totals(cluster.game(0)).kinds["physics"].clone();
    cluster.game(0).world_mut().spawn(task);
    cluster.until("a worker has done the task", |cluster| {
        totals(cluster.game(0)).kinds["physics"].remote == before.remote + 1
    });
    totals(cluster.game(0)).kinds["physics"].bytes_up - before.bytes_up
}

/// The next window: the bodies of `left` but for the first, and a new one.
fn next(spec: &PhysicsSpec, left: &BodySnapshot) -> PhysicsSpec {
    let mut bodies = left.bodies().to_vec();
    bodies.remove(0);
    let newest = bodies.last().map_or(0, |body| body.id) + 1;
    let state = spec.bodies[0].state;
    bodies.push(Body { id: newest, state, ..spec.bodies[0] });
    PhysicsSpec { bodies, ..spec.clone() }
}

/// The snapshot that everyone who has the outcome of a task keeps.
fn left(spec: &PhysicsSpec, blobs: &Blobs) -> (std::sync::Arc<Blob>, BodySnapshot) {
    let outcome = Physics::run(spec, blobs, &Stop::never()).unwrap();
    let bytes = Physics::leaves(spec, blobs, &outcome).unwrap();
    assert!(bytes.len() <= BLOB_BYTES_MAX);
    let snapshot = BodySnapshot::from_blob(&bytes).unwrap();
    (Blob::new(bytes), snapshot)
}

#[test]
fn what_an_outcome_left_does_not_travel() {
    for wire in [ClusterWire::Memory, ClusterWire::Udp] {
        let mut cluster = Cluster::start(ClusterConfig::new(wire, PHYSICS).unhurried());
        cluster.until_connected(1);
        let (mut spec, _) = Physics::small_task(4);
        lend(&mut cluster, Offloading::new(spec.clone(), Blobs::default()));
        let (mut blob, mut snapshot) = left(&spec, &Blobs::default());
        for _ in 0..3 {
            spec = next(&spec, &snapshot);
            let changes = spec.changes_of(&snapshot, blob.digest());
            let blobs = Blobs::new(vec![blob.clone()]);
            let task = Offloading::new(changes.clone(), blobs.clone()).left(blob.digest());
            let sent = lend(&mut cluster, task);
            assert_eq!(sent, Physics::encode_spec(&changes).len() as u64, "the spec alone");
            (blob, snapshot) = left(&changes, &blobs);
        }
        assert_eq!(totals(cluster.game(0)).kinds["physics"].local, 0);
    }
}

#[test]
fn a_base_that_the_coordinator_does_not_have_after_all_is_asked_for() {
    let mut cluster = Cluster::start(ClusterConfig::new(ClusterWire::Memory, PHYSICS).unhurried());
    cluster.until_connected(1);
    let (spec, _) = Physics::small_task(4);
    // Nobody but this game has computed it.
    let (blob, snapshot) = left(&spec, &Blobs::default());
    let changes = next(&spec, &snapshot).changes_of(&snapshot, blob.digest());
    let task = Offloading::new(changes.clone(), Blobs::new(vec![blob.clone()])).left(blob.digest());
    let sent = lend(&mut cluster, task);
    let bytes = Physics::encode_spec(&changes).len();
    assert_eq!(sent, (2 * bytes + blob.bytes().len()) as u64, "once without, and once with the blob");
}
