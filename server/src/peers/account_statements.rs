//! Once a second, updates the account mirrors with what the ledger has recorded, and sends statements to everyone whose
//! account changed.

use std::time::Duration;

use p2c2r_link::NextWake;
use p2c2r_protocol::Micros;

use super::Exchange;
use crate::core::Event;

/// Time between statements. Peers hear at most this late what was recorded, never before it was.
const EVERY: Duration = Duration::from_secs(1);

/// When statements are due again.
#[derive(Default)]
pub struct NextStatements {
    at: Micros,
}

impl NextStatements {
    /// If it is time and there is anyone to send them to, takes over what was recorded and sends statements to those it
    /// concerns.
    pub fn send_when_due(&mut self, exchange: &mut Exchange<'_>) {
        let (now, core) = (exchange.now(), exchange.core());
        if now < self.at || (core.gamers().is_empty() && core.workers().is_empty()) {
            return;
        }
        self.at = now.after(EVERY);
        let committed = Box::new(exchange.scheduler.ledger.drain_committed());
        exchange.handle(Event::StatementsDue { committed });
    }

    /// Requests a wake-up for the next statements. Called in every update, because an update drops all requests but the
    /// earliest.
    pub fn wake(&self, now: Micros, next_wake: &mut NextWake) {
        if self.at > now {
            next_wake.within(self.at.time_since(now));
        }
    }
}
