//! Fuzzes the target `coordinator_from_peers` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("coordinator_from_peers", input));
