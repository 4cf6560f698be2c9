//! Session rows as lists show them.

use serde_json::{Value, json};

use crate::live::Live;
use crate::store::SessionRow;

/// The row on the wire.
pub fn wire_row(row: &SessionRow, _live: &Live) -> Value {
    json!({"key": row.key, "sessionId": row.session_id, "updatedAt": row.updated_at_ms, "status": row.status})
}
