//! Coming back after a cut: by the spare token of the session, or over HTTPS if that token is of no use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use p2c2r_link::memory::Fate;
use p2c2r_link::{
    ClientLink, Grant, Impairment, LinkStatus, MemoryHub, Mint, NextWake, PeerJoined, Peers, ServerTransport,
    TokenAnswer, TokenSource,
};
use p2c2r_protocol::{PeerId, Role, ServerToWorker};

use crate::harness::*;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// Connect tokens that take their time, as over HTTPS.
#[derive(Clone, Debug)]
struct Slowly(Arc<Mutex<Asked>>);

#[derive(Debug)]
struct Asked {
    source: Arc<dyn TokenSource>,
    waiting: Vec<(Duration, TokenAnswer)>,
    count: usize,
}

impl TokenSource for Slowly {
    fn ask(&self, answer: TokenAnswer) {
        let mut asked = self.0.lock().unwrap();
        asked.waiting.push((Duration::ZERO, answer));
        asked.count += 1;
    }
}

impl Slowly {
    fn of(source: Arc<dyn TokenSource>) -> Self {
        Self(Arc::new(Mutex::new(Asked { source, waiting: Vec::new(), count: 0 })))
    }

    /// Lets a millisecond pass, and gives the tokens that were asked for `takes` ago.
    fn pass(&self, takes: Duration) {
        let mut asked = self.0.lock().unwrap();
        for (age, _) in &mut asked.waiting {
            *age += ms(1);
        }
        while asked.waiting.first().is_some_and(|(age, _)| *age >= takes) {
            let (_, answer) = asked.waiting.remove(0);
            asked.source.ask(answer);
        }
    }

    /// How many were asked for so far.
    fn count(&self) -> usize {
        self.0.lock().unwrap().count
    }
}

/// A coordinator and a worker far from it. Its connect tokens take four round trips: for TCP, TLS, the challenge and the token.
struct Far {
    world: World,
    mint: Mint,
    tokens: Slowly,
    round_trip: u64,
}

impl Far {
    /// Connected for long enough to have been given a spare token.
    fn connected(round_trip: u64) -> Self {
        Self::with(round_trip, true)
    }

    /// The same; unless `spares_arrive`, no spare token arrives.
    fn with(round_trip: u64, spares_arrive: bool) -> Self {
        let impair = Some(Impairment { latency: ms(round_trip / 2), ..Impairment::NONE });
        let settings = Settings { impair, ..Settings::default() };
        let (hub, mint) = (MemoryHub::new(), Mint::new(&settings.identity));
        let tokens = Slowly::of(source(&mint, &hub, "wes"));
        let server = server_with(ServerTransport::Memory(hub.clone()), &settings, mint.clone());
        let mut world = World { hub, server, games: Vec::new(), workers: Vec::new(), settings };
        world.hub.set_tokens(Arc::new(tokens.clone()));
        let coordinator = world.hub.server_address();
        world.hub.tap(move |from, _, packet| {
            let is_spare = from == coordinator && packet.len() > 1_000;
            if is_spare && !spares_arrive { Fate::Drop } else { Fate::Deliver }
        });
        world.add_worker("wes");
        let mut far = Self { world, mint, tokens, round_trip };
        far.until("it joins", 10_000, Self::is_connected);
        far.run(8_000);
        assert_eq!(far.mint.outstanding(), 1, "one spare token for the one connection");
        assert_eq!(downs(&mut far.world.workers[0]), Vec::<String>::new(), "nothing is missing");
        far
    }

