//! Lines for whoever sends them elsewhere.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use crate::telemetry::events::ExporterState;

/// Gives every line that the log file would hold to one receiver, or to nobody; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogMirror(Arc<ArcSwapOption<mpsc::Sender<String>>>);

impl LogMirror {
    /// Sets the receiver. Lines that do not fit into its queue are dropped and counted.
    pub fn install(&self, receiver: Option<mpsc::Sender<String>>) {
        self.0.store(receiver.map(Arc::new));
    }

    /// `line` is masked JSON. What the exporter says of itself is not given to it: a collector that refuses lines would
    /// be told so in lines.
    pub(super) fn push(&self, subsystem: &str, line: &str) {
        if subsystem == "otlp" {
            return;
        }
        if let Some(queue) = self.0.load().as_ref()
            && queue.try_send(line.to_owned()).is_err()
        {
            ExporterState::Dropped {
                signal: "logs",
                items: 1,
            }
            .emit();
        }
    }
}
