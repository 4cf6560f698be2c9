//! `config.get`.

use serde_json::Value;

use crate::config::Snapshot;
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
    payload(&view(&ctx.live.snapshot))
}

/// The configuration as clients may see it: secrets are replaced.
fn view(snapshot: &Snapshot) -> Value {
    crate::config::view::view(snapshot, true)
}
