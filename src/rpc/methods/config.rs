//! `config.*` and `secrets.reload`.

mod schema;
mod write;

use std::sync::Arc;

use serde_json::json;

use super::grown::grown_method;
use crate::config::view::{view, view_broken};
use crate::domain::Scope;
use crate::method;
use crate::rpc::method::{Access, Method, MethodResult, RequestCtx, payload};
use crate::rpc::validation::NoParams;
use crate::wire::params::config::{ConfigApply, ConfigPatch, ConfigSet, Nothing, SchemaLookup};

const READ: Access = Access::Operator(Scope::Read);
const ADMIN: Access = Access::Operator(Scope::Admin);

/// Lines of the method table.
pub const METHODS: &[Method] = &[
    method!("config.get", READ, listed: true, Nothing, sync get),
    method!("config.set", ADMIN, listed: true, ConfigSet, write::set),
    grown_method!("config.patch", ADMIN, listed: true, ConfigPatch, write::patch),
    method!("config.apply", ADMIN, listed: true, ConfigApply, write::apply),
    grown_method!("config.schema", READ, listed: true, legacy: Some(Scope::Admin), Nothing, schema::whole),
    method!("config.schema.lookup", READ, listed: true, SchemaLookup, sync schema::look_up),
    method!("config.openFile", ADMIN, listed: false, Nothing, sync open_file),
    method!("secrets.reload", ADMIN, listed: true, NoParams, reload_secrets),
];

fn get(ctx: RequestCtx, _params: Nothing) -> MethodResult {
    let snapshots = &ctx.services.snapshots;
    let snapshot = &ctx.live.snapshot;
    if let Some(error) = snapshots.broken() {
        return payload(&view_broken(snapshot, &error));
    }
    // The answer is about the file, of which the next change has to know the hash.
    let shown = snapshots.waiting().unwrap_or_else(|| Arc::clone(snapshot));
    payload(&view(&shown, true))
}

/// A gateway has no desktop to open the file on.
fn open_file(ctx: RequestCtx, _params: Nothing) -> MethodResult {
    let path = ctx.live.snapshot.path.to_string_lossy();
    payload(&json!({ "ok": false, "path": path, "error": "failed to open config file" }))
}

async fn reload_secrets(ctx: RequestCtx, _params: NoParams) -> MethodResult {
    let problems = ctx.services.config.reload_secrets().await?;
    payload(&json!({ "ok": true, "warningCount": problems }))
}
