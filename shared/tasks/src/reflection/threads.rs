//! The threads that filter and pack a cube, and the flag that stops them. The result does not depend on them, bit
//! for bit.

use rayon::prelude::*;

use crate::fuel::{Fuel, Stop};
use crate::kind::KernelError;

/// The threads that share in a piece of work, and the flag that stops them.
pub(super) enum Threads<'a, 'f> {
    /// The calling thread, which spends this fuel: for kernels on cores, of which one runs per core.
    This(&'a mut Fuel<'f>),
    /// All of rayon's pool, and the flag that stops them: for kernels that otherwise wait for a graphics processor's
    /// next cube. The work's fuel is spent before it is begun.
    All(&'a Stop),
}

impl Threads<'_, '_> {
    /// Fills `out` in pieces of `len` elements (the last may be shorter); `fill` gets the index of each
    /// piece. All pieces together take `steps` steps; the stop flag may be checked before each piece.
    pub fn fill<T: Send>(
        &mut self,
        out: &mut [T],
        len: usize,
        steps: u64,
        fill: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<(), KernelError> {
        match self {
            Self::This(_) => {
                let pieces = out.len().div_ceil(len);
                for (number, piece) in out.chunks_mut(len).enumerate() {
                    self.spend(steps, number, pieces)?;
                    fill(number, piece);
                }
                Ok(())
            }
            Self::All(stop) => {
                let stop = *stop;
                out.par_chunks_mut(len).enumerate().try_for_each(|(number, piece)| {
                    stop.goes_on()?;
                    fill(number, piece);
                    Ok(())
                })
            }
        }
    }

    /// Called before piece `number` of `pieces`: spends its part of their `steps`, and checks the stop flag.
    pub fn spend(&mut self, steps: u64, number: usize, pieces: usize) -> Result<(), KernelError> {
        match self {
            Self::This(fuel) => {
                // In sum exactly `steps`, however many pieces there are.
                let until = |piece: usize| steps * piece as u64 / pieces as u64;
                fuel.spend(until(number + 1) - until(number))
            }
            Self::All(stop) => stop.goes_on(),
        }
    }

    /// The flag that stops them.
    pub fn stop(&self) -> &Stop {
        match self {
            Self::This(fuel) => fuel.stop(),
            Self::All(stop) => stop,
        }
    }
}

/// Does work on the calling thread, with endless fuel and without a stop flag.
pub(super) fn undisturbed<R>(work: impl FnOnce(&mut Threads<'_, '_>) -> Result<R, KernelError>) -> R {
    let never = Stop::never();
    let done = work(&mut Threads::This(&mut Fuel::endless(&never)));
    done.unwrap_or_else(|_| unreachable!("fuel without end that nobody stops"))
}
