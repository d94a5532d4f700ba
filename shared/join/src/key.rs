//! Account keys: ed25519 key pairs that a client makes, and what is signed with them.

use std::fmt;

use p2c2r_protocol::AccountKey;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use thiserror::Error;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// The private half of an account; it never leaves the client's machine.
#[derive(Clone)]
pub struct AccountSecret {
    seed: [u8; 32],
    public: AccountKey,
}

/// The operating system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operating system gives no random bytes, so no key can be made")]
pub struct NoRandomness;

impl AccountSecret {
    /// The secret of a new account.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| NoRandomness)?;
        Self::from_seed(seed).ok_or(NoRandomness)
    }

    /// The key of this seed; `None` if ed25519 refuses it.
    pub fn from_seed(seed: [u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let public = AccountKey(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { seed, public })
    }

    /// The seed from which the key can be made again; a secret.
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// The account.
    pub fn public(&self) -> AccountKey {
        self.public
    }

    /// A signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut signature = [0; SIGNATURE_BYTES];
        // The seed was accepted before, so it is accepted again.
        if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&self.seed) {
            signature.copy_from_slice(pair.sign(message).as_ref());
        }
        signature
    }
}

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountSecret({:?})", self.public)
    }
}

/// Whether `signature` is the account's, of `message`.
pub fn is_signed_by(account: AccountKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, account.0).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_that_signed_verifies_and_only_what_was_signed() {
        let (ann, bob) = (AccountSecret::generate().unwrap(), AccountSecret::generate().unwrap());
        let signature = ann.sign(b"hello");
        assert!(is_signed_by(ann.public(), b"hello", &signature));
        assert!(!is_signed_by(bob.public(), b"hello", &signature));
        assert!(!is_signed_by(ann.public(), b"hellO", &signature));
        assert!(!is_signed_by(ann.public(), b"hello", &signature[1..]));
        assert!(!is_signed_by(AccountKey([0; 32]), b"hello", &[0; SIGNATURE_BYTES]));
        assert_eq!(AccountSecret::from_seed(ann.seed()).unwrap().public(), ann.public());
    }

    #[test]
    fn the_published_vector_holds() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let secret = AccountSecret::from_seed(AccountKey::from_hex(seed).unwrap().0).unwrap();
        assert_eq!(secret.public().to_string(), public);
        assert!(format!("{secret:?}").len() < 32, "the seed is not shown");
    }
}
