//! What happened in the last ten seconds, for the diagnostics.

use std::collections::VecDeque;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{Micros, Nanos};

use crate::histogram::{Percentiles, rank};
use crate::outcome::Place;

/// How far back diagnostics look.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Events of one sort that are kept; beyond 819 a second the window is shorter than ten seconds.
const EVENTS_MAX: usize = 8_192;

/// Where a delivered outcome came from, without the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Remote,
    Coordinator,
    Cache,
    Local,
}

impl From<&Place> for Origin {
    fn from(place: &Place) -> Self {
        match place {
            Place::Worker { .. } => Self::Remote,
            Place::Coordinator => Self::Coordinator,
            Place::Cache => Self::Cache,
            Place::Local => Self::Local,
        }
    }
}

/// One ended task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Latency in microseconds and origin, if it has an outcome.
    pub delivered: Option<(u32, Origin)>,
    pub in_time: bool,
    /// Whether the last outcome was used.
    pub reused: bool,
}

/// The recent events of one kind.
#[derive(Default)]
pub(crate) struct KindWindow {
    ended: VecDeque<(Micros, Ended)>,
    costs: VecDeque<(Micros, Nanos)>,
    submitted: VecDeque<(Micros, ())>,
    since: Option<Micros>,
}

fn push<T>(events: &mut VecDeque<(Micros, T)>, now: Micros, event: T) {
    if events.len() == EVENTS_MAX {
        events.pop_front();
    }
    events.push_back((now, event));
}

fn expire<T>(events: &mut VecDeque<(Micros, T)>, now: Micros) {
    while events.front().is_some_and(|(at, _)| Duration::from(now).saturating_sub((*at).into()) > WINDOW) {
        events.pop_front();
    }
}

impl KindWindow {
    pub fn ended(&mut self, now: Micros, ended: Ended) {
        push(&mut self.ended, now, ended);
    }

    /// Counts the price of a task with a deadline.
    pub fn cost(&mut self, now: Micros, price: Nanos) {
        push(&mut self.costs, now, price);
    }

    pub fn submitted(&mut self, now: Micros) {
        self.since.get_or_insert(now);
        push(&mut self.submitted, now, ());
    }

    /// Removes what is older than the window.
    pub fn expire(&mut self, now: Micros) {
        expire(&mut self.ended, now);
        expire(&mut self.costs, now);
        expire(&mut self.submitted, now);
    }

    /// Exact percentiles (nearest rank) of the latencies in the window, in milliseconds.
    pub fn percentiles_ms(&self) -> Option<Percentiles> {
        let mut latencies: Vec<u32> =
            self.ended.iter().filter_map(|(_, ended)| ended.delivered.map(|(latency, _)| latency)).collect();
        let total = latencies.len() as u64;
        let mut quantile = |q| {
            let rank = rank(q, total)? as usize - 1;
            Some(f64::from(*latencies.select_nth_unstable(rank).1) / 1_000.0)
        };
        Some(Percentiles { p50: quantile(0.50)?, p95: quantile(0.95)?, p99: quantile(0.99)? })
    }

    /// Share of ended tasks that had an outcome at their deadline, in per cent.
    pub fn in_time_percent(&self) -> Option<f64> {
        percent(self.ended.iter().map(|(_, ended)| ended.in_time))
    }

    /// Share of ended tasks for which the last outcome was used, in per cent.
    pub fn reused_percent(&self) -> Option<f64> {
        percent(self.ended.iter().map(|(_, ended)| ended.reused))
    }

    /// Share of delivered outcomes that came from there, in per cent.
    pub fn origin_percent(&self, origin: Origin) -> Option<f64> {
        percent(self.ended.iter().filter_map(|(_, ended)| ended.delivered.map(|(_, from)| from == origin)))
    }

    /// Dollars an hour that tasks with a deadline cost, at the rate of the window; `None` before the first task.
    pub fn dollars_per_hour(&self, now: Micros) -> Option<f64> {
        let dollars: f64 = self.costs.iter().map(|(_, price)| price.as_dollars()).sum();
        Some(dollars / self.seconds(&self.costs, now)? * 3_600.0)
    }

