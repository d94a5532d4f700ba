//! Several programs of one account.

use p2c2r_offload::prelude::*;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, is_remote};
use p2c2r_tests::puzzles::PATH;

#[test]
fn an_account_runs_so_many_games_and_the_next_is_told_while_they_go_on() {
    let mut cluster = Cluster::start(ClusterConfig {
        games: 0,
        workers: 1,
        ..ClusterConfig::new(ClusterWire::Memory, PATH)
    });
    for _ in 0..4 {
        cluster.add_game_of("ann");
    }
    cluster.until_connected(1);
    let fifth = cluster.add_game_of("ann");
    cluster.until("the fifth is told why", |cluster| {
        cluster.game(fifth).world().resource::<OffloadState>().mode.to_string().contains("as many programs")
    });
    cluster.steps(2_000);
    for index in 0..4 {
        assert!(is_remote(cluster.game(index)), "game {index} goes on");
    }
    assert!(!is_remote(cluster.game(fifth)));
    cluster.stop_game(0);
    cluster.until("there is room for the fifth", |cluster| is_remote(cluster.game(fifth)));
}
