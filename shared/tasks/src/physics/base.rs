//! A spec as changes of the bodies that an earlier outcome left: its bytes grow with the number of changes, not
//! with the number of bodies.

use std::borrow::Cow;
use std::cmp::Ordering;

use bincode::Decode;
use bincode::error::DecodeError;
use p2c2r_protocol::Digest;
use p2c2r_protocol::limits::BLOB_BYTES_MAX;

use super::bits::{BitReader, BitWriter};
use super::quanta::State;
use super::spec::{Body, PhysicsSpec, put_bodies, take_bodies};
use crate::admission::refuse;
use crate::blobs::{self, Blobs};
use crate::kind::SpecError;

/// The snapshot that a spec's bodies are changes of, and the bodies of it that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicsBase {
    /// Digest of the blob that an outcome left: see [`BodySnapshot`].
    pub digest: Digest,
    /// Ids of the snapshot's bodies that the spec does not have, rising.
    pub gone: Vec<u32>,
}

/// The bodies as an outcome leaves them. A later spec may name this as its [`PhysicsBase`].
///
/// Every program that has the outcome can make the snapshot, so it need not travel; others are sent it like
/// any blob. It proves nothing: a spec with a base is judged as the [whole](PhysicsSpec::whole) one that it
/// stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySnapshot {
    bodies: Vec<Body>,
}

impl BodySnapshot {
    /// The bodies of `spec`, which is whole, in the states `ends`.
    pub(super) fn new(spec: &PhysicsSpec, ends: &[State]) -> Self {
        let bodies = spec.bodies.iter().zip(ends).map(|(body, end)| Body { state: *end, ..*body });
        Self { bodies: bodies.collect() }
    }

    /// The bodies, ids rising.
    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    /// The snapshot as a blob; `None` if it is larger than a blob may be, which a thousand bodies in space
    /// already are.
    pub fn to_blob(&self) -> Option<Vec<u8>> {
        let mut bits = BitWriter::default();
        put_bodies(&mut bits, &self.bodies);
        let bytes = bits.finish();
        (bytes.len() <= BLOB_BYTES_MAX).then_some(bytes)
    }

    /// Undoes [`BodySnapshot::to_blob`].
    pub fn from_blob(bytes: &[u8]) -> Result<Self, String> {
        p2c2r_protocol::wire::decode_limited::<_, { 64 * BLOB_BYTES_MAX }>(bytes)
            .map_err(|error| error.to_string())
    }
}

impl<Context> Decode<Context> for BodySnapshot {
    fn decode<D: bincode::de::Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(decoder);
        let bodies = take_bodies(&mut bits)?;
        bits.finish()?;
        if !bodies.windows(2).all(|pair| pair[0].id < pair[1].id) {
            return Err(DecodeError::Other("the bodies' ids do not rise"));
        }
        Ok(Self { bodies })
    }
}

impl blobs::Prepared for BodySnapshot {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.bodies.len() * size_of::<Body>()
    }
}

impl PhysicsSpec {
    /// The spec with all its bodies and no base: the very same task. `blobs` must hold the base, if there is one.
    pub fn whole(&self, blobs: &Blobs) -> Result<Cow<'_, Self>, SpecError> {
        let Some(base) = &self.base else { return Ok(Cow::Borrowed(self)) };
        let snapshot = blobs.get(base.digest)?.prepared(BodySnapshot::from_blob)?;
        if !self.bodies.windows(2).all(|pair| pair[0].id < pair[1].id) {
            return refuse("the changed bodies' ids do not rise");
        }
        let mut bodies = Vec::with_capacity(snapshot.bodies.len() + self.bodies.len());
        let mut changed = self.bodies.iter().copied().peekable();
        let mut gone = base.gone.iter().copied().peekable();
        for body in &snapshot.bodies {
            while let Some(new) = changed.next_if(|new| new.id < body.id) {
                bodies.push(new);
            }
            let instead = changed.next_if(|new| new.id == body.id);
            match (gone.next_if_eq(&body.id), instead) {
                (None, None) => bodies.push(*body),
                (None, Some(new)) if new != *body => bodies.push(new),
                (Some(_), None) => {}
                // An unchanged or absent body has a shorter encoding, so this one is not canonical.
                _ => return refuse("a body listed as changed has not changed, or is also listed as gone"),
            }
        }
        bodies.extend(changed);
        if gone.next().is_some() {
            return refuse("a body listed as gone is not in the base, or not in order");
        }
        Ok(Cow::Owned(Self { base: None, bodies, ..self.clone() }))
    }

    /// The same task as changes of the snapshot `base`, whose blob is named `digest`. The spec is whole.
    #[must_use]
    pub fn changes_of(&self, base: &BodySnapshot, digest: Digest) -> Self {
        let (mut bodies, mut gone) = (Vec::new(), Vec::new());
        let (mut new, mut old) = (self.bodies.iter().peekable(), base.bodies.iter().peekable());
        loop {
            let order = match (new.peek(), old.peek()) {
                (Some(new), Some(old)) => new.id.cmp(&old.id),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            match order {
                Ordering::Less => bodies.extend(new.next()),
                Ordering::Greater => gone.extend(old.next().map(|body| body.id)),
                Ordering::Equal => {
                    let (new, old) = (new.next(), old.next());
                    bodies.extend(new.filter(|_| new != old));
                }
            }
        }
        Self { base: Some(PhysicsBase { digest, gone }), bodies, ..self.clone() }
    }
}
