//! The runner of programs without a window: sleep until there is something to do, then update once.
//!
//! An update follows at once when a packet arrives or a thread calls [`Waker::wake`], and else when the
//! earliest timer set with [`NextWake`] expires. An idle program does not poll, except a client that is
//! connecting, so it costs nothing, and no fixed tick delays a task. While events come in quick succession
//! and few at a time, the runner polls for some microseconds before it sleeps (`busy_poll.rs`).

mod busy_poll;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bevy_app::{App, AppExit, First, Plugin, PluginsState};
use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::{Res, ResMut};
use bevy_time::{Fixed, Real, Time, TimePlugin, TimeSystems, TimeUpdateStrategy};
use mio::{Events, Interest, Poll, Registry, Token};

use crate::clock::{LinkClock, UpdateTime};
use crate::lean_update::LeanUpdate;
use crate::limits::BUSY_POLL_MAX;

use busy_poll::BusyPoll;

/// The token of [`Waker`]; sockets count from one.
const WAKER: Token = Token(0);
/// The default of [`EventDrivenPlugin::busy_poll_max`], and of halt polling in Linux: as long as an answer
/// from another program on the same machine takes when both sleep in between. A shorter window never grows,
/// and programs that answer each other then sleep between all their messages.
pub const BUSY_POLL_DEFAULT: Duration = Duration::from_micros(200);
/// Pause after a failed poll, so that a broken poll cannot spin.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// Sets the app's runner: blocks on the socket, the [`Waker`] and the next timer, then updates the app.
///
/// Adds Bevy's `TimePlugin` if it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventDrivenPlugin {
    /// How long the runner may poll for the next event before it sleeps, while events come that fast with few
    /// messages at a time. Polling answers sooner, and costs up to all of a core's time while it lasts. At
    /// most [`BUSY_POLL_MAX`]; zero switches it off.
    pub busy_poll_max: Duration,
}

impl Default for EventDrivenPlugin {
    fn default() -> Self {
        Self { busy_poll_max: BUSY_POLL_DEFAULT }
    }
}

impl Plugin for EventDrivenPlugin {
    fn build(&self, app: &mut App) {
        // A plugin built earlier may have given clones of the waker to its threads already: this one is
        // filled, not replaced.
        let waker = app.world_mut().get_resource_or_init::<Waker>().clone();
        let (poll, sockets) = match open(waker) {
            Ok(opened) => opened,
            // At start-up: without a poll the program could only spin, and the operator must know why it does
            // not run.
            Err(error) => panic!("the operating system offers no event queue: {error}"),
        };
        app.insert_resource(sockets);
        set_up(app);
        let busy_poll = BusyPoll::new(self.busy_poll_max.min(BUSY_POLL_MAX));
        app.set_runner(move |app| run(app, poll, busy_poll));
    }
}

/// Adds what every program with a link needs, under any runner.
pub(crate) fn set_up(app: &mut App) {
    if !app.is_plugin_added::<TimePlugin>() {
        app.add_plugins(TimePlugin);
    }
    if app.world().contains_resource::<NextWake>() {
        return;
    }
    app.init_resource::<Waker>()
        .init_resource::<NextWake>()
        .init_resource::<LinkClock>()
        .add_systems(First, start_update.after(TimeSystems));
}

fn open(waker: Waker) -> io::Result<(Poll, Sockets)> {
    let poll = Poll::new()?;
    // A second plugin of this kind would set the runner again; the waker then goes on waking the first poll.
    let _ = waker.inner.waker.set(mio::Waker::new(poll.registry(), WAKER)?);
    let sockets = Sockets {
        registry: poll.registry().try_clone()?,
        waker,
        watched: AtomicUsize::new(0),
        news: AtomicUsize::new(0),
        received: AtomicUsize::new(0),
    };
    Ok((poll, sockets))
}

/// An app that has started and is updated without Bevy's overhead around its schedules: by the runner, or by a bench that
/// measures updates alone.
pub struct RunningApp {
    app: App,
    lean_update: LeanUpdate,
}

