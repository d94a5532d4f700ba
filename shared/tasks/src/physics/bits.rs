//! Columns of numbers packed to the bits they need: one value has one encoding, and a false count reserves
//! next to nothing.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::error::DecodeError;

/// Packs numbers, least significant bit first; the last byte is filled up with zeros.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    bits: u32,
}

impl BitWriter {
    /// Appends the low `width` bits of `value`, at most 32.
    pub fn put(&mut self, value: u32, width: u32) {
        self.pending |= (u64::from(value) & ((1 << width) - 1)) << self.bits;
        self.bits += width;
        while self.bits >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.bits -= 8;
        }
    }

    /// Appends a column: the width of its largest number, then every number in that width.
    pub fn column(&mut self, values: impl Iterator<Item = u32> + Clone) {
        let Some(largest) = values.clone().max() else { return };
        let width = u32::BITS - largest.leading_zeros();
        self.put(width, 6);
        values.for_each(|value| self.put(value, width));
    }

    pub fn finish(mut self) -> Vec<u8> {
        if self.bits > 0 {
            self.bytes.push(self.pending as u8);
        }
        self.bytes
    }
}

/// Reads what [`BitWriter`] wrote and refuses what it would not have written.
pub(crate) struct BitReader<'d, D> {
    decoder: &'d mut D,
    pending: u64,
    bits: u32,
}

impl<'d, D: Decoder> BitReader<'d, D> {
    pub fn new(decoder: &'d mut D) -> Self {
        Self { decoder, pending: 0, bits: 0 }
    }

    /// The next `width` bits, at most 32.
    pub fn take(&mut self, width: u32) -> Result<u32, DecodeError> {
        while self.bits < width {
            self.decoder.claim_bytes_read(1)?;
            let mut byte = [0];
            self.decoder.reader().read(&mut byte)?;
            self.pending |= u64::from(byte[0]) << self.bits;
            self.bits += 8;
        }
        let value = (self.pending & ((1 << width) - 1)) as u32;
        self.pending >>= width;
        self.bits -= width;
        Ok(value)
    }

    /// A column of `count` numbers, none above `max`.
    pub fn column(&mut self, count: usize, max: u32) -> Result<Vec<u32>, DecodeError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let width = self.take(6)?;
        if width > u32::BITS {
            return Err(DecodeError::Other("a column wider than its numbers"));
        }
        let values = (0..count).map(|_| self.take(width)).collect::<Result<Vec<_>, _>>()?;
        let largest = values.iter().copied().max().unwrap_or(0);
        if largest > max {
            return Err(DecodeError::Other("a number above its limit"));
        }
        if u32::BITS - largest.leading_zeros() != width {
            return Err(DecodeError::Other("a column wider than it needs to be"));
        }
        Ok(values)
    }

    /// Refuses anything but zeros in what is left of the last byte.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.pending != 0 {
            return Err(DecodeError::Other("bits after the end"));
        }
        Ok(())
    }
}

/// Small magnitudes of either sign become small numbers.
pub(crate) fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Undoes [`zigzag`].
pub(crate) fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
