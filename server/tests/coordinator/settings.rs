//! Settings: whatever is accepted runs, and whatever is not is refused with its name, its value and its range.

use std::ops::RangeInclusive;

use p2c2r_link::{MemoryHub, ServerTransport};
use p2c2r_program::settings;
use p2c2r_server::config::default_prices;
use p2c2r_server::{ServerConfig, ServerError, build_app};
use p2c2r_tasks::KindRegistry;
use proptest::prelude::*;

use crate::toy::Toy;

/// Every integer in the configuration file that has one range for all configurations, with that range.
const NUMBERS: [(&str, RangeInclusive<u64>); 47] = [
    ("join.open_accounts", 1..=1_000_000),
    ("join.open_accounts_per_hour", 1..=100_000),
    ("join.open_accounts_per_prefix_hour", 1..=100_000),
    ("join.open_credit_nanos", 0..=1_000_000_000),
    ("join.connections", 1..=65_536),
    ("join.connections_per_prefix", 1..=65_536),
    ("join.connects_per_minute", 1..=1_000_000),
    ("join.requests_per_minute", 1..=1_000_000),
    ("join.requests_per_connection", 1..=1_000_000),
    ("join.handshake_ms", 10..=60_000),
    ("join.headers_ms", 10..=60_000),
    ("join.body_ms", 10..=60_000),
    ("join.connection_ms", 10..=3_600_000),
    ("join.store_queue", 1..=65_536),
    ("hedge_percent", 0..=50),
    ("compute_threads", 1..=1_024),
    ("compute_queue", 1..=65_536),
    ("cache_entries", 0..=1_048_576),
    ("cache_bytes", 0..=4_294_967_296),
    ("opening_credit_nanos", 0..=1_000_000_000_000_000),
    ("hour_cap_nanos", 0..=1_000_000_000_000_000),
    ("fraud_window_seconds", 0..=31_536_000),
    ("head_hours", 1..=8_760),
    ("group_commit_ms", 0..=50),
    ("ledger_tasks", 1_000..=1_000_000_000),
    ("ledger_tasks_per_account", 1..=1_000_000_000),
    ("peers_max", 1..=1_024),
    ("busy_poll_us", 0..=10_000),
    ("drain_seconds", 0..=3_600),
    ("summary_seconds", 1..=86_400),
    ("prices.version", 0..=4_294_967_295),
    ("prices.fee_basis_points", 0..=10_000),
    ("prices.nanos_per_mega_unit.path", 0..=1_000_000_000),
    ("prices.graphics_nanos_per_mega_unit.reflection", 0..=1_000_000_000),
    ("trust.probation_answers", 0..=1_000_000),
    ("trust.proving_answers", 0..=1_000_000),
    ("trust.proving_percent", 0..=100),
    ("trust.settled_percent", 0..=100),
    ("trust.percent_min", 0..=100),
    ("trust.spare_percent", 0..=100),
    ("trust.settling_seconds", 0..=2_592_000),
    ("trust.failures_max", 1..=100),
    ("trust.forgotten_after_checks", 10..=1_000_000_000),
    ("trust.silence_costs_answers", 0..=50),
    ("trust.failure_costs_answers", 0..=50),
    ("trust.overload_costs_answers", 0..=50),
    ("trust.recomputed_units", 0..=1_000_000),
];

fn settle(text: &str) -> Result<ServerConfig, ServerError> {
    let mut config = ServerConfig::default();
    settings::apply_text(&mut config, text)?;
    config.validate()?;
    Ok(config)
}

/// Builds a coordinator of these settings and has it update once.
fn runs(mut config: ServerConfig) {
    let folder = tempfile::tempdir().unwrap();
    config.db = folder.path().join("results.db");
    let mut app = build_app(config, ServerTransport::Memory(MemoryHub::default())).unwrap();
    app.update();
}

/// As TOML writes it: shares of checks are the numbers with a fraction.
fn written(name: &str, value: u64) -> String {
    let fraction = if name.starts_with("trust.") && name.contains("percent") { ".0" } else { "" };
    format!("{name} = {value}{fraction}\n")
}

