//! File descriptors: the limit is raised as far as the configured connections need, and what clients may take of it leaves
//! room for the database, files and model providers. Otherwise whoever opens many sockets would stop those.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Snapshot;

/// Kept for everything but clients and providers.
const OWN: u64 = 128;

/// How many connections clients may have: those of `gateway.limits.maxConnections` that there are descriptors for.
pub(super) fn for_clients(snapshot: &Snapshot) -> usize {
    let limits = &snapshot.config.gateway.limits;
    let wanted = u64::from(limits.max_connections);
    // Every request at work may have a connection to a provider.
    let kept = OWN + u64::from(limits.max_in_flight);
    let allowed = raise(wanted + kept).map_or(wanted, |limit| share(limit, kept));
    if allowed < wanted {
        tracing::warn!(
            target: "gateway", allowed,
            "the limit on open files is too low for gateway.limits.maxConnections={wanted}; raise it (ulimit -n, LimitNOFILE)"
        );
    }
    usize::try_from(allowed.min(wanted)).unwrap_or(usize::MAX)
}

/// What is left of `limit` for clients: at least half of it, however little that is.
const fn share(limit: u64, kept: u64) -> u64 {
    if kept > limit / 2 {
        limit - limit / 2
    } else {
        limit - kept
    }
}

/// Raises the soft limit to `wanted`, if the hard one allows it; returns what is in force, `None`: no limit. Not further,
/// because programs that are started inherit it, and some look at every descriptor that there could be.
fn raise(wanted: u64) -> Option<u64> {
    let present = getrlimit(Resource::Nofile);
    let soft = present.current?;
    let most = present.maximum.map_or(wanted, |hard| hard.min(wanted));
    if soft >= most {
        return Some(soft);
    }
    let raised = Rlimit {
        current: Some(most),
        maximum: present.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => Some(most),
        Err(error) => {
            tracing::debug!(target: "gateway", %error, "the limit on open files cannot be raised");
            Some(soft)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn clients_leave_room_and_always_get_half() {
        assert_eq!(share(20_000, 640), 19_360);
        assert_eq!(share(1_024, 640), 512);
        assert_eq!(share(201, 640), 101);
    }
}
