//! Fuzzes the target `worker_from_kernel_process` of `tests/src/fuzzing.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| p2c2r_tests::fuzzing::run("worker_from_kernel_process", input));
