//! The scheduler's state. Each module keeps its own invariants, behind private fields and narrow verbs.
//!
//! | module | owns |
//! |---|---|
//! | [`tasks`], [`queue`], [`timers`] | tasks in flight and their attempts; the order of waiting tasks; timers |
//! | [`gamers`] | connected gamers, what their accounts may spend, which task ids are used up |
//! | [`workers`], [`speed`] | connected workers, their offers and room; how long work takes |
//! | [`trust`] | how often each worker's answers are checked, and which workers are quarantined |
//! | [`budgets`], [`submits`] | limits on the memory of open tasks, and on the time for examining submits |
//! | [`cache`], [`settled_before`] | outcomes to reuse, and the patient tasks from before the start that they belong to |
//! | [`checking`] | how much time checks may take, and the answers that wait for it |
//! | [`own_kernel`] | how fast and how busy the own kernel is |
//! | [`hedging`] | the budget of second attempts |
//! | [`exploring`] | when a worker is tried that would not be chosen |
//! | [`draws`] | random draws: which workers are compared, which answers are checked |
//! | [`tally`] | counts |

pub mod budgets;
pub mod cache;
pub mod checking;
pub mod draws;
pub mod exploring;
pub mod gamers;
pub mod hedging;
pub mod own_kernel;
pub mod queue;
mod rate_limits;
pub mod settled_before;
pub mod speed;
pub mod submits;
pub mod tally;
pub mod tasks;
pub mod timers;
pub mod trust;
pub mod workers;
