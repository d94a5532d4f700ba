//! Join links: `p2c2r://HOST:PORT[,HOST:PORT…]/[INVITE]#[FINGERPRINT]`.
//!
//! A link is typed, pasted and sent through chats, so errors in reading one are explained in words. The invite is a
//! secret with which anyone can open an account; the fingerprint keeps a man in the middle from posing as the
//! coordinator. A link without a fingerprint is for a coordinator with a publicly signed certificate.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::pin::Fingerprint;

/// The port of a link that names none.
pub const PORT_DEFAULT: u16 = 8_765;
/// Characters of a link: eight long names, an invite and a fingerprint fit.
pub const LINK_CHARS_MAX: usize = 2_048;
/// Places a link may name.
pub const HOSTS_MAX: usize = 8;
/// Characters of a host name: the limit of the domain name system.
pub const HOST_CHARS_MAX: usize = 253;
/// Characters of an invite.
pub const INVITE_CHARS_MAX: usize = 64;

const SCHEME: &str = "p2c2r://";

/// Where a coordinator is: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub name: String,
    /// UDP and TCP port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl FromStr for Host {
    type Err = JoinLinkError;

    fn from_str(text: &str) -> Result<Self, JoinLinkError> {
        let bad = || JoinLinkError::Host(shorten(text));
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or_else(bad)?;
            name.parse::<Ipv6Addr>().map_err(|_| bad())?;
            (name, rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or_else(bad)?)
        } else {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            if text.ends_with(':') || !is_host_name(name) {
                return Err(bad());
            }
            (name, port)
        };
        let port = match port {
            "" => PORT_DEFAULT,
            // `parse` takes a sign, which no port has.
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad())?
            }
            _ => return Err(bad()),
        };
        if port == 0 {
            return Err(bad());
        }
        Ok(Self { name: name.to_ascii_lowercase(), port })
    }
}

/// Whether this is an IPv4 address or a name that may be looked up.
fn is_host_name(name: &str) -> bool {
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric {
        return name.parse::<Ipv4Addr>().is_ok();
    }
    name.len() <= HOST_CHARS_MAX
        && name.trim_end_matches('.').split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

/// A join link.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinLink {
    /// Where the coordinator is; each is tried. One to [`HOSTS_MAX`].
    pub hosts: Vec<Host>,
    /// The invite, for a client that has no account there yet; a secret.
    pub invite: Option<String>,
    /// The fingerprint of the coordinator's public key; `None` if a public authority vouches for its certificate.
    pub fingerprint: Option<Fingerprint>,
}

impl JoinLink {
    /// The same without its invite, which is fit to be kept and shown.
    #[must_use]
    pub fn without_invite(&self) -> Self {
        Self { invite: None, ..self.clone() }
    }
}

