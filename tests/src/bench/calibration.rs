//! The cost of the kinds: kernels measured on one core of this machine, beside their specs' work units and
//! what play at default settings asks for. Only the aims are constants of this file.

use std::fmt::Write;
use std::time::Duration;

use p2c2r_protocol::{Device, Nanos, PriceList};
use p2c2r_server::compute::timed;
use p2c2r_server::config::default_prices;
use p2c2r_tasks::{Blob, Blobs, KernelError, KindRegistry, Stop};

use super::median;
use super::play::{Play, Played, Varied};

/// Gamers that one fully used core of a helper should serve.
const GAMERS_PER_CORE_AIM: f64 = 16.0;
/// Dollars an hour that a gamer should pay.
const GAMER_DOLLARS_AIM: f64 = 0.01;
/// Dollars an hour that a helper's fully used core should earn.
const HELPER_DOLLARS_AIM: f64 = 0.15;
/// Work units per measured millisecond: a unit is a microsecond of the reference core, and the measuring
/// machine may be somewhat slower or faster.
pub const UNITS_PER_MS_AIM: std::ops::RangeInclusive<f64> = 500.0..=2_000.0;
/// Largest ratio of two kinds' units per millisecond: the ratio should not depend on the machine.
const KINDS_APART_AIM: f64 = 2.5;

/// One kind's figures; means over the tasks of play.
#[derive(Clone, Debug)]
pub struct CalibrationFigures {
    /// Name of the kind.
    pub name: &'static str,
    /// Milliseconds of processor time of one kernel: per task the least of the repeats, then the mean, since that is what
    /// a core has to deliver.
    pub kernel_ms: f64,
    /// Milliseconds of the median task.
    pub kernel_ms_p50: f64,
    /// Work units of one task.
    pub units: f64,
    /// Price of one task in nano-dollars, done on cores.
    pub price_nanos: f64,
    /// The same, done on a graphics processor where there is a kernel for those.
    pub graphics_nanos: f64,
    /// Tasks a second.
    pub per_second: f64,
    /// Encoded spec and outcome in bytes.
    pub bytes: (f64, f64),
}

impl CalibrationFigures {
    /// Work units per measured millisecond; 1,000 if the machine is the reference core and the units are
    /// right.
    pub fn units_per_ms(&self) -> f64 {
        self.units / self.kernel_ms
    }

    /// Dollars that an hour of play costs.
    pub fn dollars_per_hour(&self) -> f64 {
        self.price_nanos * self.per_second * 3_600.0 * 1e-9
    }

    /// The same where graphics processors do it.
    pub fn dollars_per_hour_on_graphics(&self) -> f64 {
        self.graphics_nanos * self.per_second * 3_600.0 * 1e-9
    }

    /// Share of a core that one player's game keeps busy.
    pub fn core_share(&self) -> f64 {
        self.kernel_ms * self.per_second / 1_000.0
    }
}

/// Measures every kind, each task `repeats` times.
pub fn calibrate(play: &Play, repeats: u32) -> Result<Vec<CalibrationFigures>, KernelError> {
    let prices = default_prices(&KindRegistry::builtin());
    Ok(vec![
        figures(&play.path, &prices, repeats)?,
        figures(&play.physics, &prices, repeats)?,
        figures(&play.reflection, &prices, repeats)?,
        figures(&play.lightfield, &prices, repeats)?,
        figures(&play.tactics, &prices, repeats)?,
    ])
}

/// Measures tasks of one kind, each `repeats` times.
pub fn figures<K: Varied>(
    played: &Played<K>,
    prices: &PriceList,
    repeats: u32,
) -> Result<CalibrationFigures, KernelError> {
    let mut times = Vec::new();
    let (mut units, mut up, mut down) = (0, 0, 0);
    let (mut price, mut on_graphics) = (Nanos::ZERO, Nanos::ZERO);
    for (spec, blobs) in &played.tasks {
        let worth = K::admit(spec, blobs)?;
        units += worth.0;
        price += prices.price(K::ID, worth).unwrap_or_default();
        on_graphics += prices.price_on(Device::Graphics, K::ID, worth).unwrap_or_default();
        let mut least = Duration::MAX;
        for _ in 0..repeats.max(1) {
            // A worker prepares most blobs itself, so the kernel's time includes that.
            let fresh = Blobs::new(blobs.iter().map(|blob| Blob::new(blob.bytes().to_vec())).collect());
            // A kernel runs on one thread, so that this thread's processor time is what it takes of a core.
            let (outcome, took) = timed(|| K::run(spec, &fresh, &Stop::never()));
            least = least.min(took);
            down += K::encode_outcome(&outcome?).len();
        }
        up += K::encode_spec(spec).len();
        times.push(least.as_secs_f64() * 1e3);
    }
    let count = played.tasks.len().max(1) as f64;
    Ok(CalibrationFigures {
        name: K::NAME,
        kernel_ms: times.iter().sum::<f64>() / count,
        kernel_ms_p50: median(times),
        units: units as f64 / count,
        price_nanos: price.0 as f64 / count,
        graphics_nanos: on_graphics.0 as f64 / count,
        per_second: played.per_second,
        bytes: (up as f64 / count, down as f64 / count / f64::from(repeats.max(1))),
    })
}

/// A gamer's cost per hour, and the gamers that one core serves.
fn sums(figures: &[CalibrationFigures]) -> (f64, f64) {
    let share: f64 = figures.iter().map(CalibrationFigures::core_share).sum();
    (figures.iter().map(CalibrationFigures::dollars_per_hour).sum(), 1.0 / share)
}

