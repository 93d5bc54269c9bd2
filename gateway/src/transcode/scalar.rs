//! Single values: from JSON, by ProtoJSON's rules, and from the text of a path
//! or query, which knows no types and is therefore read more strictly.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{EnumDescriptor, Kind, Syntax, Value};
use serde_json::Value as Json;

use super::violation::Reason;

/// Why a value is refused.
pub(super) type Refusal = (Reason, String);

type Read = Result<Value, Refusal>;

/// Padding is optional and the bits behind the last byte are ignored, as
/// protobuf's own parsers do.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Integers up to here are exact in the double that a JSON number with a
/// fraction or an exponent is read as.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A value of a field that is no message.
pub(super) fn from_json(kind: &Kind, json: &Json) -> Read {
    match kind {
        Kind::Bool => json.as_bool().map(Value::Bool).ok_or_else(|| wanted("true or false")),
        Kind::String => match json {
            Json::String(text) => Ok(Value::String(text.clone())),
            _ => Err(wanted("a string")),
        },
        Kind::Bytes => match json {
            Json::String(text) => bytes(text),
            _ => Err(wanted("a string of base64")),
        },
        Kind::Enum(kind) => enum_from_json(kind, json),
        Kind::Double | Kind::Float => float_from_json(kind, json),
        Kind::Message(_) => Err(wanted("an object")),
        integer => integer_from_json(integer, json),
    }
}

/// A value from a path or query.
pub(super) fn from_text(kind: &Kind, text: &str) -> Read {
    match kind {
        Kind::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(invalid("neither `true` nor `false`")),
        },
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bytes => bytes(text),
        Kind::Enum(kind) => match decimal(text) {
            Some(number) => enum_number(kind, number),
            None => enum_name(kind, text),
        },
        Kind::Double | Kind::Float => float_from_text(kind, text),
        Kind::Message(_) => Err(invalid("a message cannot be given as text")),
        // No fraction, exponent, sign `+` or spaces: an address that two
        // programs could read as different numbers is not one address.
        integer => {
            in_range(integer, decimal(text).ok_or_else(|| invalid("not a decimal integer"))?)
        }
    }
}

fn wanted(what: &str) -> Refusal {
    (Reason::InvalidType, format!("expected {what}"))
}

fn invalid(what: impl Into<String>) -> Refusal {
    (Reason::InvalidValue, what.into())
}

fn bytes(text: &str) -> Read {
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let bytes = engine.decode(text).map_err(|error| invalid(format!("not base64: {error}")))?;
    Ok(Value::Bytes(bytes.into()))
}

fn enum_from_json(kind: &EnumDescriptor, json: &Json) -> Read {
    match json {
        Json::Null if kind.full_name() == "google.protobuf.NullValue" => Ok(Value::EnumNumber(0)),
        Json::String(name) => enum_name(kind, name),
        Json::Number(_) => {
            let number = integral(json).ok_or_else(|| wanted("the name or number of a value"))?;
            enum_number(kind, number)
        }
        _ => Err(wanted("the name or number of a value")),
    }
}

fn enum_name(kind: &EnumDescriptor, name: &str) -> Read {
    kind.get_value_by_name(name).map(|value| Value::EnumNumber(value.number())).ok_or_else(|| {
        let names: Vec<_> = kind.values().take(16).map(|value| value.name().to_owned()).collect();
        invalid(format!("not a value of {}: {}", kind.name(), names.join(", ")))
    })
}

/// Open enums (proto3) keep numbers they do not know, closed ones (proto2) do not.
fn enum_number(kind: &EnumDescriptor, number: i128) -> Read {
    let open = kind.parent_file().syntax() != Syntax::Proto2;
    let number = i32::try_from(number).map_err(|_| invalid("out of range"))?;
    if open || kind.get_value(number).is_some() {
        return Ok(Value::EnumNumber(number));
    }
    Err(invalid(format!("not a number of {}", kind.name())))
}

fn integer_from_json(kind: &Kind, json: &Json) -> Read {
    let number = match json {
        Json::Number(_) => integral(json).ok_or_else(|| invalid("not an integer"))?,
        Json::String(text) => match decimal(text) {
            Some(number) => number,
            // ProtoJSON takes `"1e3"`, as it takes 1e3.
            None => plain_float(text)
                .and_then(exact_integer)
                .ok_or_else(|| invalid("not an integer"))?,
        },
        _ => return Err(wanted("an integer")),
    };
    in_range(kind, number)
}

fn integral(json: &Json) -> Option<i128> {
    json.as_i64()
        .map(i128::from)
        .or_else(|| json.as_u64().map(i128::from))
        .or_else(|| json.as_f64().and_then(exact_integer))
}

#[allow(clippy::cast_possible_truncation, reason = "bounded on the line above")]
fn exact_integer(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(number as i128)
}

fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // 20 digits hold any 64-bit integer.
    let plausible = (1..=20).contains(&digits.len());
    (plausible && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn in_range(kind: &Kind, number: i128) -> Read {
    let value = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number.try_into().map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number.try_into().map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => number.try_into().map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => number.try_into().map(Value::U64),
        _ => return Err(wanted("an integer")),
    };
    value.map_err(|_| invalid("out of range"))
}

fn float_from_json(kind: &Kind, json: &Json) -> Read {
    match json {
        Json::Number(number) => {
            narrow(kind, number.as_f64().ok_or_else(|| invalid("out of range"))?)
        }
        Json::String(text) => float_from_text(kind, text),
        _ => Err(wanted("a number")),
    }
}

fn float_from_text(kind: &Kind, text: &str) -> Read {
    let special = match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    match special {
        Some(number) => Ok(float(kind, number)),
        None => narrow(kind, plain_float(text).ok_or_else(|| invalid("not a number"))?),
    }
}

