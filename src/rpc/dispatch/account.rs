//! What is counted and logged of each request.

use std::time::{Duration, Instant};

use crate::domain::Fault;
use crate::rpc::method::ConnInfo;
use crate::rpc::surface::Surface;

/// Requests that take longer are worth a line.
const SLOW: Duration = Duration::from_millis(50);
/// Characters of an id that a short line shows at each end.
const ID_ENDS: (usize, usize) = (8, 4);

/// Which requests are logged (`--ws-log`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WsLog {
    /// Those that failed or were slow.
    #[default]
    Problems,
    /// All: one short line with the answer.
    Compact,
    /// All: a line for the request, one for its answer.
    Full,
}

/// A request from its arrival to its answer.
#[derive(Clone)]
pub(super) struct Account {
    surface: Surface,
    method: &'static str,
    began: Instant,
}

impl Account {
    /// A request for `method`, which is a known name or `unknown`, arrived.
    pub(super) fn open(surface: &Surface, conn: &ConnInfo, method: &'static str, id: &str) -> Self {
        if surface.log() == WsLog::Full {
            tracing::info!(target: "ws", conn = %conn.id, id, "→ req {method}");
        }
        Self {
            surface: surface.clone(),
            method,
            began: Instant::now(),
        }
    }

    /// It was answered.
    pub(super) fn close(&self, conn: &ConnInfo, id: &str, failure: Option<&Fault>) {
        let outcome = failure.map_or("ok", |fault| fault.kind.as_str());
        self.surface.requests().answered(self.method, outcome);
        let style = self.surface.log();
        let took = self.began.elapsed();
        if style == WsLog::Problems && failure.is_none() && took < SLOW {
            return;
        }
        let (conn, id) = match style {
            WsLog::Full => (conn.id.as_str().to_owned(), id.to_owned()),
            WsLog::Compact | WsLog::Problems => (short(conn.id.as_str()), short(id)),
        };
        let (method, ms) = (self.method, took.as_millis());
        match failure {
            None => tracing::info!(target: "ws", conn, id, "⇄ res ✓ {method} {ms}ms"),
            Some(fault) => {
                tracing::info!(target: "ws", conn, id, error = fault.message, code = outcome, "⇄ res ✗ {method} {ms}ms");
            }
        }
    }

    /// Nobody waited for the answer any more.
    pub(super) fn abandon(&self) {
        self.surface.requests().answered(self.method, "abandoned");
    }
}

/// Both ends of an id.
fn short(id: &str) -> String {
    let (head, tail) = ID_ENDS;
    let count = id.chars().count();
    if count <= head + tail + 1 {
        return id.to_owned();
    }
    let first: String = id.chars().take(head).collect();
    let last: String = id.chars().skip(count - tail).collect();
    format!("{first}…{last}")
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn long_ids_show_their_ends() {
        assert_eq!(short("r1"), "r1");
        assert_eq!(short("5d2c8e44-0000-4000-8000-00000000ec96"), "5d2c8e44…ec96");
    }
}
