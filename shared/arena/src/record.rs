//! The bytes that a digest of the state is taken over.

use p2c2r_protocol::Digest;

use crate::vec2::Vec2;

/// A growing byte string: every number in little-endian order, every list after its length.
#[derive(Default)]
pub(crate) struct Record(Vec<u8>);

/// State that can be written into a [`Record`]. Implementations destructure their type without `..`, so that
/// a field added later cannot be forgotten.
pub(crate) trait Recorded {
    /// Appends all of this state.
    fn record(&self, record: &mut Record);
}

impl Record {
    /// Appends one value.
    pub(crate) fn add(&mut self, value: &impl Recorded) {
        value.record(self);
    }

    /// Appends a list.
    pub(crate) fn list<T: Recorded>(&mut self, values: &[T]) {
        self.add(&(values.len() as u64));
        self.each(values);
    }

    /// Appends a fixed number of values.
    pub(crate) fn each<'a, T: Recorded + 'a>(&mut self, values: impl IntoIterator<Item = &'a T>) {
        for value in values {
            self.add(value);
        }
    }

    /// Digest of everything appended.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

macro_rules! recorded_numbers {
    ($($type:ty),*) => {
        $(impl Recorded for $type {
            fn record(&self, record: &mut Record) {
                record.0.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}

recorded_numbers!(u8, u16, u32, u64);

impl Recorded for f64 {
    fn record(&self, record: &mut Record) {
        record.add(&(self + 0.0).to_bits());
    }
}

impl Recorded for f32 {
    fn record(&self, record: &mut Record) {
        // Both zeros are one value to the rules (`min` and `max` may return either), so they are recorded as
        // one.
        record.add(&(self + 0.0).to_bits());
    }
}

impl Recorded for bool {
    fn record(&self, record: &mut Record) {
        record.add(&u8::from(*self));
    }
}

impl Recorded for Vec2 {
    fn record(&self, record: &mut Record) {
        let Self { x, y } = self;
        record.add(x);
        record.add(y);
    }
}
