//! The operator's settings for joining: flags, configuration file, ranges.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use p2c2r_join::join_link::HOSTS_MAX;
use p2c2r_join::{Host, JoinLinkError};
use p2c2r_program::settings::within;
use p2c2r_protocol::Nanos;
use serde::{Deserialize, Serialize};

use super::certificate::CertificateChoice;
use super::limits::{JoinLimits, OpenRegistration};
use crate::error::ServerError;

/// The largest credit of an account that registers openly: strangers make as many keys as they like.
pub const OPEN_CREDIT_MAX: Nanos = Nanos::DOLLAR;
/// An address of a documentation network: no packet is sent to it.
const OUTWARD: (&str, &str) = ("192.0.2.1:9", "[2001:db8::1]:9");

/// How people join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinSettings {
    /// Where join links say that the coordinator is, with or without port; empty stands for where it listens.
    pub public_addresses: Vec<String>,
    /// Who may come without an invite.
    pub open: OpenRegistration,
    /// What gamers who come without an invite are given, once.
    pub open_credit: Nanos,
    /// Whose certificate is used.
    pub certificate: CertificateChoice,
    /// What strangers may use.
    pub limits: JoinLimits,
}

/// Who may come without an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenTo {
    /// Helpers.
    Workers,
    /// Games.
    Gamers,
}

/// The default data folder: of the user's own data, or `p2c2r-server` where there is none.
pub fn default_data_dir() -> PathBuf {
    dirs::data_dir()
        .map_or_else(|| PathBuf::from("p2c2r-server"), |folder| folder.join("p2c2r").join("server"))
}

/// Flags for joining.
#[derive(Debug, Default, Args)]
pub struct JoinArgs {
    /// Where join links say that the coordinator is: a name or address, with or without port; several may be given.
    /// [default: where it listens]
    #[arg(long, env = "P2C2R_PUBLIC_ADDRESS", value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub public_address: Vec<String>,
    /// Lets everybody register as this, without an invite; may be given twice. [default: nobody]
    #[arg(long, env = "P2C2R_OPEN", value_enum, value_delimiter = ',')]
    pub open: Vec<OpenTo>,
    /// Nano-dollars for a gamer who registers without an invite, once. [default: 0]
    #[arg(long, env = "P2C2R_OPEN_CREDIT_NANOS", value_name = "NANOS")]
    pub open_credit_nanos: Option<i64>,
    /// Your own certificate chain (PEM), signed by a public authority for the name in the join links; these then carry
    /// no fingerprint. [default: the coordinator makes its own]
    #[arg(long, env = "P2C2R_CERT", value_name = "PATH", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, env = "P2C2R_KEY", value_name = "PATH", requires = "cert")]
    pub key: Option<PathBuf>,
}

/// The table `[join]` of the configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinFile {
    /// See [`JoinSettings::public_addresses`].
    pub public_addresses: Option<Vec<String>>,
    /// See [`JoinSettings::open`].
    pub open: Option<Vec<OpenTo>>,
    /// See [`JoinSettings::open_credit`], in nano-dollars.
    pub open_credit_nanos: Option<i64>,
    /// See [`OpenRegistration::accounts_max`].
    pub open_accounts: Option<u32>,
    /// See [`OpenRegistration::accounts_per_hour`].
    pub open_accounts_per_hour: Option<u32>,
    /// See [`OpenRegistration::accounts_per_prefix_hour`].
    pub open_accounts_per_prefix_hour: Option<u32>,
    /// See [`CertificateChoice::Files`].
    pub cert: Option<PathBuf>,
    /// See [`CertificateChoice::Files`].
    pub key: Option<PathBuf>,
    /// See [`JoinLimits::connections_max`].
    pub connections: Option<u32>,
    /// See [`JoinLimits::connections_per_prefix_max`].
    pub connections_per_prefix: Option<u32>,
    /// See [`JoinLimits::connects_per_minute`].
    pub connects_per_minute: Option<u32>,
    /// See [`JoinLimits::requests_per_minute`].
    pub requests_per_minute: Option<u32>,
    /// See [`JoinLimits::requests_per_connection_max`].
    pub requests_per_connection: Option<u32>,
    /// See [`JoinLimits::handshake`].
    pub handshake_ms: Option<u64>,
    /// See [`JoinLimits::headers`].
    pub headers_ms: Option<u64>,
    /// See [`JoinLimits::body`].
    pub body_ms: Option<u64>,
    /// See [`JoinLimits::connection`].
    pub connection_ms: Option<u64>,
    /// See [`JoinLimits::store_queue_max`].
    pub store_queue: Option<u32>,
}

