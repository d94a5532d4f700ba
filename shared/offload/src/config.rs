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
    /// Where the coordinator is, for people; `None` if that is not known.
    pub coordinator: Option<String>,
    /// The gamer's name.
    pub name: String,
    /// The kinds that game, coordinator and workers share, to the version: programs whose lists differ
    /// refuse each other at connect, and the programs have [`KindRegistry::builtin`]. A game may register fewer with
    /// [`add_offload_kind`](crate::OffloadAppExt::add_offload_kind).
    pub kinds: KindRegistry,
    /// How fast the game sends at most; `None` is [`RateLimit::internet`], and no bound to a coordinator on this computer.
    pub rate_limit: Option<RateLimit>,
    /// Simulated network impairment, for tests and demonstrations.
    pub impair: Option<Impairment>,
    /// How a broken connection is re-established.
    pub reconnect: Reconnect,
    /// Where the game's own compute runs.
    pub local: LocalCompute,
    /// Tasks that may wait for local compute; a further one fails at once.
    pub local_queue_max: usize,
    /// Tasks at the coordinator at the same time; more wait in the game, nearest deadline first.
    pub in_flight_max: usize,
    /// Where patient tasks are kept until they end, so that a game that was killed finds them again: see
    /// [`Resumed`](crate::Resumed). A folder for one account at one coordinator; `None` to keep nothing. A second program
    /// that is given the folder of one that runs keeps nothing either.
    pub patient_folder: Option<PathBuf>,
    /// The most this session may spend; at the cap everything is computed locally.
    pub session_cap: Option<Nanos>,
    /// The most any sixty minutes may spend; at the cap everything is computed locally until it falls below.
    pub hour_cap: Option<Nanos>,
    /// What was spent before the start, and how long ago: what a game keeps of it over a restart counts for
    /// [`hour_cap`](Self::hour_cap). What is more than an hour ago counts for nothing.
    pub spent_before: Vec<(Duration, Nanos)>,
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
            spent_before: Vec::new(),
        }
    }
}

impl OffloadConfig {
    /// The same for a game whose player, called `name`, joins by this link: `p2c2r://…`, `@FILE` or `-` for standard
    /// input. The player's account is made at the first start, kept in the user's folder, and found there again.
    ///
    /// Set [`kinds`](Self::kinds) before, since the coordinator is told of them.
    pub fn join(self, link: &str, name: &str) -> Result<Self, MembershipError> {
        let memberships = Memberships::of_user()?;
        let membership = memberships.join(read_link(link)?, Role::Gamer, name)?;
        Ok(Self {
            patient_folder: Some(memberships.tasks_folder(&membership)),
            ..self.with_membership(&membership)
        })
    }

    /// The same for a player who has joined.
    #[must_use]
    pub fn with_membership(self, membership: &Membership) -> Self {
        let client = membership.client(self.kinds.identity());
        let coordinator = Some(client.place());
        let link = Some(ClientTransport::Udp(Arc::new(client)));
        Self { link, coordinator, name: membership.name.clone(), ..self }
    }
}
