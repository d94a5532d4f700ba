//! The search for the worst spec of a kind.

use std::time::Duration;

use p2c2r_tasks::fuel::STEPS_PER_UNIT;
use p2c2r_tasks::{Blobs, Fueled, KernelError, Stop, TaskKind};

use crate::seeded::Seeded;

/// Work units that a random spec may be worth: a few milliseconds, of which a hundred thousand take minutes.
const RANDOM_UNITS_MAX: u64 = 3_000;
/// Shorter runs are not timed: one-off work of a thread, such as growing its memory, would dominate.
const TIMED_MIN: Duration = Duration::from_micros(500);
/// Runs of which the quickest counts, if one looks worse than any before: another program may have held the
/// processor.
const REPEATS: u32 = 6;
/// Specs that are run before any is measured.
const WARMING: u64 = 100;

/// The parameters that a spec of a kind is made from, so that they can be varied.
pub trait Genome: Clone + std::fmt::Debug {
    type Kind: Fueled;
    /// Random parameters; small specs are more frequent than large ones.
    fn random(seeded: &mut Seeded) -> Self;
    /// This one with one part changed.
    fn varied(&self, seeded: &mut Seeded) -> Self;
    /// A spec as games make it: its units are right, so its time tells how fast this machine is at the moment.
    fn typical() -> (<Self::Kind as TaskKind>::Spec, Blobs);
    /// The spec; it need not be admissible.
    fn spec(&self) -> (<Self::Kind as TaskKind>::Spec, Blobs);
    /// Steps that may be taken beyond the limit, because work is counted after it is done, or counted and
    /// then not begun.
    fn slack(&self) -> u64;
}

/// A number of up to `bits` bits, small ones more often than large ones.
pub fn skewed(seeded: &mut Seeded, bits: u64) -> u64 {
    let end = 1 << seeded.below(bits + 1);
    seeded.below(end)
}

/// Processor time of this thread, on Linux. A yield, which would bring the figure in `/proc` up to date,
/// would cost each of 100,000 runs its turn on a busy machine.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let told = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(told.tv_sec as u64, told.tv_nsec as u32)
}

/// Wall-clock time since the tests began.
#[cfg(not(target_os = "linux"))]
fn processor_time() -> Duration {
    static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGUN.elapsed()
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub units: u64,
    pub steps: u64,
    pub took: Duration,
    pub ran_out: bool,
}

impl Found {
    /// Steps taken per step that its units stand for; the fuel ends at a hundredth of [`TaskKind::FUEL_PERCENT`].
    fn by_units(&self) -> f64 {
        self.steps as f64 / (self.units * STEPS_PER_UNIT) as f64
    }

    /// Microseconds per unit; 1 if the units are right and the machine is the reference core.
    fn time_by_units(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / self.units.max(1) as f64
    }
}

/// The worst of many, and how many ended how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub admitted: u64,
    pub refused: u64,
    pub ran_out: u64,
    pub most_by_units: f64,
    /// Of runs long enough to be timed: microseconds per unit, divided by those of `Genome::typical` at the
    /// same moment.
    pub most_time_by_units: f64,
    /// Nanoseconds a step of that run.
    pub its_ns_per_step: f64,
    pub longest: Duration,
}

impl Tally {
    fn add<G: Genome>(&mut self, genome: &G, found: Option<Found>) {
        let Some(found) = found else {
            self.refused += 1;
            return;
        };
        self.admitted += 1;
        self.ran_out += u64::from(found.ran_out);
        self.most_by_units = self.most_by_units.max(found.by_units());
        self.longest = self.longest.max(found.took);
        if found.took < TIMED_MIN || found.time_by_units() < self.most_time_by_units * 0.8 {
            return;
        }
        let pace = quickest::<G::Kind>(G::typical).time_by_units();
        let found = quickest::<G::Kind>(|| genome.spec());
        let time_by_units = found.time_by_units() / pace;
        if time_by_units > self.most_time_by_units {
            self.most_time_by_units = time_by_units;
            self.its_ns_per_step = found.took.as_nanos() as f64 / pace / found.steps.max(1) as f64;
            println!("{time_by_units:.2} at a pace of {pace:.2} us/unit, {found:?}: {genome:?}");
        }
    }
}

/// The quickest of some runs of a spec, each with its blobs unprepared.
pub fn quickest<K: Fueled>(spec: impl Fn() -> (K::Spec, Blobs)) -> Found {
    let runs = (0..REPEATS).filter_map(|_| run::<K>(&spec()));
    runs.min_by_key(|found| found.took).unwrap_or_default()
}

