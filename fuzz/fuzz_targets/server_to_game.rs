//! Fuzzes the target `server_to_game` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("server_to_game", input));
