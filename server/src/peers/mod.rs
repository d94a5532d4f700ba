//! Between the app and the core: what the link, the pool and the ledger bring becomes events, and effects become messages,
//! jobs and entries. Nothing is decided here.

mod account_statements;
pub mod joins;
mod recalls;
mod receive;
mod update;

use std::collections::HashMap;
use std::time::Duration;

use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut, SystemParam};
use p2c2r_link::{LinkClock, Peers, ToPeer};
use p2c2r_protocol::{AccountKey, Micros, PeerId, Role, ServerToGame, ServerToWorker};

use crate::compute::Pool;
use crate::core::state::gamers::HourCap;
use crate::core::transcript::{Mark, RecordedEvent};
use crate::core::work::Computed;
use crate::core::{Core, Effect, Effects, Event};
use crate::ledger_client::LedgerClient;
use crate::recording::Recorder;
use crate::status::Meter;

pub use recalls::{RecallCounts, Recalls};
pub(crate) use update::update;

/// The core, the buffers that its effects go through, whose memory is used again for every event, and what they reach
/// besides peers. One resource, because Bevy fetches each anew in every update.
#[derive(Resource)]
pub struct Scheduler {
    core: Core,
    effects: Effects,
    recorder: Option<Recorder>,
    /// The ledger.
    pub ledger: LedgerClient,
    /// The compute pool.
    pool: Pool,
    /// Counts effects.
    pub meter: Meter,
    /// Hourly spending caps that the operator has set.
    pub hour_caps: HourCaps,
}

impl Scheduler {
    /// Wraps this core, whose effects reach `ledger` and `pool` and are counted by `meter`; a recorder, if there is one,
    /// records its run.
    pub fn new(
        core: Core,
        recorder: Option<Recorder>,
        ledger: LedgerClient,
        pool: Pool,
        meter: Meter,
    ) -> Self {
        let (effects, hour_caps) = (Effects::default(), HourCaps::default());
        Self { core, effects, recorder, ledger, pool, meter, hour_caps }
    }

    /// Has the core handle an event; the effects are added to those not yet carried out.
    fn tell(&mut self, now: Micros, event: Event) {
        let Self { core, effects, recorder, .. } = self;
        let Some(recorder) = recorder.as_mut().filter(|recorder| recorder.is_open()) else {
            core.handle(now, event, effects);
            return;
        };
        let (noted, mark) = (RecordedEvent::of(&event), Mark::of(effects));
        core.handle(now, event, effects);
        recorder.note(now, noted, effects, mark);
    }

    /// The core, to read.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Has the core take over what was found at the start, and records its entries; nobody is connected yet.
    pub fn take_over(&mut self, found: Vec<(Micros, Event)>) {
        for (at, event) in found {
            self.tell(at, event);
        }
        self.ledger.record(&mut self.effects.entries);
        assert!(self.effects.is_empty(), "before the start, nobody is there to be told");
    }
}

/// Hourly spending caps that the operator has set, by account; each applies when its gamer joins.
#[derive(Default)]
pub struct HourCaps(HashMap<AccountKey, HourCap>);

impl HourCaps {
    /// The hourly spending cap of this account.
    pub fn of(&self, account: AccountKey) -> HourCap {
        self.0.get(&account).copied().unwrap_or_default()
    }

    /// Sets an account's cap, as the operator said.
    pub fn set(&mut self, account: AccountKey, cap: HourCap) {
        if cap == HourCap::AsEverybody {
            self.0.remove(&account);
        } else {
            self.0.insert(account, cap);
        }
    }
}

/// Everything the core's effects reach.
#[derive(SystemParam)]
pub struct Exchange<'w> {
    /// The core, and what it reaches besides peers.
    pub scheduler: ResMut<'w, Scheduler>,
    /// Connections.
    pub peers: ResMut<'w, Peers>,
    clock: Res<'w, LinkClock>,
    to_games: ResMut<'w, Messages<ToPeer<ServerToGame>>>,
    to_workers: ResMut<'w, Messages<ToPeer<ServerToWorker>>>,
}

impl Exchange<'_> {
    /// The core, to read.
    pub fn core(&self) -> &Core {
        &self.scheduler.core
    }

    /// The coordinator's clock.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// When the core wants an update.
    fn next_due(&mut self) -> Option<Micros> {
        self.scheduler.core.next_due()
    }

    /// Has the core handle an event, and carries out its effects.
    pub fn handle(&mut self, event: Event) {
        self.tell(event);
        self.perform();
    }

    /// Has the core handle one of several events. [`Exchange::perform`] must follow the last one.
    pub fn tell(&mut self, event: Event) {
        self.scheduler.tell(self.clock.now(), event);
    }

    /// Carries out the core's effects.
    pub fn perform(&mut self) {
        loop {
            let Scheduler { core, effects, ledger, meter, .. } = &mut *self.scheduler;
            meter.note(self.clock.now(), effects, core.gamers());
            let to_peer = |(peer, message)| ToPeer { peer, message };
            self.to_games.write_batch(effects.to_games.drain(..).map(to_peer));
            let to_peer = |(peer, message)| ToPeer { peer, message };
            self.to_workers.write_batch(effects.to_workers.drain(..).map(to_peer));
            ledger.record(&mut effects.entries);
            if effects.others.is_empty() {
                return;
            }
            let mut others = std::mem::take(&mut effects.others);
            for effect in others.drain(..) {
                self.do_other(effect);
            }
            // Results that came back at once may have produced more effects.
            if self.scheduler.effects.is_empty() {
                self.scheduler.effects.others = others;
                return;
            }
        }
    }

    fn do_other(&mut self, effect: Effect) {
        match effect {
            Effect::Check(check) => {
                if let Some(checked) = self.scheduler.pool.check(check) {
                    self.tell(Event::Checked(Box::new(checked)));
                }
            }
            Effect::Compute(kernel) => {
                if let Err(kernel) = self.scheduler.pool.run(kernel) {
                    // The core counts waiting runs, so the queue is full only until a thread has taken its next job.
                    let refused =
                        Computed { task: kernel.task, outcome: None, left: None, took: Duration::ZERO };
                    self.tell(Event::Computed(refused));
                }
            }
            Effect::Watch { peer, busy } => self.peers.mark_busy(peer, busy),
        }
    }

    /// Tells a peer why it may not stay, and ends its connection.
    pub fn show_out(&mut self, peer: PeerId, reason: &str) {
        if let Some(role) = self.peers.introduction(peer).map(|(role, _)| role) {
            self.say_goodbye(peer, role, reason.to_owned());
        }
        self.peers.disconnect(peer, reason);
    }

    /// Says goodbye to a peer, whether the core knows it or not.
    pub fn say_goodbye(&mut self, peer: PeerId, role: Role, reason: String) {
        match role {
            Role::Gamer => {
                self.to_games.write(ToPeer { peer, message: ServerToGame::Closing { reason } });
            }
            Role::Worker => {
                self.to_workers.write(ToPeer { peer, message: ServerToWorker::Closing { reason } });
            }
        }
    }
}
