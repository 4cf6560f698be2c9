//! The cap on agent requests at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place among the requests at work; given back when dropped.
#[derive(Debug)]
pub(in crate::http) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// A place, unless `most` are taken.
    pub(in crate::http) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        // Counting first and looking afterwards never lets two in through one gap.
        let before = taken.fetch_add(1, Ordering::Relaxed);
        let slot = Self(Arc::clone(taken));
        (before < most).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let taken = Arc::new(AtomicUsize::new(0));
        let first = Slot::take(&taken, 1);
        assert!(first.is_some());
        assert!(Slot::take(&taken, 1).is_none());
        drop(first);
        assert!(Slot::take(&taken, 1).is_some());
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }
}
