//! How hard the model thinks: the run's own level, else the session's, else the agent's.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::AgentProfile;
use crate::config::types::agents::Thinking;
use crate::domain::model::Sampling;
use crate::domain::run::RunRequest;

/// The parameter as chat completions name it; other dialects translate it.
const EFFORT: &str = "reasoning_effort";

/// The level in force for a run. `session`: settings of the session's row.
pub(super) fn level(request: &RunRequest, session: Option<&Map<String, Value>>, profile: &AgentProfile) -> Thinking {
    let of_session = || session?.get("thinkingLevel")?.as_str().and_then(Thinking::parse);
    let of_agent = || profile.thinking.as_deref().and_then(Thinking::parse);
    request
        .thinking
        .or_else(of_session)
        .or_else(of_agent)
        .unwrap_or(Thinking::Off)
}

/// The parameters with the level in them, unless the caller chose an effort of its own. Only for models that reason.
pub(super) fn with_effort(sampling: &Arc<Sampling>, level: Thinking) -> Arc<Sampling> {
    match effort(level) {
        Some(effort) if !sampling.contains_key(EFFORT) => {
            let mut sampling = (**sampling).clone();
            sampling.insert(EFFORT.to_owned(), effort.into());
            Arc::new(sampling)
        }
        _ => Arc::clone(sampling),
    }
}

/// Efforts that every provider with such a parameter knows; levels beyond them mean the nearest.
const fn effort(level: Thinking) -> Option<&'static str> {
    match level {
        Thinking::Off => None,
        Thinking::Minimal => Some("minimal"),
        Thinking::Low => Some("low"),
        Thinking::Medium | Thinking::Adaptive => Some("medium"),
        Thinking::High | Thinking::Xhigh | Thinking::Max => Some("high"),
    }
}
