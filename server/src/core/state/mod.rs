//! What the scheduler knows. Each module keeps its own invariants, behind private fields and narrow verbs.
//!
//! | module | owns |
//! |---|---|
//! | [`tasks`], [`timers`] | tasks in flight and their phases; when something is due for them |
//! | [`gamers`] | who plays, what they may spend, which task ids are spent |
//! | [`workers`], [`speed`] | offers and room, how long work takes |
//! | [`trust`] | how often whose answers are checked, and who may work |
//! | [`budgets`], [`submits`] | what open tasks and looking at submits may take |
//! | [`cache`] | outcomes to reuse |
//! | [`checking`] | how much time checks may take, and the answers that wait for it |
//! | [`own_kernel`] | how fast and how busy the own kernel is |
//! | [`draws`] | random draws: who is asked, what is checked |
//! | [`tally`] | counts |

pub mod budgets;
pub mod cache;
pub mod checking;
pub mod draws;
pub mod gamers;
mod known_blobs;
pub mod own_kernel;
mod rations;
pub mod speed;
pub mod submits;
pub mod tally;
pub mod tasks;
pub mod timers;
pub mod trust;
pub mod workers;
