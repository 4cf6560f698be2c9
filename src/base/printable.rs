//! Text that others may have chosen, on its way to a terminal or a log of lines: it must not begin a line of its own, nor
//! speak to the terminal, nor show itself in another order than it has.

use std::borrow::Cow;

/// Appends a message; its further lines are indented, so that none of them looks like a new entry.
pub fn push_message(out: &mut String, text: &str) {
    push(out, text, "\n    ");
}

/// Appends a value that stays on its line.
pub fn push_word(out: &mut String, text: &str) {
    push(out, text, "\\n");
}

/// Lines for people as they may go to a terminal. Line ends stay, and with `colored` so do colours (`ESC [ numbers m`).
pub fn lines(text: &str, colored: bool) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_harmless(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        push(&mut out, before, "\n");
        rest = match color(after).filter(|_| colored) {
            Some((color, after)) => {
                out.push('\u{1b}');
                out.push_str(color);
                after
            }
            None => {
                out.extend('\u{1b}'.escape_default());
                after
            }
        };
    }
    push(&mut out, rest, "\n");
    Cow::Owned(out)
}

/// The colour at the front of `text`, without its escape character, and what follows it.
fn color(text: &str) -> Option<(&str, &str)> {
    let numbers = text.strip_prefix('[')?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let (color, rest) = text.split_at_checked(end + 2)?;
    color.ends_with('m').then_some((color, rest))
}

fn push(out: &mut String, text: &str, line_end: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str(line_end),
            c if is_harmless(c) => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.extend(c.escape_unicode()),
        }
    }
}

/// Whether a terminal shows the character where it stands, and nothing else happens.
fn is_harmless(c: char) -> bool {
    let moves_text = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c == '\t' || !(c.is_control() || moves_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_begin_a_line_or_speak_to_the_terminal() {
        let mut text = String::new();
        push_message(&mut text, "a\n2026-01-01 [auth] \u{1b}[2Jroot\r\u{202e}\tö");
        assert_eq!(text, "a\n    2026-01-01 [auth] \\u{1b}[2Jroot\\r\\u{202e}\tö");
        let mut word = String::new();
        push_word(&mut word, "x\ny\u{9b}");
        assert_eq!(word, "x\\ny\\u{9b}");
    }

    #[test]
    fn lines_keep_their_colours_and_nothing_else_that_a_terminal_obeys() {
        assert!(matches!(lines("plain\n\tö", false), Cow::Borrowed(_)));
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{1b}[2J \u{1b}[";
        assert_eq!(
            lines(text, true),
            "\u{1b}[1;31mred\u{1b}[0m \\u{1b}]0;title\\u{7} \\u{1b}[2J \\u{1b}["
        );
        assert_eq!(lines("\u{1b}[31mred\r", false), "\\u{1b}[31mred\\r");
    }
}
