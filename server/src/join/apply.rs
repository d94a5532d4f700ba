//! Applies the operator's account changes to connected peers.

use std::net::TcpListener;
use std::time::Duration;

use bevy_app::{App, Plugin, Update};
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::{Local, Res};
use bevy_time::{Real, Time};
use p2c2r_link::{Mint, Peers};
use p2c2r_protocol::AccountKey;
use tracing::info;

use super::certificate::make_data_folder;
use super::service::{JoinOptions, JoinService};
use super::store::{OperatorChange, Order};
use super::watch::AccountNews;
use crate::app::CoordinatorSystems;
use crate::config::ServerConfig;
use crate::core::Event;
use crate::drain::DrainPhase;
use crate::error::ServerError;
use crate::ledger::Ledger;
use crate::peers::Exchange;
use crate::status::page::About;
use crate::status::routes::Status;
use crate::status::{self, Board, MetricsRegistry, OperatorAccess};
use crate::waking::LateWaker;

/// What a revoked account's programs are told.
const REVOKED: &str = "the coordinator's operator has closed this account";
/// What the programs of an account are told that made place for another.
const MADE_PLACE: &str = "this account was of little use and made place for another; it is registered anew by itself if there is room";
/// Time between two notes of which accounts are connected. An account that stays connected for days fetches no token, and
/// would seem to be away if this were much longer.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// Lets people in to the coordinator `app`, which [`build_app`](crate::build_app) has built with `config`: answers HTTPS
/// on `listener` until the returned service is dropped, which has to be before the ledger is closed.
pub fn let_people_in(
    app: &mut App,
    config: &ServerConfig,
    listener: TcpListener,
) -> Result<JoinService, ServerError> {
    let asked = config.listen;
    let address = listener.local_addr().map_err(|error| ServerError::Address { asked, error })?;
    let join = &config.join;
    let hosts = join.hosts(address).map_err(|error| ServerError::Config(error.to_string()))?;
    let options = JoinOptions {
        data_dir: config.data_dir.clone(),
        certificate: join.certificate(),
        hosts,
        open: join.open.clone(),
        open_credit: join.open_credit,
        opening_credit: config.opening_credit,
        limits: join.limits.clone(),
        identity: config.kinds.identity(),
        ledger: config.db.clone(),
    };
    let world = app.world();
    let (mint, ledger) = (world.resource::<Mint>().clone(), world.resource::<Ledger>().clone());
    let waker = world.resource::<LateWaker>().clone();
    let clerk = move |order: &Order| {
        let done = match order {
            Order::Credit(credit) => ledger.grant(credit.role, credit.key, credit.nanos, credit.reference.0),
            Order::Judge(judgement) => ledger.judge(judgement.key, judgement.quarantined),
        };
        done.map(|account| account.id).map_err(|error| error.to_string())
    };
    make_data_folder(&config.data_dir)?;
    let status = Status {
        board: world.resource::<Board>().clone(),
        registry: world.resource::<MetricsRegistry>().0.clone(),
        access: OperatorAccess::open(&config.data_dir)?,
        about: About {
            protocol: options.identity.text.clone(),
            label: config.label.clone(),
            command: config.command.clone(),
        },
        metrics: config.metrics,
        requests_per_minute: join.limits.requests_per_minute,
    };
    let pages = status::routes::router(status);
    let wake = move || waker.wake();
    let (service, news) = JoinService::start(options, listener, mint, Box::new(clerk), wake, pages)?;
    app.insert_resource(news);
    app.add_plugins(JoinPlugin);
    Ok(service)
}

/// Adds the systems; [`let_people_in`] inserts the [`AccountNews`] they read.
struct JoinPlugin;

impl Plugin for JoinPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(
            Update,
            (
                apply_account_changes.run_if(|news: Res<'_, AccountNews>| !news.is_empty()),
                close_with_the_coordinator,
                note_who_is_here.run_if(|peers: Res<'_, Peers>| !peers.is_empty()),
            )
                .chain()
                .before(CoordinatorSystems),
        );
    }
}

/// Disconnects the programs of accounts that were closed or made place and voids their connect tokens, applies new names,
/// and passes quarantines and hourly caps on.
pub fn apply_account_changes(news: Res<'_, AccountNews>, mint: Res<'_, Mint>, mut exchange: Exchange<'_>) {
    while let Some(change) = news.take() {
        match change {
            OperatorChange::Revoked(key) => {
                mint.close(key);
                let connected: Vec<_> = exchange.peers.of_account(key).collect();
                info!(
                    target: crate::console::TARGET, event = "revoked", account = key.short(),
                    programs = connected.len(), "Account {} closed by the operator", key.short()
                );
                for peer in connected {
                    exchange.show_out(peer, REVOKED);
                }
            }
            OperatorChange::MadePlace(key) => {
                mint.void(key);
                let connected: Vec<_> = exchange.peers.of_account(key).collect();
                for peer in connected {
                    exchange.show_out(peer, MADE_PLACE);
                }
            }
            OperatorChange::Judged(account, quarantined) => {
                exchange.handle(Event::QuarantineSet { account, quarantined });
            }
            OperatorChange::Capped(key, hour_cap) => {
                exchange.scheduler.hour_caps.set(key, hour_cap);
                let connected: Vec<_> = exchange.peers.of_account(key).collect();
                for peer in connected {
                    exchange.handle(Event::Capped { peer, hour_cap });
                }
            }
            OperatorChange::Renamed(key, name) => {
                mint.rename(key, &name);
                exchange.peers.rename(key, &name);
                let connected: Vec<_> = exchange.peers.of_account(key).collect();
                for peer in connected {
                    exchange.handle(Event::Renamed { peer, name: name.clone() });
                }
            }
        }
    }
}

/// Notes that somebody is connected, which proves that UDP arrives, and once an hour which accounts are, so that they do not
/// count as away.
fn note_who_is_here(
    news: Res<'_, AccountNews>,
    peers: Res<'_, Peers>,
    time: Res<'_, Time<Real>>,
    mut noted_at: Local<'_, Duration>,
) {
    news.somebody_is_here();
    // Not at once: an account that has just connected was noted when it fetched its token.
    if time.elapsed() >= *noted_at + NOTED_EVERY {
        *noted_at = time.elapsed();
        let mut here: Vec<AccountKey> = peers.iter().filter_map(|(peer, _)| peers.account_of(peer)).collect();
        here.sort_unstable();
        here.dedup();
        news.are_here(here);
    }
}

/// Refuses new peers while the coordinator is draining.
fn close_with_the_coordinator(drain: Res<'_, DrainPhase>, news: Res<'_, AccountNews>) {
    if drain.is_closing() {
        news.close();
    }
}
