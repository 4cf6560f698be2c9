//! From bytes to a JSON value: JSON5 syntax and the caps that keep a hostile or damaged file harmless.

use serde_json::{Number, Value};

/// Largest root file.
pub const MAX_ROOT_BYTES: u64 = 8 * 1024 * 1024;
/// Largest included file.
pub const MAX_INCLUDE_BYTES: u64 = 2 * 1024 * 1024;
/// Deepest nesting of objects and arrays.
pub const MAX_DEPTH: usize = 64;
/// Most values in one file, so that a small file cannot take much memory.
pub const MAX_VALUES: usize = 200_000;

/// Why text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Binary content.
    #[error("the file is not UTF-8 text (first bad byte at offset {0})")]
    NotText(usize),
    /// Too deep.
    #[error("objects and arrays are nested deeper than {MAX_DEPTH} levels at {line}:{column}")]
    TooDeep {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Too many values.
    #[error("the file holds more than {MAX_VALUES} values")]
    TooMany,
    /// Not JSON5.
    #[error("JSON5: {reason} at {line}:{column} (line {line}, column {column}){hint}")]
    Syntax {
        /// What is wrong.
        reason: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What would help, with its own separator; may be empty.
        hint: String,
    },
}

/// The text of a file.
pub fn text(bytes: Vec<u8>) -> Result<String, SyntaxError> {
    let text = String::from_utf8(bytes).map_err(|error| SyntaxError::NotText(error.utf8_error().valid_up_to()))?;
    match text.find('\0') {
        Some(offset) => Err(SyntaxError::NotText(offset)),
        None => Ok(text),
    }
}

/// Parses JSON5. Key order is kept; of duplicate keys the last wins; `1.0` and `1e3` are integers, as in JavaScript.
pub fn parse(text: &str) -> Result<Value, SyntaxError> {
    // A byte-order mark is white space in JSON5, so offsets stay right.
    check_shape(text)?;
    let mut value: Value = json5::from_str(text).map_err(|error| locate(&error, text))?;
    integers(&mut value);
    Ok(value)
}

fn locate(error: &json5::Error, text: &str) -> SyntaxError {
    let position = error.position().map(|at| (at.line + 1, at.column + 1));
    let reason = error.code().map_or_else(|| error.to_string(), |code| code.to_string());
    // The parser names the start of what was not finished; the place to repair is the end.
    if let Some(what) = reason.strip_prefix("EOF parsing ") {
        let (line, column) = end_of(text);
        let hint = position.map_or_else(String::new, |(line, column)| {
            format!("; the {what} that starts at {line}:{column} is not finished")
        });
        return SyntaxError::Syntax {
            reason: "invalid end of input".to_owned(),
            line,
            column,
            hint,
        };
    }
    let (line, column) = position.unwrap_or_else(|| end_of(text));
    SyntaxError::Syntax {
        reason,
        line,
        column,
        hint: String::new(),
    }
}

fn end_of(text: &str) -> (usize, usize) {
    let line = text.split('\n').count().max(1);
    let column = text.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// The parser recurses, so depth is bounded before it runs, and so is the number of values. Strings and comments are
/// skipped.
fn check_shape(text: &str) -> Result<(), SyntaxError> {
    let (mut line, mut column, mut depth, mut values) = (1, 0, 0_usize, 0_usize);
    let mut state = Lex::Plain;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        column += 1;
        if c == '\n' {
            line += 1;
            column = 0;
        }
        if values > MAX_VALUES {
            return Err(SyntaxError::TooMany);
        }
        state = match state {
            Lex::Plain => match c {
                '"' | '\'' => Lex::Text(c),
                '/' if chars.peek() == Some(&'/') => Lex::LineComment,
                '/' if chars.peek() == Some(&'*') => Lex::BlockComment,
                ',' => {
                    values += 1;
                    Lex::Plain
                }
                '{' | '[' => {
                    values += 1;
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(SyntaxError::TooDeep { line, column });
                    }
                    Lex::Plain
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    Lex::Plain
                }
                _ => Lex::Plain,
            },
            Lex::Text(quote) if c == '\\' => Lex::Escape(quote),
            // An unescaped line end is an error that the parser reports; the scan resumes as plain text, which can
            // only count more brackets.
            Lex::Text(quote) if c == quote || c == '\n' => Lex::Plain,
            Lex::Escape(quote) => Lex::Text(quote),
            Lex::LineComment if matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}') => Lex::Plain,
            // `/*/` does not close: the star that opened is consumed first.
            Lex::BlockComment => Lex::InBlock,
            Lex::InBlock if c == '*' && chars.peek() == Some(&'/') => Lex::BlockEnd,
            Lex::BlockEnd => Lex::Plain,
            other => other,
        };
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Lex {
    Plain,
    Text(char),
    Escape(char),
    LineComment,
    BlockComment,
    InBlock,
    BlockEnd,
}

fn integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64())
                && float.fract() == 0.0
                && float.abs() <= 9_007_199_254_740_991.0
                && let Ok(integer) = format!("{float:.0}").parse::<i64>()
            {
                *number = Number::from(integer);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integers),
        Value::Object(map) => map.values_mut().for_each(integers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json5_is_read_in_order_and_whole_floats_are_integers() {
        let value = parse("\u{feff}// c\n{b: 'x', a: [1., 1e3, 0.5,], /* } */ \"c\": {},}").unwrap();
        assert_eq!(value, json!({"b": "x", "a": [1, 1000, 0.5], "c": {}}));
        assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a", "c"]);
    }

    #[test]
    fn a_syntax_error_says_where_and_why() {
        let error = parse("{\n  gateway: {mode: 'local', ").unwrap_err();
        assert_eq!(
            error.to_string(),
            "JSON5: invalid end of input at 2:28 (line 2, column 28); the object that starts at 2:12 is not finished"
        );
        let SyntaxError::Syntax { line, .. } = parse("{\n a: 1\n b: 2 }").unwrap_err() else {
            panic!()
        };
        assert_eq!(line, 3);
    }

    #[test]
    fn nesting_is_bounded_but_brackets_in_strings_and_comments_do_not_count() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert!(matches!(
            parse(&deep),
            Err(SyntaxError::TooDeep { line: 1, column: 65 })
        ));
        let fine = format!("{{a: \"{0}\", /*{0}*/ b: '\\'{0}' }} //{0}", "[".repeat(100));
        assert!(parse(&fine).is_ok());
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let list = |count: usize| format!("[{}]", "0,".repeat(count));
        assert_eq!(parse(&list(MAX_VALUES)), Err(SyntaxError::TooMany));
        assert!(parse(&list(MAX_VALUES - 1)).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_an_error_with_a_place_in_it(text in "[\\[\\]{}:,'\"/*\\\\ \n\ra-c0-9.+-]{0,60}") {
            match parse(&text) {
                Ok(value) => prop_assert_eq!(parse(&value.to_string()).unwrap(), value),
                // JSON5 ends a line at a carriage return too.
                Err(SyntaxError::Syntax { line, .. }) => prop_assert!((1..=text.split(['\n', '\r']).count()).contains(&line)),
                Err(_) => {}
            }
        }

        #[test]
        fn what_json_says_json5_says_too(text in json()) {
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(parse(&text).unwrap(), value);
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z$_.\\- é\"]{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
        .prop_map(|value| value.to_string())
    }

    #[test]
    fn binary_content_is_refused_with_its_offset() {
        assert_eq!(text(vec![b'{', 0xff]), Err(SyntaxError::NotText(1)));
        assert_eq!(text(b"{}\0".to_vec()), Err(SyntaxError::NotText(2)));
    }
}
