//! A metric as a value: what its type makes of the bits.

use super::proto::{Metric, PropertySet, Value};

/// What a metric's value is, as far as readings go.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Worth {
    /// A number, or a sensor that is missing.
    Number(Option<f64>),
    /// A text, a truth value, a time, a table: no reading.
    Skipped,
    /// The type is not known, so the number cannot be.
    Untyped,
}

/// The value under this type, which the metric itself or its birth has stated.
pub(super) fn worth(metric: &Metric, datatype: Option<u32>) -> Worth {
    let Some(kind) = datatype.filter(|kind| *kind != 0) else {
        return match &metric.value {
            Some(Value::Float(value)) => Worth::Number(Some(widened(*value))),
            Some(Value::Double(value)) => Worth::Number(Some(*value)),
            Some(Value::Boolean(_)) => Worth::Skipped,
            Some(Value::String(text)) => spelled(text),
            _ => Worth::Untyped,
        };
    };
    if metric.is_null == Some(true) {
        return if matches!(kind, 1..=10) { Worth::Number(None) } else { Worth::Skipped };
    }
    let number = match (kind, &metric.value) {
        (1, Some(Value::Int(bits))) => f64::from(*bits as u8 as i8),
        (2, Some(Value::Int(bits))) => f64::from(*bits as u16 as i16),
        (3, Some(Value::Int(bits))) => f64::from(*bits as i32),
        (4, Some(Value::Long(bits))) => *bits as i64 as f64,
        (5..=7, Some(Value::Int(value))) => f64::from(*value),
        // Some encoders put 32 bits without a sign into the longer field.
        (7 | 8, Some(Value::Long(value))) => *value as f64,
        (9, Some(Value::Float(value))) => widened(*value),
        (10, Some(Value::Double(value))) => *value,
        (12 | 14, Some(Value::String(text))) => return spelled(text),
        (1..=10, _) => return Worth::Untyped,
        _ => return Worth::Skipped,
    };
    Worth::Number(Some(number))
}

/// 8.85 of 32 bits is 8.8500003814697 of 64: what was meant is the shortest number that is the same 32 bits.
fn widened(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn spelled(text: &str) -> Worth {
    crate::formats::loose::number(text).map_or(Worth::Skipped, |number| Worth::Number(Some(number)))
}

/// The unit that a birth states for a metric.
pub(super) fn unit(properties: Option<&PropertySet>) -> Option<String> {
    let properties = properties?;
    let mut pairs = properties.keys.iter().zip(&properties.values);
    let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case("engUnit"))?;
    value.text.clone().filter(|unit| !unit.is_empty())
}

/// Is this about the node or device itself, and not about the water?
pub(super) fn is_control(name: &str) -> bool {
    name == "bdSeq"
        || ["Node Control/", "Device Control/", "Node Info/", "Device Info/", "Properties/"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_what_their_type_makes_of_them() {
        let null = Metric { is_null: Some(true), ..Metric::default() };
        for (datatype, value, worth_) in [
            (1, Some(Value::Int(0xFF)), Worth::Number(Some(-1.0))),
            (1, Some(Value::Int(0xFFFF_FFFF)), Worth::Number(Some(-1.0))),
            (2, Some(Value::Int(0xFFFE)), Worth::Number(Some(-2.0))),
            (3, Some(Value::Int(0xFFFF_FFFD)), Worth::Number(Some(-3.0))),
            (4, Some(Value::Long(u64::MAX)), Worth::Number(Some(-1.0))),
            (5, Some(Value::Int(255)), Worth::Number(Some(255.0))),
            (7, Some(Value::Long(4_294_967_295)), Worth::Number(Some(4_294_967_295.0))),
            (9, Some(Value::Float(8.85)), Worth::Number(Some(8.85))),
            (9, Some(Value::Double(8.85)), Worth::Untyped),
            (10, Some(Value::Double(8.85)), Worth::Number(Some(8.85))),
            (10, None, Worth::Untyped),
            (11, Some(Value::Boolean(true)), Worth::Skipped),
            (12, Some(Value::String("7.1".into())), Worth::Number(Some(7.1))),
            (12, Some(Value::String("ok".into())), Worth::Skipped),
            (13, Some(Value::Long(1)), Worth::Skipped),
            (16, None, Worth::Skipped),
            (0, Some(Value::Int(7)), Worth::Untyped),
        ] {
            let metric = Metric { value: value.clone(), ..Metric::default() };
            assert_eq!(worth(&metric, Some(datatype)), worth_, "{datatype} {value:?}");
        }
        assert_eq!(worth(&null, Some(10)), Worth::Number(None));
        assert_eq!(worth(&null, Some(12)), Worth::Skipped);
    }
}
