//! All kinds at once, as a game asks for them, on the network of a gamer far away.

use std::collections::BTreeMap;
use std::time::Duration;

use p2c2r_link::Impairment;
use p2c2r_offload::prelude::*;
use p2c2r_protocol::{Nanos, Receipt};
use p2c2r_tests::cluster::{Cluster, ClusterConfig, ClusterWire, OffloadEnding, STEP, totals};
use p2c2r_tests::puzzles::{KINDS, PuzzleKind};

/// How long the game plays.
const PLAY: Duration = Duration::from_secs(30);

/// How often a game asks for a kind, and how it treats the tasks: about as Borrowed Light does, light a little more often.
fn habits(kind: PuzzleKind) -> (Duration, KindSettings) {
    let every = |per_second: u32| Duration::from_secs(1) / per_second;
    let (pause, deadline_ms, late) = match kind.name {
        "path" => (every(2), 200, OnLate::ComputeLocally),
        "physics" => (every(2), 300, OnLate::ComputeLocally),
        "reflection" => (every(6), 400, OnLate::Reuse),
        // Only once a second: beside it in one update, a path has no time before its deadline for what is sent again.
        "lightfield" => (every(1), 500, OnLate::Reuse),
        "tactics" => (every(1), 500, OnLate::Drop),
        other => panic!("say how a game asks for `{other}`"),
    };
    (pause, KindSettings { deadline: Duration::from_millis(deadline_ms), late, ..KindSettings::default() })
}

fn receipt(ending: &OffloadEnding) -> Option<&Receipt> {
    match ending {
        OffloadEnding::Done { receipt, .. } => receipt.as_ref(),
        OffloadEnding::Failed { .. } => None,
    }
}

fn total_us(receipt: &Receipt) -> u64 {
    receipt.stages.total_us()
}

#[test]
fn a_hundred_milliseconds_and_three_per_cent_loss_keep_outcomes_flowing() {
    let gamer = Impairment { loss: 0.03, ..Impairment::preset("wan-100ms").expect("a named preset") };
    let worker =
        Impairment { loss: 0.03, seed: 2, ..Impairment::preset("wan-30ms").expect("a named preset") };
    let mut cluster = Cluster::start(ClusterConfig {
        workers: 2,
        impair_games: Some(gamer),
        impair_workers: Some(worker),
        settings: |kind| habits(kind).1,
        ..ClusterConfig::new(ClusterWire::Memory, KINDS[0])
    });
    cluster.until_connected(2);
    let mut asked: BTreeMap<usize, &str> = BTreeMap::new();
    let steps = (PLAY.as_micros() / STEP.as_micros()) as u64;
    for step in 0..steps {
        for kind in KINDS {
            let pause = (habits(*kind).0.as_micros() / STEP.as_micros()) as u64;
            if step % pause == 0 {
                asked.insert(cluster.ask_for(0, *kind, step, false), kind.name);
            }
        }
        cluster.step();
    }
    let endings = cluster.until_endings(0, asked.len());
    for kind in KINDS {
        let of_kind = endings.iter().filter(|(number, _)| asked[number] == kind.name);
        let all = of_kind.clone().count();
        let in_time = of_kind.clone().filter(|(_, ending)| ending.is_in_time()).count();
        let remote = of_kind.filter(|(_, ending)| ending.is_in_time() && ending.is_remote()).count();
        assert!(in_time * 100 >= all * 95, "{kind:?}: only {in_time} of {all} in time");
        assert!(remote * 100 >= all * 85, "{kind:?}: only {remote} of {all} in time from workers");
    }
    let mut took_us: Vec<u64> =
        endings.iter().filter_map(|(_, ending)| receipt(ending)).map(total_us).collect();
    took_us.sort_unstable();
    let (median, most) = (took_us[took_us.len() / 2], took_us[took_us.len() - 1]);
    assert!(median >= 130_000, "both lines were as slow as promised: {median} us");
    assert!(
        most >= median + 50_000,
        "something was lost and sent again: at most {most} us, median {median} us"
    );
    cluster.until("nothing is open at the coordinator", |cluster| {
        cluster.game(0).world().resource::<OffloadAccount>().held() == Some(Nanos::ZERO)
    });
    let totals = totals(cluster.game(0)).clone();
    let books = cluster.books();
    assert_eq!(books.kinds.len(), KINDS.len());
    for (line, kind) in books.kinds.iter().zip(KINDS) {
        let counted = &totals.kinds[kind.name];
        assert_eq!(line.kind, kind.id.0);
        assert!(line.tasks <= counted.submitted, "{line:?}, {counted:?}");
        // Receipts that the network lost are in the books alone.
        assert!(line.charged >= counted.cost_nanos, "{line:?}, {counted:?}");
        assert_eq!(line.earned + line.fee, line.charged, "{line:?}");
    }
    assert_eq!(books.gamers[0].available + books.totals.revenue, Nanos::DOLLAR);
}
