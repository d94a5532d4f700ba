//! The figures for Prometheus: names, units and counts, read back by a parser of its format.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use p2c2r_protocol::{AttemptFailure, GameToServer, Nanos};
use p2c2r_server::Fallback;
use p2c2r_server::core::state::trust::TrustRules;
use p2c2r_server::status::{Board, MetricsRegistry};
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_parse::{Scrape, Value};

use crate::stage::Stage;
use crate::toy;

/// Every sample, by its name and labels in order: `name{label=value,...}`.
struct Read {
    text: String,
    values: BTreeMap<String, f64>,
}

impl Read {
    /// What the coordinator would write out now.
    fn of(stage: &mut Stage) -> Self {
        let board = stage.app().world().resource::<Board>().clone();
        board.want();
        stage.step();
        assert!(board.newest().is_some() && !board.is_wanted(), "the app answers in one update");
        let mut text = String::new();
        encode(&mut text, &stage.app().world().resource::<MetricsRegistry>().0).unwrap();
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let mut values = BTreeMap::new();
        for sample in scrape.samples {
            let labels: BTreeMap<_, _> =
                sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let name = format!("{}{{{}}}", sample.metric, labels.join(","));
            let value = match sample.value {
                Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
                Value::Histogram(buckets) => {
                    let counts: Vec<_> = buckets.iter().map(|bucket| bucket.count).collect();
                    assert!(counts.is_sorted(), "buckets of {name} are cumulative: {counts:?}");
                    *counts.last().unwrap()
                }
                Value::Summary(_) => panic!("{name} is a summary"),
            };
            assert!(values.insert(name.clone(), value).is_none(), "{name} is there twice");
        }
        Self { text, values }
    }

    #[track_caller]
    fn is(&self, name: &str, value: f64) {
        assert_eq!(self.values.get(name), Some(&value), "{name} in\n{}", self.text);
    }
}

#[test]
fn a_new_coordinator_says_of_what_never_happened_that_it_happened_0_times() {
    let read = Read::of(&mut Stage::new());
    for verdict in ["accepted", "rejected", "lost", "expired", "failed", "unneeded"] {
        read.is(&format!("p2c2r_verdicts_total{{kind=toy,verdict={verdict}}}"), 0.0);
    }
    for reason in ["late", "kernel_failed", "no_worker"] {
        read.is(&format!("p2c2r_tasks_failed_total{{kind=toy,reason={reason}}}"), 0.0);
    }
    read.is("p2c2r_tasks_refused_total{reason=full}", 0.0);
}

#[test]
fn every_figure_says_what_it_is_and_its_name_its_unit() {
    let mut stage = Stage::new();
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    stage.ask(gamer, 5);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    let text = Read::of(&mut stage).text;
    let mut helped = BTreeSet::new();
    let mut typed = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => assert!(helped.insert(name) && help.len() > 8, "{line}"),
            ["#", "TYPE", name, kind] => assert!(typed.insert(name, kind).is_none(), "{line}"),
            _ => {
                let name = line.split(['{', ' ']).next().unwrap();
                let family = typed.keys().find(|family| {
                    name.strip_prefix(**family)
                        .is_some_and(|end| ["", "_bucket", "_sum", "_count"].contains(&end))
                });
                let family = family.unwrap_or_else(|| panic!("{name} comes before its type"));
                assert!(helped.contains(*family) && name.starts_with("p2c2r_"), "{line}");
            }
        }
    }
    for (name, kind) in &typed {
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        for unit in ["ms", "us", "milliseconds", "percent", "dollars", "kb"] {
            assert!(!name.split('_').any(|part| part == unit), "{name} is in no base unit");
        }
    }
    for name in ["p2c2r_task_latency_seconds", "p2c2r_task_stage_seconds", "p2c2r_queue_age_seconds"] {
        assert!(typed.contains_key(name), "{name} in\n{text}");
    }
}

