//! Far away: a game that asks as far ahead as answers take gets them from workers and in time.

use std::time::Duration;

use p2c2r_link::Impairment;
use p2c2r_offload::prelude::*;
use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, totals};
use p2c2r_tests::puzzles::PATH;

/// What the game asks ahead at least, as the shooter does for paths.
const AHEAD_MIN: Duration = Duration::from_millis(300);
/// Steps of the cluster between two tasks, and after the last: 200 ms and 5 s.
const BETWEEN: u32 = 40;
const AFTER: u32 = 1_000;

/// Asks for `count` paths, each as far ahead as the horizon says, and waits until all have ended.
fn ask_ahead(cluster: &mut Cluster, count: u16) {
    let grid = Blob::new(Grid::new(32, 32).to_blob());
    for number in 0..count {
        let query = Query { from: Cell::new(0, number / 32), to: Cell::new(31, number % 32) };
        let spec = PathSpec { grid: grid.digest(), queries: vec![query] };
        let world = cluster.game(0).world_mut();
        let ahead = world.resource::<OffloadHorizon>().of::<Path>().max(AHEAD_MIN);
        world.spawn(Offloading::<Path>::new(spec, Blobs::new(vec![grid.clone()])).deadline(ahead));
        cluster.steps(BETWEEN);
    }
    cluster.steps(AFTER);
}

#[test]
fn workers_on_the_other_side_of_the_earth_answer_in_time() {
    for (preset, percent) in [("wan-200ms", 95), ("awful", 80)] {
        let impair = Impairment::preset(preset).expect("a named preset");
        let config = ClusterConfig { workers: 2, ..ClusterConfig::new(ClusterWire::Memory, PATH) };
        let mut cluster = Cluster::start(config.impaired(impair));
        cluster.until_connected(2);
        ask_ahead(&mut cluster, 200);
        let path = totals(cluster.game(0)).kinds["path"].clone();
        assert_eq!((path.submitted, path.open), (200, 0), "{preset}");
        assert!((path.remote - path.late) * 100 >= path.submitted * percent, "{preset}: {path:?}");
        assert!(path.wasted * 20 <= path.submitted, "{preset}: computed twice: {}", path.wasted);
        let horizon = cluster.game(0).world().resource::<OffloadHorizon>().of::<Path>();
        assert!(
            horizon > Duration::from_millis(400) && horizon < Duration::from_millis(1_600),
            "{horizon:?}"
        );
    }
}

#[test]
fn the_horizon_is_short_next_door_and_none_at_all_alone() {
    let mut cluster = Cluster::start(ClusterConfig::new(ClusterWire::Memory, PATH));
    cluster.until_connected(1);
    ask_ahead(&mut cluster, 60);
    let horizon = cluster.game(0).world().resource::<OffloadHorizon>().of::<Path>();
    assert!(horizon > Duration::ZERO && horizon < AHEAD_MIN, "{horizon:?}");
    cluster.game(0).world_mut().resource_mut::<OffloadSwitch>().enabled = false;
    cluster.steps(2);
    assert_eq!(cluster.game(0).world().resource::<OffloadHorizon>().of::<Path>(), Duration::ZERO);
}
