//! Which key exchanges are offered, and which one a link got.

use std::fmt;
use std::str::FromStr;

use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;

/// Whether a link's secrets must withstand a recorder who has a quantum computer later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostQuantum {
    /// X25519MLKEM768 or no link: there is nothing to downgrade to.
    #[default]
    Require,
    /// X25519 and secp256r1 too, for peers with an OpenSSL before 3.5. The client's order decides, and Towline's put
    /// X25519MLKEM768 first. Nobody in between can bring a lesser one about: the handshake's end proves what was offered.
    Prefer,
}

/// Text that is neither `require` nor `prefer`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither `require` nor `prefer`")]
pub struct BadPostQuantum(String);

impl PostQuantum {
    /// What is offered, best first.
    pub(super) fn groups(self) -> Vec<&'static dyn SupportedKxGroup> {
        match self {
            Self::Require => vec![kx_group::X25519MLKEM768],
            Self::Prefer => vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        }
    }

    /// The word that stands in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Prefer => "prefer",
        }
    }
}

impl fmt::Display for PostQuantum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PostQuantum {
    type Err = BadPostQuantum;

    fn from_str(text: &str) -> Result<Self, BadPostQuantum> {
        [Self::Require, Self::Prefer].into_iter().find(|one| one.as_str() == text).ok_or(BadPostQuantum(text.into()))
    }
}

/// The key exchange that a link got; shown under the name that TLS gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchange {
    /// ML-KEM-768 beside X25519: safe while either holds.
    X25519MlKem768,
    /// X25519 alone.
    X25519,
    /// The curve P-256 alone.
    Secp256r1,
}

impl KeyExchange {
    pub(super) fn of(group: NamedGroup) -> Option<Self> {
        match group {
            NamedGroup::X25519MLKEM768 => Some(Self::X25519MlKem768),
            NamedGroup::X25519 => Some(Self::X25519),
            NamedGroup::secp256r1 => Some(Self::Secp256r1),
            _ => None,
        }
    }

    /// Whether a recorder with a quantum computer reads nothing of it.
    pub fn is_post_quantum(self) -> bool {
        self == Self::X25519MlKem768
    }
}

impl fmt::Display for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X25519MlKem768 => "X25519MLKEM768",
            Self::X25519 => "x25519",
            Self::Secp256r1 => "secp256r1",
        })
    }
}
