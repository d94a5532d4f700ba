//! No admissible spec makes a kernel take more steps than its work units pay for, and a stopped kernel ends
//! at its next look at the stop flag.
//!
//! Random specs and specs that a climb makes ever worse, per kind. The normal test is short; the long one
//! (`cargo test -p p2c2r_tasks --test fuel -- --ignored --nocapture`) tries 100,000 and 1,000 of each and
//! prints what it found, times included.

mod attack;
#[allow(dead_code, reason = "only fights are for fuel")]
#[path = "../tactics/situations.rs"]
mod fights;
mod honest;
mod lightfield;
#[allow(dead_code, reason = "not all of them are for fuel")]
#[path = "../reflection/scenes.rs"]
mod lit;
#[expect(dead_code, reason = "published costs are for the tests of paths")]
#[path = "../path/maps.rs"]
mod maps;
mod path;
mod physics;
mod reflection;
#[path = "../physics/scenes.rs"]
mod scenes;
#[path = "../seeded/mod.rs"]
mod seeded;
mod stops;
mod tactics;
mod worst;
