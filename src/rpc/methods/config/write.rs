//! `config.set`, `config.patch`, `config.apply`.

use serde_json::{Map, Value, json};

use crate::config::edit::Change;
use crate::config::view;
use crate::domain::config_control::{ChangeNote, ConfigChanged, ConfigRequest};
use crate::rpc::method::{MethodResult, RequestCtx, payload};
use crate::wire::params::config::{ConfigApply, ConfigPatch, ConfigSet};

pub(super) async fn set(ctx: RequestCtx, params: ConfigSet) -> MethodResult {
    let change = Change::Replace { raw: params.raw };
    carry_out(ctx, "config.set", change, params.base_hash, None).await
}

pub(super) async fn patch(ctx: RequestCtx, params: ConfigPatch) -> MethodResult {
    let change = Change::Merge {
        raw: params.raw,
        replace: params.replace_paths.unwrap_or_default(),
    };
    let note = ChangeNote {
        kind: "config-patch",
        mode: "config.patch",
        message: params.note,
        session_key: params.session_key,
        delivery_context: params.delivery_context.map(|context| json!(context)),
    };
    carry_out(ctx, "config.patch", change, params.base_hash, Some(note)).await
}

pub(super) async fn apply(ctx: RequestCtx, params: ConfigApply) -> MethodResult {
    let note = ChangeNote {
        kind: "config-apply",
        mode: "config.apply",
        message: params.note,
        session_key: params.session_key,
        delivery_context: params.delivery_context.map(|context| json!(context)),
    };
    let change = Change::Replace { raw: params.raw };
    carry_out(ctx, "config.apply", change, params.base_hash, Some(note)).await
}

async fn carry_out(
    ctx: RequestCtx,
    method: &'static str,
    change: Change,
    base_hash: Option<String>,
    note: Option<ChangeNote>,
) -> MethodResult {
    let noted = note.is_some();
    let request = ConfigRequest {
        change,
        base_hash,
        caller: Some(ctx.conn.id.clone()),
        note,
    };
    let changed = ctx.services.config.write(request).await?;
    if changed.close_caller {
        ctx.interim.close_after(4001, "gateway auth changed");
    }
    tracing::info!(
        target: "config",
        method,
        conn = %ctx.conn.id,
        client = %ctx.conn.client_id,
        generation = changed.snapshot.generation,
        same = changed.same,
        "configuration changed on request"
    );
    payload(&answer(changed, noted))
}

fn answer(changed: ConfigChanged, noted: bool) -> Value {
    let mut out = Map::new();
    out.insert("ok".to_owned(), Value::Bool(true));
    if changed.same && noted {
        out.insert("noop".to_owned(), Value::Bool(true));
    }
    let path = changed.snapshot.path.to_string_lossy();
    out.insert("path".to_owned(), Value::from(path));
    out.insert("config".to_owned(), view::config(&changed.snapshot));
    if let Some(reason) = changed.not_applied {
        out.insert("applied".to_owned(), Value::Bool(false));
        out.insert("reason".to_owned(), Value::from(reason));
    }
    if let Some(note) = changed.note {
        // No file: the change is in force, so no later start has to be told of it.
        out.insert("sentinel".to_owned(), json!({ "path": null, "payload": note }));
    }
    Value::Object(out)
}
