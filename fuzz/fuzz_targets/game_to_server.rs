//! Fuzzes the target `game_to_server` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("game_to_server", input));
