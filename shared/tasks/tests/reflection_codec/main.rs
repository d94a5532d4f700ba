//! The codec and the filter of the kind `reflection`, from outside.

mod bytes;
mod contest;
mod light;
mod rivals;
mod same;
#[path = "../reflection/scenes.rs"]
mod scenes;
mod skies;
