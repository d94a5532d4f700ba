//! A coordinator's side of joining in a data folder of its own, on a port of its own.

use crossbeam_channel::{Receiver, unbounded};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2c2r_join::api::{CHALLENGE_PATH, Challenge, Instance, TOKEN_PATH};
use p2c2r_join::{AccountSecret, Host, RefusalCode, TokenGrant, TokenRefusal, TokenRequest};
use p2c2r_link::Mint;
use p2c2r_protocol::{AccountKey, Nanos, ProtocolIdentity, Role};
use p2c2r_server::config::{LEDGER_FILE, MetricsFor};
use p2c2r_server::join::store::{Credit, Order};
use p2c2r_server::join::{
    AccountNews, AccountStore, CertificateChoice, JoinLimits, JoinOptions, JoinService, NewInvite,
    OpenRegistration, OperatorChange, WallSeconds, bind_both, make_data_folder,
};
use p2c2r_server::ledger::AccountId;
use p2c2r_server::status::page::About;
use p2c2r_server::status::routes::{Status, router};
use p2c2r_server::status::{Board, OperatorAccess};
use tempfile::TempDir;

use super::client::Client;

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const DAY: Duration = Duration::from_hours(24);
pub const PROTOCOL: u64 = 7;

/// Makes an account key that is the same in every run.
pub fn secret(seed: u8) -> AccountSecret {
    AccountSecret::from_seed([seed; 32]).unwrap()
}

pub fn key(seed: u8) -> AccountKey {
    secret(seed).public()
}

/// A folder, and the options for a coordinator in it.
pub struct Folder {
    pub root: TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The store, opened beside the coordinator's as the operator's commands do.
    pub fn store(&self) -> AccountStore {
        AccountStore::open(&self.path()).unwrap()
    }

    pub fn options(&self) -> JoinOptions {
        JoinOptions {
            data_dir: self.path(),
            certificate: CertificateChoice::Own,
            hosts: vec![Host { name: "127.0.0.1".to_owned(), port: 1 }],
            open: OpenRegistration::default(),
            open_credit: Nanos(5),
            opening_credit: Nanos::DOLLAR,
            limits: JoinLimits::default(),
            identity: ProtocolIdentity { id: PROTOCOL, text: "p2c2r/lab".to_owned() },
            ledger: self.path().join(LEDGER_FILE),
        }
    }

    /// Makes an invite that is good for a day.
    pub fn invite(&self, role: Role, uses: u32) -> String {
        let invite = NewInvite { role, label: None, uses, expires_in: DAY, credit: Nanos(7) };
        self.store().invite(&invite, WallSeconds::now()).unwrap()
    }

    /// Runs the coordinator's program on the folder.
    pub fn program(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_p2c2r-server"))
            .args(arguments)
            .env("P2C2R_DATA_DIR", self.path())
            .output()
            .unwrap()
    }

    pub fn start(&self) -> Lab<'_> {
        self.start_with(|_| {})
    }

    pub fn start_with(&self, change: impl FnOnce(&mut JoinOptions)) -> Lab<'_> {
        let mut options = self.options();
        change(&mut options);
        let (udp, tcp) = bind_both(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = tcp.local_addr().unwrap();
        assert_eq!(udp.local_addr().unwrap(), address);
        let booked: Arc<Mutex<Vec<Credit>>> = Arc::default();
        let books = Arc::clone(&booked);
        // The number that the ledger has for a judged account is its key's first byte.
        let clerk = Box::new(move |order: &Order| match order {
            Order::Credit(credit) => {
                books.lock().unwrap().push(*credit);
                Ok(AccountId(1))
            }
            Order::Judge(judgement) => Ok(AccountId(i64::from(judgement.key.0[0]))),
        });
        let (wake, woken) = unbounded();
        let mint = Mint::new(&options.identity);
        let wake = move || {
            let _ = wake.send(());
        };
        let pages = pages(&options);
        let (service, news) = JoinService::start(options, tcp, mint.clone(), clerk, wake, pages).unwrap();
        Lab { folder: self, address, service, news, mint, booked, woken }
    }
}

/// The pages of a coordinator whose app never answers.
fn pages(options: &JoinOptions) -> axum::Router {
    make_data_folder(&options.data_dir).unwrap();
    router(Status {
        board: Board::new(|| ()),
        registry: Arc::default(),
        access: OperatorAccess::open(&options.data_dir).unwrap(),
        about: About {
            protocol: options.identity.text.clone(),
            label: None,
            command: "p2c2r-server".to_owned(),
        },
        metrics: MetricsFor::Operator,
        requests_per_minute: options.limits.requests_per_minute,
    })
}

/// The running side of a coordinator that lets people join.
pub struct Lab<'a> {
    pub folder: &'a Folder,
    pub address: SocketAddr,
    pub service: JoinService,
    pub news: AccountNews,
    pub mint: Mint,
    pub booked: Arc<Mutex<Vec<Credit>>>,
    woken: Receiver<()>,
}

impl Lab<'_> {
    /// Opens a TLS connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.address, &certificate_file(&self.folder.path())).expect("it lets people in")
    }

    /// Fetches a challenge to sign.
    pub fn challenge(&self) -> String {
        let (status, body) = self.connect().post(CHALLENGE_PATH, "{}");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Challenge>(&body).unwrap().challenge
    }

    /// Asks for a token as people do.
    pub fn ask(
        &self,
        secret: &AccountSecret,
        role: Role,
        invite: Option<&str>,
    ) -> Result<TokenGrant, RefusalCode> {
        self.ask_as(secret, role, "ann", invite)
    }

    pub fn ask_as(
        &self,
        secret: &AccountSecret,
        role: Role,
        name: &str,
        invite: Option<&str>,
    ) -> Result<TokenGrant, RefusalCode> {
        let challenge = self.challenge();
        let request = TokenRequest::signed(
            secret,
            (role, name, Instance(3)),
            (PROTOCOL, "p2c2r/lab"),
            &challenge,
            invite,
        );
        self.send(&request).1
    }

    /// Sends a request; returns the status and the answer.
    pub fn send(&self, request: &TokenRequest) -> (u16, Result<TokenGrant, RefusalCode>) {
        let (status, body) = self.connect().post(TOKEN_PATH, &serde_json::to_string(request).unwrap());
        (status, read_answer(status, &body))
    }

    /// Waits for the operator's next change.
    pub fn next_change(&self) -> OperatorChange {
        loop {
            if let Some(change) = self.news.take() {
                return change;
            }
            self.woken.recv_timeout(PATIENCE).expect("the change is noticed");
        }
    }

    /// Waits until that many credits are booked.
    pub fn wait_for_booked(&self, count: usize) -> Vec<Credit> {
        let until = Instant::now() + PATIENCE;
        loop {
            let booked = self.booked.lock().unwrap().clone();
            if booked.len() >= count {
                return booked;
            }
            assert!(Instant::now() < until, "credits are booked");
            std::thread::yield_now();
        }
    }
}

/// A grant, or the refusal's code; every refusal has a sentence.
pub fn read_answer(status: u16, body: &str) -> Result<TokenGrant, RefusalCode> {
    if status == 200 {
        return Ok(serde_json::from_str(body).unwrap());
    }
    let refusal: TokenRefusal = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert!(refusal.message.len() > 10, "{refusal:?}");
    Err(refusal.code)
}

pub fn certificate_file(folder: &Path) -> PathBuf {
    folder.join("certificate.pem")
}
