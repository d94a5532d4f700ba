//! The ciphers that seal each packet, done by `ring`, under the name by which renetcode asks for them.
//!
//! renetcode 2.0.0 names the crate `chacha20poly1305` 0.10 and leaves no choice. Its `poly1305` 0.8 is slow on
//! x86-64: the AVX2 backend calls its intrinsics as functions unless the whole program is compiled for AVX2, and the
//! portable one, to which a build can force it, computes in 32 bits. `ring` computes both ciphers in one pass, with
//! AVX2 where the processor has it, in about half the time (`docs/PERFORMANCE.md`, "The ciphers"). It needs a C
//! compiler, as `blake3` in every program does.
//!
//! The workspace's `[patch.crates-io]` puts this crate in the other's place. It offers what renetcode uses, with the
//! traits of the same `aead` crate. What travels is the same to the byte, so a game in another workspace, which the
//! patch does not reach, speaks with our programs as before and only pays more for it.
//!
//! Two differences, neither of which renetcode can see:
//! - A buffer that is refused comes back as zeros; the other crate leaves it sealed.
//! - Keys are not wiped from memory when a cipher is dropped. They lie beside it for as long as the connection
//!   lasts, in renetcode's own fields, which nobody wipes either.
//!
//! This crate can be removed when renetcode takes another cipher, or a `poly1305` that is as fast on a plain build: with
//! it go the patch, and the test `the_cipher_is_the_fast_one` in `tests/tidy`.

use aead::consts::{U0, U12, U16, U24, U32};
use aead::generic_array::GenericArray;
use chacha20::cipher::consts::U10;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};

pub use aead::{self, AeadCore, AeadInPlace, Error, KeyInit, KeySizeUser, consts};

/// A key of 32 bytes.
pub type Key = GenericArray<u8, U32>;

/// A nonce of 12 bytes, which no two messages under one key may share.
pub type Nonce = GenericArray<u8, U12>;

/// A nonce of 24 bytes, long enough to be drawn at random.
pub type XNonce = GenericArray<u8, U24>;

/// The authentication tag of 16 bytes.
pub type Tag = GenericArray<u8, U16>;

/// ChaCha20-Poly1305 as in RFC 8439: what every packet of a connection is sealed with.
#[derive(Clone)]
pub struct ChaCha20Poly1305 {
    key: Key,
}

/// ChaCha20-Poly1305 with a nonce of 24 bytes, as in draft-irtf-cfrg-xchacha-03: what a connect token's private part
/// is sealed with.
#[derive(Clone)]
pub struct XChaCha20Poly1305 {
    key: Key,
}

impl KeySizeUser for ChaCha20Poly1305 {
    type KeySize = U32;
}

impl KeyInit for ChaCha20Poly1305 {
    #[inline]
    fn new(key: &Key) -> Self {
        Self { key: *key }
    }
}

impl AeadCore for ChaCha20Poly1305 {
    type NonceSize = U12;
    type TagSize = U16;
    type CiphertextOverhead = U0;
}

impl AeadInPlace for ChaCha20Poly1305 {
    #[inline]
    fn encrypt_in_place_detached(&self, nonce: &Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, Error> {
        seal(&self.key, *nonce, aad, buffer)
    }

    #[inline]
    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Error> {
        open(&self.key, *nonce, aad, buffer, *tag)
    }
}

impl KeySizeUser for XChaCha20Poly1305 {
    type KeySize = U32;
}

impl KeyInit for XChaCha20Poly1305 {
    #[inline]
    fn new(key: &Key) -> Self {
        Self { key: *key }
    }
}

impl AeadCore for XChaCha20Poly1305 {
    type NonceSize = U24;
    type TagSize = U16;
    type CiphertextOverhead = U0;
}

impl AeadInPlace for XChaCha20Poly1305 {
    fn encrypt_in_place_detached(&self, nonce: &XNonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, Error> {
        let (key, nonce) = self.shortened(nonce);
        seal(&key, nonce, aad, buffer)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &XNonce,
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), Error> {
        let (key, nonce) = self.shortened(nonce);
        open(&key, nonce, aad, buffer, *tag)
    }
}

impl XChaCha20Poly1305 {
    /// The key and nonce of ChaCha20-Poly1305 for this nonce: the nonce's first 16 bytes make another key, its last
    /// eight follow four zeros.
    fn shortened(&self, nonce: &XNonce) -> (Key, Nonce) {
        let (for_key, rest) = nonce.split_at(16);
        let mut short = Nonce::default();
        short[4..].copy_from_slice(rest);
        (chacha20::hchacha::<U10>(&self.key, GenericArray::from_slice(for_key)), short)
    }
}

/// ring's key for one message. It is made for each message, as renetcode makes a cipher for each; that copies 32 bytes.
#[inline]
fn prepared(key: &Key) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new).map_err(|_| Error)
}

#[inline]
fn seal(key: &Key, nonce: Nonce, aad: &[u8], buffer: &mut [u8]) -> Result<Tag, Error> {
    let nonce = ring::aead::Nonce::assume_unique_for_key(nonce.into());
    let tag = prepared(key)?.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer).map_err(|_| Error)?;
    Ok(*Tag::from_slice(tag.as_ref()))
}

/// On an error `buffer` is all zeros: ring decrypts while it authenticates, and wipes what turns out to be forged.
#[inline]
fn open(key: &Key, nonce: Nonce, aad: &[u8], buffer: &mut [u8], tag: Tag) -> Result<(), Error> {
    let nonce = ring::aead::Nonce::assume_unique_for_key(nonce.into());
    let tag = <[u8; 16]>::from(tag).into();
    prepared(key)?
        .open_in_place_separate_tag(nonce, Aad::from(aad), tag, buffer, 0..)
        .map(|_| ())
        .map_err(|_| Error)
}
