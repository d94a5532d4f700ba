//! Money is integer nano-dollars; floats never touch it.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::KindId;

/// An amount in nano-dollars (10⁻⁹ USD). `i64` holds ±9.2 billion dollars; arithmetic that would leave that
/// range panics in debug builds and saturates in release builds, so a sum can never wrap to the other sign.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Nanos(pub i64);

impl Nanos {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// One US dollar.
    pub const DOLLAR: Self = Self(1_000_000_000);

    /// The amount in dollars, for display and charts only.
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / Self::DOLLAR.0 as f64
    }

    /// The sum, at most the largest amount there is: for amounts that a peer names, which may be as large as it likes. `+` is
    /// for amounts whose sum fits, and says so in builds with assertions.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        debug_assert!(self.0.checked_add(rhs.0).is_some(), "nano-dollar overflow");
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        debug_assert!(self.0.checked_sub(rhs.0).is_some(), "nano-dollar overflow");
        Self(self.0.saturating_sub(rhs.0))
    }
}

impl Neg for Nanos {
    type Output = Self;
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl SubAssign for Nanos {
    fn sub_assign(&mut self, rhs: Self) {
        *self = *self - rhs;
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// `$1.50`, `$0.000065`, `-$0.02`: at least two decimals and never a rounded one.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let decimals = format!("{:09}", magnitude % 1_000_000_000);
        let kept = decimals.trim_end_matches('0').len().max(2);
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}${}.{}", magnitude / 1_000_000_000, &decimals[..kept]))
    }
}

/// The least that a task costs, of a kind whose rate is not zero. Recording a task and keeping its rows for a
/// day costs an operator about 1 nano-dollar of processor and disk at the default prices; a lower minimum
/// would let a peer fill disks almost for nothing.
pub const TASK_PRICE_MIN: Nanos = Nanos(5);

/// What a task is worth, computed from its spec by the coordinator. One unit is calibrated to one
/// microsecond of a reference CPU core; no one's measured time enters it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct WorkUnits(pub u64);

/// What computes an outcome, as far as prices tell devices apart.
///
/// Whoever computes declares it. Work on a graphics processor costs less, so a false claim of one earns less
/// for the same task.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// Processor cores.
    #[default]
    Cores,
    /// A graphics processor.
    Graphics,
}

/// What work costs, set by the operator and versioned so that a receipt can name the list it was priced by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct PriceList {
    /// Grows with every change.
    pub version: u32,
    /// Nano-dollars for a million work units (one core-second), per kind. A kind that is absent is not sold.
    pub nanos_per_mega_unit: Vec<(KindId, u64)>,
    /// The same for units done on graphics processors, which do many cores' work at a time. A kind that is
    /// absent costs the same as on cores, and no kind costs more than on cores.
    pub graphics_nanos_per_mega_unit: Vec<(KindId, u64)>,
    /// The coordinator's share of what the gamer pays, in hundredths of a per cent (1,000 is 10 %).
    pub fee_basis_points: u32,
}

/// How a task's price is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the worker earns.
    pub worker: Nanos,
    /// What the coordinator keeps.
    pub fee: Nanos,
}

impl PriceList {
    /// What the gamer pays for `units` of `kind` done on cores, which is also the most that they cost on any device. It is
    /// rounded up to a whole nano-dollar, and at least [`TASK_PRICE_MIN`] unless the kind's rate is zero; `None` if the
    /// kind is not sold or the price leaves the range of [`Nanos`].
    pub fn price(&self, kind: KindId, units: WorkUnits) -> Option<Nanos> {
        priced(&self.nanos_per_mega_unit, kind, units)
    }

    /// What the gamer pays for `units` of `kind` done on `device`.
    pub fn price_on(&self, device: Device, kind: KindId, units: WorkUnits) -> Option<Nanos> {
        let most = self.price(kind, units)?;
        let there = match device {
            Device::Cores => None,
            Device::Graphics => priced(&self.graphics_nanos_per_mega_unit, kind, units),
        };
        Some(there.map_or(most, |price| price.min(most)))
    }

    /// What a cached answer costs instead of `price`: the fee, but [`TASK_PRICE_MIN`] at the least, unless
    /// the task itself costs less. A free answer could be asked for without end, and each adds a row to the
    /// ledger.
    pub fn reuse(&self, price: Nanos) -> Nanos {
        self.fee(price).max(TASK_PRICE_MIN.min(price))
    }

    /// The coordinator's share of `price`, rounded half up.
    pub fn fee(&self, price: Nanos) -> Nanos {
        Nanos(self.fee_parts(price, 5_000).div_euclid(10_000) as i64)
    }

    /// Shares `price` between worker and coordinator; the parts add up exactly. The fraction of a nano-dollar
    /// of the fee that cannot be charged stays in `carry` for the next task, so that over many tasks the
    /// coordinator's part is the fee to within one nano-dollar.
    pub fn split(&self, price: Nanos, carry: &mut FeeCarry) -> Split {
        let parts = self.fee_parts(price, i128::from(carry.0));
        carry.0 = parts.rem_euclid(10_000) as i64;
        let fee = Nanos(parts.div_euclid(10_000) as i64);
        Split { worker: price - fee, fee }
    }

    /// The fee on `price` and `carry`, in ten-thousandths of a nano-dollar.
    fn fee_parts(&self, price: Nanos, carry: i128) -> i128 {
        i128::from(price.0) * i128::from(self.fee_basis_points) + carry
    }
}

