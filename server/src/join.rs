//! The coordinator's side of joining: who may come in, and how a stranger with a join link becomes an account.
//!
//! # How it works
//! The operator makes invites; each is a secret in a join link, of which the store keeps the hash. A client presents an
//! invite and its own public key over HTTPS once and then has an account. For every connection it signs a fresh
//! challenge and gets a connect token for the UDP port of the same number. The store holds no secrets, so a thief of it
//! cannot join.
//!
//! HTTPS is answered on its own thread, which never waits for the app or the disk; the cost of unauthenticated requests
//! is bounded. A second thread waits for the account store, a third watches it for changes by the operator's commands.
//!
//! | module | owns |
//! |---|---|
//! | [`store`] | accounts, invites and credits, on disk |
//! | [`enrol`] | who is let in |
//! | [`challenge`] | what clients sign: good once, and stored only when it was used |
//! | [`certificate`], [`renewal`] | the coordinator's key and certificate, or the operator's, also when that is renewed |
//! | [`limits`] | limits on strangers, per address prefix and in sum |
//! | `places` | how many HTTPS connections there may be, and which one is ended when there are more |
//! | [`ports`] | one port number for UDP and TCP |
//! | `https`, `routes`, [`refusals`] | connections, requests and refusals |
//! | [`service`], [`watch`] | the threads, and what they tell the app |
//! | [`reach`] | noticing that UDP does not arrive, and telling the operator |
//! | [`apply`] | the app's end: closed accounts are disconnected |
//! | [`settings`], [`commands`] | the operator's settings and commands |

pub mod apply;
pub mod certificate;
pub mod challenge;
pub mod commands;
pub mod enrol;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
mod https;
pub mod limits;
mod places;
pub mod ports;
pub mod reach;
pub mod refusals;
pub mod renewal;
mod routes;
pub mod service;
pub mod settings;
pub mod store;
pub mod watch;

pub use apply::let_people_in;
pub use certificate::{Certificate, CertificateChoice, make_data_folder};
pub use error::JoinError;
pub use limits::{JoinLimits, OpenRegistration};
pub use ports::bind_both;
pub(crate) use routes::Sender;
pub use service::{JoinOptions, JoinService};
pub use settings::JoinSettings;
pub use store::{AccountRecord, AccountStore, Credit, NewInvite, OperatorChange, WallSeconds};
pub use watch::AccountNews;
