//! Text that others may have chosen, on its way to a terminal or a log of lines: it must not begin a line of its own, nor
//! speak to the terminal, nor show itself in another order than it has.

/// Appends a message; its further lines are indented, so that none of them looks like a new entry.
pub fn push_message(out: &mut String, text: &str) {
    push(out, text, "\n    ");
}

/// Appends a value that stays on its line.
pub fn push_word(out: &mut String, text: &str) {
    push(out, text, "\\n");
}

fn push(out: &mut String, text: &str, line_end: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str(line_end),
            '\t' => out.push(c),
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
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
}
