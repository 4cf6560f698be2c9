//! Counts in SQLite's signed integers.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, Value, ValueRef};

/// An unsigned count as a column value; stops at the largest integer that SQLite holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter(pub(super) u64);

impl ToSql for Counter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(
            i64::try_from(self.0).unwrap_or(i64::MAX),
        )))
    }
}

impl FromSql for Counter {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|number| Self(u64::try_from(number).unwrap_or(0)))
    }
}
