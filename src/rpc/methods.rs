//! Method families: thin functions that unpack, call and shape. Each family exports its lines of the method table.

pub mod agent;
mod attachments;
pub mod chat;
pub mod config;
pub mod core;
pub mod devices;
mod grown;
pub mod sessions;
mod target;
pub mod usage;

use crate::domain::Fault;
use crate::store::StoreError;

/// Storage errors are for the operator to mend; callers may retry.
fn store_fault(error: StoreError) -> Fault {
    tracing::error!(target: "gateway", %error, "storage failed while serving a request");
    Fault::unavailable(error.to_string())
}
