//! The hash chain over transfers and changes of accounts: changing, dropping or moving one changes every hash after it.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// One transfer, as it is hashed and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub id: i64,
    pub debit: i64,
    pub credit: i64,
    pub amount: i64,
    pub reason: u8,
    pub attempt: u8,
}

/// All transfers, as a table for readers: those with rows of their own, and those that their tasks' rows stand for.
pub(super) const ALL_TRANSFERS: &str = "(
    SELECT id, grp, debit, credit, amount, reason, attempt FROM transfers
    UNION ALL
    SELECT no << 2 | 1, ifnull(closed_grp, 0), gamer, worker + 1, pay, 3, ifnull(attempt, 0) FROM tasks
    WHERE worker IS NOT NULL AND pay > 0
    UNION ALL
    SELECT (no << 2 | 1) + (pay > 0), ifnull(closed_grp, 0), gamer, 2, fee, 4, 0 FROM tasks
    WHERE worker IS NOT NULL AND fee > 0
)";

/// First id of payouts. Above them follow the ids of releases, grants, reversals and opening credits, and above zero
/// those of tasks' transfers.
pub(super) const PAYOUTS: i64 = -(1 << 62);

/// First id of releases.
pub(super) const RELEASES: i64 = -(1 << 61);

/// First id of the operator's grants.
pub(super) const GRANTS: i64 = -(1 << 60);

/// First id of reversals of pending pay.
pub(super) const REVERSALS: i64 = -(1 << 59);

/// Ids from here to zero are those of opening credits.
pub(super) const OPENING_CREDITS: i64 = -(1 << 58);

/// Id of the hold of `task`.
pub(super) const fn hold_id(task: u64) -> i64 {
    (task as i64) << 2
}

/// Hashes one group.
pub(super) struct GroupHasher(blake3::Hasher);

impl GroupHasher {
    /// A group after the one whose hash is `previous`.
    pub fn new(previous: &[u8; 32], group: i64, at_ms: i64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(previous);
        hasher.update(&group.to_le_bytes());
        hasher.update(&at_ms.to_le_bytes());
        Self(hasher)
    }

    /// The group's next transfer, in order of ids.
    pub fn add(&mut self, transfer: &Transfer) {
        self.0.update(&encode(transfer));
    }

    /// All of the group's transfers, which must be in order of ids.
    pub fn add_all(&mut self, transfers: &[Transfer]) {
        let mut bytes = Vec::with_capacity(transfers.len() * ENCODED_BYTES);
        for transfer in transfers {
            bytes.extend_from_slice(&encode(transfer));
        }
        self.0.update(&bytes);
    }

    /// The digest of the group's account changes, after its transfers. Each combination of optional parts gives the
    /// hashed input a different length modulo [`ENCODED_BYTES`], so one cannot be mistaken for another.
    pub fn add_accounts(&mut self, digest: &[u8; 32]) {
        self.0.update(b"a");
        self.0.update(digest);
    }

    /// What the group folded, after everything else.
    pub fn add_folded(&mut self, digest: &[u8; 32]) {
        self.0.update(digest);
    }

    /// The group's hash.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// Bytes of a transfer as it is hashed.
const ENCODED_BYTES: usize = 34;

fn encode(transfer: &Transfer) -> [u8; ENCODED_BYTES] {
    let mut bytes = [0; ENCODED_BYTES];
    bytes[0..8].copy_from_slice(&transfer.id.to_le_bytes());
    bytes[8..16].copy_from_slice(&transfer.debit.to_le_bytes());
    bytes[16..24].copy_from_slice(&transfer.credit.to_le_bytes());
    bytes[24..32].copy_from_slice(&transfer.amount.to_le_bytes());
    bytes[32] = transfer.reason;
    bytes[33] = transfer.attempt;
    bytes
}

/// Checksum of a kept outcome: XXH3 of its bytes, seeded with XXH3 of its key. Detects bit rot, since SQLite has no
/// checksums and these bytes are served again; no protection against tampering, because whoever can write the file can
/// write the checksum too.
pub(super) fn checksum(key: &[u8], bytes: &[u8]) -> i64 {
    xxh3_64_with_seed(bytes, xxh3_64(key)) as i64
}
