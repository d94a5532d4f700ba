//! The operations on the scheduler's state: one verb per file.

pub mod admit;
pub mod blame;
pub mod charge;
pub mod choose;
pub mod deliver;
pub mod fall_back;
pub mod follow;
pub mod hand_out;
pub mod hedge;
pub mod join;
pub mod judge;
pub mod lease;
pub mod part;
pub mod reuse;
pub mod settle;
pub mod state_accounts;
pub mod take_over;
