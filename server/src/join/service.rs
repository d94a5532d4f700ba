//! The join service's threads: one for HTTPS, one for the account store, and one that watches the store.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use p2c2r_join::{Fingerprint, Host, JoinLink};
use p2c2r_link::Mint;
use p2c2r_protocol::{Nanos, ProtocolIdentity};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tracing::{error, warn};

use super::certificate::{Certificate, CertificateChoice, make_data_folder};
use super::enrol::Registrar;
use super::error::JoinError;
use super::https;
use super::limits::{JoinLimits, OpenRegistration};
use super::reach::SharedUdpReach;
use super::renewal::{self, RenewedCertificate};
use super::routes::Front;
use super::store::AccountStore;
use super::watch::{AccountNews, Clerk, Watch};
use crate::ledger::Standings;

/// How long shutdown waits for a request to the account store.
const STOP_MAX: Duration = Duration::from_secs(1);

/// What the service needs.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// The data folder; made if it is missing.
    pub data_dir: PathBuf,
    /// Which certificate is used.
    pub certificate: CertificateChoice,
    /// Where join links say that the coordinator is.
    pub hosts: Vec<Host>,
    /// Who may come without an invite.
    pub open: OpenRegistration,
    /// What gamers who come without an invite are given, once.
    pub open_credit: Nanos,
    /// What an invite gives a gamer unless it says otherwise.
    pub opening_credit: Nanos,
    /// What strangers may use.
    pub limits: JoinLimits,
    /// The coordinator's protocol.
    pub identity: ProtocolIdentity,
    /// The ledger's file, which says which accounts are of use.
    pub ledger: PathBuf,
}

/// The running service; dropping it stops it.
#[derive(Debug)]
pub struct JoinService {
    /// Dropped to stop the two threads.
    stop: Option<(oneshot::Sender<()>, crossbeam_channel::Sender<()>)>,
    threads: Vec<JoinHandle<()>>,
    link: JoinLink,
}

impl JoinService {
    /// Opens the account store and the certificate, and serves `listener` and `pages`. `clerk` carries out the
    /// operator's orders in the ledger; `wake` is called when there is news for the app.
    pub fn start(
        options: JoinOptions,
        listener: TcpListener,
        mint: Mint,
        clerk: Clerk,
        wake: impl Fn() + Send + 'static,
        pages: Router,
    ) -> Result<(Self, AccountNews), JoinError> {
        make_data_folder(&options.data_dir)?;
        let certificate = Certificate::load(&options.certificate, &options.data_dir)?;
        let mut store = AccountStore::open(&options.data_dir)?;
        let link = JoinLink { hosts: options.hosts, invite: None, fingerprint: certificate.fingerprint };
        let listening = listener.local_addr().map_err(JoinError::Start)?;
        store.publish(&link, options.opening_credit, listening)?;
        let books = Standings::open(&options.ledger).map_err(JoinError::Books)?;
        let orders = store.give_lost_orders_again(&books)?;
        if orders > 0 {
            warn!(
                orders,
                "credits or quarantines by the operator are not in the ledger: they are carried out again"
            );
        }
        let reach = SharedUdpReach::new(listening.port());
        let (watch, news, stop_watch) = Watch::new(
            AccountStore::open(&options.data_dir)?,
            clerk,
            reach.clone(),
            certificate.renewed.clone(),
        )?;
        let registrar =
            Registrar::new(store, (options.open, options.open_credit), options.ledger, watch.changes());
        let front =
            Arc::new(Front::new(options.limits, registrar, mint, options.identity, (reach, news.closing()))?);
        // One more thread, for the account store: only it waits for the disk.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .map_err(JoinError::Start)?;
        let (tls, renewed) = (TlsAcceptor::from(certificate.tls), certificate.renewed);
        let (stop_serving, stopped) = oneshot::channel();
        let threads = vec![
            start("p2c2r-join", move || serve(runtime, (listener, tls, front, pages), renewed, stopped))?,
            start("p2c2r-accounts", move || watch.run(wake))?,
        ];
        let stop = Some((stop_serving, stop_watch));
        Ok((Self { stop, threads, link }, news))
    }

    /// A join link without invite: where the coordinator is, and its fingerprint.
    pub fn link(&self) -> &JoinLink {
        &self.link
    }

    /// The fingerprint that join links carry.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.link.fingerprint
    }
}

impl Drop for JoinService {
    fn drop(&mut self) {
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, JoinError> {
    thread::Builder::new().name(name.into()).spawn(run).map_err(JoinError::Start)
}

/// Answers HTTPS until the sender of `stopped` is dropped.
fn serve(
    runtime: Runtime,
    (listener, tls, front, pages): (TcpListener, TlsAcceptor, Arc<Front>, Router),
    renewed: Option<Arc<RenewedCertificate>>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => tokio::select! {
                never = https::serve(listener, tls, front, pages) => match never {},
                never = renewal::follow(renewed) => match never {},
                _ = stopped => {}
            },
            Err(error) => error!(%error, "nobody can join: HTTPS cannot be answered"),
        }
    });
    runtime.shutdown_timeout(STOP_MAX);
}
