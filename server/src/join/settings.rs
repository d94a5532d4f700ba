//! The operator's settings for joining: the table `[join]` of the configuration file.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use clap::ValueEnum;
use p2c2r_join::join_link::HOSTS_MAX;
use p2c2r_join::{Host, JoinLinkError};
use p2c2r_program::settings::{SettingError, list, number, path, text, unprefixed, within};
use p2c2r_program::settings_table;
use p2c2r_protocol::Nanos;

use super::certificate::CertificateChoice;
use super::limits::{JoinLimits, OpenRegistration};

/// The largest credit of an account that registers openly: strangers make as many keys as they like.
pub const OPEN_CREDIT_MAX: Nanos = Nanos::DOLLAR;
/// Addresses of documentation networks, IPv4 and IPv6, to ask the system for a route to; no packet is sent to them.
const OUTWARD: (&str, &str) = ("192.0.2.1:9", "[2001:db8::1]:9");

settings_table! {
    /// How people join.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct JoinSettings {
        /// Name or address at which games and workers reach the coordinator, with or without a port: join links say it. May
        /// be given several times
        pub public_addresses: Vec<String> = Vec::new() =>
            list(text("HOST[:PORT]")).flag("public-address").default_is("where it listens"),
        /// Who may come without an invite.
        pub open: OpenRegistration = OpenRegistration::default() => unprefixed(),
        /// Nano-dollars for a gamer who registers without an invite, once
        pub open_credit: Nanos = Nanos::ZERO =>
            number("NANOS", 0..=OPEN_CREDIT_MAX.0).map(Nanos, |nanos| Some(nanos.0))
                .key("open_credit_nanos").flag("open-credit-nanos"),
        /// Your own certificate chain (PEM), signed by a public authority for the name in the join links, which then carry
        /// no fingerprint. Needs --key
        pub cert: Option<PathBuf> = None =>
            path("PATH").optional().flag("cert").default_is("the coordinator makes its own"),
        /// Private key (PEM) of that certificate. Needs --cert
        pub key: Option<PathBuf> = None => path("PATH").optional().flag("key"),
        /// What strangers may use.
        pub limits: JoinLimits = JoinLimits::default() => unprefixed(),
    }
}

/// Who may come without an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

impl JoinSettings {
    /// Refuses settings that contradict each other, and public addresses that cannot be read.
    pub fn settle(&self) -> Result<(), SettingError> {
        if self.cert.is_some() != self.key.is_some() {
            return Err(SettingError::Contradiction("join.cert and join.key must be given together".into()));
        }
        within("the number of public-addresses", self.public_addresses.len(), 0..=HOSTS_MAX)?;
        for text in &self.public_addresses {
            public_host(text, 1).map_err(|error| SettingError::Invalid {
                setting: "public-address".into(),
                value: text.clone(),
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// Which certificate is used.
    pub fn certificate(&self) -> CertificateChoice {
        match (self.cert.clone(), self.key.clone()) {
            (Some(chain), Some(key)) => CertificateChoice::Files { chain, key },
            _ => CertificateChoice::Own,
        }
    }

    /// Advice about join links that name `host` because no public address was given; `None` if one was.
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
    /// How far an address of this machine reaches.
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
    // Text that has a port already does not parse with another one appended.
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
    use p2c2r_program::settings;

    use super::*;

    #[test]
    fn links_name_the_public_addresses_or_else_where_the_coordinator_listens() {
        let hosts = |public: &[&str], listening: &str| -> Vec<String> {
            let public_addresses = public.iter().map(|text| (*text).to_owned()).collect();
            let settings = JoinSettings { public_addresses, ..JoinSettings::default() };
            settings.settle().unwrap();
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
        let shown = settings::shown(&JoinSettings::default());
        let mut read = JoinSettings::default();
        settings::apply_text(&mut read, &shown).unwrap();
        assert_eq!(read, JoinSettings::default());
        for (text, expected) in [
            ("cert = \"c.pem\"", "join.key"),
            ("public_addresses = [\"a b\"]", "a b"),
            ("handshake_ms = 5", "handshake-ms"),
            ("open_credit_nanos = -1", "open-credit-nanos"),
            ("open = [\"everybody\"]", "workers, gamers"),
            ("connections = 0", "connections"),
            ("opne = []", "opne"),
        ] {
            let mut read = JoinSettings::default();
            let applied = settings::apply_text(&mut read, text).and_then(|()| read.settle());
            let said = applied.unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        let mut read = JoinSettings::default();
        settings::apply_text(&mut read, "open = [\"gamers\"]").unwrap();
        assert!(read.open.gamers && !read.open.workers);
        assert!(settings::shown(&read).contains("open = [\"gamers\"]"));
    }
}
