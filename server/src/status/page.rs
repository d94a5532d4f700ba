//! The page for people: plain HTML with one style sheet in it, drawn anew for every request. Whatever a peer has named goes
//! through maud, which escapes it.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use p2c2r_protocol::Nanos;

use super::board::Look;
use super::chart::{Series, number, over_the_hour};
use super::history::{Minute, TaskCounts};
use super::snapshot::{GamerNow, LinkNow, PayNow, Snapshot, WorkerNow, WorkerState, refused_packets};
use super::troubles;

/// The style sheet; its hash is in the content security policy.
pub const STYLE: &str = include_str!("style.css");
/// Rows of a table that are shown; beyond them it says how many there are.
const ROWS_MAX: usize = 200;
/// Seconds after which a browser asks again.
const REFRESH_SECONDS: u32 = 15;

/// What the page says of the coordinator itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What it speaks.
    pub protocol: String,
    /// What the operator calls this coordinator, to tell it from others.
    pub label: Option<String>,
}

/// The page: for everybody, and more for the operator.
pub fn page(about: &About, look: &Look, is_operator: bool) -> Markup {
    let not_ready = troubles::not_ready(look);
    let body = html! {
        header {
            h1 { "P2C2R coordinator" }
            @if let Some(label) = &about.label { span.label { (label) } }
            @if not_ready.is_empty() {
                span.state.good { "● up" }
            } @else {
                span.state.bad { "▲ not ready: " (not_ready.join(", ")) }
            }
            @if is_operator {
                form method="post" action="/logout" { button { "Log out" } }
            }
        }
        @if is_operator { (troubles_section(look)) }
        @if let Some(snapshot) = &look.snapshot {
            (busy(snapshot, is_operator))
            @if is_operator { (operator(snapshot)) }
        }
        footer {
            span { "P2C2R " (env!("CARGO_PKG_VERSION")) ", " (about.protocol) }
            @if !is_operator {
                span { "The operator sees more: " code { "p2c2r-server page" } " prints a login link." }
            }
        }
    };
    document("P2C2R coordinator", Some(REFRESH_SECONDS), body)
}

/// A page with one sentence.
pub fn sentence(text: &str) -> Markup {
    document(
        "P2C2R coordinator",
        None,
        html! {
            header { h1 { "P2C2R coordinator" } }
            section { p { (text) } p { a href="/" { "To the status page" } } }
        },
    )
}

