//! Masks what looks like a credential in text that leaves the process as a log line.
//!
//! A second line of defence: secrets live in types that cannot be printed. This catches what arrives inside other text,
//! such as a provider's error message.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A line without any of these cannot hold what the patterns look for.
static MARKER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i:bearer\s|token|secret|password|api_?key)|sk-|ghp_|github_pat_|xox|AIza|PRIVATE KEY").ok()
});

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{12,})",
        r"\b(sk-[A-Za-z0-9_-]{8,}|ghp_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|xox[baprs]-[A-Za-z0-9-]{8,}|AIza[A-Za-z0-9_-]{16,})",
        r#"(?i)(?:token|secret|password|api_?key)["']?\s*[=:]\s*["']?([A-Za-z0-9._~+/-]{12,})"#,
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----)",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// The line with credentials masked.
pub fn line(text: &str) -> String {
    if MARKER.as_ref().is_some_and(|marker| !marker.is_match(text)) {
        return text.to_owned();
    }
    let mut out = Cow::Borrowed(text);
    for pattern in PATTERNS.iter() {
        if pattern.is_match(&out) {
            let masked = pattern.replace_all(&out, |found: &regex::Captures<'_>| {
                let whole = found.get(0).map_or("", |part| part.as_str());
                let secret = found.get(1).map_or(whole, |part| part.as_str());
                whole.replace(secret, "***")
            });
            out = Cow::Owned(masked.into_owned());
        }
    }
    out.into_owned()
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn credentials_are_masked_and_other_text_is_kept() {
        assert_eq!(
            line("Authorization: Bearer abcdef1234567890"),
            "Authorization: Bearer ***"
        );
        assert_eq!(line("key sk-mock-secret-77 refused"), "key *** refused");
        assert_eq!(line(r#"{"token":"0123456789abcdef"}"#), r#"{"token":"***"}"#);
        assert_eq!(line("total tokens: 12"), "total tokens: 12");
        assert_eq!(line("BEARER abcdef1234567890"), "BEARER ***");
        assert_eq!(line("OPENAI_API_KEY=abcdef1234567890"), "OPENAI_API_KEY=***");
        assert_eq!(line("Token: abcdef1234567890"), "Token: ***");
    }
}