impl RunningApp {
    /// Runs the start-up schedules and the first update.
    pub fn start(mut app: App) -> Self {
        if app.plugins_state() != PluginsState::Cleaned {
            while app.plugins_state() == PluginsState::Adding {
                std::thread::yield_now();
            }
            app.finish();
            app.cleanup();
        }
        // The first update is Bevy's own: it runs the start-up schedules.
        app.update();
        let lean_update = LeanUpdate::of(&mut app);
        Self { app, lean_update }
    }

    /// Updates the app once, which reads its sockets whether or not anything is known to have come.
    pub fn update(&mut self) {
        if let Some(sockets) = self.app.world().get_resource::<Sockets>() {
            sockets.note_news();
        }
        self.lean_update.run(&mut self.app);
    }
}

fn run(app: App, mut poll: Poll, mut busy_poll: BusyPoll) -> AppExit {
    let mut events = Events::with_capacity(64);
    let RunningApp { mut app, mut lean_update } = RunningApp::start(app);
    loop {
        if let Some(exit) = app.should_exit() {
            return exit;
        }
        if let Err(error) = wait(&mut poll, &mut events, sleep_for(&app), &mut busy_poll)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "waiting for events failed");
            std::thread::sleep(REFUSED_PAUSE);
        }
        if events.iter().any(|event| event.token() == WAKER)
            && let Some(waker) = app.world().get_resource::<Waker>()
        {
            waker.reset();
        }
        if events.iter().any(|event| event.token() != WAKER)
            && let Some(sockets) = app.world().get_resource::<Sockets>()
        {
            sockets.note_news();
        }
        lean_update.run(&mut app);
        if let Some(sockets) = app.world().get_resource::<Sockets>() {
            busy_poll.received(sockets.take_received());
        }
    }
}

/// Waits for events, or until `timeout` has passed: first polls, then sleeps.
fn wait(
    poll: &mut Poll,
    events: &mut Events,
    timeout: Option<Duration>,
    busy_poll: &mut BusyPoll,
) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) {
        return poll.poll(events, timeout);
    }
    let began = Instant::now();
    let window = busy_poll.begin_wait();
    let look_for = timeout.map_or(window, |timeout| window.min(timeout));
    while began.elapsed() < look_for {
        poll.poll(events, Some(Duration::ZERO))?;
        if !events.is_empty() {
            return Ok(());
        }
        // The thread that would send the next event may be waiting for this very processor.
        std::thread::yield_now();
    }
    poll.poll(events, timeout.map(|timeout| timeout.saturating_sub(began.elapsed())))?;
    busy_poll.waited(began.elapsed());
    Ok(())
}

/// Time until the next timer; `None` waits for an event only.
fn sleep_for(app: &App) -> Option<Duration> {
    let next = app.world().get_resource::<NextWake>()?;
    let at = next.wanted_at()?;
    Some(at.saturating_sub(next.time.this_moment()))
}

/// Wakes the runner from any thread. Without [`EventDrivenPlugin`] it does nothing.
///
/// Many calls before the next update cost one system call and cause one update.
#[derive(Resource, Clone, Debug, Default)]
pub struct Waker {
    inner: Arc<WakerInner>,
}

#[derive(Debug, Default)]
struct WakerInner {
    pending: AtomicBool,
    waker: OnceLock<mio::Waker>,
}

impl Waker {
    /// Asks for an update as soon as possible.
    pub fn wake(&self) {
        let Some(waker) = self.inner.waker.get() else { return };
        if !self.inner.pending.swap(true, Ordering::AcqRel)
            && let Err(error) = waker.wake()
        {
            self.inner.pending.store(false, Ordering::Release);
            tracing::warn!(%error, "the runner could not be woken; it goes on at its next timer");
        }
    }

