//! Which threads filter and pack a cube. What comes out is the same, bit for bit.

use rayon::prelude::*;

/// Which threads share in a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// The one that calls: kernels on cores, of which as many run as there are cores.
    This,
    /// All of rayon's pool: what waits for a graphics processor's next cube.
    All,
}

impl Threads {
    /// Fills `out` in pieces of `len` elements, the last of what is left; `fill` is told the number of each.
    pub fn fill<T: Send>(self, out: &mut [T], len: usize, fill: impl Fn(usize, &mut [T]) + Sync) {
        match self {
            Self::This => out.chunks_mut(len).enumerate().for_each(|(number, piece)| fill(number, piece)),
            Self::All => out.par_chunks_mut(len).enumerate().for_each(|(number, piece)| fill(number, piece)),
        }
    }
}
