//! Limits on unauthenticated peers, per address prefix and in sum.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use p2c2r_program::settings::{SettingRow, choices, millis, number, rows_of};
use p2c2r_program::settings_table;
use p2c2r_protocol::SeededHash;

use super::settings::OpenTo;

/// Prefixes that are counted separately; further ones at the same time share one count.
const PREFIXES_MAX: usize = 16_384;
/// Time between two log lines about the same trouble.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);
/// Time between two sweeps of a full table: a sweep looks at every entry.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

settings_table! {
    /// What a stranger may use, and for how long.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct JoinLimits {
        /// HTTPS connections at one time. One more ends one that has sent nothing, or else the oldest of the address prefixes
        /// that hold most, so that nobody can hold all of them
        pub connections_max: u32 = 512 => number("N", 1..=65_536).key("connections"),
        /// HTTPS connections at one time from one address prefix (an IPv4 address, or 64 bits of an IPv6 address); one more
        /// is refused
        pub connections_per_prefix_max: u32 = 64 => number("N", 1..=65_536).key("connections_per_prefix"),
        /// New HTTPS connections a minute from one address prefix, and how many of them may come at once
        pub connects_per_minute: u32 = 600 => number("N", 1..=1_000_000),
        /// Challenges a minute that one address prefix is given to join with, and as many connect tokens
        pub requests_per_minute: u32 = 600 => number("N", 1..=1_000_000),
        /// Requests over one HTTPS connection, which is then closed
        pub requests_per_connection_max: u32 = 100 => number("N", 1..=1_000_000).key("requests_per_connection"),
        /// Milliseconds that a TLS handshake may take
        pub handshake: Duration = Duration::from_secs(5) => millis(10..=60_000).key("handshake_ms"),
        /// Milliseconds that the headers of a request may take, from the handshake or the last answer on
        pub headers: Duration = Duration::from_secs(5) => millis(10..=60_000).key("headers_ms"),
        /// Milliseconds that the body of a request may take after its headers
        pub body: Duration = Duration::from_secs(5) => millis(10..=60_000).key("body_ms"),
        /// Milliseconds that an HTTPS connection may last after its handshake
        pub connection: Duration = Duration::from_mins(1) => millis(10..=3_600_000).key("connection_ms"),
        /// HTTPS requests that may wait for the store of accounts; one more is refused
        pub store_queue_max: u32 = 256 => number("N", 1..=65_536).key("store_queue"),
    }
}

settings_table! {
    /// Who may come without an invite, and how many.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OpenRegistration {
        /// Whether workers may.
        pub workers: bool = false => rows_of(open_rows),
        /// Whether gamers may.
        pub gamers: bool = false,
        /// Accounts that were opened without an invite, at one time; one more takes the place of one that is of no use
        pub accounts_max: u32 = 10_000 => number("N", 1..=1_000_000).key("open_accounts"),
        /// Accounts that may be opened without an invite in an hour
        pub accounts_per_hour: u32 = 200 => number("N", 1..=100_000).key("open_accounts_per_hour"),
        /// Accounts that may be opened without an invite in an hour from one address prefix
        pub accounts_per_prefix_hour: u32 = 10 => number("N", 1..=100_000).key("open_accounts_per_prefix_hour"),
    }
}

/// One setting for both roles.
fn open_rows() -> Vec<SettingRow<OpenRegistration>> {
    vec![SettingRow::new(
        "open",
        "Let everybody register as a worker, or as a gamer, without an invite; may be given twice",
        choices().flag("open").default_is("nobody"),
        |open: &OpenRegistration| {
            let to = [(open.workers, OpenTo::Workers), (open.gamers, OpenTo::Gamers)];
            Some(to.into_iter().filter(|(is_open, _)| *is_open).map(|(_, role)| role).collect::<Vec<_>>())
        },
        |open, to| {
            open.workers = to.contains(&OpenTo::Workers);
            open.gamers = to.contains(&OpenTo::Gamers);
            Ok(())
        },
    )]
}

/// The part of an address that costs money to change: an IPv4 address, or the 64 bits that an IPv6 customer is given
/// at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// An IPv4 address, mapped into IPv6 or not.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address.
    V6(u64),
}

