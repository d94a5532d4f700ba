//! What the ladder works with besides its own table: the time, the kinds, the switch, and the counters.

use bevy_ecs::system::{Res, ResMut, SystemParam};
use bevy_time::{Real, Time, TimeUpdateStrategy};
use p2c2r_protocol::Micros;

use crate::account::OffloadAccount;
use crate::kind::{Kind, KindTable};
use crate::switch::{OffloadCaps, OffloadElsewhere, OffloadSwitch};
use crate::totals::{KindTotals, OffloadTotals};
use crate::window::KindWindows;

/// One update's view of the app.
#[derive(SystemParam)]
pub(crate) struct LadderContext<'w> {
    pub time: Res<'w, Time<Real>>,
    strategy: Option<Res<'w, TimeUpdateStrategy>>,
    kinds: Res<'w, KindTable>,
    pub switch: Res<'w, OffloadSwitch>,
    pub caps: Res<'w, OffloadCaps>,
    pub elsewhere: Res<'w, OffloadElsewhere>,
    pub totals: ResMut<'w, OffloadTotals>,
    pub account: ResMut<'w, OffloadAccount>,
    pub windows: ResMut<'w, KindWindows>,
}

impl LadderContext<'_> {
    /// The time of this update; the link stamps its messages with the same.
    pub fn now(&self) -> Micros {
        self.time.elapsed().into()
    }

    /// The time right now, on the same clock. Messages leave at the end of an update, and the game's work
    /// until then must not count as network time. On manual time it is the update's time.
    pub fn this_moment(&self) -> Micros {
        match (self.strategy.as_deref(), self.time.last_update()) {
            (None | Some(TimeUpdateStrategy::Automatic), Some(updated)) => {
                (self.time.elapsed() + updated.elapsed()).into()
            }
            _ => self.now(),
        }
    }

    /// A registered kind.
    pub fn kind(&self, kind: usize) -> Kind {
        self.kinds.kinds[kind]
    }

    /// How many kinds are registered.
    pub fn kinds(&self) -> usize {
        self.kinds.kinds.len()
    }

    /// The counters of a kind.
    pub fn totals_of(&mut self, kind: usize) -> &mut KindTotals {
        self.totals.kinds.entry(self.kinds.kinds[kind].name).or_default()
    }
}
