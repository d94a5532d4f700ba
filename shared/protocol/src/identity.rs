//! The fingerprint two builds must share before they talk.
//!
//! It covers the shape of the messages, the kernels on offer and the asset catalogue, and becomes netcode's
//! protocol id: a build that differs in any of them cannot complete a handshake, so a mismatch shows at
//! connect and not as wrong results.

use std::fmt;

use crate::ids::{Attempt, Digest, KindId, Micros, TaskId, TaskNo};
use crate::messages::{
    Answer, Assign, AttemptFailure, Beat, BeatEcho, ComputedBy, Done, GameToServer, GamerStatement,
    GamerWelcome, KernelOffer, PassedCheck, Receipt, Refusal, ServerToGame, ServerToWorker, SpareToken,
    Stages, Submit, TaskFailure, VerdictNotice, WorkerOffer, WorkerSession, WorkerStatement, WorkerToServer,
    WorkerWelcome,
};
use crate::money::{Device, Nanos, PriceList, WorkUnits};
use crate::wire;

/// Raised by hand when a change leaves the messages' encoding as it was: their meaning, the width of an
/// integer, the channel it travels on, or how the link packs messages into packets.
pub const PROTOCOL_REVISION: u16 = 7;

/// Characters of a version in a sentence that names two: both and a few words fit on one line.
pub const VERSION_CHARS_MAX: usize = 10;
/// Hexadecimal digits that tell two builds of one version apart.
const DIGITS: usize = 4;

/// Which protocol a program speaks: a number to compare and a text to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolIdentity {
    /// What netcode compares.
    pub id: u64,
    /// What a person reads, for example `p2c2r/0.1.0 r1 path.v1 (9f3a…)`.
    pub text: String,
}

impl ProtocolIdentity {
    /// The identity of a program with the given kernels (id, name, version) and asset catalogue.
    pub fn new(kernels: &[(KindId, &str, u16)], catalogue: Digest) -> Self {
        let mut kernels = kernels.to_vec();
        kernels.sort_unstable();
        let names: Vec<String> =
            kernels.iter().map(|(_, name, version)| format!("{name}.v{version}")).collect();
        let numbers: Vec<u8> = kernels
            .iter()
            .flat_map(|(id, _, version)| [id.0, version.to_le_bytes()[0], version.to_le_bytes()[1]])
            .collect();
        let digest = Digest::of_parts(&[
            &PROTOCOL_REVISION.to_le_bytes(),
            message_shapes().0.as_slice(),
            names.join(" ").as_bytes(),
            &numbers,
            &catalogue.0,
        ]);
        let id = digest.first_u64();
        let text = format!(
            "p2c2r/{} r{PROTOCOL_REVISION} {} ({id:016x})",
            env!("CARGO_PKG_VERSION"),
            names.join(" ")
        );
        Self { id, text }
    }

    /// The version in this identity and the version in `other`, the text of another program's identity, each at most
    /// [`VERSION_CHARS_MAX`] characters: `0.1.0` and `0.2.0`. Equal versions are told apart by the first digits of what
    /// netcode compares: `0.1.0-9f3a` and `0.1.0-77be`.
    pub fn versions_beside(&self, other: &str) -> (String, String) {
        let version = |text: &str| {
            let named = text.split_once('/').map_or(text, |(_, version)| version);
            let word = named.split(' ').next().unwrap_or_default();
            crate::printable(word, VERSION_CHARS_MAX)
        };
        let (own, others) = (version(&self.text), version(other));
        if own != others {
            return (own, others);
        }
        let with_digits = |text: &str| {
            let digits = text.rsplit_once('(').map_or("", |(_, digits)| digits);
            let digits: String = digits.chars().filter(char::is_ascii_hexdigit).take(DIGITS).collect();
            let kept: String = version(text).chars().take(VERSION_CHARS_MAX - DIGITS - 1).collect();
            format!("{kept}-{digits}")
        };
        (with_digits(&self.text), with_digits(other))
    }
}

