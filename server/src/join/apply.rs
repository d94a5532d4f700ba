//! Applies the operator's account changes to connected peers.

use std::collections::VecDeque;
use std::net::TcpListener;

use bevy_app::{App, Plugin, Update};
use bevy_ecs::message::Messages;
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{Mint, PeerJoined, Peers};
use p2c2r_protocol::{AccountKey, Micros};
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
/// How long a token from just before an account was closed may still be used: twice a token's life of 60 seconds.
const REMEMBERED: Micros = Micros(120_000_000);

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
        app.init_resource::<RecentlyRevoked>();
        app.add_systems(
            Update,
            (
                apply_account_changes.run_if(|news: Res<'_, AccountNews>| !news.is_empty()),
                turn_revoked_away.run_if(|revoked: Res<'_, RecentlyRevoked>| !revoked.0.is_empty()),
                close_with_the_coordinator,
                note_who_is_here.run_if(|peers: Res<'_, Peers>| !peers.is_empty()),
            )
                .chain()
                .before(CoordinatorSystems),
        );
    }
}

/// Accounts closed while the coordinator runs, with the moment: tokens made before may still be used. An account closed
/// longer ago gets no token, so it is not remembered here.
#[derive(Resource, Debug, Default)]
pub struct RecentlyRevoked(VecDeque<(AccountKey, Micros)>);

/// Disconnects the programs of closed accounts, applies new names, and passes quarantines and hourly caps on.
pub fn apply_account_changes(
    news: Res<'_, AccountNews>,
    mint: Res<'_, Mint>,
    mut revoked: ResMut<'_, RecentlyRevoked>,
    mut exchange: Exchange<'_>,
) {
    while let Some(change) = news.take() {
        match change {
            OperatorChange::Revoked(key) => {
                revoked.0.push_back((key, exchange.now()));
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
                let connected: Vec<_> = exchange.peers.of_account(key).collect();
                for peer in connected {
                    exchange.show_out(peer, MADE_PLACE);
                }
            }
            OperatorChange::Judged(account, quarantined) => {
                exchange.handle(Event::Judged { account, quarantined });
            }
            OperatorChange::Capped(key, hour_cap) => {
                exchange.hour_caps.set(key, hour_cap);
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

/// Disconnects programs of closed accounts that connect with an older token, before any system sees them as joined.
pub fn turn_revoked_away(
    mut joined: ResMut<'_, Messages<PeerJoined>>,
    mut revoked: ResMut<'_, RecentlyRevoked>,
    mut exchange: Exchange<'_>,
) {
    let now = exchange.now();
    while revoked.0.pop_front_if(|(_, at)| now.0.saturating_sub(at.0) > REMEMBERED.0).is_some() {}
    let (away, welcome): (Vec<_>, Vec<_>) =
        joined.drain().partition(|joined| revoked.0.iter().any(|(key, _)| *key == joined.account));
    joined.write_batch(welcome);
    for joined in away {
        exchange.show_out(joined.peer, REVOKED);
    }
}

/// Whoever is connected proves that UDP arrives.
fn note_who_is_here(news: Res<'_, AccountNews>) {
    news.somebody_is_here();
}

/// Refuses new peers while the coordinator is draining.
fn close_with_the_coordinator(drain: Res<'_, DrainPhase>, news: Res<'_, AccountNews>) {
    if drain.is_closing() {
        news.close();
    }
}
