//! One line of a log file as a person or a program wants to see it. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::base::printable;

/// What a line says. Lines that are not JSON objects are a message without anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLine {
    /// As written in the line.
    pub time: Option<String>,
    /// Lower case.
    pub level: Option<String>,
    /// Part of the gateway.
    pub subsystem: Option<String>,
    /// The text.
    pub message: String,
}

impl LogLine {
    /// Reads upstream's layout (numbered arguments and `_meta`) and flat layouts (`time`/`timestamp`, `level`,
    /// `subsystem`/`target`, `message` there or under `fields`).
    pub fn parse(raw: &str) -> Self {
        let Ok(Value::Object(entry)) = serde_json::from_str(raw) else {
            return Self {
                message: raw.to_owned(),
                ..Self::default()
            };
        };
        let text = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| at(&entry, name)?.as_str())
                .map(str::to_owned)
        };
        let bindings = bindings(&entry);
        let subsystem = bindings
            .as_ref()
            .and_then(|bindings| bindings.get("subsystem")?.as_str().map(str::to_owned))
            .or_else(|| text(&["subsystem", "target"]));
        let numbered = arguments(&entry, bindings.is_some());
        Self {
            time: text(&["time", "timestamp", "_meta.date"]),
            level: text(&["_meta.logLevelName", "level"]).map(|level| level.to_ascii_lowercase()),
            subsystem,
            message: if numbered.is_empty() {
                text(&["message", "fields.message", "msg"]).unwrap_or_else(|| raw.to_owned())
            } else {
                numbered
            },
        }
    }

    /// `<time> <level> <subsystem> <message>`; what is missing is left out.
    pub fn for_people(&self, local_time: bool) -> String {
        let time = self.time.as_deref().map(|time| shown_time(time, local_time));
        let mut text = String::new();
        for part in [time.as_deref(), self.level.as_deref(), self.subsystem.as_deref()]
            .into_iter()
            .flatten()
        {
            printable::push_word(&mut text, part);
            text.push(' ');
        }
        printable::push_message(&mut text, &self.message);
        text
    }

    /// The document of one line for programs.
    pub fn for_programs(&self, raw: &str) -> Value {
        let mut document = json!({ "type": "log" });
        if let Some(object) = document.as_object_mut() {
            for (name, value) in [
                ("time", &self.time),
                ("level", &self.level),
                ("subsystem", &self.subsystem),
            ] {
                if let Some(value) = value {
                    object.insert(name.to_owned(), Value::from(value.as_str()));
                }
            }
            object.insert("message".to_owned(), Value::from(self.message.as_str()));
            object.insert("raw".to_owned(), Value::from(raw));
        }
        document
    }
}

fn at<'v>(entry: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    match path.split_once('.') {
        Some((first, rest)) => entry.get(first)?.get(rest),
        None => entry.get(path),
    }
}

/// Argument 0 when it is a JSON object in a string.
fn bindings(entry: &Map<String, Value>) -> Option<Value> {
    let text = entry.get("0")?.as_str().filter(|text| text.starts_with('{'))?;
    serde_json::from_str(text).ok()
}

fn arguments(entry: &Map<String, Value>, skip_first: bool) -> String {
    let first = usize::from(skip_first);
    let words: Vec<String> = (first..)
        .map_while(|number| entry.get(&number.to_string()))
        .map(|argument| argument.as_str().map_or_else(|| argument.to_string(), str::to_owned))
        .collect();
    words.join(" ")
}

fn shown_time(time: &str, local: bool) -> String {
    let Ok(timestamp) = time.parse::<Timestamp>() else {
        return time.to_owned();
    };
    if local {
        let zoned = timestamp.to_zoned(TimeZone::system());
        zoned.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    } else {
        timestamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_layout_gives_subsystem_and_arguments() {
        let raw = r#"{"0":"{\"subsystem\":\"gateway/reload\"}","1":"config hot reload applied (cron)","_meta":{"logLevelName":"INFO"},"time":"2026-11-22T14:38:25.745+00:00"}"#;
        let line = LogLine::parse(raw);
        assert_eq!(
            line.for_people(false),
            "2026-11-22T14:38:25.745Z info gateway/reload config hot reload applied (cron)"
        );
        assert_eq!(line.for_programs(raw)["time"], "2026-11-22T14:38:25.745+00:00");
    }

    #[test]
    fn a_flat_layout_is_read_too() {
        let raw =
            r#"{"timestamp":"2026-11-22T14:38:25Z","level":"WARN","target":"gateway","fields":{"message":"slow"}}"#;
        assert_eq!(
            LogLine::parse(raw).for_people(false),
            "2026-11-22T14:38:25.000Z warn gateway slow"
        );
    }

    #[test]
    fn a_line_that_is_not_json_is_its_own_message() {
        assert_eq!(LogLine::parse("plain text").for_people(false), "plain text");
    }

    #[test]
    fn a_message_cannot_speak_to_the_terminal_or_pass_for_two() {
        let raw = r#"{"level":"warn\n","message":"x\u001b[2J\n2026-01-01 info auth all is well"}"#;
        assert_eq!(
            LogLine::parse(raw).for_people(false),
            "warn\\n x\\u{1b}[2J\n    2026-01-01 info auth all is well"
        );
    }
}
