//! Fuzzes the target `lightfield_task` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("lightfield_task", input));
