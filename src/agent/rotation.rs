//! Which failures let a run go on with another account of the same provider, and how often.

use std::time::Duration;

use crate::config::RestPolicy;
use crate::domain::model::CallErrorClass;
use crate::models::cooldown::is_about_the_account;

/// The changes of account while one model is asked.
#[derive(Debug)]
pub(super) struct Rotation {
    policy: RestPolicy,
    /// Whether another model could take over; then the number of changes is limited.
    has_fallback: bool,
    overloaded: u32,
    rate_limited: u32,
}

impl Rotation {
    pub(super) fn new(policy: RestPolicy, has_fallback: bool) -> Self {
        Self {
            policy,
            has_fallback,
            overloaded: 0,
            rate_limited: 0,
        }
    }

    /// The pause before the next account is asked; `None`: no further one is.
    pub(super) fn next(&mut self, class: CallErrorClass) -> Option<Duration> {
        if !is_about_the_account(class) {
            return None;
        }
        let (used, allowed, pause) = match class {
            CallErrorClass::Overloaded => (
                &mut self.overloaded,
                self.policy.overloaded_rotations,
                self.policy.overloaded_pause,
            ),
            CallErrorClass::RateLimit => (
                &mut self.rate_limited,
                self.policy.rate_limited_rotations,
                Duration::ZERO,
            ),
            _ => return Some(Duration::ZERO),
        };
        if self.has_fallback && *used >= allowed {
            return None;
        }
        *used += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_only_where_another_model_could_take_over() {
        for (has_fallback, expected) in [(true, [true, false]), (false, [true, true])] {
            let mut rotation = Rotation::new(RestPolicy::default(), has_fallback);
            for expected in expected {
                assert_eq!(rotation.next(CallErrorClass::RateLimit).is_some(), expected);
            }
            assert!(rotation.next(CallErrorClass::Auth).is_some());
            assert!(rotation.next(CallErrorClass::Server).is_none());
        }
    }
}