/// Runs an admissible spec.
fn run<K: Fueled>((spec, blobs): &(K::Spec, Blobs)) -> Option<Found> {
    let stop = Stop::never();
    let units = K::admit(spec, blobs).ok()?.0;
    let mut fuel = K::fuel(spec, blobs, &stop).ok()?;
    let begun = processor_time();
    let ended = K::run_on(spec, blobs, &mut fuel);
    Some(Found {
        units,
        steps: fuel.spent(),
        took: processor_time().saturating_sub(begun),
        ran_out: ended.is_err(),
    })
}

/// Runs a spec and holds it to its fuel; `None` if it is not admitted, or worth more than `units_max`.
pub fn measured<G: Genome>(genome: &G, units_max: u64) -> Option<Found> {
    let ((spec, blobs), stop) = (genome.spec(), Stop::never());
    let units = G::Kind::admit(&spec, &blobs).ok()?.0;
    if units > units_max {
        return None;
    }
    let mut fuel = G::Kind::fuel(&spec, &blobs, &stop).unwrap_or_else(|error| panic!("{genome:?}: {error}"));
    assert_eq!(fuel.limit(), units * STEPS_PER_UNIT * <G::Kind as TaskKind>::FUEL_PERCENT / 100);
    let begun = processor_time();
    let ended = G::Kind::run_on(&spec, &blobs, &mut fuel);
    let took = processor_time().saturating_sub(begun);
    let ran_out = match ended {
        Ok(_) => false,
        Err(KernelError::OutOfFuel) => true,
        Err(error) => panic!("{genome:?}: {error}"),
    };
    assert!(fuel.spent() <= fuel.limit() + genome.slack(), "{genome:?} takes {fuel:?}");
    assert!(ran_out || fuel.spent() <= fuel.limit(), "{genome:?} takes {fuel:?} and has an outcome");
    Some(Found { units, steps: fuel.spent(), took, ran_out })
}

/// Steps of one climb.
const CLIMB: u64 = 100;

/// Tries `random` random specs, then climbs from the worst of a few to ever worse ones; none worth more than
/// `units_max`, the random ones no more than [`RANDOM_UNITS_MAX`] either, so that the search ends.
pub fn search<G: Genome>(random: u64, climbed: u64, units_max: u64, seed: u64) -> Tally {
    // Tables that are made once per thread or program are made now, so that they are not timed.
    let mut warming = Seeded(!seed);
    for _ in 0..WARMING {
        measured(&G::random(&mut warming), RANDOM_UNITS_MAX);
    }
    let (mut seeded, mut tally) = (Seeded(seed), Tally::default());
    for _ in 0..random {
        let genome = G::random(&mut seeded);
        tally.add(&genome, measured(&genome, units_max.min(RANDOM_UNITS_MAX)));
    }
    for climb in 0..climbed.div_ceil(CLIMB) {
        let mut worst = (f64::MIN, G::random(&mut seeded));
        for round in 0..CLIMB.min(climbed) {
            let genome = if round < CLIMB / 5 { G::random(&mut seeded) } else { worst.1.varied(&mut seeded) };
            let found = measured(&genome, units_max);
            tally.add(&genome, found);
            // Every other climb goes by time, since the weights of steps are what may be wrong.
            let by_clock = climb % 2 == 1;
            let score = found.map_or(f64::MIN, |found| match by_clock {
                false => found.by_units(),
                true if found.took < TIMED_MIN => 0.0,
                true => found.time_by_units(),
            });
            if score >= worst.0 {
                worst = (score, genome);
            }
        }
    }
    tally
}

/// Asserts that a search means something: most specs ran, and the worst came near the limit.
pub fn means_something(tally: &Tally) {
    println!("{tally:.2?}");
    assert!(tally.admitted > tally.refused, "{tally:?}");
    assert!(tally.most_by_units > 0.5, "{tally:?}");
}

/// Prints how long a typical task takes: `docs/PERFORMANCE.md` derives the cost of counting steps from it.
fn pace<G: Genome>() {
    let most = (0..50).map(|_| quickest::<G::Kind>(G::typical).took).min();
    println!("{} typical task: {:.1?}", <G::Kind as TaskKind>::NAME, most.unwrap_or_default());
}

#[test]
#[ignore = "measures time, and asserts nothing of it"]
fn what_typical_tasks_take() {
    pace::<crate::path::Paths>();
    pace::<crate::physics::Bodies>();
    pace::<crate::reflection::Things>();
    pace::<crate::lightfield::Fields>();
    pace::<crate::tactics::Fights>();
}
