//! The windows in which rocks fly along trajectories of the kind `physics`: requesting them, taking outcomes,
//! handing rocks over.
//!
//! Time is cut into windows of as many segments as [`PhysicsRules`] has, or more where the
//! [`Horizon`](crate::Horizon) is longer. At the start of each window the arena requests the next. The spec
//! starts from where all rocks will be when the present window ends: carried ones at the end of the running
//! trajectory, loose ones where the local rule leads. At exactly that tick the new trajectory begins. If no
//! outcome has come by then, the arena runs the kernel itself, which gives the same outcome, so neither the
//! computer nor the time of arrival changes the state. Only if the arena was told that the outcome is
//! [missed](crate::OutcomeBody::Missed) do all rocks fly by the local rule until the next window.
//!
//! A window lasts as long as an answer takes, so that one pending request is enough: a later request would
//! have to start from a state that is not known yet. A longer horizon makes windows longer and fewer. The
//! cost is paid by disturbed rocks: such a rock leaves the trajectory at that tick and is loose (see `loose`)
//! until a window begins that was requested afterwards, at most two windows later. A rock that would meet a
//! disturbed or destroyed rock in a trajectory that does not include the disturbance leaves that trajectory
//! too, at the tick of the contact. So no rock bounces off one that is not there, with one exception: a rock that
//! has already touched something in the present segment flies evenly to its state at that segment's end (see
//! [`at`](p2c2r_tasks::physics::Trajectory::at)), which includes all contacts of the segment.
//!
//! # No jumps
//!
//! A carried rock goes from one trajectory to the next without a jump, since the next starts from the exact
//! state with which the last one ends; only drag reduces a fragment's velocity and spin. A rock leaves a
//! trajectory with its motion in it. A loose rock is handed over at its place by the local rule, rounded to
//! the lattice of specs: it jumps by at most [`POSITION_ERROR_M`](p2c2r_tasks::physics::POSITION_ERROR_M)
//! along each axis, [`ROTATION_ERROR_RAD`](p2c2r_tasks::physics::ROTATION_ERROR_RAD),
//! [`VELOCITY_ERROR_M_S`](p2c2r_tasks::physics::VELOCITY_ERROR_M_S) along and
//! [`SPIN_ERROR_RAD_S`](p2c2r_tasks::physics::SPIN_ERROR_RAD_S) about each axis.

use std::sync::Arc;

use p2c2r_tasks::physics::{
    Body, Contact, Motion, POSITION_STEPS_PER_M, Physics, PhysicsSpec, SEGMENTS_MAX, State, WALL, Walls,
};
use p2c2r_tasks::{Blobs, Stop, TaskKind};

use crate::arena::Arena;
use crate::config::PhysicsRules;
use crate::events::ArenaEvent;
use crate::loose::{Collision, materials};
use crate::record::{Record, Recorded};
use crate::rocks::{Rock, RockMotion};
use crate::vec2::Vec2;
use crate::wanted::{Motions, RequestId, WantedSpec, WantedTask};
use crate::wells::Well;

/// Ticks before a window begins by which its motions are due: an outcome waits for the next frame and the
/// next step.
const SLACK_TICKS: u64 = 2;
/// Contacts of one tick that make events, the hardest first.
const CONTACT_EVENTS_MAX: usize = 16;

/// Where the rocks' motions come from, for displays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhysicsInUse {
    /// The request whose outcome runs, if one does.
    pub request: Option<RequestId>,
    /// Ticks since its window began.
    pub age_ticks: u32,
    /// Whether the arena had to compute this window itself.
    pub inline: bool,
    /// Rocks that fly along it.
    pub carried: u32,
    /// Rocks that fly by the local rule.
    pub loose: u32,
    /// Windows begun since the arena was made, and how many of them it had to compute itself.
    pub windows: u64,
    /// See [`PhysicsInUse::windows`].
    pub inline_windows: u64,
    /// Windows through which the rocks flew by the local rule because nothing came in time.
    pub missed_windows: u64,
}

/// The requested window.
#[derive(Clone, Debug)]
struct Pending {
    request: u32,
    starts_at: u64,
    spec: PhysicsSpec,
    /// The answer. It follows from the spec, so it is not part of the digest.
    answer: Option<Motions>,
    /// Whether no answer will come in time.
    missed: bool,
}

/// The window that runs.
#[derive(Clone, Debug)]
struct Running {
    request: u32,
    starts_at: u64,
    trajectory: Motions,
    /// Not part of the digest.
    inline: bool,
}

