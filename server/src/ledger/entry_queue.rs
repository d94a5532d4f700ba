//! Entries that wait for the writer, in chunks of one size: a queue that grows moves nothing, and the memory of chunks that
//! were written is used again.

use std::collections::VecDeque;

use super::entry::Entry;
use super::options::{GROUP_ENTRIES_ENOUGH, SPARE_CHUNKS_MAX};

/// Some entries, in the order they were appended.
#[derive(Default)]
pub(super) struct Chunk {
    entries: Vec<Entry>,
    payload_bytes: usize,
}

impl Chunk {
    /// These, however many.
    pub fn of(entries: Vec<Entry>) -> Self {
        let payload_bytes = entries.iter().map(Entry::payload_bytes).sum();
        Self { entries, payload_bytes }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes all of them out.
    pub fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.payload_bytes = 0;
        self.entries.drain(..)
    }
}

/// The entries that wait.
#[derive(Default)]
pub(super) struct EntryQueue {
    /// The oldest first, each of [`GROUP_ENTRIES_ENOUGH`] entries but for the last.
    chunks: VecDeque<Chunk>,
    /// Empty ones.
    spare: Vec<Chunk>,
    len: usize,
    payload_bytes: usize,
}

impl EntryQueue {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of payload that they carry.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Appends one.
    pub fn push(&mut self, entry: Entry) {
        let bytes = entry.payload_bytes();
        let chunk = self.chunk_with_room();
        chunk.entries.push(entry);
        chunk.payload_bytes += bytes;
        self.payload_bytes += bytes;
        self.len += 1;
    }

    /// Appends all of these, and leaves `entries` empty with its memory.
    pub fn append(&mut self, entries: &mut Vec<Entry>) {
        let room = GROUP_ENTRIES_ENOUGH - self.chunk_with_room().len();
        if entries.len() > room {
            // One in thousands of times.
            entries.drain(..).for_each(|entry| self.push(entry));
            return;
        }
        let (count, bytes) = (entries.len(), entries.iter().map(Entry::payload_bytes).sum::<usize>());
        let chunk = self.chunk_with_room();
        chunk.entries.append(entries);
        chunk.payload_bytes += bytes;
        self.payload_bytes += bytes;
        self.len += count;
    }

    /// The chunk that the next entry goes into.
    fn chunk_with_room(&mut self) -> &mut Chunk {
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= GROUP_ENTRIES_ENOUGH) {
            let fresh = || Chunk { entries: Vec::with_capacity(GROUP_ENTRIES_ENOUGH), payload_bytes: 0 };
            self.chunks.push_back(self.spare.pop().unwrap_or_else(fresh));
        }
        let Some(chunk) = self.chunks.back_mut() else { unreachable!("there is one with room") };
        chunk
    }

    /// Moves the oldest chunks to `taken`, at most so many.
    pub fn hand_over(&mut self, taken: &mut Vec<Chunk>, chunks_max: usize) {
        let chunks = self.chunks.len().min(chunks_max);
        for chunk in self.chunks.drain(..chunks) {
            self.len -= chunk.len();
            self.payload_bytes -= chunk.payload_bytes;
            taken.push(chunk);
        }
    }

    /// Keeps the memory of chunks that have been drained, as far as there is use for it; what is left in `written` is of
    /// none.
    pub fn take_back(&mut self, written: &mut Vec<Chunk>) {
        while self.spare.len() < SPARE_CHUNKS_MAX
            && let Some(mut chunk) = written.pop()
        {
            // One that was not drained does not come back as new entries.
            chunk.entries.clear();
            chunk.payload_bytes = 0;
            self.spare.push(chunk);
        }
    }
}
