//! The dispatch bench as a program.

fn main() {}
