//! Outcomes that the coordinator's memory has no room for: they are read from its ledger, and cost as little as those in
//! memory.

use p2c2r_offload::prelude::*;
use p2c2r_server::config::TrustRules;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, is_remote};
use p2c2r_tests::puzzles::PATH;

fn an_outcome_that_is_only_on_disk_is_reused(wire: ClusterWire) {
    let mut cluster = Cluster::start(
        ClusterConfig {
            cache_entries: 1,
            trust: TrustRules::default().always(),
            ..ClusterConfig::new(wire, PATH)
        }
        .unhurried(),
    );
    cluster.until_connected(1);
    for number in 0..3 {
        cluster.ask(0, number);
        let endings = cluster.until_endings(0, number as usize + 1);
        assert!(endings[number as usize].1.is_remote(), "{endings:?}");
    }
    for restart in [false, true] {
        assert_eq!(cluster.books().kinds[0].by_worker, 3);
        if restart {
            // At its start it reads only the newest outcome into memory.
            cluster.kill_coordinator();
            cluster.until("the game has noticed", |cluster| !is_remote(cluster.game(0)));
            cluster.start_coordinator();
            cluster.until_connected(1);
        }
        for seed in 0..3 {
            let number = cluster.ask(0, seed);
            let endings = cluster.until_endings(0, number + 1);
            assert_eq!(endings[number].1.place(), Some(&Place::Cache), "restart: {restart}, seed {seed}");
        }
    }
    let books = cluster.books();
    assert_eq!((books.kinds[0].by_worker, books.kinds[0].by_cache), (3, 6));
}

#[test]
fn an_outcome_that_is_only_on_disk_is_reused_in_memory() {
    an_outcome_that_is_only_on_disk_is_reused(ClusterWire::Memory);
}

#[test]
fn an_outcome_that_is_only_on_disk_is_reused_over_udp() {
    an_outcome_that_is_only_on_disk_is_reused(ClusterWire::Udp);
}
