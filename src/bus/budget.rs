//! Places for connections that have not authenticated yet, counted per client address.
//!
//! Taken before the upgrade is answered and given back by dropping the permit: when `connect` succeeds, or when the
//! connection ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Unauthenticated connections one address may hold.
pub const DEFAULT_PER_IP: usize = 32;

/// The places; cheap to clone.
#[derive(Debug, Clone)]
pub struct PreauthBudget(Arc<Places>);

#[derive(Debug)]
struct Places {
    per_ip: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl PreauthBudget {
    /// `per_ip` places for every address.
    pub fn new(per_ip: usize) -> Self {
        Self(Arc::new(Places {
            per_ip,
            taken: Mutex::new(HashMap::new()),
        }))
    }

    /// Takes a place. `None`: answer 503 "Too many unauthenticated sockets".
    pub fn take(&self, ip: IpAddr) -> Option<PreauthPermit> {
        let ip = network(ip.to_canonical());
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(ip).or_insert(0);
        if *count >= self.0.per_ip {
            return None;
        }
        *count += 1;
        Some(PreauthPermit {
            places: Arc::clone(&self.0),
            ip,
        })
    }
}

/// The address, or in IPv6 its /64, because one host has all of it.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

impl Default for PreauthBudget {
    fn default() -> Self {
        Self::new(DEFAULT_PER_IP)
    }
}

/// One taken place; dropping gives it back.
#[derive(Debug)]
pub struct PreauthPermit {
    places: Arc<Places>,
    ip: IpAddr,
}

impl Drop for PreauthPermit {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_makes_room_and_addresses_do_not_share() {
        let budget = PreauthBudget::new(2);
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let first = budget.take(here).unwrap();
        let _second = budget.take(mapped).unwrap();
        assert!(budget.take(here).is_none());
        assert!(budget.take("192.0.2.1".parse().unwrap()).is_some());
        let in_one_network =
            ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|text| budget.take(text.parse().unwrap()));
        assert!(in_one_network[1].is_some() && in_one_network[2].is_none());
        drop(first);
        assert!(budget.take(here).is_some());
    }
}
