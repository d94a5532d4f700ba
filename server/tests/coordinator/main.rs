//! The coordinator by itself: peers are messages that a test writes and reads, time is manual, the own kernel
//! runs inline. What goes over a network, and the real programs, are tested in `p2c2r_tests`.

mod admission;
mod attempts;
mod blobs;
mod caps;
mod charging;
mod checking;
mod choosing;
mod conduct;
mod conformance;
mod equal;
mod fairness;
mod fallback;
mod figures;
mod hedging;
mod hostile;
mod kept;
mod lifetime;
mod money;
mod own_kernel;
mod rate;
mod recalled;
mod recording;
mod scheduler;
mod settings;
mod stage;
mod stalling;
mod toy;
mod trust;
