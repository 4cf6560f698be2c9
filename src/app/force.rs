//! `--force`: ends what listens on the port of this gateway, if it is ours to end.
//!
//! Only processes of the same user are touched. They are asked first, so that a gateway can put its work down, and
//! killed if they stay. Runs before the async runtime exists.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::base::listener::{self, Listener};

/// How long an asked process may take to leave.
const ASKED: Duration = Duration::from_secs(10);
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// Why the port is not free.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForceError {
    /// It is not ours to end.
    #[error(
        "Force: port {port} is held by {holder}, which is not a process of this user; stop it, or choose another port \
         with --port"
    )]
    NotOurs {
        /// The port.
        port: u16,
        /// Who holds it.
        holder: String,
    },
    /// It did not go.
    #[error("Force: port {port} still has listeners after --force: {pids}")]
    Stays {
        /// The port.
        port: u16,
        /// Their process ids.
        pids: String,
    },
}

/// Frees `port`; returns what was done, for the log. A system that does not tell who listens is left alone: binding the
/// port then says whether it is free.
pub(super) fn free_port(port: u16) -> Result<Vec<String>, ForceError> {
    let Some(listeners) = listener::on_port(port) else {
        return Ok(vec![format!(
            "force: this system does not tell who listens on port {port}"
        )]);
    };
    if listeners.is_empty() {
        return Ok(vec![format!("force: no listeners on port {port}")]);
    }
    let began = Instant::now();
    let mut done = Vec::new();
    for (signal, patience) in [(Signal::TERM, ASKED), (Signal::KILL, KILLED)] {
        // Looked at again before the second signal: a process id may belong to somebody else by then.
        for holder in ours(port)? {
            if send(&holder, signal) && signal == Signal::TERM {
                let name = holder.command_line.as_deref().unwrap_or("unknown");
                done.push(format!(
                    "force: asked pid {} ({name}) on port {port} to stop",
                    shown(&holder)
                ));
            } else if signal == Signal::KILL {
                done.push(format!("force: escalated to SIGKILL while freeing port {port}"));
            }
        }
        if is_free_within(port, patience) {
            done.push(format!(
                "force: waited {}ms for port {port} to free",
                began.elapsed().as_millis()
            ));
            return Ok(done);
        }
    }
    let pids: BTreeSet<String> = listener::on_port(port).unwrap_or_default().iter().map(shown).collect();
    Err(ForceError::Stays {
        port,
        pids: pids.into_iter().collect::<Vec<_>>().join(", "),
    })
}

/// Those who listen, one entry per process; an error if one of them is not ours.
fn ours(port: u16) -> Result<Vec<Listener>, ForceError> {
    let mut holders = listener::on_port(port).unwrap_or_default();
    holders.sort_by_key(|holder| holder.pid);
    holders.dedup_by_key(|holder| holder.pid);
    for holder in &holders {
        if !is_ours(holder.pid) {
            return Err(ForceError::NotOurs {
                port,
                holder: format!("pid {} on {}", shown(holder), holder.address),
            });
        }
    }
    Ok(holders)
}

fn is_ours(pid: Option<u32>) -> bool {
    let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else {
        return false;
    };
    std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|facts| facts.uid() == geteuid().as_raw())
}

fn send(holder: &Listener, signal: Signal) -> bool {
    let pid = holder
        .pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    // Gone already is as good.
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

fn shown(holder: &Listener) -> String {
    holder.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

fn is_free_within(port: u16, patience: Duration) -> bool {
    let began = Instant::now();
    loop {
        if listener::on_port(port).is_none_or(|listeners| listeners.is_empty()) {
            return true;
        }
        if began.elapsed() >= patience {
            return false;
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_needs_nothing_and_this_process_never_ends_itself() {
        // Bound and never listening: keeps the port from everybody else, not from the listener below.
        let reserved = tokio::net::TcpSocket::new_v4().unwrap();
        reserved.set_reuseaddr(true).unwrap();
        reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = reserved.local_addr().unwrap().port();
        let socket = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        if listener::on_port(port).is_none() {
            return;
        }
        assert!(matches!(free_port(port), Err(ForceError::NotOurs { .. })));
        drop(socket);
        assert_eq!(
            free_port(port).unwrap(),
            [format!("force: no listeners on port {port}")]
        );
    }
}
