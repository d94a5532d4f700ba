//! What each action does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use p2c2r_protocol::{
    Answer, Assign, AttemptFailure, Device, Digest, KernelOffer, Micros, Nanos, Payload, PeerId, Role,
    Submit, TaskId, WorkerOffer,
};

use super::{Connection, Event, REMEMBERED, Up, World, broken, is_graphics, wrapped};
use crate::config::PatientFallback;
use crate::core::LinkState;
use crate::core::state::gamers::HourCap;
use crate::core::work::{self, Checked, Computed};
use crate::simulation::action::{How, PacketFate, PeerChoice, Way, WorldAction};
use crate::simulation::auditor::{Audit, Given, StepCause};
use crate::simulation::kinds::{self, SimulatedKind};

/// Programs that one account may run, by role.
const PROGRAMS_MAX: usize = 2;
/// Rounds of calm within which everything must end.
const CALM_ROUNDS: usize = 20_000;
/// Microseconds between them while there is something to do.
const CALM_PACE_US: u64 = 200;

impl World {
    /// Does what an action says.
    pub fn act(&mut self, action: &WorldAction) -> Audit {
        match *action {
            WorldAction::Pass { us } => self.pass(us),
            WorldAction::Later { us } => {
                self.move_clocks(us);
                Ok(())
            }
            WorldAction::StepBack { us } => {
                self.behind += us;
                Ok(())
            }
            WorldAction::Wall { seconds } => {
                self.wall_s.fetch_add(seconds as u64, Ordering::Relaxed);
                Ok(())
            }
            WorldAction::Connect(who) => self.connect(who),
            WorldAction::Cut { at } => self.peer(at).map_or(Ok(()), |peer| self.cut(peer)),
            WorldAction::Drains { at } => {
                let peer = self.peer(at).filter(|peer| self.is_worker(*peer));
                self.up.extend(peer.map(|peer| (peer, Up::Draining)));
                Ok(())
            }
            WorldAction::Measure { at, rtt_us } => {
                let Some(peer) = self.peer(at) else { return Ok(()) };
                let link = LinkState { rtt: Duration::from_micros(rtt_us.into()), clock_offset_us: None };
                self.tell(StepCause::Other, Event::Measured { peer, link })
            }
            WorldAction::Submit { gamer, kind, number, units, is_sly, budget_us, cap } => {
                self.submit(gamer, kind, kinds::spec(number, units, is_sly), budget_us, cap);
                Ok(())
            }
            WorldAction::Repeat { gamer, back, is_changed } => {
                self.repeat(gamer, back, is_changed);
                Ok(())
            }
            WorldAction::Cancel { gamer, back } => {
                let task = self.asked(gamer, back).map(|submit| submit.task);
                let peer = self.connection_of(gamer);
                self.up.extend(peer.zip(task).map(|(peer, task)| (peer, Up::Cancel(task))));
                Ok(())
            }
            WorldAction::Grant { gamer, nanos } => self.grant(gamer, nanos),
            WorldAction::Cap { gamer, cap } => self.cap(gamer, cap),
            WorldAction::Rename { worker, name } => self.rename(worker, name),
            WorldAction::Lacks { at } => {
                self.lacks(at);
                Ok(())
            }
            WorldAction::Quit { gamer } => {
                self.up.extend(self.connection_of(gamer).map(|peer| (peer, Up::Quit)));
                Ok(())
            }
            WorldAction::Packet { way: Way::Up, at, fate } => self.packet_up(at, fate),
            WorldAction::Packet { way: Way::Down, at, fate } => {
                self.packet_down(at, fate);
                Ok(())
            }
            WorldAction::Split { peers } => {
                self.split = peers;
                Ok(())
            }
            WorldAction::Heal => {
                self.split = 0;
                Ok(())
            }
            WorldAction::Answer { at, how } => {
                self.answer(at, how);
                Ok(())
            }
            WorldAction::AnswerAgain { back } => {
                let at = wrapped(back.into(), self.answers.len());
                let again = at.map(|at| self.answers[at].clone());
                self.up.extend(again.map(|(peer, answer, given)| (peer, Up::Answer(answer, given))));
                Ok(())
            }
            WorldAction::Forge { at, by } => {
                self.forge(at, by);
                Ok(())
            }
            WorldAction::Check { at } => self.check(at),
            WorldAction::Compute { at, fails } => self.compute(at, fails),
            WorldAction::Record { entries } => self.record(entries.into()),
            WorldAction::Tell => self.tell_recorded(),
            WorldAction::Crash => self.crash(),
            WorldAction::Restart => self.restart(),
            WorldAction::Judge { worker, quarantined } => self.judge(worker, quarantined),
            WorldAction::Calm => self.calm(),
        }
    }

