//! Joining: how someone with a join link gets an account, and an account connects to the network.
//!
//! # How it works
//! A coordinator's operator hands out a [`JoinLink`]: where the coordinator is, an invite, and the fingerprint of its
//! certificate's public key. A client makes an ed25519 key pair of its own ([`AccountSecret`]) and keeps it in a file
//! that only its user can read ([`Memberships`]). For every connection it asks the coordinator for a challenge over
//! HTTPS, signs it, and gets a connect token for the UDP link ([`JoinClient`]); with the first such request goes the invite,
//! and the public key becomes an account. The coordinator keeps public keys only: whoever steals its database cannot join.
//!
//! | module | owns |
//! |---|---|
//! | [`join_link`] | join links, read and written |
//! | [`api`] | what client and coordinator say over HTTPS, with the limits of each field |
//! | [`key`] | account keys: made, kept, and what is signed with them |
//! | [`pin`] | fingerprints of public keys, and the certificate check that pins one |
//! | [`membership`] | what a client keeps per coordinator |
//! | [`probe`] | single questions, for programs that find out what works |
//! | [`client`] | the client's side: every address of a name, challenge, signature, token |

pub mod api;
pub mod client;
#[doc(hidden)]
pub mod fuzzing;
mod https;
pub mod join_link;
pub mod key;
pub mod membership;
pub mod pin;
pub mod probe;

pub use api::{RefusalCode, TokenGrant, TokenRefusal, TokenRequest};
pub use client::{FETCH_MAX, JoinClient};
pub use join_link::{Host, JoinLink, JoinLinkError};
pub use key::AccountSecret;
pub use membership::{
    GAMER_NAME_DEFAULT, JoinChoice, Membership, MembershipError, Memberships, machine_name, name_default,
    read_link,
};
pub use pin::Fingerprint;
