//! The HTTPS interface between client and coordinator, with the limits of each field.
//!
//! ```text
//! POST /v1/challenge  {}            -> 200 Challenge
//! GET  /v1/speed                    -> 200 a body of known length
//! POST /v1/token      TokenRequest  -> 200 TokenGrant, or 4xx/503 TokenRefusal
//! ```
//!
//! One request does both: it makes an account, if its key has none and an invite (or open registration) allows it, and
//! it gets the account's connect token. It is idempotent: a client that lost the answer asks again with the same key
//! and invite.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p2c2r_protocol::{AccountKey, Digest, Role};
use serde::{Deserialize, Serialize};

use crate::key::{AccountSecret, is_signed_by};

/// Where a challenge is asked for.
pub const CHALLENGE_PATH: &str = "/v1/challenge";
/// Where a token is asked for.
pub const TOKEN_PATH: &str = "/v1/token";
/// Where a body of [`SPEED_BYTES`] bytes can be fetched, to measure the bandwidth.
pub const SPEED_PATH: &str = "/v1/speed";
/// Bytes of that body: two seconds at 1 Mbit/s, long enough for a measurement and cheap enough for unauthenticated
/// clients.
pub const SPEED_BYTES: usize = 256 * 1024;
/// Bytes of a request's body: a token request with every field at its limit fits.
pub const REQUEST_BYTES_MAX: usize = 4_096;
/// Bytes of an answer's body: a token of 2,048 bytes in base64 and some words fit.
pub const ANSWER_BYTES_MAX: usize = 8_192;
/// Characters of a challenge.
pub const CHALLENGE_CHARS_MAX: usize = 256;
/// Characters of a requested name, counted as bytes of UTF-8; the coordinator keeps fewer.
pub const NAME_CHARS_MAX: usize = 256;
/// Characters of the protocol's text, counted as bytes of UTF-8.
pub const PROTOCOL_CHARS_MAX: usize = 256;

/// A challenge to sign, new for every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Opaque to the client; at most [`CHALLENGE_CHARS_MAX`] characters.
    pub challenge: String,
}

/// Identifies one running program: several may use one account, and the number tells which one reconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instance(pub u64);

/// Asks for a connect token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// The account's public key, 64 hexadecimal digits.
    pub account: String,
    /// The role it joins in.
    pub role: Role,
    /// The requested name; a label, which the coordinator may shorten.
    pub name: String,
    /// Which program of the account's.
    pub instance: Instance,
    /// Number of the protocol it speaks.
    pub protocol: u64,
    /// The same in words, for people.
    pub protocol_text: String,
    /// The challenge that is signed.
    pub challenge: String,
    /// Signature of [`TokenRequest::to_sign`], URL-safe base64.
    pub signature: String,
    /// The invite, if the key may have no account yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
}

impl TokenRequest {
    /// A signed request.
    pub fn signed(
        secret: &AccountSecret,
        who: (Role, &str, Instance),
        protocol: (u64, &str),
        challenge: &str,
        invite: Option<&str>,
    ) -> Self {
        let (role, name, instance) = who;
        let mut request = Self {
            account: secret.public().to_string(),
            role,
            name: name.to_owned(),
            instance,
            protocol: protocol.0,
            protocol_text: protocol.1.to_owned(),
            challenge: challenge.to_owned(),
            signature: String::new(),
            invite: invite.map(str::to_owned),
        };
        request.signature = URL_SAFE_NO_PAD.encode(secret.sign(&request.to_sign()));
        request
    }

    /// What is signed: a digest over every field but the signature, so that none can be changed on the way.
    pub fn to_sign(&self) -> [u8; 32] {
        let role: &[u8] = match self.role {
            Role::Gamer => b"gamer",
            Role::Worker => b"worker",
        };
        Digest::of_parts(&[
            b"p2c2r token request 1",
            self.account.as_bytes(),
            role,
            self.name.as_bytes(),
            &self.instance.0.to_le_bytes(),
            &self.protocol.to_le_bytes(),
            self.protocol_text.as_bytes(),
            self.challenge.as_bytes(),
            self.invite.as_deref().unwrap_or_default().as_bytes(),
        ])
        .0
    }

    /// The account, if every field is within its limit and the signature is the account's.
    pub fn verified(&self) -> Option<AccountKey> {
        let fits = self.name.len() <= NAME_CHARS_MAX
            && self.protocol_text.len() <= PROTOCOL_CHARS_MAX
            && self.challenge.len() <= CHALLENGE_CHARS_MAX
            && self.invite.as_ref().is_none_or(|invite| invite.len() <= crate::join_link::INVITE_CHARS_MAX);
        let account = AccountKey::from_hex(&self.account).filter(|_| fits)?;
        let signature = URL_SAFE_NO_PAD.decode(&self.signature).ok()?;
        is_signed_by(account, &self.to_sign(), &signature).then_some(account)
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenRequest({} {})", self.role, self.account)
    }
}

