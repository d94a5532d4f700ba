//! The link from the outside: real apps on manual time over a memory hub, and a few over UDP.

#[path = "link/harness.rs"]
mod harness;
#[path = "link/meeting.rs"]
mod meeting;
#[path = "link/udp.rs"]
mod udp;
