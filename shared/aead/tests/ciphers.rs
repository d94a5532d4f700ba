//! Both ciphers against their published vectors and against the crates that renetcode would use without us: what is
//! sealed here must be opened there, to the byte.

use aead::{Aead, Payload};
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::{
    AeadInPlace, ChaCha20Poly1305, Error, Key, KeyInit, Nonce, Tag, XChaCha20Poly1305, XNonce,
};
use poly1305::universal_hash::UniversalHash;

/// netcode's largest packet.
const PACKET_BYTES_MAX: usize = 1_400;

const SUNSCREEN: &[u8] =
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
                           future, sunscreen would be it.";
const AAD: &str = "50515253c0c1c2c3c4c5c6c7";
const KEY: &str = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Bytes that differ from one `seed` to the next and repeat only after a long while.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at + 31 * seed + 7).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// A message under a key, nonce and associated data that are all its own.
struct Case {
    key: Key,
    nonce: Nonce,
    xnonce: XNonce,
    aad: Vec<u8>,
    message: Vec<u8>,
}

impl Case {
    fn of(message_len: usize, aad_len: usize) -> Self {
        Self {
            key: *Key::from_slice(&noise(message_len, 32)),
            nonce: *Nonce::from_slice(&noise(message_len + 1, 12)),
            xnonce: *XNonce::from_slice(&noise(message_len + 2, 24)),
            aad: noise(message_len + 3, aad_len),
            message: noise(message_len + 4, message_len),
        }
    }
}

/// ChaCha20-Poly1305 put together from its two parts as RFC 8439 says, by the crates that renetcode's own choice is
/// made of.
fn reference(mut cipher: impl StreamCipher + StreamCipherSeek, aad: &[u8], buffer: &mut [u8]) -> Tag {
    let mut key = poly1305::Key::default();
    cipher.apply_keystream(&mut key);
    cipher.seek(64_u32);
    cipher.apply_keystream(buffer);
    let mut authenticator = poly1305::Poly1305::new(&key);
    authenticator.update_padded(aad);
    authenticator.update_padded(buffer);
    let mut lengths = (aad.len() as u64).to_le_bytes().to_vec();
    lengths.extend((buffer.len() as u64).to_le_bytes());
    authenticator.update_padded(&lengths);
    authenticator.finalize()
}

#[test]
fn the_example_of_rfc_8439_is_sealed_and_opened() {
    let cipher = ChaCha20Poly1305::new(Key::from_slice(&bytes(KEY)));
    let nonce = *Nonce::from_slice(&bytes("070000004041424344454647"));
    let sealed = bytes(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
         1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
         3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
    );
    both_ways(&cipher, &nonce, &sealed);
}

#[test]
fn the_example_of_the_xchacha_draft_is_sealed_and_opened() {
    let cipher = XChaCha20Poly1305::new(Key::from_slice(&bytes(KEY)));
    let nonce = *XNonce::from_slice(&bytes("404142434445464748494a4b4c4d4e4f5051525354555657"));
    let sealed = bytes(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39
         ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
         21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
    );
    both_ways(&cipher, &nonce, &sealed);
}

/// Compares the example with its published bytes, with the tag apart and with the tag appended.
fn both_ways<A: AeadInPlace>(cipher: &A, nonce: &aead::Nonce<A>, sealed: &[u8]) {
    let aad = bytes(AAD);
    let (sealed_message, sealed_tag) = sealed.split_at(SUNSCREEN.len());

    let mut apart = SUNSCREEN.to_vec();
    let tag = cipher.encrypt_in_place_detached(nonce, &aad, &mut apart).unwrap();
    assert_eq!((apart.as_slice(), tag.as_slice()), (sealed_message, sealed_tag));
    cipher.decrypt_in_place_detached(nonce, &aad, &mut apart, &tag).unwrap();
    assert_eq!(apart, SUNSCREEN);

    let mut appended = SUNSCREEN.to_vec();
    cipher.encrypt_in_place(nonce, &aad, &mut appended).unwrap();
    assert_eq!(appended, sealed);
    cipher.decrypt_in_place(nonce, &aad, &mut appended).unwrap();
    assert_eq!(appended, SUNSCREEN);

    assert_eq!(cipher.encrypt(nonce, Payload { msg: SUNSCREEN, aad: &aad }).unwrap(), sealed);
    assert_eq!(cipher.decrypt(nonce, Payload { msg: sealed, aad: &aad }).unwrap(), SUNSCREEN);
}

