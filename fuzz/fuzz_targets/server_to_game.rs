//! Fuzzes the target `server_to_game` of `tests/src/fuzzing.rs`.

#![no_main]

#[path = "../../tests/src/fuzzing.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzing::run("server_to_game", input));