    fn step(&mut self) {
        self.tokens.pass(ms(4 * self.round_trip));
        self.world.step();
    }

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.step();
        }
    }

    /// The milliseconds that it takes until it is so.
    fn until(&mut self, what: &str, at_most: u64, mut is_so: impl FnMut(&mut Self) -> bool) -> u64 {
        let took = (1..=at_most).find(|_| {
            self.step();
            is_so(self)
        });
        took.unwrap_or_else(|| panic!("not within {at_most} ms: {what}"))
    }

    fn is_connected(&mut self) -> bool {
        link(&self.world.workers[0]).is_connected()
    }

    /// The milliseconds until the worker has noticed that it is cut off.
    fn noticed(&mut self) -> u64 {
        self.until("it has noticed", 5_000, |far| !far.is_connected())
    }

    /// The milliseconds until the worker is connected again.
    fn back(&mut self) -> u64 {
        self.until("it is back", 20_000, Self::is_connected)
    }

    /// Another coordinator takes the place of this one, which has ended without a word.
    fn restart(&mut self) {
        self.mint = Mint::new(&self.world.settings.identity);
        self.tokens.0.lock().unwrap().source = source(&self.mint, &self.world.hub, "wes");
        let transport = ServerTransport::Memory(self.world.hub.clone());
        self.world.server = server_with(transport, &self.world.settings, self.mint.clone());
    }
}

fn source(mint: &Mint, hub: &MemoryHub, name: &str) -> Arc<dyn TokenSource> {
    Arc::new(mint.source(Grant::of_name(Role::Worker, name), &identity(), hub.server_address()))
}

/// Measured in the client's own time. Each bound is half a round trip until the last packet has arrived, half a second and
/// a round trip of silence, and then the time that the way back takes.
#[test]
fn who_is_cut_off_is_back_one_round_trip_after_it_has_noticed_and_over_https_where_the_coordinator_was_restarted()
 {
    println!(
        "round trip: from another address, when the line is back, after a restart; the latter without spare token"
    );
    for round_trip in [0, 20, 60, 110, 200, 400] {
        let silence = 500 + round_trip + round_trip / 2;

        let mut far = Far::connected(round_trip);
        far.world.hub.cut_ports("wes");
        let moved = far.noticed() + far.back();
        assert!(
            far.tokens.count() == 1 || round_trip > 190,
            "round trips of {round_trip} ms: a token was fetched"
        );
        assert!(moved <= silence + round_trip + 10, "round trips of {round_trip} ms: {moved} ms");

        let mut far = Far::connected(round_trip);
        far.world.hub.cut("wes");
        let noticed = far.noticed();
        far.world.hub.heal("wes");
        let healed = noticed + far.back();
        assert!(healed <= silence + 2 * round_trip + 10, "round trips of {round_trip} ms: {healed} ms");

        let mut far = Far::connected(round_trip);
        far.restart();
        let restarted = far.noticed() + far.back();
        // 300 ms of silence, at most 100 until the spare token is shown, 200 without an answer, and at most 100 before the next
        // token is used; four round trips for it, and two for the handshake.
        let at_most = 720 + 6 * round_trip + round_trip / 2;
        assert!(restarted <= at_most, "round trips of {round_trip} ms: {restarted} ms");

        let mut far = Far::with(round_trip, false);
        far.world.hub.cut("wes");
        let noticed = far.noticed();
        far.world.hub.heal("wes");
        let healed_without = noticed + far.back();
        let mut far = Far::with(round_trip, false);
        far.restart();
        let restarted_without = far.noticed() + far.back();
        for without in [healed_without, restarted_without] {
            let at_most = silence.max(300 + 4 * round_trip) + 2 * round_trip + round_trip / 2 + 120;
            assert!(without <= at_most, "round trips of {round_trip} ms: {without} ms without spare token");
        }
        println!(
            "{round_trip:>4} ms: {moved:>5} {healed:>5} {restarted:>5}; {healed_without:>5} {restarted_without:>5}"
        );
    }
}

/// Its timer for a second connect token expires while it waits for the end of the handshake: if it were woken for that, the
/// runner would update it without a pause.
#[test]
fn who_waits_for_the_end_of_its_handshake_is_not_woken_for_anything_else() {
    let mut far = Far::connected(400);
    far.world.hub.cut("wes");
    far.noticed();
    far.world.hub.heal("wes");
    let asked = far.tokens.count();
    let mut woken_at_once = 0;
    far.until("it is back", 2_000, |far| {
        woken_at_once += usize::from(far.world.workers[0].world().resource::<NextWake>().is_due());
        far.is_connected()
    });
    // The update in which it is connected has something to follow it.
    assert!(woken_at_once <= 1, "{woken_at_once} updates asked for the next one at once");
    assert_eq!(far.tokens.count(), asked, "no token was asked for meanwhile");
}

