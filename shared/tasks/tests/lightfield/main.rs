//! The kind `lightfield` from outside: equal outcomes of equal specs, encodings, admission and checks.

mod bytes;
mod fields;
mod judged;
mod same;
#[path = "../reflection/scenes.rs"]
#[allow(dead_code, reason = "only arenas are lit here")]
mod scenes;
#[path = "../seeded/mod.rs"]
mod seeded;
