//! Smaller answers: a page of input items, the receipt of a deletion, a compacted conversation.

use serde::Serialize;
use serde_json::value::RawValue;

use super::object::Usage;
use super::output::Compaction;

/// `GET /v1/responses/{id}/input_items`.
#[derive(Debug, Clone, Serialize)]
pub struct ItemPage<'a> {
    object: &'static str,
    data: Vec<&'a RawValue>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

/// `DELETE /v1/responses/{id}`.
#[derive(Debug, Clone, Serialize)]
pub struct Deleted<'a> {
    id: &'a str,
    object: &'static str,
    deleted: bool,
}

/// `POST /v1/responses/compact`.
#[derive(Debug, Clone, Serialize)]
pub struct Compacted<'a> {
    id: &'a str,
    object: &'static str,
    created_at: i64,
    output: [&'a Compaction; 1],
    usage: Usage,
}

impl<'a> ItemPage<'a> {
    /// A page of these items, each with its id.
    pub fn new(items: &[(&'a str, &'a RawValue)], has_more: bool) -> Self {
        Self {
            object: "list",
            data: items.iter().map(|(_, item)| *item).collect(),
            first_id: items.first().map(|(id, _)| *id),
            last_id: items.last().map(|(id, _)| *id),
            has_more,
        }
    }
}

impl<'a> Deleted<'a> {
    /// The receipt for `id`.
    pub const fn new(id: &'a str) -> Self {
        Self {
            id,
            object: "response",
            deleted: true,
        }
    }
}

impl<'a> Compacted<'a> {
    /// The conversation as one item.
    pub const fn new(id: &'a str, created_at: i64, item: &'a Compaction, usage: Usage) -> Self {
        Self {
            id,
            object: "response.compaction",
            created_at,
            output: [item],
            usage,
        }
    }
}
