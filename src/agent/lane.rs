//! Lanes: at most one run of a session at a time, in order of acceptance, and a bound on runs at work in all.
//!
//! A place in the lane is taken synchronously, so the order of acceptance is the order of work. Places are released by
//! dropping, so neither a panic nor a cancelled task can block a lane.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use crate::base::SessionKey;

/// Most runs that may wait for one session; beyond it new ones are refused.
const LANE_CAPACITY: usize = 64;

/// Every lane of the process.
#[derive(Clone)]
pub(super) struct Lanes {
    lanes: Arc<Mutex<HashMap<SessionKey, Lane>>>,
    at_work: Arc<Semaphore>,
    bound: Arc<Mutex<usize>>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<oneshot::Sender<()>>,
}

/// The lane of this session is full.
#[derive(Debug)]
pub(super) struct LaneFull;

/// A place in a lane; the turn comes when every earlier place is gone.
pub(super) struct Place {
    lanes: Lanes,
    key: SessionKey,
    turn: Option<oneshot::Receiver<()>>,
}

impl Lanes {
    pub(super) fn new(max_at_work: usize) -> Self {
        Self {
            lanes: Arc::default(),
            at_work: Arc::new(Semaphore::new(max_at_work)),
            bound: Arc::new(Mutex::new(max_at_work)),
        }
    }

    /// Takes the next place of `key`.
    pub(super) fn take(&self, key: &SessionKey) -> Result<Place, LaneFull> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = match lanes.get_mut(key.as_str()) {
            None => {
                lanes.insert(key.clone(), Lane::default());
                None
            }
            Some(lane) if lane.waiting.len() >= LANE_CAPACITY => return Err(LaneFull),
            Some(lane) => {
                let (sender, receiver) = oneshot::channel();
                lane.waiting.push_back(sender);
                Some(receiver)
            }
        };
        Ok(Place {
            lanes: self.clone(),
            key: key.clone(),
            turn,
        })
    }

    /// Waits until another run may work.
    pub(super) async fn work(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.at_work).acquire_owned().await.ok()
    }

    /// Changes the bound on runs at work. A lower one takes effect as runs end.
    pub(super) fn resize(&self, max_at_work: usize, tasks: &TaskTracker) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *bound, max_at_work);
        if max_at_work >= before {
            self.at_work.add_permits(max_at_work - before);
            return;
        }
        let surplus = u32::try_from(before - max_at_work).unwrap_or(u32::MAX);
        let at_work = Arc::clone(&self.at_work);
        tasks.spawn(async move {
            if let Ok(permits) = at_work.acquire_many_owned(surplus).await {
                permits.forget();
            }
        });
    }

    fn release(&self, key: &SessionKey) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(key.as_str()) {
            while let Some(next) = lane.waiting.pop_front() {
                // A waiter that has gone passes its turn on.
                if next.send(()).is_ok() {
                    return;
                }
            }
            lanes.remove(key.as_str());
        }
    }
}

impl Place {
    /// Whether the turn is here without waiting.
    pub(super) fn is_first(&self) -> bool {
        self.turn.is_none()
    }

    /// Waits for the turn. Cancel-safe: dropping the place afterwards passes the turn on.
    pub(super) async fn turn(&mut self) {
        if let Some(turn) = self.turn.as_mut() {
            // The sender only goes away by sending, or with the whole table.
            turn.await.unwrap_or_default();
            self.turn = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut turn) = self.turn.take() {
            turn.close();
            // The turn may have arrived just before closing; then it is ours to pass on.
            if turn.try_recv().is_err() {
                return;
            }
        }
        self.lanes.release(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SessionKey {
        SessionKey::new(text)
    }

    #[tokio::test]
    async fn turns_come_in_the_order_in_which_places_were_taken() {
        let lanes = Lanes::new(8);
        let first = lanes.take(&key("a")).unwrap();
        let mut second = lanes.take(&key("a")).unwrap();
        let mut third = lanes.take(&key("a")).unwrap();
        assert!(first.is_first() && !second.is_first());
        drop(first);
        second.turn().await;
        assert!(!third.is_first());
        drop(second);
        third.turn().await;
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_does_not_block_the_lane() {
        let lanes = Lanes::new(8);
        let first = lanes.take(&key("a")).unwrap();
        let second = lanes.take(&key("a")).unwrap();
        let mut third = lanes.take(&key("a")).unwrap();
        drop(second);
        drop(first);
        third.turn().await;
        drop(third);
        assert!(lanes.take(&key("a")).unwrap().is_first(), "an empty lane is forgotten");
    }

    #[tokio::test]
    async fn a_turn_that_arrived_unseen_is_passed_on() {
        let lanes = Lanes::new(8);
        let first = lanes.take(&key("a")).unwrap();
        let second = lanes.take(&key("a")).unwrap();
        let mut third = lanes.take(&key("a")).unwrap();
        drop(first);
        drop(second);
        third.turn().await;
    }

    #[tokio::test]
    async fn the_bound_on_runs_at_work_can_change() {
        let (lanes, tasks) = (Lanes::new(2), TaskTracker::new());
        let held = lanes.work().await.unwrap();
        lanes.resize(1, &tasks);
        tasks.close();
        tasks.wait().await;
        assert_eq!(lanes.at_work.available_permits(), 0);
        drop(held);
        assert_eq!(lanes.at_work.available_permits(), 1);
        lanes.resize(3, &tasks);
        assert_eq!(lanes.at_work.available_permits(), 3);
    }

    #[test]
    fn other_sessions_do_not_wait() {
        let lanes = Lanes::new(8);
        let _held = lanes.take(&key("a")).unwrap();
        assert!(lanes.take(&key("b")).unwrap().is_first());
    }

    #[test]
    fn a_full_lane_refuses() {
        let lanes = Lanes::new(8);
        let places: Vec<_> = (0..=LANE_CAPACITY).map(|_| lanes.take(&key("a")).unwrap()).collect();
        assert!(lanes.take(&key("a")).is_err());
        drop(places);
    }
}
