//! Heartbeats: whether the other end is alive, how far away it is, and what its clock shows.
//!
//! Each side sends heartbeats by its own timer, and every heartbeat echoes the newest one received, so each
//! end gets four time stamps (RFC 5905 section 8) without replies. A side with tasks out says so in its
//! heartbeats, and the other then sends at the fast rate too.
//!
//! Only the client can reconnect, so the client has to notice soon that it was cut off: an idle one hears from the
//! coordinator four times a second, and requests a heartbeat as soon as one is missing. An idle client that is gone costs
//! the coordinator nothing, so the coordinator takes five seconds to notice.
//!
//! The coordinator's heartbeats to idle clients leave together, and each client sends its own once a second when one of
//! those arrives. So the heartbeats of many clients arrive together too, and the coordinator is not woken for each.

use std::time::Duration;

use p2c2r_protocol::{Beat, BeatEcho, Micros};

use crate::connection::ConnectionEnd;
use crate::limits::{
    BEAT_BUSY, BEAT_GRID, BEAT_IDLE, BEAT_IDLE_SLACK, BEAT_IDLE_TO_CLIENT, DEATH_BUSY, DEATH_IDLE,
    DEATH_IDLE_AT_CLIENT, DOUBT_IDLE,
};

/// Round trips remembered; the clock offset is taken from the shortest, whose packets were delayed least.
const SAMPLES: usize = 16;
/// Largest age of one of our own heartbeats that a peer may echo; a connection silent for so long is dead.
const ECHO_AGE_US_MAX: i128 = 20_000_000;

/// One peer's heartbeats.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    end: ConnectionEnd,
    busy: bool,
    busy_since: Duration,
    peer_busy: bool,
    sequence: u32,
    sent_at: Option<Duration>,
    reply_now: bool,
    newest: Option<(u32, BeatEcho)>,
    heard_at: Duration,
    grace_until: Duration,
    last_echo: Option<Micros>,
    samples: [Option<Sample>; SAMPLES],
    next_sample: usize,
    rtt: Option<Duration>,
    jitter: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    rtt_us: u64,
    offset_us: i64,
}

impl Heartbeat {
    pub(crate) fn new(now: Duration, end: ConnectionEnd) -> Self {
        Self {
            end,
            busy: false,
            busy_since: now,
            peer_busy: false,
            sequence: 0,
            sent_at: None,
            reply_now: true,
            newest: None,
            heard_at: now,
            grace_until: now,
            last_echo: None,
            samples: [None; SAMPLES],
            next_sample: 0,
            rtt: None,
            jitter: Duration::ZERO,
        }
    }

    /// Sets whether this side has tasks out at the peer. True if that changed.
    pub(crate) fn mark_busy(&mut self, busy: bool, now: Duration) -> bool {
        if busy == self.busy {
            return false;
        }
        self.busy = busy;
        self.busy_since = now;
        true
    }

    /// Records that any packet has arrived.
    pub(crate) fn heard(&mut self, now: Duration) {
        self.heard_at = now;
    }

    pub(crate) fn heard_at(&self) -> Duration {
        self.heard_at
    }

    /// When the next heartbeat is due.
    pub(crate) fn due_at(&self) -> Duration {
        let Some(sent_at) = self.sent_at.filter(|_| !self.reply_now) else { return Duration::ZERO };
        if self.busy || self.peer_busy {
            return sent_at + BEAT_BUSY;
        }
        match self.end {
            ConnectionEnd::Server => on_the_grid(sent_at + BEAT_IDLE_TO_CLIENT),
            ConnectionEnd::Client => {
                let alone = sent_at + BEAT_IDLE + BEAT_IDLE_SLACK;
                let is_near = self.heard_at + BEAT_IDLE_SLACK >= sent_at + BEAT_IDLE;
                let together = if is_near { self.heard_at } else { alone };
                alone.min(together).min((sent_at + BEAT_BUSY).max(self.doubts_at()))
            }
        }
    }

