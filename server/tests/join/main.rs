//! Joining from outside: what strangers, accounts and operators may rely on.

mod certificates;
mod client;
mod enrolment;
mod floods;
mod lab;
mod operator;
mod tokens;