#[test]
fn tasks_money_and_stages_are_counted_as_they_happened() {
    // Only outcomes that have passed the deep check are reused.
    let mut stage = Stage::with(|config| config.trust = TrustRules::default());
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 1));
    let task = stage.ask(gamer, 5);
    let (_, assign) = stage.assignment();
    let read = Read::of(&mut stage);
    read.is("p2c2r_tasks_in_flight{kind=toy,phase=leased}", 1.0);
    read.is("p2c2r_held_nanodollars{}", stage.price(1_000).0 as f64);
    stage.pass(Duration::from_millis(20));
    stage.answer_rightly(worker, &assign);
    let price = stage.done(task).receipt.price;
    let seen = stage.app().world().resource::<Board>().newest().unwrap();
    assert_eq!(seen.workers[0].checked, 1.0, "all that a newcomer answers is checked deeply");
    stage.ask(gamer, 5);
    let again = stage.submit_of(&toy::spec(6));
    stage.submit(gamer, p2c2r_protocol::Submit { price_cap: Nanos(1), ..again });
    stage.pass(Duration::from_secs(2));
    let read = Read::of(&mut stage);
    read.is("p2c2r_tasks_admitted_total{kind=toy}", 2.0);
    read.is("p2c2r_tasks_done_total{by=worker,kind=toy}", 1.0);
    read.is("p2c2r_tasks_done_total{by=cache,kind=toy}", 1.0);
    read.is("p2c2r_tasks_refused_total{reason=price_above_cap}", 1.0);
    read.is("p2c2r_task_latency_seconds{kind=toy}", 2.0);
    read.is("p2c2r_task_stage_seconds{kind=toy,stage=kernel}", 1.0);
    read.is("p2c2r_verdicts_total{kind=toy,verdict=accepted}", 1.0);
    read.is("p2c2r_checks_passed_total{check=deep}", 2.0);
    read.is("p2c2r_leases_total{kind=toy}", 1.0);
    read.is("p2c2r_held_nanodollars{}", 0.0);
    read.is("p2c2r_peers{role=worker}", 1.0);
    read.is("p2c2r_udp_blocked{}", 0.0);
    read.is("p2c2r_ledger_anomalies_total{cause=overdrawn}", 0.0);
    read.is("p2c2r_ledger_recording{}", 1.0);
    read.is("p2c2r_ready{}", 1.0);
    let sum = |name: &str| read.values[name];
    let charged = sum("p2c2r_charged_nanodollars_total{}");
    assert!(charged > price.0 as f64, "the worker's price and the cache's fee");
    let shares = sum("p2c2r_fee_nanodollars_total{}") + sum("p2c2r_earned_nanodollars_total{}");
    assert!((charged - shares).abs() < 0.5, "{charged} is {shares}");
    stage.app().world().resource::<p2c2r_server::ledger::Ledger>().flush().unwrap();
    let read = Read::of(&mut stage);
    assert!(read.values["p2c2r_ledger_groups_total{}"] >= 1.0, "{}", read.text);
    read.is("p2c2r_charged_nanodollars_total{}", stage.books().totals.revenue.0 as f64);
}

#[test]
fn what_comes_to_nothing_is_counted_by_its_cause() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let (gamer, worker) = (stage.gamer("g"), stage.worker("w", 2));
    stage.ask(gamer, 7);
    let (_, assign) = stage.assignment();
    stage.answer(worker, &assign, Err(AttemptFailure::KernelPanicked));
    let wrong = stage.ask(gamer, 8);
    let (_, assign) = stage.assignment();
    stage.answer(worker, &assign, Ok(toy::answer(3)));
    stage.game_says(gamer, GameToServer::Cancel { task: wrong });
    stage.pass(Duration::from_secs(1));
    let read = Read::of(&mut stage);
    read.is("p2c2r_verdicts_total{kind=toy,verdict=failed}", 1.0);
    read.is("p2c2r_verdicts_total{kind=toy,verdict=rejected}", 1.0);
    read.is("p2c2r_tasks_failed_total{kind=toy,reason=cancelled}", 1.0);
    read.is("p2c2r_tasks_failed_total{kind=toy,reason=late}", 1.0);
    read.is("p2c2r_tasks_in_flight{kind=toy,phase=waiting}", 0.0);
    read.is("p2c2r_held_nanodollars{}", 0.0);
}

#[test]
fn a_patient_task_that_outlived_a_restart_is_held_and_counted() {
    let mut stage = Stage::with(|config| config.fallback = Fallback::Queue);
    let gamer = stage.gamer("g");
    stage.ask_patiently(gamer, 9);
    stage.let_ledger_answer();
    stage.stop();
    stage.start();
    let read = Read::of(&mut stage);
    read.is("p2c2r_tasks_in_flight{kind=toy,phase=waiting}", 1.0);
    read.is("p2c2r_queue_age_seconds{kind=toy}", 0.0);
    read.is("p2c2r_held_nanodollars{}", stage.price(1_000).0 as f64);
    let worker = stage.worker("w", 1);
    let (_, assign) = stage.assignment();
    stage.answer_rightly(worker, &assign);
    let read = Read::of(&mut stage);
    read.is("p2c2r_tasks_done_total{by=worker,kind=toy}", 1.0);
    read.is("p2c2r_held_nanodollars{}", 0.0);
}

#[test]
fn a_coordinator_that_nobody_looks_at_makes_no_copies() {
    let mut stage = Stage::new();
    let board = stage.app().world().resource::<Board>().clone();
    stage.pass(Duration::from_secs(5));
    assert!(!board.is_wanted());
    let mut text = String::new();
    encode(&mut text, &stage.app().world().resource::<MetricsRegistry>().0).unwrap();
    assert!(text.contains("\np2c2r_uptime_seconds 0"), "{text}");
    assert!(!Read::of(&mut stage).text.contains("\np2c2r_uptime_seconds 0\n"));
}
