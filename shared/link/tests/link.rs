//! The link from the outside: real apps on manual time over a memory hub, and a few over UDP.

#[path = "link/harness.rs"]
mod harness;
#[path = "link/headless.rs"]
mod headless;
#[path = "link/hostile.rs"]
mod hostile;
#[path = "link/meeting.rs"]
mod meeting;
#[path = "link/raw.rs"]
mod raw;
#[path = "link/spares.rs"]
mod spares;
#[path = "link/strangers.rs"]
mod strangers;
#[path = "link/traffic.rs"]
mod traffic;
#[path = "link/udp.rs"]
mod udp;
