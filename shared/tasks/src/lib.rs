//! The kinds of work that P2C2R offloads: for each its input (spec), its answer (outcome), its ranges and work
//! units (admission), its computation (kernel), and how an answer is judged without trusting the worker that
//! gave it (checks).
//!
//! The worker, the coordinator's fallback and the game's local mode call the very same kernels. Nothing here
//! opens a socket, reads a clock, or knows an engine.
//!
//! | module | owns |
//! |---|---|
//! | [`fuel`] | how long a kernel may run |
//! | [`kind`] | the traits a kind implements, typed and erased |
//! | [`registry`] | which kinds a program has |
//! | [`gpu`] | which graphics processor a program computes on |
//! | [`blobs`] | content-addressed inputs that many specs share |
//! | [`path`] | many shortest paths on one occupancy grid |
//! | [`physics`] | rigid bodies that fly and collide |
//! | [`reflection`] | light around a point, ray traced |
//! | [`lightfield`] | light around many points of one scene, ray traced |
//! | [`tactics`] | plans for wingmen and bosses, by rollouts |

mod admission;
pub mod blobs;
pub mod fuel;
pub mod gpu;
pub mod kind;
pub mod lightfield;
pub mod path;
pub mod physics;
mod picking;
pub mod reflection;
pub mod registry;
pub mod tactics;

pub use blobs::{Blob, BlobStore, Blobs, KnownBlobs, Prepared};
pub use fuel::{Fuel, Fueled, OUT_OF_FUEL, Stop, StopOnDrop, is_out_of_fuel};
pub use kind::{CheckError, Kernel, KernelError, KernelUse, SpecError, TaskJob, TaskKind};
pub use registry::KindRegistry;
