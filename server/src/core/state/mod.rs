//! What the scheduler knows. Each module keeps its own invariants, behind private fields and narrow verbs.
//!
//! | module | owns |
//! |---|---|
//! | [`tasks`], [`queue`], [`timers`] | tasks in flight and who has them; fair shares of those that wait; when something is due |
//! | [`gamers`] | who plays, what they may spend, which task ids are spent |
//! | [`workers`], [`speed`] | offers and room, how long work takes |
//! | [`trust`] | how often whose answers are checked, and who may work |
//! | [`budgets`], [`submits`] | what open tasks and looking at submits may take |
//! | [`cache`], [`settled_before`] | outcomes to reuse, and the patient tasks from before the start that they belong to |
//! | [`checking`] | how much time checks may take, and the answers that wait for it |
//! | [`own_kernel`] | how fast and how busy the own kernel is |
//! | [`hedging`] | what second attempts may take |
//! | [`draws`] | random draws: who is asked, what is checked |
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
