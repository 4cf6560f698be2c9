//! `config.schema` and `config.schema.lookup`.

use std::sync::LazyLock;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::hints::{self, HINTS};
use crate::config::schema::SCHEMA;
use crate::domain::{Fault, FaultKind};
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::wire::params::config::{Nothing, SchemaLookup};

/// Serialised once; both are fixed by the program.
static TEXTS: LazyLock<Option<(Box<RawValue>, Box<RawValue>)>> =
    LazyLock::new(|| Some((to_raw_value(&*SCHEMA).ok()?, to_raw_value(&*HINTS).ok()?)));

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    schema: &'a RawValue,
    ui_hints: &'a RawValue,
    version: &'static str,
    generated_at: String,
}

pub(super) async fn whole(ctx: RequestCtx, _params: Nothing) -> MethodResult {
    let Some((schema, ui_hints)) = TEXTS.as_ref() else {
        return Err(Fault::new(FaultKind::Internal, "the configuration schema cannot be written").into());
    };
    let now = jiff::Timestamp::from_millisecond(ctx.services.clock.now_ms()).unwrap_or_default();
    payload(&Whole {
        schema,
        ui_hints,
        version: crate::VERSION,
        generated_at: format!("{now:.3}"),
    })
}

pub(super) fn look_up(ctx: RequestCtx, params: SchemaLookup) -> MethodResult {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_./[]-*".contains(c);
    if !params.path.chars().all(fits) {
        return Err(Fault::invalid(
            r#"invalid config.schema.lookup params: at /path: must match pattern "^[A-Za-z0-9_./\[\]\-*]+$""#,
        )
        .into());
    }
    // Protocol 3 has a closed answer, which does not say what a change takes.
    match hints::look_up(&params.path, ctx.conn.protocol >= 4) {
        Some(node) => payload(&node),
        None => Err(Fault::new(FaultKind::NotFound, "config schema path not found").into()),
    }
}