    fn pass(&mut self, us: u64) -> Audit {
        self.move_clocks(us);
        self.tell(StepCause::TimePassed, Event::TimePassed)
    }

    fn move_clocks(&mut self, us: u64) {
        self.behind = self.behind.saturating_sub(us);
        let before = self.now.fetch_add(us, Ordering::Relaxed);
        let seconds = (before + us) / 1_000_000 - before / 1_000_000;
        self.wall_s.fetch_add(seconds, Ordering::Relaxed);
    }

    fn peer(&self, at: u16) -> Option<PeerId> {
        let at = wrapped(at, self.connections.len())?;
        self.connections.keys().nth(at).copied()
    }

    fn is_worker(&self, peer: PeerId) -> bool {
        self.connections.get(&peer).is_some_and(|it| matches!(it.who, PeerChoice::Worker(_)))
    }

    /// The newest connection of a gamer.
    fn connection_of(&self, gamer: u8) -> Option<PeerId> {
        let who = PeerChoice::Gamer(gamer % self.setup.gamers);
        self.connections.iter().rev().find(|(_, it)| it.who == who).map(|(peer, _)| *peer)
    }

    fn connect(&mut self, who: PeerChoice) -> Audit {
        let who = match who {
            PeerChoice::Gamer(number) => PeerChoice::Gamer(number % self.setup.gamers),
            PeerChoice::Worker(number) => PeerChoice::Worker(number % (self.setup.workers + 1)),
        };
        if self.connections.values().filter(|it| it.who == who).count() >= PROGRAMS_MAX {
            return Ok(());
        }
        let account = self.account(who)?;
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        self.connections.insert(peer, Connection { who, account: account.id, session: None });
        self.auditor.connected(peer, account.role, account.id);
        let id = account.id;
        let person = self.person(who);
        let (name, hour_cap) = (person.name.clone(), person.hour_cap);
        self.auditor.named(id, &name);
        let account = Box::new(account);
        match who {
            PeerChoice::Gamer(_) => {
                let session_min = u32::try_from(self.ledger.seconds()).unwrap_or(u32::MAX);
                self.tell(
                    StepCause::GamerJoined(peer),
                    Event::GamerJoined { peer, name, account, session_min, hour_cap },
                )
            }
            PeerChoice::Worker(number) => {
                let device = |kind| {
                    let may = kind == SimulatedKind::Tenfold && is_graphics(id);
                    if may { Device::Graphics } else { Device::Cores }
                };
                let kernel = |kind: SimulatedKind| KernelOffer {
                    kind: kind.id(),
                    version: kind.version(),
                    device: device(kind),
                };
                let mut kernels = vec![kernel(SimulatedKind::Square), kernel(SimulatedKind::Tenfold)];
                // The last one does everything, so that everything ends.
                let is_last = number == self.setup.workers;
                if self.setup.patient_fallback == PatientFallback::Compute && number % 2 == 1 && !is_last {
                    kernels.pop();
                }
                let offer = Some(WorkerOffer { slots: 1 + u16::from(number) % 3, kernels, region: None });
                self.tell(StepCause::Other, Event::WorkerJoined { peer, name, account, offer })
            }
        }
    }

