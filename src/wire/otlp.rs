//! Messages of the OpenTelemetry protocol, generated from `proto/otlp.proto`.

use crate::telemetry::span::AttributeValue;

mod generated {
    tonic::include_proto!("openclaw.otlp");
}

pub use generated::*;

/// The cumulative temporality.
pub const CUMULATIVE: i32 = 2;

/// An attribute with text.
pub fn text(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value.into()))
}

/// An attribute.
pub fn key_value(key: impl Into<String>, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

impl From<AttributeValue> for any_value::Value {
    fn from(value: AttributeValue) -> Self {
        match value {
            AttributeValue::Text(text) => Self::StringValue(text.into_owned()),
            AttributeValue::Int(number) => Self::IntValue(number),
            AttributeValue::Float(number) => Self::DoubleValue(number),
            AttributeValue::Bool(value) => Self::BoolValue(value),
            AttributeValue::Names(names) => {
                let values = names.into_iter().map(|name| AnyValue {
                    value: Some(Self::StringValue(name.to_owned())),
                });
                Self::ArrayValue(ArrayValue {
                    values: values.collect(),
                })
            }
        }
    }
}
