//! The kind `path` seen from outside: published optima, an independent solver, lies, hostile bytes.

mod bytes;
mod contest;
mod lies;
mod maps;
mod optimal;
mod same;
#[path = "../seeded/mod.rs"]
mod seeded;