/// A number as JSON writes one; Rust's parser also takes `inf`, `+1` and `.5`.
fn plain_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plausible = digits.starts_with(|first: char| first.is_ascii_digit())
        && !text.ends_with('.')
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    plausible.then(|| text.parse().ok())?.filter(|number: &f64| number.is_finite())
}

fn narrow(kind: &Kind, number: f64) -> Read {
    let too_large = matches!(kind, Kind::Float) && number.abs() > f64::from(f32::MAX);
    if too_large { Err(invalid("out of range")) } else { Ok(float(kind, number)) }
}

#[allow(clippy::cast_possible_truncation, reason = "rounding to the field's type is meant")]
fn float(kind: &Kind, number: f64) -> Value {
    match kind {
        Kind::Float => Value::F32(number as f32),
        _ => Value::F64(number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_values_are_read_by_the_rules_of_protojson() {
        let cases = [
            (Kind::Int32, json!(7), Value::I32(7)),
            (Kind::Int32, json!("-7"), Value::I32(-7)),
            (Kind::Int32, json!(1.0), Value::I32(1)),
            (Kind::Int32, json!(1e3), Value::I32(1000)),
            (Kind::Int32, json!("1e3"), Value::I32(1000)),
            (Kind::Int64, json!("9223372036854775807"), Value::I64(i64::MAX)),
            (Kind::Int64, json!(i64::MIN), Value::I64(i64::MIN)),
            (Kind::Uint64, json!(u64::MAX), Value::U64(u64::MAX)),
            (Kind::Uint64, json!("18446744073709551615"), Value::U64(u64::MAX)),
            (Kind::Fixed32, json!(0), Value::U32(0)),
            (Kind::Bool, json!(true), Value::Bool(true)),
            (Kind::String, json!("é"), Value::String("é".to_owned())),
            (Kind::Bytes, json!("-_8="), Value::Bytes(vec![0xfb, 0xff].into())),
            (Kind::Bytes, json!("+/8"), Value::Bytes(vec![0xfb, 0xff].into())),
            (Kind::Bytes, json!(""), Value::Bytes(vec![].into())),
            (Kind::Double, json!(1), Value::F64(1.0)),
            (Kind::Double, json!("1.5"), Value::F64(1.5)),
            (Kind::Double, json!("-Infinity"), Value::F64(f64::NEG_INFINITY)),
            (Kind::Float, json!(0.1), Value::F32(0.1)),
        ];
        for (kind, json, expected) in cases {
            assert_eq!(from_json(&kind, &json).unwrap(), expected, "{kind:?} {json}");
        }
    }

    #[test]
    fn json_values_that_do_not_fit_are_refused() {
        use Reason::{InvalidType, InvalidValue};
        let cases = [
            (Kind::Int32, json!("x"), InvalidValue),
            (Kind::Int32, json!(1.5), InvalidValue),
            (Kind::Int32, json!(2_147_483_648_i64), InvalidValue),
            (Kind::Int32, json!(" 1"), InvalidValue),
            (Kind::Int32, json!("+1"), InvalidValue),
            (Kind::Int32, json!("0x1"), InvalidValue),
            (Kind::Int32, json!(""), InvalidValue),
            (Kind::Int32, json!(true), InvalidType),
            (Kind::Int64, json!(9.3e18), InvalidValue),
            (Kind::Int64, json!("9223372036854775808"), InvalidValue),
            (Kind::Uint32, json!(-1), InvalidValue),
            (Kind::Uint64, json!("-1"), InvalidValue),
            (Kind::Bool, json!("true"), InvalidType),
            (Kind::Bool, json!(1), InvalidType),
            (Kind::String, json!(1), InvalidType),
            (Kind::String, json!(["a"]), InvalidType),
            (Kind::Bytes, json!("a"), InvalidValue),
            (Kind::Bytes, json!("?"), InvalidValue),
            (Kind::Bytes, json!([1]), InvalidType),
            (Kind::Float, json!(1e39), InvalidValue),
            (Kind::Double, json!("inf"), InvalidValue),
            (Kind::Double, json!("nan"), InvalidValue),
            (Kind::Double, json!(".5"), InvalidValue),
            (Kind::Double, json!({}), InvalidType),
        ];
        for (kind, json, reason) in cases {
            assert_eq!(from_json(&kind, &json).unwrap_err().0, reason, "{kind:?} {json}");
        }
    }

    #[test]
    fn text_is_read_in_one_way_only() {
        assert_eq!(from_text(&Kind::Int32, "010").unwrap(), Value::I32(10));
        assert_eq!(from_text(&Kind::Bool, "true").unwrap(), Value::Bool(true));
        assert_eq!(from_text(&Kind::Double, "1e2").unwrap(), Value::F64(100.0));
        for (kind, text) in [
            (Kind::Int32, "1e2"),
            (Kind::Int32, "1.0"),
            (Kind::Int32, "+1"),
            (Kind::Int32, " 1"),
            (Kind::Int32, ""),
            (Kind::Int32, "-"),
            (Kind::Int32, "99999999999999999999999"),
            (Kind::Uint32, "-1"),
            (Kind::Bool, "1"),
            (Kind::Bool, "T"),
            (Kind::Bool, "True"),
            (Kind::Bool, ""),
            (Kind::Double, "inf"),
            (Kind::Double, "infinity"),
            (Kind::Double, "nan"),
            (Kind::Double, "0x1"),
            (Kind::Double, "1."),
        ] {
            assert!(from_text(&kind, text).is_err(), "{kind:?} {text:?}");
        }
    }
}
