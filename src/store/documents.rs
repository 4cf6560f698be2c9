//! Small JSON documents by collection and key.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde_json::Value;

use super::StoreError;

pub(super) const GET: &str = "SELECT value FROM documents WHERE collection = :collection AND key = :key";
pub(super) const ALL: &str = "SELECT value, key FROM documents WHERE collection = :collection ORDER BY key";

pub(super) fn get(conn: &Connection, collection: &str, key: &str) -> Result<Option<Value>, StoreError> {
    let value = conn
        .prepare_cached(GET)?
        .query_row(named_params! { ":collection": collection, ":key": key }, value)
        .optional()?;
    Ok(value)
}

pub(super) fn all(conn: &Connection, collection: &str) -> Result<Vec<(String, Value)>, StoreError> {
    let documents = conn
        .prepare_cached(ALL)?
        .query_map(named_params! { ":collection": collection }, |row| {
            Ok((row.get(1)?, value(row)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(documents)
}

pub(super) fn put(conn: &Connection, collection: &str, changes: &[(String, Option<Value>)]) -> Result<(), StoreError> {
    for (key, value) in changes {
        match value {
            Some(value) => conn
                .prepare_cached(
                    "INSERT INTO documents (collection, key, value) VALUES (:collection, :key, :value)
                     ON CONFLICT DO UPDATE SET value = excluded.value",
                )?
                .execute(named_params! { ":collection": collection, ":key": key, ":value": value.to_string() })?,
            None => conn
                .prepare_cached("DELETE FROM documents WHERE collection = :collection AND key = :key")?
                .execute(named_params! { ":collection": collection, ":key": key })?,
        };
    }
    Ok(())
}

fn value(row: &Row<'_>) -> rusqlite::Result<Value> {
    let text: String = row.get(0)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}