/// A connect token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenGrant {
    /// The token, URL-safe base64; whoever has it can connect once, as the account.
    pub token: String,
    /// The account's name, as the coordinator shows it.
    pub name: String,
}

impl TokenGrant {
    /// A grant of this token.
    pub fn new(token: &[u8], name: &str) -> Self {
        Self { token: URL_SAFE_NO_PAD.encode(token), name: name.to_owned() }
    }

    /// The token's bytes, if the text is base64.
    pub fn token_bytes(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(&self.token).ok()
    }
}

impl fmt::Debug for TokenGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenGrant({})", self.name)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRefusal {
    /// The code on which a program decides.
    pub code: RefusalCode,
    /// A sentence for a person.
    pub message: String,
    /// The coordinator's protocol in words, if that is the reason; at most [`PROTOCOL_CHARS_MAX`] characters are shown. Older
    /// coordinators leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// Why there is no token, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The body is not a token request.
    Malformed,
    /// The signature is not the account's.
    BadSignature,
    /// The challenge is too old, or of another coordinator: ask for another.
    StaleChallenge,
    /// The two speak different protocols; the message names both.
    Incompatible,
    /// The key has no account here, and there was no invite.
    NoAccount,
    /// The invite is unknown.
    InviteUnknown,
    /// The invite was used as often as it may be.
    InviteUsedUp,
    /// The invite is too old.
    InviteExpired,
    /// The invite is for the other role, or the account is of the other role.
    WrongRole,
    /// The operator has closed the account.
    Revoked,
    /// There are as many accounts without an invite as there may be, and all are in use; the operator can help.
    RegistrationFull,
    /// Too many requests, or too many connections, of this account or address: later.
    TooMany,
    /// The coordinator is full or closing: later.
    Unavailable,
    /// A code of a newer coordinator.
    #[serde(other)]
    Unknown,
}

impl RefusalCode {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Malformed,
        Self::BadSignature,
        Self::StaleChallenge,
        Self::Incompatible,
        Self::NoAccount,
        Self::InviteUnknown,
        Self::InviteUsedUp,
        Self::InviteExpired,
        Self::WrongRole,
        Self::Revoked,
        Self::RegistrationFull,
        Self::TooMany,
        Self::Unavailable,
        Self::Unknown,
    ];

    /// Whether the same request may be granted later without anyone's action.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::StaleChallenge | Self::TooMany | Self::Unavailable | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> (AccountSecret, TokenRequest) {
        let secret = AccountSecret::from_seed([3; 32]).unwrap();
        let who = (Role::Worker, "ada", Instance(9));
        let request = TokenRequest::signed(&secret, who, (5, "p2c2r/0.1.0"), "challenge", Some("invite"));
        (secret, request)
    }

    #[test]
    fn a_signed_request_verifies_and_survives_json() {
        let (secret, request) = request();
        let text = serde_json::to_string(&request).unwrap();
        assert!(text.len() < REQUEST_BYTES_MAX);
        let back: TokenRequest = serde_json::from_str(&text).unwrap();
        assert_eq!((back.verified(), &back), (Some(secret.public()), &request));
    }

    #[test]
    fn no_field_can_be_changed_behind_the_signature() {
        type Change = fn(&mut TokenRequest);
        let changes: [Change; 8] = [
            |request| request.account = AccountSecret::from_seed([4; 32]).unwrap().public().to_string(),
            |request| request.role = Role::Gamer,
            |request| request.name.push('x'),
            |request| request.instance.0 += 1,
            |request| request.protocol += 1,
            |request| request.protocol_text.push('x'),
            |request| request.challenge.push('x'),
            |request| request.invite = None,
        ];
        for (at, change) in changes.iter().enumerate() {
            let (_, mut request) = request();
            change(&mut request);
            assert_eq!(request.verified(), None, "change {at}");
        }
    }

    #[test]
    fn what_is_over_its_limit_is_not_looked_at() {
        let secret = AccountSecret::from_seed([3; 32]).unwrap();
        let name = "x".repeat(NAME_CHARS_MAX + 1);
        let request = TokenRequest::signed(&secret, (Role::Gamer, &name, Instance(1)), (1, ""), "c", None);
        assert_eq!(request.verified(), None);
    }

    #[test]
    fn codes_of_newer_coordinators_can_be_read() {
        let refusal: TokenRefusal = serde_json::from_str(r#"{"code":"moon_phase","message":"m"}"#).unwrap();
        assert_eq!(refusal.code, RefusalCode::Unknown);
        assert_eq!(serde_json::to_string(&RefusalCode::InviteUsedUp).unwrap(), r#""invite_used_up""#);
    }

    #[test]
    fn neither_requests_nor_grants_show_their_secrets_in_a_log() {
        let (_, request) = request();
        assert!(!format!("{request:?}").contains("invite\""));
        assert!(
            !format!("{:?}", TokenGrant::new(b"secret", "ada")).contains(&URL_SAFE_NO_PAD.encode(b"secret"))
        );
    }
}
