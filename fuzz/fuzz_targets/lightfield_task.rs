//! Fuzzes the target `lightfield_task` of `tests/src/fuzzing.rs`.

#![no_main]

#[path = "../../tests/src/fuzzing.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzing::run("lightfield_task", input));
