//! Buries orphans when this process is PID 1 of a container.
//!
//! A process whose parent ended becomes a child of PID 1, and stays a zombie until PID 1 waits for it. Our own children
//! (programs that give secrets, later tools) are waited for by whoever started them, and their exit status must not be
//! taken away. The difference shows in time: nobody has waited for an orphan when it is seen a second time.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Time between two looks, and so the least time that an own child's starter has to wait for it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks until the process stops. Returns at once unless this is PID 1.
pub(super) async fn run(stop: CancellationToken) {
    if std::process::id() != 1 {
        return;
    }
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = BTreeSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let looked = tokio::task::spawn_blocking(move || look(Path::new("/proc"), seen)).await;
        seen = looked.unwrap_or_default();
    }
}

/// One look: waits for those that were `seen` dead before, returns those that are dead now for the first time.
fn look(proc: &Path, seen: BTreeSet<i32>) -> BTreeSet<i32> {
    if !has_dead_child() {
        return BTreeSet::new();
    }
    let (again, new): (BTreeSet<i32>, BTreeSet<i32>) =
        dead_children(proc).into_iter().partition(|pid| seen.contains(pid));
    for pid in again.iter().copied().filter_map(Pid::from_raw) {
        if let Ok(Some(_)) = waitpid(Some(pid), WaitOptions::NOHANG) {
            tracing::debug!(target: "gateway", pid = pid.as_raw_nonzero().get(), "waited for an orphan");
        }
    }
    new
}

/// Whether any child waits to be waited for; one system call, and nearly always no.
fn has_dead_child() -> bool {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, peek), Ok(Some(_)))
}

/// Process ids of our children that are dead.
fn dead_children(proc: &Path) -> BTreeSet<i32> {
    let own = std::process::id();
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::read_to_string(proc.join(pid.to_string()).join("stat"))
                .ok()
                .and_then(|stat| dead_child_of(&stat))
                .is_some_and(|parent| parent == own)
        })
        .collect()
}

/// The parent of a zombie, from its `stat` line; `None` for anything that is not a zombie.
fn dead_child_of(stat: &str) -> Option<u32> {
    // The name is in parentheses and may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    (fields.next()? == "Z").then(|| fields.next()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_found_behind_any_name() {
        assert_eq!(dead_child_of("7 (a) Z) Z 1 7 7 0"), Some(1));
        assert_eq!(dead_child_of("7 (sleep) S 1 7 7 0"), None);
        assert_eq!(dead_child_of("7 (cut"), None);
    }

    #[test]
    fn a_dead_child_is_left_alone_once_and_waited_for_the_second_time() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let proc = Path::new("/proc");
        let begin = std::time::Instant::now();
        while !dead_children(proc).contains(&pid) {
            assert!(begin.elapsed() < Duration::from_secs(20), "the child never died");
            std::thread::yield_now();
        }
        // Other tests have children of their own, so only this one may count as seen before.
        let first = look(proc, BTreeSet::new());
        assert!(first.contains(&pid), "still there after the first look");
        assert!(dead_children(proc).contains(&pid));
        look(proc, BTreeSet::from([pid]));
        assert!(!dead_children(proc).contains(&pid), "gone after the second look");
        // Its status was taken: there is nothing left for the starter.
        assert!(child.try_wait().is_err());
    }
}
