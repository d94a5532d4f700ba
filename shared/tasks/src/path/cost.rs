//! Exact octile costs: pairs of integers, compared as the real numbers they stand for.

use std::cmp::Ordering;
use std::ops::Add;

use bincode::{Decode, Encode};

/// The exact cost of a path: `straight` steps of length 1 and `diagonal` steps of length √2.
///
/// Two costs are equal only if both counts are, since √2 is irrational; `Ord` compares the real numbers
/// without rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Cost {
    /// Steps along a row or column.
    pub straight: u32,
    /// Steps along a diagonal.
    pub diagonal: u32,
}

impl Cost {
    /// The cost of staying.
    pub const ZERO: Self = Self { straight: 0, diagonal: 0 };

    /// The least cost of any path between cells `dx` columns and `dy` rows apart.
    pub fn octile(dx: u32, dy: u32) -> Self {
        let diagonal = dx.min(dy);
        Self { straight: dx.max(dy) - diagonal, diagonal }
    }

    /// The cost as a length in cells. For display and for comparison with published, rounded figures only.
    pub fn value(self) -> f64 {
        f64::from(self.straight) + f64::from(self.diagonal) * std::f64::consts::SQRT_2
    }
}

impl Add for Cost {
    type Output = Self;
    /// Saturates; a path inside the limits of [`crate::path`] is far from doing so.
    fn add(self, rhs: Self) -> Self {
        Self {
            straight: self.straight.saturating_add(rhs.straight),
            diagonal: self.diagonal.saturating_add(rhs.diagonal),
        }
    }
}

impl Ord for Cost {
    fn cmp(&self, other: &Self) -> Ordering {
        // s + d√2 < 0 is decided by the signs where they agree, and else by comparing s² with 2d².
        let s = i128::from(self.straight) - i128::from(other.straight);
        let d = i128::from(self.diagonal) - i128::from(other.diagonal);
        match (s.cmp(&0), d.cmp(&0)) {
            (sign, Ordering::Equal) | (Ordering::Equal, sign) => sign,
            (a, b) if a == b => a,
            (Ordering::Greater, _) => (s * s).cmp(&(2 * d * d)),
            _ => (2 * d * d).cmp(&(s * s)),
        }
    }
}

impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
