//! `config.get`.

use crate::config::view::{view, view_broken};
use crate::domain::Scope;
use crate::method;
use crate::rpc::method::{Access, Method, MethodResult, RequestCtx, payload};

/// Lines of the method table.
pub const METHODS: &[Method] = &[method!(
    "config.get",
    Access::Operator(Scope::Read),
    listed: true,
    Nothing,
    get
)];

/// No parameters, and none are tolerated.
#[derive(Debug, Clone, Copy, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn get(ctx: RequestCtx, _params: Nothing) -> MethodResult {
    let snapshot = &ctx.live.snapshot;
    payload(&match ctx.services.snapshots.broken() {
        Some(error) => view_broken(snapshot, &error),
        None => view(snapshot, true),
    })
}
