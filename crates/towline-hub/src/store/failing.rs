//! A store that fails at a chosen commit, for tests.

use super::change::Change;
use super::error::StoreError;
use super::sqlite::Backend;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Says which commit fails; shared by the test and the store.
#[derive(Clone, Debug)]
pub struct FailurePlan {
    /// Commits that still succeed.
    left: Arc<AtomicU64>,
}

impl FailurePlan {
    /// Never fails until told to.
    pub fn never() -> Self {
        Self { left: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// The commit after `successes` more fails, and every later one until this is called again.
    pub fn fail_after(&self, successes: u64) {
        self.left.store(successes, Ordering::SeqCst);
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        self.left.store(u64::MAX, Ordering::SeqCst);
    }

    /// Whether the next commit may succeed; counts it.
    pub(crate) fn permit(&self) -> Result<(), StoreError> {
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
            u64::MAX => Some(left),
            left => left.checked_sub(1),
        });
        taken.map(drop).map_err(|_| StoreError::Injected)
    }
}

/// A backend whose commits follow a [`FailurePlan`].
#[derive(Debug)]
pub struct Failing<B> {
    /// The real store.
    pub inner: B,
    /// What fails when.
    pub plan: FailurePlan,
}

impl<B: Backend> Backend for Failing<B> {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.plan.permit()?;
        self.inner.commit(changes)
    }
}
