//! The kind `physics` seen from outside: sameness, honesty, lies, hostile bytes, and the formula against the
//! engine.

mod base;
mod bytes;
mod contest;
mod lies;
mod motion;
mod rubble;
mod same;
mod scenes;
#[path = "../seeded/mod.rs"]
mod seeded;
mod sound;