    /// A connection ends. Half of its packets under way still arrive.
    fn cut(&mut self, peer: PeerId) -> Audit {
        let is_worker = self.is_worker(peer);
        if !is_worker {
            self.auditor.leaving(peer);
        }
        self.tell(StepCause::Other, Event::Leaving { peer })?;
        let mine = self.up.iter().filter(|(from, _)| *from == peer).count();
        for _ in 0..mine / 2 {
            if let Some(at) = self.up.iter().position(|(from, _)| *from == peer)
                && let Some((peer, message)) = self.up.remove(at)
            {
                self.hear(peer, message)?;
            }
        }
        self.connections.remove(&peer);
        self.up.retain(|(from, _)| *from != peer);
        self.down.retain(|(to, _)| *to != peer);
        self.held.retain(|(holder, _)| *holder != peer);
        let (cause, role) = if is_worker {
            (StepCause::WorkerGone(peer), Role::Worker)
        } else {
            (StepCause::GamerGone(peer), Role::Gamer)
        };
        if is_worker {
            self.auditor.leaving(peer);
        }
        self.tell(cause, Event::Left { peer, role })?;
        self.auditor.left(peer);
        Ok(())
    }

    fn submit(&mut self, gamer: u8, kind: SimulatedKind, spec: Vec<u8>, budget_us: Option<u32>, cap: i64) {
        let Some(peer) = self.connection_of(gamer) else { return };
        let Some(session) = self.connections.get(&peer).and_then(|it| it.session) else { return };
        self.next_task += 1;
        let submit = Submit {
            task: TaskId(u64::from(session) << 32 | u64::from(self.next_task)),
            kind: kind.id(),
            kernel_version: kind.version(),
            budget_us,
            price_cap: Nanos(cap),
            client_queue_us: 0,
            sent_at: Micros(self.now()),
            spec: spec.into(),
            blobs: Vec::new(),
        };
        let asked = &mut self.person(PeerChoice::Gamer(gamer)).asked;
        asked.push_front(submit.clone());
        asked.truncate(REMEMBERED);
        self.up.push_back((peer, Up::Submit(submit)));
    }

    /// A game hears that the coordinator lacks the blobs of a task, and asks again with them.
    pub(super) fn submit_with_blobs(&mut self, peer: PeerId, task: TaskId) {
        let Some(who) = self.connections.get(&peer).map(|it| it.who) else { return };
        let asked =
            self.person(who).asked.iter().find(|submit| submit.task == task && submit.blobs.is_empty());
        let Some(mut submit) = asked.cloned() else { return };
        submit.blobs = kinds::blob(&submit.spec).into_iter().collect();
        self.up.push_back((peer, Up::Submit(submit)));
    }

    /// A worker says that it lacks the blobs of an attempt, and may answer all the same.
    fn lacks(&mut self, at: u16) {
        let Some((peer, assign)) = wrapped(at, self.held.len()).map(|at| &self.held[at]) else { return };
        let missing = kinds::blob(&assign.spec).iter().map(|blob| Digest::of(blob)).collect();
        self.up.push_back((*peer, Up::Lacks(assign.task, assign.attempt, missing)));
    }

    fn asked(&mut self, gamer: u8, back: u8) -> Option<Submit> {
        let asked = &self.person(PeerChoice::Gamer(gamer)).asked;
        Some(asked[wrapped(back.into(), asked.len())?].clone())
    }

    fn repeat(&mut self, gamer: u8, back: u8, is_changed: bool) {
        let Some(mut submit) = self.asked(gamer, back) else { return };
        let Some(peer) = self.connection_of(gamer) else { return };
        if is_changed {
            submit.spec = kinds::spec(u64::from(back) + 7_000, 33, false).into();
        }
        self.up.push_back((peer, Up::Submit(submit)));
    }

