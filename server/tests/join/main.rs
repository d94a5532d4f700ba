//! Joining from outside: what strangers, accounts and operators may rely on.

mod backup;
mod certificates;
mod client;
mod enrolment;
mod finding;
mod floods;
mod lab;
mod operator;
mod page;
mod pay;
mod pictures;
mod revoking;
mod service;
mod tokens;
mod town;
