//! Once a second: what the ledger has recorded reaches the mirrors, and everyone whose account changed hears
//! of it.

use std::time::Duration;

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{LinkClock, NextWake};
use p2c2r_protocol::{Micros, PeerId, Role, ServerToGame, ServerToWorker, WorkerStatement};
use tracing::warn;

use crate::desk::Desk;
use crate::registry::Workers;
use crate::sessions::Gamers;

/// Time between statements. Peers hear at most this late what was recorded, never before it was.
const EVERY: Duration = Duration::from_secs(1);

/// When statements are due again.
#[derive(Resource, Default)]
pub struct NextStatements {
    at: Micros,
}

/// Whether there is anyone to send statements to and it is time: a condition for the system that does.
pub fn are_due(
    next: Res<'_, NextStatements>,
    clock: Res<'_, LinkClock>,
    gamers: Res<'_, Gamers>,
    workers: Res<'_, Workers>,
) -> bool {
    clock.now() >= next.at && !(gamers.is_empty() && workers.is_empty())
}

/// Takes over what was recorded and sends statements to those it concerns.
pub fn send_statements(mut desk: Desk<'_>, mut next: ResMut<'_, NextStatements>) {
    next.at = Micros(desk.now().0.saturating_add(Micros::from(EVERY).0));
    desk.take_over_recorded();
    let now = desk.now();
    desk.gamers.expire_undelivered(now);
    desk.tell_gamers();
    desk.tell_workers();
}

/// Asks in every update for the one in which statements are due: an earlier wish of another system replaces this.
pub fn wake_for_statements(
    next: Res<'_, NextStatements>,
    clock: Res<'_, LinkClock>,
    mut next_wake: ResMut<'_, NextWake>,
) {
    if next.at > clock.now() {
        next_wake.within(Duration::from_micros(next.at.0 - clock.now().0));
    }
}

impl Desk<'_> {
    fn take_over_recorded(&mut self) {
        let (committed, everything) = self.books.drain_committed();
        if !committed.conflicts.is_empty() {
            warn!(
                tasks = committed.conflicts.len(),
                "task ids used before a restart: nothing was charged for them"
            );
        }
        for account in committed.accounts {
            match account.role {
                Role::Gamer => {
                    let Some(mirror) = self.gamers.account_mut(account.id) else { continue };
                    if everything {
                        mirror.rebase(account.available, account.turnover);
                    } else {
                        mirror.recorded(account.turnover);
                    }
                }
                Role::Worker => {
                    for peer in self.workers.peers_of(account.id) {
                        self.workers.change(peer, |worker| {
                            worker.books.earned = account.turnover;
                            worker.books.pending = account.set_aside;
                            worker.books.changed = true;
                        });
                    }
                }
            }
        }
    }

    fn tell_gamers(&mut self) {
        let workers = self.workers.len();
        let news: Vec<_> = self
            .gamers
            .iter()
            .map(|(peer, session)| (peer, self.gamers.statement(session.account, workers), session.told))
            .filter(|(_, statement, told)| statement != told)
            .map(|(peer, statement, _)| (peer, statement))
            .collect();
        for (peer, statement) in news {
            if let Some(session) = self.gamers.session_mut(peer) {
                session.told = statement;
            }
            self.tell_game(peer, ServerToGame::Statement(statement));
        }
    }

    fn tell_workers(&mut self) {
        let news: Vec<(PeerId, WorkerStatement)> = self
            .workers
            .iter_mut()
            .filter(|(_, worker)| worker.books.changed)
            .map(|(peer, worker)| {
                let books = &mut worker.books;
                books.changed = false;
                let statement = WorkerStatement {
                    earned: books.earned,
                    pending: books.pending,
                    session: books.session,
                    verdicts: std::mem::take(&mut books.verdicts),
                };
                (peer, statement)
            })
            .collect();
        for (peer, statement) in news {
            self.tell_worker(peer, ServerToWorker::Statement(statement));
        }
    }
}