    /// Tasks asked for, per second; `None` before the first.
    pub fn tasks_per_second(&self, now: Micros) -> Option<f64> {
        Some(self.submitted.len() as f64 / self.seconds(&self.submitted, now)?)
    }

    /// The time span of these events: how much of the window has passed, at least a second so that the first
    /// task does not look like thousands an hour; or, for a full list, the time back to its oldest event.
    fn seconds<T>(&self, events: &VecDeque<(Micros, T)>, now: Micros) -> Option<f64> {
        let since = Duration::from(self.since?);
        if let Some((first, _)) = events.front().filter(|_| events.len() == EVENTS_MAX) {
            let reach = Duration::from(now).saturating_sub((*first).into());
            return Some(reach.max(Duration::from_millis(1)).as_secs_f64());
        }
        let lived = Duration::from(now).saturating_sub(since);
        Some(lived.clamp(Duration::from_secs(1), WINDOW).as_secs_f64())
    }
}

fn percent(flags: impl Iterator<Item = bool>) -> Option<f64> {
    let (mut hits, mut all) = (0_u32, 0_u32);
    for flag in flags {
        all += 1;
        hits += u32::from(flag);
    }
    (all > 0).then(|| 100.0 * f64::from(hits) / f64::from(all))
}

/// The windows of all kinds, in the order of the table of kinds.
#[derive(Resource, Default)]
pub(crate) struct KindWindows(Vec<KindWindow>);

impl KindWindows {
    /// The window of a kind.
    pub fn of(&mut self, kind: usize) -> &mut KindWindow {
        if self.0.len() <= kind {
            self.0.resize_with(kind + 1, KindWindow::default);
        }
        &mut self.0[kind]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    #[test]
    fn knows_nothing_before_and_after_its_time() {
        let mut window = KindWindow::default();
        assert_eq!((window.percentiles_ms(), window.in_time_percent()), (None, None));
        assert_eq!(window.reused_percent(), None);
        assert_eq!((window.dollars_per_hour(seconds(5)), window.tasks_per_second(seconds(5))), (None, None));
        window.submitted(seconds(5));
        window.ended(
            seconds(6),
            Ended { delivered: Some((2_000, Origin::Cache)), in_time: true, reused: false },
        );
        assert_eq!(window.percentiles_ms().unwrap().p99, 2.0);
        window.expire(seconds(17));
        assert_eq!((window.percentiles_ms(), window.origin_percent(Origin::Cache)), (None, None));
        assert_eq!(window.tasks_per_second(seconds(17)), Some(0.0));
    }

    #[test]
    fn rates_and_shares() {
        let mut window = KindWindow::default();
        for second in 0..10 {
            window.submitted(seconds(second));
            window.cost(seconds(second), Nanos(1_000));
            let delivered = (second != 9).then_some((
                1_000 * (second as u32 + 1),
                if second < 3 { Origin::Remote } else { Origin::Local },
            ));
            window.ended(seconds(second), Ended { delivered, in_time: second < 5, reused: second == 9 });
        }
        assert_eq!(window.percentiles_ms(), Some(Percentiles { p50: 5.0, p95: 9.0, p99: 9.0 }));
        assert_eq!((window.in_time_percent(), window.reused_percent()), (Some(50.0), Some(10.0)));
        assert!((window.origin_percent(Origin::Remote).unwrap() - 100.0 / 3.0).abs() < 1e-9);
        assert!((window.dollars_per_hour(seconds(10)).unwrap() - 0.0036).abs() < 1e-12);
        for _ in 0..2 * EVENTS_MAX {
            window.submitted(seconds(10));
        }
        assert_eq!(window.submitted.len(), EVENTS_MAX);
    }

    #[test]
    fn rates_hold_when_the_list_is_full() {
        let mut window = KindWindow::default();
        for half_millisecond in 0..20_000 {
            let now = Micros(500 * half_millisecond);
            window.submitted(now);
            window.cost(now, Nanos(1_000));
        }
        window.expire(seconds(10));
        assert!((window.tasks_per_second(seconds(10)).unwrap() - 2_000.0).abs() < 0.5);
        assert!((window.dollars_per_hour(seconds(10)).unwrap() - 7.2).abs() < 0.01);
    }
}