    /// Called before the update that the wake asked for, so that a later wake asks for another.
    fn reset(&self) {
        // An acquire read too, so that this update sees what a thread wrote before it found the flag already
        // set.
        self.inner.pending.swap(false, Ordering::AcqRel);
    }
}

/// The latest time for the next update. The earliest request holds, and the others are dropped when it has
/// come: code that needs a later update repeats its request in every update.
#[derive(Resource, Debug, Default)]
pub struct NextWake {
    time: UpdateTime,
    at: Option<Duration>,
    /// The link's request, renewed in every update, because its timers are often cancelled.
    link_at: Option<Duration>,
}

impl NextWake {
    /// Asks for an update within `duration` from this update's time.
    pub fn within(&mut self, duration: Duration) {
        self.at = Some(earlier(self.at, self.time.now + duration));
    }

    /// Begins an update: drops requests that have come.
    fn start_update(&mut self, time: UpdateTime) {
        self.time = time;
        self.link_at = None;
        self.at.take_if(|at| *at <= time.now);
    }

    /// The time of this update.
    pub(crate) fn time(&self) -> UpdateTime {
        self.time
    }

    /// Asks for an update at `time` on the update's clock. Holds until the next update only.
    pub(crate) fn link_at(&mut self, time: Duration) {
        self.link_at = Some(earlier(self.link_at, time));
    }

    /// Whether the next update is wanted at once; a test that steps an app then continues, as the runner
    /// does.
    pub fn is_due(&self) -> bool {
        self.wanted_at().is_some_and(|at| at <= self.time.now)
    }

    /// When the next update is wanted, counted like `Time<Real>::elapsed()`.
    pub fn wanted_at(&self) -> Option<Duration> {
        self.link_at.map_or(self.at, |time| Some(earlier(self.at, time)))
    }
}

/// Run condition: whether the program is about to end. It holds in every update until the message is dropped, so what
/// depends on it must tolerate running again.
pub(crate) fn is_exiting(exits: Res<'_, Messages<AppExit>>) -> bool {
    !exits.is_empty()
}

fn earlier(wanted: Option<Duration>, time: Duration) -> Duration {
    wanted.map_or(time, |wanted| wanted.min(time))
}

/// Sets the link's clocks to this update's time, and drops requests for an update that have come.
pub(crate) fn start_update(
    mut next: ResMut<'_, NextWake>,
    mut clock: ResMut<'_, LinkClock>,
    time: Res<'_, Time<Real>>,
    strategy: Res<'_, TimeUpdateStrategy>,
) {
    next.start_update(UpdateTime::new(&time, &strategy));
    clock.set(next.time.now.into());
}

/// Advances the real clock, and does what [`start_update`] does where there is a link.
pub(crate) fn start_headless_update(
    mut time: ResMut<'_, Time<Real>>,
    strategy: Res<'_, TimeUpdateStrategy>,
    next: Option<ResMut<'_, NextWake>>,
    clock: Option<ResMut<'_, LinkClock>>,
) {
    match *strategy {
        TimeUpdateStrategy::Automatic => time.update(),
        TimeUpdateStrategy::ManualInstant(instant) => time.update_with_instant(instant),
        TimeUpdateStrategy::ManualDuration(passed) => time.update_with_duration(passed),
        TimeUpdateStrategy::FixedTimesteps(steps) => {
            time.update_with_duration(Time::<Fixed>::default().timestep() * steps);
        }
    }
    if let (Some(mut next), Some(mut clock)) = (next, clock) {
        next.start_update(UpdateTime::new(&time, &strategy));
        clock.set(next.time.now.into());
    }
}

/// The runner's poll for the link's sockets, and the link's messages to the runner; exists only under
/// [`EventDrivenPlugin`].
#[derive(Resource, Debug)]
pub(crate) struct Sockets {
    registry: Registry,
    waker: Waker,
    watched: AtomicUsize,
    news: AtomicUsize,
    received: AtomicUsize,
}

