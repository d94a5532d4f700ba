//! The codec and the filter of the kind `reflection`, from outside.

mod bytes;
mod contest;
mod light;
mod skies;
