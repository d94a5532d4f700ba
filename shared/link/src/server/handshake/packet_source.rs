//! What counts as one source of packets: the smallest and the largest block that one stranger is likely to
//! hold.

use std::net::IpAddr;

/// A packet's source for limits. Equal numbers mean equal sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) struct PacketSource {
    /// One IPv4 address or one IPv6 /64.
    pub(in crate::server) narrow: u128,
    /// One IPv4 /24 or one IPv6 /48.
    pub(in crate::server) wide: u128,
}

impl PacketSource {
    pub(in crate::server) fn of(address: IpAddr) -> Self {
        // The low bits of an IPv6 prefix are free, so they tell the four kinds of number apart.
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = u128::from(address.to_bits()) << 64;
                Self { narrow: bits | 1, wide: bits >> 72 << 72 | 2 }
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                Self { narrow: bits >> 64 << 64 | 3, wide: bits >> 80 << 80 | 4 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> PacketSource {
        PacketSource::of(text.parse().unwrap())
    }

    #[test]
    fn sources_are_told_apart_by_what_one_customer_holds() {
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"), "one address, however it is written");
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::"), "one customer's /64");
        for (one, other) in [("192.0.2.1", "192.0.2.254"), ("2001:db8:1:2::1", "2001:db8:1:3::1")] {
            assert_eq!(source(one).wide, source(other).wide);
            assert_ne!(source(one).narrow, source(other).narrow);
        }
        for (one, other) in
            [("192.0.2.1", "192.0.3.1"), ("2001:db8:1::1", "2001:db8:2::1"), ("0.0.0.0", "::")]
        {
            assert_ne!(source(one).wide, source(other).wide);
        }
    }
}
