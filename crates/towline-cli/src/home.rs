//! Where things lie on this machine.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// The folder that holds this machine's keys, stores and folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    root: PathBuf,
    origin: Origin,
}

/// Who said where home is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--home` or `TOWLINE_HOME`.
    Given,
    /// `XDG_STATE_HOME`.
    Xdg,
    /// `~/.local/state`.
    Default,
}

impl Origin {
    /// The words for `config show --origin`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "--home or TOWLINE_HOME",
            Self::Xdg => "XDG_STATE_HOME",
            Self::Default => "default",
        }
    }
}

impl Home {
    /// The folder given, else `$XDG_STATE_HOME/towline`, else `~/.local/state/towline`; absolute, since processes that we start must find it too.
    pub(crate) fn find(given: Option<PathBuf>) -> Result<Self, Failure> {
        let xdg = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let (root, origin) = match (given, xdg) {
            (Some(dir), _) => (dir, Origin::Given),
            (None, Some(dir)) => (dir.join("towline"), Origin::Xdg),
            (None, None) => {
                let user = std::env::home_dir().ok_or_else(|| {
                    Failure::usage("cannot tell where to keep state: HOME is not set")
                        .cure("give a folder with `--home DIR`")
                })?;
                (user.join(".local/state/towline"), Origin::Default)
            }
        };
        let root = std::path::absolute(&root).map_err(|error| Failure::io("use", &root, &error))?;
        Ok(Self { root, origin })
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Who said so.
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// The hub's folder.
    pub(crate) fn hub(&self) -> PathBuf {
        self.root.join("hub")
    }

    /// The hub's configuration, where there is one.
    pub(crate) fn hub_config(&self) -> PathBuf {
        self.hub().join("hub.toml")
    }

    /// The socket through which the operator's commands reach the hub on the same machine.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.hub().join("admin.sock")
    }

    /// The device's folder.
    pub(crate) fn device(&self) -> PathBuf {
        self.root.join("device")
    }

    /// Which hub this device has joined, and under which name.
    pub(crate) fn device_config(&self) -> PathBuf {
        self.device().join("device.toml")
    }

    /// The device's key.
    pub(crate) fn device_key(&self) -> PathBuf {
        self.device().join("device.key")
    }

    /// What the running agent holds locked, so that there is one for a device.
    pub(crate) fn agent_lock(&self) -> PathBuf {
        self.device().join("agent.lock")
    }

    /// The agent's rules, where there are any.
    pub(crate) fn agent_config(&self) -> PathBuf {
        self.device().join("agent.toml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_home_is_made_absolute() {
        let home = Home::find(Some("x/y".into())).unwrap();
        assert!(home.root().is_absolute() && home.root().ends_with("x/y"));
        assert_eq!(home.origin(), Origin::Given);
        assert!(home.admin_socket().ends_with("x/y/hub/admin.sock"));
    }
}
