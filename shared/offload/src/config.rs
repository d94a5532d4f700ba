//! The settings that a game gives the plugin.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_join::{Membership, MembershipError, Memberships, read_link};
use p2c2r_link::{ClientTransport, Impairment, RateLimit, Reconnect};
use p2c2r_protocol::{Nanos, Role};
use p2c2r_tasks::KindRegistry;

/// How the plugin is set up. [`OffloadConfig::default`] has no coordinator: everything is computed locally.
#[derive(Clone)]
pub struct OffloadConfig {
    /// How to reach the coordinator; `None` for local compute only, [`ClientTransport::Later`] until
    /// [`BorrowFrom`](crate::BorrowFrom) names one.
    pub link: Option<ClientTransport>,
    /// The coordinator's address, to be shown to people; `None` if it is not known.
    pub coordinator: Option<String>,
    /// The gamer's name.
    pub name: String,
    /// The kinds that game, coordinator and workers are built with. Programs whose lists differ in a kind or in a kernel
    /// version refuse each other at connect; this repository's coordinator and worker have [`KindRegistry::builtin`]. A
    /// game may register fewer with [`add_offload_kind`](crate::OffloadAppExt::add_offload_kind).
    pub kinds: KindRegistry,
    /// How fast the game sends at most; `None` means [`RateLimit::internet`], or no limit to a coordinator on this
    /// computer without simulated impairment.
    pub rate_limit: Option<RateLimit>,
    /// Simulated network impairment, for tests and demonstrations.
    pub impair: Option<Impairment>,
    /// How a broken connection is re-established.
    pub reconnect: Reconnect,
    /// Where the game's own compute runs.
    pub local: LocalCompute,
    /// How many tasks may wait for local compute; a further one fails at once.
    pub local_queue_max: usize,
    /// How many tasks may be at the coordinator at the same time; more wait in the game, nearest deadline first.
    pub in_flight_max: usize,
    /// Where patient tasks are stored until they end, so that a game that was killed finds them again: see
    /// [`Resumed`](crate::Resumed). The folder must belong to one account at one coordinator. With `None`, or while
    /// another running program uses the folder, nothing is stored.
    pub patient_folder: Option<PathBuf>,
    /// The most this session may spend; at the cap everything is computed locally.
    pub session_cap: Option<Nanos>,
    /// The most any sixty minutes may spend; at the cap everything is computed locally until it falls below.
    pub hour_cap: Option<Nanos>,
}

/// Where the game's own compute runs. Never on the app's thread, except simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalCompute {
    /// On one thread fewer than there are cores, at least one and at most eight.
    #[default]
    Auto,
    /// On this many threads.
    Threads(NonZeroUsize),
    /// On the app's thread, one task after the other, each as if it took this long: for tests with manual
    /// time, where threads would make outcomes arrive at frames that differ from run to run.
    Simulated {
        /// From the start of a task's compute to its outcome.
        takes: Duration,
    },
}

impl Default for OffloadConfig {
    fn default() -> Self {
        Self {
            link: None,
            coordinator: None,
            name: "gamer".into(),
            kinds: KindRegistry::builtin(),
            rate_limit: None,
            impair: None,
            reconnect: Reconnect::default(),
            local: LocalCompute::Auto,
            local_queue_max: 4_096,
            in_flight_max: 256,
            patient_folder: None,
            session_cap: None,
            hour_cap: None,
        }
    }
}

impl OffloadConfig {
    /// Sets up a player called `name` who joins by this link: `p2c2r://…`, `@FILE` for a file that holds it, or `-` for
    /// standard input. The player's account is made at the first start and kept in the user's folder.
    ///
    /// Set [`kinds`](Self::kinds) first, since the coordinator is told of them.
    pub fn join(self, link: &str, name: &str) -> Result<Self, MembershipError> {
        let memberships = Memberships::of_user()?;
        let membership = memberships.join(read_link(link)?, Role::Gamer, name)?;
        Ok(Self {
            patient_folder: Some(memberships.tasks_folder(&membership)),
            ..self.with_membership(&membership)
        })
    }

    /// Sets up a player who has joined already; unlike [`join`](Self::join), leaves `patient_folder` as it is.
    #[must_use]
    pub fn with_membership(self, membership: &Membership) -> Self {
        let client = membership.client(self.kinds.identity());
        let coordinator = Some(client.place());
        let link = Some(ClientTransport::Udp(Arc::new(client)));
        Self { link, coordinator, name: membership.name.clone(), ..self }
    }
}
