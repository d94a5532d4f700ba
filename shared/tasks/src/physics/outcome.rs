//! The outcome of the kind `physics`: per segment, the touched bodies and the contacts, as a stream.

use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::base::BodySnapshot;
use super::kernel::{advance, slowed, starts};
use super::meet::SegmentStart;
use super::quanta::State;
use super::scene::PhysicsScene;
use super::spec::PhysicsSpec;
use super::stream::{Packing, Unpacking};
use super::{admit, judged};
use crate::blobs::Blobs;
use crate::fuel::Stop;
use crate::kind::{CheckError, SpecError};

/// Stands for the walls where a contact names a second body.
pub const WALL: u16 = u16::MAX;

/// How hard a contact was: newton seconds in quarter octaves, 0 for less than 2^-10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Impulse(pub u8);

/// Exponent and upper two bits of the mantissa of 2^-10 as an `f32`.
const IMPULSE_BASE: u32 = (127 - 10) << 2;

impl Impulse {
    /// The class that holds `newton_seconds`; NaN and negative values give class 0.
    pub fn of(newton_seconds: f32) -> Self {
        let class = (newton_seconds.max(0.0).to_bits() >> 21) as i64 - i64::from(IMPULSE_BASE) + 1;
        Self(class.clamp(0, 255) as u8)
    }

    /// Newton seconds in the middle of the class: within an eighth of what was measured.
    pub fn newton_seconds(self) -> f32 {
        if self.0 == 0 {
            return 0.0;
        }
        f32::from_bits(((u32::from(self.0) - 1 + IMPULSE_BASE) << 21) | 1 << 20)
    }
}

/// A body that something touched in a segment, at the segment's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Index into the spec's bodies.
    pub body: u16,
    /// Its state at the segment's end.
    pub state: State,
}

/// Two bodies, or a body and the walls, that touched in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Step of the segment in which they first touched, from 0; the contact is at the step's start.
    pub tick: u8,
    /// Index of the body with the lower id.
    pub a: u16,
    /// Index of the other body, or [`WALL`].
    pub b: u16,
    /// Sum of all normal impulses between the two in the segment.
    pub impulse: Impulse,
}

/// The bodies touched in a segment and their contacts: all that the formula does not give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// By body.
    pub touched: Vec<Touched>,
    /// By tick, then by bodies; a pair has one.
    pub contacts: Vec<Contact>,
}

/// The answer: as many segments as were asked for, as a stream that can be read only with the spec.
/// Every list of segments has exactly one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhysicsOutcome {
    stream: Vec<u8>,
}

impl PhysicsOutcome {
    pub(super) fn new(stream: Vec<u8>) -> Self {
        Self { stream }
    }

    pub(super) fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// Bytes of its encoding.
    pub fn bytes(&self) -> usize {
        2 + self.stream.len()
    }

    /// The outcome that claims `segments` of `spec`, true or false. Parts that no outcome can express are left out:
    /// contacts of unknown bodies, states of untouched bodies, segments beyond the last. Fails if the spec is
    /// not admissible, or if the segments lead to a crowd.
    pub fn of(spec: &PhysicsSpec, blobs: &Blobs, segments: &[Segment]) -> Result<Self, SpecError> {
        let scene = admit::in_range(spec, blobs)?;
        let (mut states, mut packing) = (starts(&scene), Packing::new());
        for number in 0..usize::from(scene.spec.segments) {
            let segment = segments.get(number).cloned().unwrap_or_default();
            let ground = SegmentStart::of(&scene, &states, &Stop::never())
                .map_err(|_| SpecError::OutOfRange("more pairs meet than are computed".into()))?;
            let segment = packing.add(&scene, &states, &ground, &segment);
            states = slowed(&scene, advance(&scene, &states, &segment));
        }
        Ok(packing.finish())
    }

    /// Its segments, true or false: an outcome must pass the kind's checks before it is believed. `blobs`
    /// must hold the spec's base, if there is one.
    pub fn unfold(&self, spec: &PhysicsSpec, blobs: &Blobs) -> Result<Vec<Segment>, CheckError> {
        self.unfold_in(&judged(spec, blobs)?).map(|(segments, _)| segments)
    }

    /// The bodies as it leaves them, for a later spec to name as its [`PhysicsBase`](super::PhysicsBase).
    pub fn snapshot(&self, spec: &PhysicsSpec, blobs: &Blobs) -> Result<BodySnapshot, CheckError> {
        let scene = judged(spec, blobs)?;
        let (_, ends) = self.unfold_in(&scene)?;
        Ok(BodySnapshot::new(&scene.spec, &ends))
    }

    /// Its segments, and the states of all bodies at the end.
    fn unfold_in(&self, scene: &PhysicsScene<'_>) -> Result<(Vec<Segment>, Vec<State>), CheckError> {
        let mut ends: Vec<State> = scene.spec.bodies.iter().map(|body| body.state).collect();
        let (mut segments, mut unpacking) = (Vec::new(), Unpacking::new(self));
        for _ in 0..scene.spec.segments {
            let states = slowed(scene, ends);
            let ground = SegmentStart::of(scene, &states, &Stop::never()).map_err(|_| not_packed())?;
            let segment = unpacking.next(scene, &states, &ground).ok_or_else(not_packed)?;
            ends = advance(scene, &states, &segment);
            segments.push(segment);
        }
        if unpacking.at_end() { Ok((segments, ends)) } else { Err(not_packed()) }
    }
}

/// The error for a stream that no outcome of its spec has.
pub(super) fn not_packed() -> CheckError {
    CheckError::new("physics.stream", "the stream is not that of an outcome of this spec")
}

impl Encode for PhysicsOutcome {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let writer = encoder.writer();
        // A longer stream gets a length that does not match, which no decoder accepts.
        writer.write(&(self.stream.len() as u16).to_le_bytes())?;
        writer.write(&self.stream)
    }
}

impl<Context> Decode<Context> for PhysicsOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decoder.claim_bytes_read(2)?;
        let mut length = [0; 2];
        decoder.reader().read(&mut length)?;
        let length = usize::from(u16::from_le_bytes(length));
        decoder.claim_bytes_read(length)?;
        // At most 65,535 bytes, so the buffer may be reserved before the bytes are read.
        let mut stream = vec![0; length];
        decoder.reader().read(&mut stream)?;
        Ok(Self { stream })
    }
}

bincode::impl_borrow_decode!(PhysicsOutcome);