#[test]
fn no_number_of_the_file_is_left_out() {
    let (mut table, mut left_out) = (String::new(), Vec::new());
    for line in settings::shown(&ServerConfig::default()).lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((name, value)) = line.split_once(" = ")
            && value.parse::<f64>().is_ok()
        {
            left_out.push(format!("{table}{name}"));
        }
    }
    left_out.retain(|name| !NUMBERS.iter().any(|(known, _)| known == name));
    // Its range depends on whether it is 0; the other is a fraction. Both are tried by themselves.
    assert_eq!(left_out, ["bytes_per_second", "trust.budget_percent"]);
}

#[test]
fn the_ends_of_every_range_run() {
    for ends in [RangeInclusive::start, RangeInclusive::end] {
        runs(settle(&NUMBERS.map(|(name, range)| written(name, *ends(&range))).concat()).unwrap());
    }
}

#[test]
fn a_kind_without_a_price_is_refused_by_its_name() {
    let kinds = KindRegistry::builtin().with::<Toy>();
    let config = ServerConfig { kinds: kinds.clone(), ..ServerConfig::default() };
    let error = config.validate().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("`toy`"), "{error}");
    assert!(ServerConfig { prices: default_prices(&kinds), ..config }.validate().is_ok());
}

#[test]
fn what_lies_outside_a_range_is_refused_with_name_value_and_range() {
    for (name, range) in &NUMBERS {
        let (least, most) = (range.start(), range.end());
        let last = name.rsplit('.').next().unwrap();
        for outside in [least.checked_sub(1), Some(most + 1)].into_iter().flatten() {
            let error = settle(&written(name, outside)).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let said = error.to_string();
            let named = said.replace('-', "_").contains(last) || name.contains("nanos_per_mega_unit");
            assert!(named && said.contains(&format!("not {least} to {most}")), "{name} = {outside}: {said}");
        }
        // Some of these do not even fit the setting's type, and the parser says so.
        for absurd in ["-1", "9223372036854775807", "1e300", "\"many\""] {
            let error = settle(&format!("{name} = {absurd}\n")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
    for text in [
        "trust.settled_percent = nan",
        "trust.budget_percent = inf",
        "trust.budget_percent = 0.0",
        "trust.lenience = 1",
        "db = \"\"",
        "log = \"p2c2r_server=loud\"",
        "bytes_per_second = 1",
        "listen = \"nonsense\"",
        "seed = 18446744073709551616",
    ] {
        assert_eq!(settle(text).unwrap_err().exit_code(), 2, "{text}");
    }
}

/// A number as people and mistakes give it: small, at the ends of the range, or far outside.
fn number(range: &RangeInclusive<u64>) -> impl Strategy<Value = u64> + use<> {
    let (least, most) = (*range.start(), *range.end());
    prop_oneof![
        4 => least..=most.min(least + 8),
        2 => Just(most),
        1 => Just(most + 1),
        1 => any::<u64>(),
    ]
}

fn file() -> impl Strategy<Value = String> {
    let numbers: Vec<_> = NUMBERS
        .iter()
        .map(|(name, range)| {
            // A thousand threads once, above, are enough.
            let range = if *name == "compute_threads" { 1..=4 } else { range.clone() };
            proptest::option::weighted(0.4, number(&range).prop_map(|value| written(name, value)))
        })
        .collect();
    let others = proptest::option::weighted(
        0.3,
        prop_oneof![
            Just("bytes_per_second = 0\n".to_owned()),
            Just("bytes_per_second = 4294967295\n".to_owned()),
            any::<u64>().prop_map(|seed| format!("seed = {seed}\n")),
            any::<f64>().prop_map(|share| format!("trust.budget_percent = {share:?}\n")),
            "[a-z0-9=,\\[\\]{}]{0,20}".prop_map(|filter| format!("log = \"{filter}\"\n")),
            Just("fallback = \"refuse\"\n".to_owned()),
        ],
    );
    // A key that stands twice is one more mistake to survive.
    (others, numbers)
        .prop_map(|(first, rest)| first.into_iter().chain(rest.into_iter().flatten()).collect::<String>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_file_is_refused_or_runs(text in file()) {
        match settle(&text) {
            Ok(config) => runs(config),
            Err(error) => prop_assert_eq!(error.exit_code(), 2),
        }
    }
}

#[test]
fn the_seed_of_checks_is_shown_only_if_it_was_set() {
    let shown = |config: &ServerConfig| settings::shown(config);
    let text = shown(&ServerConfig::default());
    assert!(!text.contains("seed"), "{text}");
    let text = shown(&settle("seed = 7").unwrap());
    assert!(text.contains("seed = 7\n"), "{text}");
}
