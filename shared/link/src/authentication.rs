//! How peers prove who they are; the seam for secure joining.

/// How peers prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// Not at all: connect tokens are sealed with netcode's all-zero key, so anyone who reaches the socket may
    /// join under any name. For this machine only, which [`bind_server`](crate::bind_server) sees to.
    #[default]
    UnsecuredLoopback,
}

impl Authentication {
    /// The key that seals connect tokens.
    pub(crate) fn token_key(self) -> [u8; renetcode::NETCODE_KEY_BYTES] {
        match self {
            Self::UnsecuredLoopback => [0; renetcode::NETCODE_KEY_BYTES],
        }
    }

    pub(crate) fn for_netcode(self) -> renetcode::ServerAuthentication {
        match self {
            Self::UnsecuredLoopback => renetcode::ServerAuthentication::Unsecure,
        }
    }
}