/// Shows the whole link, the invite included; [`fmt::Debug`] hides it.
impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        for (at, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if at == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", self.invite.as_deref().unwrap_or_default())?;
        match &self.fingerprint {
            Some(fingerprint) => write!(f, "#{fingerprint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.without_invite(), if self.invite.is_some() { " (with an invite)" } else { "" })
    }
}

impl FromStr for JoinLink {
    type Err = JoinLinkError;

    fn from_str(text: &str) -> Result<Self, JoinLinkError> {
        let text = text.trim();
        if text.len() > LINK_CHARS_MAX {
            return Err(JoinLinkError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| JoinLinkError::Scheme(shorten(text)))?;
        let (rest, fingerprint) =
            rest.split_once('#').map_or((rest, None), |(rest, print)| (rest, Some(print)));
        let (hosts, invite) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<Host> = hosts.split(',').map(Host::from_str).collect::<Result<_, _>>()?;
        if hosts.len() > HOSTS_MAX {
            return Err(JoinLinkError::TooLong);
        }
        if !is_invite(invite) {
            return Err(JoinLinkError::Invite);
        }
        let fingerprint = match fingerprint {
            None | Some("") => None,
            Some(print) => Some(print.parse().map_err(|_| JoinLinkError::Fingerprint)?),
        };
        let invite = (!invite.is_empty()).then(|| invite.to_owned());
        Ok(Self { hosts, invite, fingerprint })
    }
}

/// Whether the text may stand in a link as its invite; the empty text, which means none, may.
fn is_invite(text: &str) -> bool {
    text.len() <= INVITE_CHARS_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// What is wrong with a join link, in words for the person who pasted it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JoinLinkError {
    /// It does not begin with the scheme.
    #[error("a join link begins with p2c2r://, this is `{0}`; ask the coordinator's operator for one")]
    Scheme(String),
    /// It is longer than any link.
    #[error("this join link is too long to be one")]
    TooLong,
    /// It does not say where the coordinator is.
    #[error("`{0}` is not a place such as play.example.org:8765, 203.0.113.7:8765 or [2001:db8::7]:8765")]
    Host(String),
    /// Its invite was cut or changed on the way.
    #[error("the invite in this join link is damaged; copy the whole link again")]
    Invite,
    /// Its fingerprint was cut or changed on the way.
    #[error("the fingerprint behind the # of this join link is damaged; copy the whole link again")]
    Fingerprint,
}

/// The beginning of the typed text, without control characters.
fn shorten(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print() -> Fingerprint {
        Fingerprint([7; 32])
    }

    #[test]
    fn links_read_back_what_they_show() {
        for hosts in ["play.example.org:8765", "203.0.113.7:1", "[2001:db8::7]:65535", "a:1,b.c:2,[::1]:3"] {
            for invite in ["", "Kx_9-z"] {
                for fingerprint in [format!("#{}", print()), String::new()] {
                    let text = format!("p2c2r://{hosts}/{invite}{fingerprint}");
                    let link: JoinLink = text.parse().unwrap();
                    assert_eq!(link.to_string(), text);
                    assert_eq!(link.invite.is_some(), !invite.is_empty());
                    assert_eq!(link.without_invite().to_string().parse::<JoinLink>().unwrap().invite, None);
                }
            }
        }
    }

    #[test]
    fn a_port_may_be_left_out_and_space_around_is_no_matter() {
        let link: JoinLink = format!("  p2c2r://Example.ORG#{}\n", print()).parse().unwrap();
        assert_eq!(link.hosts, [Host { name: "example.org".to_owned(), port: PORT_DEFAULT }]);
        let link: JoinLink = "p2c2r://[::1]/abc".parse().unwrap();
        assert_eq!(link.hosts, [Host { name: "::1".to_owned(), port: PORT_DEFAULT }]);
    }

    #[test]
    fn what_is_no_link_is_named() {
        let parse = |text: &str| text.parse::<JoinLink>().unwrap_err();
        assert!(matches!(parse("https://example.org"), JoinLinkError::Scheme(_)));
        for host in [
            "", ":1", "a:", "a:0", "a:65536", "a:+1", "a b:1", "::1:8765", "[::1:1", "[a]:1", "1.2.3:4",
            "a,,b",
        ] {
            assert!(matches!(parse(&format!("p2c2r://{host}/x")), JoinLinkError::Host(_)), "{host}");
        }
        assert_eq!(parse("p2c2r://a:1/x/y"), JoinLinkError::Invite);
        assert_eq!(
            parse(&format!("p2c2r://a:1/{}", "x".repeat(INVITE_CHARS_MAX + 1))),
            JoinLinkError::Invite
        );
        assert_eq!(parse("p2c2r://a:1/x#short"), JoinLinkError::Fingerprint);
        assert_eq!(parse(&format!("p2c2r://{}", "a,".repeat(2_000))), JoinLinkError::TooLong);
        assert_eq!(parse(&format!("p2c2r://{}b", "a,".repeat(HOSTS_MAX))), JoinLinkError::TooLong);
    }

    #[test]
    fn the_invite_is_not_in_what_a_log_shows() {
        let link: JoinLink = format!("p2c2r://a:1/sesame#{}", print()).parse().unwrap();
        assert!(!format!("{link:?}").contains("sesame") && link.to_string().contains("sesame"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(p2c2r://)?\\PC{0,80}") {
            if let Ok(link) = text.parse::<JoinLink>() {
                prop_assert_eq!(link.to_string().parse::<JoinLink>().unwrap(), link);
            }
        }
    }
}
