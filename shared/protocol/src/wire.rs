//! The wire codec, and the only module that names the encoding: changing it is a change to this file.
//!
//! bincode 2 in its standard configuration (little endian, variable-length integers). Decoding is bounded:
//! the input by the caller's `LIMIT`, and allocations by the same number, because bincode counts what a
//! container's length prefix claims against the limit before it allocates.

use bincode::config;
use thiserror::Error;

use crate::limits::MESSAGE_BYTES_MAX;

pub use bincode::{Decode, Encode};

/// Why bytes from a peer are not a message.
#[derive(Debug, Error)]
pub enum WireError {
    /// More bytes than any message of this type may have.
    #[error("{bytes} bytes where at most {max} are allowed")]
    TooLarge {
        /// Bytes that arrived.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The bytes do not decode.
    #[error("malformed: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// The message decoded but bytes were left over.
    #[error("{0} bytes after the end of the message")]
    Trailing(usize),
    /// The message decoded but a value is outside its documented range.
    #[error("out of range: {0}")]
    OutOfRange(&'static str),
}

/// Encodes `value`.
///
/// # Panics
/// Never for this crate's types: encoding into a growable buffer fails only for types that refuse to encode
/// (a locked mutex, a poisoned cell), and wire types hold none.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    match bincode::encode_to_vec(value, config::standard()) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("plain data encodes: {error}"),
    }
}

/// Decodes exactly one `T` from `bytes`, refusing inputs longer than `LIMIT` and inputs with bytes left over.
pub fn decode_limited<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > LIMIT {
        return Err(WireError::TooLarge { bytes: bytes.len(), max: LIMIT });
    }
    let (value, used) = bincode::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())?;
    if used != bytes.len() {
        return Err(WireError::Trailing(bytes.len() - used));
    }
    Ok(value)
}

/// Decodes a message of one of the four directions and checks its ranges.
pub fn decode_message<T: Decode<()> + Bounded>(bytes: &[u8]) -> Result<T, WireError> {
    // Decoded values are larger in memory than on the wire (a varint byte becomes eight), and bincode's
    // limit counts memory for containers: four times the wire limit admits every legal message.
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(WireError::TooLarge { bytes: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    let message: T = decode_limited::<T, { 4 * MESSAGE_BYTES_MAX }>(bytes)?;
    message.check_bounds().map_err(WireError::OutOfRange)?;
    Ok(message)
}

/// A decoded value that can tell whether its fields are inside their documented ranges.
pub trait Bounded {
    /// Names the first field found out of range.
    fn check_bounds(&self) -> Result<(), &'static str>;
}
