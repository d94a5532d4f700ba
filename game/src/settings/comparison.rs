//! What the player's own graphics card would cost an hour of play, for comparison with the cost of borrowing.

use p2c2r_program::settings::number;
use p2c2r_program::settings_table;

/// Weeks of a year.
const WEEKS: f64 = 52.0;

settings_table! {
    /// What is assumed of the card; the player changes it. In these ranges the formula means something.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Comparison {
        /// Price of a graphics card of your own that does the same, in dollars
        pub card_dollars: u32 = 300 => number("DOLLARS", 1..=10_000),
        /// Years for which that card is good enough
        pub years: u32 = 4 => number("YEARS", 1..=20),
        /// Hours of play a week
        pub hours_a_week: u32 = 10 => number("HOURS", 1..=168),
        /// Watts that the card draws while playing, beyond what the computer draws without it
        pub watts: u32 = 170 => number("WATTS", 1..=2_000),
        /// Price of a kilowatt hour, in hundredths of a dollar
        pub cents_a_kwh: u32 = 30 => number("CENTS", 1..=500),
    }
}

impl Comparison {
    /// Dollars an hour of play: the price over all hours of play, and the current.
    pub fn dollars_per_hour(&self) -> f64 {
        let hours = f64::from(self.years) * WEEKS * f64::from(self.hours_a_week);
        let current = f64::from(self.watts) / 1e3 * f64::from(self.cents_a_kwh) / 100.0;
        f64::from(self.card_dollars) / hours + current
    }

    /// The formula with its numbers: `$300 / (4 years x 52 x 10 h) + 170 W x $0.30/kWh = $0.195 an hour`.
    pub fn formula(&self) -> String {
        format!(
            "${} / ({} years x 52 x {} h) + {} W x ${:.2}/kWh = ${:.3} an hour",
            self.card_dollars,
            self.years,
            self.hours_a_week,
            self.watts,
            f64::from(self.cents_a_kwh) / 100.0,
            self.dollars_per_hour()
        )
    }

    /// Compares what was paid for `seconds` of play with the card; `None` if nothing was paid or played.
    pub fn against(&self, dollars: f64, seconds: f64) -> Option<String> {
        if dollars <= 0.0 || seconds < 1.0 {
            return None;
        }
        let (borrowed, own) = (dollars / seconds * 3_600.0, self.dollars_per_hour());
        let share = (1.0 - borrowed / own) * 100.0;
        let verdict = if share >= 0.0 {
            format!("{:.0} % less", share.floor())
        } else {
            format!("{:.0} % more", -share.floor())
        };
        Some(format!("Borrowing cost ${borrowed:.4} an hour: {verdict} than a card of your own."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_costs_its_price_over_its_hours_and_its_current() {
        let comparison = Comparison::default();
        assert!((comparison.dollars_per_hour() - (300.0 / 2_080.0 + 0.051)).abs() < 1e-9);
        assert_eq!(comparison.formula(), "$300 / (4 years x 52 x 10 h) + 170 W x $0.30/kWh = $0.195 an hour");
    }

    #[test]
    fn what_is_dearer_than_a_card_is_said_to_be() {
        let comparison = Comparison::default();
        assert_eq!(comparison.against(0.0, 60.0), None);
        assert_eq!(comparison.against(0.001, 0.0), None);
        let cheap = comparison.against(0.009, 3_600.0).unwrap();
        assert!(cheap.contains("$0.0090 an hour") && cheap.contains("95 % less"), "{cheap}");
        let dear = comparison.against(1.0, 3_600.0).unwrap();
        assert!(dear.contains("% more"), "{dear}");
    }

    #[test]
    fn numbers_of_a_damaged_file_are_put_into_their_ranges() {
        let file = "card_dollars = 0\nyears = 0\nhours_a_week = 0\nwatts = 0\ncents_a_kwh = 4294967295\n";
        let mut comparison = Comparison::default();
        p2c2r_program::settings::apply_kept(&mut comparison, &toml::from_str(file).unwrap()).unwrap();
        assert!(comparison.dollars_per_hour().is_finite());
        assert_eq!((comparison.years, comparison.cents_a_kwh), (1, 500));
    }
}