/// The windows of one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    pending: Option<Pending>,
    running: Option<Running>,
    /// When the present window began, and when the next does.
    began_at: u64,
    next_at: u64,
    /// Statistics; not part of the digest.
    begun: u64,
    begun_inline: u64,
    missed: u64,
}

impl PhysicsRules {
    /// Segments of a window that is long enough for an answer that takes `horizon` ticks.
    fn window_segments(&self, horizon: u16) -> u8 {
        let needed = (u64::from(horizon) + SLACK_TICKS).div_ceil(self.segment_ticks.into());
        needed.clamp(self.segments.into(), SEGMENTS_MAX as u64) as u8
    }

    /// Ticks of such a window.
    pub(crate) fn window_ticks(&self, horizon: u16) -> u64 {
        u64::from(self.window_segments(horizon)) * u64::from(self.segment_ticks)
    }
}

impl Running {
    fn ticks_in(&self, tick: u64) -> f64 {
        tick.saturating_sub(self.starts_at) as f64
    }
}

impl Windows {
    /// Forgets the last round's rocks; the first window of `ticks` begins at the next multiple of them.
    pub(crate) fn begin_round(&mut self, tick: u64, ticks: u64) {
        self.pending = None;
        self.running = None;
        // Nothing is requested before that window has begun, also not in the step in which another begins.
        self.began_at = 0;
        self.next_at = tick.max(1).next_multiple_of(ticks);
    }

    /// Takes an outcome for the next window. An outcome of another spec is ignored; the right one may still
    /// come.
    pub(crate) fn take(&mut self, request: RequestId, motions: &Motions) -> Option<ArenaEvent> {
        let pending = self.open(request)?;
        if *motions.0.spec() != pending.spec {
            return None;
        }
        pending.answer = Some(motions.clone());
        Some(ArenaEvent::PhysicsTaken { request })
    }

    /// Notes that no outcome for the next window will come in time.
    pub(crate) fn miss(&mut self, request: RequestId) -> Option<ArenaEvent> {
        self.open(request)?.missed = true;
        Some(ArenaEvent::PhysicsMissed { request })
    }

    /// The tick until which the running trajectory defines the rocks' places, if one runs.
    pub(crate) fn known_until(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.starts_at + u64::from(running.trajectory.0.ticks()))
    }

    fn open(&mut self, request: RequestId) -> Option<&mut Pending> {
        self.pending
            .as_mut()
            .filter(|pending| pending.request == request.0 && pending.answer.is_none() && !pending.missed)
    }
}

impl Arena {
    /// Where the rocks' motions come from at this tick.
    pub fn physics(&self) -> PhysicsInUse {
        let carried = self.rocks.iter().filter(|rock| rock.is_carried()).count() as u32;
        let running = self.windows.running.as_ref();
        PhysicsInUse {
            request: running.map(|running| RequestId(running.request)),
            age_ticks: running.map_or(0, |running| self.tick.saturating_sub(running.starts_at) as u32),
            inline: running.is_some_and(|running| running.inline),
            carried,
            loose: self.rocks.len() as u32 - carried,
            windows: self.windows.begun,
            inline_windows: self.windows.begun_inline,
            missed_windows: self.windows.missed,
        }
    }

    /// Moves all rocks by one tick.
    pub(crate) fn move_rocks(&mut self, events: &mut Vec<ArenaEvent>) {
        self.follow_flights();
        if self.tick >= self.windows.next_at {
            self.begin_window(events);
        }
        let mut met = Vec::new();
        self.heed_contacts(&mut met);
        self.knock_together(&mut met);
        self.swallow_rocks(events);
        met.retain(|met| met.impulse >= self.config.physics.contact_min);
        // A stable sort, so that equal impulses stay in the order of the rocks.
        met.sort_by(|a, b| b.impulse.total_cmp(&a.impulse));
        let told = met.into_iter().take(CONTACT_EVENTS_MAX);
        events.extend(told.map(|Collision { at, impulse }| ArenaEvent::RocksMet { at, impulse }));
    }

    /// The rock's motion at `tick` by the running trajectory, if it is carried.
    pub(crate) fn carried_motion(&self, rock: &Rock, tick: u64) -> Option<Motion> {
        let RockMotion::Carried(body) = rock.flight else { return None };
        let running = self.windows.running.as_ref()?;
        running.trajectory.0.at(body.into(), running.ticks_in(tick))
    }