impl Prefix {
    /// The prefix of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// A rate limit: `burst` times at once, and `burst` times more per `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Times at once, at least 1.
    pub burst: u32,
    /// Time in which an empty bucket refills.
    pub per: Duration,
}

/// A token bucket, kept as the moment at which it is full again (the generic cell rate algorithm of ATM networks).
#[derive(Clone, Copy, Debug, Default)]
pub struct GcraLimiter(Duration);

impl GcraLimiter {
    /// Takes one token at `now`; false if there is none.
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let full_at = self.0.max(now) + rate.per / rate.burst;
        let there = full_at <= now + rate.per;
        if there {
            self.0 = full_at;
        }
        there
    }
}

/// When a trouble of the coordinator's own was last logged. Strangers may run into it again and again, and must not be able
/// to flood the log.
#[derive(Debug, Default)]
pub struct LastComplaint(Option<Duration>);

impl LastComplaint {
    /// Whether to log it at `now`; if so, notes that it was.
    pub fn is_due(&mut self, now: Duration) -> bool {
        let is_due = self.0.is_none_or(|at| now >= at + COMPLAIN_EVERY);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// A token bucket for each address prefix. When `PREFIXES_MAX` are in use, new prefixes share one more.
#[derive(Debug)]
pub struct Buckets {
    rate: Rate,
    of_prefix: HashMap<Prefix, GcraLimiter, SeededHash>,
    of_others: GcraLimiter,
    sweep_at: Duration,
}

impl Buckets {
    /// Buckets that are all full.
    pub fn new(rate: Rate) -> Self {
        let of_prefix = HashMap::default();
        Self { rate, of_prefix, of_others: GcraLimiter::default(), sweep_at: Duration::ZERO }
    }

    /// Takes one token for `prefix` at `now`; false if there is none.
    pub fn take(&mut self, prefix: Prefix, now: Duration) -> bool {
        if self.of_prefix.len() >= PREFIXES_MAX && now >= self.sweep_at {
            // A full bucket equals a new one.
            self.of_prefix.retain(|_, bucket| bucket.0 > now);
            self.sweep_at = now + SWEEP_EVERY;
        }
        let is_known = self.of_prefix.len() < PREFIXES_MAX || self.of_prefix.contains_key(&prefix);
        let bucket = if is_known { self.of_prefix.entry(prefix).or_default() } else { &mut self.of_others };
        bucket.take(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn prefix(number: u32) -> Prefix {
        Prefix::V4(Ipv4Addr::from_bits(number))
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::new(Rate { burst: 3, per: MINUTE });
        let mut taken =
            |seconds| (0..9).filter(|_| buckets.take(prefix(1), Duration::from_secs(seconds))).count();
        assert_eq!((taken(0), taken(19), taken(20), taken(60), taken(600)), (3, 0, 1, 2, 3));
        assert!(buckets.take(prefix(2), Duration::from_mins(10)), "another prefix is counted apart");
    }

    #[test]
    fn many_prefixes_neither_fill_the_memory_nor_lock_those_before_them_out() {
        let mut buckets = Buckets::new(Rate { burst: 2, per: MINUTE });
        let now = Duration::from_secs(5);
        let let_in = (0..4 * PREFIXES_MAX as u32).filter(|number| buckets.take(prefix(*number), now)).count();
        assert_eq!((let_in, buckets.of_prefix.len()), (PREFIXES_MAX + 2, PREFIXES_MAX));
        assert!(buckets.take(prefix(0), now));
        assert!(buckets.take(prefix(u32::MAX), now + MINUTE), "idle ones make room");
        assert_eq!(buckets.of_prefix.len(), 1);
    }

    #[test]
    fn a_trouble_is_written_once_a_minute() {
        let mut last = LastComplaint::default();
        let seconds = [0, 1, 59, 60, 61, 200];
        let due = seconds.map(|second| last.is_due(Duration::from_secs(second)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }

    #[test]
    fn addresses_of_one_customer_are_one_prefix() {
        let of = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }
}
