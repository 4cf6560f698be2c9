//! `channels.status`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::channel::ChannelAccountStatus;
use crate::health::snapshot::{channel_labels, channel_order};
use crate::rpc::method::{MethodResult, RequestCtx, payload};

/// `probe` and `timeoutMs` are accepted: the status shown is always the live one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "declared so that they are checked")]
pub(super) struct StatusParams {
    #[serde(default)]
    probe: Option<bool>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    #[schemars(length(min = 1))]
    channel: Option<String>,
}

pub(super) fn status(ctx: RequestCtx, params: StatusParams) -> MethodResult {
    let mut accounts = ctx.services.channels.status();
    if let Some(channel) = params.channel {
        accounts.retain(|account| account.channel == channel);
    }
    let order = channel_order(&accounts);
    let labels = channel_labels(&accounts);
    let meta: Vec<Value> = labels
        .iter()
        .map(|(id, label)| json!({ "id": id, "label": label, "detailLabel": label }))
        .collect();
    let mut channels = Map::new();
    let mut by_account = Map::new();
    let mut defaults = Map::new();
    for id in &order {
        let of_channel: Vec<&ChannelAccountStatus> = accounts.iter().filter(|account| account.channel == *id).collect();
        let rows: Vec<Value> = of_channel.iter().map(|account| row(account)).collect();
        if let Some(first) = of_channel.first() {
            defaults.insert((*id).to_owned(), Value::from(first.account.as_str()));
        }
        channels.insert(
            (*id).to_owned(),
            json!({
                "configured": of_channel.iter().any(|account| account.configured),
                "running": of_channel.iter().any(|account| account.running),
                "connected": of_channel.iter().any(|account| account.connected),
                "lastError": of_channel.iter().find_map(|account| account.last_error.as_deref()),
            }),
        );
        by_account.insert((*id).to_owned(), Value::Array(rows));
    }
    payload(&json!({
        "ts": ctx.services.clock.now_ms(),
        "channelOrder": order,
        "channelLabels": labels,
        "channelDetailLabels": labels,
        "channelSystemImages": {},
        "channelMeta": meta,
        "eventLoop": ctx.services.health.lag(),
        "channels": channels,
        "channelAccounts": by_account,
        "channelDefaultAccountId": defaults,
    }))
}

fn row(account: &ChannelAccountStatus) -> Value {
    let mut row = json!({
        "accountId": account.account,
        "enabled": account.enabled,
        "configured": account.configured,
        "running": account.running,
        "connected": account.connected,
    });
    if let (Some(row), Some(error)) = (row.as_object_mut(), &account.last_error) {
        row.insert("lastError".to_owned(), Value::from(error.as_str()));
    }
    row
}
