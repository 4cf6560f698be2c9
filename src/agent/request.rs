//! The stored form of a run request: enough to run it after a restart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{AgentId, RunId, SessionKey};
use crate::config::types::agents::Thinking;
use crate::domain::model::{ModelRef, ToolChoice};
use crate::domain::run::{Conversation, RunRequest, RunSource};
use crate::domain::{Detail, Part};
use crate::store::StoredRun;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredRequest {
    key_as_sent: String,
    input: Vec<StoredPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extra_system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    sampling: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
enum StoredPart {
    Text {
        text: String,
    },
    Image {
        mime: String,
        data: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    Audio {
        format: String,
        data: Arc<str>,
    },
}

/// JSON text of the request.
pub(super) fn to_json(request: &RunRequest) -> String {
    let stored = StoredRequest {
        key_as_sent: request.key_as_sent.clone(),
        input: request
            .input
            .iter()
            .map(|part| match part {
                Part::Text(text) => StoredPart::Text { text: text.clone() },
                Part::Image { mime, data, detail } => StoredPart::Image {
                    mime: mime.clone(),
                    data: Arc::clone(data),
                    detail: detail.map(|detail| detail.as_str().to_owned()),
                },
                Part::Audio { format, data } => StoredPart::Audio {
                    format: format.clone(),
                    data: Arc::clone(data),
                },
            })
            .collect(),
        extra_system: request.extra_system.clone(),
        model: request
            .model
            .as_ref()
            .map(|model| (model.provider.to_string(), model.model.to_string())),
        thinking: request.thinking.map(|level| level.as_str().to_owned()),
        sampling: (*request.sampling).clone(),
        timeout_ms: request
            .timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    };
    // Plain data with string keys: serialising cannot fail; an empty object would fail visibly when read back.
    serde_json::to_string(&stored).unwrap_or_default()
}

/// The request of a stored run. `None`: written by something else, cannot be run.
pub(super) fn from_stored(run: &StoredRun) -> Option<RunRequest> {
    let stored: StoredRequest = serde_json::from_str(&run.request).ok()?;
    Some(RunRequest {
        run_id: RunId::new(run.run_id.as_str()),
        source: RunSource::parse(&run.source)?,
        agent: AgentId::new(run.agent_id.as_str()),
        conversation: Conversation::Durable(SessionKey::new(run.session_key.as_str())),
        key_as_sent: stored.key_as_sent,
        send_allowed: None,
        input: stored
            .input
            .into_iter()
            .map(|part| match part {
                StoredPart::Text { text } => Part::Text(text),
                StoredPart::Image { mime, data, detail } => Part::Image {
                    mime,
                    data,
                    detail: detail.as_deref().and_then(Detail::parse),
                },
                StoredPart::Audio { format, data } => Part::Audio { format, data },
            })
            .collect(),
        supplied_history: Vec::new(),
        tool_results: Vec::new(),
        extra_system: stored.extra_system,
        model: stored.model.map(|(provider, model)| ModelRef {
            provider: provider.into(),
            model: model.into(),
        }),
        thinking: stored.thinking.as_deref().and_then(Thinking::parse),
        sampling: Arc::new(stored.sampling),
        client_tools: Arc::from([]),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        stream: true,
        timeout: stored.timeout_ms.map(std::time::Duration::from_millis),
        owner: None,
        trace: None,
    })
}
