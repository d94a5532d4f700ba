//! The codec and the filter of the kind `reflection`, from outside.

mod bytes;
mod contest;
mod light;
mod rivals;
mod same;
#[allow(dead_code, reason = "not all scenes of the kernel's tests are packed")]
#[path = "../reflection/scenes.rs"]
mod scenes;
#[path = "../seeded/mod.rs"]
mod seeded;
mod skies;
