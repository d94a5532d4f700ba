//! Why a graphics processor cannot be used, or fails in use.

use thiserror::Error;

use crate::kind::KernelError;

/// Why a graphics processor cannot be used, or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GpuError {
    /// No device has the name that was asked for.
    #[error("there is no graphics processor named `{wanted}`; {}", there(.found))]
    NotFound {
        /// The name that was asked for.
        wanted: String,
        /// The names there are.
        found: Vec<String>,
    },
    /// The device exists, but cannot be opened.
    #[error("the graphics processor {name} cannot be used: {reason}")]
    Unusable {
        /// Its name.
        name: String,
        /// What its driver says.
        reason: String,
    },
    /// It was lost, did not answer in time or refused a command; it is not tried again.
    #[error("the graphics processor is out of use: {0}")]
    Retired(String),
    /// It has too little memory left.
    #[error("the graphics processor has too little memory left")]
    OutOfMemory,
    /// No slot became free in time.
    #[error("the graphics processor is busy")]
    Busy,
}

/// The names found, as the end of a sentence.
fn there(found: &[String]) -> String {
    if found.is_empty() {
        "no Vulkan, Metal or Direct3D 12 driver offers one (on Debian, mesa-vulkan-drivers does)".into()
    } else {
        format!("there are: {}", found.join(", "))
    }
}

impl From<GpuError> for KernelError {
    fn from(error: GpuError) -> Self {
        Self::Failed(error.to_string())
    }
}
