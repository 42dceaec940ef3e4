//! Where work on bodies may block: hashing what a spool holds can take as long as reading gigabytes.

use std::marker::PhantomData;
use tokio::task::{JoinHandle, spawn_blocking};

/// Shows that the bearer is on a thread that may block: only [`may_block`] gives it, and it cannot be sent or kept.
/// Whatever blocks asks for it, so hashing on an async thread is an error of types and not a hub that stands still.
#[derive(Debug)]
pub struct MayBlock(PhantomData<*const ()>);

#[cfg(test)]
impl MayBlock {
    /// For tests, which may block wherever they are.
    pub(super) const FOR_TESTS: Self = Self(PhantomData);
}

/// Runs `work` on one of the runtime's threads for blocking work.
pub fn may_block<T: Send + 'static>(work: impl FnOnce(&MayBlock) -> T + Send + 'static) -> JoinHandle<T> {
    spawn_blocking(move || work(&MayBlock(PhantomData)))
}
