//! What can be broken on purpose: each must make the demo end with another exit code than 0 and say why.

/// One broken thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Fault {
    /// A byte of an arrived file is changed
    Corrupt,
    /// The recipient's agent is never started
    NoAgent,
    /// The handler that should exit 3 exits 4
    WrongExit,
    /// The hub's store is gone after the crash
    LostAfterKill,
    /// A handler leaves its mark twice
    Doubled,
    /// The device that should be stopped goes on
    NotStopped,
}
