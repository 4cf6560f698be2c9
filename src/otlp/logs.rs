//! Log lines as OTLP writes them. A line comes as the masked JSON that the file and the console show, so nothing leaves
//! this way that does not stand there.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Origin, since_epoch};
use crate::wire::otlp::any_value::Value as Any;
use crate::wire::otlp::{AnyValue, ExportLogs, KeyValue, LogRecord, ResourceLogs, ScopeLogs, key_value};

pub(super) fn encode(lines: Vec<String>, origin: &Origin) -> ExportLogs {
    ExportLogs {
        resource_logs: vec![ResourceLogs {
            resource: Some(origin.resource.clone()),
            scope_logs: vec![ScopeLogs {
                scope: Some(origin.scope.clone()),
                log_records: lines.iter().map(|line| record(line)).collect(),
            }],
        }],
    }
}

fn record(line: &str) -> LogRecord {
    // Masking may have made something else of a line; then it is sent as it is.
    let mut fields: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    let mut take = |key: &str| match fields.shift_remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (time, level) = (take("time"), take("level"));
    let message = take("message");
    let (trace_id, span_id) = (id(&take("traceId"), 16), id(&take("spanId"), 8));
    let time = nanos(&time);
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: severity(&level),
        severity_text: level.to_ascii_uppercase(),
        body: Some(AnyValue {
            value: Some(Any::StringValue(if time == 0 { line.to_owned() } else { message })),
        }),
        attributes: fields.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        flags: u32::from(!trace_id.is_empty()),
        trace_id,
        span_id,
    }
}

fn attribute(key: String, value: Value) -> KeyValue {
    let value = match value {
        Value::Bool(value) => Any::BoolValue(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Any::IntValue(number),
            None => Any::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Any::StringValue(text),
        other => Any::StringValue(other.to_string()),
    };
    key_value(key, value)
}

/// The number that OTLP gives to a level.
fn severity(level: &str) -> i32 {
    match level {
        "trace" => 1,
        "debug" => 5,
        "info" => 9,
        "warn" => 13,
        "error" => 17,
        _ => 0,
    }
}

fn nanos(time: &str) -> u64 {
    let Ok(time) = time.parse::<jiff::Timestamp>() else {
        return 0;
    };
    Duration::try_from(time.duration_since(jiff::Timestamp::UNIX_EPOCH)).map_or(0, since_epoch)
}

fn id(text: &str, length: usize) -> Vec<u8> {
    let bytes = hex::decode(text).unwrap_or_default();
    if bytes.len() == length { bytes } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_record_with_its_fields_and_its_trace() {
        let line = r#"{"time":"2026-01-02T03:04:05.006+02:00","level":"warn","subsystem":"agent","message":"run failed",
            "run_id":"r1","duration_ms":12,"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}"#;
        let record = record(line);
        assert_eq!(record.time_unix_nano, 1_767_315_845_006_000_000);
        assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
        assert_eq!(
            record.body.unwrap().value,
            Some(Any::StringValue("run failed".to_owned()))
        );
        assert_eq!((record.trace_id.len(), record.span_id.len(), record.flags), (16, 8, 1));
        let keys: Vec<_> = record.attributes.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(keys, ["subsystem", "run_id", "duration_ms"]);
    }

    #[test]
    fn a_line_that_is_no_json_any_more_is_sent_as_it_is() {
        let record = record("{\"time\": ***");
        assert_eq!(
            record.body.unwrap().value,
            Some(Any::StringValue("{\"time\": ***".to_owned()))
        );
        assert_eq!(record.flags, 0);
    }
}