#[test]
fn every_length_up_to_a_packet_is_sealed_as_by_the_crate_it_stands_in_for() {
    // A packet's associated data are 22 bytes, a connect token's 29.
    for (message_len, aad_len) in
        (0..=PACKET_BYTES_MAX).map(|len| (len, len % 34)).chain([(4_096, 22), (65_537, 0)])
    {
        let case = Case::of(message_len, aad_len);
        let mut expected = case.message.clone();
        let expected_tag =
            reference(chacha20::ChaCha20::new(&case.key, &case.nonce), &case.aad, &mut expected);

        let cipher = ChaCha20Poly1305::new(&case.key);
        let mut buffer = case.message.clone();
        let tag = cipher.encrypt_in_place_detached(&case.nonce, &case.aad, &mut buffer).unwrap();
        assert_eq!((&buffer, tag), (&expected, expected_tag), "{message_len} bytes");
        cipher.decrypt_in_place_detached(&case.nonce, &case.aad, &mut expected, &expected_tag).unwrap();
        assert_eq!(expected, case.message, "{message_len} bytes");
    }
}

#[test]
fn every_length_up_to_a_packet_is_sealed_alike_under_a_long_nonce_too() {
    for message_len in 0..=PACKET_BYTES_MAX {
        let case = Case::of(message_len, message_len % 34);
        let mut expected = case.message.clone();
        let expected_tag =
            reference(chacha20::XChaCha20::new(&case.key, &case.xnonce), &case.aad, &mut expected);

        let cipher = XChaCha20Poly1305::new(&case.key);
        let mut buffer = case.message.clone();
        let tag = cipher.encrypt_in_place_detached(&case.xnonce, &case.aad, &mut buffer).unwrap();
        assert_eq!((&buffer, tag), (&expected, expected_tag), "{message_len} bytes");
        cipher.decrypt_in_place_detached(&case.xnonce, &case.aad, &mut expected, &expected_tag).unwrap();
        assert_eq!(expected, case.message, "{message_len} bytes");
    }
}

/// Checks that `sealed` is refused, and that the buffer then holds zeros.
fn refused<A: AeadInPlace>(
    cipher: &A,
    nonce: &aead::Nonce<A>,
    aad: &[u8],
    sealed: &[u8],
    tag: &aead::Tag<A>,
    what: &str,
) {
    let mut buffer = sealed.to_vec();
    assert_eq!(cipher.decrypt_in_place_detached(nonce, aad, &mut buffer, tag), Err(Error), "{what}");
    assert!(buffer.iter().all(|byte| *byte == 0), "{what}: the buffer was not wiped");
}

/// Checks that a sealed message is refused after a flip of any one bit of it, its tag, its associated data or its nonce.
fn refused_with_any_bit_flipped<A: AeadInPlace>(cipher: &A, nonce: &aead::Nonce<A>, case: &Case) {
    let mut sealed = case.message.clone();
    let tag = cipher.encrypt_in_place_detached(nonce, &case.aad, &mut sealed).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut forged = sealed.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        refused(cipher, nonce, &case.aad, &forged, &tag, "a flipped bit of the message");
    }
    for bit in 0..tag.len() * 8 {
        let mut forged = tag.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        refused(cipher, nonce, &case.aad, &sealed, &forged, "a flipped bit of the tag");
    }
    for bit in 0..case.aad.len() * 8 {
        let mut forged = case.aad.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        refused(cipher, nonce, &forged, &sealed, &tag, "a flipped bit of the associated data");
    }
    for bit in 0..nonce.len() * 8 {
        let mut forged = nonce.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        refused(cipher, &forged, &case.aad, &sealed, &tag, "a flipped bit of the nonce");
    }
    refused(cipher, nonce, &case.aad[1..], &sealed, &tag, "shorter associated data");
    if let Some((_, shorter)) = sealed.split_last() {
        refused(cipher, nonce, &case.aad, shorter, &tag, "a shorter message");
    }
}

#[test]
fn what_was_tampered_with_is_refused_and_wiped() {
    for message_len in [0, 1, 16, 40, 300] {
        let case = Case::of(message_len, 22);
        refused_with_any_bit_flipped(&ChaCha20Poly1305::new(&case.key), &case.nonce, &case);
        refused_with_any_bit_flipped(&XChaCha20Poly1305::new(&case.key), &case.xnonce, &case);
    }
}

#[test]
fn another_key_opens_nothing() {
    let case = Case::of(40, 22);
    let mut sealed = case.message.clone();
    let tag = ChaCha20Poly1305::new(&case.key)
        .encrypt_in_place_detached(&case.nonce, &case.aad, &mut sealed)
        .unwrap();
    for bit in 0..case.key.len() * 8 {
        let mut key = case.key;
        key[bit / 8] ^= 1 << (bit % 8);
        refused(
            &ChaCha20Poly1305::new(&key),
            &case.nonce,
            &case.aad,
            &sealed,
            &tag,
            "a flipped bit of the key",
        );
    }
}

#[test]
fn fewer_bytes_than_a_tag_are_refused() {
    let case = Case::of(0, 22);
    let cipher = ChaCha20Poly1305::new(&case.key);
    for len in 0..16 {
        let mut buffer = noise(len, len);
        assert_eq!(cipher.decrypt_in_place(&case.nonce, &case.aad, &mut buffer), Err(Error), "{len} bytes");
    }
}
