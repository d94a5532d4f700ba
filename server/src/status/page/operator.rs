//! The operator's part of the page.

use maud::{Markup, html};

use super::{About, loss, millis, money, name, round_trip, table, tile};
use crate::status::board::Look;
use crate::status::history::TaskCounts;
use crate::status::snapshot::{GamerNow, KindNow, PayNow, Snapshot, WorkerNow, WorkerState, refused_packets};
use crate::status::troubles;

/// Rows of a table that are shown; beyond them it says how many there are.
const ROWS_MAX: usize = 200;

/// What is wrong, and what to do.
pub fn what_is_wrong(about: &About, look: &Look) -> Markup {
    let found = troubles::find(look, &about.command);
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

/// Money, kinds, who is connected, and what was refused.
pub fn sections(about: &About, snapshot: &Snapshot) -> Markup {
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
            p.hint { "By account and kind: " (about.command("ledger report")) }
        }
        (kinds(snapshot))
        (workers(about, &snapshot.workers))
        (pay(about, &snapshot.pay))
        (gamers(about, &snapshot.gamers))
        (inside(about, snapshot))
    }
}

fn kinds(snapshot: &Snapshot) -> Markup {
    let rows = snapshot.kinds.iter().enumerate().map(|(place, kind)| (kind, snapshot.history.sum(place)));
    let row = |(kind, hour): (&KindNow, TaskCounts)| {
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

fn workers(about: &About, workers: &[WorkerNow]) -> Markup {
    let row = |worker: &WorkerNow| {
        let state = match worker.state {
            WorkerState::Working => "good",
            WorkerState::Quarantined => "bad",
            WorkerState::Useless | WorkerState::Draining => "warn",
        };
        vec![
            name(&worker.name, &worker.key),
            html! { span class=(state) { (worker.state.word()) } },
            html! { span.wraps { (worker.kinds.join(", ")) } },
            html! { (worker.in_hand) " of " (worker.slots) " slots" },
            html! {
                @if worker.kinds.is_empty() { "–" } @else { (format!("{:.0} %", worker.checked * 100.0)) }
            },
            html! { (worker.accepted) },
            html! { (worker.rejected) },
            html! { (money(worker.earned)) },
            html! {
                (round_trip(worker.link))
                @if let Some(region) = worker.region { " " (region.as_str()) }
            },
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
                "since each connected. All that are known: " (about.command("workers list")) "; one more: " (about.command("invite worker"))
                "; to close an account, by its name or by the digits beside that: "
                (about.command("accounts revoke KEY"))
            }
        }
    }
}

/// What connected workers are owed and were paid; nothing if there are none, which the section above says.
fn pay(about: &About, accounts: &[PayNow]) -> Markup {
    let row = |account: &PayNow| {
        vec![
            html! {
                (name(&account.name, &account.key))
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
                    "Since each account was opened. All accounts: " (about.command("ledger payout list"))
                    "; once you have paid one, with the coordinator stopped: "
                    (about.command("ledger payout record KEY DOLLARS REFERENCE"))
                }
            }
        }
    }
}

fn gamers(about: &About, gamers: &[GamerNow]) -> Markup {
    let row = |gamer: &GamerNow| {
        vec![
            name(&gamer.name, &gamer.key),
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
                "One more: " (about.command("invite gamer"))
                "; more money: " (about.command("accounts credit KEY DOLLARS"))
                "; to close an account: " (about.command("accounts revoke KEY"))
                ". KEY is the name, or the digits beside it"
            }
        }
    }
}

fn inside(about: &About, snapshot: &Snapshot) -> Markup {
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
                (tile("Read from disk", snapshot.recalls.found))
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
                "; a token for it: " (about.command("page --metrics-token"))
            }
        }
    }
}
