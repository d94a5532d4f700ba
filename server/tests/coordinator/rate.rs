//! Prints the microseconds that a task takes in the coordinator's app, without a network.
//!
//! `cargo test --release -p p2c2r-server --test coordinator rate -- --nocapture`; `P2C2R_RATE_TASKS` sets how
//! many. Nothing is asserted about speed, only that every task is done and charged.

use std::time::Instant;

use p2c2r_protocol::{Answer, Assign, GameToServer, Micros, PeerId, WorkerToServer};

use p2c2r_server::config::TrustRules;

use crate::stage::Stage;
use crate::toy;

/// Answers an attempt without an extra step.
fn answer(stage: &mut Stage, worker: PeerId, assign: &Assign) {
    let answer = Answer {
        task: assign.task,
        attempt: assign.attempt,
        result: Ok(toy::answer(toy::number_in(&assign.spec)).into()),
        received_at: Micros(1),
        started_at: Micros(2),
        finished_at: Micros(3),
    };
    stage.worker_says(worker, WorkerToServer::Answer(answer));
}

#[test]
fn every_task_of_a_flood_is_done() {
    let total: u64 =
        std::env::var("P2C2R_RATE_TASKS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    for in_flight in [1, 64] {
        let mut stage = Stage::with(|config| config.trust = TrustRules::default());
        let gamer = stage.gamer("g");
        let worker = stage.worker("w", 64);
        let start = Instant::now();
        let mut asked = 0;
        while asked < total {
            for _ in 0..in_flight {
                let submit = stage.submit_of(&toy::spec(100 + asked));
                stage.game_says(gamer, GameToServer::Submit(submit));
                asked += 1;
            }
            stage.step();
            loop {
                let assigned = stage.take_assigned();
                if assigned.is_empty() {
                    break;
                }
                for (to, assign) in assigned {
                    assert_eq!(to, worker);
                    answer(&mut stage, to, &assign);
                }
                stage.step();
            }
        }
        let per_task = start.elapsed().as_secs_f64() * 1e6 / asked as f64;
        println!("{in_flight:3} in flight: {per_task:.1} us per task on the app's thread");
        let tally = stage.tally();
        assert_eq!((tally.by_workers, tally.refused, tally.failed), (asked, 0, 0));
        let charged = stage.price(1_000).0 * asked as i64;
        assert_eq!(stage.books().totals.revenue.0, charged);
    }
}
