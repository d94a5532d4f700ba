//! Networks that lose, duplicate, reorder and delay: every task ends once, and the books balance.

use std::time::Duration;

use p2c2r_link::Impairment;
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Nanos;
use p2c2r_server::config::Fallback;
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding, totals};
use p2c2r_tests::puzzles::{KINDS, PuzzleKind};

use crate::for_every_kind;

for_every_kind!(every_task_ends_once_on_every_preset);

fn every_task_ends_once_on_every_preset(wire: ClusterWire, kind: PuzzleKind) {
    let presets: &[&str] = match wire {
        ClusterWire::Memory => Impairment::PRESETS,
        ClusterWire::Udp => &["wan-30ms", "bad-wifi"],
    };
    for preset in presets {
        let impair = Impairment::preset(preset).expect("a named preset");
        let config = ClusterConfig { workers: 2, ..ClusterConfig::new(wire, kind) };
        let mut cluster = Cluster::start(config.impaired(impair));
        cluster.until_connected(2);
        let count = 40;
        for seed in 0..count {
            cluster.ask(0, seed);
            cluster.steps(4);
        }
        let endings = cluster.until_endings(0, count as usize);
        assert_eq!(endings.len(), count as usize, "{preset}");
        assert!(
            endings.iter().all(|(_, ending)| matches!(ending, OffloadEnding::Done { .. })),
            "{preset}: {endings:?}"
        );
        let remote = endings.iter().filter(|(_, ending)| ending.is_remote()).count();
        assert!(remote > 0, "{preset}: nothing came from a worker");
        cluster.until("nothing is open at the coordinator", |cluster| {
            cluster.game(0).world().resource::<OffloadAccount>().held() == Some(Nanos::ZERO)
        });
        assert_eq!(cluster.endings(0).len(), count as usize, "{preset}: a task has ended twice");
        let books = cluster.books();
        assert!(books.kinds[0].tasks <= count, "{preset}: more tasks in the books than were asked for");
        assert!(books.kinds[0].charged >= totals(cluster.game(0)).cost_nanos, "{preset}");
    }
}

mod in_memory_only {
    use super::*;

    #[test]
    fn a_partition_leaves_the_game_local_and_voids_what_was_held() {
        for kind in KINDS {
            let settings = |_| KindSettings { deadline: Duration::from_millis(500), ..Default::default() };
            let mut cluster = Cluster::start(ClusterConfig {
                settings,
                fallback: Fallback::Queue,
                ..ClusterConfig::new(ClusterWire::Memory, *kind)
            });
            cluster.until_connected(1);
            cluster.freeze_worker(0);
            cluster.ask(0, 7);
            cluster.until("its price is held", |cluster| cluster.books().gamers[0].set_aside > Nanos::ZERO);
            cluster.cut_game(0);
            let endings = cluster.until_endings(0, 1);
            assert!(
                matches!(&endings[0].1, OffloadEnding::Done { place: Place::Local, late: false, .. }),
                "{endings:?}"
            );
            cluster.thaw_worker(0);
            cluster.heal_game(0);
            cluster.until_connected(1);
            cluster.ask(0, 8);
            let endings = cluster.until_endings(0, 2);
            assert!(endings[1].1.is_remote(), "{endings:?}");
            let books = cluster.books();
            assert_eq!(books.gamers[0].set_aside, Nanos::ZERO);
            assert_eq!(books.kinds[0].by_worker, 1);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run_to_the_microsecond() {
        for kind in KINDS {
            let run = || {
                let impair = Impairment::preset("bad-wifi").expect("a named preset");
                let config = ClusterConfig { workers: 2, ..ClusterConfig::new(ClusterWire::Memory, *kind) };
                let mut cluster = Cluster::start(config.impaired(impair));
                cluster.until_connected(2);
                for seed in 0..20 {
                    cluster.ask(0, seed);
                }
                format!("{:?}", cluster.until_endings(0, 20))
            };
            assert_eq!(run(), run(), "{kind:?}");
        }
    }
}