/// The price of `units` at the rate that `rates` has for `kind`.
fn priced(rates: &[(KindId, u64)], kind: KindId, units: WorkUnits) -> Option<Nanos> {
    let (_, rate) = rates.iter().find(|(id, _)| *id == kind)?;
    let price = (u128::from(units.0) * u128::from(*rate)).div_ceil(1_000_000);
    let least = if *rate == 0 { Nanos::ZERO } else { TASK_PRICE_MIN };
    i64::try_from(price).ok().map(|price| Nanos(price).max(least))
}

/// The part of the fee below one nano-dollar, which is charged with later tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeeCarry(i64);

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> PriceList {
        PriceList {
            version: 1,
            nanos_per_mega_unit: vec![(KindId(1), 46_296)],
            graphics_nanos_per_mega_unit: Vec::new(),
            fee_basis_points: 1_000,
        }
    }

    #[test]
    fn work_on_a_graphics_processor_costs_what_the_list_says_and_never_more_than_on_cores() {
        let units = WorkUnits(1_000_000);
        let on = |rates: &[u64]| {
            let graphics_nanos_per_mega_unit = rates.iter().map(|rate| (KindId(1), *rate)).collect();
            let list = PriceList { graphics_nanos_per_mega_unit, ..list() };
            let price = |device| list.price_on(device, KindId(1), units).unwrap();
            (price(Device::Cores).0, price(Device::Graphics).0)
        };
        assert_eq!(on(&[11_574]), (46_296, 11_574));
        assert_eq!(on(&[]), (46_296, 46_296), "no price of its own");
        assert_eq!(on(&[90_000]), (46_296, 46_296), "a list that says more");
        assert_eq!(on(&[0]), (46_296, 0), "given away");
        assert_eq!(list().price_on(Device::Graphics, KindId(2), units), None, "not sold");
    }

    #[test]
    fn amounts_print_exactly() {
        assert_eq!(Nanos(1_500_000_000).to_string(), "$1.50");
        assert_eq!(Nanos(65_000).to_string(), "$0.000065");
        assert_eq!(Nanos(-1).to_string(), "-$0.000000001");
        assert_eq!(Nanos(0).to_string(), "$0.00");
        assert_eq!(Nanos(i64::MIN).to_string(), "-$9223372036.854775808");
    }

    #[test]
    fn prices_round_up_and_splits_add_up() {
        assert_eq!(list().price(KindId(1), WorkUnits(120)), Some(Nanos(6)));
        assert_eq!(list().price(KindId(1), WorkUnits(1_000_000)), Some(Nanos(46_296)));
        assert_eq!(list().price(KindId(2), WorkUnits(1)), None);
        assert_eq!(list().price(KindId(1), WorkUnits(u64::MAX)), Some(Nanos(854_010_463_636_457_402)));
        let mut carry = FeeCarry::default();
        for price in 0..1_000 {
            let split = list().split(Nanos(price), &mut carry);
            assert_eq!(split.worker + split.fee, Nanos(price));
            assert!(split.fee.0 >= 0 && split.worker.0 >= 0);
        }
    }

    #[test]
    fn nothing_that_is_sold_is_free_to_ask_for_even_again_and_again() {
        let free = PriceList { nanos_per_mega_unit: vec![(KindId(1), 0)], ..list() };
        for units in [0, 1, 10, 1_000, u64::MAX] {
            let price = list().price(KindId(1), WorkUnits(units)).unwrap();
            let again = list().reuse(price);
            assert!(
                price >= TASK_PRICE_MIN && again >= TASK_PRICE_MIN && again <= price,
                "{units}: {price}, {again}"
            );
            let price = free.price(KindId(1), WorkUnits(units)).unwrap();
            assert_eq!(
                (price, free.reuse(price)),
                (Nanos::ZERO, Nanos::ZERO),
                "an operator may give work away"
            );
        }
        let no_fee = PriceList { fee_basis_points: 0, ..list() };
        assert_eq!(no_fee.reuse(Nanos(1_000)), TASK_PRICE_MIN);
        assert_eq!(list().reuse(Nanos(1_000)), Nanos(100));
    }

    #[test]
    fn the_fee_on_prices_too_small_to_split_adds_up_over_many() {
        let (mut carry, mut fee, mut paid) = (FeeCarry::default(), Nanos::ZERO, Nanos::ZERO);
        for _ in 0..1_000 {
            let split = list().split(Nanos(2), &mut carry);
            fee += split.fee;
            paid += split.worker;
        }
        assert_eq!((fee, paid), (Nanos(200), Nanos(1_800)));
    }

    #[test]
    fn an_answer_computed_before_costs_the_fee_and_never_nothing() {
        let reused = [0, 1, 4, 5, 100].map(|price| list().reuse(Nanos(price)).0);
        assert_eq!(reused, [0, 1, 4, 5, 10]);
    }

    #[test]
    fn a_core_fully_used_for_an_hour_earns_its_helper_fifteen_cents() {
        let price = list().price(KindId(1), WorkUnits(3_600_000_000)).unwrap();
        let earned = list().split(price, &mut FeeCarry::default()).worker.as_dollars();
        assert!((earned - 0.15).abs() < 1e-5, "{earned}");
    }
}