fn take<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

impl JoinSettings {
    /// Takes every setting that was given as a flag.
    pub fn apply_args(&mut self, args: JoinArgs) {
        take(&mut self.public_addresses, Some(args.public_address).filter(|given| !given.is_empty()));
        if !args.open.is_empty() {
            self.open_to(&args.open);
        }
        take(&mut self.open_credit, args.open_credit_nanos.map(Nanos));
        if let (Some(chain), Some(key)) = (args.cert, args.key) {
            self.certificate = CertificateChoice::Files { chain, key };
        }
    }

    /// Takes every setting that the file names.
    pub fn apply_file(&mut self, file: JoinFile) -> Result<(), ServerError> {
        take(&mut self.public_addresses, file.public_addresses);
        if let Some(open) = &file.open {
            self.open_to(open);
        }
        take(&mut self.open_credit, file.open_credit_nanos.map(Nanos));
        take(&mut self.open.accounts_max, file.open_accounts);
        take(&mut self.open.accounts_per_hour, file.open_accounts_per_hour);
        take(&mut self.open.accounts_per_prefix_hour, file.open_accounts_per_prefix_hour);
        match (file.cert, file.key) {
            (None, None) => {}
            (Some(chain), Some(key)) => self.certificate = CertificateChoice::Files { chain, key },
            _ => return Err(ServerError::Config("join.cert and join.key must be given together".into())),
        }
        let limits = &mut self.limits;
        take(&mut limits.connections_max, file.connections);
        take(&mut limits.connections_per_prefix_max, file.connections_per_prefix);
        take(&mut limits.connects_per_minute, file.connects_per_minute);
        take(&mut limits.requests_per_minute, file.requests_per_minute);
        take(&mut limits.requests_per_connection_max, file.requests_per_connection);
        take(&mut limits.handshake, file.handshake_ms.map(Duration::from_millis));
        take(&mut limits.headers, file.headers_ms.map(Duration::from_millis));
        take(&mut limits.body, file.body_ms.map(Duration::from_millis));
        take(&mut limits.connection, file.connection_ms.map(Duration::from_millis));
        take(&mut limits.store_queue_max, file.store_queue);
        Ok(())
    }

    /// The settings as the configuration file would give them.
    pub fn to_file(&self) -> JoinFile {
        let millis = |duration: Duration| Some(duration.as_millis() as u64);
        let (cert, key) = match &self.certificate {
            CertificateChoice::Own => (None, None),
            CertificateChoice::Files { chain, key } => (Some(chain.clone()), Some(key.clone())),
        };
        let (open, limits) = (&self.open, &self.limits);
        let to = [(open.workers, OpenTo::Workers), (open.gamers, OpenTo::Gamers)];
        JoinFile {
            public_addresses: Some(self.public_addresses.clone()),
            open: Some(to.into_iter().filter(|(is, _)| *is).map(|(_, role)| role).collect()),
            open_credit_nanos: Some(self.open_credit.0),
            open_accounts: Some(open.accounts_max),
            open_accounts_per_hour: Some(open.accounts_per_hour),
            open_accounts_per_prefix_hour: Some(open.accounts_per_prefix_hour),
            cert,
            key,
            connections: Some(limits.connections_max),
            connections_per_prefix: Some(limits.connections_per_prefix_max),
            connects_per_minute: Some(limits.connects_per_minute),
            requests_per_minute: Some(limits.requests_per_minute),
            requests_per_connection: Some(limits.requests_per_connection_max),
            handshake_ms: millis(limits.handshake),
            headers_ms: millis(limits.headers),
            body_ms: millis(limits.body),
            connection_ms: millis(limits.connection),
            store_queue: Some(limits.store_queue_max),
        }
    }

