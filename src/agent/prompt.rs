//! The system prompt. Pure.

use crate::config::AgentProfile;

/// The agent's system prompt with what the caller adds to it.
pub(super) fn system_prompt(profile: &AgentProfile, extra: Option<&str>) -> Option<String> {
    let base = match &profile.system_prompt {
        Some(own) => own.clone(),
        None => {
            let name = profile
                .identity_name
                .as_deref()
                .or(profile.name.as_deref())
                .unwrap_or("Assistant");
            format!("You are {name}, a personal assistant reached through OpenClaw. Answer helpfully and truthfully.")
        }
    };
    match (base.is_empty(), extra) {
        (true, None) => None,
        (false, None) => Some(base),
        (true, Some(extra)) => Some(extra.to_owned()),
        (false, Some(extra)) => Some(format!("{base}\n\n{extra}")),
    }
}
