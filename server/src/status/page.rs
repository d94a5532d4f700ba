//! The page for people: plain HTML with one style sheet in it, drawn anew for every request. Whatever a peer has named goes
//! through maud, which escapes it.

mod operator;

use std::time::Duration;

use maud::{Markup, PreEscaped, html};
use p2c2r_program::web_page::{document, tile};
use p2c2r_protocol::Nanos;

use super::board::Look;
use super::chart::{Series, number, over_the_hour};
use super::history::{Minute, TaskCounts};
use super::snapshot::{LinkNow, Snapshot};
use super::troubles;

/// The style sheet; its hash is in the content security policy.
pub const STYLE: &str = include_str!("style.css");
const TITLE: &str = "P2C2R coordinator";
/// Seconds after which a browser asks again.
const REFRESH_SECONDS: u32 = 15;

/// What the page says of the coordinator itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its protocol.
    pub protocol: String,
    /// What the operator calls this coordinator, to tell it from others.
    pub label: Option<String>,
    /// How the operator's commands to it begin.
    pub command: String,
}

impl About {
    /// A command of the operator's, to be typed as it stands.
    fn command(&self, rest: &str) -> Markup {
        html! { code { (self.command) " " (rest) } }
    }
}

/// The status page, which shows more to the operator than to others.
pub fn page(about: &About, look: &Look, is_operator: bool) -> Markup {
    let not_ready = troubles::not_ready(look);
    let body = html! {
        header {
            h1 { (TITLE) }
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
        @if is_operator { (operator::what_is_wrong(about, look)) }
        @if let Some(snapshot) = &look.snapshot {
            (busy(snapshot, is_operator))
            @if is_operator { (operator::sections(about, snapshot)) }
        }
        footer {
            span { "P2C2R " (env!("CARGO_PKG_VERSION")) ", " (about.protocol) }
            @if !is_operator {
                span { "The operator sees more: " (about.command("page")) " prints a login link." }
            }
        }
    };
    document(TITLE, Some(REFRESH_SECONDS), &style(), &body)
}

/// A page with one sentence.
pub fn sentence(text: &str) -> Markup {
    let body = html! {
        header { h1 { (TITLE) } }
        section { p { (text) } p { a href="/" { "To the status page" } } }
    };
    document(TITLE, None, &style(), &body)
}

fn style() -> Markup {
    html! { style { (PreEscaped(STYLE)) } }
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

/// A name chosen by a peer, isolated so that its writing direction does not affect the page, and the first digits of the
/// account's key, which tell it from another of the same name.
fn name(name: &str, key: &str) -> Markup {
    html! { bdi title=(name) { (name) } " " span.faint { (key) } }
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

/// Dollars with four significant digits; the ledger's report has all nine decimals.
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

/// Length of each minute of the history, in seconds: the last one is still under way.
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