    /// Moves every rock to its place at this tick.
    fn follow_flights(&mut self) {
        for index in 0..self.rocks.len() {
            let rock = &self.rocks[index];
            let motion = self.carried_motion(rock, self.tick).or_else(|| self.loose_motion(rock, self.tick));
            if let Some(motion) = motion {
                self.rocks[index].follow(motion);
            }
            // Among wells a flight is integrated tick by tick, so it restarts from each tick's motion.
            if let (false, RockMotion::Loose(loose)) =
                (self.sector.wells.is_empty(), self.rocks[index].flight)
            {
                let renewed = loose.renewed(self.rocks[index].motion, self.tick);
                self.rocks[index].flight = RockMotion::Loose(renewed);
            }
        }
    }

    /// Ends the running window and begins the next. All rocks are at their places of this tick.
    fn begin_window(&mut self, events: &mut Vec<ArenaEvent>) {
        self.windows.running = None;
        self.sweep_fragments();
        let pending = self.windows.pending.take().filter(|pending| pending.starts_at == self.tick);
        if let Some(pending) = pending {
            self.windows.running = self.windows.start(pending, events);
        }
        let rules = &self.config.physics;
        let ticks = match &self.windows.running {
            Some(running) => running.trajectory.0.ticks().into(),
            None => rules.window_ticks(self.horizon.motions),
        };
        self.windows.began_at = self.tick;
        self.windows.next_at = self.tick + ticks;
        let running = self.windows.running.as_ref();
        let bodies = running.map_or(&[][..], |running| &running.trajectory.0.spec().bodies);
        let mut bodies = bodies.iter().enumerate().peekable();
        for rock in &mut self.rocks {
            // Both lists are in the order of ids; bodies whose rocks are gone are skipped.
            while bodies.next_if(|(_, body)| body.id < rock.id.0).is_some() {}
            let body = bodies.next_if(|(_, body)| body.id == rock.id.0).map(|(index, _)| index);
            let known = match &rock.flight {
                RockMotion::Carried(_) => true,
                RockMotion::Loose(loose) => loose.asked,
            };
            match (body, running) {
                (Some(body), Some(running)) if known => {
                    rock.flight = RockMotion::Carried(body as u16);
                    if let Some(motion) = running.trajectory.0.at(body, 0.0) {
                        rock.follow(motion);
                    }
                }
                _ => match rock.flight {
                    RockMotion::Carried(_) => rock.loosen(self.tick),
                    // A flight that started long ago may have met a wall more than once.
                    RockMotion::Loose(loose) => {
                        rock.flight = RockMotion::Loose(loose.renewed(rock.motion, self.tick));
                    }
                },
            }
        }
    }

    /// Loosens rocks whose next contact in the trajectory is with a rock that is not where the trajectory has
    /// it; adds all other contacts to `met`.
    fn heed_contacts(&mut self, met: &mut Vec<Collision>) {
        let Some(running) = &self.windows.running else { return };
        let trajectory = Arc::clone(&running.trajectory.0);
        let into = self.tick.saturating_sub(running.starts_at) as u32;
        let contacts = trajectory.contacts();
        let from = contacts.partition_point(|(tick, _)| *tick < into);
        for (_, contact) in contacts[from..].iter().take_while(|(tick, _)| *tick == into) {
            let carried = |body: u16| {
                let id = trajectory.spec().bodies.get(usize::from(body))?.id;
                let index = self.rocks.binary_search_by_key(&id, |rock| rock.id.0).ok()?;
                self.rocks[index].is_carried().then_some(index)
            };
            match (carried(contact.a), carried(contact.b)) {
                (Some(a), Some(b)) => met.push(self.contact_at(*contact, a, Some(b))),
                (Some(a), None) if contact.b == WALL => met.push(self.contact_at(*contact, a, None)),
                (Some(alone), None) | (None, Some(alone)) => self.rocks[alone].loosen(self.tick),
                (None, None) => {}
            }
        }
    }

    /// How hard and where the rock at `a` touches the one at `b`, or the wall.
    fn contact_at(&self, contact: Contact, a: usize, b: Option<usize>) -> Collision {
        let rock = &self.rocks[a];
        let way = match b {
            Some(b) => (self.rocks[b].position - rock.position).unit_or(Vec2::FORWARD),
            None if rock.position.x.abs() > rock.position.y.abs() => Vec2::new(rock.position.x.signum(), 0.0),
            None => Vec2::new(0.0, rock.position.y.signum()),
        };
        Collision { at: rock.position + way * rock.radius, impulse: contact.impulse.newton_seconds() }
    }

