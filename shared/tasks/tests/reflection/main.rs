//! The kind `reflection`: light that is right, bytes that are bounded, answers that are equal, lies that are caught.

mod bytes;
mod contest;
mod honest;
mod lies;
mod rays;
mod same;
mod scenes;
#[path = "../seeded/mod.rs"]
mod seeded;
mod truths;