    fn answer(&mut self, at: u16, how: How) {
        let Some(at) = wrapped(at, self.held.len()) else { return };
        let (peer, assign) = self.held.swap_remove(at);
        let kind = SimulatedKind::of(assign.kind);
        let is_right = how == How::Rightly;
        let result = match how {
            How::Rightly | How::Wrongly => Ok(kinds::answer(kind, &assign.spec, is_right, peer.0).into()),
            How::Fails => Err(AttemptFailure::KernelPanicked),
            How::Overloaded => Err(AttemptFailure::Overloaded),
            How::Silent => return,
        };
        let given = Given {
            outcome: result.as_ref().ok().map(|outcome: &Payload| outcome.to_vec().into()),
            is_right,
            looks_right: kinds::looks_right(kind, &assign.spec, is_right),
            is_overloaded: how == How::Overloaded,
        };
        let answer = self.answer_to(&assign, result);
        self.answers.push_front((peer, answer.clone(), given.clone()));
        self.answers.truncate(REMEMBERED);
        self.up.push_back((peer, Up::Answer(answer, given)));
    }

    fn answer_to(&self, assign: &Assign, result: Result<Payload, AttemptFailure>) -> Answer {
        let at = Micros(self.now());
        let (task, attempt) = (assign.task, assign.attempt);
        Answer { task, attempt, result, received_at: at, started_at: at, finished_at: at }
    }

    fn forge(&mut self, at: u16, by: u16) {
        let Some((peer, assign)) = wrapped(at, self.held.len()).map(|at| self.held[at].clone()) else {
            return;
        };
        let Some(by) = self.peer(by).filter(|by| *by != peer && self.is_worker(*by)) else { return };
        let outcome = kinds::answer(SimulatedKind::of(assign.kind), &assign.spec, true, by.0);
        let given = Given {
            outcome: Some(outcome.clone().into()),
            is_right: true,
            looks_right: true,
            is_overloaded: false,
        };
        let answer = self.answer_to(&assign, Ok(outcome.into()));
        self.up.push_back((by, Up::Answer(answer, given)));
    }

    fn check(&mut self, at: u16) -> Audit {
        let Some(at) = wrapped(at, self.checks.len()) else { return Ok(()) };
        let check = self.checks.swap_remove(at);
        let took = Duration::from_micros(1 + check.units.0 / 10);
        let checked = Checked { took, ..check.judge() };
        self.auditor.checked(checked.check.task, checked.check.attempt, checked.verdict.is_ok(), took);
        let is_of_accepted = matches!(checked.check.cause, work::Cause::Disputed { is_accepted: true });
        if is_of_accepted && checked.verdict.is_err() {
            self.auditor.found_wrong(checked.check.account);
        }
        self.tell(StepCause::Other, Event::Checked(Box::new(checked)))
    }

    fn compute(&mut self, at: u16, fails: bool) -> Audit {
        let Some(at) = wrapped(at, self.kernels.len()) else { return Ok(()) };
        let kernel = self.kernels.swap_remove(at);
        let run = kernel.job.upgrade().and_then(|job| job.run(&kernel.blobs, &kernel.stop).ok());
        // Some of those that are stopped were done already.
        let fails = fails || kernel.stop.is_stopped() && kernel.task.0.is_multiple_of(2);
        let outcome: Option<std::sync::Arc<[u8]>> = run.filter(|_| !fails).map(Into::into);
        self.auditor.computed(kernel.task, outcome.clone());
        let took = Duration::from_millis(1);
        self.tell(
            StepCause::Other,
            Event::Computed(Computed { task: kernel.task, outcome, left: None, took }),
        )
    }

    /// The operator credits a gamer's account: in the ledger at once, in the scheduler with the next recorded changes.
    fn grant(&mut self, gamer: u8, nanos: i64) -> Audit {
        let person = self.person(PeerChoice::Gamer(gamer));
        let (Some(account), key) = (person.account, person.key) else { return Ok(()) };
        self.record(usize::MAX)?;
        self.grants += 1;
        let reference = self.grants.to_le_bytes();
        let granted = self.ledger.grant(Role::Gamer, key, Nanos(nanos), reference);
        granted.map_err(|error| broken("the operator is obeyed", error))?;
        self.auditor.granted(account, Nanos(nanos));
        Ok(())
    }

