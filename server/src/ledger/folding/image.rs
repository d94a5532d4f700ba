//! Every account's folded sums in memory, as the digest hashes them.
//!
//! Each step of folding hashes all of them. To read them from the file takes a hundred times as long, while nothing else is
//! recorded; and what was changed in the file meanwhile would be hashed as if folding had written it.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};

use super::sums::FoldedSums;

/// Bytes of one account: its number and its four sums.
const ROW: usize = 40;

/// The rows of `folded`, in the order of accounts.
pub(super) struct FoldedImage(Vec<u8>);

impl FoldedImage {
    pub fn load(connection: &Connection) -> Result<Self> {
        let mut image = Vec::new();
        let mut select = connection
            .prepare("SELECT account, balance, turnover, accepted, rejected FROM folded ORDER BY account")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..5 {
                image.extend(row.get::<_, i64>(column)?.to_le_bytes());
            }
        }
        Ok(Self(image))
    }

    /// Adds what a step has added to the file.
    pub fn add(&mut self, step: &BTreeMap<i64, FoldedSums>) {
        let mut opened = Vec::new();
        for (account, sums) in step {
            let sums = [sums.balance, sums.turnover, sums.accepted, sums.rejected];
            match self.place(*account) {
                Ok(at) => {
                    for (sum, more) in self.0[at + 8..at + ROW].chunks_exact_mut(8).zip(sums) {
                        sum.copy_from_slice(&(number(sum) + more).to_le_bytes());
                    }
                }
                Err(at) => opened.push((at, [*account, sums[0], sums[1], sums[2], sums[3]])),
            }
        }
        if opened.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.0);
        self.0.reserve_exact(old.len() + opened.len() * ROW);
        let mut copied = 0;
        for (at, row) in opened {
            self.0.extend_from_slice(&old[copied..at]);
            self.0.extend(row.into_iter().flat_map(i64::to_le_bytes));
            copied = at;
        }
        self.0.extend_from_slice(&old[copied..]);
    }

    /// Where an account's row is, or would be.
    fn place(&self, account: i64) -> std::result::Result<usize, usize> {
        let (mut first, mut end) = (0, self.0.len() / ROW);
        while first < end {
            let middle = usize::midpoint(first, end);
            let at = middle * ROW;
            match number(&self.0[at..at + 8]).cmp(&account) {
                std::cmp::Ordering::Less => first = middle + 1,
                std::cmp::Ordering::Equal => return Ok(at),
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        Err(first * ROW)
    }

    /// Hashes what a reader of the table hashes: all rows, and how many they are.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.0).update(&((self.0.len() / ROW) as u64).to_le_bytes());
    }
}

fn number(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_stay_in_order_whenever_they_are_added() {
        let sums = |balance| FoldedSums { balance, turnover: 1, accepted: -1, rejected: 0 };
        let mut image = FoldedImage(Vec::new());
        let steps: [&[i64]; 4] = [&[5, 9], &[1, 5, 7, 11], &[], &[1, 2, 3, 12]];
        let mut expected = BTreeMap::<i64, [i64; 4]>::new();
        for step in steps {
            image.add(&step.iter().map(|account| (*account, sums(account * 10))).collect());
            for account in step {
                let [balance, turnover, accepted, _] = expected.entry(*account).or_default();
                (*balance, *turnover, *accepted) = (*balance + account * 10, *turnover + 1, *accepted - 1);
            }
        }
        let rows = image.0.chunks_exact(ROW).map(|row| row.chunks_exact(8).map(number).collect::<Vec<_>>());
        let expected = expected.iter().map(|(account, sums)| [&[*account], &sums[..]].concat());
        assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
