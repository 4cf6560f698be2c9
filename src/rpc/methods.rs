//! The methods of the control plane, one file per family. Each exports its lines of the method table.

pub mod agent;
mod attachments;
pub mod chat;
pub mod config;
mod grown;
pub mod sessions;
mod target;

use crate::domain::Fault;
use crate::store::StoreError;

/// Storage errors are for the operator to mend; callers may retry.
fn store_fault(error: StoreError) -> Fault {
    tracing::error!(target: "gateway", %error, "storage failed while serving a request");
    Fault::unavailable(error.to_string())
}
