//! `pq = "require"` or `pq = "prefer"`, as files say it.

use serde::{Deserialize, Serialize};
use towline::{BadPostQuantum, PostQuantum};

/// [`PostQuantum`], written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pq(pub PostQuantum);

impl TryFrom<String> for Pq {
    type Error = BadPostQuantum;

    fn try_from(text: String) -> Result<Self, BadPostQuantum> {
        text.parse().map(Self)
    }
}

impl From<Pq> for String {
    fn from(pq: Pq) -> Self {
        pq.0.to_string()
    }
}
