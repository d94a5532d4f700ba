//! The kind `lightfield` from outside: what equal specs give, what travels, what admission refuses, what checks catch.

mod bytes;
mod fields;
mod judged;
mod same;
#[path = "../reflection/scenes.rs"]
#[allow(dead_code, reason = "only arenas are lit here")]
mod scenes;
