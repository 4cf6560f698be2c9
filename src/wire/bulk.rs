//! A cap on how many values one JSON text may hold.
//!
//! Two bytes of text can become seventy bytes of parsed value, so a cap on bytes alone leaves one message room to take
//! more memory than the process has. What is counted is cheap to see: separators and opening brackets outside strings.

/// Most values of one message. Long conversations with many tools stay far below.
pub const MOST_VALUES: usize = 200_000;

/// Whether `text` holds more than [`MOST_VALUES`] values. For text that is no JSON the answer means nothing.
pub fn is_bulky(text: &str) -> bool {
    // A value takes two bytes at least, so most messages are not looked at.
    if text.len() / 2 <= MOST_VALUES {
        return false;
    }
    let mut count = 0;
    let mut rest = text;
    loop {
        let (plain, text) = rest.split_once('"').unwrap_or((rest, ""));
        count += plain.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
        if count > MOST_VALUES {
            return true;
        }
        match after_string(text) {
            Some(after) => rest = after,
            None => return false,
        }
    }
}

/// What follows the string that `text` is in; `None` if it does not end.
fn after_string(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (inside, after) = rest.split_once('"')?;
        let escapes = inside.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some(after);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_and_what_stands_in_strings_does_not() {
        assert!(is_bulky(&format!("[{}0]", "0,".repeat(MOST_VALUES))));
        assert!(is_bulky(&"[".repeat(2 * MOST_VALUES + 2)));
        assert!(!is_bulky(&format!("[{}0]", "0000,".repeat(MOST_VALUES - 1))));
        let text = ",[{".repeat(MOST_VALUES);
        assert!(!is_bulky(&format!(r#"{{"a":"{text}"}}"#)));
        assert!(!is_bulky(&format!(r#"{{"a":"\"{text}\\\"{text}"}}"#)));
        assert!(is_bulky(&format!(r#"{{"a":"\\",{text}}}"#)));
        assert!(!is_bulky(&format!(r#"{{"a":"{text}"#)));
    }
}
