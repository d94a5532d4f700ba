//! Fuzzes the target `https_answer` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("https_answer", input));
