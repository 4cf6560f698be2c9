//! How much a Claude model may think, from the caller's `reasoning_effort`.
//!
//! Models before 4.6 get a budget of tokens, which counts towards the answer's limit; later ones decide themselves and
//! get the effort as advice.

use serde::Serialize;

use crate::models::sampling::Effort;

/// Tokens that always remain for the answer itself.
const ANSWER_ROOM: u64 = 1_024;

/// Smallest budget that the API accepts.
const LEAST_BUDGET: u64 = 1_024;

/// `thinking` of a request, with what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// No field.
    None,
    /// A budget.
    Budget {
        /// Tokens for thoughts.
        tokens: u64,
        /// The answer's limit, thoughts included.
        max_tokens: u64,
    },
    /// The model decides.
    Adaptive(&'static str),
}

/// The field as it is sent.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u64>,
    display: &'static str,
}

impl Thinking {
    /// `limit`: the answer's limit without thoughts; `most`: the largest that the model can write.
    pub(super) fn new(model: &str, effort: Effort, limit: u64, most: u64) -> Self {
        let Some(effort) = effort.on() else {
            return Self::None;
        };
        if is_adaptive(model) {
            return Self::Adaptive(match effort {
                Effort::Off | Effort::Minimal | Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High | Effort::Xhigh => "high",
                Effort::Max => "max",
            });
        }
        let wanted = match effort {
            Effort::Off | Effort::Minimal => 1_024,
            Effort::Low => 2_048,
            Effort::Medium => 8_192,
            Effort::High | Effort::Xhigh | Effort::Max => 16_384,
        };
        let max_tokens = limit.saturating_add(wanted).min(most.max(limit));
        let tokens = wanted.min(max_tokens.saturating_sub(ANSWER_ROOM));
        if tokens < LEAST_BUDGET {
            return Self::None;
        }
        Self::Budget { tokens, max_tokens }
    }

    /// The field as it is sent.
    pub(super) fn field(self) -> Option<Field> {
        match self {
            Self::None => None,
            Self::Budget { tokens, .. } => Some(Field {
                r#type: "enabled",
                budget_tokens: Some(tokens),
                display: "summarized",
            }),
            Self::Adaptive(_) => Some(Field {
                r#type: "adaptive",
                budget_tokens: None,
                display: "summarized",
            }),
        }
    }
}

/// Whether the model is Claude 4.6 or later, from its id (`claude-opus-4-6`, `anthropic/claude-sonnet-4.6`, ...).
fn is_adaptive(model: &str) -> bool {
    ["opus", "sonnet", "haiku", "fable", "mythos"].iter().any(|family| {
        let Some((_, version)) = model.split_once(family) else {
            return false;
        };
        let mut numbers = version
            .trim_start_matches('-')
            .split(['-', '.', '@', ':'])
            .map_while(|part| part.parse::<u32>().ok());
        let major = numbers.next().unwrap_or(0);
        // A date follows where there is no minor version.
        let minor = numbers.next().filter(|minor| *minor < 100).unwrap_or(0);
        major < 100 && (major, minor) >= (4, 6)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_ids() {
        for (model, expected) in [
            ("claude-sonnet-4-5", false),
            ("claude-sonnet-4-5-20250929", false),
            ("claude-sonnet-4-20250514", false),
            ("claude-3-7-sonnet-20250219", false),
            ("claude-opus-4-6", true),
            ("anthropic/claude-sonnet-4.6", true),
            ("claude-opus-5", true),
            ("some-model", false),
        ] {
            assert_eq!(is_adaptive(model), expected, "{model}");
        }
    }

    #[test]
    fn a_budget_leaves_room_for_the_answer() {
        let old = "claude-sonnet-4-5";
        assert_eq!(
            Thinking::new(old, Effort::Medium, 8_192, 8_192),
            Thinking::Budget {
                tokens: 7_168,
                max_tokens: 8_192
            }
        );
        assert_eq!(
            Thinking::new(old, Effort::Low, 4_000, 64_000),
            Thinking::Budget {
                tokens: 2_048,
                max_tokens: 6_048
            }
        );
        assert_eq!(Thinking::new(old, Effort::High, 100, 1_500), Thinking::None);
        assert_eq!(Thinking::new(old, Effort::Off, 8_192, 8_192), Thinking::None);
    }
}