impl fmt::Display for ProtocolIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Digest over the encodings of one message of every shape: a field added, removed or moved changes it, so
/// nobody has to remember to raise a version.
///
/// Two changes escape it. An integer that becomes wider or narrower is encoded the same while its value is
/// small: raise [`PROTOCOL_REVISION`]. A new variant changes nothing until it has a sample below: the codec's
/// tests do not compile until one is added.
pub fn message_shapes() -> Digest {
    let encoded: Vec<Vec<u8>> = [
        samples_of_game_to_server().iter().map(wire::encode).collect::<Vec<_>>(),
        samples_of_server_to_game().iter().map(wire::encode).collect(),
        samples_of_server_to_worker().iter().map(wire::encode).collect(),
        samples_of_worker_to_server().iter().map(wire::encode).collect(),
        vec![wire::encode(&sample_beat())],
    ]
    .concat();
    Digest::of_parts(&encoded.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// One message of every shape a game can send.
pub fn samples_of_game_to_server() -> Vec<GameToServer> {
    vec![
        GameToServer::Submit(Submit {
            task: TaskId(300),
            kind: KindId(1),
            kernel_version: 2,
            budget_us: Some(200_000),
            price_cap: Nanos(4_000),
            client_queue_us: 500,
            sent_at: Micros(70_000),
            spec: vec![1, 2, 3].into(),
            blobs: vec![vec![4], vec![5, 6]],
        }),
        GameToServer::Cancel { task: TaskId(301) },
        GameToServer::Leaving,
    ]
}

/// One message of every shape a coordinator can send to a game.
pub fn samples_of_server_to_game() -> Vec<ServerToGame> {
    let statement = GamerStatement {
        charged: Nanos(1_000),
        held: Nanos(2_000),
        available: Nanos(3_000_000),
        workers: 4,
        nearest_worker_ms: Some(23),
        nearest_worker_region: "eu-west".parse().ok(),
        gamers: 5,
    };
    let refusals = [
        Refusal::UnknownKind,
        Refusal::KernelVersion { ours: 9 },
        Refusal::BadSpec { reason: "why".into() },
        Refusal::BlobsMissing { missing: vec![Digest([7; 32])] },
        Refusal::PriceAboveCap { price: Nanos(8) },
        Refusal::BalanceTooLow { available: Nanos(9) },
        Refusal::TooLate { predicted_us: 10 },
        Refusal::NoWorker,
        Refusal::TooManyInFlight { max: 11 },
        Refusal::Full,
        Refusal::IdReused,
        Refusal::Closing,
        Refusal::HourCapReached { cap: Nanos(10) },
    ];
    let failures = [
        TaskFailure::Late,
        TaskFailure::KernelFailed,
        TaskFailure::NoWorker,
        TaskFailure::Cancelled,
        TaskFailure::Closing,
    ];
    let makers = [
        (ComputedBy::Worker("w".into()), PassedCheck::Always),
        (ComputedBy::Coordinator, PassedCheck::Own),
        (ComputedBy::Cache(Some("w".into())), PassedCheck::Deep),
        (ComputedBy::Cache(None), PassedCheck::Own),
    ];
    let mut samples = vec![
        ServerToGame::Welcome(GamerWelcome {
            name: "g".into(),
            prices: sample_prices(),
            statement,
            session: 6,
        }),
        ServerToGame::Statement(statement),
        ServerToGame::Closing { reason: "bye".into() },
        ServerToGame::Spare(SpareToken(vec![32, 33])),
    ];
    samples.extend(refusals.map(|refusal| ServerToGame::Refused { task: TaskId(12), refusal }));
    samples.extend(failures.map(|failure| ServerToGame::Failed { task: TaskId(13), failure }));
    samples.extend(makers.map(|(computed_by, check)| {
        ServerToGame::Done(Done {
            task: TaskId(14),
            outcome: vec![15, 16].into(),
            receipt: Receipt {
                price: Nanos(17),
                units: WorkUnits(18),
                price_list: 19,
                computed_by,
                check,
                attempts: 20,
                received_at: Micros(21),
                sent_at: Micros(22),
                stages: Stages {
                    client_queue_us: 23,
                    uplink_us: 24,
                    coordinator_queue_us: 25,
                    worker_downlink_us: 26,
                    worker_queue_us: 27,
                    kernel_us: 28,
                    worker_uplink_us: 29,
                    judge_us: 30,
                    downlink_us: 31,
                },
            },
        })
    }));
    samples
}

/// One message of every shape a coordinator can send to a worker.
pub fn samples_of_server_to_worker() -> Vec<ServerToWorker> {
    let verdict =
        |rejected| VerdictNotice { task: TaskNo(1), attempt: Attempt(2), earned: Nanos(3), rejected };
    let statement = WorkerStatement {
        earned: Nanos(4),
        pending: Nanos(5),
        paid: Nanos(8),
        session: WorkerSession { earned: Nanos(3), accepted: 6, rejected: 7 },
        verdicts: vec![verdict(None), verdict(Some("wrong".into()))],
    };
    vec![
        ServerToWorker::Welcome(WorkerWelcome {
            name: "w".into(),
            prices: sample_prices(),
            statement: statement.clone(),
        }),
        ServerToWorker::Assign(Assign {
            task: TaskNo(8),
            attempt: Attempt(9),
            kind: KindId(1),
            lease_us: 10,
            spec: vec![11, 12].into(),
            blobs: vec![vec![13]],
        }),
        ServerToWorker::Revoke { task: TaskNo(14), attempt: Attempt(15) },
        ServerToWorker::Statement(statement),
        ServerToWorker::Closing { reason: "bye".into() },
        ServerToWorker::Spare(SpareToken(vec![16, 17])),
    ]
}

/// One message of every shape a worker can send.
pub fn samples_of_worker_to_server() -> Vec<WorkerToServer> {
    let answer = |result| {
        WorkerToServer::Answer(Answer {
            task: TaskNo(1),
            attempt: Attempt(2),
            result,
            received_at: Micros(3),
            started_at: Micros(4),
            finished_at: Micros(5),
        })
    };
    vec![
        WorkerToServer::Ready(WorkerOffer {
            slots: 2,
            kernels: vec![KernelOffer { kind: KindId(1), version: 1, device: Device::Graphics }],
            region: "eu-west".parse().ok(),
        }),
        answer(Ok(vec![6, 7].into())),
        answer(Err(AttemptFailure::KernelPanicked)),
        answer(Err(AttemptFailure::BadSpec)),
        answer(Err(AttemptFailure::Overloaded)),
        answer(Err(AttemptFailure::UnknownKind)),
        WorkerToServer::BlobsMissing {
            task: TaskNo(8),
            attempt: Attempt(9),
            missing: vec![Digest([10; 32])],
        },
        WorkerToServer::Draining,
    ]
}

fn sample_beat() -> Beat {
    Beat {
        sequence: 1,
        sent_at: Micros(2),
        busy: true,
        echo: Some(BeatEcho { sent_at: Micros(3), received_at: Micros(4) }),
    }
}

fn sample_prices() -> PriceList {
    PriceList {
        version: 3,
        nanos_per_mega_unit: vec![(KindId(1), 46_296)],
        graphics_nanos_per_mega_unit: vec![(KindId(1), 11_574)],
        fee_basis_points: 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_with_kernel_version_kind_and_catalogue() {
        let base = ProtocolIdentity::new(&[(KindId(1), "path", 1)], Digest([0; 32]));
        assert_eq!(base, ProtocolIdentity::new(&[(KindId(1), "path", 1)], Digest([0; 32])));
        assert_ne!(base.id, ProtocolIdentity::new(&[(KindId(1), "path", 2)], Digest([0; 32])).id);
        assert_ne!(base.id, ProtocolIdentity::new(&[(KindId(2), "path", 1)], Digest([0; 32])).id);
        assert_ne!(base.id, ProtocolIdentity::new(&[(KindId(1), "path", 1)], Digest([1; 32])).id);
        assert!(base.text.contains("path.v1"), "{base}");
    }

    #[test]
    fn does_not_depend_on_the_order_of_kernels() {
        let (a, b) = ((KindId(1), "path", 1), (KindId(2), "physics", 3));
        assert_eq!(
            ProtocolIdentity::new(&[a, b], Digest([0; 32])),
            ProtocolIdentity::new(&[b, a], Digest([0; 32]))
        );
    }
}