/// A helper's income per hour for a fully used core.
fn helper_dollars(figures: &[CalibrationFigures]) -> f64 {
    let (dollars, gamers) = sums(figures);
    let fee = f64::from(default_prices(&KindRegistry::builtin()).fee_basis_points) / 10_000.0;
    gamers * dollars * (1.0 - fee)
}

/// The aims that are missed, in words.
pub fn missed(figures: &[CalibrationFigures]) -> Vec<String> {
    let mut missed = Vec::new();
    for kind in figures.iter().filter(|kind| !UNITS_PER_MS_AIM.contains(&kind.units_per_ms())) {
        let (name, pace) = (kind.name, kind.units_per_ms());
        missed.push(format!("{name} has {pace:.0} units a millisecond (aim: {UNITS_PER_MS_AIM:?})"));
    }
    let paces = || figures.iter().map(CalibrationFigures::units_per_ms);
    let (least, most) = (paces().fold(f64::MAX, f64::min), paces().fold(0.0, f64::max));
    if most > KINDS_APART_AIM * least {
        let apart = most / least;
        missed.push(format!("kinds differ {apart:.2} times in units a millisecond (aim: {KINDS_APART_AIM})"));
    }
    let (dollars, gamers) = sums(figures);
    if dollars > GAMER_DOLLARS_AIM {
        missed.push(format!("a gamer pays ${dollars:.4} an hour (aim: {GAMER_DOLLARS_AIM})"));
    }
    if gamers < GAMERS_PER_CORE_AIM {
        missed.push(format!("one core serves {gamers:.1} gamers (aim: {GAMERS_PER_CORE_AIM})"));
    }
    let earned = helper_dollars(figures);
    if earned < HELPER_DOLLARS_AIM {
        missed.push(format!("a helper's core earns ${earned:.3} an hour (aim: {HELPER_DOLLARS_AIM})"));
    }
    missed
}

/// The results as tables.
pub fn tables(figures: &[CalibrationFigures]) -> String {
    let mut text = format!(
        "{:<11} {:>9} {:>9} {:>8} {:>9} {:>10} {:>7} {:>9} {:>11} {:>9}\n",
        "kind",
        "kernel ms",
        "p50 ms",
        "units",
        "units/ms",
        "nano-$",
        "per s",
        "$/hour",
        "core share",
        "kbit/s"
    );
    for kind in figures {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<11} {:>9.3} {:>9.3} {:>8.0} {:>9.0} {:>10.1} {:>7.2} {:>9.5} {:>10.2}% {:>9.1}",
            kind.name,
            kind.kernel_ms,
            kind.kernel_ms_p50,
            kind.units,
            kind.units_per_ms(),
            kind.price_nanos,
            kind.per_second,
            kind.dollars_per_hour(),
            kind.core_share() * 100.0,
            (kind.bytes.0 + kind.bytes.1) * kind.per_second * 8e-3,
        );
    }
    let (dollars, gamers) = sums(figures);
    let _ = writeln!(
        text,
        "a gamer pays ${dollars:.4} an hour (aim: at most ${GAMER_DOLLARS_AIM}) and keeps {:.1} % of a core busy\n\
         one core serves {gamers:.1} gamers (aim: at least {GAMERS_PER_CORE_AIM}) and then earns its helper ${:.3} an \
         hour (aim: at least ${HELPER_DOLLARS_AIM})",
        100.0 / gamers,
        helper_dollars(figures),
    );
    text
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::money::TASK_PRICE_MIN;

    use super::*;

    #[test]
    fn figures_follow_from_specs_rates_and_the_price_list() {
        let play = Play::of(5).expect("the kernels take it");
        let figures = calibrate(&play, 1).expect("and again");
        let shipped: Vec<_> = KindRegistry::builtin().iter().map(|kind| kind.name()).collect();
        assert_eq!(figures.iter().map(|kind| kind.name).collect::<Vec<_>>(), shipped);
        for kind in &figures {
            assert!(kind.kernel_ms > 0.0 && kind.units >= 1.0, "{kind:?}");
            let per_unit =
                f64::from(u32::try_from(p2c2r_server::config::NANOS_PER_MEGA_UNIT).unwrap()) * 1e-6;
            // Prices are whole nano-dollars, rounded up, with a minimum; these are means of several.
            let (exact, least) = (kind.units * per_unit, TASK_PRICE_MIN.0 as f64);
            assert!(kind.price_nanos >= exact.max(least), "{kind:?}");
            assert!(kind.price_nanos <= exact + 1.0 + least, "{kind:?}");
        }
        let known = |figures: &[CalibrationFigures]| missed(figures).len();
        let right = |kind: &CalibrationFigures| CalibrationFigures {
            kernel_ms: kind.units / 1_000.0,
            ..kind.clone()
        };
        let right: Vec<_> = figures.iter().map(right).collect();
        assert_eq!(missed(&right), Vec::<String>::new());
        let mut slow = right.clone();
        slow[0].kernel_ms *= 3.0;
        assert_eq!(known(&slow), 2, "one kind is slow, and the kinds are apart: {:?}", missed(&slow));
        let dear = |kind: &CalibrationFigures| CalibrationFigures {
            price_nanos: 10.0 * kind.price_nanos,
            ..kind.clone()
        };
        assert_eq!(known(&right.iter().map(dear).collect::<Vec<_>>()), 1);
        let text = tables(&figures);
        assert!(shipped.iter().all(|name| text.contains(name)) && text.contains("gamers"), "{text}");
    }
}
