//! What is answered, and how it travels: per segment, the touched bodies and the contacts, in packed columns.

use bincode::de::Decoder;
use bincode::enc::{Encoder, write::Writer};
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::bits::{BitReader, BitWriter, count_width};
use super::quanta::State;
use super::spec::{put_states, take_states};
use super::{BODIES_MAX, CONTACTS_MAX, SEGMENTS_MAX};

/// Stands for the walls where a contact names a second body.
pub const WALL: u16 = u16::MAX;

/// How hard a contact was: newton seconds in quarter octaves, 0 for less than 2^-10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Impulse(pub u8);

/// Exponent and upper two bits of the mantissa of 2^-10 as an `f32`.
const IMPULSE_BASE: u32 = (127 - 10) << 2;

impl Impulse {
    /// The class that holds `newton_seconds`; NaN and what is below zero are none.
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

/// What happened in a segment, but for what the formula says anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// By body.
    pub touched: Vec<Touched>,
    /// By tick, then by bodies; a pair has one.
    pub contacts: Vec<Contact>,
}

/// What is answered: as many segments as were asked for.
///
/// Encoded as packed columns, some 16 bytes per touched planar body and 3 per contact; every value of the type
/// has exactly one encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhysicsOutcome {
    /// In order of time.
    pub segments: Vec<Segment>,
}

/// Differences of neighbours, which small gaps make small; wraps, so that any list has them.
fn gaps(values: impl Iterator<Item = u16> + Clone) -> impl Iterator<Item = u32> + Clone {
    let before = std::iter::once(u16::MAX).chain(values.clone());
    values.zip(before).map(|(value, before)| value.wrapping_sub(before).wrapping_sub(1).into())
}

impl Segment {
    fn put(&self, bits: &mut BitWriter) {
        // Lists over their limits are cut to a count that no decoder accepts.
        let touched = &self.touched[..self.touched.len().min(BODIES_MAX + 1)];
        bits.put(touched.len() as u32, count_width(BODIES_MAX));
        bits.column(gaps(touched.iter().map(|touched| touched.body)));
        put_states(bits, touched.iter().map(|touched| &touched.state));
        let contacts = &self.contacts[..self.contacts.len().min(CONTACTS_MAX + 1)];
        bits.put(contacts.len() as u32, count_width(CONTACTS_MAX));
        let mut before = 0;
        let ticks: Vec<u32> = contacts
            .iter()
            .map(|contact| u32::from(contact.tick.wrapping_sub(std::mem::replace(&mut before, contact.tick))))
            .collect();
        bits.column(ticks.iter().copied());
        bits.column(contacts.iter().map(|contact| contact.a.into()));
        bits.column(contacts.iter().map(|contact| contact.b.wrapping_add(1).into()));
        bits.column(contacts.iter().map(|contact| contact.impulse.0.into()));
    }

    fn take<D: Decoder>(bits: &mut BitReader<'_, D>) -> Result<Self, DecodeError> {
        let small = u32::from(u16::MAX);
        let count = bits.count(BODIES_MAX)?;
        let gaps = bits.column(count, small)?;
        let states = take_states(bits, count)?;
        let mut body = u16::MAX;
        let touched = gaps.into_iter().zip(states).map(|(gap, state)| {
            body = body.wrapping_add(gap as u16).wrapping_add(1);
            Touched { body, state }
        });
        let touched = touched.collect();
        let count = bits.count(CONTACTS_MAX)?;
        let ticks = bits.column(count, u8::MAX.into())?;
        let (a, b) = (bits.column(count, small)?, bits.column(count, small)?);
        let impulses = bits.column(count, u8::MAX.into())?;
        let mut tick = 0u8;
        let contacts = ticks.into_iter().zip(a).zip(b).zip(impulses).map(|(((gap, a), b), impulse)| {
            tick = tick.wrapping_add(gap as u8);
            Contact { tick, a: a as u16, b: (b as u16).wrapping_sub(1), impulse: Impulse(impulse as u8) }
        });
        Ok(Self { touched, contacts: contacts.collect() })
    }
}

impl Encode for PhysicsOutcome {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let mut bits = BitWriter::default();
        let segments = &self.segments[..self.segments.len().min(SEGMENTS_MAX + 1)];
        bits.put(segments.len() as u32, count_width(SEGMENTS_MAX));
        for segment in segments {
            segment.put(&mut bits);
        }
        encoder.writer().write(&bits.finish())
    }
}

impl<Context> Decode<Context> for PhysicsOutcome {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(decoder);
        let count = bits.count(SEGMENTS_MAX)?;
        let mut segments = Vec::new();
        for _ in 0..count {
            segments.push(Segment::take(&mut bits)?);
        }
        bits.finish()?;
        Ok(Self { segments })
    }
}

bincode::impl_borrow_decode!(PhysicsOutcome);
