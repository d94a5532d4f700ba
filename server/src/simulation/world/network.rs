//! Packets between peers and the coordinator: which is next, what becomes of it, and how it is heard.

use p2c2r_protocol::{Digest, PeerId, Submit, WorkerToServer};

use super::{Down, Event, Up, World, broken, wrapped};
use crate::core::task_key;
use crate::ledger::{AdmissionRoom, ReadOutcome};
use crate::simulation::action::PacketFate;
use crate::simulation::auditor::{Audit, StepCause};
use crate::simulation::kinds;

/// What the ledger has room for in one update.
const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 4, patient: 4, bytes: 1 << 20, tasks_per_account: u64::MAX };

/// One key in this many has its outcome read late.
const SLOW_KEYS: u8 = 4;

impl World {
    /// Index of the first packet at or after `at`, wrapping around, whose peer is not cut off.
    fn not_held_up(split: u64, peers: impl ExactSizeIterator<Item = PeerId>, at: u16) -> Option<usize> {
        let from = wrapped(at, peers.len())?;
        let free: Vec<usize> =
            peers.enumerate().filter(|(_, peer)| split >> (peer.0 % 64) & 1 == 0).map(|(at, _)| at).collect();
        free.iter().find(|at| **at >= from).or(free.first()).copied()
    }

    pub(super) fn packet_up(&mut self, at: u16, fate: PacketFate) -> Audit {
        let Some(at) = Self::not_held_up(self.split, self.up.iter().map(|(peer, _)| *peer), at) else {
            return Ok(());
        };
        let Some((peer, message)) = self.up.remove(at) else { return Ok(()) };
        if fate == PacketFate::ArrivesTwice {
            self.up.push_back((peer, message.clone()));
        }
        if fate == PacketFate::IsLost { Ok(()) } else { self.hear(peer, message) }
    }

    pub(super) fn packet_down(&mut self, at: u16, fate: PacketFate) {
        let Some(at) = Self::not_held_up(self.split, self.down.iter().map(|(peer, _)| *peer), at) else {
            return;
        };
        let Some((peer, message)) = self.down.remove(at) else { return };
        if fate == PacketFate::ArrivesTwice {
            self.down.push_back((peer, message.clone()));
        }
        match message {
            _ if fate == PacketFate::IsLost => {}
            Down::Assign(assign) => self.held.push((peer, assign)),
            Down::Revoke(task, attempt) => {
                self.held.retain(|(holder, it)| (*holder, it.task, it.attempt) != (peer, task, attempt));
            }
        }
    }

    /// The coordinator hears a packet.
    pub(super) fn hear(&mut self, peer: PeerId, message: Up) -> Audit {
        let Some(account) = self.connections.get(&peer).map(|it| it.account) else { return Ok(()) };
        let received_at = self.shown();
        match message {
            Up::Submit(submit) => {
                self.tell(StepCause::Other, Event::UpdateBegins { room: Some(ROOM) })?;
                let key = task_key(submit.kind, submit.kernel_version, &submit.spec);
                self.recall(peer, &submit, key)?;
                let units = kinds::units(&submit.spec);
                let cause = StepCause::Submitted { peer, submit: submit.clone(), units };
                self.tell(cause, Event::Submitted { peer, received_at, submit, key })
            }
            Up::Cancel(task) => {
                self.tell(StepCause::Cancelled(account, task), Event::Cancelled { peer, task })
            }
            Up::Quit => self.tell(StepCause::GamerGone(peer), Event::Quit { peer }),
            Up::Answer(answer, given) => {
                self.auditor.answered(peer, answer.task, answer.attempt, given);
                let message = WorkerToServer::Answer(answer);
                self.tell(StepCause::Other, Event::FromWorker { peer, received_at, message })
            }
            Up::Lacks(task, attempt, missing) => {
                let message = WorkerToServer::BlobsMissing { task, attempt, missing };
                let cause = StepCause::Lacks(peer, task, attempt);
                self.tell(cause, Event::FromWorker { peer, received_at, message })
            }
            Up::Draining => {
                self.auditor.draining(peer);
                let message = WorkerToServer::Draining;
                self.tell(StepCause::Other, Event::FromWorker { peer, received_at, message })
            }
        }
    }

    /// If the scheduler lacks the outcome for a submit and the ledger has it, the ledger reads it. Some arrive later, as from
    /// a slow disk.
    fn recall(&mut self, peer: PeerId, submit: &Submit, key: Digest) -> Audit {
        let is_lacking = |_: &i64| self.core.lacks(peer, submit, key).is_some();
        let Some(row) = self.reader.find(key).filter(is_lacking) else { return Ok(()) };
        let read = if self.reader.ask(key, row) { self.reader.wait() } else { None };
        let Some(read) = read else { return Err(broken("the ledger answers", "nothing was read")) };
        if key.0[31].is_multiple_of(SLOW_KEYS) {
            self.slow_reads.push(read);
            return Ok(());
        }
        self.tell_read(read)
    }

    /// Tells the scheduler the outcomes that were read late.
    pub(super) fn tell_slow_reads(&mut self) -> Audit {
        let slow = std::mem::take(&mut self.slow_reads);
        slow.into_iter().try_for_each(|read| self.tell_read(read))
    }

    fn tell_read(&mut self, ReadOutcome { outcome, recorded, .. }: ReadOutcome) -> Audit {
        let Some(outcome) = outcome else { return Ok(()) };
        self.auditor.tally.recalled += 1;
        self.tell(StepCause::Other, Event::Recalled { outcome, recorded })
    }
}
