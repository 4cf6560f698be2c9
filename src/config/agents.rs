//! Agents: list and defaults, flattened.

use std::time::Duration;

use super::paths::Paths;
use super::snapshot::{AgentProfile, Issue, ModelSelection};
use super::types::agents::{Agent, Agents, ModelChoice};
use crate::base::AgentId;

/// Longest run when nothing says otherwise.
pub const DEFAULT_RUN_TIMEOUT: Duration = Duration::from_secs(172_800);
/// History messages sent to the model when nothing says otherwise.
pub const DEFAULT_CONTEXT_MESSAGES: u32 = 120;

/// One profile per agent, `main` if none is configured. Exactly one is the default.
pub fn flatten(agents: &Agents, paths: &Paths, issues: &mut Vec<Issue>) -> Vec<AgentProfile> {
    let main = Agent {
        id: "main".to_owned(),
        ..Agent::default()
    };
    let listed: Vec<&Agent> = if agents.list.is_empty() {
        vec![&main]
    } else {
        agents.list.iter().collect()
    };
    let default = listed.iter().position(|agent| agent.entry.default).unwrap_or(0);
    let mut profiles: Vec<AgentProfile> = Vec::new();
    for (index, agent) in listed.into_iter().enumerate() {
        let path = format!("agents.list[{index}].id");
        let Some(id) = agent_id(&agent.id) else {
            issues.push(Issue::error(
                path,
                format!(
                    "Invalid agent id \"{}\": use letters, digits, \"-\" and \"_\"",
                    agent.id
                ),
            ));
            continue;
        };
        if profiles.iter().any(|known| known.id == id) {
            issues.push(Issue::error(path, format!("Duplicate agent id \"{id}\"")));
            continue;
        }
        profiles.push(profile(id, agent, index == default, agents, paths));
    }
    profiles
}

/// The id in its canonical form, as upstream normalises it.
pub fn agent_id(text: &str) -> Option<AgentId> {
    let mapped: String = text
        .trim()
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed: String = mapped
        .trim_start_matches(['-', '_'])
        .trim_end_matches('-')
        .chars()
        .take(64)
        .collect();
    (!trimmed.is_empty()).then(|| AgentId::new(trimmed))
}

fn profile(id: AgentId, agent: &Agent, is_default: bool, agents: &Agents, paths: &Paths) -> AgentProfile {
    let (entry, defaults) = (&agent.entry, &agents.defaults);
    let non_blank = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let configured = entry.workspace.as_deref().or(if is_default {
        defaults.workspace.as_deref()
    } else {
        None
    });
    let workspace = match configured.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => paths.expand(text),
        None if is_default => paths.state_dir.join("workspace"),
        None => paths.state_dir.join(format!("workspace-{id}")),
    };
    let messages = entry
        .context_messages
        .or(defaults.context_messages)
        .unwrap_or(DEFAULT_CONTEXT_MESSAGES);
    let timeout = defaults
        .timeout_seconds
        .map_or(DEFAULT_RUN_TIMEOUT, Duration::from_secs);
    AgentProfile {
        is_default,
        name: non_blank(&entry.name),
        identity_name: non_blank(&entry.identity.name),
        identity_emoji: non_blank(&entry.identity.emoji),
        identity_avatar: non_blank(&entry.identity.avatar),
        identity_theme: non_blank(&entry.identity.theme),
        model: selection(entry.model.as_ref(), defaults.model.as_ref()),
        system_prompt: non_blank(&entry.system_prompt_override).or_else(|| non_blank(&defaults.system_prompt_override)),
        workspace,
        run_timeout: Some(timeout),
        thinking: entry
            .thinking_default
            .or(defaults.thinking_default)
            .map(|level| level.as_str().to_owned()),
        context_messages: usize::try_from(messages).unwrap_or(usize::MAX),
        allowed_models: defaults.models.keys().cloned().collect(),
        max_usd_per_day: entry.spend.max_usd_per_day.or(defaults.spend.max_usd_per_day),
        id,
    }
}

