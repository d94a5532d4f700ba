//! What can go wrong between us and a graphics processor.

use thiserror::Error;

use crate::kind::KernelError;

/// Why a graphics processor cannot be used, or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GpuError {
    /// None is called what was asked for.
    #[error("there is no graphics processor named `{wanted}`; {}", there(.found))]
    NotFound {
        /// The name that was asked for.
        wanted: String,
        /// The names there are.
        found: Vec<String>,
    },
    /// It is there, but cannot be opened.
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
    /// All its places were taken for too long.
    #[error("the graphics processor is busy")]
    Busy,
}

/// What there is, as a sentence ends.
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
