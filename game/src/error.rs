//! What can go wrong before the game runs or when it ends, each in one sentence a person can act on.

/// Why the game did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum GameError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] p2c2r_program::settings::SettingError),
    /// The file of preferences cannot be used.
    #[error("{0}")]
    Kept(String),
    /// The log cannot be set up as asked.
    #[error(transparent)]
    Log(#[from] p2c2r_program::LogError),
    /// The account at the coordinator cannot be used.
    #[error(transparent)]
    Membership(#[from] p2c2r_join::MembershipError),
    /// An impairment preset that does not exist.
    #[error("there is no impairment preset `{name}`; there are: {known}")]
    Impairment {
        /// What was asked for.
        name: String,
        /// The presets that exist.
        known: String,
    },
    /// Nothing to open a window on.
    #[error("no window can be opened: no X display answers, DISPLAY is unset or wrong (try --headless)")]
    NoDisplay,
    /// No driver was found.
    #[error(
        "nothing to draw with: no driver was found (on Debian and Ubuntu: apt install mesa-vulkan-drivers)"
    )]
    NoAdapter,
    /// No driver was found among those that the environment allows.
    #[error(
        "nothing to draw with: no driver was found for what WGPU_BACKEND allows (unset it to allow every one)"
    )]
    NotAllowed,
    /// An adapter that cannot be used.
    #[error("{adapter} was found to draw with, but its driver fails: {reason}")]
    NoDevice {
        /// What was found.
        adapter: String,
        /// What its driver says.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A recorded flight cannot be read.
    #[error("cannot read the flight {path}: {reason}")]
    Flight {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// No task was finished at all.
    #[error("nothing worked: of {submitted} tasks none was finished, neither by others nor here")]
    NothingWorked {
        /// Tasks that were submitted.
        submitted: u64,
    },
    /// The picture was asked for and did not come.
    #[error("the picture {0} was not written")]
    NoPicture(String),
}

impl GameError {
    /// Exit status, as `sysexits.h` numbers them where it has a number: 2 for usage, 69 where the machine
    /// lacks what drawing needs (the launcher then plays without a window), 73 for a file, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setting(_)
            | Self::Kept(_)
            | Self::Log(_)
            | Self::Membership(_)
            | Self::Impairment { .. }
            | Self::Flight { .. } => 2,
            Self::NoDisplay | Self::NoAdapter | Self::NotAllowed | Self::NoDevice { .. } => 69,
            Self::Write { .. } | Self::NoPicture(_) => 73,
            Self::NothingWorked { .. } => 1,
        }
    }
}
