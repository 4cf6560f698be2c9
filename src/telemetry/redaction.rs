//! What is masked in log lines: the built-in patterns, and what configuration adds (`logging.redactPatterns`).

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use crate::base::redact;

/// Most patterns that are used; each one is tried on every line.
const MOST: usize = 64;
/// Longest pattern.
const LONGEST: usize = 1_000;
/// Largest compiled pattern.
const COMPILED: usize = 1024 * 1024;
/// Masked texts of this length show their ends, so that two of them can be told apart.
const TELLABLE: usize = 18;

/// What to mask.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    is_off: bool,
    patterns: Vec<Regex>,
}

impl Redaction {
    /// Nothing is masked beyond what is never logged (`logging.redactSensitive: "off"`).
    pub fn off() -> Self {
        Self {
            is_off: true,
            patterns: Vec::new(),
        }
    }

    /// The built-in patterns and these. Patterns that cannot be used are left out; see [`problem`].
    pub fn with(patterns: &[String]) -> Self {
        Self {
            is_off: false,
            patterns: patterns
                .iter()
                .take(MOST)
                .filter_map(|text| compile(text).ok())
                .collect(),
        }
    }

    /// The line with what is secret masked.
    pub fn line(&self, text: &str) -> String {
        if self.is_off {
            return text.to_owned();
        }
        let built_in = redact::line(text);
        let masked = self.patterns.iter().fold(Cow::Borrowed(&*built_in), |text, pattern| {
            match pattern.replace_all(&text, mask) {
                Cow::Borrowed(_) => text,
                Cow::Owned(masked) => Cow::Owned(masked),
            }
        });
        match masked {
            Cow::Borrowed(_) => built_in,
            Cow::Owned(masked) => masked,
        }
    }
}

/// Why the pattern at `index` is not used; `None` if it is.
pub fn problem(index: usize, pattern: &str) -> Option<String> {
    if index >= MOST {
        return Some(format!("not used: at most {MOST} patterns are tried"));
    }
    compile(pattern).err()
}

/// `/expression/flags`, or a bare expression, which ignores letter case.
fn compile(text: &str) -> Result<Regex, String> {
    if text.len() > LONGEST {
        return Err(format!("not used: longer than {LONGEST} characters"));
    }
    let delimited = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    let (expression, flags) = delimited
        .filter(|(_, flags)| flags.chars().all(|flag| flag.is_ascii_lowercase()))
        .unwrap_or((text, "gi"));
    let built = RegexBuilder::new(expression)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .size_limit(COMPILED)
        .build();
    match built {
        Ok(pattern) if pattern.is_match("") => Err("not used: it matches the empty text".to_owned()),
        Ok(pattern) => Ok(pattern),
        Err(regex::Error::CompiledTooBig(_)) => Err("not used: too complex".to_owned()),
        Err(_) => Err(
            "not used: not a regular expression of this gateway (look-around and back-references do not exist)"
                .to_owned(),
        ),
    }
}

/// The last group that matched, else the whole match, is the secret.
fn mask(found: &Captures<'_>) -> String {
    let whole = found.get(0).map_or("", |part| part.as_str());
    let secret = found.iter().skip(1).flatten().last().filter(|part| !part.is_empty());
    match (secret, found.get(0)) {
        (Some(secret), Some(all)) => {
            let (before, after) = (secret.start() - all.start(), secret.end() - all.start());
            let part = |range: Option<&str>| range.unwrap_or_default().to_owned();
            part(whole.get(..before)) + &hidden(secret.as_str()) + &part(whole.get(after..))
        }
        _ => hidden(whole),
    }
}

fn hidden(secret: &str) -> String {
    let count = secret.chars().count();
    if count < TELLABLE {
        return "***".to_owned();
    }
    let head: String = secret.chars().take(6).collect();
    let tail: String = secret.chars().skip(count - 4).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(patterns: &[&str], line: &str) -> String {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        Redaction::with(&patterns).line(line)
    }

    #[test]
    fn own_patterns_mask_beside_the_built_in_ones() {
        let line = "customer ACME-1234 key sk-mock-secret-77";
        assert_eq!(masked(&["acme-[0-9]+"], line), "customer *** key ***");
        assert_eq!(masked(&["/acme-[0-9]+/"], "customer ACME-1"), "customer ACME-1");
        assert_eq!(masked(&["/acme-[0-9]+/gi"], "customer ACME-1"), "customer ***");
    }

    #[test]
    fn the_last_group_is_the_secret_and_long_ones_stay_tellable() {
        assert_eq!(masked(&["pin=([0-9]+)"], "pin=1234 ok"), "pin=*** ok");
        assert_eq!(
            masked(&["order=([a-z0-9]+)"], "order=abcdefghijklmnopqrst"),
            "order=abcdef…qrst"
        );
    }

    #[test]
    fn unusable_patterns_are_named_and_the_others_work() {
        for bad in ["(", "(?<=x)y", "a*", &"x".repeat(LONGEST + 1)] {
            assert!(problem(0, bad).is_some(), "{bad}");
        }
        assert_eq!(problem(0, "x+"), None);
        assert!(problem(MOST, "x+").is_some());
        assert_eq!(masked(&["(", "zebra"], "a zebra"), "a ***");
    }

    #[test]
    fn off_means_off() {
        assert_eq!(Redaction::off().line("key sk-mock-secret-77"), "key sk-mock-secret-77");
    }
}