#[test]
fn within_a_second_up_to_round_trips_of_200_ms_from_another_address() {
    for round_trip in [0, 50, 100, 150, 200] {
        let mut far = Far::connected(round_trip);
        far.world.hub.cut_ports("wes");
        let took = far.noticed() + far.back();
        assert!(took <= 1_000, "round trips of {round_trip} ms: {took} ms");
        assert_eq!(peers(&far.world.server).len(), 1, "it took the place of its older connection");
    }
}

/// So that a client can come back to a full coordinator, and to one at home that has few places.
#[test]
fn who_is_cut_off_is_back_within_a_second_where_its_own_older_connection_has_the_last_place() {
    let mut world = World::new(Settings { peers_max: 1, ..Settings::default() });
    world.add_worker("wes");
    world.run(ms(8_000));
    assert!(link(&world.workers[0]).is_connected());
    world.add_worker("bob");
    let is_refused = |status| matches!(status, LinkStatus::Refused { .. });
    world
        .run_until("there is no place for another", ms(1_000), |world| is_refused(status(&world.workers[1])));
    let before = peers(&world.server).totals().refused.no_place;

    world.hub.cut_ports("wes");
    let mut milliseconds = 0;
    world.run_until("it has noticed", ms(1_000), |world| {
        milliseconds += 1;
        !link(&world.workers[0]).is_connected()
    });
    world.run_until("it is back", ms(1_000 - milliseconds), |world| link(&world.workers[0]).is_connected());
    assert_eq!(peers(&world.server).totals().refused.no_place, before);
    assert_eq!(peers(&world.server).len(), 1, "it has taken the place of its older connection");
    assert!(left(&mut world.server).iter().any(|left| left.reason.contains("came back")));
}

#[test]
fn who_comes_back_to_a_restarted_coordinator_fetches_one_token_and_a_second_one_where_that_takes_a_second() {
    for round_trip in [0, 20, 60, 110] {
        let mut far = Far::connected(round_trip);
        let asked = far.tokens.count();
        far.restart();
        far.noticed();
        far.back();
        assert_eq!(far.tokens.count(), asked + 1, "round trips of {round_trip} ms");
    }

    let mut far = Far::with(60, false);
    let asked = far.tokens.count();
    far.restart();
    far.until("a token is asked for", 1_000, |far| far.tokens.count() > asked);
    let never_answered = std::mem::take(&mut far.tokens.0.lock().unwrap().waiting);
    let took = far.noticed() + far.back();
    assert_eq!(far.tokens.count(), asked + 2);
    assert!((1_000..=1_000 + 6 * 60 + 60).contains(&took), "back {took} ms after it asked");
    drop(never_answered);
}

/// A client with tasks out gives its session up so early that many have not shown their spare token before.
#[test]
fn a_spare_token_is_shown_once_in_an_update() {
    let mut shown_at_the_end = 0;
    for number in 0..8 {
        let mut world = World::new(Settings { step: ms(5), ..Settings::default() });
        world.add_worker(&format!("wes-{number}"));
        world.run(ms(8_000));
        world.workers[0].world_mut().resource_mut::<ClientLink>().mark_busy(true);
        world.run(ms(1_000));
        let shown = Arc::new(Mutex::new(0));
        let (seen, coordinator) = (Arc::clone(&shown), world.hub.server_address());
        world.hub.tap(move |_, to, packet| {
            *seen.lock().unwrap() += usize::from(to == coordinator && packet[0] == 0);
            Fate::Drop
        });
        for _ in 0..200 {
            let was_connected = link(&world.workers[0]).is_connected();
            let before = *shown.lock().unwrap();
            world.step();
            let in_this_update = *shown.lock().unwrap() - before;
            assert!(in_this_update <= 1, "{in_this_update} requests of wes-{number} in one update");
            let is_at_the_end = was_connected && !link(&world.workers[0]).is_connected();
            shown_at_the_end += usize::from(is_at_the_end && before == 0 && in_this_update == 1);
        }
    }
    assert!(shown_at_the_end > 0, "some have shown it only when they gave their session up");
}

