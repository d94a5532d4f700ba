//! Fuzzes the target `game_to_server` of `tests/src/fuzzing.rs`.

#![no_main]

#[path = "../../tests/src/fuzzing.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzing::run("game_to_server", input));