    /// The operator caps a gamer's account. Its programs that are not connected hear of it when they join.
    fn cap(&mut self, gamer: u8, cap: Option<i64>) -> Audit {
        let hour_cap = cap.map_or(HourCap::AsEverybody, |cap| HourCap::At(Nanos(cap)));
        let who = PeerChoice::Gamer(gamer % self.setup.gamers);
        let person = self.person(who);
        person.hour_cap = hour_cap;
        let Some(account) = person.account else { return Ok(()) };
        self.auditor.capped(account, hour_cap);
        self.programs_of(who)
            .into_iter()
            .try_for_each(|peer| self.tell(StepCause::Other, Event::Capped { peer, hour_cap }))
    }

    /// The operator renames a worker's account.
    fn rename(&mut self, worker: u8, name: u8) -> Audit {
        let who = PeerChoice::Worker(worker % self.setup.workers);
        let person = self.person(who);
        person.name = format!("worker {worker} called {name}");
        let (Some(account), name) = (person.account, person.name.clone()) else { return Ok(()) };
        self.auditor.named(account, &name);
        self.programs_of(who)
            .into_iter()
            .try_for_each(|peer| self.tell(StepCause::Other, Event::Renamed { peer, name: name.clone() }))
    }

    fn programs_of(&self, who: PeerChoice) -> Vec<PeerId> {
        self.connections.iter().filter(|(_, it)| it.who == who).map(|(peer, _)| *peer).collect()
    }

    /// The operator's quarantine order on a worker's account, which the ledger records first.
    fn judge(&mut self, worker: u8, quarantined: bool) -> Audit {
        let worker = PeerChoice::Worker(worker % self.setup.workers);
        let person = self.person(worker);
        let (Some(account), key) = (person.account, person.key) else { return Ok(()) };
        self.record(usize::MAX)?;
        self.ledger.judge(key, quarantined).map_err(|error| broken("the operator is obeyed", error))?;
        self.flush(1)?;
        self.auditor.ordered(account, quarantined);
        self.tell(StepCause::Other, Event::QuarantineSet { account, quarantined })
    }

    /// Runs without faults until nothing is left to do.
    pub(super) fn calm(&mut self) -> Audit {
        (self.split, self.behind) = (0, 0);
        for gamer in 0..self.setup.gamers {
            self.connect(PeerChoice::Gamer(gamer))?;
        }
        self.connect(PeerChoice::Worker(self.setup.workers))?;
        for _ in 0..CALM_ROUNDS {
            if self.auditor.open_tasks() == 0
                && self.up.is_empty()
                && self.checks.is_empty()
                && self.kernels.is_empty()
            {
                return Ok(());
            }
            let is_busy = !(self.up.is_empty()
                && self.down.is_empty()
                && self.held.is_empty()
                && self.checks.is_empty()
                && self.kernels.is_empty());
            let next = self.core.next_due().map_or(0, |due| due.0.saturating_sub(self.now()));
            self.pass(if is_busy { CALM_PACE_US } else { next.max(CALM_PACE_US) })?;
            while !self.down.is_empty() {
                self.packet_down(0, PacketFate::Arrives);
            }
            while !self.held.is_empty() {
                self.answer(0, How::Rightly);
            }
            while !self.up.is_empty() {
                self.packet_up(0, PacketFate::Arrives)?;
            }
            while !self.checks.is_empty() {
                self.check(0)?;
            }
            while !self.kernels.is_empty() {
                self.compute(0, false)?;
            }
        }
        Err(broken(
            "everything ends once all is well",
            format!("{} tasks are left", self.auditor.open_tasks()),
        ))
    }
}