    /// When silence makes an idle client ask for a heartbeat.
    fn doubts_at(&self) -> Duration {
        self.heard_at + DOUBT_IDLE
    }

    /// Whether to ask for an immediate reply.
    fn doubts(&self, now: Duration) -> bool {
        matches!(self.end, ConnectionEnd::Client) && !self.busy && now >= self.doubts_at()
    }

    /// The heartbeat to send now. `stamp` is the clock right now, not the update's.
    pub(crate) fn beat(&mut self, now: Duration, stamp: Micros) -> Beat {
        self.sent_at = Some(now);
        self.reply_now = false;
        self.sequence = self.sequence.wrapping_add(1);
        Beat {
            sequence: self.sequence,
            sent_at: stamp,
            busy: self.busy,
            // A heartbeat without an echo is answered at once.
            echo: self.newest.as_ref().map(|(_, echo)| *echo).filter(|_| !self.doubts(now)),
        }
    }

    /// Handles a heartbeat from the peer; false if its echo cannot be true.
    pub(crate) fn take(&mut self, beat: Beat, arrived: Micros) -> bool {
        let first = self.newest.is_none();
        if self.newest.as_ref().is_some_and(|(sequence, _)| beat.sequence <= *sequence) {
            return true; // Reordered; a later one has been handled already.
        }
        self.newest = Some((beat.sequence, BeatEcho { sent_at: beat.sent_at, received_at: arrived }));
        self.peer_busy = beat.busy;
        // The first heartbeat is answered at once, so that both ends know the round trip before the first
        // task.
        self.reply_now |= first || beat.echo.is_none();
        match beat.echo {
            Some(echo) if self.last_echo != Some(echo.sent_at) => self.sample(&beat, echo, arrived),
            _ => true,
        }
    }

