//! Fuzzes the target `kernel_process_from_worker` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("kernel_process_from_worker", input));
