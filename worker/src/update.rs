//! The worker's update: it handles, in a fixed order, what came from the owner, from the coordinator and from kernels,
//! and then tells the helper. A tiny task that arrived is computed and answered in the same update.
//!
//! One system, because Bevy fetches every resource anew for every system (`docs/PERFORMANCE.md`, "Dispatch").

use bevy_app::AppExit;
use bevy_ecs::message::{MessageReader, Messages};
use bevy_ecs::system::{Res, ResMut, SystemParam};
use bevy_time::{Real, Time};
use p2c2r_link::{ClientLink, FromServer, LinkClock, LinkDown, LinkUp, NextWake, ToServer, Waker};
use p2c2r_protocol::{ServerToWorker, WorkerToServer};

use crate::attempts::{Attempts, Offer, answer_results, follow_device, follow_link, take_messages};
use crate::availability::{Availability, rest_or_work};
use crate::console::{Console, show_fallbacks, show_farewell, show_link, show_status};
use crate::control::{Control, answer_owner, heed_owner};
use crate::drain::{Drain, leave_when_done};
use crate::earnings::SessionEarnings;
use crate::executor::Executor;

/// Everything that the worker's steps work on; each step begins by naming what it uses.
#[derive(SystemParam)]
pub(crate) struct WorkerParts<'w, 's> {
    pub attempts: ResMut<'w, Attempts>,
    pub availability: ResMut<'w, Availability>,
    pub clock: Res<'w, LinkClock>,
    pub console: ResMut<'w, Console>,
    pub control: ResMut<'w, Control>,
    pub down: MessageReader<'w, 's, LinkDown>,
    pub drain: ResMut<'w, Drain>,
    pub executor: ResMut<'w, Executor>,
    pub exit: ResMut<'w, Messages<AppExit>>,
    pub heard: ResMut<'w, Messages<FromServer<ServerToWorker>>>,
    pub link: ResMut<'w, ClientLink>,
    pub next: ResMut<'w, NextWake>,
    pub offer: ResMut<'w, Offer>,
    pub said: ResMut<'w, Messages<ToServer<WorkerToServer>>>,
    pub session: ResMut<'w, SessionEarnings>,
    pub time: Res<'w, Time<Real>>,
    pub up: MessageReader<'w, 's, LinkUp>,
    pub waker: Res<'w, Waker>,
}

/// Carries out the owner's requests and rests or works; takes the coordinator's messages, starts or queues attempts and
/// answers those whose kernels have ended; leaves when that was asked for and all is done; tells the helper.
pub(crate) fn update(mut parts: WorkerParts<'_, '_>) {
    let parts = &mut parts;
    heed_owner(parts);
    rest_or_work(parts);
    answer_owner(parts);
    take_messages(parts);
    follow_device(parts);
    follow_link(parts);
    answer_results(parts);
    leave_when_done(parts);
    show_link(parts);
    show_status(parts);
    show_fallbacks(parts);
    show_farewell(parts);
}
