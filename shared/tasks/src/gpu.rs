//! The graphics processor that a program computes on, and calls to it that neither hang nor panic.
//!
//! Nothing here knows a kind. A kind that has a kernel for graphics processors builds it on a [`Gpu`] and is
//! put into a [`crate::KindRegistry`] with [`crate::KindRegistry::with_kernel`]. Only programs built with the
//! feature `gpu` have one; [`GpuChoice`] exists in every build, so that a command line reads the same
//! everywhere.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

#[cfg(feature = "gpu")]
mod device;
#[cfg(feature = "gpu")]
mod error;
#[cfg(feature = "gpu")]
mod find;

#[cfg(feature = "gpu")]
pub use device::Gpu;
#[cfg(feature = "gpu")]
pub use error::GpuError;
#[cfg(feature = "gpu")]
pub use find::GpuSearch;

/// Which graphics processor is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuChoice {
    /// The fastest one there is, or none. Software renderers (Mesa's `llvmpipe`) are not taken: our own
    /// kernels are faster on the same cores.
    #[default]
    Auto,
    /// None.
    Off,
    /// The first one whose name contains this, software ones too.
    Named(String),
}

impl FromStr for GpuChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "auto" | "" => Self::Auto,
            "off" => Self::Off,
            name => Self::Named(name.to_owned()),
        })
    }
}

impl fmt::Display for GpuChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::Named(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back_as_it_was_written() {
        for text in ["auto", "off", "llvmpipe", "Radeon RX"] {
            assert_eq!(text.parse::<GpuChoice>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<GpuChoice>().unwrap(), GpuChoice::Auto);
    }
}
