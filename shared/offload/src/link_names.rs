//! Stand-ins until the link crate has them.
#![allow(missing_docs)]
use std::net::SocketAddr;
#[derive(Clone)]
pub enum ClientTransport {
    Udp { server: SocketAddr },
}
#[derive(Clone)]
pub struct Pace;
impl Pace {
    pub fn internet() -> Self {
        Self
    }
}
#[derive(Clone)]
pub struct Impairment;
#[derive(Clone, Default)]
pub struct Reconnect;
