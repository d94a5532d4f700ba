//! Behaviour of the whole: games, coordinator and workers in one cluster, each scenario for every kind, in memory
//! with manual time and again over real sockets.

mod accounts;
mod bases;
mod cheats;
mod dispatch;
mod distance;
mod failover;
mod fuzz_corpus;
mod hostile_network;
mod hostile_workers;
mod privacy;
mod recalled;
mod redteam;
mod together;

/// Declares one test of each scenario for every kind and wire. Add a kind here when it is added to `puzzles::KINDS`;
/// `together` fails for one that nobody has thought of.
macro_rules! for_every_kind {
    ($($scenario:ident),* $(,)?) => {
        crate::for_one_kind!(path, PATH, $($scenario),*);
        crate::for_one_kind!(physics, PHYSICS, $($scenario),*);
        crate::for_one_kind!(reflection, REFLECTION, $($scenario),*);
        crate::for_one_kind!(lightfield, LIGHTFIELD, $($scenario),*);
        crate::for_one_kind!(tactics, TACTICS, $($scenario),*);
    };
}
pub(crate) use for_every_kind;

macro_rules! for_one_kind {
    ($module:ident, $kind:ident, $($scenario:ident),*) => {
        mod $module {
            use p2c2r_tests::puzzles::$kind as KIND;

            mod in_memory {
                $(#[test] fn $scenario() {
                    super::super::$scenario(p2c2r_tests::cluster::ClusterWire::Memory, super::KIND);
                })*
            }
            mod over_udp {
                $(#[test] fn $scenario() {
                    super::super::$scenario(p2c2r_tests::cluster::ClusterWire::Udp, super::KIND);
                })*
            }
        }
    };
}
pub(crate) use for_one_kind;
