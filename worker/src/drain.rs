//! Leaving without dropping what runs: a worker that is asked to end says so, takes nothing more, finishes
//! what it runs, waits until its answers have arrived, and only then goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy_app::AppExit;
use bevy_ecs::resource::Resource;
use p2c2r_link::{LinkStatus, ToServer};
use p2c2r_protocol::WorkerToServer;
use tracing::{info, warn};

use crate::update::WorkerParts;

/// How often a draining worker looks whether its answers have arrived; the link wakes it for everything else.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Asks the worker to leave; clones share it, from any thread. A sleeping worker notices at its next wake-up, so
/// callers on other threads must wake it too.
#[derive(Resource, Clone)]
pub struct Drain {
    asked: Arc<AtomicBool>,
    began: Option<Duration>,
    limit: Duration,
}

impl Drain {
    /// A worker that stays, and takes at most `limit` to leave once asked.
    pub fn new(limit: Duration) -> Self {
        Self { asked: Arc::default(), began: None, limit }
    }

    /// Asks the worker to leave.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Whether the worker was asked to leave.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// Tells the coordinator, hands back queued attempts, and leaves when running ones are done or time is up.
pub(crate) fn leave_when_done(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { drain, attempts, link, said, exit, next, time, .. } = parts;
    if !drain.is_asked() {
        return;
    }
    let connected = *link.status() == LinkStatus::Connected;
    let now = time.elapsed();
    let Some(began) = drain.began else {
        drain.began = Some(now);
        if connected {
            said.write(ToServer(WorkerToServer::Draining));
        }
        let handed_back = attempts.hand_back_queued(said);
        info!(
            running = attempts.held(),
            handed_back,
            "⏳ Leaving: finishing {} running task(s), handing back {handed_back}. Ctrl-C again ends at once.",
            attempts.held()
        );
        next.within(Duration::ZERO);
        return;
    };
    // Messages of this update are not in the backlog yet, because the link counts at the end of an update.
    let has_arrived = !connected || (said.is_empty() && link.stats().backlog_bytes == 0);
    let done = attempts.held() == 0 && has_arrived;
    let over = now.saturating_sub(began) >= drain.limit;
    if !done && !over {
        next.within(LOOK_AGAIN);
        return;
    }
    if !done {
        warn!(unfinished = attempts.held(), "Leaving with {} task(s) unfinished", attempts.held());
    }
    link.disconnect();
    exit.write(AppExit::Success);
}