    /// Checks every range.
    pub fn validate(&self) -> Result<(), ServerError> {
        let (open, limits) = (&self.open, &self.limits);
        let millis = |duration: Duration| duration.as_millis() as u64;
        within("open-credit-nanos", self.open_credit.0, 0..=OPEN_CREDIT_MAX.0)?;
        within("join.open_accounts", open.accounts_max, 1..=1_000_000)?;
        within("join.open_accounts_per_hour", open.accounts_per_hour, 1..=100_000)?;
        within("join.open_accounts_per_prefix_hour", open.accounts_per_prefix_hour, 1..=100_000)?;
        within("join.connections", limits.connections_max, 1..=65_536)?;
        within("join.connections_per_prefix", limits.connections_per_prefix_max, 1..=65_536)?;
        within("join.connects_per_minute", limits.connects_per_minute, 1..=1_000_000)?;
        within("join.requests_per_minute", limits.requests_per_minute, 1..=1_000_000)?;
        within("join.requests_per_connection", limits.requests_per_connection_max, 1..=1_000_000)?;
        within("join.handshake_ms", millis(limits.handshake), 10..=60_000)?;
        within("join.headers_ms", millis(limits.headers), 10..=60_000)?;
        within("join.body_ms", millis(limits.body), 10..=60_000)?;
        within("join.connection_ms", millis(limits.connection), 10..=3_600_000)?;
        within("join.store_queue", limits.store_queue_max, 1..=65_536)?;
        within("the number of public-addresses", self.public_addresses.len(), 0..=HOSTS_MAX)?;
        for text in &self.public_addresses {
            public_host(text, 1)
                .map_err(|error| ServerError::Config(format!("public-address is `{text}`: {error}")))?;
        }
        Ok(())
    }

    fn open_to(&mut self, to: &[OpenTo]) {
        self.open.workers = to.contains(&OpenTo::Workers);
        self.open.gamers = to.contains(&OpenTo::Gamers);
    }

    /// What the operator should know of join links that name `host` because no public address was given.
    pub fn advice(&self, host: &Host) -> Option<String> {
        if !self.public_addresses.is_empty() {
            return None;
        }
        let Host { name, port } = host;
        let ports = format!("let UDP and TCP port {port} through to it");
        Some(match LinkScope::of(name.parse().ok()?) {
            LinkScope::Machine => format!(
                "Join links name {name}: they work on this machine only. For others, listen on [::]:{port} and say where \
                 they find it: --public-address NAME"
            ),
            LinkScope::Network => format!(
                "Join links name {name}: they work in this machine's own network only. For the internet, {ports} and \
                 say how it is called there: --public-address NAME"
            ),
            LinkScope::Everywhere => format!(
                "Join links name {name}, this machine's own address: {ports}. If it has a name, or another address, say \
                 so: --public-address NAME"
            ),
        })
    }

    /// Where join links say that a coordinator is that listens on `listening`.
    pub fn hosts(&self, listening: SocketAddr) -> Result<Vec<Host>, JoinLinkError> {
        if !self.public_addresses.is_empty() {
            return self.public_addresses.iter().map(|text| public_host(text, listening.port())).collect();
        }
        let address = if listening.ip().is_unspecified() { outward(listening.ip()) } else { listening.ip() };
        Ok(vec![Host { name: address.to_string(), port: listening.port() }])
    }
}

/// From where a join link without public address works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkScope {
    /// From this machine alone.
    Machine,
    /// From the network that this machine is in.
    Network,
    /// From everywhere, unless something on the way keeps packets out.
    Everywhere,
}

impl LinkScope {
    /// Of an address of this machine.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Machine,
            // 100.64.0.0/10 is a provider's own network (RFC 6598).
            IpAddr::V4(v4)
                if v4.is_private() || v4.is_link_local() || v4.to_bits() >> 22 == 0x64_40_00_00 >> 22 =>
            {
                Self::Network
            }
            IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => Self::Network,
            _ => Self::Everywhere,
        }
    }
}

