//! Whether a session may be sent to: its own setting, else the rules of `session.sendPolicy`. Pure.

use serde_json::{Map, Value};

use super::key::{self, Kind};
use crate::base::SessionKey;
use crate::config::types::session::{ChatType, SendAction, SendMatch, SendPolicy};

/// Whether a message from `channel` may go to the session. `settings` are the session's own.
pub fn may_send(key: &SessionKey, channel: &str, settings: Option<&Map<String, Value>>, policy: &SendPolicy) -> bool {
    match settings
        .and_then(|settings| settings.get("sendPolicy"))
        .and_then(Value::as_str)
    {
        Some("deny") => return false,
        Some("allow") => return true,
        _ => {}
    }
    let mut allowed = false;
    for rule in policy.rules.iter().filter(|rule| fits(&rule.when, key, channel)) {
        match rule.action {
            // A refusal is never outvoted by a rule that allows.
            SendAction::Deny => return false,
            SendAction::Allow => allowed = true,
        }
    }
    allowed || policy.default != Some(SendAction::Deny)
}

fn fits(when: &SendMatch, session: &SessionKey, channel: &str) -> bool {
    let full = session.as_str();
    let short = full
        .strip_prefix("agent:")
        .and_then(|rest| rest.split_once(':'))
        .map_or(full, |(_, rest)| rest);
    let starts = |wanted: &Option<String>, found: &str| {
        wanted
            .as_deref()
            .is_none_or(|wanted| found.starts_with(&wanted.to_lowercase()))
    };
    let right_channel = when
        .channel
        .as_deref()
        .is_none_or(|wanted| wanted.eq_ignore_ascii_case(channel));
    let right_type = match when.chat_type {
        None => true,
        Some(ChatType::Direct | ChatType::Dm) => key::kind(session) == Kind::Direct,
        Some(ChatType::Group) => key::kind(session) == Kind::Group && !full.contains(":channel:"),
        Some(ChatType::Channel) => full.contains(":channel:"),
    };
    right_channel && right_type && starts(&when.key_prefix, short) && starts(&when.raw_key_prefix, full)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(settings: Value, policy: Value) -> bool {
        let key = SessionKey::new("agent:main:cron:nightly");
        let policy: SendPolicy = serde_json::from_value(policy).unwrap();
        may_send(&key, "webchat", settings.as_object(), &policy)
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
        assert!(allowed(json!({}), json!({})));
    }
}
