//! The wire codec, and the only module that names the encoding: changing it is a change to this file.
//!
//! bincode 2 in its standard configuration (little endian, variable-length integers). Decoding is bounded:
//! the input by the caller's `LIMIT`, and allocations by the same number, because bincode counts what a
//! container's length prefix claims against the limit before it allocates.

use bincode::config;
use bincode::enc::EncoderImpl;
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use thiserror::Error;

use crate::limits::MESSAGE_BYTES_MAX;

pub use bincode::{Decode, Encode};

/// Initial capacity of a buffer for an encoding: a small task's spec or outcome fits. From an empty one, the buffer of
/// each would be reallocated three times.
const SMALL_BYTES: usize = 256;

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
/// Never for this crate's types, see [`encode_onto`].
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SMALL_BYTES);
    encode_onto(value, &mut bytes);
    bytes
}

/// Appends the encoding of `value` to `bytes`.
///
/// # Panics
/// Never for this crate's types: encoding into a growable buffer fails only for types that refuse to encode
/// (a locked mutex, a poisoned cell), and wire types hold none.
pub fn encode_onto<T: Encode>(value: &T, bytes: &mut Vec<u8>) {
    if let Err(error) = value.encode(&mut EncoderImpl::new(End(bytes), config::standard())) {
        unreachable!("plain data encodes: {error}");
    }
}

/// Appends what bincode writes to a buffer.
struct End<'a>(&'a mut Vec<u8>);

impl Writer for End<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        // Most integers are one byte, which takes a store instead of a call that copies any number of them.
        match bytes {
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }
}

/// Decodes exactly one `T` from `bytes`, refusing inputs longer than `LIMIT` and inputs with bytes left over.
pub fn decode_limited<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > LIMIT {
        return Err(WireError::TooLarge { bytes: bytes.len(), max: LIMIT });
    }
    let (value, used) = bincode::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())?;
    nothing_behind(&bytes[used..])?;
    Ok(value)
}

/// Decodes a message of one of the four directions and checks its ranges.
pub fn decode_message<T: Decode<()> + Bounded>(bytes: &[u8]) -> Result<T, WireError> {
    let mut rest = bytes;
    let message = take_message(&mut rest)?;
    nothing_behind(rest)?;
    Ok(message)
}

/// Decodes the first of the messages in `bytes`, moves `bytes` behind it, and checks the message's ranges.
/// After an error the start of the next message is unknown.
pub fn take_message<T: Decode<()> + Bounded>(bytes: &mut &[u8]) -> Result<T, WireError> {
    // Decoded values are larger in memory than on the wire (a varint byte becomes eight), and bincode's
    // limit counts memory for containers: four times the wire limit admits every legal message.
    const LIMIT: usize = 4 * MESSAGE_BYTES_MAX;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(WireError::TooLarge { bytes: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    let (message, used): (T, usize) =
        bincode::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())?;
    message.check_bounds().map_err(WireError::OutOfRange)?;
    *bytes = &bytes[used..];
    Ok(message)
}

fn nothing_behind(rest: &[u8]) -> Result<(), WireError> {
    if rest.is_empty() { Ok(()) } else { Err(WireError::Trailing(rest.len())) }
}

/// A decoded value that can tell whether its fields are inside their documented ranges.
pub trait Bounded {
    /// Names the first field found out of range.
    fn check_bounds(&self) -> Result<(), &'static str>;
}
