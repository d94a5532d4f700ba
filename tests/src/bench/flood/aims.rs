//! How much a flood may cost connected peers and newcomers, and whether a measured one kept to it.

use super::FloodRow;

/// Share of newcomers that have to be in within two seconds.
const JOINED_MIN: f64 = 0.95;
/// Milliseconds by which the 99th percentile of the tasks inside may grow.
const P99_GROWTH_MS_MAX: f64 = 5.0;
/// Bytes that may come out for each that comes in.
const ANSWERED_MAX: f64 = 1.0;
/// Bytes of memory that the coordinator may have more than before the first flood, whatever the floods: all its HTTPS
/// connections (512 of 100 KiB), connect tokens (32,768 of 0.7 KB) and handshakes (4,096 of 1.6 KB), and 16 MiB of the
/// ledger's pages, which any work fills.
const MEMORY_GROWTH_MAX: u64 = 96 * 1024 * 1024;

/// One aim: a figure of a row, and its largest allowed value.
struct Aim {
    what: &'static str,
    unit: &'static str,
    most: f64,
    /// The figure of a row, given the memory before the first flood; `None` where it was not measured.
    of: fn(&FloodRow, u64) -> Option<f64>,
}

const AIMS: [Aim; 4] = [
    Aim {
        what: "newcomers not in within 2 s",
        unit: " %",
        most: 100.0 * (1.0 - JOINED_MIN),
        of: |row, _| Some(100.0 * (1.0 - row.joined)),
    },
    Aim {
        what: "growth of the 99th percentile inside",
        unit: " ms",
        most: P99_GROWTH_MS_MAX,
        of: |row, _| Some(row.p99_ms.1 - row.p99_ms.0),
    },
    Aim {
        what: "memory more than before all floods",
        unit: " MB",
        most: MEMORY_GROWTH_MAX as f64 / 1e6,
        of: |row, first| row.memory.map(|(_, most)| most.saturating_sub(first) as f64 / 1e6),
    },
    Aim { what: "bytes out per byte in", unit: "", most: ANSWERED_MAX, of: |row, _| row.answered },
];

impl Aim {
    /// Each row's name and measure.
    fn measured<'a>(&self, rows: &'a [FloodRow]) -> impl Iterator<Item = (&'a str, f64)> {
        let first = rows.iter().find_map(|row| row.memory).map_or(0, |(before, _)| before);
        let of = self.of;
        rows.iter().filter_map(move |row| Some((row.name, of(row, first)?)))
    }

    fn holds(&self, measure: f64) -> bool {
        // Shares are fractions of small numbers, which floating point does not have exactly.
        measure <= self.most + 1e-9
    }
}

/// One line for each aim, with the worst that was measured.
pub fn verdict(rows: &[FloodRow]) -> String {
    let line = |aim: &Aim| {
        let worst = aim.measured(rows).max_by(|(_, one), (_, other)| one.total_cmp(other));
        let Some((name, worst)) = worst else { return format!("{}: not measured", aim.what) };
        let held = if aim.holds(worst) { "held" } else { "missed" };
        let Aim { what, unit, most, .. } = aim;
        format!("{what}: {worst:.2}{unit} at worst ({name}), aim: at most {most:.2}{unit}, {held}")
    };
    AIMS.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Which aims are missed, and in which flood.
pub fn missed(rows: &[FloodRow]) -> Vec<String> {
    let of_aim = |aim: &Aim| {
        let missed = aim.measured(rows).filter(|(_, measure)| !aim.holds(*measure));
        missed
            .map(|(name, measure)| format!("{name}: {} {measure:.2}{}", aim.what, aim.unit))
            .collect::<Vec<_>>()
    };
    AIMS.iter().flat_map(of_aim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(change: impl FnOnce(&mut FloodRow)) -> FloodRow {
        let mut row = FloodRow {
            name: "junk",
            sent_per_s: 1.0,
            joined: 0.95,
            p99_ms: (1.0, 6.0),
            memory: Some((50_000_000, 150_000_000)),
            answered: Some(1.0),
        };
        change(&mut row);
        row
    }

    #[test]
    fn each_aim_is_judged_in_every_flood_and_memory_against_that_before_the_first() {
        let first = row(|_| ());
        let tcp = row(|row| (row.answered, row.memory) = (None, Some((140_000_000, 150_000_000))));
        assert_eq!(missed(&[first.clone(), tcp]), [""; 0]);
        let worse = [
            (row(|row| row.joined = 0.9), "newcomers"),
            (row(|row| row.p99_ms.1 = 6.1), "99th percentile"),
            (row(|row| row.memory = Some((150_000_000, 151_000_000))), "memory"),
            (row(|row| row.answered = Some(1.1)), "bytes out"),
        ];
        for (worse, what) in worse {
            let rows = [first.clone(), worse];
            let [said]: [String; 1] = missed(&rows).try_into().unwrap();
            assert!(said.starts_with("junk: ") && said.contains(what), "{said}");
            assert_eq!(verdict(&rows).matches("missed").count(), 1);
        }
    }
}