fn document(title: &str, refresh: Option<u32>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

fn tile(name: &str, value: impl std::fmt::Display) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn busy(snapshot: &Snapshot, is_operator: bool) -> Markup {
    let in_flight: u64 =
        snapshot.kinds.iter().map(|kind| kind.waiting + kind.leased + kind.judging + kind.computing).sum();
    html! {
        section {
            h2 { "How busy" }
            dl.tiles {
                (tile("Workers", snapshot.workers.len()))
                (tile("Gamers", snapshot.gamers.len()))
                (tile("Tasks a second", number(rate_now(snapshot))))
                (tile("Tasks in flight", in_flight))
                (tile("Up for", time(snapshot.up_for)))
            }
        }
        section.charts {
            (over_the_hour("Tasks a second, by minute", "/s", &rates(snapshot)))
            @if is_operator {
                (over_the_hour("Latency at the coordinator, 95th percentile", "ms", &latencies(snapshot)))
                (over_the_hour("Revenue a minute, and the fee", "m$", &takings(snapshot)))
            }
        }
    }
}

fn troubles_section(look: &Look) -> Markup {
    let found = troubles::find(look);
    html! {
        section {
            h2 { "What is wrong" }
            @if found.is_empty() {
                p.good { "Nothing that the coordinator can see." }
            } @else {
                ul.troubles {
                    @for trouble in &found {
                        li {
                            b class=(if trouble.is_grave { "bad" } else { "warn" }) { (trouble.what) }
                            span { (trouble.act) }
                        }
                    }
                }
            }
        }
    }
}

fn operator(snapshot: &Snapshot) -> Markup {
    let totals = &snapshot.ledger.totals;
    html! {
        section {
            h2 { "Money, since the ledger was made" }
            dl.tiles {
                (tile("Revenue", money(totals.revenue)))
                (tile("Fee", money(totals.fee)))
                (tile("Earned by workers", money(totals.earned)))
                (tile("Of it pending", money(totals.pending)))
                (tile("Can be paid", money(totals.available())))
                (tile("Paid out", money(totals.paid_out)))
                (tile("Held now", money(snapshot.held)))
                (tile("Tasks charged", totals.tasks_done))
            }
            p.hint { "By account and kind: " code { "p2c2r-server ledger report" } }
        }
        (kinds(snapshot))
        (workers(&snapshot.workers))
        (pay(&snapshot.pay))
        (gamers(&snapshot.gamers))
        (inside(snapshot))
    }
}

fn kinds(snapshot: &Snapshot) -> Markup {
    let rows = snapshot.kinds.iter().enumerate().map(|(place, kind)| (kind, snapshot.history.sum(place)));
    let row = |(kind, hour): (&super::snapshot::KindNow, TaskCounts)| {
        vec![
            html! { (kind.name) },
            html! { (hour.done) },
            html! { (hour.failed) },
            html! { (millis(hour.latencies.quantile_ms(0.5))) },
            html! { (millis(hour.latencies.quantile_ms(0.95))) },
            html! { (kind.waiting) },
            html! { (kind.leased) },
            html! { (kind.judging + kind.computing) },
        ]
    };
    let heads = ["Kind", "Done", "Failed", "p50", "p95", "Waiting", "With workers", "Here"];
    html! { section { h2 { "Kinds, in the last hour" } (table(&heads, rows.map(row).collect(), 0)) } }
}

fn workers(workers: &[WorkerNow]) -> Markup {
    let row = |worker: &WorkerNow| {
        let state = match worker.state {
            WorkerState::Working => "good",
            WorkerState::Quarantined => "bad",
            WorkerState::Useless | WorkerState::Draining => "warn",
        };
        vec![
            name(&worker.name),
            html! { span class=(state) { (worker.state.word()) } },
            html! { (worker.kinds.join(", ")) },
            html! { (worker.in_hand) " of " (worker.slots) " slots" },
            html! {
                @if worker.kinds.is_empty() { "–" } @else { (format!("{:.0} %", worker.checked * 100.0)) }
            },
            html! { (worker.accepted) },
            html! { (worker.rejected) },
            html! { (money(worker.earned)) },
            round_trip(worker.link),
            loss(worker.link),
        ]
    };
    let heads = [
        "Worker",
        "State",
        "Kinds",
        "In hand",
        "Checked",
        "Accepted",
        "Rejected",
        "Earned",
        "Round trip",
        "Loss",
    ];
    let rows = workers.iter().take(ROWS_MAX).map(row).collect();
    html! {
        section {
            h2 { "Workers" }
            @if workers.is_empty() { p.faint { "Nobody helps at the moment." } }
            @else { (table(&heads, rows, workers.len().saturating_sub(ROWS_MAX))) }
            p.hint {
                "Checked is the share of its answers that is computed again: the less, the more it is trusted. Counts are "
                "since each connected. All that are known: " code { "p2c2r-server workers list" } "; one more: " code { "p2c2r-server invite worker" }
                "; to close an account: " code { "p2c2r-server accounts revoke NAME" }
            }
        }
    }
}

/// What workers are owed and were paid. Nothing where there are none: the part above says so.
fn pay(accounts: &[PayNow]) -> Markup {
    let row = |account: &PayNow| {
        vec![
            html! {
                (name(&account.name))
                @if account.others > 0 { span.faint { " and " (account.others) " more" } }
            },
            html! { (money(account.earned)) },
            html! { (money(account.pending)) },
            html! { (money(account.available)) },
            html! { (money(account.paid_out)) },
        ]
    };
    let heads = ["Account of", "Earned", "Pending", "Can be paid", "Paid out"];
    let rows = accounts.iter().take(ROWS_MAX).map(row).collect();
    html! {
        @if !accounts.is_empty() {
            section {
                h2 { "Pay of these workers" }
                (table(&heads, rows, accounts.len().saturating_sub(ROWS_MAX)))
                p.hint {
                    "Since each account was opened. All accounts: " code { "p2c2r-server ledger payout list" }
                    "; once you have paid one, with the coordinator stopped: "
                    code { "p2c2r-server ledger payout record NAME DOLLARS REFERENCE" }
                }
            }
        }
    }
}

fn gamers(gamers: &[GamerNow]) -> Markup {
    let row = |gamer: &GamerNow| {
        vec![
            name(&gamer.name),
            html! { (gamer.in_flight) },
            html! { (money(gamer.held)) },
            html! { (money(gamer.available)) },
            round_trip(gamer.link),
            loss(gamer.link),
        ]
    };
    let rows = gamers.iter().take(ROWS_MAX).map(row).collect();
    let heads = ["Gamer", "In flight", "Held", "Left", "Round trip", "Loss"];
    html! {
        section {
            h2 { "Gamers" }
            @if gamers.is_empty() { p.faint { "Nobody plays at the moment." } }
            @else { (table(&heads, rows, gamers.len().saturating_sub(ROWS_MAX))) }
            p.hint {
                "One more: " code { "p2c2r-server invite gamer" }
                "; more money: " code { "p2c2r-server accounts credit NAME DOLLARS" }
            }
        }
    }
}

fn inside(snapshot: &Snapshot) -> Markup {
    let (tally, link, ledger) = (&snapshot.tally, &snapshot.link, &snapshot.ledger);
    let refused: Vec<_> = refused_packets(link)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(cause, count)| vec![html! { (cause.replace('_', " ")) }, html! { (count) }])
        .collect();
    html! {
        section {
            h2 { "Since the start" }
            dl.tiles {
                (tile("Done by workers", tally.by_workers))
                (tile("Done here", tally.by_coordinator))
                (tile("From the cache", tally.from_cache))
                (tile("Refused", tally.refused))
                (tile("Without outcome", tally.failed))
                (tile("Wrong answers", tally.rejected))
                (tile("Handed out again", tally.repeated))
                (tile("Ledger groups", ledger.groups))
                (tile("Waiting for disk", ledger.waiting))
                (tile("Packets", link.packets))
                (tile("Garbage", link.garbage))
                (tile("Offenders", link.offenders))
            }
            @if !refused.is_empty() {
                p.hint { "Packets refused, by cause" }
                (table(&["Cause", "Packets"], refused, 0))
            }
            p.hint {
                "All figures for Prometheus: " a href="/metrics" { "/metrics" }
                "; a token for it: " code { "p2c2r-server page --metrics-token" }
            }
        }
    }
}

