//! The answer of the kind `lightfield`: a field as a stream, whole or as changes of another.

use std::sync::Arc;

use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use thiserror::Error;

use super::field::LightField;
use super::spec::LightfieldSpec;
use super::stream;
use crate::blobs::Blobs;
use crate::kind::SpecError;

/// Bytes of the longest stream: a third more than [`PROBES_MAX`](super::PROBES_MAX) probes of noise take, 11
/// bytes each. Lower, and an honest answer might not travel.
const STREAM_BYTES_MAX: usize = 60_000;
const _: () = assert!(STREAM_BYTES_MAX + 2 <= p2c2r_protocol::limits::OUTCOME_BYTES_MAX);
const _: () = assert!(super::PROBES_MAX * 11 <= STREAM_BYTES_MAX);

/// The field of light that a spec asks for, as a stream that can be read only with that spec and its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightfieldOutcome {
    stream: Vec<u8>,
}

/// Why an outcome cannot be unfolded into a field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FieldError {
    /// The base that the spec names is missing or is no field.
    #[error(transparent)]
    Base(#[from] SpecError),
    /// The bytes are not what an encoder makes of any field.
    #[error("the stream does not hold a field of as many probes as the spec asks for")]
    Stream,
}

/// The base that a spec names, if any.
pub(super) fn base(spec: &LightfieldSpec, blobs: &Blobs) -> Result<Option<Arc<LightField>>, SpecError> {
    let Some(digest) = spec.base else { return Ok(None) };
    let base = blobs.get(digest)?.prepared(LightField::from_blob)?;
    let (given, wanted) = (base.count(), spec.probes.count());
    if given != wanted {
        let reason = format!("a base of {given} probes for {wanted}");
        return Err(SpecError::BadBlob { digest, reason });
    }
    Ok(Some(base))
}

impl LightfieldOutcome {
    pub(super) fn of(field: &LightField, base: Option<&LightField>) -> Self {
        Self { stream: stream::pack(field, base) }
    }

    /// Bytes of its encoding.
    pub fn bytes(&self) -> usize {
        2 + self.stream.len()
    }

    /// The field. `blobs` must hold the spec's [base](LightfieldSpec::base). Bounded in time and memory by the number of
    /// probes: some 2 ms at 4,096.
    pub fn unfold(&self, spec: &LightfieldSpec, blobs: &Blobs) -> Result<LightField, FieldError> {
        let base = base(spec, blobs)?;
        let (count, across) = (spec.probes.count(), spec.probes.across());
        stream::unpack(&self.stream, count, across, base.as_deref()).ok_or(FieldError::Stream)
    }
}

impl Encode for LightfieldOutcome {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let writer = encoder.writer();
        writer.write(&(self.stream.len() as u16).to_le_bytes())?;
        writer.write(&self.stream)
    }
}

impl<Context> Decode<Context> for LightfieldOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decoder.claim_bytes_read(2)?;
        let mut length = [0; 2];
        decoder.reader().read(&mut length)?;
        let length = usize::from(u16::from_le_bytes(length));
        if length > STREAM_BYTES_MAX {
            return Err(DecodeError::Other("a stream longer than any field's"));
        }
        decoder.claim_bytes_read(length)?;
        // At most 60,000 bytes, so the buffer may be reserved before the bytes are read.
        let mut stream = vec![0; length];
        decoder.reader().read(&mut stream)?;
        Ok(Self { stream })
    }
}

bincode::impl_borrow_decode!(LightfieldOutcome);
