//! What the coordinator shows of itself over HTTPS: whether it is up, figures for Prometheus, and a page for people.
//!
//! # How it works
//! The app's [`Meter`] counts every effect of the scheduler as it is carried out. The scheduler calls nothing here, and
//! no other thread reads it: a system of the app copies what is connected and waiting into a [`Snapshot`], at most a
//! few times a second and only while somebody looks, so that an idle coordinator stays asleep. HTTPS answers from the
//! newest copy.
//!
//! Everyone may see whether the coordinator is up and how busy it is. Names, money and figures are for the operator:
//! whoever has a login link from `p2c2r-server page`, or the token that Prometheus is given. The coordinator stores
//! hashes of both.
//!
//! | module | owns |
//! |---|---|
//! | [`meter`], [`figures`], `histogram` | counting, and the names under which Prometheus finds it |
//! | [`history`] | the last hour by the minute |
//! | [`snapshot`], [`board`] | the copy of the app's state, and handing it over |
//! | [`troubles`] | what is wrong and what to do about it |
//! | [`access`] | recognising the operator |
//! | [`page`], [`chart`] | what people see |
//! | [`routes`] | what is answered to which request |
//! | [`commands`] | `p2c2r-server page` and `p2c2r-server ready` |
//! | `service` | saying to a service manager that the coordinator is alive |

pub mod access;
pub mod board;
pub mod chart;
pub mod commands;
pub mod figures;
mod histogram;
pub mod history;
pub mod meter;
pub mod page;
pub mod routes;
mod service;
pub mod snapshot;
pub mod troubles;

use std::sync::Arc;

use bevy_app::{App, Update};
use bevy_ecs::resource::Resource;
use bevy_ecs::schedule::IntoScheduleConfigs;
use bevy_ecs::system::Res;
use prometheus_client::registry::Registry;

pub use access::OperatorAccess;
pub use board::Board;
pub use meter::Meter;
pub use snapshot::Snapshot;

use crate::app::CoordinatorSystems;
use crate::config::ServerConfig;
use crate::waking::LateWaker;

/// The figures that HTTPS writes out; the app counts in them.
#[derive(Resource, Clone)]
pub struct MetricsRegistry(pub Arc<Registry>);

/// Adds the board and the system that publishes snapshots, and returns the meter.
pub fn add_to(app: &mut App, config: &ServerConfig, waker: LateWaker) -> Meter {
    let (meter, registry) = Meter::new(&config.kinds);
    app.insert_resource(MetricsRegistry(Arc::new(registry)))
        .insert_resource(Board::new(move || waker.wake()))
        .add_systems(
            Update,
            snapshot::publish.run_if(|board: Res<'_, Board>| board.is_wanted()).after(CoordinatorSystems),
        );
    service::add_to(app);
    meter
}
