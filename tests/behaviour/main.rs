//! Behaviour of the whole: games, coordinator and workers in one in-memory cluster, then over UDP.
