//! A coordinator's app that lets people in over real HTTPS and UDP, stepped by hand.

use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use bevy_app::App;
use p2c2r_join::{AccountSecret, JoinClient, JoinLink};
use p2c2r_link::{
    ClientLinkConfig, ClientLinkPlugin, ClientTransport, Impairment, Reconnect, ServerTransport, Side,
    TokenSource, WorkerSide,
};
use p2c2r_protocol::{ProtocolIdentity, Role};
use p2c2r_server::config::LEDGER_FILE;
use p2c2r_server::join::{JoinService, bind_both, let_people_in};
use p2c2r_server::peers::Scheduler;
use p2c2r_server::{ServerConfig, build_app};

use crate::lab::{Folder, PATIENCE, secret};

/// A coordinator's app that lets people in, stepped by hand.
pub struct Town {
    pub app: App,
    pub service: JoinService,
    pub identity: ProtocolIdentity,
}

impl Town {
    pub fn open(folder: &Folder) -> Self {
        Self::open_with(folder, |_| ())
    }

    pub fn open_with(folder: &Folder, change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::open_on(folder, bind_both("127.0.0.1:0".parse().unwrap()).unwrap(), change)
    }

    /// The same on these sockets.
    pub fn open_on(
        folder: &Folder,
        (udp, tcp): (UdpSocket, TcpListener),
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let mut config = ServerConfig {
            db: folder.path().join(LEDGER_FILE),
            data_dir: folder.path(),
            ..ServerConfig::default()
        };
        change(&mut config);
        p2c2r_server::join::make_data_folder(&config.data_dir).unwrap();
        let mut app = build_app(config.clone(), ServerTransport::Udp(udp)).unwrap();
        let service = let_people_in(&mut app, &config, tcp).unwrap();
        Self { app, service, identity: config.kinds.identity() }
    }

    /// The source of tokens for the first key's account.
    pub fn client(&self, name: &str, invite: Option<String>) -> JoinClient {
        self.client_of(secret(1), Role::Worker, name, invite)
    }

    /// The source of tokens for the account of `secret`.
    pub fn client_of(
        &self,
        secret: AccountSecret,
        role: Role,
        name: &str,
        invite: Option<String>,
    ) -> JoinClient {
        let link = JoinLink { invite, ..self.service.link().clone() };
        JoinClient::new(link, secret, (role, name), self.identity.clone())
    }

    /// A worker of the first key with this name, which has joined.
    pub fn joined(&mut self, folder: &Folder, name: &str) -> App {
        let client = self.client(name, Some(folder.invite(Role::Worker, 1)));
        let mut worker = self.worker(Arc::new(client));
        let give_up = Instant::now() + PATIENCE;
        while self.app.world().resource::<Scheduler>().core().workers().is_empty() {
            worker.update();
            self.app.update();
            assert!(Instant::now() < give_up, "the worker joins");
        }
        worker
    }

    /// A worker's link.
    pub fn worker(&self, tokens: Arc<dyn TokenSource>) -> App {
        self.member::<WorkerSide>(tokens)
    }

    /// The link of a worker or a game.
    pub fn member<S: Side>(&self, tokens: Arc<dyn TokenSource>) -> App {
        self.member_over::<S>(tokens, None)
    }

    /// The same over an impaired link.
    pub fn member_over<S: Side>(&self, tokens: Arc<dyn TokenSource>, impair: Option<Impairment>) -> App {
        let mut app = App::new();
        app.add_plugins(ClientLinkPlugin::<S>::new(ClientLinkConfig {
            transport: ClientTransport::Udp(tokens),
            identity: self.identity.clone(),
            name: "ada".to_owned(),
            rate_limit: None,
            impair,
            reconnect: Reconnect::default(),
        }));
        app
    }

    /// Steps the coordinator until `ask`, on a thread of its own, has returned.
    #[track_caller]
    pub fn while_it_runs<T: Send>(&mut self, ask: impl FnOnce() -> T + Send) -> T {
        let give_up = Instant::now() + PATIENCE;
        std::thread::scope(|scope| {
            let asking = scope.spawn(ask);
            while !asking.is_finished() {
                self.app.update();
                assert!(Instant::now() < give_up, "there is no answer");
                std::thread::yield_now();
            }
            asking.join().unwrap()
        })
    }
}