/// A table that becomes a list of cards where the screen is narrow.
fn table(heads: &[&str], rows: Vec<Vec<Markup>>, more: usize) -> Markup {
    html! {
        div.wide {
            table.stack {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr { @for (head, cell) in heads.iter().zip(row) { td data-label=(head) { (cell) } } }
                    }
                }
            }
        }
        @if more > 0 { p.faint { "and " (more) " more" } }
    }
}

/// A name that somebody else has chosen: its direction of writing stays its own.
fn name(name: &str) -> Markup {
    html! { bdi title=(name) { (name) } }
}

fn round_trip(link: LinkNow) -> Markup {
    html! { (millis(link.round_trip.map(|trip| trip.as_secs_f64() * 1_000.0))) }
}

fn loss(link: LinkNow) -> Markup {
    html! { (format!("{:.1} %", link.loss * 100.0)) }
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{} ms", number(value)))
}

/// Dollars with four digits that say something; the ledger's report has all nine decimals.
fn money(nanos: Nanos) -> String {
    if nanos == Nanos::ZERO {
        return "$0.00".to_owned();
    }
    let dollars = nanos.0 as f64 / 1e9;
    let whole_digits = dollars.abs().max(1e-9).log10().floor();
    let decimals = (3.0 - whole_digits).clamp(2.0, 9.0) as usize;
    format!("${dollars:.decimals$}")
}

fn time(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / (24 * 60), minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Tasks done in the last whole minute, or in the one under way where there is no other, by the second.
fn rate_now(snapshot: &Snapshot) -> f64 {
    let minutes: Vec<&Minute> = snapshot.history.minutes().collect();
    let (minute, seconds) = match minutes.as_slice() {
        [.., whole, _] => (*whole, 60.0),
        [first] => (*first, snapshot.up_for.as_secs_f64().clamp(1.0, 60.0)),
        [] => return 0.0,
    };
    minute.kinds.iter().map(|done| done.done as f64).sum::<f64>() / seconds
}

/// Seconds that each minute of the history has: the last is under way.
fn seconds(snapshot: &Snapshot) -> Vec<f64> {
    let count = snapshot.history.minutes().len();
    let last = (snapshot.up_for.as_secs_f64() % 60.0).max(1.0);
    (1..=count).map(|number| if number == count { last } else { 60.0 }).collect()
}

fn of_kinds(snapshot: &Snapshot, value: impl Fn(&TaskCounts, f64) -> Option<f64>) -> Vec<Series> {
    let seconds = seconds(snapshot);
    let line = |(place, kind): (usize, &super::snapshot::KindNow)| {
        let values = snapshot.history.minutes().zip(&seconds);
        let values =
            values.map(|(minute, seconds)| minute.kinds.get(place).and_then(|done| value(done, *seconds)));
        Series { name: kind.name.to_owned(), values: values.collect() }
    };
    snapshot.kinds.iter().enumerate().map(line).collect()
}

fn rates(snapshot: &Snapshot) -> Vec<Series> {
    of_kinds(snapshot, |done, seconds| Some(done.done as f64 / seconds))
}

fn latencies(snapshot: &Snapshot) -> Vec<Series> {
    of_kinds(snapshot, |done, _| done.latencies.quantile_ms(0.95))
}

/// In thousandths of a dollar: a minute of play costs far less than a cent.
fn takings(snapshot: &Snapshot) -> Vec<Series> {
    let line = |name: &str, of: fn(&Minute) -> Nanos| Series {
        name: name.to_owned(),
        values: snapshot.history.minutes().map(|minute| Some(of(minute).0 as f64 / 1e6)).collect(),
    };
    vec![line("revenue", |minute| minute.revenue), line("fee", |minute| minute.fee)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_said_with_four_digits() {
        for (nanos, said) in
            [(0, "$0.00"), (142_558, "$0.0001426"), (999_862_587, "$0.9999"), (12_345_678_901, "$12.35")]
        {
            assert_eq!(money(Nanos(nanos)), said);
        }
    }

    #[test]
    fn times_are_said_shortly() {
        for (seconds, said) in [(0, "0 min"), (3_599, "59 min"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(time(Duration::from_secs(seconds)), said);
        }
    }
}
