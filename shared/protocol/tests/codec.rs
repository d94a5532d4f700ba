//! The codec seen from outside: every message survives the wire, and no bytes from a peer do harm.

use p2c2r_protocol::identity::{
    samples_of_game_to_server, samples_of_server_to_game, samples_of_server_to_worker,
    samples_of_worker_to_server,
};
use p2c2r_protocol::limits::{MESSAGE_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_protocol::wire::{self, Bounded, WireError};
use p2c2r_protocol::{GameToServer, ServerToGame, ServerToWorker, Submit, WorkerToServer};
use rand::{Rng, SeedableRng, rngs::SmallRng};

fn survives<T: bincode::Encode + bincode::Decode<()> + Bounded + PartialEq + std::fmt::Debug>(samples: &[T]) {
    for sample in samples {
        let bytes = wire::encode(sample);
        assert_eq!(&wire::decode_message::<T>(&bytes).unwrap(), sample);
        for cut in 0..bytes.len() {
            assert!(
                wire::decode_message::<T>(&bytes[..cut]).is_err(),
                "{sample:?} cut to {cut} bytes decodes"
            );
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(wire::decode_message::<T>(&longer), Err(WireError::Trailing(1))));
    }
}

#[test]
fn every_message_survives_and_no_prefix_of_one_decodes() {
    survives(&samples_of_game_to_server());
    survives(&samples_of_server_to_game());
    survives(&samples_of_server_to_worker());
    survives(&samples_of_worker_to_server());
}

/// Fails to compile when a variant is added, and to pass when the variant has no sample: add it here and to
/// the samples in `identity.rs`, which this file's tests and the protocol's fingerprint are made from.
macro_rules! every_variant_has_a_sample {
    ($samples:expr, $($variant:pat),+ $(,)?) => {{
        let samples = $samples;
        for sample in &samples {
            match sample { $($variant)|+ => {} }
        }
        $(assert!(samples.iter().any(|sample| matches!(sample, $variant)), "no sample of {}", stringify!($variant));)+
    }};
}

#[test]
fn every_variant_has_a_sample() {
    every_variant_has_a_sample!(
        samples_of_game_to_server(),
        GameToServer::Submit(_),
        GameToServer::Cancel { .. },
        GameToServer::Leaving,
    );
    every_variant_has_a_sample!(
        samples_of_server_to_game(),
        ServerToGame::Welcome(_),
        ServerToGame::Refused { .. },
        ServerToGame::Failed { .. },
        ServerToGame::Done(_),
        ServerToGame::Statement(_),
        ServerToGame::Closing { .. },
        ServerToGame::Spare(_),
    );
    every_variant_has_a_sample!(
        samples_of_server_to_worker(),
        ServerToWorker::Welcome(_),
        ServerToWorker::Assign(_),
        ServerToWorker::Revoke { .. },
        ServerToWorker::Statement(_),
        ServerToWorker::Closing { .. },
        ServerToWorker::Spare(_),
    );
    every_variant_has_a_sample!(
        samples_of_worker_to_server(),
        WorkerToServer::Ready(_),
        WorkerToServer::Answer(_),
        WorkerToServer::BlobsMissing { .. },
        WorkerToServer::Draining,
    );
}

fn withstands<T: bincode::Encode + bincode::Decode<()> + Bounded>(samples: &[T], seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    for round in 0..20_000 {
        let mut bytes = if round % 2 == 0 {
            (0..rng.random_range(0..200)).map(|_| rng.random()).collect()
        } else {
            wire::encode(&samples[rng.random_range(0..samples.len())])
        };
        for _ in 0..rng.random_range(0..4) {
            if let Some(last) = bytes.len().checked_sub(1) {
                bytes[rng.random_range(0..=last)] = rng.random();
            }
        }
        if let Ok(message) = wire::decode_message::<T>(&bytes) {
            assert_eq!(message.check_bounds(), Ok(()), "seed {seed}, round {round}");
        }
    }
}

#[test]
fn random_and_mutated_bytes_are_refused_or_in_range() {
    withstands::<GameToServer>(&samples_of_game_to_server(), 1);
    withstands::<ServerToGame>(&samples_of_server_to_game(), 2);
    withstands::<ServerToWorker>(&samples_of_server_to_worker(), 3);
    withstands::<WorkerToServer>(&samples_of_worker_to_server(), 4);
}

#[test]
fn claimed_lengths_do_not_reserve_memory() {
    // A submit whose spec claims 2^60 bytes: refused by the limit before anything of that size is reserved.
    let GameToServer::Submit(submit) = &samples_of_game_to_server()[0] else { unreachable!() };
    let mut bytes =
        wire::encode(&GameToServer::Submit(Submit { spec: vec![].into(), blobs: vec![], ..submit.clone() }));
    bytes.truncate(bytes.len() - 2);
    bytes.push(253);
    bytes.extend_from_slice(&(1_u64 << 60).to_le_bytes());
    assert!(matches!(wire::decode_message::<GameToServer>(&bytes), Err(WireError::Malformed(_))));
}

#[test]
fn too_long_messages_and_fields_are_refused() {
    assert!(matches!(
        wire::decode_message::<GameToServer>(&vec![0; MESSAGE_BYTES_MAX + 1]),
        Err(WireError::TooLarge { .. })
    ));
    let GameToServer::Submit(submit) = &samples_of_game_to_server()[0] else { unreachable!() };
    let fits = GameToServer::Submit(Submit { spec: vec![0; SPEC_BYTES_MAX].into(), ..submit.clone() });
    assert_eq!(wire::decode_message::<GameToServer>(&wire::encode(&fits)).unwrap(), fits);
    let long = GameToServer::Submit(Submit { spec: vec![0; SPEC_BYTES_MAX + 1].into(), ..submit.clone() });
    assert!(matches!(
        wire::decode_message::<GameToServer>(&wire::encode(&long)),
        Err(WireError::OutOfRange("bytes of the spec"))
    ));
}