    /// Requests the next window at the start of one.
    pub(crate) fn want_physics(&mut self) -> Option<WantedTask> {
        if self.over || self.rocks.is_empty() || self.windows.began_at != self.tick {
            return None;
        }
        let starts_at = self.windows.next_at;
        let spec = self.physics_spec(starts_at);
        if spec.bodies.is_empty() {
            // Only fragments are left, and they expire before the window begins.
            return None;
        }
        for rock in &mut self.rocks {
            if let RockMotion::Loose(loose) = &mut rock.flight {
                loose.asked = true;
            }
        }
        let request = self.next_request();
        let pending =
            Pending { request: request.0, starts_at, spec: spec.clone(), answer: None, missed: false };
        self.windows.pending = Some(pending);
        let deadline_ticks = (starts_at - self.tick - SLACK_TICKS) as u16;
        let running = self.windows.running.as_ref();
        let before = running.map(|running| (RequestId(running.request), running.trajectory.clone()));
        Some(WantedTask {
            request,
            spec: WantedSpec::Physics { spec, before },
            deadline_ticks,
            due_at: starts_at,
        })
    }

    /// The spec of all rocks as they will be at `starts_at`, where the running window ends, if nothing
    /// happens until then.
    fn physics_spec(&self, starts_at: u64) -> PhysicsSpec {
        let rules = &self.config.physics;
        let half = (f64::from(self.field.half) * POSITION_STEPS_PER_M) as i32;
        let ends = self.windows.running.as_ref().and_then(|running| {
            let trajectory = &running.trajectory.0;
            trajectory.boundary(trajectory.spec().segments.into())
        });
        let body = |rock: &Rock| {
            let carried_to = match rock.flight {
                RockMotion::Carried(body) => ends.and_then(|ends| ends.get(usize::from(body))).copied(),
                RockMotion::Loose(_) => None,
            };
            let flown_to = || State::of(&self.loose_motion(rock, starts_at).unwrap_or(rock.motion));
            Body {
                id: rock.id.0,
                shape: rock.shape,
                material: rock.is_fragment().into(),
                state: carried_to.unwrap_or_else(flown_to),
            }
        };
        // Fragments that expire where the window begins are left out.
        let is_there = |rock: &&Rock| rock.gone_at.is_none_or(|gone_at| gone_at > starts_at);
        PhysicsSpec {
            base: None,
            segments: rules.window_segments(self.horizon.motions),
            steps: rules.segment_ticks,
            planar: true,
            walls: Some(Walls { half_x: half, half_z: half }),
            attractors: self.sector.wells.iter().map(Well::attractor).collect(),
            materials: materials(&self.config.rocks),
            bodies: self.rocks.iter().filter(is_there).map(body).collect(),
        }
    }
}

impl Windows {
    /// Begins the requested window; computes it here if no answer has come. A spec that the kernel gives up
    /// on (it limits crowds) makes no window on any machine: all rocks are loose then.
    fn start(&mut self, pending: Pending, events: &mut Vec<ArenaEvent>) -> Option<Running> {
        let Pending { request, starts_at, spec, answer, missed } = pending;
        if missed {
            self.missed += 1;
            return None;
        }
        let inline = answer.is_none();
        let computed = || {
            let outcome = Physics::run(&spec, &Blobs::default(), &Stop::never()).ok()?;
            Motions::prepare(&spec, &outcome).ok()
        };
        let trajectory = answer.or_else(computed);
        self.begun += 1;
        self.begun_inline += u64::from(inline);
        if inline {
            let request = RequestId(request);
            events.push(ArenaEvent::PhysicsInline { request, failed: trajectory.is_none() });
        }
        trajectory.map(|trajectory| Running { request, starts_at, trajectory, inline })
    }
}

impl Recorded for PhysicsSpec {
    fn record(&self, record: &mut Record) {
        // Every spec has one encoding.
        record.list(&Physics::encode_spec(self));
    }
}

impl Recorded for Windows {
    fn record(&self, record: &mut Record) {
        let Self { pending, running, began_at, next_at, begun: _, begun_inline: _, missed: _ } = self;
        record.each([began_at, next_at]);
        record.add(&pending.is_some());
        if let Some(Pending { request, starts_at, spec, answer: _, missed }) = pending {
            record.add(missed);
            record.add(request);
            record.add(starts_at);
            record.add(spec);
        }
        record.add(&running.is_some());
        // A trajectory follows from its spec, so the spec is enough.
        if let Some(Running { request, starts_at, trajectory, inline: _ }) = running {
            record.add(request);
            record.add(starts_at);
            record.add(trajectory.0.spec());
        }
    }
}
