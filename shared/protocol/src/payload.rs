//! Bytes that a message carries and its receiver passes on.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

/// An encoded spec or outcome. Clones share the bytes, so that the coordinator can check, record, keep and
/// send on what it has read without a copy each time.
///
/// It is encoded as a `Vec<u8>` is: its length as a variable-length integer, then its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Arc<[u8]>);

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Arc<[u8]>> for Payload {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Payload> for Arc<[u8]> {
    fn from(payload: Payload) -> Self {
        payload.0
    }
}

impl PartialEq<Vec<u8>> for Payload {
    fn eq(&self, other: &Vec<u8>) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for Payload {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (*self.0).encode(encoder)
    }
}

impl<Context> Decode<Context> for Payload {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let length = u64::decode(decoder)?;
        let length = usize::try_from(length).map_err(|_| DecodeError::OutsideUsizeRange(length))?;
        decoder.claim_bytes_read(length)?;
        let reader = decoder.reader();
        if let Some(bytes) = reader.peek_read(length) {
            let payload = Self(bytes.into());
            reader.consume(length);
            return Ok(payload);
        }
        // This reader cannot show bytes before they are read, or it holds fewer than `length`.
        let mut bytes = vec![0; length];
        reader.read(&mut bytes)?;
        Ok(Self(bytes.into()))
    }
}

bincode::impl_borrow_decode!(Payload);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    const LIMIT: usize = 1_000;

    #[test]
    fn it_travels_as_a_vector_of_bytes_does() {
        for bytes in [vec![], vec![7], vec![1; 250], vec![2; 251], vec![3; LIMIT / 2]] {
            let encoded = wire::encode(&bytes);
            assert_eq!(wire::encode(&Payload::from(bytes.clone())), encoded);
            assert_eq!(*wire::decode_limited::<Payload, LIMIT>(&encoded).unwrap(), *bytes);
        }
    }

    #[test]
    fn a_length_that_is_not_there_is_refused() {
        for claimed in [3_u64, LIMIT as u64 - 10, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = wire::encode(&claimed);
            bytes.extend([1, 2]);
            assert!(wire::decode_limited::<Payload, LIMIT>(&bytes).is_err(), "{claimed}");
        }
    }
}
