//! The grammar of session keys. Pure.
//!
//! A canonical key is lower case and names its agent: `agent:<agent>:<rest>`; only `global` and `unknown` stand alone.
//! Short keys of clients mean: `main` the main session of the default agent, any other text `agent:<default>:<text>`.

use crate::base::{AgentId, SessionKey};

/// Longest key, in characters, as a client may write it.
pub const MAX_KEY_CHARS: usize = 512;
/// The last part of an agent's main session.
pub const MAIN: &str = "main";
const MAX_AGENT_CHARS: usize = 64;
const SPECIAL: [&str; 2] = ["global", "unknown"];

/// Why a text is no session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing but white space.
    #[error("session key must not be empty")]
    Empty,
    /// More than [`MAX_KEY_CHARS`].
    #[error("session key must NOT have more than {MAX_KEY_CHARS} characters")]
    TooLong,
}

/// What kind of conversation a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With one person or program.
    Direct,
    /// With a group, channel or room.
    Group,
    /// Shared by everything.
    Global,
    /// Nobody knows.
    Unknown,
}

impl Kind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Global => "global",
            Self::Unknown => "unknown",
        }
    }
}

/// The canonical form of what a client wrote. Idempotent.
pub fn canonical(text: &str, default_agent: &AgentId) -> Result<SessionKey, KeyError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    let text = text.to_lowercase();
    if SPECIAL.contains(&text.as_str()) {
        return Ok(SessionKey::new(text));
    }
    let named = text.strip_prefix("agent:").and_then(|rest| rest.split_once(':'));
    let (agent, rest) = match named {
        Some((agent, rest)) => (agent_id(agent), rest.trim()),
        None => (default_agent.clone(), text.as_str()),
    };
    // Counted without the prefix, so that a canonical key is accepted again.
    if rest.chars().count() > MAX_KEY_CHARS {
        return Err(KeyError::TooLong);
    }
    Ok(join(&agent, if rest.is_empty() { MAIN } else { rest }))
}

/// An agent id from any text: lower case, other characters become `-`; nothing usable gives `main`.
pub fn agent_id(text: &str) -> AgentId {
    let mut id = String::with_capacity(text.len());
    for character in text.trim().to_lowercase().chars() {
        let fits = character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '_' | '-');
        id.push(if fits { character } else { '-' });
    }
    let trimmed: String = id
        .trim_start_matches(['-', '_'])
        .chars()
        .take(MAX_AGENT_CHARS)
        .collect();
    let trimmed = trimmed.trim_end_matches('-');
    AgentId::new(if trimmed.is_empty() { MAIN } else { trimmed })
}

/// The main session of an agent.
pub fn main_key(agent: &AgentId) -> SessionKey {
    join(agent, MAIN)
}

/// The agent of a canonical key; `default_agent` for keys that stand alone.
pub fn agent_of(key: &SessionKey, default_agent: &AgentId) -> AgentId {
    key.agent().unwrap_or_else(|| default_agent.clone())
}

/// A fresh session made from a control surface.
pub fn dashboard_fresh(agent: &AgentId) -> SessionKey {
    join(agent, &format!("dashboard:{}", uuid::Uuid::new_v4()))
}

/// What kind of conversation a canonical key names.
pub fn kind(key: &SessionKey) -> Kind {
    match key.as_str() {
        "global" => Kind::Global,
        "unknown" => Kind::Unknown,
        text if [":group:", ":channel:", ":room:"]
            .iter()
            .any(|part| text.contains(part)) =>
        {
            Kind::Group
        }
        _ => Kind::Direct,
    }
}

fn join(agent: &AgentId, rest: &str) -> SessionKey {
    SessionKey::new(format!("agent:{agent}:{rest}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn main_agent() -> AgentId {
        AgentId::new("main")
    }

    #[test]
    fn short_keys_belong_to_the_default_agent_and_full_keys_to_their_own() {
        let agent = AgentId::new("ops");
        for (written, expected) in [
            ("main", "agent:ops:main"),
            ("  Main ", "agent:ops:main"),
            ("my-chat", "agent:ops:my-chat"),
            ("agent:main:main", "agent:main:main"),
            ("Agent:MAIN:Telegram:Group:-100", "agent:main:telegram:group:-100"),
            ("agent:main:", "agent:main:main"),
            ("agent:x", "agent:ops:agent:x"),
            ("global", "global"),
        ] {
            assert_eq!(canonical(written, &agent).unwrap().as_str(), expected, "{written:?}");
        }
    }

    #[test]
    fn empty_and_oversized_keys_are_refused() {
        assert_eq!(canonical(" \n", &main_agent()), Err(KeyError::Empty));
        assert_eq!(canonical(&"k".repeat(513), &main_agent()), Err(KeyError::TooLong));
        assert!(canonical(&"k".repeat(512), &main_agent()).is_ok());
    }

    #[test]
    fn groups_are_told_from_direct_conversations() {
        let of = |text: &str| kind(&canonical(text, &main_agent()).unwrap());
        assert_eq!(of("agent:main:telegram:group:-1:topic:2"), Kind::Group);
        assert_eq!(of("agent:main:direct:anna"), Kind::Direct);
        assert_eq!(of("main"), Kind::Direct);
        assert_eq!(of("global"), Kind::Global);
    }

    proptest! {
        #[test]
        fn canonical_keys_are_stable_lower_case_and_name_an_agent(text in "\\PC{1,80}|k{500,512}", agent in "[a-z0-9][a-z0-9_-]{0,20}[a-z0-9]") {
            let agent = AgentId::new(agent);
            if let Ok(key) = canonical(&text, &agent) {
                prop_assert_eq!(&canonical(key.as_str(), &AgentId::new("other")).unwrap(), &key);
                prop_assert_eq!(key.as_str().to_lowercase(), key.as_str());
                prop_assert!(key.agent().is_some() || SPECIAL.contains(&key.as_str()));
            }
        }

        #[test]
        fn agent_ids_always_fit_the_grammar(text in "\\PC{0,100}") {
            let id = agent_id(&text);
            let bytes = id.as_str().as_bytes();
            prop_assert!(!bytes.is_empty() && bytes.len() <= MAX_AGENT_CHARS);
            prop_assert!(bytes[0].is_ascii_lowercase() || bytes[0].is_ascii_digit());
            prop_assert!(bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-')));
            prop_assert_eq!(agent_id(id.as_str()), id);
        }
    }
}
