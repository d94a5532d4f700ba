//! Notices that UDP does not arrive. Programs fetch connect tokens over HTTPS and then connect over UDP; behind a firewall
//! that is open for TCP alone they get their tokens and no further. The operator is told, because both sides see nothing but
//! silence.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use p2c2r_protocol::SeededHash;
use tracing::{info, warn};

use super::limits::Prefix;

/// How long tokens must have been fetched in vain before UDP counts as blocked. A program that reaches the coordinator
/// connects within seconds.
const BLOCKED_AFTER: Duration = Duration::from_secs(30);
/// Tokens that one address prefix must have fetched in vain by then, so that it has tried repeatedly.
const TOKENS_MIN: u32 = 3;
/// A pause between two tokens after which the count begins anew: programs try every ten seconds or so.
const TRIES_END: Duration = Duration::from_mins(1);
/// Time between two warnings while it lasts.
const WARN_EVERY: Duration = Duration::from_mins(10);
/// Address prefixes that are counted; tokens of further ones are not.
const PREFIXES_MAX: usize = 64;

/// What has become of connect tokens; a pure state machine. Times are durations since a fixed moment.
#[derive(Debug, Default)]
pub struct UdpReach {
    /// Tokens that were handed out since anyone was connected, by prefix.
    in_vain: HashMap<Prefix, u32, SeededHash>,
    /// The first and the last of them.
    tries: Option<(Duration, Duration)>,
    warned_at: Option<Duration>,
}

/// What the operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpNews {
    /// Nothing has come over UDP.
    Blocked {
        /// Address prefixes that tried.
        prefixes: usize,
        /// Tokens that they fetched.
        tokens: u32,
        /// Time since the first of them.
        lasting: Duration,
    },
    /// A program has connected after all.
    Over,
}

impl UdpReach {
    /// Notes that a token was handed out.
    pub fn token_given(&mut self, to: IpAddr, now: Duration) {
        if self.tries.is_some_and(|(_, last)| now >= last + TRIES_END) {
            self.forget();
        }
        let first = self.tries.map_or(now, |(first, _)| first);
        self.tries = Some((first, now));
        let prefix = Prefix::of(to);
        if self.in_vain.len() < PREFIXES_MAX || self.in_vain.contains_key(&prefix) {
            *self.in_vain.entry(prefix).or_default() += 1;
        }
    }

    /// Notes that a program is connected.
    pub fn connected(&mut self) -> Option<UdpNews> {
        self.forget();
        self.warned_at.take().map(|_| UdpNews::Over)
    }

    /// For how long tokens have been fetched in vain, if UDP counts as blocked at `now`.
    pub fn blocked_for(&self, now: Duration) -> Option<Duration> {
        let (first, last) = self.tries?;
        let lasting = now.saturating_sub(first);
        let is_enough = self.in_vain.values().any(|tokens| *tokens >= TOKENS_MIN);
        (lasting >= BLOCKED_AFTER && is_enough && now < last + TRIES_END).then_some(lasting)
    }

    /// What the operator is to be told at `now`, if anything; each warning at most every ten minutes.
    pub fn take_news(&mut self, now: Duration) -> Option<UdpNews> {
        let lasting = self.blocked_for(now)?;
        if self.warned_at.is_some_and(|at| now < at + WARN_EVERY) {
            return None;
        }
        self.warned_at = Some(now);
        let tokens = self.in_vain.values().sum();
        Some(UdpNews::Blocked { prefixes: self.in_vain.len(), tokens, lasting })
    }

    fn forget(&mut self) {
        self.in_vain.clear();
        self.tries = None;
    }
}

/// A [`UdpReach`] that the coordinator's threads share; so do clones.
#[derive(Resource, Clone, Debug)]
pub struct SharedUdpReach {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    port: u16,
    began: Instant,
    is_anyone_here: AtomicBool,
    reach: Mutex<UdpReach>,
}

impl SharedUdpReach {
    /// For a coordinator that listens on this UDP port.
    pub fn new(port: u16) -> Self {
        let (is_anyone_here, reach) = (AtomicBool::new(false), Mutex::default());
        Self { shared: Arc::new(Shared { port, began: Instant::now(), is_anyone_here, reach }) }
    }

