//! Schema versions: numbered scripts, each applied once, in a transaction of its own.
//!
//! The version lives in the file's `user_version`. A script that was released never changes; the next change is the
//! next script.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Scripts in order; the first one brings version 0 (an empty file) to version 1.
pub(super) const SCRIPTS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_responses.sql"),
];

/// Brings the file to the newest version. A file of a newer version is left alone.
pub(super) fn apply(conn: &mut Connection, scripts: &[&str]) -> Result<(), StoreError> {
    // The write lock is taken even when nothing is to be done: opening shows at once whether the file can be locked.
    // The version is read under that lock, because another process may be migrating.
    loop {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let known = u32::try_from(scripts.len()).unwrap_or(u32::MAX);
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        let Some(script) = usize::try_from(found).ok().and_then(|next| scripts.get(next)) else {
            transaction.commit()?;
            return Ok(());
        };
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
        tracing::info!(target: "store", from = found, to = found + 1, "migrated the state database");
    }
}