    fn sample(&mut self, beat: &Beat, echo: BeatEcho, arrived: Micros) -> bool {
        let [t0, t1, t2, t3] =
            [echo.sent_at, echo.received_at, beat.sent_at, arrived].map(|stamp| i128::from(stamp.0));
        let rtt = (t3 - t0) - (t2 - t1);
        // Theirs minus ours, halved; ours = theirs + offset needs the opposite sign.
        let offset = -((t1 - t0) + (t2 - t3)) / 2;
        let (Ok(rtt_us), Ok(offset_us)) = (u64::try_from(rtt), i64::try_from(offset)) else {
            return false;
        };
        if t0 > t3 || t1 > t2 || t3 - t0 > ECHO_AGE_US_MAX {
            return false;
        }
        self.last_echo = Some(echo.sent_at);
        self.samples[self.next_sample] = Some(Sample { rtt_us, offset_us });
        self.next_sample = (self.next_sample + 1) % SAMPLES;
        let latest = Duration::from_micros(rtt_us);
        // Smoothed as TCP does it (RFC 6298).
        self.rtt = Some(match self.rtt {
            None => {
                self.jitter = latest / 2;
                latest
            }
            Some(rtt) => {
                self.jitter = (self.jitter * 3 + rtt.abs_diff(latest)) / 4;
                (rtt * 7 + latest) / 8
            }
        });
        true
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub(crate) fn jitter(&self) -> Duration {
        self.jitter
    }

    /// Our clock minus theirs, from the shortest of the latest round trips.
    pub(crate) fn offset_us(&self) -> Option<i64> {
        self.samples.iter().flatten().min_by_key(|sample| sample.rtt_us).map(|sample| sample.offset_us)
    }

    /// When silence ends the connection. Errs late, never early: by one round trip after tasks went out,
    /// because the peer learns of the fast rate only then.
    pub(crate) fn dies_at(&self) -> Duration {
        let (silence, since) = if self.busy {
            (DEATH_BUSY, self.heard_at.max(self.busy_since + self.rtt.unwrap_or_default()))
        } else {
            let silence = match (self.end, self.rtt) {
                (ConnectionEnd::Client, Some(rtt)) => DEATH_IDLE_AT_CLIENT + rtt,
                _ => DEATH_IDLE,
            };
            (silence, self.heard_at.max(self.busy_since))
        };
        (since + silence).max(self.grace_until)
    }

    /// Whether the peer is dead. `attended` is the time since the last update: after a pause of our own (a
    /// loading hitch, a debugger) the peer gets time to be heard first.
    pub(crate) fn is_dead(&mut self, now: Duration, attended: Duration) -> bool {
        if now < self.dies_at() {
            return false;
        }
        if attended > BEAT_BUSY + BEAT_BUSY / 2 && now >= self.grace_until + DEATH_BUSY {
            self.grace_until = now + BEAT_BUSY;
            return false;
        }
        true
    }
}

/// The first multiple of the grid from `at` on.
fn on_the_grid(at: Duration) -> Duration {
    BEAT_GRID * at.as_millis().div_ceil(BEAT_GRID.as_millis()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    /// Two ends whose clocks differ by `shift` milliseconds exchange heartbeats over a connection of `there` and `back`.
    fn exchange(shift: u64, there: u64, back: u64) -> (Heartbeat, Heartbeat) {
        let (mut a, mut b) =
            (Heartbeat::new(ms(0), ConnectionEnd::Client), Heartbeat::new(ms(0), ConnectionEnd::Server));
        for round in 0..4 {
            let start = round * 250;
            let beat = a.beat(ms(start), Micros::from(ms(start)));
            assert!(b.take(beat, Micros::from(ms(start + there + shift))));
            let sent = start + there + 7;
            let beat = b.beat(ms(sent), Micros::from(ms(sent + shift)));
            a.heard(ms(sent + back));
            assert!(a.take(beat, Micros::from(ms(sent + back))));
        }
        (a, b)
    }

    #[test]
    fn measure_round_trip_and_offset_without_counting_the_time_held() {
        let (a, _) = exchange(5_000, 40, 40);
        assert_eq!(a.rtt(), Some(ms(80)));
        assert_eq!(a.offset_us(), Some(-5_000_000));
        let (_, b) = exchange(5_000, 40, 40);
        assert_eq!(b.offset_us(), Some(5_000_000));
    }

    #[test]
    fn answer_the_first_exchange_at_once_and_then_never() {
        let (mut a, mut b) =
            (Heartbeat::new(ms(0), ConnectionEnd::Client), Heartbeat::new(ms(0), ConnectionEnd::Server));
        let mut beats = 0;
        for _ in 0..20 {
            for from in [true, false] {
                let (sender, receiver) = if from { (&mut a, &mut b) } else { (&mut b, &mut a) };
                if sender.due_at() <= ms(10) {
                    let beat = sender.beat(ms(10), Micros(10_000));
                    receiver.take(beat, Micros(10_000));
                    beats += 1;
                }
            }
        }
        assert!((3..=4).contains(&beats), "{beats} beats without time passing");
    }

    #[test]
    fn beat_fast_while_either_side_is_busy() {
        let (mut a, mut b) = exchange(0, 1, 1);
        assert!(a.mark_busy(true, ms(4_000)));
        let beat = a.beat(ms(4_000), Micros::from(ms(4_000)));
        assert!(beat.busy);
        b.take(beat, Micros::from(ms(4_001)));
        b.beat(ms(4_001), Micros::from(ms(4_001)));
        assert_eq!(b.due_at(), ms(4_101));
        assert_eq!(a.due_at(), ms(4_100));
    }

    #[test]
    fn silence_is_death_sooner_while_busy() {
        let mut heartbeat = Heartbeat::new(ms(0), ConnectionEnd::Server);
        heartbeat.heard(ms(1_000));
        assert!(!heartbeat.is_dead(ms(5_900), ms(10)));
        assert!(heartbeat.is_dead(ms(6_000), ms(10)));
        heartbeat.heard(ms(7_000));
        heartbeat.mark_busy(true, ms(7_900));
        assert!(!heartbeat.is_dead(ms(8_200), ms(10)), "350 ms count from when it became busy");
        assert!(heartbeat.is_dead(ms(8_300), ms(10)));
    }

    #[test]
    fn an_idle_client_asks_when_a_beat_is_missing_and_gives_up_half_a_second_and_a_round_trip_later() {
        let (mut client, mut server) = exchange(0, 20, 20);
        let heard = ms(10_000);
        client.heard(heard);
        client.beat(heard, heard.into());
        assert!(client.newest.is_some());
        assert_eq!(client.due_at(), heard + ms(300));
        let question = client.beat(client.due_at(), client.due_at().into());
        assert_eq!((question.echo, client.due_at()), (None, heard + ms(400)));
        server.beat(heard + ms(310), (heard + ms(310)).into());
        server.take(question, (heard + ms(320)).into());
        assert_eq!(server.due_at(), Duration::ZERO, "it is answered at once");
        assert!(!client.is_dead(heard + ms(539), ms(10)));
        assert!(client.is_dead(heard + ms(540), ms(10)));
        client.heard(heard + ms(540));
        assert!(client.beat(heard + ms(541), (heard + ms(541)).into()).echo.is_some(), "it asks no more");
        assert!(!client.is_dead(heard + ms(1_000), ms(10)));
    }

    #[test]
    fn an_idle_client_beats_with_the_coordinators_beat_that_arrives_about_a_second_after_its_last() {
        for late in 0..250 {
            let (mut client, _) = exchange(0, 20, 20);
            let start = ms(10_000);
            client.beat(start, start.into());
            let mut arrivals = (0..).map(|beat| start + ms(late + 250 * beat));
            let sent = arrivals.find(|arrival| {
                client.heard(*arrival);
                let due = client.due_at();
                assert!(due <= *arrival || due > *arrival + ms(250), "it waits for the next: {due:?}");
                due <= *arrival
            });
            let after = sent.map(|sent| sent.saturating_sub(start));
            assert!(after.is_some_and(|after| (ms(875)..=ms(1_125)).contains(&after)), "{after:?}");
        }
    }

    #[test]
    fn idle_beats_to_clients_share_few_moments() {
        let mut moments = std::collections::BTreeSet::new();
        for join in 0..1_000_u64 {
            let mut heartbeat = Heartbeat::new(ms(join), ConnectionEnd::Server);
            heartbeat.beat(ms(join), Micros::from(ms(join)));
            while heartbeat.due_at() < ms(2_000) {
                let due = heartbeat.due_at();
                heartbeat.beat(due, due.into());
            }
            moments.insert(heartbeat.due_at());
        }
        assert_eq!(moments.len(), 10, "those of a quarter of a second");
    }

    #[test]
    fn a_pause_of_our_own_is_not_the_peers_death() {
        let mut heartbeat = Heartbeat::new(ms(0), ConnectionEnd::Server);
        heartbeat.mark_busy(true, ms(0));
        heartbeat.heard(ms(1_000));
        assert!(!heartbeat.is_dead(ms(4_000), ms(3_000)), "we were away, not the peer");
        assert!(heartbeat.is_dead(ms(4_100), ms(100)));
    }

    #[test]
    fn refuse_echoes_that_cannot_be_true() {
        let mut heartbeat = Heartbeat::new(ms(0), ConnectionEnd::Server);
        heartbeat.beat(ms(10), Micros(10_000));
        let echo = |sent_at, received_at| {
            Some(BeatEcho { sent_at: Micros(sent_at), received_at: Micros(received_at) })
        };
        for (sequence, echo) in [(1, echo(u64::MAX, 0)), (2, echo(10_000, u64::MAX)), (3, echo(0, 0))] {
            let beat = Beat { sequence, sent_at: Micros(u64::MAX), busy: false, echo };
            let _ = heartbeat.take(beat, Micros(12_000));
        }
        assert_eq!(heartbeat.rtt(), None);
        assert_eq!(heartbeat.offset_us(), None);
    }
}
