//! Every bound the programs enforce on one another, in one place, with the relations between them checked at
//! compile time.

/// Bytes of a peer's public name, UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a worker's region. A longer one does not fit beside the worker count on a game's display.
pub const REGION_BYTES_MAX: usize = 12;
/// Bytes of one encoded message. A larger one is not sent, and the decoder refuses it.
pub const MESSAGE_BYTES_MAX: usize = 96 * 1024;
/// Bytes of one encoded spec, before its blobs.
pub const SPEC_BYTES_MAX: usize = 32 * 1024;
/// Bytes of one encoded outcome.
pub const OUTCOME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one content-addressed blob.
pub const BLOB_BYTES_MAX: usize = 32 * 1024;
/// Blobs that one spec may refer to.
pub const BLOBS_PER_SPEC_MAX: usize = 2;
/// Bytes of decoded blobs a program keeps for peers that sent only their digests.
pub const BLOB_STORE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Tasks one gamer may have in flight at the coordinator.
pub const TASKS_PER_GAMER_MAX: usize = 1_024;
/// Tasks in flight at one coordinator.
pub const TASKS_MAX: usize = 65_536;
/// Slots one worker may announce.
pub const SLOTS_PER_WORKER_MAX: u16 = 256;
/// Kinds one program may offer or price.
pub const KINDS_MAX: usize = 64;
/// Attempts at one task before the coordinator falls back for good.
pub const ATTEMPTS_PER_TASK_MAX: u32 = 4;
/// Work units of one task; 10 seconds of a reference core.
pub const WORK_UNITS_PER_TASK_MAX: u64 = 10_000_000;
/// Longest time a timely task may ask for, in microseconds.
pub const DEADLINE_US_MAX: u32 = 60_000_000;
/// Peers of one coordinator; netcode's table holds no more.
pub const PEERS_MAX: usize = 1_024;
/// Verdicts in one statement to a worker.
pub const BATCH_MAX: usize = 1_024;
/// Bytes of a connect token: netcode's constant.
pub const CONNECT_TOKEN_BYTES_MAX: usize = 2_048;
/// Bytes of a human-readable reason in a message.
pub const REASON_BYTES_MAX: usize = 256;

const _: () = assert!(SPEC_BYTES_MAX + BLOBS_PER_SPEC_MAX * BLOB_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () =
    assert!(OUTCOME_BYTES_MAX + 4 * 1024 <= MESSAGE_BYTES_MAX, "a receipt needs room beside its outcome");
const _: () = assert!(TASKS_PER_GAMER_MAX <= TASKS_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX < crate::channels::CHANNEL_MEMORY_BYTES_MAX);
