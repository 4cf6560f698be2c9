//! Whether a session may be sent to: its own setting, else the rules of `session.sendPolicy`. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::key;
use crate::base::SessionKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Allow,
    Deny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Policy {
    default: Option<Action>,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    action: Action,
    #[serde(default, rename = "match")]
    matches: Match,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Match {
    channel: Option<String>,
    chat_type: Option<String>,
    key_prefix: Option<String>,
    raw_key_prefix: Option<String>,
}

/// Whether a message from `channel` may go to the session. `settings` are the session's own, `runtime` the whole
/// configuration with defaults.
pub fn may_send(key: &SessionKey, channel: &str, settings: Option<&Map<String, Value>>, runtime: &Value) -> bool {
    match settings.and_then(|settings| settings.get("sendPolicy")).and_then(Value::as_str) {
        Some("deny") => return false,
        Some("allow") => return true,
        _ => {}
    }
    let policy: Policy = runtime
        .pointer("/session/sendPolicy")
        .and_then(|policy| Policy::deserialize(policy).ok())
        .unwrap_or_default();
    let mut allowed = false;
    for rule in policy.rules.iter().filter(|rule| rule.matches.fits(key, channel)) {
        match rule.action {
            Action::Deny => return false,
            Action::Allow => allowed = true,
        }
    }
    allowed || policy.default != Some(Action::Deny)
}

impl Match {
    fn fits(&self, session: &SessionKey, channel: &str) -> bool {
        let full = session.as_str();
        let short = full
            .strip_prefix("agent:")
            .and_then(|rest| rest.split_once(':'))
            .map_or(full, |(_, rest)| rest);
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        let starts = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| found.starts_with(&wanted.to_lowercase()))
        };
        is(&self.channel, channel)
            && is(&self.chat_type, key::kind(session).as_str())
            && (starts(&self.key_prefix, short) || starts(&self.key_prefix, full))
            && starts(&self.raw_key_prefix, full)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(settings: Value, policy: Value) -> bool {
        let runtime = json!({ "session": { "sendPolicy": policy } });
        let key = SessionKey::new("agent:main:cron:nightly");
        may_send(&key, "webchat", settings.as_object(), &runtime)
    }

    #[test]
    fn the_sessions_own_setting_wins_over_the_rules() {
        assert!(!allowed(json!({"sendPolicy": "deny"}), json!({"default": "allow"})));
        assert!(allowed(json!({"sendPolicy": "allow"}), json!({"default": "deny"})));
    }

    #[test]
    fn a_matching_deny_wins_over_a_matching_allow_and_both_over_the_default() {
        let deny = json!({"action": "deny", "match": {"keyPrefix": "cron:"}});
        let allow = json!({"action": "allow", "match": {"chatType": "direct"}});
        assert!(!allowed(json!({}), json!({"default": "allow", "rules": [allow, deny]})));
        assert!(allowed(json!({}), json!({"default": "deny", "rules": [allow]})));
        assert!(!allowed(json!({}), json!({"default": "deny", "rules": []})));
        assert!(allowed(json!({}), Value::Null));
    }
}
