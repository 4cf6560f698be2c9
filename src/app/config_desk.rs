//! Takes wishes to change the configuration and passes them to the one task that reloads it.

use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::config::edit::EditError;
use crate::config::hints::allowed_values;
use crate::config::write::WriteError;
use crate::domain::config_control::{ConfigChanged, ConfigControl, ConfigRequest};
use crate::domain::run::PortFuture;
use crate::domain::{Fault, FaultKind};

/// Wishes that may wait; further callers wait for a place, within their deadline.
const WAITING: usize = 16;
/// From a wish to its answer. Secret providers that are programs may take their time.
const DEADLINE: Duration = Duration::from_secs(60);
/// Values of a closed set that an issue lists.
const MAX_ALLOWED: usize = 12;

type Answer<T> = oneshot::Sender<Result<T, Fault>>;

/// A wish with the place for its answer.
pub(super) enum Order {
    /// Change the file.
    Write(Box<ConfigRequest>, Answer<ConfigChanged>),
    /// Read the secrets again.
    Secrets(Answer<usize>),
}

/// The port as surfaces see it.
pub(super) struct ConfigDesk {
    orders: mpsc::Sender<Order>,
}

impl ConfigDesk {
    /// The desk, and the end that the reload task works on.
    pub(super) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(WAITING);
        (Self { orders }, received)
    }

    async fn order<T>(&self, make: impl FnOnce(Answer<T>) -> Order) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let gone = || Fault::unavailable("the configuration cannot be changed while the gateway stops");
            self.orders.send(make(answer)).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        };
        tokio::time::timeout(DEADLINE, asked).await.unwrap_or_else(|_| {
            Err(Fault::unavailable(
                "the configuration is still being changed; re-run config.get to see what is in force",
            ))
        })
    }
}

impl ConfigControl for ConfigDesk {
    fn write(&self, request: ConfigRequest) -> PortFuture<'_, Result<ConfigChanged, Fault>> {
        Box::pin(self.order(|answer| Order::Write(Box::new(request), answer)))
    }

    fn reload_secrets(&self) -> PortFuture<'_, Result<usize, Fault>> {
        Box::pin(self.order(Order::Secrets))
    }
}

/// A refused change, for the caller.
pub(super) fn refused(error: &EditError) -> Fault {
    let kind = match error {
        EditError::BaseHashStale => FaultKind::Conflict,
        EditError::Rejected { .. } | EditError::Unreadable(_) => FaultKind::Unavailable,
        _ => FaultKind::InvalidRequest,
    };
    let fault = Fault::new(kind, error.to_string());
    let issues: Vec<serde_json::Value> = error
        .issues()
        .iter()
        .map(|issue| {
            let mut shown = json!({ "path": issue.path, "message": issue.message });
            let closed = issue.message.contains("(allowed: ");
            if let Some((values, count)) = allowed_values(&issue.path, MAX_ALLOWED).filter(|_| closed)
                && let Some(shown) = shown.as_object_mut()
            {
                shown.insert("allowedValuesHiddenCount".to_owned(), json!(count - values.len()));
                shown.insert("allowedValues".to_owned(), json!(values));
            }
            shown
        })
        .collect();
    if issues.is_empty() {
        fault
    } else {
        fault.with_details(json!({ "issues": issues }))
    }
}

/// A change that could not be written, for the caller.
pub(super) fn unwritten(error: &WriteError) -> Fault {
    let kind = match error {
        WriteError::Changed => FaultKind::Conflict,
        _ => FaultKind::Unavailable,
    };
    Fault::new(kind, error.to_string())
}
