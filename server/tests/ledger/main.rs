//! The books from outside: what a coordinator may rely on, in order, after a crash, and with a damaged file.

mod accounts;
mod crash;
mod damage;
mod groups;
mod lab;
mod outcomes;
mod random;
mod restart;
mod settling;
