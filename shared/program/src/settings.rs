//! Settings: one table per program, from which its configuration file, environment variables, flags, `config show` and the
//! reference in `docs/settings.md` come.
//!
//! A program declares its settings as a struct with [`settings_table!`](crate::settings_table). Each field says what it
//! means, its default, and how it is written: `fraud_window` below is a [`Duration`](std::time::Duration) in the program,
//! `fraud_window_seconds = 3600` in the file, `--fraud-window-seconds 3600` on the command line and
//! `P2C2R_FRAUD_WINDOW_SECONDS=3600` in the environment. A field without `=>` is no setting: only the program sets it.
//!
//! ```
//! use std::time::Duration;
//! use p2c2r_program::settings::{self, ProgramSettings, SettingsArgs, number, seconds};
//!
//! p2c2r_program::settings_table! {
//!     /// An example's settings.
//!     #[derive(Debug)]
//!     pub struct ExampleConfig {
//!         /// Peers at the same time.
//!         pub peers_max: u16 = 64 => number("N", 1..=1_024),
//!         /// Time for which earnings stay pending.
//!         pub fraud_window: Duration = Duration::from_hours(1) =>
//!             seconds(0..=86_400).key("fraud_window_seconds"),
//!         /// Set by the program alone.
//!         pub started: bool = false,
//!     }
//! }
//! impl ProgramSettings for ExampleConfig {}
//!
//! let mut config = ExampleConfig::default();
//! settings::apply_text(&mut config, "fraud_window_seconds = 60").unwrap();
//! assert_eq!(config.fraud_window, Duration::from_mins(1));
//! assert_eq!(settings::shown(&config), "peers_max = 64\nfraud_window_seconds = 60\n");
//! let refused = settings::apply_text(&mut config, "peers_max = 0").unwrap_err();
//! assert_eq!(refused.to_string(), "peers-max is 0, not 1 to 1024");
//! # let _: Option<SettingsArgs<ExampleConfig>> = None;
//! ```
//!
//! A flag wins over its environment variable, that over the file, that over the default. The file is one that `--config`
//! names, or one that the program keeps itself, as a game keeps what is chosen in its menu: [`SettingsFile`] says which.

mod args;
mod file;
mod format;
mod range;
mod reference;
mod table;
mod value;

pub use args::SettingsArgs;
pub use file::{FILE_BYTES_MAX, FileError, read_file};
pub use format::{
    Mistake, SettingFormat, choice, choices, decimal, file_table, hours, list, log_filter, micros, millis,
    named, number, on_off, parsed, path, rates, seconds, switch, text,
};
pub use range::{OutOfRange, within};
pub use reference::assert_reference;
pub use table::{
    IntoRows, ProgramSettings, SettingError, SettingField, SettingRow, SettingsFile, SettingsTable,
    apply_kept, apply_text, check, kept, rows_of, shown, table, to_keep, unprefixed,
};
pub use value::SettingValue;