/// The path carries no packet of the token's length.
#[test]
fn a_spare_token_that_never_arrives_holds_nothing_back_and_does_not_fill_the_line() {
    let mut world = World::new(Settings { step: ms(10), ..Settings::default() });
    let sent = Arc::new(Mutex::new(0));
    let (seen, coordinator) = (Arc::clone(&sent), world.hub.server_address());
    world.hub.tap(move |from, _, packet| {
        if from != coordinator {
            return Fate::Deliver;
        }
        *seen.lock().unwrap() += packet.len();
        if packet.len() > 1_078 { Fate::Drop } else { Fate::Deliver }
    });
    world.add_worker("wes");
    world.run(Duration::from_mins(10));
    let before = *sent.lock().unwrap();
    world.run(ms(10_000));
    let bytes_per_second = (*sent.lock().unwrap() - before) / 10;
    println!("{bytes_per_second} bytes a second to an idle worker");
    assert!(bytes_per_second < 20_000, "{bytes_per_second} bytes a second");

    let mut samples = p2c2r_protocol::identity::samples_of_server_to_worker().into_iter();
    let statement = samples.find(|sample| matches!(sample, ServerToWorker::Statement(_))).unwrap();
    let worker = world.peer(Role::Worker);
    to_worker(&mut world.server, worker, statement.clone());
    world.run(ms(100));
    assert!(at_worker(&mut world.workers[0]).iter().any(|heard| heard.message == statement));
}

#[test]
fn a_session_that_speaks_again_goes_on_and_has_another_spare_token_soon() {
    let mut far = Far::connected(200);
    let before = far.world.peer(Role::Worker);
    // Nothing of the session gets through until the coordinator has answered the spare token.
    let is_challenged = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&is_challenged);
    far.world.hub.tap(move |_, _, packet| match packet[0] & 0x0F {
        2 => {
            *seen.lock().unwrap() = true;
            Fate::Deliver
        }
        5 if !*seen.lock().unwrap() => Fate::Drop,
        _ => Fate::Deliver,
    });
    far.until("the spare token is shown", 1_000, |_| *is_challenged.lock().unwrap());
    far.run(15_000);
    assert!(far.is_connected() && far.world.peer(Role::Worker) == before, "it is the same session");
    assert_eq!(downs(&mut far.world.workers[0]), Vec::<String>::new());

    let asked = far.tokens.count();
    far.world.hub.cut_ports("wes");
    far.noticed();
    let back = far.back();
    assert!(
        back <= 210 && far.tokens.count() <= asked + 1,
        "it came back by another spare token, in {back} ms"
    );
}

#[test]
fn who_is_put_out_has_no_spare_token_any_more() {
    let mut far = Far::connected(20);
    far.world.hub.cut("wes");
    let (peer, asked) = (far.world.peer(Role::Worker), far.tokens.count());
    far.world.server.world_mut().resource_mut::<Peers>().disconnect(peer, "the account was closed");
    far.step();
    assert_eq!(far.mint.outstanding(), 0, "it is void before the worker hears of anything");
    far.noticed();
    far.world.hub.heal("wes");
    far.back();
    assert!(far.tokens.count() > asked, "it is let in by a token from elsewhere alone");
    assert!(peers(&far.world.server).totals().refused.unknown_token > 0, "it has tried");

    let mut far = Far::connected(20);
    let peer = far.world.peer(Role::Worker);
    far.world.server.world_mut().resource_mut::<Peers>().disconnect(peer, "the account was closed");
    let strangers = |far: &Far| peers(&far.world.server).totals().refused;
    let before = strangers(&far);
    far.noticed();
    far.back();
    assert_eq!(strangers(&far), before, "who heard that it was put out does not even try");
}

