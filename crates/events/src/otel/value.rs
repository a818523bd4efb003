//! Attributes: a name and a value of one of a few types.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// What can be the value of an attribute.
pub(super) trait Attribute {
    fn value(self) -> Value;
}

impl Attribute for &str {
    fn value(self) -> Value {
        Value::StringValue(self.to_owned())
    }
}

impl Attribute for String {
    fn value(self) -> Value {
        Value::StringValue(self)
    }
}

impl Attribute for u64 {
    fn value(self) -> Value {
        Value::IntValue(i64::try_from(self).unwrap_or(i64::MAX))
    }
}

impl Attribute for i64 {
    fn value(self) -> Value {
        Value::IntValue(self)
    }
}

impl Attribute for f64 {
    fn value(self) -> Value {
        Value::DoubleValue(self)
    }
}

impl Attribute for Vec<String> {
    fn value(self) -> Value {
        let values = self.into_iter().map(|text| AnyValue { value: Some(text.value()) }).collect();
        Value::ArrayValue(ArrayValue { values })
    }
}

pub(super) fn field(name: &str, value: impl Attribute) -> KeyValue {
    let value = Some(AnyValue { value: Some(value.value()) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

/// Returns an attribute where there is a value: what is not known is not said.
pub(super) fn present(name: &str, value: Option<impl Attribute>) -> Option<KeyValue> {
    value.map(|value| field(name, value))
}