/// An agent's own model brings its own substitutes; without one it has the model and substitutes of the defaults.
fn selection(own: Option<&ModelChoice>, default: Option<&ModelChoice>) -> ModelSelection {
    let parts = |choice: &ModelChoice| match choice {
        ModelChoice::Name(name) => (Some(name.clone()), None),
        ModelChoice::Full(chain) => (chain.primary.clone(), Some(chain.fallbacks.clone())),
    };
    let (own_primary, own_fallbacks) = own.map(parts).unwrap_or_default();
    let (default_primary, default_fallbacks) = default.map(parts).unwrap_or_default();
    let blank = |text: &String| !text.trim().is_empty();
    let primary = own_primary.filter(blank);
    let inherits = primary.is_none() && own_fallbacks.as_ref().is_none_or(Vec::is_empty);
    ModelSelection {
        fallbacks: if inherits { default_fallbacks } else { own_fallbacks }.unwrap_or_default(),
        primary: primary.or(default_primary.filter(blank)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Env;
    use serde_json::json;

    fn flat(agents: serde_json::Value) -> (Vec<AgentProfile>, Vec<Issue>) {
        let env: Env = [("HOME", "/h"), ("OPENCLAW_STATE_DIR", "/s")].into_iter().collect();
        let mut issues = Vec::new();
        let agents: Agents = serde_json::from_value(agents).unwrap();
        (
            flatten(&agents, &Paths::resolve(&env, std::path::Path::new("/")), &mut issues),
            issues,
        )
    }

    #[test]
    fn without_agents_there_is_main() {
        let (agents, _) = flat(json!({}));
        assert_eq!(agents.len(), 1);
        assert!(agents[0].is_default && agents[0].id.as_str() == "main");
        assert_eq!(agents[0].workspace, std::path::Path::new("/s/workspace"));
        assert_eq!(
            (agents[0].context_messages, agents[0].run_timeout),
            (120, Some(DEFAULT_RUN_TIMEOUT))
        );
    }

    #[test]
    fn own_settings_win_and_exactly_one_agent_is_the_default() {
        let (agents, issues) = flat(json!({
            "defaults": {"model": {"primary": "p/a", "fallbacks": ["p/b"]}, "workspace": "~/w", "thinkingDefault": "low"},
            "list": [
                {"id": "one", "model": "p/c"},
                {"id": "Two", "default": true, "identity": {"name": "T"}},
                {"id": "three", "default": true, "model": {"fallbacks": ["p/x"]}, "thinkingDefault": "high"},
            ],
        }));
        assert_eq!(issues, []);
        assert_eq!(
            agents.iter().map(|a| a.is_default).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!(
            agents[0].model,
            ModelSelection {
                primary: Some("p/c".into()),
                fallbacks: vec![]
            }
        );
        assert_eq!(agents[0].workspace, std::path::Path::new("/s/workspace-one"));
        assert_eq!(agents[1].model.fallbacks, ["p/b"]);
        assert_eq!(
            (agents[1].id.as_str(), agents[1].workspace.to_str()),
            ("two", Some("/h/w"))
        );
        assert_eq!(
            agents[2].model,
            ModelSelection {
                primary: Some("p/a".into()),
                fallbacks: vec!["p/x".into()]
            }
        );
        assert_eq!(agents[2].thinking.as_deref(), Some("high"));
    }

    #[test]
    fn two_agents_cannot_have_one_id() {
        let (_, issues) = flat(json!({"list": [{"id": "a b"}, {"id": "a-b"}, {"id": "!!"}]}));
        let messages: Vec<_> = issues.iter().map(|issue| issue.message.as_str()).collect();
        assert_eq!(messages[0], "Duplicate agent id \"a-b\"");
        assert!(messages[1].starts_with("Invalid agent id \"!!\""));
    }
}