#[test]
fn a_spare_token_that_was_slept_through_costs_no_time_out() {
    let mut far = Far::connected(40);
    // The worker is not updated for longer than the token lives, and its address has changed when it wakes.
    far.world.hub.cut_ports("wes");
    let mut worker = far.world.workers.remove(0);
    far.run(70_000);
    assert_eq!((peers(&far.world.server).len(), far.mint.outstanding()), (0, 0));
    worker.update();
    far.world.workers.push(worker);
    let took = far.noticed() + far.back();
    assert!(peers(&far.world.server).totals().refused.unknown_token > 0, "it has tried");
    assert!(took <= 1_000, "back after {took} ms");
}

#[test]
fn a_line_that_is_cut_for_longer_than_a_spare_token_lives_is_found_again() {
    let mut far = Far::connected(40);
    far.world.hub.cut("wes");
    far.run(70_000);
    assert!(!far.is_connected());
    far.world.hub.heal("wes");
    far.back();
    let refused = peers(&far.world.server).totals().refused;
    assert_eq!((refused.out_of_date, refused.unknown_token), (0, 0), "an old token is not shown");
}

#[test]
fn two_programs_of_one_account_come_back_as_themselves() {
    let mut world = World::new(Settings::default());
    world.add_worker("wes");
    world.add_worker("wes");
    world.run(ms(8_000));
    let instances = |joined: Vec<PeerJoined>| {
        let mut all: Vec<_> = joined.into_iter().map(|peer| (peer.account, peer.instance)).collect();
        all.sort_unstable();
        all
    };
    let before = instances(joined(&mut world.server));
    assert!(before.len() == 2 && before[0].0 == before[1].0 && before[0].1 != before[1].1, "{before:?}");
    world.hub.cut_ports("wes");
    world.run(ms(1_000));
    assert_eq!(instances(joined(&mut world.server)), before);
    assert_eq!(peers(&world.server).len(), 2);
}

/// Also prints what that costs: packets to an idle worker in five minutes that are longer than a heartbeat.
#[test]
fn a_connection_has_one_spare_token_which_takes_one_packet_in_forty_five_seconds() {
    let settings = Settings::default();
    let (hub, mint) = (MemoryHub::new(), Mint::new(&settings.identity));
    let server = server_with(ServerTransport::Memory(hub.clone()), &settings, mint.clone());
    let mut world = World { hub, server, games: Vec::new(), workers: Vec::new(), settings };
    world.add_worker("wes");
    world.run(ms(8_000));
    let long = Arc::new(Mutex::new(Vec::new()));
    let (seen, coordinator) = (Arc::clone(&long), world.hub.server_address());
    world.hub.tap(move |from, _, packet| {
        if from == coordinator && packet.len() > 200 {
            seen.lock().unwrap().push(packet.len());
        }
        Fate::Deliver
    });
    for _ in 0..300 {
        world.run(ms(1_000));
        assert_eq!(mint.outstanding(), 1);
    }
    let long = long.lock().unwrap();
    println!("in five minutes {} packets of {} bytes", long.len(), long[0]);
    assert!((6..=7).contains(&long.len()) && long.iter().all(|bytes| *bytes <= 1_250), "{long:?}");
}

/// A headless program may have nothing else to do for a quarter of a second after a packet of the handshake.
#[test]
fn a_client_answers_its_challenge_in_the_update_that_reads_it() {
    let mut world = World::new(Settings::default());
    let responses = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&responses);
    world.hub.tap(move |_, _, packet| {
        *seen.lock().unwrap() += usize::from(packet[0] & 0x0F == 3);
        Fate::Deliver
    });
    world.add_worker("wes");
    world.workers[0].update();
    world.server.update();
    assert_eq!(*responses.lock().unwrap(), 0);
    world.workers[0].update();
    assert_eq!(*responses.lock().unwrap(), 1);
    world.server.update();
    assert!(joined(&mut world.server).iter().any(|joined| joined.peer == PeerId(1)));
}
