//! The kind `tactics` from outside: equal outcomes of equal specs, encodings, admission, checks, and better plans by
//! deeper search.

mod bytes;
mod deeper;
mod judged;
mod same;
#[path = "../seeded/mod.rs"]
mod seeded;
mod situations;