    /// Notes that a token was handed out.
    pub fn token_given(&self, to: IpAddr) {
        self.with(|reach, now| reach.token_given(to, now));
    }

    /// Notes that somebody is connected; never waits.
    pub fn somebody_is_here(&self) {
        self.shared.is_anyone_here.store(true, Ordering::Relaxed);
    }

    /// The port at which UDP does not arrive, if it does not.
    pub fn blocked_port(&self) -> Option<u16> {
        self.with(|reach, now| reach.blocked_for(now)).map(|_| self.shared.port)
    }

    /// Logs what the operator should be told, if anything.
    pub fn report(&self) {
        let is_anyone_here = self.shared.is_anyone_here.swap(false, Ordering::Relaxed);
        let port = self.shared.port;
        match self.with(|reach, now| if is_anyone_here { reach.connected() } else { reach.take_news(now) }) {
            None => {}
            Some(UdpNews::Over) => {
                info!(target: crate::console::TARGET, event = "udp_arrives", port, "UDP arrives: a program has connected");
            }
            Some(UdpNews::Blocked { prefixes, tokens, lasting }) => {
                let seconds = lasting.as_secs();
                warn!(
                    target: crate::console::TARGET, event = "udp_blocked", port, prefixes, tokens, seconds,
                    "⚠️  HTTPS arrives and UDP port {port} does not: for {seconds} s nobody who fetched a connect token has \
                     connected ({tokens} tokens, {prefixes} address(es)). Open UDP port {port}, not TCP alone, in this machine's \
                     firewall and in the cloud's or the router's; if it is open, UDP is blocked where they are"
                );
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut UdpReach, Duration) -> T) -> T {
        let mut reach = self.shared.reach.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut reach, self.shared.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(203, 0, 113, last).into()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Tokens at these seconds, each for an address, and what is said at the end.
    fn after(tokens: &[(u64, u8)], now: u64) -> (UdpReach, Option<UdpNews>) {
        let mut reach = UdpReach::default();
        for (second, last) in tokens {
            reach.token_given(address(*last), at(*second));
        }
        let news = reach.take_news(at(now));
        (reach, news)
    }

    #[test]
    fn whoever_tries_for_half_a_minute_and_is_not_heard_is_told_of_once_in_ten_minutes_and_when_it_is_over() {
        let tries = [(0, 1), (5, 2), (15, 1), (25, 1)];
        assert_eq!(after(&tries, 29).1, None, "not yet half a minute");
        let (mut reach, news) = after(&tries, 30);
        assert_eq!(news, Some(UdpNews::Blocked { prefixes: 2, tokens: 4, lasting: at(30) }));
        for second in 31..630 {
            reach.token_given(address(1), at(second));
            assert_eq!(reach.take_news(at(second)), None);
            assert_eq!(reach.blocked_for(at(second)), Some(at(second)), "the page says so all the time");
        }
        assert!(matches!(reach.take_news(at(630)), Some(UdpNews::Blocked { .. })));
        assert_eq!((reach.connected(), reach.connected()), (Some(UdpNews::Over), None));
        assert_eq!((reach.take_news(at(700)), reach.blocked_for(at(700))), (None, None));
    }

    #[test]
    fn few_tokens_old_tokens_and_tokens_that_led_to_a_connection_say_nothing() {
        assert_eq!(after(&[(0, 1), (20, 1), (25, 2), (25, 3)], 40).1, None, "two tries at most by each");
        assert_eq!(after(&[(0, 1), (70, 1), (140, 1)], 150).1, None, "long pauses in between");
        assert_eq!(after(&[(0, 1), (1, 1), (2, 1)], 90).1, None, "it has given up");
        let (mut reach, _) = after(&[(0, 1), (10, 1), (20, 1)], 20);
        assert_eq!((reach.connected(), reach.take_news(at(40))), (None, None));
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let mut reach = UdpReach::default();
        for number in 0..u32::from(u16::MAX) {
            reach.token_given(Ipv4Addr::from_bits(number).into(), at(1));
        }
        assert_eq!(reach.in_vain.len(), PREFIXES_MAX);
    }
}
