//! The caps on agent requests at work: of all callers together, and of each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::Principal;

/// Counts requests at work. A cheap clone of a shared counter.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Slots(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: AtomicUsize,
    /// Only callers with a request at work are here.
    by_caller: Mutex<HashMap<String, usize>>,
}

/// How many may be at work.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct SlotLimits {
    /// Of all callers.
    pub all: usize,
    /// Of one caller.
    pub caller: Option<usize>,
}

/// Which cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Full {
    /// That of all callers.
    All,
    /// That of this caller.
    Caller,
}

/// A place among the requests at work; given back when dropped.
#[derive(Debug)]
pub(in crate::http) struct Slot {
    counts: Arc<Counts>,
    caller: Option<String>,
}

impl Slots {
    /// A place for a request of `principal`.
    pub(in crate::http) fn take(&self, limits: SlotLimits, principal: &Principal) -> Result<Slot, Full> {
        // Counting first and looking afterwards never lets two in through one gap.
        let before = self.0.all.fetch_add(1, Ordering::Relaxed);
        let mut slot = Slot {
            counts: Arc::clone(&self.0),
            caller: None,
        };
        if before >= limits.all {
            return Err(Full::All);
        }
        let Some(most) = limits.caller else { return Ok(slot) };
        let caller = caller(principal);
        let mut by_caller = self.0.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_caller.entry(caller.clone()).or_default();
        if *count >= most {
            return Err(Full::Caller);
        }
        *count += 1;
        slot.caller = Some(caller);
        Ok(slot)
    }
}

/// Who is counted as one: a user, a device, or else an address.
fn caller(principal: &Principal) -> String {
    match (&principal.user, &principal.device) {
        (Some(user), _) => format!("user:{user}"),
        (None, Some(device)) => format!("device:{device}"),
        (None, None) => format!("address:{}", principal.client_ip),
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Ordering::Relaxed);
        let Some(caller) = self.caller.take() else { return };
        let mut by_caller = self.counts.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_caller.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                by_caller.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AuthMethod, Role, ScopeSet};

    fn user(name: &str) -> Principal {
        Principal {
            role: Role::Operator,
            scopes: ScopeSet::none(),
            method: AuthMethod::TrustedProxy,
            user: Some(name.to_owned()),
            device: None,
            client_ip: [127, 0, 0, 1].into(),
            local_direct: false,
        }
    }

    #[test]
    fn places_are_limited_and_come_back() {
        let slots = Slots::default();
        let limits = SlotLimits {
            all: 2,
            caller: Some(1),
        };
        let first = slots.take(limits, &user("ann")).unwrap();
        assert_eq!(slots.take(limits, &user("ann")).unwrap_err(), Full::Caller);
        let second = slots.take(limits, &user("bob")).unwrap();
        assert_eq!(slots.take(limits, &user("eve")).unwrap_err(), Full::All);
        drop(first);
        assert!(slots.take(limits, &user("ann")).is_ok());
        drop(second);
        assert_eq!(slots.0.all.load(Ordering::Relaxed), 0);
        assert!(slots.0.by_caller.lock().unwrap().is_empty());
    }

    #[test]
    fn without_a_limit_of_its_own_a_caller_may_have_all() {
        let slots = Slots::default();
        let limits = SlotLimits { all: 2, caller: None };
        let _first = slots.take(limits, &user("ann")).unwrap();
        assert!(slots.take(limits, &user("ann")).is_ok());
    }
}