impl Sockets {
    /// Wakes the runner whenever `socket` becomes readable, until it is closed; false if that is impossible.
    pub(crate) fn watch(&self, socket: &mut mio::net::UdpSocket) -> bool {
        let token = Token(1 + self.watched.fetch_add(1, Ordering::Relaxed));
        let registered = self.registry.register(socket, token, Interest::READABLE);
        if let Err(error) = &registered {
            tracing::error!(%error, "cannot wait for the socket; it is read at timers only");
        }
        registered.is_ok()
    }

    /// Increases whenever something has arrived: a socket that was read empty at this count need not be read
    /// again.
    pub(crate) fn news(&self) -> usize {
        self.news.load(Ordering::Relaxed)
    }

    fn note_news(&self) {
        self.news.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts messages that this update has received.
    pub(crate) fn note_received(&self, messages: usize) {
        self.received.fetch_add(messages, Ordering::Relaxed);
    }

    /// How many messages were counted since the last call.
    pub(crate) fn take_received(&self) -> usize {
        self.received.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

#[cfg(test)]
mod tests {
    use bevy_time::TimeUpdateStrategy;
    use p2c2r_protocol::{Digest, GameToServer, KindId, PeerId, ProtocolIdentity, ServerToGame, TaskId};

    use super::*;
    use crate::{
        ClientLink, ClientLinkConfig, ClientLinkPlugin, ClientTransport, GameSide, MemoryHub, Mint,
        PeerJoined, Reconnect, ServerLinkConfig, ServerLinkPlugin, ServerTransport, ToPeer, ToServer,
    };

    fn event_driven() -> App {
        let mut app = App::new();
        app.add_plugins(EventDrivenPlugin::default())
            .insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(1)));
        app
    }

    /// Updates both apps until app `at` has received something, and returns how much.
    fn received(apps: &mut [App; 2], at: usize) -> usize {
        for _ in 0..1_000 {
            apps.iter_mut().for_each(App::update);
            match apps[at].world().resource::<Sockets>().take_received() {
                0 => {}
                received => return received,
            }
        }
        panic!("nothing came");
    }

    /// The number by which the runner decides whether messages come in bulk.
    #[test]
    fn both_ends_tell_the_runner_how_many_messages_an_update_received() {
        let identity = ProtocolIdentity::new(&[(KindId(1), "path", 1)], Digest([0; 32]));
        let hub = MemoryHub::new();
        let mut apps = [event_driven(), event_driven()];
        apps[0].add_plugins(ServerLinkPlugin::new(ServerLinkConfig {
            transport: ServerTransport::Memory(hub.clone()),
            identity: identity.clone(),
            mint: Mint::new(&identity),
            peers_max: 2,
            rate_limit: None,
            impair: None,
        }));
        apps[1].add_plugins(ClientLinkPlugin::<GameSide>::new(ClientLinkConfig {
            transport: ClientTransport::Memory(hub),
            identity,
            name: "ann".to_owned(),
            rate_limit: None,
            impair: None,
            reconnect: Reconnect::default(),
        }));
        let mut peer = None::<PeerId>;
        while peer.is_none() || !apps[1].world().resource::<ClientLink>().is_connected() {
            apps.iter_mut().for_each(App::update);
            let joined = apps[0].world().resource::<Messages<PeerJoined>>();
            peer = peer.or(joined.iter_current_update_messages().next().map(|joined| joined.peer));
        }
        let Some(peer) = peer else { unreachable!("it has joined") };

        for task in 0..20 {
            let cancel = GameToServer::Cancel { task: TaskId(task) };
            apps[1].world_mut().write_message(ToServer(cancel));
        }
        assert_eq!(received(&mut apps, 0), 20);
        for _ in 0..17 {
            let message = ServerToGame::Closing { reason: "no more".to_owned() };
            apps[0].world_mut().write_message(ToPeer { peer, message });
        }
        assert_eq!(received(&mut apps, 1), 17);
        assert_eq!(apps[1].world().resource::<Sockets>().take_received(), 0, "counted once");
    }
}
