//! The fuzz targets: one for each decoder of bytes that strangers and peers send, one for each program that a connected
//! peer speaks to, and one for each side of the sockets between a worker and its kernel processes.
//!
//! `cargo fuzz` runs them from the folder `fuzz`; the stable tests run the same functions over the kept inputs and over
//! mutations of them. A target takes any bytes, says whether an honest program
//! could have sent them, and panics if what the decoder promises does not hold.

mod clients;
mod coordinator;
mod kernel_processes;
mod script;

use p2c2r_join::fuzzing as join;
use p2c2r_link::fuzzing as link;
use p2c2r_protocol::wire::{self, Bounded, Decode, Encode};
use p2c2r_protocol::{Beat, GameToServer, ServerToGame, ServerToWorker, WorkerToServer};
use p2c2r_server::join::fuzzing as https;
use p2c2r_tasks::kind::AnyKind;
use p2c2r_tasks::{Blob, Blobs, KindRegistry};

/// Work units above which a task is not checked: one unit is a microsecond, and larger tasks only take
/// longer.
const CHECKED_UNITS_MAX: u64 = 20_000;

/// A target: its name, which is also that of its folder of inputs, and its function.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const TARGETS: &[Target] = &[
    ("packet", link::packet),
    ("token", link::token),
    ("payloads", link::payloads),
    ("beat", message::<Beat>),
    ("game_to_server", message::<GameToServer>),
    ("server_to_game", message::<ServerToGame>),
    ("server_to_worker", message::<ServerToWorker>),
    ("worker_to_server", message::<WorkerToServer>),
    ("path_task", |input| task("path", input)),
    ("physics_task", |input| task("physics", input)),
    ("reflection_task", |input| task("reflection", input)),
    ("lightfield_task", |input| task("lightfield", input)),
    ("tactics_task", |input| task("tactics", input)),
    ("join_link", join::join_link),
    ("https_body", https::token_body),
    ("https_answer", join::https_answer),
    ("connect_token", link::connect_token),
    ("coordinator_from_peers", coordinator::run),
    ("worker_from_coordinator", clients::worker),
    ("game_from_coordinator", clients::game),
    ("worker_from_kernel_process", kernel_processes::worker),
    ("kernel_process_from_worker", kernel_processes::process),
];

/// Targets that run whole programs, which take a thousand times as long as decoders do.
pub const PROGRAMS: &[&str] = &[
    "coordinator_from_peers",
    "worker_from_coordinator",
    "game_from_coordinator",
    "worker_from_kernel_process",
    "kernel_process_from_worker",
];

/// Seed inputs, for the targets that make their own.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "join_link" | "https_answer" => join::seeds(target),
        "https_body" => https::seeds(),
        "coordinator_from_peers" => coordinator::seeds(),
        "worker_from_coordinator" => clients::worker_seeds(),
        "game_from_coordinator" => clients::game_seeds(),
        "worker_from_kernel_process" => kernel_processes::worker_seeds(),
        "kernel_process_from_worker" => kernel_processes::process_seeds(),
        of_the_link => link::seeds(of_the_link),
    }
}

/// Runs one input through the target of this name.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of this name");
    let _ = target(input);
}

/// A message: what decodes is encoded again to something that decodes to the same.
fn message<M: Decode<()> + Encode + Bounded>(input: &[u8]) -> bool {
    let Ok(message) = wire::decode_message::<M>(input) else { return false };
    let written = wire::encode(&message);
    let again = wire::decode_message::<M>(&written).expect("what this program writes can be read");
    assert!(wire::encode(&again) == written, "one message, one form");
    true
}

/// A task of a kind and an answer to it, in the format of [`read_task`]: decoded, admitted and checked.
fn task(kind: &str, input: &[u8]) -> bool {
    judge(kind, input).is_some()
}

fn judge(kind: &str, input: &[u8]) -> Option<()> {
    let (mut spec, blob, outcome) = read_task(input)?;
    let kinds = KindRegistry::builtin();
    let kind: &dyn AnyKind = kinds.by_name(kind)?.as_ref();
    let job = kind.decode(&spec).ok()?;
    let blob = Blob::new(blob);
    // The blob replaces the first that the spec names, so that mutations of it pass its digest.
    if let Some(named) = job.blob_refs().first() {
        let place = spec.windows(32).position(|bytes| bytes == named.0)?;
        spec[place..place + 32].copy_from_slice(&blob.digest().0);
    }
    let job = kind.decode(&spec).ok()?;
    let blobs = Blobs::new(vec![blob]);
    let units = job.admit(&blobs).ok()?;
    // Either verdict will do for a stranger's outcome; the test is that there is one.
    (units.0 <= CHECKED_UNITS_MAX).then(|| job.check(&blobs, &outcome).ok())?
}

/// The parts of an input of a task's target: the lengths of spec and blob in four bytes, low byte first, then
/// spec, blob and outcome.
fn read_task(input: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let ([spec_low, spec_high, blob_low, blob_high], rest) = input.split_first_chunk()?;
    let (spec, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*spec_low, *spec_high])))?;
    let (blob, outcome) = rest.split_at_checked(usize::from(u16::from_le_bytes([*blob_low, *blob_high])))?;
    Some((spec.to_vec(), blob.to_vec(), outcome.to_vec()))
}