/// The place that `text` names; `port` where it names none. An IPv6 address may go without brackets.
fn public_host(text: &str, port: u16) -> Result<Host, JoinLinkError> {
    let text = text.trim();
    let bracketed = if text.parse::<Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_owned() };
    // With a port of its own it does not read with another behind it.
    format!("{bracketed}:{port}").parse().or_else(|_| bracketed.parse())
}

/// The address from which this machine would send to the internet: asking the system for a route sends nothing.
fn outward(unspecified: IpAddr) -> IpAddr {
    let towards = |from: SocketAddr, to: &str| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let any_v4 = SocketAddr::from(([0; 4], 0));
    let any_v6 = SocketAddr::from(([0_u16; 8], 0));
    let found = towards(any_v4, OUTWARD.0)
        .or_else(|| unspecified.is_ipv6().then(|| towards(any_v6, OUTWARD.1)).flatten());
    found.unwrap_or(if unspecified.is_ipv4() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        Ipv6Addr::LOCALHOST.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_the_public_addresses_or_else_where_the_coordinator_listens() {
        let hosts = |public: &[&str], listening: &str| -> Vec<String> {
            let public_addresses = public.iter().map(|text| (*text).to_owned()).collect();
            let settings = JoinSettings { public_addresses, ..JoinSettings::default() };
            settings.validate().unwrap();
            let hosts = settings.hosts(listening.parse().unwrap()).unwrap();
            hosts.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            hosts(&["play.example.org", "203.0.113.7:1"], "0.0.0.0:9"),
            ["play.example.org:9", "203.0.113.7:1"]
        );
        assert_eq!(
            hosts(&["2001:db8::7", "[2001:db8::8]:2"], "[::]:9"),
            ["[2001:db8::7]:9", "[2001:db8::8]:2"]
        );
        assert_eq!(hosts(&[], "127.0.0.1:9"), ["127.0.0.1:9"]);
        assert_eq!(hosts(&[], "[::1]:9"), ["[::1]:9"]);
        assert!(!hosts(&[], "0.0.0.0:9")[0].starts_with("0.0.0.0"));
    }

    #[test]
    fn who_gives_no_public_address_is_told_how_far_the_links_reach() {
        let advice = |name: &str, public: &[&str]| {
            let public_addresses = public.iter().map(|text| (*text).to_owned()).collect();
            let settings = JoinSettings { public_addresses, ..JoinSettings::default() };
            settings.advice(&Host { name: name.to_owned(), port: 9 })
        };
        for (names, expected) in [
            (&["127.0.0.1", "::1"][..], "on this machine only"),
            (
                &["192.168.1.5", "10.0.0.1", "100.64.3.2", "100.127.0.1", "fd00::1", "fe80::1"],
                "own network only",
            ),
            (&["203.0.113.7", "100.63.0.1", "100.128.0.1", "2a00::1"], "this machine's own address"),
        ] {
            for name in names {
                let said = advice(name, &[]).unwrap();
                for part in [expected, name, "--public-address", "9"] {
                    assert!(said.contains(part), "{part} in: {said}");
                }
            }
        }
        assert_eq!(advice("play.example.org", &["play.example.org"]), None);
    }

    #[test]
    fn the_file_reads_back_and_mistakes_are_named() {
        let shown = toml::to_string(&JoinSettings::default().to_file()).unwrap();
        let mut settings = JoinSettings::default();
        settings.apply_file(toml::from_str(&shown).unwrap()).unwrap();
        assert_eq!(settings, JoinSettings::default());
        for (text, expected) in [
            ("cert = \"c.pem\"", "join.key"),
            ("public_addresses = [\"a b\"]", "a b"),
            ("handshake_ms = 5", "handshake_ms"),
            ("open_credit_nanos = -1", "open-credit-nanos"),
            ("connections = 0", "join.connections"),
        ] {
            let mut settings = JoinSettings::default();
            let applied =
                settings.apply_file(toml::from_str(text).unwrap()).and_then(|()| settings.validate());
            let said = applied.unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        assert!(toml::from_str::<JoinFile>("opne = []").unwrap_err().to_string().contains("opne"));
    }
}
