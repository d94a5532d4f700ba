//! Behaviour of the whole: games, coordinator and workers in one cluster, each scenario in memory with manual
//! time and again over real sockets.

mod dispatch;
mod failover;
mod hostile_network;

/// Declares each scenario as two tests, one per wire.
macro_rules! on_both_wires {
    ($($scenario:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $scenario() { super::$scenario(p2c2r_tests::cluster::Wire::Memory); })*
        }
        mod over_udp {
            $(#[test] fn $scenario() { super::$scenario(p2c2r_tests::cluster::Wire::Udp); })*
        }
    };
}
pub(crate) use on_both_wires;
