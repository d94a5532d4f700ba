//! The books from outside: what a coordinator may rely on, in order, after a crash, and with a damaged file.

mod accounts;
mod clocks;
mod configured;
mod convictions;
mod crash;
mod crowding;
mod damage;
mod export;
#[cfg(target_os = "linux")]
mod file;
mod folding;
#[cfg(target_os = "linux")]
mod folding_cost;
mod groups;
mod heads;
mod lab;
mod outcomes;
mod payouts;
mod random;
mod restart;
mod settling;
mod splitting;
mod trust;
