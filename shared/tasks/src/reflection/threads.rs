//! Which threads filter and pack a cube. The result is the same for all, bit for bit.

use rayon::prelude::*;

/// Which threads share in a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// The calling thread: for kernels on cores, of which one runs per core.
    This,
    /// All of rayon's pool: for kernels that otherwise wait for a graphics processor's next cube.
    All,
}

impl Threads {
    /// Fills `out` in pieces of `len` elements (the last may be shorter); `fill` gets the index of each
    /// piece.
    pub fn fill<T: Send>(self, out: &mut [T], len: usize, fill: impl Fn(usize, &mut [T]) + Sync) {
        match self {
            Self::This => out.chunks_mut(len).enumerate().for_each(|(number, piece)| fill(number, piece)),
            Self::All => out.par_chunks_mut(len).enumerate().for_each(|(number, piece)| fill(number, piece)),
        }
    }
}
